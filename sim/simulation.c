/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/simulation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "client/client.h"

// Any address will do in memory; this one is for documentation (RFC 5737).
static const char ADDRESS[] = "tcp://192.0.2.1:7443";

enum {
    SCRATCH_CAP = 1 << 28,
    ATTEMPTS_MAX = 100,  // of one round; a daemon would try for ever
};

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
    struct training *next;  // of the simulation's list
    fl_job job;
    const fl_simulation *simulation;
    struct board_state *board;
    fl_plan plan;
    const uint8_t *model;
    size_t model_len;
    atomic_bool stop;
    fl_result result;
    fl_err err;
    fl_reason why;
} training;

typedef struct board_state {
    fl_client *client;
    fl_net *net;
    fl_conn conn;
    uint32_t number;
    fl_board board;
    training *training;  // the one that runs; NULL: none
    // Present by the cycle, and not away by accident.
    bool is_present, is_vanished, has_accident;
    change cycle, leave, back;
    bool is_asked_to_find;  // FIND was said: FOUND comes next
    bool is_lost;           // a dial that was not even begun: LOST comes next
} board_state;

struct fl_simulation {
    fl_simulation_options options;
    fl_memnet *memnet;
    fl_pool *pool;
    fl_evaluation *evaluation;
    fl_arena scratch;

    fl_aggregator *aggregator;
    fl_net *net;  // the aggregator's
    fl_random nonces;
    bool has_left;
    // Answers owed to the aggregator when its effects are done.
    fl_model *must_evaluate;  // NULL: nothing to evaluate
    bool must_save;
    fl_round_record round;

    training *trainings;  // all that are not freed yet
    board_state *boards;
    uint32_t board_count;
    uint8_t (*keys)[FL_KEY_BYTES];  // public key of each board
    uint32_t *cohort;               // scratch for on_round
    fl_err err;                     // on_round's
};

static void draw_bytes(void *self, void *dst, size_t len)
{
    fl_random *random = self;
    uint8_t *bytes = dst;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)fl_random_u32(random);
    }
}

static void make_identity(fl_identity *identity, uint64_t seed, uint64_t id)
{
    fl_random random;
    uint8_t key_seed[FL_SEED_BYTES];
    fl_random_init(&random, seed, FL_RANDOM_NONCE, id);
    draw_bytes(&random, key_seed, sizeof key_seed);
    fl_identity_init(identity, key_seed);
}

/* ---- the aggregator --------------------------------------------------------
 */

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t number_contributors(fl_simulation *simulation)
{
    const uint8_t(*keys)[FL_KEY_BYTES];
    const size_t count =
        fl_aggregator_contributors(simulation->aggregator, &keys);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t b = 0; b < simulation->board_count; b++) {
            if (memcmp(keys[i], simulation->keys[b], FL_KEY_BYTES) != 0) {
                continue;
            }
            simulation->cohort[found++] = b;
            break;
        }
    }
    qsort(simulation->cohort, found, sizeof *simulation->cohort,
          compare_numbers);
    return found;
}

static void do_aggregator_effect(fl_simulation *simulation,
                                 const fl_aggregator_effect *effect)
{
    switch (effect->kind) {
    case FL_AGGREGATOR_SEND:
        // A connection that has gone is reported by its CLOSED event.
        (void)!fl_net_send(simulation->net, effect->conn, effect->bytes,
                           effect->len);
        break;
    case FL_AGGREGATOR_CLOSE:
        fl_net_close(simulation->net, effect->conn);
        break;
    case FL_AGGREGATOR_EVALUATE:
        simulation->must_evaluate = effect->model;
        break;
    case FL_AGGREGATOR_SAVE_ROUND:
        simulation->must_save = true;
        simulation->round = *effect->round;
        break;
    case FL_AGGREGATOR_SAVE_CLIENT: break;  // nothing outlives a simulation
    case FL_AGGREGATOR_LOG:
        fl_log_line(effect->level, effect->event, effect->text);
        break;
    case FL_AGGREGATOR_LEAVE: simulation->has_left = true; break;
    }
}

