/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/parties.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/test.h"

enum { ROUND = 3 };

static const uint8_t model[FL_HASH_BYTES] = {1, 2, 3};
static const uint8_t task[FL_HASH_BYTES] = {4, 5, 6};

/* ---- devices ---- */

// Everything drawn in a test is a function of the test.
static void draw(void *self, void *dst, size_t len)
{
    fl_random *random = self;
    uint8_t *bytes = dst;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)fl_random_u32(random);
    }
}

static int compare_identities(const void *a, const void *b)
{
    const fl_identity *one = a, *other = b;
    return memcmp(one->public_key, other->public_key, FL_KEY_BYTES);
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    assert_non_null(memory);
    return memory;
}

static void draw_identities(fl_parties *p)
{
    uint8_t seed[FL_SEED_BYTES];
    draw(&p->random, seed, sizeof seed);
    fl_identity_init(&p->aggregator, seed);
    for (uint32_t i = 0; i < p->device_count; i++) {
        draw(&p->random, seed, sizeof seed);
        fl_identity_init(&p->identities[i], seed);
    }
    qsort(p->identities, p->device_count, sizeof *p->identities,
          compare_identities);
}

static void enrol(fl_parties *p)
{
    fl_device *devices = take(p->device_count, sizeof *devices);
    uint8_t *bytes;
    size_t len;
    for (uint32_t i = 0; i < p->device_count; i++) {
        char name[FL_ENROLMENT_NAME_CAP];
        snprintf(name, sizeof name, "board-%u", i);
        fl_device_init(&devices[i], &p->identities[i], name);
    }
    assert_ok(fl_enrolment_encode(&bytes, &len, &p->aggregator, 1, devices,
                                  p->device_count, NULL));
    assert_ok(fl_enrolment_decode(&p->enrolment, bytes, len, NULL));
    free(bytes);
    free(devices);
}

fl_parties *fl_parties_new(uint32_t device_count)
{
    assert_ok(fl_secure_start());
    fl_parties *p = take(1, sizeof *p);
    fl_random_init(&p->random, device_count, FL_RANDOM_TEST, 0);
    p->device_count = device_count;
    p->identities = take(device_count, sizeof *p->identities);
    p->guests = take(device_count, sizeof *p->guests);
    p->down = take(FL_SESSION_STEP_MAX, 1);
    draw_identities(p);
    enrol(p);
    return p;
}

static void close_session(fl_parties *p)
{
    fl_secagg_free(p->secagg);
    p->secagg = NULL;
    for (uint32_t i = 0; i < p->guest_count; i++) {
        fl_party_free(p->guests[i].party);
    }
    free(p->up);
    free(p->words);
    free(p->expected);
}

void fl_parties_free(fl_parties *p)
{
    close_session(p);
    fl_enrolment_free(p->enrolment);
    free(p->identities);
    free(p->guests);
    free(p->down);
    free(p);
}

/* ---- opening a session ---- */

static void default_to(uint32_t *value, uint32_t standard)
{
    if (*value == 0) *value = standard;
}

static void set_options(fl_parties *p, const fl_parties_options *options)
{
    fl_parties_options *o = &p->options;
    *o = *options;
    default_to(&o->stride, 1);
    default_to(&o->client_count, p->device_count);
    default_to(&o->client_min, 2);
    default_to(&o->client_cap, o->client_count);
    default_to(&o->word_count, 5);
    default_to(&o->thread_count, 1);
    p->guest_count = o->client_count;
}

static fl_session describe_session(fl_parties *p)
{
    const fl_parties_options *o = &p->options;
    fl_session session = {
        .client_min = o->client_min,
        .client_cap = o->client_cap,
        .word_count = o->word_count,
        .phase_ms = 30000,
        .round = ROUND,
        .number = ++p->number,
    };
    draw(&p->random, session.id, sizeof session.id);
    memcpy(session.model, model, sizeof model);
    memcpy(session.task, task, sizeof task);
    memcpy(session.enrolment, p->enrolment->hash, FL_HASH_BYTES);
    return session;
}

const fl_identity *fl_parties_identity(const fl_parties *p, uint32_t i)
{
    return &p->identities[p->guests[i].device];
}

