/*
 * Many real clients in one process: each has a key, a machine (client/client.h)
 * and a sealed TCP connection of its own, and trains on rows of one dataset.
 * What a board has on its disk is in memory here.
 *
 *   herd URL DATASET CLIENTS SECONDS CHURN
 *
 * CHURN is the share of clients in percent that vanish in a minute: their
 * connection is cut and the machine is thrown away wherever it is; after 2 to
 * 20 s the board starts again with its key and what it had on its disk.
 *
 * Prints a line of JSON a second and one at the end, for tests/soak/soak.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "client/client.h"
#include "sim/models.h"
#include "sim/rolls.h"

enum {
    SCRATCH_CAP = 64 << 20,
    LOOK_MS = 50,  // how exact the clock of a board is
    ROWS_EACH = 24,
    DIALS_MAX = 96,  // not connected yet; the aggregator takes 256
    ROUNDS_MAX = 65536,
    AWAY_MS = 2000,
    AWAY_MORE_MS = 18000,
};

struct herd_state;

typedef struct {
    struct herd_state *herd;
    uint32_t number;
    fl_client *client;  // NULL: the board is off
    fl_conn conn;
    int64_t on_at_ms;
    // On its disk.
    uint64_t start_count;
    fl_client_past past;
    uint8_t held[FL_HASH_BYTES];
    fl_rolls_share roll;
    // Answers owed to the machine when its effects are done.
    bool must_find, must_burn, must_train, must_lose;
    bool takes_base;
    uint8_t sought[FL_HASH_BYTES];
    fl_result result;
    fl_err trained;
    fl_reason why;
    uint32_t update_count;  // that have been counted
    bool was_connected;
} board;

typedef struct herd_state {
    const char *url;
    uint32_t count;
    double churn;  // chance of a board to vanish between two looks
    fl_net *net;
    fl_dataset *dataset;
    uint32_t *rows;
    fl_arena scratch;
    fl_models models;
    fl_rolls rolls;
    fl_map board_of_conn;
    fl_random random;
    board *boards;
    uint32_t dialling_count;
    // What the clients know of the federation.
    uint64_t vanished, connects;
    uint32_t newest_round;
    uint32_t updates_of[ROUNDS_MAX];  // that were acknowledged
} herd;

static void demand(bool is_so, const char *what)
{
    if (is_so) return;
    fprintf(stderr, "herd: %s\n", what);
    exit(1);
}

/* ---- effects ---- */

static void dial(board *b)
{
    herd *h = b->herd;
    fl_reason why;
    b->must_lose = fl_net_dial(h->net, h->url, &b->conn, &why) != FL_OK;
    if (b->must_lose) {
        b->conn = 0;
    } else {
        demand(!fl_map_set(&h->board_of_conn, b->conn, b->number), "memory");
    }
}

static void train(board *b, const fl_client_effect *effect)
{
    const herd *h = b->herd;
    const uint32_t all = fl_dataset_row_count(h->dataset) - ROWS_EACH;
    const fl_local_data data = {.model = effect->bytes,
                                .model_len = effect->len,
                                .dataset = h->dataset,
                                .rows = h->rows + b->number * ROWS_EACH % all,
                                .row_count = ROWS_EACH,
                                .client = b->number};
    b->result = (fl_result){.update = NULL};
    b->trained = fl_local_work(&b->result, effect->plan, &data, &b->why);
    b->must_train = true;
}

static void hold(board *b, const fl_client_effect *effect)
{
    if (!effect->bytes) return;
    memcpy(b->held, effect->object, FL_HASH_BYTES);
    fl_models_add(&b->herd->models, effect->object, effect->bytes, effect->len);
}

static void burn(board *b, const fl_client_effect *effect)
{
    b->past = *effect->past;
    b->must_burn = true;
}

static void seek(board *b, const fl_client_effect *effect)
{
    b->must_find = true;
    b->takes_base = effect->takes_base;
    memcpy(b->sought, effect->object, FL_HASH_BYTES);
}

static void do_effect(board *b, const fl_client_effect *effect)
{
    switch (effect->kind) {
    case FL_CLIENT_DIAL: dial(b); break;
    case FL_CLIENT_SEND:
        (void)!fl_net_send(b->herd->net, b->conn, effect->bytes, effect->len);
        break;
    case FL_CLIENT_HANG_UP: fl_net_close(b->herd->net, b->conn); break;
    case FL_CLIENT_FIND: seek(b, effect); break;
    case FL_CLIENT_KEEP:
    case FL_CLIENT_END: hold(b, effect); break;
    case FL_CLIENT_BURN: burn(b, effect); break;
    case FL_CLIENT_TRAIN: train(b, effect); break;
    case FL_CLIENT_LOG:
        fl_log_line(effect->level, effect->event, effect->text);
        break;
    case FL_CLIENT_LEAVE: demand(false, effect->text); break;
    case FL_CLIENT_CANCEL:  // it is over before anybody can ask for that
    case FL_CLIENT_PIN:
    case FL_CLIENT_PIN_AUTHORITY:
    case FL_CLIENT_BEGIN:
    case FL_CLIENT_PUT:
    case FL_CLIENT_SAVE_UPDATE:
    case FL_CLIENT_DROP_UPDATE:
    case FL_CLIENT_SAVE_RESIDUAL:
    case FL_CLIENT_INSTALL: break;  // see takes_int8
    }
}

