/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/boards.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "client/client.h"
#include "sim/chance.h"
#include "sim/models.h"
#include "sim/rolls.h"

typedef enum {
    POST_TRAINED,  // a job is due
    POST_LEAVE,    // the board goes away
    POST_RETURN,   // the board comes back
} post_kind;

struct board_state;

/* What fl_memnet_post carries starts with its kind. */
typedef struct {
    post_kind kind;
    bool is_presence;  // of the presence cycle, which goes on
} change;

typedef struct training {
    post_kind kind;
    int post_count;  // posts on their way that carry this training
    bool is_delivered;
    struct training *next, **link;  // of the list of all; what points here
    fl_job job;
    const fl_boards *boards;
    struct board_state *board;
    fl_plan plan;
    fl_local_data data;
    atomic_bool stop;
    fl_result result;
    fl_err err;
    fl_reason why;
} training;

typedef struct board_state {
    fl_boards *boards;
    fl_client *client;
    fl_net *net;
    fl_conn conn;
    uint32_t number;
    fl_board board;
    training *training;  // the one that runs; NULL: none
    fl_rolls_share roll;
    // Present by the cycle, and not away by accident.
    bool is_present, is_vanished, has_accident;
    change cycle, leave, back;
    fl_step vanish_step;    // goes before it sends this; 0: stays
    int64_t vanish_ms;      // for so long
    bool is_asked_to_find;  // FIND was said: FOUND comes next
    bool takes_base;        // FIND was for a model
    uint8_t sought[FL_HASH_BYTES];
    uint8_t held[FL_HASH_BYTES];  // the model on its disk, so to say; zeros
                                  // before the first
    bool has_burned;              // BURN was said: BURNED comes next
    bool is_lost;  // a dial that was not even begun: LOST comes next
} board_state;

struct fl_boards {
    fl_boards_options options;
    fl_rolls rolls;
    fl_models models;
    int64_t crypto_ns;
    training *trainings;  // all that are not freed yet
    board_state *list;
    uint8_t (*keys)[FL_KEY_BYTES];  // public key of each
    fl_map number_of_key;           // by the first 8 bytes of the key
    uint32_t count;
};

/* ---- training ---- */

static void run_training(fl_job *job)
{
    training *t = (training *)(void *)((char *)job - offsetof(training, job));
    t->err = fl_local_work(&t->result, &t->plan, &t->data, &t->why);
}

// Without memory the board never answers: the round's deadline deals with it.
static void post(board_state *board, void *what, int64_t at_ms)
{
    (void)!fl_memnet_post(board->net, what, at_ms);
}

static void post_change(board_state *board, change *c, post_kind kind,
                        int64_t at_ms)
{
    c->kind = kind;
    c->is_presence = c == &board->cycle;
    post(board, c, at_ms);
}

static void list_training(fl_boards *boards, training *t)
{
    t->next = boards->trainings;
    t->link = &boards->trainings;
    if (t->next) t->next->link = &t->next;
    boards->trainings = t;
}

static void free_training(training *t)
{
    *t->link = t->next;
    if (t->next) t->next->link = t->link;
    fl_result_fini(&t->result);
    free(t);
}

static fl_local_data data_of(const training *t, const board_state *board,
                             const fl_client_effect *effect)
{
    const fl_boards_options *options = &board->boards->options;
    fl_local_data data = {.model = effect->bytes,
                          .model_len = effect->len,
                          .ranges = effect->ranges,
                          .ranges_len = effect->ranges_len,
                          .dataset = options->train,
                          .client = board->number,
                          .stop = &t->stop};
    data.rows =
        fl_partition_rows(options->partition, board->number, &data.row_count);
    return data;
}