static void seat(fl_parties *p, uint32_t i)
{
    fl_guest *guest = &p->guests[i];
    *guest = (fl_guest){.device = p->options.first + i * p->options.stride};
    fl_party_options options = {
        .identity = fl_parties_identity(p, i),
        .enrolment = p->enrolment,
        .round = ROUND,
        .word_count = p->options.word_count,
        .client_min = p->options.client_min,
        .number_after = p->number - 1,
        .random_bytes = draw,
        .random_self = &p->random,
    };
    memcpy(options.federation, p->aggregator.public_key, FL_KEY_BYTES);
    memcpy(options.model, model, sizeof model);
    memcpy(options.task, task, sizeof task);
    assert_ok(fl_party_new(&guest->party, &options));
}

void fl_parties_open(fl_parties *p, const fl_parties_options *options)
{
    close_session(p);
    set_options(p, options);
    const fl_session session = describe_session(p);
    uint32_t *devices = take(p->guest_count, sizeof *devices);
    for (uint32_t i = 0; i < p->guest_count; i++) {
        seat(p, i);
        devices[i] = p->guests[i].device;
    }
    assert_ok(fl_secagg_new(&p->secagg, &session, &p->aggregator, p->enrolment,
                            devices, p->guest_count, NULL));
    free(devices);

    const size_t word_count = p->options.word_count;
    p->expected = take(word_count, sizeof *p->expected);
    p->words = take(word_count, sizeof *p->words);
    p->up = take(1, FL_SESSION_STEP_MAX + word_count * sizeof *p->words);
}

/* ---- what guests say ---- */

uint64_t fl_parties_word(const fl_parties *p, uint32_t i, size_t j)
{
    return (p->number * 1000003 + i) * 0x9e3779b97f4a7c15 +
           (uint64_t)j * 0xc2b2ae3d27d4eb4f;
}

static fl_err mask(fl_parties *p, uint32_t i, size_t *len)
{
    const size_t word_count = p->options.word_count;
    for (size_t j = 0; j < word_count; j++) {
        p->words[j] = fl_parties_word(p, i, j);
    }
    FL_TRY(fl_party_mask(p->guests[i].party, p->words, word_count));
    fl_addend_encode(p->up, p->words, word_count);
    *len = word_count * sizeof *p->words;
    return FL_OK;
}

// The guest's answer to what is in p->down, into p->up.
static bool answer(fl_parties *p, uint32_t i, fl_step step, size_t down_len,
                   fl_step *said, size_t *len)
{
    fl_guest *guest = &p->guests[i];
    const uint8_t *bytes = NULL;
    const int64_t start_ns = fl_clock_thread_ns();
    guest->err =
        fl_party_step(guest->party, step, p->down, down_len, said, &bytes, len);
    guest->took_ns[step] = fl_clock_thread_ns() - start_ns;
    if (guest->err) return false;
    if (*said == FL_STEP_MASKED) {
        guest->err = mask(p, i, len);
        return guest->err == FL_OK;
    }
    memcpy(p->up, bytes, *len);
    guest->up_bytes += *len;
    guest->message_count++;
    return true;
}

static fl_err say(fl_parties *p, uint32_t i, fl_step step, size_t len,
                  fl_reason *why)
{
    const uint32_t device = p->guests[i].device;
    if (step == FL_STEP_MASKED) {
        return fl_secagg_add(p->secagg, device, p->up, len, why);
    }
    return fl_secagg_receive(p->secagg, device, step, p->up, len, why);
}

static void say_again(fl_parties *p, uint32_t i, fl_step step, size_t len)
{
    const fl_err expected = step == FL_STEP_MASKED ? FL_ERR_STALE : FL_OK;
    const uint32_t awaited = fl_secagg_awaited_count(p->secagg);
    assert_err(say(p, i, step, len, NULL), expected);
    assert_int_equal(fl_secagg_awaited_count(p->secagg), awaited);
}

/* ---- what they are told ---- */

static void compare_again(fl_parties *p, uint32_t i, fl_step step, size_t len)
{
    fl_step again;
    size_t again_len;
    uint8_t *bytes = take(len, 1);
    assert_ok(fl_secagg_message(p->secagg, p->guests[i].device, &again, bytes,
                                len, &again_len));
    assert_int_equal(again, step);
    assert_int_equal(again_len, len);
    assert_memory_equal(bytes, p->down, len);
    free(bytes);
}

