/*
 * Settings of the sanitizers for every test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__tsan_default_suppressions(void);

// A request for more memory than there is gives NULL, as it does in the real
// world, and is no finding.
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/*
 * What ThreadSanitizer reports wrongly, because a library is not built with it.
 *
 * NNG frees a dialer on its reaper thread when the last reference to it goes.
 * The references are counted with atomics, which are invisible in a library
 * that is not instrumented, so destroying the dialer's mutex there looks like a
 * race with having locked it before. Memory that is used after it was freed is
 * still reported.
 */
const char *__tsan_default_suppressions(void)
{
    return "race:pthread_mutex_destroy\n";
}
