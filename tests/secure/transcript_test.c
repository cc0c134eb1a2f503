/*
 * The numbers of the example in docs/format.md, and what must change them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "secure/addend.h"
#include "secure/session/transcript.h"
#include "secure/shamir.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { CLIENTS = 3 };

static struct {
    fl_identity identity;
    uint8_t c[32], s[32], b[FL_SEED_BYTES];
    uint8_t entry[FL_ENTRY_BYTES];  // device, advertise
    fl_advertise advertise;
} clients[CLIENTS];

static fl_transcript session;
static uint8_t root[FL_NODE_BYTES];

/* ---- the example ---- */

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

static void make_advertise(size_t i)
{
    uint8_t *bytes = clients[i].entry + 4;
    fl_transcript_public(bytes, clients[i].c);
    fl_transcript_public(bytes + 32, clients[i].s);
    fl_transcript_commitment(bytes + 64, session.ctx, clients[i].b);
    fl_advertise_sign(bytes, &clients[i].identity, session.ctx);
    clients[i].advertise = fl_advertise_at(bytes);
}

static int make_example(void **state)
{
    (void)state;
    if (fl_secure_start()) return -1;
    static const uint8_t identities[CLIENTS] = {1, 4, 3};
    uint8_t invite[FL_INVITE_BYTES], leaves[CLIENTS][FL_NODE_BYTES];
    copy_documented("session_invite", invite, sizeof invite);
    fl_transcript_context(session.ctx, invite);
    for (size_t i = 0; i < CLIENTS; i++) {
        uint8_t seed[FL_SEED_BYTES];
        memset(seed, identities[i], sizeof seed);
        fl_identity_init(&clients[i].identity, seed);
        memset(clients[i].c, (int)(0x10 + i), 32);
        memset(clients[i].s, (int)(0x20 + i), 32);
        memset(clients[i].b, (int)(0x30 + i), 32);
        clients[i].entry[0] = (uint8_t)i;
        make_advertise(i);
        fl_roster_leaf(leaves[i], (uint32_t)i, clients[i].entry);
    }
    fl_roster_root(root, leaves, CLIENTS);
    fl_transcript_roster(session.rho, session.ctx, CLIENTS, root);
    const uint8_t senders = 7;
    fl_transcript_senders(&session, &senders, sizeof senders);
    return 0;
}

TEST(transcript_is_as_documented)
{
    assert_documented("session_ctx", session.ctx, FL_HASH_BYTES);
    assert_documented("session_advertise", clients[0].entry + 4,
                      FL_ADVERTISE_BYTES);
    assert_documented("session_rho", session.rho, FL_HASH_BYTES);
    assert_documented("session_sigma", session.sigma, FL_HASH_BYTES);
}

TEST(transcript_masks_are_as_documented)
{
    uint8_t key[32], shared[32];
    fl_transcript_self_mask(key, &session, 0, clients[0].b);
    assert_documented("session_self_mask", key, sizeof key);

    uint64_t words[2] = {0};
    uint8_t stream[16];
    fl_mask_add(words, 2, key, false);
    fl_addend_encode(stream, words, 2);
    assert_documented("session_stream", stream, sizeof stream);

    assert_ok(fl_transcript_agree(shared, clients[0].s,
                                  clients[1].advertise.mask_key));
    fl_transcript_pair_mask(key, &session, 0, clients[0].advertise.mask_key, 1,
                            clients[1].advertise.mask_key, shared);
    assert_documented("session_pair_mask", key, sizeof key);
}

TEST(transcript_gives_both_of_a_pair_the_same_mask)
{
    uint8_t shared[32], key[32], other[32];
    assert_ok(fl_transcript_agree(shared, clients[1].s,
                                  clients[2].advertise.mask_key));
    fl_transcript_pair_mask(key, &session, 1, clients[1].advertise.mask_key, 2,
                            clients[2].advertise.mask_key, shared);
    assert_ok(fl_transcript_agree(shared, clients[2].s,
                                  clients[1].advertise.mask_key));
    fl_transcript_pair_mask(other, &session, 2, clients[2].advertise.mask_key,
                            1, clients[1].advertise.mask_key, shared);
    assert_memory_equal(key, other, sizeof key);
}