static void step_aggregator(fl_simulation *simulation,
                            fl_aggregator_event event)
{
    const fl_aggregator_effect *effects;
    size_t count;
    event.now_ms = fl_memnet_now(simulation->memnet);
    fl_aggregator_step(simulation->aggregator, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        do_aggregator_effect(simulation, &effects[i]);
    }
}

static void evaluate(fl_simulation *simulation, fl_model *model)
{
    fl_aggregator_event answer = {.kind = FL_AGGREGATOR_EVALUATED};
    answer.err = fl_evaluation_run(simulation->evaluation, &answer.metrics,
                                   fl_model_params(model), NULL);
    step_aggregator(simulation, answer);
}

static void save(fl_simulation *simulation, fl_reason *why)
{
    const size_t cohort_len = number_contributors(simulation);
    simulation->err = simulation->options.on_round(
        simulation->options.on_round_self, &simulation->round,
        simulation->cohort, cohort_len, fl_memnet_now(simulation->memnet), why);
    step_aggregator(simulation,
                    (fl_aggregator_event){.kind = FL_AGGREGATOR_SAVED});
}

static void tell_aggregator(fl_simulation *simulation,
                            fl_aggregator_event event, fl_reason *why)
{
    step_aggregator(simulation, event);
    while (simulation->must_evaluate || simulation->must_save) {
        fl_model *model = simulation->must_evaluate;
        if (model) {
            simulation->must_evaluate = NULL;
            evaluate(simulation, model);
        } else {
            simulation->must_save = false;
            save(simulation, why);
        }
    }
    fl_memnet_wake(simulation->net,
                   fl_aggregator_deadline(simulation->aggregator));
}

static void aggregator_event(fl_simulation *simulation,
                             const fl_net_event *event, fl_reason *why)
{
    fl_aggregator_event told = {
        .conn = event->conn, .bytes = event->bytes, .len = event->len};
    switch (event->kind) {
    case FL_NET_OPENED: told.kind = FL_AGGREGATOR_OPENED; break;
    case FL_NET_FRAME: told.kind = FL_AGGREGATOR_FRAME; break;
    case FL_NET_CLOSED: told.kind = FL_AGGREGATOR_CLOSED; break;
    case FL_NET_POSTED:
    case FL_NET_TIME: told.kind = FL_AGGREGATOR_TICK; break;
    }
    tell_aggregator(simulation, told, why);
    if (event->kind == FL_NET_FRAME) fl_net_arm(simulation->net, event->conn);
}

/* ---- boards: training
 * --------------------------------------------------------- */