static bool tell(fl_parties *p, uint32_t i, fl_step *step, size_t *len)
{
    fl_guest *guest = &p->guests[i];
    const fl_err err = fl_secagg_message(p->secagg, guest->device, step,
                                         p->down, FL_SESSION_STEP_MAX, len);
    if (err == FL_ERR_NOT_FOUND) return false;
    assert_ok(err);
    if (p->options.repeats) compare_again(p, i, *step, *len);
    guest->down_bytes += *len;
    guest->message_count++;
    return true;
}

bool fl_parties_ask(fl_parties *p, uint32_t i)
{
    fl_guest *guest = &p->guests[i];
    const fl_parties_options *o = &p->options;
    fl_step step, said;
    size_t len;
    if (guest->is_gone || guest->err || !tell(p, i, &step, &len)) return false;
    if (!answer(p, i, step, len, &said, &len)) return false;
    guest->is_gone = guest->gone_at != 0 && said >= guest->gone_at;
    if (guest->is_gone) return false;
    if (o->meddle && !o->meddle(o->meddle_self, p, i, said, p->up, &len)) {
        return false;
    }
    fl_reason why = {""};
    const fl_err err = say(p, i, said, len, &why);
    if (!err && o->repeats) say_again(p, i, said, len);
    if (!err || guest->refused) return true;
    guest->refused = err;
    guest->why = why;
    assert_true(why.text[0] != 0);
    return true;
}

/* ---- the course of a session ---- */

void fl_parties_ask_all(fl_parties *p)
{
    uint32_t *order = take(p->guest_count, sizeof *order);
    for (uint32_t i = 0; i < p->guest_count; i++) {
        order[i] = i;
    }
    fl_random_shuffle(&p->random, order, p->guest_count);
    for (uint32_t i = 0; i < p->guest_count; i++) {
        (void)fl_parties_ask(p, order[i]);
    }
    free(order);
}

fl_err fl_parties_advance(fl_parties *p)
{
    if (fl_secagg_can_unmask(p->secagg)) {
        return fl_secagg_unmask(p->secagg, p->options.thread_count, &p->why);
    }
    return fl_secagg_advance(p->secagg, &p->why);
}

static bool is_over(const fl_parties *p)
{
    return fl_secagg_get_phase(p->secagg) >= FL_SECAGG_DONE;
}

bool fl_parties_run_to(fl_parties *p, fl_secagg_phase phase)
{
    while (!is_over(p) && fl_secagg_get_phase(p->secagg) < phase) {
        fl_parties_ask_all(p);
        if (fl_parties_advance(p)) return false;
    }
    return fl_secagg_get_phase(p->secagg) == phase;
}

fl_err fl_parties_run(fl_parties *p)
{
    fl_err err = FL_OK;
    while (!err && !is_over(p)) {
        fl_parties_ask_all(p);
        err = fl_parties_advance(p);
    }
    if (err) {
        assert_int_equal(fl_secagg_get_phase(p->secagg), FL_SECAGG_ABORTED);
        assert_true(p->why.text[0] != 0);
    }
    return err;
}

bool fl_parties_survived(const fl_parties *p, uint32_t i)
{
    const uint32_t *devices;
    const uint32_t count = fl_secagg_survivors(p->secagg, &devices);
    for (uint32_t at = 0; at < count; at++) {
        if (devices[at] == p->guests[i].device) return true;
    }
    return false;
}

void fl_parties_check_sum(fl_parties *p)
{
    const size_t word_count = p->options.word_count;
    const uint64_t *sum = fl_secagg_sum(p->secagg);
    assert_non_null(sum);
    memset(p->expected, 0, word_count * sizeof *p->expected);
    for (uint32_t i = 0; i < p->guest_count; i++) {
        if (!fl_parties_survived(p, i)) continue;
        for (size_t j = 0; j < word_count; j++) {
            p->expected[j] += fl_parties_word(p, i, j);
        }
    }
    assert_memory_equal(sum, p->expected, word_count * sizeof *sum);
}
