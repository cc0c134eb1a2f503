/*
 * An aggregator that lies about neighbours, above 128 clients: a test for each
 * fault, named after it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/bytes.h"
#include "tests/support/script.h"
#include "tests/test.h"

enum { N = 130 };  // k is 80, t 56

/* ---- malformed, out of order ---- */

/* One byte less, one more, none at all, and far too many. */
static void assert_length_matters(fl_step step)
{
    for (int change = 0; change < 4; change++) {
        fl_script *script = fl_script_at(N, step);
        const size_t len = fl_script_message(script, step, 1);
        const size_t wrong[] = {len - 1, len + 1, 0, FL_SESSION_STEP_MAX + 1};
        script->message[len] = 0;
        fl_script_refused(script, step, wrong[change], FL_ERR_FORMAT,
                          FL_FAULT_FORMAT);
    }
}

TEST(party_refuses_malformed_lengths_among_neighbours)
{
    assert_length_matters(FL_STEP_ROSTER);
    assert_length_matters(FL_STEP_NEIGHBOURS);
}

TEST(party_refuses_malformed_numbers_among_neighbours)
{
    fl_script *script;
    size_t len;

    script = fl_script_at(N, FL_STEP_ROSTER);
    script->k = 0;  // everybody, though there are too many
    script->t = fl_session_threshold(N) * 2;
    len = fl_script_message(script, FL_STEP_ROSTER, 1);
    fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_FORMAT,
                      FL_FAULT_FORMAT);

    script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    script->message[6] = 2;  // chose
    fl_script_refused(script, FL_STEP_NEIGHBOURS, len, FL_ERR_FORMAT,
                      FL_FAULT_FORMAT);

    script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    script->message[5] = 1;  // a slot above 255
    fl_script_refused(script, FL_STEP_NEIGHBOURS, len, FL_ERR_FORMAT,
                      FL_FAULT_FORMAT);

    script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    fl_bytes_put_u32(script->message, UINT32_MAX);
    fl_script_refused(script, FL_STEP_NEIGHBOURS, len, FL_ERR_FORMAT,
                      FL_FAULT_FORMAT);
}

TEST(party_refuses_out_of_order_among_neighbours)
{
    static const fl_step steps[] = {FL_STEP_ROSTER, FL_STEP_INBOX};
    for (size_t i = 0; i < 2; i++) {
        fl_script *script = fl_script_at(N, FL_STEP_NEIGHBOURS);
        const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
        fl_script_refused(script, steps[i], len, FL_ERR_STATE, FL_FAULT_ORDER);
    }
}

/* ---- the roster ---- */

static void assert_roster_refused(fl_script *script, fl_err err, fl_fault fault)
{
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    fl_script_refused(script, FL_STEP_ROSTER, len, err, fault);
}

TEST(party_refuses_threshold_too_low_among_neighbours)
{
    static const struct {
        uint32_t k, t;
    } rows[] = {
        {80, 55}, {79, 56}, {80, 81}, {90, 62}, {130, 91}, {255, 178}, {1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
        script->k = rows[i].k;
        script->t = rows[i].t;
        assert_roster_refused(script, FL_ERR_RANGE, FL_FAULT_THRESHOLD);
    }
}

/* There is no x for more than 255 holders, and one is kept free. */
TEST(party_refuses_threshold_too_low_with_too_many_holders)
{
    for (uint32_t k = 254; k <= 255; k++) {
        fl_script *script = fl_script_at(300, FL_STEP_ROSTER);
        script->k = k;
        script->t = 178;
        if (k == 255) {
            assert_roster_refused(script, FL_ERR_RANGE, FL_FAULT_THRESHOLD);
            continue;
        }
        const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
        assert_ok(fl_script_send(script, FL_STEP_ROSTER, 1, len));
        fl_script_free(script);
    }
}

TEST(party_takes_more_neighbours_than_it_asks_for)
{
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    script->k = N - 1;  // all others
    script->t = 7 * script->k / 10;
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    assert_ok(fl_script_send(script, FL_STEP_ROSTER, 1, len));
    assert_int_equal(fl_bitmap_count(script->clients[1].choice, N), N - 1);
    fl_script_free(script);
}

TEST(party_refuses_self_altered_under_a_root)
{
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    script->clients[1].entry[4 + 33] ^= 1;
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_SELF);
    script = fl_script_at(N, FL_STEP_ROSTER);
    size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    script->message[12 + FL_NODE_BYTES + 40] ^= 1;  // its proof
    fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_AUTH, FL_FAULT_SELF);
    script = fl_script_at(N, FL_STEP_ROSTER);
    len = fl_script_message(script, FL_STEP_ROSTER, 0);
    fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_AUTH, FL_FAULT_SELF);
}

