/*
 * Settings of the sanitizers for every test: a request for more memory than
 * there is gives NULL, as it does in the real world, and is no finding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}