static void begin_training(fl_boards *boards, board_state *board,
                           const fl_client_effect *effect)
{
    const int64_t now_ms = fl_memnet_now(boards->options.memnet);
    training *t = calloc(1, sizeof *t);
    if (!t) return;
    t->data = data_of(t, board, effect);
    const int64_t takes_ms =
        fl_board_work_ms(&board->board, effect->plan, t->data.row_count);
    t->kind = POST_TRAINED;
    t->post_count = 1;
    t->job.run = run_training;
    t->boards = boards;
    t->board = board;
    t->plan = *effect->plan;
    list_training(boards, t);
    board->training = t;
    fl_pool_submit(boards->options.pool, &t->job);
    post(board, t, now_ms + takes_ms);

    int64_t after_ms, away_ms;
    if (t->plan.aggregation == FL_AGGREGATION_SECURE) {
        if (!fl_board_vanishes_in_session(&board->board, &board->vanish_step,
                                          &board->vanish_ms)) {
            board->vanish_step = 0;
        }
        return;
    }
    if (!fl_board_vanishes(&board->board, takes_ms, &after_ms, &away_ms) ||
        board->has_accident) {
        return;
    }
    board->has_accident = true;
    post_change(board, &board->leave, POST_LEAVE, now_ms + after_ms);
    post_change(board, &board->back, POST_RETURN, now_ms + after_ms + away_ms);
}

// The job ends as soon as it can; its answer is due now, not later.
static void cancel_training(fl_boards *boards, board_state *board)
{
    training *t = board->training;
    if (!t) return;
    atomic_store(&t->stop, true);
    t->post_count++;
    post(board, t, fl_memnet_now(boards->options.memnet));
}

/* ---- the machine ---- */

static void dial(const fl_boards *boards, board_state *board)
{
    board->is_lost =
        fl_net_dial(board->net, boards->options.address, &board->conn, NULL);
    if (board->is_lost) board->conn = 0;
}

// The fate of a session: gone in the moment in which something is due.
static bool vanishes_now(board_state *board)
{
    const fl_client_status status = fl_client_get_status(board->client);
    if (!board->vanish_step || board->has_accident ||
        status.step != board->vanish_step) {
        return false;
    }
    board->vanish_step = 0;
    board->has_accident = true;
    board->is_vanished = true;
    fl_memnet_set_online(board->net, false);
    post_change(board, &board->back, POST_RETURN,
                fl_net_now(board->net) + board->vanish_ms);
    return true;
}

static fl_err make_room(void *self, uint8_t **room,
                        const uint8_t object[FL_HASH_BYTES], size_t len)
{
    board_state *board = self;
    return fl_rolls_room(&board->boards->rolls, &board->roll, room, object,
                         len);
}

// The bytes are those in the room: no board has another list.
static fl_err enrol(void *self, const fl_enrolment **enrolment,
                    const uint8_t *bytes, size_t len, fl_reason *why)
{
    board_state *board = self;
    (void)bytes, (void)len;
    return fl_rolls_enrol(&board->boards->rolls, &board->roll, enrolment, why);
}

/* ---- what a board would have on its disk ---- */

static void hold(fl_boards *boards, board_state *board,
                 const fl_client_effect *effect)
{
    if (!effect->bytes) return;  // a list: see rolls
    memcpy(board->held, effect->object, FL_HASH_BYTES);
    fl_models_add(&boards->models, effect->object, effect->bytes, effect->len);
}

static void seek(board_state *board, const fl_client_effect *effect)
{
    board->is_asked_to_find = true;
    board->takes_base = effect->takes_base;
    memcpy(board->sought, effect->object, FL_HASH_BYTES);
}

static fl_client_event find(const fl_boards *boards, const board_state *board)
{
    fl_client_event found = {.kind = FL_CLIENT_FOUND};
    size_t len = 0;
    if (!board->takes_base) return found;
    uint8_t *bytes = fl_models_copy(&boards->models, board->held, &len);
    if (memcmp(board->held, board->sought, FL_HASH_BYTES) == 0) {
        found.model = bytes;
        found.model_len = len;
    } else {
        found.base = bytes;
        found.base_len = len;
        found.base_name = board->held;
    }
    return found;
}

/* ---- effects and events ---- */

