/*
 * The C library's side of a session, moved by another program: a line in, a
 * line out (tests/secure/python/peers.py is at the other end).
 *
 *   party SEED LIST ...    a client        secagg SEED LIST ...
 *   step NUMBER BYTES                      message DEVICE
 *   mask WORD WORD ...                     receive DEVICE NUMBER BYTES
 *                                          drop DEVICE
 *                                          advance
 *   codec RECIPE NUMBERS RUN RUN ...       sum
 *   encode METRICS PLACE VALUE VALUE ...
 *   decode CLIENTS SUM SUM ...
 *
 * `codec` says of which updates the two below it are, and answers the bytes of
 * its task. Bytes are hexadecimal digits, `-` when there are none; numbers are
 * decimal. Every answer is `ok ...` or `refused WHY`. What cannot be understood
 * ends the program: the other end is a test, too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/compress.h"
#include "secure/secure.h"

_Noreturn static void give_up(const char *what)
{
    (void)fprintf(stderr, "session_peer: %s\n", what);
    exit(2);
}

static void must(fl_err err, const char *what)
{
    if (err) give_up(what);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory) give_up("out of memory");
    return memory;
}

/* ---- a line ---- */

static const char *word(void)
{
    const char *next = strtok(NULL, " \n");
    if (!next) give_up("a word is missing");
    return next;
}

static uint64_t number(void)
{
    char *end;
    const char *digits = word();
    const unsigned long long value = strtoull(digits, &end, 10);
    if (*end || end == digits) give_up("not a number");
    return value;
}

static uint32_t small(void)
{
    const uint64_t value = number();
    if (value > UINT32_MAX) give_up("a number above 2^32 - 1");
    return (uint32_t)value;
}

static double real(void)
{
    char *end;
    const char *digits = word();
    const double value = strtod(digits, &end);
    if (*end || end == digits) give_up("not a number");
    return value;
}

static void key(uint8_t dst[32])
{
    must(fl_hex_decode(dst, 32, word()), "not 64 digits");
}

/* The caller frees. */
static uint8_t *bytes(size_t *len)
{
    const char *digits = word();
    *len = strcmp(digits, "-") ? strlen(digits) / 2 : 0;
    uint8_t *dst = allocate(*len, 1);
    if (*len) must(fl_hex_decode(dst, *len, digits), "not digits");
    return dst;
}

static void print_bytes(const uint8_t *src, size_t len)
{
    if (len == 0) putchar('-');
    for (size_t i = 0; i < len; i++)
        printf("%02x", src[i]);
}

static void print_step(fl_step step, const uint8_t *src, size_t len)
{
    printf("ok %d ", (int)step);
    print_bytes(src, len);
}

/* `ok`, or why not. */
static void print_result(fl_err err, const fl_reason *why)
{
    if (!err) {
        printf("ok");
    } else {
        printf("refused %s", why->text[0] ? why->text : fl_err_text(err));
    }
}

/* ---- the peer: a client or an aggregator ---- */

typedef struct {
    fl_identity identity;
    fl_enrolment *enrolment;
    fl_party *party;
    fl_secagg *secagg;
    fl_codec codec;
    struct {
        uint8_t seed[FL_SEED_BYTES];
        uint64_t count;
    } chance;
} peer;

/* Whose words come next, and the list. */
static void open_peer(peer *p)
{
    key(p->chance.seed);
    fl_identity_init(&p->identity, p->chance.seed);
    size_t len;
    uint8_t *text = bytes(&len);
    fl_reason why = {0};
    must(fl_enrolment_decode(&p->enrolment, text, len, &why), why.text);
    free(text);
}

/* Secrets that a seed names, so that a session that fails can be repeated. */
static void draw(void *self, void *dst, size_t len)
{
    peer *p = self;
    uint8_t block[FL_HASH_BYTES], *at = dst;
    for (size_t taken; len > 0; len -= taken, at += taken) {
        p->chance.count++;
        fl_hash(block, &p->chance, sizeof p->chance);
        taken = len < sizeof block ? len : sizeof block;
        memcpy(at, block, taken);
    }
}

/* ---- a client ---- */

static void open_party(peer *p)
{
    open_peer(p);
    fl_party_options options = {.identity = &p->identity,
                                .enrolment = p->enrolment,
                                .random_bytes = draw,
                                .random_self = p};
    key(options.federation);
    options.round = small();
    key(options.model);
    key(options.task);
    options.word_count = small();
    options.client_min = small();
    options.number_after = number();
    must(fl_party_new(&p->party, &options), "no party");
    printf("ok");
}

