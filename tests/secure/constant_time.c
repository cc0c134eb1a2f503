/*
 * Everything that touches secrets, run with the secrets marked as undefined:
 * valgrind's memcheck then reports each branch and each address that depends
 * on one (after Langley's ctgrind, 2010).
 *
 *   valgrind -q build/release/tests/secure/constant_time          # all
 *   valgrind -q build/release/tests/secure/constant_time planted  # must fail
 *
 * What a function is meant to tell (a key is weak, two strings are equal) is
 * looked at by nobody here, or once by the function itself. Lengths, counts and
 * the x of shares are public.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "compress/update/digits.h"
#include "secure/key_file.h"
#include "secure/noise.h"
#include "secure/secure.h"
#include "secure/session/party_state.h"
#include "secure/session/transcript.h"
#include "secure/shamir.h"
#include "tests/support/script.h"

/* ---- secrets ---- */

static void hide(void *secret, size_t len)
{
    VALGRIND_MAKE_MEM_UNDEFINED(secret, len);
}

static void draw(void *secret, size_t len)
{
    fl_secret_random(secret, len);
    hide(secret, len);
}

static void must(fl_err err)
{
    if (err) abort();
}

// Where results go that nobody looks at.
static volatile int unseen;

/* ---- what must be found, so that silence means something ---- */

static void planted_branch(void)
{
    uint8_t secret;
    draw(&secret, sizeof secret);
    if (secret & 1) unseen = 1;
}

static void planted_table(void)
{
    static const volatile uint8_t table[256] = {1, 2, 3};
    uint8_t secret;
    draw(&secret, sizeof secret);
    unseen = table[secret];
}

/* ---- sharing ---- */

enum { SHARES = 12, THRESHOLD = 9 };

static void shamir_deal(void)
{
    uint8_t shares[SHARES][FL_SHARE_BYTES], secret[FL_SHARE_BYTES];
    uint8_t coefficients[(THRESHOLD - 1) * FL_SHARE_BYTES];
    draw(secret, sizeof secret);
    draw(coefficients, sizeof coefficients);
    fl_shamir_deal(shares, SHARES, THRESHOLD, secret, coefficients);
}

static void shamir_join(void)
{
    uint8_t shares[THRESHOLD][FL_SHARE_BYTES], secret[FL_SHARE_BYTES];
    const uint8_t *some[THRESHOLD];
    const uint8_t x[THRESHOLD] = {3, 1, 255, 128, 77, 2, 100, 4, 5};
    draw(shares, sizeof shares);
    for (unsigned i = 0; i < THRESHOLD; i++)
        some[i] = shares[i];
    unseen = fl_shamir_join(secret, FL_SHARE_BYTES, some, x, THRESHOLD);
    unseen = fl_shamir_join(secret, FL_HALF_BYTES, some, x, THRESHOLD);
}

/* ---- keys and what follows from them ---- */

static fl_transcript some_transcript(void)
{
    fl_transcript transcript;
    memset(&transcript, 7, sizeof transcript);
    return transcript;
}

static void transcript_public(void)
{
    uint8_t secret[32], public_key[FL_KEY_BYTES];
    draw(secret, sizeof secret);
    fl_transcript_public(public_key, secret);
}

static void transcript_agree(void)
{
    uint8_t secret[32], shared[32], peer[FL_KEY_BYTES] = {9};
    draw(secret, sizeof secret);
    unseen = fl_transcript_agree(shared, secret, peer);
}

static void transcript_commitment(void)
{
    uint8_t b[FL_SEED_BYTES], dst[FL_HASH_BYTES], ctx[FL_HASH_BYTES] = {1};
    draw(b, sizeof b);
    fl_transcript_commitment(dst, ctx, b);
}

static void transcript_mask_keys(void)
{
    const fl_transcript transcript = some_transcript();
    const uint8_t a_key[FL_KEY_BYTES] = {1}, b_key[FL_KEY_BYTES] = {2};
    uint8_t key[32], secret[32];
    draw(secret, sizeof secret);
    fl_transcript_self_mask(key, &transcript, 3, secret);
    fl_transcript_pair_mask(key, &transcript, 3, a_key, 4, b_key, secret);
    fl_transcript_pair_mask(key, &transcript, 4, b_key, 3, a_key, secret);
}

