/*
 * Parties and an honest aggregator: sums, dropouts, the documented example,
 * and what is left in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "tests/support/script.h"
#include "tests/support/vector.h"
#include "tests/test.h"

/* ---- whole sessions ---- */

static void assert_sum(fl_script *script)
{
    uint64_t sum[FL_SCRIPT_WORDS], expected[FL_SCRIPT_WORDS] = {0};
    for (uint32_t u = 0; u < script->n; u++) {
        if (!fl_bitmap_has(script->survivors, u)) continue;
        for (size_t i = 0; i < FL_SCRIPT_WORDS; i++) {
            expected[i] += script->clients[u].plain[i];
        }
    }
    fl_script_sum(script, sum);
    assert_memory_equal(sum, expected, sizeof sum);
}

TEST(party_sums_are_exact_in_the_complete_graph)
{
    for (uint32_t n = 2; n <= 8; n++) {
        fl_script *script = fl_script_new(n);
        fl_script_run(script, 0);
        assert_sum(script);
        for (uint32_t slot = 0; slot < n; slot++) {
            const fl_party *party = script->clients[slot].party;
            assert_int_equal(fl_party_get_state(party), FL_PARTY_DONE);
            assert_int_equal(fl_party_fault(party), FL_FAULT_NONE);
            assert_int_equal(fl_party_bad_shares(party), 0);
        }
        fl_script_free(script);
    }
}

TEST(party_sums_are_exact_when_clients_drop_out_at_every_step)
{
    static const fl_step steps[] = {FL_STEP_SHARES, FL_STEP_MASKED,
                                    FL_STEP_CONFIRM, FL_STEP_UNMASK};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            fl_script *script = fl_script_new(8);  // t is 6
            script->clients[i].leaves_at = steps[i];
            script->clients[7 - j].leaves_at = steps[j];
            fl_script_run(script, 0);
            assert_sum(script);
            fl_script_free(script);
        }
    }
}

TEST(party_sums_are_exact_among_chosen_neighbours)
{
    fl_script *script = fl_script_new(130);
    static const fl_step steps[] = {FL_STEP_CHOICE, FL_STEP_SHARES,
                                    FL_STEP_MASKED, FL_STEP_CONFIRM,
                                    FL_STEP_UNMASK};
    for (size_t i = 0; i < 5; i++) {
        script->clients[25 * i].leaves_at = steps[i];
        script->clients[25 * i + 1].leaves_at = steps[i];
    }
    fl_script_run(script, 0);
    assert_sum(script);
    fl_script_free(script);
}

TEST(party_tells_its_owner_about_the_session)
{
    fl_script *script = fl_script_new(3);
    fl_script_run(script, FL_STEP_ROSTER);
    const fl_party *party = script->clients[1].party;
    assert_memory_equal(fl_party_session(party), &script->session,
                        sizeof script->session);
    assert_int_equal(fl_party_get_state(party), FL_PARTY_OPEN);
    fl_script_free(script);
}

/* ---- neighbours ---- */

TEST(party_chooses_every_other_slot_as_often)
{
    enum { N = 130, ROUNDS = 4 };
    uint32_t times[N] = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        fl_script *script = fl_script_new(N);
        for (uint32_t slot = 0; slot < N; slot++) {
            fl_random_init(&script->clients[slot].random, round + 10,
                           FL_RANDOM_TEST, slot);
        }
        fl_script_run(script, FL_STEP_NEIGHBOURS);
        for (uint32_t slot = 0; slot < N; slot++) {
            const uint8_t *choice = script->clients[slot].choice;
            assert_int_equal(fl_bitmap_count(choice, N), 80);
            assert_false(fl_bitmap_has(choice, slot));
            for (uint32_t v = 0; v < N; v++) {
                times[v] += fl_bitmap_has(choice, v);
            }
        }
        fl_script_free(script);
    }
    // Binomial: 129 * 4 draws of 80 / 129, mean 320, deviation 11.
    for (uint32_t v = 0; v < N; v++) {
        assert_in_range(times[v], 320 - 60, 320 + 60);
    }
}

/* ---- shares ---- */

TEST(party_goes_on_without_a_share_that_does_not_open)
{
    fl_script *script = fl_script_new(8);  // t is 6
    fl_script_run(script, FL_STEP_INBOX);
    // Clients 3 and 4 seal nonsense for 0; the sum needs only t of 8.
    script->clients[3].shares[16 * 8] ^= 1;
    script->clients[4].shares[16 * 8 + 79] ^= 1;
    for (uint32_t slot = 0; slot < 8; slot++) {
        const size_t len = fl_script_message(script, FL_STEP_INBOX, slot);
        assert_ok(fl_script_send(script, FL_STEP_INBOX, slot, len));
    }
    for (fl_step step = FL_STEP_SURVIVORS; step <= FL_STEP_CONFIRMATIONS;
         step += 2) {
        for (uint32_t slot = 0; slot < 8; slot++) {
            const size_t len = fl_script_message(script, step, slot);
            assert_ok(fl_script_send(script, step, slot, len));
        }
    }
    assert_int_equal(fl_party_bad_shares(script->clients[0].party), 2);
    assert_int_equal(fl_party_bad_shares(script->clients[1].party), 0);
    assert_int_equal(script->clients[0].unmask_len, 2 + 6 * 34);
    assert_int_equal(script->clients[1].unmask_len, 2 + 8 * 34);
    assert_sum(script);
    fl_script_free(script);
}

