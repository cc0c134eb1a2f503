/*
 * Masks without another library to hold them against, so that this runs on
 * every architecture; mask_stream_test.c compares with libsodium.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "secure/mask.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "secure/mask/chacha.h"
#include "tests/test.h"

enum { WORDS_MAX = 10 * 128, STACK_BYTES = 1 << 20 };

static const uint8_t KEY[FL_MASK_KEY_BYTES] = {
    0xd3, 0x1c, 0x5a, 0x86, 0x0f, 0xe9, 0x72, 0xb4, 0x4d, 0x28, 0xc7,
    0x91, 0x63, 0xfa, 0x0e, 0x35, 0xa8, 0x57, 0xee, 0x19, 0xc0, 0x7b,
    0x46, 0xdd, 0x92, 0x3f, 0x68, 0xb1, 0x04, 0xcb, 0x7d, 0xe6};

static int let_go(void **state __attribute__((unused)))
{
    return unsetenv("FEDGE_CPU");
}

/* Calls `check` with every kernel that this CPU runs, one after the other. */
static void with_each_kernel(void (*check)(void))
{
    static const char *const levels[] = {"portable", "smlal", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        assert_int_equal(setenv("FEDGE_CPU", levels[i], 1), 0);
        if (!fl_cpu_check(NULL)) check();
    }
}