/* ---- neighbours ---- */

/* The first neighbour of slot 1 that it chose, or that chose it alone. */
static uint32_t find_neighbour(const fl_script *script, bool is_chosen)
{
    for (uint32_t v = 10; v < script->n; v++) {
        if (fl_bitmap_has(script->clients[1].choice, v) == is_chosen &&
            (is_chosen || fl_bitmap_has(script->clients[v].choice, 1))) {
            return v;
        }
    }
    fail();
    return 0;
}

static void assert_neighbours_refused(fl_script *script, fl_err err,
                                      fl_fault fault)
{
    const size_t len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    fl_script_refused(script, FL_STEP_NEIGHBOURS, len, err, fault);
}

static void remove_bit(uint8_t *bitmap, uint32_t slot)
{
    bitmap[slot / 8] &= (uint8_t) ~(1u << slot % 8);
}

TEST(party_refuses_other_neighbours)
{
    // One that it chose is missing;
    fl_script *script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    uint32_t v = find_neighbour(script, true);
    remove_bit(script->clients[1].choice, v);
    remove_bit(script->clients[v].choice, 1);
    assert_neighbours_refused(script, FL_ERR_FORMAT, FL_FAULT_NEIGHBOURS);
    // nobody chose one that is there;
    script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    v = find_neighbour(script, false);
    fl_bitmap_add(script->clients[1].choice, v);
    remove_bit(script->clients[v].choice, 1);
    assert_neighbours_refused(script, FL_ERR_FORMAT, FL_FAULT_NEIGHBOURS);
    // too few to hold those it chose;
    script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    const size_t len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    fl_bytes_put_u32(script->message, 79);
    fl_script_refused(script, FL_STEP_NEIGHBOURS, len, FL_ERR_FORMAT,
                      FL_FAULT_NEIGHBOURS);
}

TEST(party_refuses_other_neighbours_in_another_order)
{
    fl_script *script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    const size_t len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    const size_t row = 3 + FL_ENTRY_BYTES + 8 * FL_NODE_BYTES;
    // The first once more, in the second's place.
    memcpy(script->message + 4 + row, script->message + 4, row);
    fl_script_refused(script, FL_STEP_NEIGHBOURS, len, FL_ERR_FORMAT,
                      FL_FAULT_NEIGHBOURS);

    // Itself, as if it had chosen itself.
    script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    const size_t other_len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    script->message[4] = 1;
    script->message[6] = 1;
    fl_script_refused(script, FL_STEP_NEIGHBOURS, other_len, FL_ERR_FORMAT,
                      FL_FAULT_NEIGHBOURS);
}

TEST(party_refuses_bad_proof)
{
    // Of an entry that is not the one in the roster, though it is signed,
    fl_script *script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    const uint32_t v = find_neighbour(script, true);
    script->clients[v].entry[20] ^= 1;
    fl_script_sign(script, v, 2 * v + 1);
    assert_neighbours_refused(script, FL_ERR_AUTH, FL_FAULT_PROOF);
    // and of one with another sibling.
    script = fl_script_at(N, FL_STEP_NEIGHBOURS);
    const size_t len = fl_script_message(script, FL_STEP_NEIGHBOURS, 1);
    script->message[4 + 3 + FL_ENTRY_BYTES + 70] ^= 1;
    fl_script_refused(script, FL_STEP_NEIGHBOURS, len, FL_ERR_AUTH,
                      FL_FAULT_PROOF);
}

/* Rosters that are wrong from the start, so that the proofs fit. */
static void assert_rooted_refused(uint32_t device, size_t flip, fl_err err,
                                  fl_fault fault)
{
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    uint8_t *entry = script->clients[60].entry;
    if (device <= 2 * N) fl_script_sign(script, 60, device);
    fl_bytes_put_u32(entry, device);
    entry[4 + flip] ^= 1;
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    assert_ok(fl_script_send(script, FL_STEP_ROSTER, 1, len));
    // 60 is in every case one that chose slot 1.
    fl_bitmap_add(script->clients[60].choice, 1);
    assert_neighbours_refused(script, err, fault);
}

TEST(party_refuses_bad_neighbours_with_good_proofs)
{
    assert_rooted_refused(2 * N + 1, 0, FL_ERR_AUTH, FL_FAULT_UNENROLLED);
    assert_rooted_refused(121, 5, FL_ERR_AUTH, FL_FAULT_SIGNATURE);
    assert_rooted_refused(3, 0, FL_ERR_FORMAT, FL_FAULT_DUPLICATE);
    assert_rooted_refused(1, 0, FL_ERR_FORMAT, FL_FAULT_DUPLICATE);
}

