/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/proto.h"

#include "tests/test.h"

static const char TEXT[] = "lusab-babad.00112233445566778899aabbccddeeff";

static fl_token documented(void)
{
    fl_token token = {.id = 0x7f000001};
    for (uint8_t i = 0; i < FL_TOKEN_SECRET_BYTES; i++) {
        token.secret[i] = (uint8_t)(i * 0x11);
    }
    return token;
}

TEST(join_writes_and_reads_a_token)
{
    char text[FL_TOKEN_CAP];
    const fl_token token = documented();
    fl_token back;
    fl_token_encode(text, &token);
    assert_string_equal(text, TEXT);
    assert_ok(fl_token_decode(&back, text, NULL));
    assert_int_equal(back.id, token.id);
    assert_memory_equal(back.secret, token.secret, sizeof back.secret);
}

TEST(join_refuses_what_is_no_token_and_does_not_repeat_it)
{
    static const char *const texts[] = {
        "",
        "lusab-babad",
        "lusab-babad.",
        "lusab-babad.00112233445566778899aabbccddeef",
        "lusab-babad.00112233445566778899aabbccddeeff0",
        "lusab-babad-00112233445566778899aabbccddeeff",
        "lusab-babed.00112233445566778899aabbccddeeff",
        "00112233445566778899aabbccddeeff.lusab-babad",
        "lusab-babad.0011223344556677 899aabbccddeeff",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fl_token token;
        fl_reason why = {""};
        assert_err(fl_token_decode(&token, texts[i], &why), FL_ERR_FORMAT);
        assert_reason_names(why, "fedge-aggregator token");
        assert_null(strstr(why.text, "0011"));
        const fl_token none = {0};
        assert_memory_equal(&token, &none, sizeof token);
    }
}

TEST(join_hashes_the_id_and_every_byte_of_the_secret)
{
    uint8_t first[FL_HASH_BYTES], other[FL_HASH_BYTES];
    const fl_token token = documented();
    fl_token_hash(first, &token);
    for (size_t i = 0; i < FL_TOKEN_SECRET_BYTES; i++) {
        fl_token changed = token;
        changed.secret[i] ^= 1;
        fl_token_hash(other, &changed);
        assert_memory_not_equal(other, first, sizeof first);
    }
    fl_token changed = token;
    changed.id ^= 1;
    fl_token_hash(other, &changed);
    assert_memory_not_equal(other, first, sizeof first);
}

TEST(join_has_a_word_and_a_sentence_for_every_cause)
{
#define CHECK_CAUSE(name, value, word, text)        \
    assert_int_equal(fl_cause_of(value), name);     \
    assert_string_equal(fl_cause_word(name), word); \
    assert_true(strlen(fl_cause_text(name)) > 10);  \
    assert_true(strlen(fl_cause_text(name)) < FL_REASON_CAP - 100);
    FL_CAUSE_LIST(CHECK_CAUSE)
    assert_int_equal(fl_cause_of(200), FL_CAUSE_OTHER);
    assert_int_equal(fl_cause_of(UINT32_MAX), FL_CAUSE_OTHER);
    assert_true(fl_cause_is_temporary(FL_CAUSE_BUSY));
    assert_false(fl_cause_is_temporary(FL_CAUSE_REVOKED));
}

RUN_TESTS(
    cmocka_unit_test(join_writes_and_reads_a_token),
    cmocka_unit_test(join_refuses_what_is_no_token_and_does_not_repeat_it),
    cmocka_unit_test(join_hashes_the_id_and_every_byte_of_the_secret),
    cmocka_unit_test(join_has_a_word_and_a_sentence_for_every_cause))