static void do_client_effect(fl_boards *boards, board_state *board,
                             const fl_client_effect *effect)
{
    switch (effect->kind) {
    case FL_CLIENT_DIAL: dial(boards, board); break;
    case FL_CLIENT_SEND:
        if (vanishes_now(board)) break;
        (void)!fl_net_send(board->net, board->conn, effect->bytes, effect->len);
        break;
    case FL_CLIENT_HANG_UP: fl_net_close(board->net, board->conn); break;
    case FL_CLIENT_FIND: seek(board, effect); break;
    case FL_CLIENT_KEEP:
    case FL_CLIENT_END: hold(boards, board, effect); break;
    case FL_CLIENT_BURN: board->has_burned = true; break;
    case FL_CLIENT_TRAIN: begin_training(boards, board, effect); break;
    case FL_CLIENT_CANCEL: cancel_training(boards, board); break;
    case FL_CLIENT_LOG:
        fl_log_line(effect->level, effect->event, effect->text);
        break;
    case FL_CLIENT_PIN:
    case FL_CLIENT_PIN_AUTHORITY:
    case FL_CLIENT_BEGIN:
    case FL_CLIENT_PUT:
    case FL_CLIENT_SAVE_UPDATE:
    case FL_CLIENT_DROP_UPDATE:
    case FL_CLIENT_SAVE_RESIDUAL:
    case FL_CLIENT_INSTALL:       // see takes_int8
    case FL_CLIENT_LEAVE: break;  // nothing outlives a simulation
    }
}

static void step_client(fl_boards *boards, board_state *board,
                        fl_client_event event)
{
    const fl_client_effect *effects;
    size_t count;
    event.now_ms = fl_memnet_now(boards->options.memnet);
    const int64_t start_ns = fl_clock_thread_ns();
    fl_client_step(board->client, &event, &effects, &count);
    if (fl_client_is_in_session(board->client)) {
        boards->crypto_ns += fl_clock_thread_ns() - start_ns;
    }
    for (size_t i = 0; i < count; i++) {
        do_client_effect(boards, board, &effects[i]);
    }
}

static void tell_client(fl_boards *boards, board_state *board,
                        fl_client_event event)
{
    step_client(boards, board, event);
    while (board->is_asked_to_find) {
        board->is_asked_to_find = false;
        step_client(boards, board, find(boards, board));
    }
    if (board->has_burned) {
        board->has_burned = false;
        step_client(boards, board, (fl_client_event){.kind = FL_CLIENT_BURNED});
    }
    if (board->is_lost) {
        board->is_lost = false;
        step_client(boards, board, (fl_client_event){.kind = FL_CLIENT_LOST});
    }
    fl_memnet_wake(board->net, fl_client_deadline(board->client));
}

static void trained(fl_boards *boards, board_state *board, training *t)
{
    if (!t->is_delivered) {
        t->is_delivered = true;
        board->training = NULL;
        fl_pool_wait(boards->options.pool, &t->job);
        tell_client(boards, board,
                    (fl_client_event){.kind = FL_CLIENT_TRAINED,
                                      .result = &t->result,
                                      .err = t->err,
                                      .why = t->why.text});
    }
    if (--t->post_count == 0) free_training(t);
}

static void changed(fl_boards *boards, board_state *board, const change *c)
{
    const bool is_there = c->kind == POST_RETURN;
    const int64_t now_ms = fl_memnet_now(boards->options.memnet);
    if (c->is_presence) {
        board->is_present = is_there;
        const int64_t next_ms =
            fl_board_next_change_ms(&board->board, is_there);
        if (next_ms != INT64_MAX) {
            post_change(board, &board->cycle,
                        is_there ? POST_LEAVE : POST_RETURN, now_ms + next_ms);
        }
    } else {
        board->is_vanished = !is_there;
        board->has_accident = !is_there;
    }
    fl_memnet_set_online(board->net, board->is_present && !board->is_vanished);
}

static void posted(fl_boards *boards, board_state *board, void *what)
{
    if (*(post_kind *)what == POST_TRAINED) {
        trained(boards, board, what);
    } else {
        changed(boards, board, what);
    }
}

void fl_boards_handle(fl_boards *boards, void *owner, const fl_net_event *event)
{
    board_state *board = owner;
    const bool is_old = event->conn != board->conn;
    fl_client_event told = {.bytes = event->bytes, .len = event->len};
    switch (event->kind) {
    case FL_NET_POSTED: posted(boards, board, event->posted); return;
    case FL_NET_OPENED: told.kind = FL_CLIENT_OPENED; break;
    case FL_NET_FRAME: told.kind = FL_CLIENT_FRAME; break;
    case FL_NET_CLOSED:
        told.kind = FL_CLIENT_LOST;
        if (!is_old) board->conn = 0;
        break;
    case FL_NET_TIME: told.kind = FL_CLIENT_TICK; break;
    }
    if (event->kind != FL_NET_TIME && is_old) return;
    tell_client(boards, board, told);
    if (event->kind == FL_NET_FRAME) fl_net_arm(board->net, event->conn);
}