TEST(party_gives_one_half_of_each_share)
{
    fl_script *script = fl_script_new(8);
    script->clients[2].leaves_at = FL_STEP_SHARES;
    script->clients[5].leaves_at = FL_STEP_MASKED;
    fl_script_run(script, 0);
    fl_reader in = fl_reader_over(script->clients[0].unmask,
                                  script->clients[0].unmask_len);
    static const uint16_t slots[] = {0, 1, 3, 4, 5, 6, 7};  // 2 dealt none
    assert_int_equal(fl_reader_u16(&in), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(fl_reader_u16(&in), slots[i]);
        assert_non_null(fl_reader_bytes(&in, FL_HALF_BYTES));
    }
    assert_ok(fl_reader_finish(&in));
    fl_script_free(script);
}

/* ---- the example of docs/format.md ---- */

enum { EXAMPLE = 3 };

typedef struct {
    uint8_t slot, draws;
} example_source;

/* b || s, then c, then the coefficients of x and of x^2. */
static void draw_example(void *self, void *dst, size_t len)
{
    example_source *source = self;
    uint8_t *bytes = dst;
    if (source->draws == 0) {
        assert_int_equal(len, 64);
        memset(bytes, 0x30 + source->slot, 32);
        memset(bytes + 32, 0x20 + source->slot, 32);
    } else if (source->draws == 1) {
        assert_int_equal(len, 32);
        memset(bytes, 0x10 + source->slot, 32);
    } else {
        assert_int_equal(len, 128);
        memset(bytes, 0x40, 64);
        memset(bytes + 64, 0x41, 64);
    }
    source->draws++;
}

static struct {
    fl_identity identities[EXAMPLE];
    fl_device devices[EXAMPLE];
    fl_enrolment enrolment;
    example_source sources[EXAMPLE];
    fl_party *parties[EXAMPLE];
    const uint8_t *bytes;  // the last answer
    size_t len;
} example;

static void copy_documented(const char *name, void *dst, size_t len)
{
    size_t expected_len;
    uint8_t *expected = fl_vector_read(&expected_len, "docs/format.md", name);
    if (!expected) fail_msg("no hex block %s", name);
    assert_int_equal(len, expected_len);
    memcpy(dst, expected, len);
    free(expected);
}

static void assert_documented(const char *name, const void *bytes, size_t len)
{
    uint8_t expected[512];
    copy_documented(name, expected, len);
    assert_memory_equal(bytes, expected, len);
}

static void make_example(void)
{
    static const uint8_t seeds[EXAMPLE] = {1, 4, 3};
    uint8_t invite[FL_INVITE_BYTES], seed[FL_SEED_BYTES];
    fl_session session;
    copy_documented("session_invite", invite, sizeof invite);
    assert_ok(fl_session_decode(&session, invite, sizeof invite));
    example.enrolment =
        (fl_enrolment){.device_count = EXAMPLE, .devices = example.devices};
    memcpy(example.enrolment.hash, session.enrolment, FL_HASH_BYTES);
    for (uint8_t i = 0; i < EXAMPLE; i++) {
        memset(seed, seeds[i], sizeof seed);
        fl_identity_init(&example.identities[i], seed);
        memcpy(example.devices[i].identity, example.identities[i].public_key,
               FL_KEY_BYTES);
        example.sources[i] = (example_source){i, 0};
        fl_party_options options = {
            .identity = &example.identities[i],
            .enrolment = &example.enrolment,
            .round = session.round,
            .word_count = session.word_count,
            .client_min = 2,
            .random_bytes = draw_example,
            .random_self = &example.sources[i],
        };
        memcpy(options.federation, session.federation, FL_KEY_BYTES);
        memcpy(options.model, session.model, FL_HASH_BYTES);
        memcpy(options.task, session.task, FL_HASH_BYTES);
        assert_ok(fl_party_new(&example.parties[i], &options));
    }
}

static void tell(uint32_t slot, fl_step step, const uint8_t *src, size_t len)
{
    fl_step answer;
    assert_ok(fl_party_step(example.parties[slot], step, src, len, &answer,
                            &example.bytes, &example.len));
}