static void transcript_shares(void)
{
    const fl_transcript transcript = some_transcript();
    const uint8_t from[FL_KEY_BYTES] = {1}, to[FL_KEY_BYTES] = {2};
    const fl_share_route route = {3, 4, from, to};
    uint8_t shared[32], share[FL_SHARE_BYTES], hash[FL_SHARE_HASH_BYTES];
    uint8_t sealed[FL_SEALED_SHARE_BYTES];
    draw(shared, sizeof shared);
    draw(share, sizeof share);
    for (unsigned half = 0; half < 2; half++)
        fl_transcript_share_hash(hash, &transcript, 3, 1, half,
                                 share + half * FL_HALF_BYTES);
    fl_transcript_share_seal(sealed, &transcript, &route, shared, share);
}

static void identity(void)
{
    fl_identity me;
    uint8_t seed[FL_SEED_BYTES], signature[FL_SIGNATURE_BYTES];
    draw(seed, sizeof seed);
    fl_identity_init(&me, seed);
    fl_identity_sign(signature, &me, "label", "bytes", 5);
    fl_identity_fini(&me);
}

static void noise(void)
{
    fl_noise symmetric;
    uint8_t secret[32], first[32], second[32], bytes[64 + FL_NOISE_TAG_BYTES];
    fl_noise_init(&symmetric, "a name");
    draw(secret, sizeof secret);
    draw(bytes, sizeof bytes);
    fl_noise_mix_key(&symmetric, secret);
    fl_noise_seal_and_hash(&symmetric, bytes, 64);
    fl_noise_split(&symmetric, first, second);
    fl_noise_rekey(first);
    fl_noise_seal(first, 1, "head", 4, bytes, 64);
}

/* ---- vectors ---- */

static void mask_add(void)
{
    uint8_t key[FL_MASK_KEY_BYTES];
    uint64_t words[300];
    draw(words, sizeof words);
    draw(key, sizeof key);
    // Whole groups of every kernel, and the ends of vectors.
    for (size_t count = 0; count <= 300; count += 37) {
        fl_mask_add(words, count, key, false);
        fl_mask_add(words, count, key, true);
    }
    fl_mask_add_from(words, 100, 8, key, false);
}

static void digits_pack(void)
{
    enum { COUNT = 100, PER_WORD = 12 };
    int64_t values[COUNT];
    uint64_t words[COUNT];
    draw(values, sizeof values);
    fl_digits_writer out =
        fl_digits_writer_over(words, fl_digits_radix(PER_WORD), PER_WORD);
    for (size_t i = 0; i < COUNT; i++) {
        fl_digits_put(&out, values[i]);
    }
    fl_digits_writer_finish(&out);
}

/* ---- a client's side of a whole session ---- */

enum {
    CLIENTS = 4,
    // Whether a key is weak, two of each peer; whether a share opens, told by
    // libsodium and looked at by us.
    SESSION_TOLD = (CLIENTS - 1) * (2 + 2),
};

static void draw_for_party(void *self, void *dst, size_t len)
{
    (void)self;
    draw(dst, len);
}

static void show(const void *bytes, size_t len)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, len);
}

static void mask_words(fl_script *script, fl_script_client *client)
{
    hide(client->words, sizeof client->words);
    must(fl_party_mask(client->party, client->words, FL_SCRIPT_WORDS));
    fl_bitmap_add(script->survivors, 0);
}

// What the client in slot 0 says, which is public then.
static void keep(fl_script *script, fl_step answer, const uint8_t *bytes,
                 size_t len)
{
    fl_script_client *client = &script->clients[0];
    show(bytes, len);
    if (answer == FL_STEP_ADVERTISE) {
        show(client->party->entry, FL_ENTRY_BYTES);  // its copy, to compare
        memcpy(client->entry, client->party->entry, FL_ENTRY_BYTES);
    } else if (answer == FL_STEP_SHARES) {
        client->shares = malloc(len);
        if (!client->shares) abort();
        memcpy(client->shares, bytes, len);
        fl_bitmap_add(script->senders, 0);
    } else if (answer == FL_STEP_MASKED) {
        mask_words(script, client);
    } else if (answer == FL_STEP_CONFIRM) {
        memcpy(client->confirm, bytes, len);
    }
}