static void step(peer *p)
{
    const fl_step question = (fl_step)small();
    size_t src_len, len = 0;
    uint8_t *src = bytes(&src_len);
    fl_step answer;
    const uint8_t *dst = NULL;
    if (fl_party_step(p->party, question, src, src_len, &answer, &dst, &len)) {
        printf("refused %s", fl_fault_name(fl_party_fault(p->party)));
    } else {
        print_step(answer, dst, len);
    }
    free(src);
}

static void mask(peer *p)
{
    const size_t count = fl_party_session(p->party)->word_count;
    uint64_t *words = allocate(count, sizeof *words);
    uint8_t *dst = allocate(count, sizeof *words);
    for (size_t i = 0; i < count; i++)
        words[i] = number();

    if (fl_party_mask(p->party, words, count)) {
        printf("refused %s", fl_fault_name(fl_party_fault(p->party)));
    } else {
        fl_addend_encode(dst, words, count);
        print_step(FL_STEP_MASKED, dst, 8 * count);
    }
    free(words);
    free(dst);
}

/* ---- an aggregator ---- */

static void open_secagg(peer *p)
{
    open_peer(p);
    const uint32_t device_count = small();
    fl_session session = {0};
    session.client_min = small();
    session.client_cap = small();
    session.word_count = small();
    session.phase_ms = small();
    session.round = small();
    session.number = number();
    key(session.id);
    key(session.model);
    key(session.task);
    memcpy(session.enrolment, p->enrolment->hash, FL_HASH_BYTES);
    memcpy(session.federation, p->identity.public_key, FL_KEY_BYTES);

    uint32_t *devices = allocate(device_count, sizeof *devices);
    for (uint32_t i = 0; i < device_count; i++)
        devices[i] = i;
    fl_reason why = {0};
    must(fl_secagg_new(&p->secagg, &session, &p->identity, p->enrolment,
                       devices, device_count, &why),
         why.text);
    free(devices);
    printf("ok");
}

static void message(peer *p)
{
    const uint32_t device = small();
    uint8_t *dst = allocate(FL_SESSION_STEP_MAX, 1);
    fl_step step;
    size_t len;
    const fl_err err = fl_secagg_message(p->secagg, device, &step, dst,
                                         FL_SESSION_STEP_MAX, &len);
    if (err && err != FL_ERR_NOT_FOUND) give_up(fl_err_text(err));
    if (err)
        printf("ok");
    else
        print_step(step, dst, len);
    free(dst);
}

static void receive(peer *p)
{
    const uint32_t device = small();
    const fl_step step = (fl_step)small();
    size_t len;
    uint8_t *src = bytes(&len);
    fl_reason why = {0};
    const fl_err err =
        step == FL_STEP_MASKED
            ? fl_secagg_add(p->secagg, device, src, len, &why)
            : fl_secagg_receive(p->secagg, device, step, src, len, &why);
    print_result(err, &why);
    free(src);
}

static void drop(peer *p)
{
    fl_secagg_drop(p->secagg, small());
    printf("ok");
}

/* The step that clients send in a phase. */
static const fl_step phase_steps[] = {
    [FL_SECAGG_ADVERTISE] = FL_STEP_ADVERTISE,
    [FL_SECAGG_CHOICE] = FL_STEP_CHOICE,
    [FL_SECAGG_SHARES] = FL_STEP_SHARES,
    [FL_SECAGG_MASKED] = FL_STEP_MASKED,
    [FL_SECAGG_CONFIRM] = FL_STEP_CONFIRM,
    [FL_SECAGG_UNMASK] = FL_STEP_UNMASK,
};

static void advance(peer *p)
{
    fl_reason why = {0};
    const fl_err err = fl_secagg_advance(p->secagg, &why);
    print_result(err, &why);
    if (!err) printf(" %d", (int)phase_steps[fl_secagg_get_phase(p->secagg)]);
}

static void sum(peer *p)
{
    fl_reason why = {0};
    const fl_err err = fl_secagg_unmask(p->secagg, 2, &why);
    print_result(err, &why);
    if (err) return;
    const uint64_t *words = fl_secagg_sum(p->secagg);
    const size_t count = fl_secagg_session(p->secagg)->word_count;
    for (size_t i = 0; i < count; i++)
        printf(" %" PRIu64, words[i]);
}