static void run_training(fl_job *job)
{
    training *t = (training *)(void *)((char *)job - offsetof(training, job));
    const fl_simulation_options *options = &t->simulation->options;
    uint32_t row_count;
    const uint32_t *rows =
        fl_partition_rows(options->partition, t->board->number, &row_count);
    t->err = fl_local_train(&t->result, &t->plan, t->model, t->model_len,
                            options->train, rows, row_count, t->board->number,
                            &t->stop, &t->why);
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

static void begin_training(fl_simulation *simulation, board_state *board,
                           const fl_client_effect *effect)
{
    const int64_t now_ms = fl_memnet_now(simulation->memnet);
    uint32_t row_count;
    fl_partition_rows(simulation->options.partition, board->number, &row_count);
    const int64_t takes_ms = fl_board_training_ms(&board->board, row_count,
                                                  effect->plan->local_epochs);
    training *t = calloc(1, sizeof *t);
    if (!t) return;
    t->kind = POST_TRAINED;
    t->post_count = 1;
    t->job.run = run_training;
    t->simulation = simulation;
    t->board = board;
    t->plan = *effect->plan;
    t->model = effect->bytes;
    t->model_len = effect->len;
    t->next = simulation->trainings;
    simulation->trainings = t;
    board->training = t;
    fl_pool_submit(simulation->pool, &t->job);
    post(board, t, now_ms + takes_ms);

    int64_t after_ms, away_ms;
    if (!fl_board_vanishes(&board->board, takes_ms, &after_ms, &away_ms) ||
        board->has_accident) {
        return;
    }
    board->has_accident = true;
    post_change(board, &board->leave, POST_LEAVE, now_ms + after_ms);
    post_change(board, &board->back, POST_RETURN, now_ms + after_ms + away_ms);
}

// The job ends as soon as it can; its answer is due now, not later.
static void cancel_training(fl_simulation *simulation, board_state *board)
{
    training *t = board->training;
    if (!t) return;
    atomic_store(&t->stop, true);
    t->post_count++;
    post(board, t, fl_memnet_now(simulation->memnet));
}

static void free_training(fl_simulation *simulation, training *t)
{
    training **link = &simulation->trainings;
    while (*link != t) {
        link = &(*link)->next;
    }
    *link = t->next;
    fl_result_fini(&t->result);
    free(t);
}

/* ---- boards: the machine
 * -------------------------------------------------------- */

static void dial(board_state *board)
{
    board->is_lost = fl_net_dial(board->net, ADDRESS, &board->conn, NULL);
    if (board->is_lost) board->conn = 0;
}

static void do_client_effect(fl_simulation *simulation, board_state *board,
                             const fl_client_effect *effect)
{
    switch (effect->kind) {
    case FL_CLIENT_DIAL: dial(board); break;
    case FL_CLIENT_SEND:
        (void)!fl_net_send(board->net, board->conn, effect->bytes, effect->len);
        break;
    case FL_CLIENT_HANG_UP: fl_net_close(board->net, board->conn); break;
    case FL_CLIENT_FIND: board->is_asked_to_find = true; break;
    case FL_CLIENT_TRAIN: begin_training(simulation, board, effect); break;
    case FL_CLIENT_CANCEL: cancel_training(simulation, board); break;
    case FL_CLIENT_LOG:
        fl_log_line(effect->level, effect->event, effect->text);
        break;
    case FL_CLIENT_PIN:
    case FL_CLIENT_BEGIN:
    case FL_CLIENT_PUT:
    case FL_CLIENT_END:
    case FL_CLIENT_SAVE_UPDATE:
    case FL_CLIENT_DROP_UPDATE:
    case FL_CLIENT_LEAVE: break;  // nothing outlives a simulation
    }
}

static void step_client(fl_simulation *simulation, board_state *board,
                        fl_client_event event)
{
    const fl_client_effect *effects;
    size_t count;
    event.now_ms = fl_memnet_now(simulation->memnet);
    fl_client_step(board->client, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        do_client_effect(simulation, board, &effects[i]);
    }
}

static void tell_client(fl_simulation *simulation, board_state *board,
                        fl_client_event event)
{
    step_client(simulation, board, event);
    while (board->is_asked_to_find) {
        board->is_asked_to_find = false;
        step_client(simulation, board,
                    (fl_client_event){.kind = FL_CLIENT_FOUND});
    }
    if (board->is_lost) {
        board->is_lost = false;
        step_client(simulation, board,
                    (fl_client_event){.kind = FL_CLIENT_LOST});
    }
    fl_memnet_wake(board->net, fl_client_deadline(board->client));
}

static void trained(fl_simulation *simulation, board_state *board, training *t)
{
    if (!t->is_delivered) {
        t->is_delivered = true;
        board->training = NULL;
        fl_pool_wait(simulation->pool, &t->job);
        tell_client(simulation, board,
                    (fl_client_event){.kind = FL_CLIENT_TRAINED,
                                      .result = &t->result,
                                      .err = t->err,
                                      .why = t->why.text});
    }
    if (--t->post_count == 0) free_training(simulation, t);
}

static void changed(fl_simulation *simulation, board_state *board,
                    const change *c)
{
    const bool is_there = c->kind == POST_RETURN;
    const int64_t now_ms = fl_memnet_now(simulation->memnet);
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

static void posted(fl_simulation *simulation, board_state *board, void *what)
{
    if (*(post_kind *)what == POST_TRAINED) {
        trained(simulation, board, what);
    } else {
        changed(simulation, board, what);
    }
}

static void board_event(fl_simulation *simulation, board_state *board,
                        const fl_net_event *event)
{
    const bool is_old = event->conn != board->conn;
    fl_client_event told = {.bytes = event->bytes, .len = event->len};
    switch (event->kind) {
    case FL_NET_POSTED: posted(simulation, board, event->posted); return;
    case FL_NET_OPENED: told.kind = FL_CLIENT_OPENED; break;
    case FL_NET_FRAME: told.kind = FL_CLIENT_FRAME; break;
    case FL_NET_CLOSED:
        told.kind = FL_CLIENT_LOST;
        if (!is_old) board->conn = 0;
        break;
    case FL_NET_TIME: told.kind = FL_CLIENT_TICK; break;
    }
    if (event->kind != FL_NET_TIME && is_old) return;
    tell_client(simulation, board, told);
    if (event->kind == FL_NET_FRAME) fl_net_arm(board->net, event->conn);
}

/* ---- the whole
 * ------------------------------------------------------------------ */

static fl_err add_board(fl_simulation *simulation, uint32_t number)
{
    board_state *board = &simulation->boards[number];
    const uint64_t seed = simulation->options.fleet.seed;
    fl_client_options options = {
        .start_count = 1,
        .seed = seed,
        .model_cap = FL_MODEL_BYTES_MAX,
        .scratch = &simulation->scratch,
        .random_bytes = draw_bytes,
        .random_self = &simulation->nonces,
    };
    uint32_t row_count;
    fl_partition_rows(simulation->options.partition, number, &row_count);
    options.sample_count = row_count;
    make_identity(&options.identity, seed, (uint64_t)number + 1);
    memcpy(simulation->keys[number], options.identity.public_key, FL_KEY_BYTES);
    board->number = number;
    fl_board_init(&board->board, &simulation->options.fleet, number);
    FL_TRY(fl_client_new(&board->client, &options));
    FL_TRY(fl_memnet_add(simulation->memnet, &board->net, &board->board.link,
                         board));
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

static fl_err add_aggregator(fl_simulation *simulation, fl_model *model,
                             fl_reason *why)
{
    fl_aggregator_options options = simulation->options.federation;
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len);
    if (!bytes) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for the model");
    }
    options.scratch = &simulation->scratch;
    options.random_bytes = draw_bytes;
    options.random_self = &simulation->nonces;
    options.start_count = 1;
    options.client_cap = simulation->board_count;
    make_identity(&options.identity, options.seed, 0);
    fl_err err = fl_model_encode(model, bytes, len);
    if (!err) {
        err = fl_aggregator_new(&simulation->aggregator, &options, 0, model,
                                bytes, len, why);
    }
    free(bytes);
    if (err) return err;
    const fl_link link = {0};  // a server: as fast as the boards allow
    FL_TRY(fl_memnet_add(simulation->memnet, &simulation->net, &link, NULL));
    FL_TRY(fl_net_listen(simulation->net, ADDRESS, why));
    fl_memnet_wake(simulation->net, 0);
    return FL_OK;
}

fl_err fl_simulation_new(fl_simulation **simulation,
                         const fl_simulation_options *options, fl_model *model,
                         fl_reason *why)
{
    fl_err err = FL_ERR_MEMORY;
    const uint64_t seed = options->fleet.seed;
    fl_simulation *new = calloc(1, sizeof *new);
    if (!new) goto out;
    new->options = *options;
    new->board_count = fl_partition_client_count(options->partition);
    fl_arena_init(&new->scratch, SCRATCH_CAP);
    fl_random_init(&new->nonces, seed, FL_RANDOM_NONCE, UINT64_MAX);
    new->boards = calloc(new->board_count, sizeof *new->boards);
    new->keys = calloc(new->board_count, sizeof *new->keys);
    new->cohort = calloc(new->board_count, sizeof *new->cohort);
    if (!new->boards || !new->keys || !new->cohort) goto out;
    if (options->federation.quorum > new->board_count) {
        err = fl_reason_set(why, FL_ERR_RANGE,
                            "a quorum of %u needs more clients than the %u "
                            "there are",
                            options->federation.quorum, new->board_count);
        goto out;
    }
    err = fl_pool_new(&new->pool, options->thread_count);
    if (err) {
        fl_reason_set(why, err, "%u worker threads cannot be started",
                      options->thread_count);
        goto out;
    }
    err = fl_evaluation_new(&new->evaluation, new->pool, options->thread_count,
                            options->test, model, why);
    if (err) goto out;
    err = fl_memnet_new(&new->memnet, seed);
    if (err) goto out;
    err = add_aggregator(new, model, why);
    if (err) goto out;
    for (uint32_t i = 0; i < new->board_count && !err; i++) {
        err = add_board(new, i);
    }
    if (err) goto out;
    *simulation = new;
    new = NULL;

out:
    if (err == FL_ERR_MEMORY) {
        fl_reason_set(why, err, "no memory for the clients");
    }
    if (err && !(new &&new->aggregator)) fl_model_free(model);  // not its yet
    fl_simulation_free(new);
    return err;
}

void fl_simulation_free(fl_simulation *simulation)
{
    if (!simulation) return;
    for (training *t = simulation->trainings; t; t = t->next) {
        atomic_store(&t->stop, true);
    }
    fl_pool_free(simulation->pool);  // waits for what runs
    while (simulation->trainings) {
        free_training(simulation, simulation->trainings);
    }
    for (uint32_t i = 0; simulation->boards && i < simulation->board_count;
         i++) {
        fl_client_free(simulation->boards[i].client);
    }
    fl_evaluation_free(simulation->evaluation);
    fl_aggregator_free(simulation->aggregator);
    fl_memnet_free(simulation->memnet);
    fl_arena_fini(&simulation->scratch);
    free(simulation->boards);
    free(simulation->keys);
    free(simulation->cohort);
    free(simulation);
}

static fl_err check_attempts(const fl_simulation *simulation, fl_reason *why)
{
    const fl_aggregator_status status =
        fl_aggregator_get_status(simulation->aggregator);
    if (status.attempt <= ATTEMPTS_MAX) return FL_OK;
    return fl_reason_set(why, FL_ERR_STATE,
                         "round %u missed its quorum of %u updates %d times in "
                         "a row: give it a longer deadline, a lower quorum or "
                         "better clients",
                         status.rounds_done + 1,
                         simulation->options.federation.quorum, ATTEMPTS_MAX);
}

fl_err fl_simulation_run(fl_simulation *simulation, fl_reason *why)
{
    while (!simulation->has_left) {
        fl_net_event event;
        void *owner;
        if (simulation->options.stop && atomic_load(simulation->options.stop)) {
            return fl_reason_set(why, FL_ERR_CANCELLED, "stopped on request");
        }
        if (fl_memnet_next(simulation->memnet, &event, &owner)) {
            return fl_reason_set(why, FL_ERR_STATE,
                                 "nothing is left to happen");
        }
        if (owner) {
            board_event(simulation, owner, &event);
        } else {
            aggregator_event(simulation, &event, why);
        }
        if (simulation->err) return simulation->err;
        if (!owner) FL_TRY(check_attempts(simulation, why));
    }
    return FL_OK;
}

const uint8_t *fl_simulation_model(const fl_simulation *simulation, size_t *len)
{
    return fl_aggregator_model(simulation->aggregator, len);
}

int64_t fl_simulation_now_ms(const fl_simulation *simulation)
{
    return fl_memnet_now(simulation->memnet);
}