TEST(transcript_refuses_a_weak_key)
{
    uint8_t shared[32];
    const uint8_t zero[FL_KEY_BYTES] = {0}, one[FL_KEY_BYTES] = {1};
    assert_err(fl_transcript_agree(shared, clients[0].c, zero), FL_ERR_AUTH);
    assert_err(fl_transcript_agree(shared, clients[0].c, one), FL_ERR_AUTH);
}

/* RFC 7748, section 6.1. */
TEST(transcript_agrees_as_rfc_7748_does)
{
    uint8_t alice[32], bob[32], expected[32], key[32], shared[32];
    assert_ok(fl_hex_decode(
        alice, 32,
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
    assert_ok(fl_hex_decode(
        bob, 32,
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
    assert_ok(fl_hex_decode(
        expected, 32,
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    fl_transcript_public(key, alice);
    assert_memory_equal(key, expected, 32);
    assert_ok(fl_hex_decode(
        expected, 32,
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
    assert_ok(fl_transcript_agree(shared, bob, key));
    assert_memory_equal(shared, expected, 32);
}

/* ---- signatures ---- */

TEST(advertise_is_valid_only_as_it_was_signed)
{
    uint8_t bytes[FL_ADVERTISE_BYTES], ctx[FL_HASH_BYTES];
    const uint8_t *key = clients[0].identity.public_key;
    memcpy(bytes, clients[0].entry + 4, sizeof bytes);
    assert_ok(fl_advertise_check(bytes, key, session.ctx));
    assert_err(
        fl_advertise_check(bytes, clients[1].identity.public_key, session.ctx),
        FL_ERR_AUTH);
    memcpy(ctx, session.ctx, sizeof ctx);
    ctx[31] ^= 1;
    assert_err(fl_advertise_check(bytes, key, ctx), FL_ERR_AUTH);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 0x10;
        assert_err(fl_advertise_check(bytes, key, session.ctx), FL_ERR_AUTH);
        bytes[i] ^= 0x10;
    }
}

TEST(transcript_shares_are_signed_for_one_slot_and_roster)
{
    const uint8_t body[] = {1, 2, 3};
    uint8_t signature[FL_SIGNATURE_BYTES];
    const fl_identity *identity = &clients[1].identity;
    fl_transcript_shares_sign(signature, identity, &session, 1, body, 3);
    const uint8_t *key = identity->public_key;
    assert_ok(fl_transcript_shares_check(signature, key, &session, 1, body, 3));
    assert_err(fl_transcript_shares_check(signature, key, &session, 0, body, 3),
               FL_ERR_AUTH);
    assert_err(fl_transcript_shares_check(signature, key, &session, 1, body, 2),
               FL_ERR_AUTH);
    fl_transcript other = session;
    other.rho[0] ^= 1;
    assert_err(fl_transcript_shares_check(signature, key, &other, 1, body, 3),
               FL_ERR_AUTH);
}

TEST(transcript_confirm_is_as_documented)
{
    const uint8_t survivors = 7, fewer = 3;
    uint8_t signature[FL_SIGNATURE_BYTES];
    fl_transcript_confirm(signature, &clients[0].identity, &session, &survivors,
                          1);
    assert_documented("session_confirm", signature, sizeof signature);

    const uint8_t *key = clients[0].identity.public_key;
    assert_ok(
        fl_transcript_confirm_check(signature, key, &session, &survivors, 1));
    assert_err(fl_transcript_confirm_check(signature, key, &session, &fewer, 1),
               FL_ERR_AUTH);
    fl_transcript other = session;
    other.sigma[0] ^= 1;
    assert_err(
        fl_transcript_confirm_check(signature, key, &other, &survivors, 1),
        FL_ERR_AUTH);
}

/* ---- shares ---- */

static fl_share_route route_of(uint32_t from, uint32_t to)
{
    return (fl_share_route){from, to, clients[from].advertise.cipher_key,
                            clients[to].advertise.cipher_key};
}

TEST(transcript_share_is_dealt_as_documented)
{
    uint8_t secret[64], coefficients[2][64], shares[CLIENTS][FL_SHARE_BYTES];
    memcpy(secret, clients[0].b, 32);
    memcpy(secret + 32, clients[0].s, 32);
    memset(coefficients[0], 0x40, 64);
    memset(coefficients[1], 0x41, 64);
    fl_shamir_deal(shares, CLIENTS, 3, secret, coefficients[0]);
    assert_documented("session_share", shares[1], FL_SHARE_BYTES);
}

TEST(transcript_share_is_sealed_as_documented)
{
    uint8_t share[64], shared[32], sealed[FL_SEALED_SHARE_BYTES],
        hash[FL_SHARE_HASH_BYTES], opened[64];
    copy_documented("session_share", share, sizeof share);
    fl_transcript_share_hash(hash, &session, 0, 2, 0, share);
    assert_documented("session_share_hash", hash, sizeof hash);

    const fl_share_route route = route_of(0, 1);
    assert_ok(fl_transcript_agree(shared, clients[0].c, route.to_key));
    fl_transcript_share_seal(sealed, &session, &route, shared, share);
    assert_documented("session_sealed_share", sealed, sizeof sealed);

    assert_ok(fl_transcript_agree(shared, clients[1].c, route.from_key));
    assert_ok(
        fl_transcript_share_unseal(opened, &session, &route, shared, sealed));
    assert_memory_equal(opened, share, sizeof share);
}

TEST(transcript_share_opens_only_on_its_route)
{
    const uint8_t share[64] = {0};
    uint8_t shared[32], sealed[FL_SEALED_SHARE_BYTES], opened[64];
    fl_share_route route = route_of(0, 1);
    assert_ok(fl_transcript_agree(shared, clients[0].c, route.to_key));
    fl_transcript_share_seal(sealed, &session, &route, shared, share);

    route = route_of(1, 0);
    assert_err(
        fl_transcript_share_unseal(opened, &session, &route, shared, sealed),
        FL_ERR_AUTH);
    route = route_of(0, 1);
    fl_transcript other = session;
    other.rho[5] ^= 1;
    assert_err(
        fl_transcript_share_unseal(opened, &other, &route, shared, sealed),
        FL_ERR_AUTH);
    sealed[79] ^= 1;
    assert_err(
        fl_transcript_share_unseal(opened, &session, &route, shared, sealed),
        FL_ERR_AUTH);
}

TEST(transcript_share_hash_names_owner_and_holder)
{
    const uint8_t share[64] = {1};
    uint8_t hash[FL_SHARE_HASH_BYTES], other[FL_SHARE_HASH_BYTES];
    fl_transcript_share_hash(hash, &session, 0, 2, 1, share);
    fl_transcript_share_hash(other, &session, 1, 2, 1, share);
    assert_memory_not_equal(hash, other, sizeof hash);
    fl_transcript_share_hash(other, &session, 0, 3, 1, share);
    assert_memory_not_equal(hash, other, sizeof hash);
}

/* ---- the roster's tree ---- */

enum { TREE_MAX = 130, TREE_CAP = 2 * TREE_MAX + FL_PROOF_CAP };

/* Written down from the text: a node without a sibling goes up as it is. */
static void slow_root(uint8_t dst[FL_NODE_BYTES],
                      uint8_t (*leaves)[FL_NODE_BYTES], uint32_t count)
{
    if (count == 1) {
        memcpy(dst, leaves[0], FL_NODE_BYTES);
        return;
    }
    uint32_t left = 1;
    while (2 * left < count) {
        left *= 2;
    }
    uint8_t node[11 + 72] = "fedge node";
    slow_root(node + 11, leaves, left);
    slow_root(node + 11 + 36, leaves + left, count - left);
    memcpy(dst, leaves[0], 4);  // the first device below
    fl_hash(dst + 4, node, sizeof node);
}

static void make_entry(uint8_t entry[FL_ENTRY_BYTES], uint32_t slot)
{
    memset(entry, (int)slot, FL_ENTRY_BYTES);
    entry[1] = 77;
}

static void assert_tree(uint32_t count)
{
    static uint8_t tree[TREE_CAP][FL_NODE_BYTES],
        leaves[TREE_MAX][FL_NODE_BYTES];
    uint8_t entry[FL_ENTRY_BYTES], top[FL_NODE_BYTES], expected[FL_NODE_BYTES];
    for (uint32_t slot = 0; slot < count; slot++) {
        make_entry(entry, slot);
        fl_roster_leaf(tree[slot], slot, entry);
        memcpy(leaves[slot], tree[slot], FL_NODE_BYTES);
    }
    slow_root(expected, leaves, count);
    fl_roster_root(top, leaves, count);
    assert_memory_equal(top, expected, FL_NODE_BYTES);
    const size_t total = fl_roster_tree(tree, count);
    assert_true(total <= 2 * (size_t)count + FL_PROOF_CAP);
    assert_memory_equal(tree[total - 1], expected, FL_NODE_BYTES);

    for (uint32_t slot = 0; slot < count; slot++) {
        uint8_t proof[FL_PROOF_CAP][FL_NODE_BYTES];
        const size_t len = fl_roster_proof(
            proof, (const uint8_t(*)[FL_NODE_BYTES])tree, count, slot);
        assert_int_equal(len, fl_roster_proof_len(count, slot));
        make_entry(entry, slot);
        assert_true(fl_roster_climb(top, entry, count, slot, proof[0]));
        assert_memory_equal(top, expected, FL_NODE_BYTES);
        entry[100] ^= 1;
        assert_true(fl_roster_climb(top, entry, count, slot, proof[0]));
        assert_memory_not_equal(top, expected, FL_NODE_BYTES);
    }
}

TEST(roster_proofs_lead_to_the_root)
{
    for (uint32_t count = 1; count <= TREE_MAX; count++) {
        assert_tree(count);
    }
}

/* Of the slots that have this device, how many can be shown to anybody. */
static uint32_t count_shown(const uint32_t *devices, uint32_t count,
                            uint32_t device)
{
    uint8_t tree[TREE_CAP][FL_NODE_BYTES], top[FL_NODE_BYTES];
    uint8_t entry[FL_ENTRY_BYTES] = {0};
    uint32_t shown = 0;
    for (uint32_t slot = 0; slot < count; slot++) {
        fl_bytes_put_u32(entry, devices[slot]);
        fl_roster_leaf(tree[slot], slot, entry);
    }
    const size_t total = fl_roster_tree(tree, count);
    for (uint32_t slot = 0; slot < count; slot++) {
        uint8_t proof[FL_PROOF_CAP][FL_NODE_BYTES];
        if (devices[slot] != device) continue;
        (void)fl_roster_proof(proof, (const uint8_t(*)[FL_NODE_BYTES])tree,
                              count, slot);
        fl_bytes_put_u32(entry, device);
        shown += fl_roster_climb(top, entry, count, slot, proof[0]);
        assert_memory_equal(top, tree[total - 1], FL_NODE_BYTES);
    }
    return shown;
}

TEST(roster_shows_a_device_in_one_slot_at_most)
{
    for (uint32_t count = 2; count <= TREE_MAX; count++) {
        uint32_t devices[TREE_MAX];
        for (uint32_t i = 0; i < count; i++) {
            devices[i] = 3 * i;
        }
        assert_int_equal(count_shown(devices, count, 3), 1);
        // Side by side; at both ends; everywhere.
        devices[1] = devices[0];
        assert_true(count_shown(devices, count, 0) <= 1);
        devices[count - 1] = devices[0];
        assert_true(count_shown(devices, count, 0) <= 1);
        memset(devices, 0, sizeof devices);
        assert_true(count_shown(devices, count, 0) <= 1);
    }
}

TEST(roster_proofs_have_at_most_fourteen_siblings)
{
    assert_int_equal(fl_roster_proof_len(16384, 0), FL_PROOF_CAP);
    assert_int_equal(fl_roster_proof_len(16384, 16383), FL_PROOF_CAP);
    assert_int_equal(fl_roster_proof_len(16383, 16382), FL_PROOF_CAP - 1);
    assert_int_equal(fl_roster_proof_len(1, 0), 0);
    assert_int_equal(fl_roster_proof_len(129, 128), 1);
}

/* ---- bitmaps ---- */

TEST(bitmap_has_what_was_added)
{
    uint8_t bitmap[3] = {0};
    assert_int_equal(fl_bitmap_bytes(0), 0);
    assert_int_equal(fl_bitmap_bytes(8), 1);
    assert_int_equal(fl_bitmap_bytes(17), 3);
    assert_int_equal(fl_bitmap_bytes(UINT32_MAX), (size_t)1 << 29);
    fl_bitmap_add(bitmap, 0);
    fl_bitmap_add(bitmap, 9);
    fl_bitmap_add(bitmap, 16);
    fl_bitmap_add(bitmap, 16);
    assert_memory_equal(bitmap, ((uint8_t[]){1, 2, 1}), 3);
    assert_true(fl_bitmap_has(bitmap, 9));
    assert_false(fl_bitmap_has(bitmap, 8));
    assert_int_equal(fl_bitmap_count(bitmap, 17), 3);
    assert_int_equal(fl_bitmap_count(bitmap, 16), 2);
}

TEST(bitmap_is_clean_without_bits_beyond_its_count)
{
    uint8_t bitmap[2] = {0xff, 0x01};
    assert_true(fl_bitmap_is_clean(bitmap, 9));
    bitmap[1] = 0x02;
    assert_false(fl_bitmap_is_clean(bitmap, 9));
    bitmap[1] = 0xff;
    assert_true(fl_bitmap_is_clean(bitmap, 16));
    assert_false(fl_bitmap_is_clean(bitmap, 15));
    assert_true(fl_bitmap_is_clean(bitmap, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transcript_is_as_documented),
        cmocka_unit_test(transcript_masks_are_as_documented),
        cmocka_unit_test(transcript_gives_both_of_a_pair_the_same_mask),
        cmocka_unit_test(transcript_refuses_a_weak_key),
        cmocka_unit_test(transcript_agrees_as_rfc_7748_does),
        cmocka_unit_test(advertise_is_valid_only_as_it_was_signed),
        cmocka_unit_test(transcript_shares_are_signed_for_one_slot_and_roster),
        cmocka_unit_test(transcript_confirm_is_as_documented),
        cmocka_unit_test(transcript_share_is_dealt_as_documented),
        cmocka_unit_test(transcript_share_is_sealed_as_documented),
        cmocka_unit_test(transcript_share_opens_only_on_its_route),
        cmocka_unit_test(transcript_share_hash_names_owner_and_holder),
        cmocka_unit_test(roster_proofs_lead_to_the_root),
        cmocka_unit_test(roster_shows_a_device_in_one_slot_at_most),
        cmocka_unit_test(roster_proofs_have_at_most_fourteen_siblings),
        cmocka_unit_test(bitmap_has_what_was_added),
        cmocka_unit_test(bitmap_is_clean_without_bits_beyond_its_count),
    };
    return cmocka_run_group_tests(tests, make_example, NULL);
}