/* ---- events ---- */

static void count(board *b)
{
    herd *h = b->herd;
    const fl_client_status status = fl_client_get_status(b->client);
    if (status.round > h->newest_round) h->newest_round = status.round;
    if (status.update_count > b->update_count && status.round < ROUNDS_MAX) {
        h->updates_of[status.round]++;
    }
    b->update_count = status.update_count;
    if (status.is_connected && !b->was_connected) {
        h->connects++;
        if (h->dialling_count > 0) h->dialling_count--;
    }
    b->was_connected = status.is_connected;
}

static void step(board *b, fl_client_event event)
{
    const fl_client_effect *effects;
    size_t effect_count;
    event.now_ms = fl_net_now(b->herd->net);
    fl_client_step(b->client, &event, &effects, &effect_count);
    for (size_t i = 0; i < effect_count; i++) {
        do_effect(b, &effects[i]);
    }
    count(b);
}

static fl_client_event find(const board *b)
{
    fl_client_event found = {.kind = FL_CLIENT_FOUND};
    size_t len = 0;
    if (!b->takes_base) return found;
    uint8_t *bytes = fl_models_copy(&b->herd->models, b->held, &len);
    if (memcmp(b->held, b->sought, FL_HASH_BYTES) == 0) {
        found.model = bytes;
        found.model_len = len;
    } else {
        found.base = bytes;
        found.base_len = len;
        found.base_name = b->held;
    }
    return found;
}

static void answer(board *b)
{
    if (b->must_find) {
        b->must_find = false;
        step(b, find(b));
    } else if (b->must_burn) {
        b->must_burn = false;
        step(b, (fl_client_event){.kind = FL_CLIENT_BURNED});
    } else if (b->must_train) {
        b->must_train = false;
        step(b, (fl_client_event){.kind = FL_CLIENT_TRAINED,
                                  .result = &b->result,
                                  .err = b->trained,
                                  .why = b->why.text});
        fl_result_fini(&b->result);
    } else {
        b->must_lose = false;
        step(b, (fl_client_event){.kind = FL_CLIENT_LOST});
    }
}

static void tell(board *b, fl_client_event event)
{
    step(b, event);
    while (b->must_find || b->must_burn || b->must_train || b->must_lose) {
        answer(b);
    }
}

static void handle(herd *h, const fl_net_event *event)
{
    uint32_t number;
    fl_client_event told = {.bytes = event->bytes, .len = event->len};
    if (event->kind == FL_NET_TIME || event->kind == FL_NET_POSTED) return;
    if (!fl_map_get(&h->board_of_conn, event->conn, &number)) return;
    board *b = &h->boards[number];
    if (event->kind == FL_NET_OPENED) told.kind = FL_CLIENT_OPENED;
    if (event->kind == FL_NET_FRAME) told.kind = FL_CLIENT_FRAME;
    if (event->kind == FL_NET_CLOSED) {
        told.kind = FL_CLIENT_LOST;
        fl_map_remove(&h->board_of_conn, event->conn);
        b->conn = 0;
    }
    tell(b, told);
    if (event->kind == FL_NET_FRAME) fl_net_arm(h->net, event->conn);
}

/* ---- boards that come and go ---- */

static fl_err enrol(void *self, const fl_enrolment **enrolment,
                    const uint8_t *bytes, size_t len, fl_reason *why)
{
    board *b = self;
    (void)bytes, (void)len;
    return fl_rolls_enrol(&b->herd->rolls, &b->roll, enrolment, why);
}

static fl_err make_room(void *self, uint8_t **room,
                        const uint8_t object[FL_HASH_BYTES], size_t len)
{
    board *b = self;
    return fl_rolls_room(&b->herd->rolls, &b->roll, room, object, len);
}

static void switch_on(board *b)
{
    herd *h = b->herd;
    uint8_t seed[FL_SEED_BYTES] = {7};
    memcpy(seed + 1, &b->number, sizeof b->number);
    fl_client_options options = {.past = b->past,
                                 .client_min = 2,
                                 .takes_surveys = true,
                                 .start_count = ++b->start_count,
                                 .seed = fl_random_u64(&h->random),
                                 .model_cap = 64 << 20,
                                 .scratch = &h->scratch,
                                 .random_bytes = fl_secret_draw,
                                 .enrol = enrol,
                                 .room = make_room,
                                 .enrol_self = b};
    fl_identity_init(&options.identity, seed);
    demand(!fl_client_new(&b->client, &options), "no memory for a client");
    fl_identity_fini(&options.identity);
    b->update_count = 0;
    b->was_connected = false;
    h->dialling_count++;
    tell(b, (fl_client_event){.kind = FL_CLIENT_TICK});
}