// words = those of a vector that is nowhere 0, the same each time.
static void fill(uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

// words = the stream from word `first` on, by the portable kernel, in groups
// alone: 4 blocks or 32 words.
static void portable_stream(uint64_t *words, size_t first)
{
    memset(words, 0, WORDS_MAX * sizeof *words);
    fl_chacha_portable.add(words, WORDS_MAX / 32, first / 8, KEY);
}

/* ---- known answers ---- */

// RFC 8439, appendix A.1, test vectors 1 to 4: those with a nonce of 0.
static const struct {
    uint8_t key_at, key_byte;  // the one byte of the key that is not 0
    size_t block;
    const char *stream;
} ANSWERS[] = {
    {0, 0, 0,
     "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
     "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
    {0, 0, 1,
     "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
     "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
    {31, 1, 1,
     "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
     "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
    {1, 0xff, 2,
     "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
     "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"},
};

static void check_answers(void)
{
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        uint8_t key[FL_MASK_KEY_BYTES] = {0};
        uint64_t words[8] = {0};
        char text[2 * sizeof words + 1];
        key[ANSWERS[i].key_at] = ANSWERS[i].key_byte;
        fl_mask_add_from(words, 8, ANSWERS[i].block * 8, key, false);
        for (size_t k = 0; k < sizeof words; k++) {
            const uint64_t byte = words[k / 8] >> (k % 8 * 8) & 0xff;
            snprintf(text + 2 * k, 3, "%02x", (unsigned)byte);
        }
        assert_string_equal(text, ANSWERS[i].stream);
    }
}

TEST(mask_is_the_stream_of_rfc_8439)
{
    with_each_kernel(check_answers);
}

/* ---- kernels ---- */

TEST(mask_takes_the_kernel_that_the_cpu_allows)
{
    assert_int_equal(setenv("FEDGE_CPU", "portable", 1), 0);
    assert_string_equal(fl_chacha_at(0)->name, "portable");
    assert_null(fl_chacha_at(1));
    unsetenv("FEDGE_CPU");
#if defined(__x86_64__)
    unsigned count = 1;
    if (fl_cpu_allows(FL_CPU_AVX2)) count++;
    if (fl_cpu_allows(FL_CPU_AVX512)) count++;
    assert_string_equal(fl_chacha_at(count - 1)->name, "portable");
    assert_null(fl_chacha_at(count));
#elif defined(__aarch64__)
    assert_string_equal(fl_chacha_at(0)->name, "neon");
    assert_string_equal(fl_chacha_at(1)->name, "portable");
#endif
}

/* What add does and that subtract undoes it, in place, nothing beyond. */
static void check_length(const uint64_t *stream, size_t first, size_t count)
{
    uint64_t before[WORDS_MAX + 1], words[WORDS_MAX + 1];
    fill(before, WORDS_MAX + 1);
    memcpy(words, before, sizeof words);
    fl_mask_add_from(words, count, first, KEY, false);
    for (size_t i = 0; i < count; i++)
        assert_true(words[i] == before[i] + stream[i]);
    assert_memory_equal(words + count, before + count,
                        sizeof words - count * sizeof *words);
    fl_mask_add_from(words, count, first, KEY, true);
    assert_memory_equal(words, before, sizeof words);
}

static void check_lengths(void)
{
    uint64_t stream[WORDS_MAX];
    portable_stream(stream, 0);
    for (size_t count = 0; count <= 300; count++)
        check_length(stream, 0, count);
    check_length(stream, 0, 1023);
    check_length(stream, 0, 1024);
    check_length(stream, 0, 1025);
}

TEST(mask_adds_and_subtracts_vectors_of_any_length)
{
    with_each_kernel(check_lengths);
}

static void check_places(void)
{
    // The counter of blocks passes 2^32 at a word that no size_t of 32 bits
    // has; a block, a group and more before and after it.
    static const size_t blocks[] = {0,
                                    1,
                                    7,
                                    15,
                                    16,
                                    17,
                                    1000,
                                    ((size_t)1 << 32) - 40,
                                    ((size_t)1 << 32) - 17,
                                    ((size_t)1 << 32) - 3,
                                    ((size_t)1 << 32) - 1,
                                    (size_t)1 << 32,
                                    ((size_t)5 << 32) - 9};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        uint64_t stream[WORDS_MAX];
        portable_stream(stream, blocks[i] * 8);
        check_length(stream, blocks[i] * 8, 1);
        check_length(stream, blocks[i] * 8, 391);
    }
}

TEST(mask_begins_at_any_block)
{
    with_each_kernel(check_places);
}

TEST(mask_can_be_shared_out_by_blocks)
{
    uint64_t whole[WORDS_MAX], parts[WORDS_MAX];
    const size_t cuts[] = {0, 8, 136, 136, 800, WORDS_MAX};
    fill(whole, WORDS_MAX);
    fill(parts, WORDS_MAX);
    fl_mask_add(whole, WORDS_MAX, KEY, true);
    for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++) {
        fl_mask_add_from(parts + cuts[i], cuts[i + 1] - cuts[i], cuts[i], KEY,
                         true);
    }
    assert_memory_equal(whole, parts, sizeof whole);
}

TEST(mask_vectors_need_no_alignment_to_blocks)
{
    uint64_t stream[WORDS_MAX], words[WORDS_MAX];
    portable_stream(stream, 0);
    for (size_t at = 0; at < 8; at++) {
        memset(words, 0, sizeof words);
        fl_mask_add(words + at, WORDS_MAX - 100, KEY, false);
        assert_memory_equal(words + at, stream,
                            (WORDS_MAX - 100) * sizeof *words);
    }
}

/* ---- what is left behind ---- */

static _Alignas(4096) uint8_t stack[STACK_BYTES];
static uint64_t masked[WORDS_MAX], stream_words[WORDS_MAX];

static void *mask_on_this_stack(void *unused)
{
    fl_mask_add(masked, WORDS_MAX - 5, KEY, false);
    return unused;
}

// A stack that is done with is memory like any other; the sanitizer, which
// does not know that, must not look.
__attribute__((no_sanitize("address"))) static bool
stack_has(const void *secret, size_t secret_len)
{
    for (size_t i = 0; i + secret_len <= STACK_BYTES; i += 4) {
        size_t same = 0;
        while (same < secret_len &&
               stack[i + same] == ((const uint8_t *)secret)[same])
            same++;
        if (same == secret_len) return true;
    }
    return false;
}

static void check_stack(void)
{
    fill(masked, WORDS_MAX);
    pthread_t thread;
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
    assert_int_equal(
        pthread_create(&thread, &attributes, mask_on_this_stack, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);

    for (size_t i = 0; i < sizeof KEY; i += 4)
        assert_false(stack_has(KEY + i, 4));
    // Of the last group, those beyond the vector may lie around as they are
    // or with the stream of a key of zeros on top.
    const uint8_t zeros[FL_MASK_KEY_BYTES] = {0};
    const size_t group_words = 8 * fl_chacha_at(0)->lanes;
    uint64_t covered[WORDS_MAX];
    for (size_t i = 0; i < WORDS_MAX; i += group_words) {
        memcpy(covered + i, stream_words + i, group_words * sizeof *covered);
        fl_chacha_at(0)->add(covered + i, 1, 0, zeros);
    }
    for (size_t i = WORDS_MAX - 32; i < WORDS_MAX; i++) {
        assert_false(stack_has(stream_words + i, sizeof *stream_words));
        assert_false(stack_has(covered + i, sizeof *covered));
    }
}

TEST(mask_leaves_nothing_of_its_key_on_the_stack)
{
    portable_stream(stream_words, 0);
    with_each_kernel(check_stack);
}

RUN_TESTS(cmocka_unit_test_teardown(mask_is_the_stream_of_rfc_8439, let_go),
          cmocka_unit_test_teardown(mask_takes_the_kernel_that_the_cpu_allows,
                                    let_go),
          cmocka_unit_test_teardown(
              mask_adds_and_subtracts_vectors_of_any_length, let_go),
          cmocka_unit_test_teardown(mask_begins_at_any_block, let_go),
          cmocka_unit_test(mask_can_be_shared_out_by_blocks),
          cmocka_unit_test(mask_vectors_need_no_alignment_to_blocks),
          cmocka_unit_test_teardown(mask_leaves_nothing_of_its_key_on_the_stack,
                                    let_go))