TEST(party_says_what_is_documented)
{
    uint8_t invite[FL_INVITE_BYTES],
        roster[12 + EXAMPLE * FL_ENTRY_BYTES] = {EXAMPLE};
    uint8_t inbox[EXAMPLE][1 + 2 * FL_SEALED_SHARE_BYTES];
    make_example();
    copy_documented("session_invite", invite, sizeof invite);
    for (uint32_t i = 0; i < EXAMPLE; i++) {
        tell(i, FL_STEP_INVITE, invite, sizeof invite);
        uint8_t *entry = roster + 12 + (size_t)i * FL_ENTRY_BYTES;
        fl_bytes_put_u32(entry, i);
        memcpy(entry + 4, example.bytes, FL_ADVERTISE_BYTES);
    }
    assert_documented("session_advertise", roster + 16, FL_ADVERTISE_BYTES);

    roster[10] = 3;  // t
    for (uint32_t i = 0; i < EXAMPLE; i++) {
        roster[4] = (uint8_t)i;
        tell(i, FL_STEP_ROSTER, roster, sizeof roster);
        const uint8_t *sealed = example.bytes + 16 * EXAMPLE;
        if (i == 0) {
            assert_documented("session_share_hash", example.bytes + 16, 8);
            assert_documented("session_sealed_share", sealed, 80);
        }
        if (i > 0) memcpy(inbox[0] + 1 + (i - 1) * 80, sealed, 80);
    }
    inbox[0][0] = 7;
    tell(0, FL_STEP_INBOX, inbox[0], sizeof inbox[0]);
    assert_int_equal(fl_party_bad_shares(example.parties[0]), 0);

    uint64_t words[2] = {1, UINT64_MAX};
    uint8_t masked[16];
    assert_ok(fl_party_mask(example.parties[0], words, 2));
    fl_addend_encode(masked, words, 2);
    assert_documented("session_masked", masked, sizeof masked);

    const uint8_t survivors = 7;
    tell(0, FL_STEP_SURVIVORS, &survivors, 1);
    assert_documented("session_confirm", example.bytes, FL_SIGNATURE_BYTES);
    for (uint32_t i = 0; i < EXAMPLE; i++) {
        fl_party_free(example.parties[i]);
    }
}

/* ---- what is left ---- */

static void assert_masks_nothing(fl_script_client *client, size_t word_count,
                                 fl_err err)
{
    uint64_t words[FL_SCRIPT_WORDS + 1] = {1, 2, 3};
    uint64_t before[FL_SCRIPT_WORDS + 1];
    memcpy(before, words, sizeof before);
    assert_err(fl_party_mask(client->party, words, word_count), err);
    assert_memory_equal(words, before, sizeof before);
    assert_int_equal(fl_party_get_state(client->party), FL_PARTY_OPEN);
}

TEST(party_masks_once)
{
    fl_script *script = fl_script_new(3);
    fl_script_client *client = &script->clients[0];
    fl_script_run(script, FL_STEP_INBOX);
    assert_masks_nothing(client, FL_SCRIPT_WORDS, FL_ERR_STATE);
    const size_t len = fl_script_message(script, FL_STEP_INBOX, 0);
    assert_ok(fl_script_send(script, FL_STEP_INBOX, 0, len));  // masks
    assert_masks_nothing(client, FL_SCRIPT_WORDS, FL_ERR_STATE);
    fl_script_free(script);
}

TEST(party_masks_as_many_words_as_the_session_has)
{
    fl_script *script = fl_script_new(3);
    fl_script_client *client = &script->clients[0];
    fl_script_run(script, FL_STEP_INBOX);
    client->leaves_at = FL_STEP_MASKED;  // the script does not mask for it
    const size_t len = fl_script_message(script, FL_STEP_INBOX, 0);
    assert_ok(fl_script_send(script, FL_STEP_INBOX, 0, len));
    assert_masks_nothing(client, FL_SCRIPT_WORDS - 1, FL_ERR_RANGE);
    assert_masks_nothing(client, FL_SCRIPT_WORDS + 1, FL_ERR_RANGE);
    assert_masks_nothing(client, 0, FL_ERR_RANGE);
    assert_ok(fl_party_mask(client->party, client->words, FL_SCRIPT_WORDS));
    fl_script_free(script);
}

static size_t count_in_block(const uint8_t *block, size_t len,
                             const uint8_t turned[16])
{
    size_t found = 0;
    const uint8_t *at = block, *end = block + len;
    while ((at = memchr(at, turned[0] ^ 0xff, (size_t)(end - at)))) {
        size_t same = 0;
        while (same < 16 && at + same < end &&
               (at[same] ^ turned[same]) == 0xff) {
            same++;
        }
        found += same == 16;
        at++;
    }
    return found;
}

/*
 * How often a pattern is in what this process can write to. It is given with
 * all bits turned, so that the question is not one of the answers.
 */