/* ---- the whole ---- */

static uint64_t key_prefix(const uint8_t public_key[FL_KEY_BYTES])
{
    uint64_t prefix;
    memcpy(&prefix, public_key, sizeof prefix);
    return prefix;
}

static fl_err add_board(fl_boards *boards, uint32_t number)
{
    board_state *board = &boards->list[number];
    const uint64_t seed = boards->options.fleet.seed;
    fl_client_options options = {
        .start_count = 1,
        .seed = seed,
        .model_cap = FL_MODEL_BYTES_MAX,
        .scratch = boards->options.scratch,
        .random_bytes = fl_chance_bytes,
        .random_self = boards->options.nonces,
        .client_min = boards->options.client_min,
        .allows_clear = boards->options.allows_clear,
        .takes_surveys = true,
        // A hundred boards would quantise and measure the same model a hundred
        // times: who runs the simulation measures it once.
        .takes_int8 = false,
        .enrol = enrol,
        .room = make_room,
        .enrol_self = board,
    };
    fl_chance_identity(&options.identity, seed, (uint64_t)number + 1);
    memcpy(boards->keys[number], options.identity.public_key, FL_KEY_BYTES);
    FL_TRY(fl_map_set(&boards->number_of_key,
                      key_prefix(options.identity.public_key), number));
    board->boards = boards;
    board->number = number;
    fl_board_init(&board->board, &boards->options.fleet, number);
    FL_TRY(fl_client_new(&board->client, &options));
    FL_TRY(fl_memnet_add(boards->options.memnet, &board->net,
                         &board->board.link, board));
    board->is_present = fl_board_is_present_first(&board->board);
    fl_memnet_set_online(board->net, board->is_present);
    const int64_t next_ms =
        fl_board_next_change_ms(&board->board, board->is_present);
    if (next_ms != INT64_MAX) {
        post_change(board, &board->cycle,
                    board->is_present ? POST_LEAVE : POST_RETURN, next_ms);
    }
    fl_memnet_wake(board->net, 0);
    return FL_OK;
}

fl_err fl_boards_new(fl_boards **boards, const fl_boards_options *options)
{
    fl_err err = FL_ERR_MEMORY;
    fl_boards *new = calloc(1, sizeof *new);
    if (!new) return err;
    new->options = *options;
    const uint32_t count = fl_partition_client_count(options->partition);
    new->list = calloc(count, sizeof *new->list);
    new->keys = calloc(count, sizeof *new->keys);
    if (!new->list || !new->keys) goto out;
    fl_map_init(&new->number_of_key, count);
    new->count = count;  // also of boards half made, to free them
    for (uint32_t i = 0; i < count; i++) {
        err = add_board(new, i);
        if (err) goto out;
    }
    *boards = new;
    return FL_OK;

out:
    fl_boards_free(new);
    return err;
}

void fl_boards_stop(fl_boards *boards)
{
    if (!boards) return;
    for (training *t = boards->trainings; t; t = t->next) {
        atomic_store(&t->stop, true);
    }
}

void fl_boards_free(fl_boards *boards)
{
    if (!boards) return;
    for (training *t = boards->trainings, *next; t; t = next) {
        next = t->next;
        free_training(t);
    }
    for (uint32_t i = 0; boards->list && i < boards->count; i++) {
        fl_client_free(boards->list[i].client);
        fl_rolls_leave(&boards->rolls, &boards->list[i].roll);
    }
    fl_models_fini(&boards->models);
    fl_map_fini(&boards->number_of_key);
    free(boards->list);
    free(boards->keys);
    free(boards);
}

uint32_t fl_boards_find(const fl_boards *boards,
                        const uint8_t public_key[FL_KEY_BYTES])
{
    uint32_t number;
    const uint64_t prefix = key_prefix(public_key);
    if (!fl_map_get(&boards->number_of_key, prefix, &number)) return UINT32_MAX;
    const uint8_t *key = boards->keys[number];
    return memcmp(key, public_key, FL_KEY_BYTES) == 0 ? number : UINT32_MAX;
}

double fl_boards_crypto_s(const fl_boards *boards)
{
    return (double)boards->crypto_ns * 1e-9;
}