/* Whether slot 1 is told about this one. */
static bool is_seen(const fl_script *script, uint32_t slot)
{
    return fl_bitmap_has(script->clients[slot].choice, 1) ||
           fl_bitmap_has(script->clients[1].choice, slot);
}

/*
 * Slot v has the device of the slot behind it, which is no neighbour: whatever
 * slot 1 is shown looks as if devices were rising.
 */
static bool try_hidden_duplicate(uint32_t v)
{
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    fl_script_sign(script, v, 2 * (v + 1) + 1);
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    assert_ok(fl_script_send(script, FL_STEP_ROSTER, 1, len));
    const bool is_hidden = is_seen(script, v) && !is_seen(script, v + 1);
    if (is_hidden) {
        assert_neighbours_refused(script, FL_ERR_FORMAT, FL_FAULT_DUPLICATE);
    } else {
        fl_script_free(script);
    }
    return is_hidden;
}

TEST(party_refuses_duplicate_devices_that_it_does_not_see)
{
    uint32_t tried = 0;
    for (uint32_t v = 64; tried < 4; v++) {
        tried += try_hidden_duplicate(v);
    }
}

TEST(party_refuses_duplicate_keys_of_neighbours)
{
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    memcpy(script->clients[60].entry + 4, script->clients[1].entry + 36, 32);
    fl_script_sign(script, 60, 121);
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    assert_ok(fl_script_send(script, FL_STEP_ROSTER, 1, len));
    fl_bitmap_add(script->clients[60].choice, 1);
    assert_neighbours_refused(script, FL_ERR_FORMAT, FL_FAULT_DUPLICATE);
}

/* ---- later ---- */

static void assert_inbox_refused(fl_script *script)
{
    const size_t len = fl_script_message(script, FL_STEP_INBOX, 1);
    fl_script_refused(script, FL_STEP_INBOX, len, FL_ERR_RANGE,
                      FL_FAULT_SENDERS);
}

static void assert_confirmations_refused(fl_script *script)
{
    const size_t len = fl_script_message(script, FL_STEP_CONFIRMATIONS, 1);
    fl_script_refused(script, FL_STEP_CONFIRMATIONS, len, FL_ERR_RANGE,
                      FL_FAULT_CONFIRMATIONS);
}

TEST(party_refuses_bad_senders_among_its_neighbours)
{
    // All others are there, but only 55 of the 80 that it chose.
    fl_script *script = fl_script_at(N, FL_STEP_INBOX);
    uint32_t gone = 0;
    for (uint32_t v = 0; gone < 25; v++) {
        if (!fl_bitmap_has(script->clients[1].choice, v)) continue;
        remove_bit(script->senders, v);
        gone++;
    }
    assert_inbox_refused(script);
}

TEST(party_refuses_too_few_confirmations_of_its_own_holders)
{
    // All have signed, but the aggregator passes on those of others.
    fl_script *script = fl_script_at(N, FL_STEP_CONFIRMATIONS);
    const uint32_t v = find_neighbour(script, false);
    fl_bitmap_add(script->clients[1].choice, v);
    assert_confirmations_refused(script);
    // Nor does its own count where it holds no share of itself.
    script = fl_script_at(N, FL_STEP_CONFIRMATIONS);
    fl_bitmap_add(script->clients[1].choice, 1);
    assert_confirmations_refused(script);
}

int main(void)
{
    if (fl_secure_start()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(party_refuses_malformed_lengths_among_neighbours),
        cmocka_unit_test(party_refuses_malformed_numbers_among_neighbours),
        cmocka_unit_test(party_refuses_out_of_order_among_neighbours),
        cmocka_unit_test(party_refuses_threshold_too_low_among_neighbours),
        cmocka_unit_test(party_refuses_threshold_too_low_with_too_many_holders),
        cmocka_unit_test(party_takes_more_neighbours_than_it_asks_for),
        cmocka_unit_test(party_refuses_self_altered_under_a_root),
        cmocka_unit_test(party_refuses_other_neighbours),
        cmocka_unit_test(party_refuses_other_neighbours_in_another_order),
        cmocka_unit_test(party_refuses_bad_proof),
        cmocka_unit_test(party_refuses_bad_neighbours_with_good_proofs),
        cmocka_unit_test(party_refuses_duplicate_devices_that_it_does_not_see),
        cmocka_unit_test(party_refuses_duplicate_keys_of_neighbours),
        cmocka_unit_test(party_refuses_bad_senders_among_its_neighbours),
        cmocka_unit_test(
            party_refuses_too_few_confirmations_of_its_own_holders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