static void take(fl_script *script, fl_step step, uint32_t slot)
{
    const size_t message_len = fl_script_message(script, step, slot);
    if (slot > 0) {
        must(fl_script_send(script, step, slot, message_len));
        return;
    }
    fl_step answer;
    const uint8_t *bytes;
    size_t len;
    must(fl_party_step(script->clients[0].party, step, script->message,
                       message_len, &answer, &bytes, &len));
    keep(script, answer, bytes, len);
}

// The secrets of the client in slot 0 are hidden; one of the others drops out
// before it sends its vector.
static void session(void)
{
    static const fl_step steps[] = {FL_STEP_INVITE, FL_STEP_ROSTER,
                                    FL_STEP_INBOX, FL_STEP_SURVIVORS,
                                    FL_STEP_CONFIRMATIONS};
    fl_script *script = fl_script_new(CLIENTS);
    script->clients[CLIENTS - 1].leaves_at = FL_STEP_MASKED;
    script->clients[0].party->options.random_bytes = draw_for_party;
    fl_identity *identity = &script->identities[1];
    hide(identity->secret_key, sizeof identity->secret_key);
    hide(identity->channel_secret, sizeof identity->channel_secret);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const uint32_t there = i < 3 ? CLIENTS : CLIENTS - 1;
        for (uint32_t slot = 0; slot < there; slot++)
            take(script, steps[i], slot);
    }
    fl_script_free(script);
}

/* ---- the rest ---- */

static void key_file_encode(void)
{
    char text[FL_KEY_FILE_BYTES];
    uint8_t seed[FL_SEED_BYTES];
    draw(seed, sizeof seed);
    fl_key_file_encode(text, seed);
}

static void secret_equal(void)
{
    uint8_t a[32], b[32];
    draw(a, sizeof a);
    draw(b, sizeof b);
    unseen = fl_secret_equal(a, b, sizeof a);
}

/* ---- the program ---- */

typedef struct {
    const char *name;
    void (*run)(void);
    unsigned told;  // branches on what it is meant to tell
} check;

static const check CHECKS[] = {
    {"shamir deal", shamir_deal, 0},
    {"shamir join", shamir_join, 0},
    {"X25519 public key", transcript_public, 0},
    {"X25519 agreement", transcript_agree, 0},
    {"commitment", transcript_commitment, 0},
    {"mask keys", transcript_mask_keys, 0},
    {"shares", transcript_shares, 0},
    {"identity", identity, 0},
    {"noise", noise, 0},
    {"mask", mask_add, 0},
    {"digits", digits_pack, 0},
    {"session", session, SESSION_TOLD},
    {"key file", key_file_encode, 0},
    {"secret equal", secret_equal, 0},
};

static const check PLANTED[] = {
    {"planted branch", planted_branch, 0},
    {"planted table", planted_table, 0},
};

// How many of the checks depend on a secret. Each is named before what valgrind
// has to say about it.
static int count_leaks(const check *checks, size_t count)
{
    int leaks = 0;
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s, %u expected\n", checks[i].name, checks[i].told);
        const unsigned before = VALGRIND_COUNT_ERRORS;
        checks[i].run();
        if (VALGRIND_COUNT_ERRORS - before > checks[i].told) leaks++;
    }
    fprintf(stderr, "%d of %zu depend on a secret\n", leaks, count);
    return leaks;
}

int main(int argc, char **argv)
{
    if (!RUNNING_ON_VALGRIND || fl_secure_start()) {
        fprintf(stderr, "run this under valgrind\n");
        return 100;
    }
    if (argc == 2 && strcmp(argv[1], "planted") == 0)
        return count_leaks(PLANTED, sizeof PLANTED / sizeof *PLANTED);
    return count_leaks(CHECKS, sizeof CHECKS / sizeof *CHECKS);
}