static void switch_off(board *b)
{
    herd *h = b->herd;
    const fl_client_status status = fl_client_get_status(b->client);
    h->vanished++;
    if (!status.is_connected && h->dialling_count > 0) h->dialling_count--;
    if (b->conn) {
        fl_map_remove(&h->board_of_conn, b->conn);
        fl_net_close(h->net, b->conn);
    }
    b->conn = 0;
    fl_client_free(b->client);
    b->client = NULL;
    fl_rolls_leave(&h->rolls, &b->roll);
    b->on_at_ms = fl_net_now(h->net) + AWAY_MS +
                  (int64_t)(fl_random_double(&h->random) * AWAY_MORE_MS);
}

static void look(herd *h)
{
    const int64_t now_ms = fl_net_now(h->net);
    for (uint32_t i = 0; i < h->count; i++) {
        board *b = &h->boards[i];
        if (!b->client) {
            if (b->on_at_ms <= now_ms && h->dialling_count < DIALS_MAX) {
                switch_on(b);
            }
        } else if (h->churn > 0 && fl_random_double(&h->random) < h->churn) {
            switch_off(b);
        } else if (fl_client_deadline(b->client) <= now_ms) {
            tell(b, (fl_client_event){.kind = FL_CLIENT_TICK});
        }
    }
}

/* ---- the whole ---- */

static uint32_t connected(const herd *h)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        sum += h->boards[i].client && h->boards[i].was_connected;
    }
    return sum;
}

static void print_acked(const herd *h)
{
    const char *comma = "";
    printf(",\"acked\":{");
    for (uint32_t i = 0; i < ROUNDS_MAX; i++) {
        if (h->updates_of[i] == 0) continue;
        printf("%s\"%u\":%u", comma, i, h->updates_of[i]);
        comma = ",";
    }
    printf("}");
}

static void report(const herd *h, bool is_last)
{
    printf("{\"event\":\"%s\",\"connected\":%u,\"connects\":%" PRIu64
           ",\"vanished\":%" PRIu64 ",\"newest_round\":%u",
           is_last ? "end" : "now", connected(h), h->connects, h->vanished,
           h->newest_round);
    if (is_last) print_acked(h);
    puts("}");
    fflush(stdout);
}

static void run(herd *h, int64_t duration_ms)
{
    fl_net_event event;
    const int64_t end_ms = fl_net_now(h->net) + duration_ms;
    int64_t look_ms = 0, report_ms = 0;
    for (int64_t now_ms; (now_ms = fl_net_now(h->net)) < end_ms;) {
        if (now_ms >= look_ms) {
            look(h);
            look_ms = now_ms + LOOK_MS;
        }
        if (now_ms >= report_ms) {
            report(h, false);
            report_ms = now_ms + 1000;
        }
        demand(!fl_net_next(h->net, &event, look_ms), "the network has failed");
        handle(h, &event);
    }
    report(h, true);
}

static void open_data(herd *h, const char *spec)
{
    fl_reason why = {""};
    const fl_data_options data = {.spec = spec, .seed = 1};
    demand(!fl_dataset_open(&h->dataset, FL_DATA_TRAIN, &data, &why), why.text);
    const uint32_t row_count = fl_dataset_row_count(h->dataset);
    demand(row_count > 2 * ROWS_EACH, "too few rows");
    h->rows = calloc(row_count, sizeof *h->rows);
    demand(h->rows != NULL, "memory");
    for (uint32_t i = 0; i < row_count; i++) {
        h->rows[i] = i;
    }
}

int main(int argc, char **argv)
{
    static herd h;
    demand(argc == 6, "usage: herd URL DATASET CLIENTS SECONDS CHURN");
    h.url = argv[1];
    h.count = (uint32_t)strtoul(argv[3], NULL, 10);
    // A minute has so many looks.
    h.churn = strtod(argv[5], NULL) / 100.0 / (60.0 * 1000.0 / LOOK_MS);
    const fl_net_tcp_options tcp = {.connection_cap = 2 * h.count + 64};
    fl_log_start(FL_LOG_ERROR, NULL, NULL);
    demand(!fl_secure_start(), "libsodium cannot start");
    demand(!fl_net_tcp_new(&h.net, &tcp, NULL), "no network");
    fl_arena_init(&h.scratch, SCRATCH_CAP);
    fl_map_init(&h.board_of_conn, tcp.connection_cap);
    fl_random_init(&h.random, 1, FL_RANDOM_NONCE, 0);
    open_data(&h, argv[2]);
    h.boards = calloc(h.count, sizeof *h.boards);
    demand(h.boards != NULL, "memory");
    for (uint32_t i = 0; i < h.count; i++) {
        h.boards[i].herd = &h;
        h.boards[i].number = i;
    }
    run(&h, (int64_t)(strtod(argv[4], NULL) * 1000));
    return 0;  // as a power cut would end them all
}