/* ---- updates as words ---- */

// The numbers are in the order of the task.
static void open_codec(peer *p)
{
    fl_codec *codec = &p->codec;
    uint8_t recipe[FL_CODEC_RECIPE_BYTES], task[FL_CODEC_TASK_MAX];
    key(recipe);
    codec->kind = (fl_codec_kind)small();
    codec->param_count = number();
    codec->bits = small();
    codec->density = (float)real();
    codec->density_small = (float)real();
    codec->clip = (float)real();
    codec->weight_max = small();
    codec->client_cap = small();
    codec->seed = number();
    codec->per_word = small();
    codec->value_max = small();
    codec->step_large = (float)real();
    codec->step_small = (float)real();
    codec->layout.run_count = small();
    if (codec->layout.run_count > FL_LAYOUT_RUNS_MAX) give_up("many runs");
    for (uint32_t i = 0; i < codec->layout.run_count; i++)
        codec->layout.runs[i] = small();

    fl_reason why = {0};
    must(fl_codec_check(codec, &why), why.text);
    printf("ok ");
    print_bytes(task, fl_codec_task(task, codec, recipe));
}

static void encode(peer *p)
{
    const fl_codec *codec = &p->codec;
    fl_update_metrics metrics = {.weight = number(), .correct = number()};
    metrics.loss_sum = real();
    const uint32_t place = small();
    float *update = allocate(codec->param_count, sizeof *update);
    for (size_t i = 0; i < codec->param_count; i++)
        update[i] = (float)real();
    const size_t count = fl_update_words(codec);
    uint64_t *words = allocate(count, sizeof *words);
    float *scratch = allocate(fl_update_scratch(codec), sizeof *scratch);

    // A client may draw as it likes; the other end repeats these draws.
    fl_random rounding;
    fl_random_init(&rounding, codec->seed, FL_RANDOM_ROUNDING, place);
    fl_reason why = {0};
    const fl_err err = fl_update_encode(words, codec, update, &metrics, place,
                                        &rounding, scratch, &why);
    print_result(err, &why);
    for (size_t i = 0; !err && i < count; i++)
        printf(" %" PRIu64, words[i]);
    free(scratch);
    free(words);
    free(update);
}

static void decode(peer *p)
{
    const fl_codec *codec = &p->codec;
    const uint32_t clients = small();
    const size_t count = fl_update_words(codec);
    uint64_t *sums = allocate(count, sizeof *sums);
    for (size_t i = 0; i < count; i++)
        sums[i] = number();
    float *mean = allocate(codec->param_count, sizeof *mean);
    float *scratch = allocate(fl_update_scratch(codec), sizeof *scratch);

    fl_update_metrics metrics = {0};
    fl_update_spread spread;
    fl_reason why = {0};
    const fl_err err = fl_update_decode(mean, &metrics, &spread, codec, sums,
                                        clients, scratch, &why);
    print_result(err, &why);
    if (!err) {
        printf(" %" PRIu64 " %" PRIu64 " %.17g", metrics.weight,
               metrics.correct, metrics.loss_sum);
    }
    for (size_t i = 0; !err && i < codec->param_count; i++)
        printf(" %.9g", (double)mean[i]);
    free(scratch);
    free(mean);
    free(sums);
}

/* ---- lines ---- */

static const struct {
    const char *name;
    void (*run)(peer *p);
} commands[] = {
    {"party", open_party},   {"step", step},       {"mask", mask},
    {"secagg", open_secagg}, {"message", message}, {"receive", receive},
    {"drop", drop},          {"advance", advance}, {"sum", sum},
    {"codec", open_codec},   {"encode", encode},   {"decode", decode},
};

static void obey(peer *p, char *line)
{
    const char *name = strtok(line, " \n");
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, commands[i].name)) continue;
        commands[i].run(p);
        putchar('\n');
        if (fflush(stdout)) give_up("nobody listens");
        return;
    }
    give_up("no such command");
}

int main(void)
{
    peer p = {0};
    char *line = NULL;
    size_t cap = 0;
    must(fl_secure_start(), "no cryptography");
    while (getline(&line, &cap, stdin) > 0)
        obey(&p, line);

    free(line);
    fl_party_free(p.party);
    fl_secagg_free(p.secagg);
    fl_enrolment_free(p.enrolment);
    fl_identity_fini(&p.identity);
    return 0;
}