static size_t count_in_memory(const uint8_t turned[16])
{
    enum { BLOCK = 1 << 16, REGION_MAX = 1 << 28 };
    static uint8_t block[BLOCK + 16];
    FILE *maps = fopen("/proc/self/maps", "r");
    FILE *memory = fopen("/proc/self/mem", "rb");
    assert_non_null(maps);
    assert_non_null(memory);
    setvbuf(memory, NULL, _IONBF, 0);
    char line[512], access[8];
    unsigned long first, end;
    size_t found = 0;
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &first, &end, access) != 3) continue;
        if (access[1] != 'w' || end - first > REGION_MAX) continue;
        for (unsigned long at = first; at < end; at += BLOCK) {
            const unsigned long left = end - at;
            if ((const uint8_t *)at <= block + BLOCK &&
                block <= (const uint8_t *)(at + BLOCK)) {
                continue;  // what is read into
            }
            if (fseek(memory, (long)at, SEEK_SET)) continue;
            const size_t len = fread(
                block, 1, left < sizeof block ? left : sizeof block, memory);
            found += count_in_block(block, len, turned);
            memset(block, 0, sizeof block);
        }
    }
    fclose(memory);
    fclose(maps);
    return found;
}

/* The middles of client 0's b, s and c, with all bits turned. */
static void know_secrets(const fl_script *script, uint8_t turned[3][16])
{
    fl_random random;
    uint8_t bytes[96];
    fl_random_init(&random, 2, FL_RANDOM_TEST, 0);
    script->clients[0].options.random_bytes(&random, bytes, sizeof bytes);
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 16; j++) {
            turned[i][j] = (uint8_t)~bytes[32 * i + 8 + j];
        }
    }
    fl_secret_wipe(bytes, sizeof bytes);
}

static void assert_in_memory(uint8_t turned[3][16], bool is_there)
{
    for (size_t i = 0; i < 3; i++) {
        const size_t count = count_in_memory(turned[i]);
        if (is_there) assert_true(count >= 1);
        if (!is_there) assert_int_equal(count, 0);
    }
}

TEST(party_leaves_no_secrets_when_it_is_aborted)
{
    static const fl_step steps[] = {FL_STEP_ROSTER, FL_STEP_INBOX};
    uint8_t turned[3][16];
    for (size_t i = 0; i < 2; i++) {
        fl_script *script = fl_script_new(5);
        fl_script_run(script, steps[i]);
        know_secrets(script, turned);
        assert_in_memory(turned, true);
        script->message[0] = 0;
        assert_int_not_equal(fl_script_send(script, steps[i], 0, 1), FL_OK);
        assert_in_memory(turned, false);
        fl_script_free(script);
    }
}

TEST(party_leaves_no_secrets_when_its_owner_ends_it)
{
    uint8_t turned[3][16];
    fl_script *script = fl_script_new(5);
    fl_script_run(script, FL_STEP_INBOX);
    know_secrets(script, turned);
    assert_in_memory(turned, true);
    fl_party_abort(script->clients[0].party, FL_FAULT_STALLED);
    assert_in_memory(turned, false);
    assert_int_equal(fl_party_fault(script->clients[0].party),
                     FL_FAULT_STALLED);
    fl_party_abort(script->clients[0].party, FL_FAULT_BURNED);
    assert_int_equal(fl_party_fault(script->clients[0].party),
                     FL_FAULT_STALLED);
    fl_script_free(script);
}

TEST(party_leaves_no_seeds_once_it_has_masked)
{
    uint8_t turned[3][16];
    fl_script *script = fl_script_new(5);
    fl_script_run(script, FL_STEP_SURVIVORS);
    know_secrets(script, turned);
    assert_in_memory(turned, false);
    fl_script_free(script);
}

int main(void)
{
    if (fl_secure_start()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(party_sums_are_exact_in_the_complete_graph),
        cmocka_unit_test(
            party_sums_are_exact_when_clients_drop_out_at_every_step),
        cmocka_unit_test(party_sums_are_exact_among_chosen_neighbours),
        cmocka_unit_test(party_tells_its_owner_about_the_session),
        cmocka_unit_test(party_chooses_every_other_slot_as_often),
        cmocka_unit_test(party_goes_on_without_a_share_that_does_not_open),
        cmocka_unit_test(party_gives_one_half_of_each_share),
        cmocka_unit_test(party_says_what_is_documented),
        cmocka_unit_test(party_masks_once),
        cmocka_unit_test(party_masks_as_many_words_as_the_session_has),
        cmocka_unit_test(party_leaves_no_secrets_when_it_is_aborted),
        cmocka_unit_test(party_leaves_no_secrets_when_its_owner_ends_it),
        cmocka_unit_test(party_leaves_no_seeds_once_it_has_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
