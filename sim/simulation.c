/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/simulation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "sim/boards.h"
#include "sim/chance.h"

// Any address will do in memory; this one is for documentation (RFC 5737).
static const char ADDRESS[] = "tcp://192.0.2.1:7443";

enum {
    SCRATCH_CAP = 1 << 28,
    ATTEMPTS_MAX = 100,  // of one round; a daemon would try for ever
};

struct fl_simulation {
    fl_simulation_options options;
    fl_memnet *memnet;
    fl_pool *pool;
    fl_evaluation *evaluation;
    fl_arena scratch;

    fl_aggregator *aggregator;
    fl_net *net;  // the aggregator's
    fl_random nonces;
    fl_identity authority;  // simulated boards trust the one who made them
    bool has_left;
    // Answers owed to the aggregator when its effects are done.
    bool must_evaluate;
    fl_aggregator_effect evaluate;  // what
    fl_secagg *must_unmask;         // NULL: nothing to unmask
    int64_t crypto_ns;              // of the aggregator's sessions
    bool must_save;
    fl_round_record round;

    fl_model *first_model;  // until the aggregator takes it
    fl_boards *boards;
    uint32_t board_count;
    uint32_t *cohort;  // scratch for on_round
    fl_err err;        // on_round's
};

/* ---- the aggregator ---- */

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
        const uint32_t board = fl_boards_find(simulation->boards, keys[i]);
        if (board != UINT32_MAX) simulation->cohort[found++] = board;
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
        simulation->evaluate = *effect;
        simulation->must_evaluate = true;
        break;
    case FL_AGGREGATOR_UNMASK: simulation->must_unmask = effect->secagg; break;
    case FL_AGGREGATOR_SAVE_ROUND:
        simulation->must_save = true;
        simulation->round = *effect->round;
        break;
    case FL_AGGREGATOR_SAVE_LIST:
    case FL_AGGREGATOR_JOIN:
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
    const int64_t start_ns = fl_clock_thread_ns();
    fl_aggregator_step(simulation->aggregator, &event, &effects, &count);
    if (fl_aggregator_get_status(simulation->aggregator).is_in_session) {
        simulation->crypto_ns += fl_clock_thread_ns() - start_ns;
    }
    for (size_t i = 0; i < count; i++) {
        do_aggregator_effect(simulation, &effects[i]);
    }
}

static void evaluate(fl_simulation *simulation)
{
    const fl_aggregator_effect *effect = &simulation->evaluate;
    fl_aggregator_event answer = {.kind = FL_AGGREGATOR_EVALUATED};
    answer.err = fl_evaluation_run(simulation->evaluation, &answer.metrics,
                                   effect->model, NULL);
    if (effect->bytes && fl_evaluation_run_int8(
                             simulation->evaluation, &answer.int8_metrics,
                             effect->model, effect->bytes, effect->len, NULL)) {
        answer.int8_metrics = (fl_metrics){0};
    }
    step_aggregator(simulation, answer);
}

// On this thread alone, so that what it takes can be told.
static void unmask(fl_simulation *simulation, fl_secagg *secagg)
{
    fl_reason why = {""};
    const int64_t start_ns = fl_clock_thread_ns();
    const fl_err err = fl_secagg_unmask(secagg, 1, &why);
    simulation->crypto_ns += fl_clock_thread_ns() - start_ns;
    step_aggregator(simulation,
                    (fl_aggregator_event){.kind = FL_AGGREGATOR_UNMASKED,
                                          .err = err,
                                          .why = why.text});
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
    while (simulation->must_unmask || simulation->must_evaluate ||
           simulation->must_save) {
        if (simulation->must_unmask) {
            fl_secagg *secagg = simulation->must_unmask;
            simulation->must_unmask = NULL;
            unmask(simulation, secagg);
        } else if (simulation->must_evaluate) {
            simulation->must_evaluate = false;
            evaluate(simulation);
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

/* ---- the whole
 * ------------------------------------------------------------------ */

static fl_err add_aggregator(fl_simulation *simulation, fl_reason *why)
{
    fl_aggregator_options options = simulation->options.federation;
    options.scratch = &simulation->scratch;
    options.random_bytes = fl_chance_bytes;
    options.random_self = &simulation->nonces;
    options.start_count = 1;
    options.client_cap = simulation->board_count;
    fl_chance_identity(&options.identity, options.seed, 0);
    fl_chance_identity(&simulation->authority, options.seed, UINT64_MAX);
    options.authority = &simulation->authority;
    FL_TRY(fl_aggregator_new(&simulation->aggregator, &options, 0,
                             simulation->first_model, why));
    simulation->first_model = NULL;  // the aggregator's now
    const fl_link link = {0};        // a server: as fast as the boards allow
    FL_TRY(fl_memnet_add(simulation->memnet, &simulation->net, &link, NULL));
    FL_TRY(fl_net_listen(simulation->net, ADDRESS, why));
    fl_memnet_wake(simulation->net, 0);
    return FL_OK;
}

static fl_err add_boards(fl_simulation *simulation)
{
    const fl_boards_options options = {
        .fleet = simulation->options.fleet,
        .address = ADDRESS,
        .memnet = simulation->memnet,
        .pool = simulation->pool,
        .scratch = &simulation->scratch,
        .nonces = &simulation->nonces,
        .train = simulation->options.train,
        .partition = simulation->options.partition,
        .client_min = simulation->options.federation.min_survivors,
        .allows_clear =
            simulation->options.federation.aggregation == FL_AGGREGATION_CLEAR,
    };
    return fl_boards_new(&simulation->boards, &options);
}

static fl_err start(fl_simulation *simulation, fl_reason *why)
{
    const fl_simulation_options *options = &simulation->options;
    if (options->federation.quorum > simulation->board_count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a quorum of %u needs more clients than the %u "
                             "there are",
                             options->federation.quorum,
                             simulation->board_count);
    }
    simulation->cohort =
        calloc(simulation->board_count, sizeof *simulation->cohort);
    if (!simulation->cohort) return FL_ERR_MEMORY;
    if (fl_pool_new(&simulation->pool, options->thread_count)) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%u worker threads cannot be started",
                             options->thread_count);
    }
    FL_TRY(fl_evaluation_new(&simulation->evaluation, simulation->pool,
                             options->thread_count, options->test,
                             simulation->first_model, why));
    FL_TRY(fl_memnet_new(&simulation->memnet, options->fleet.seed));
    FL_TRY(add_aggregator(simulation, why));
    return add_boards(simulation);
}

fl_err fl_simulation_new(fl_simulation **simulation,
                         const fl_simulation_options *options, fl_model *model,
                         fl_reason *why)
{
    fl_simulation *new = calloc(1, sizeof *new);
    if (!new) {
        fl_model_free(model);
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory to simulate");
    }
    new->options = *options;
    new->first_model = model;
    new->board_count = fl_partition_client_count(options->partition);
    fl_arena_init(&new->scratch, SCRATCH_CAP);
    fl_random_init(&new->nonces, options->fleet.seed, FL_RANDOM_NONCE,
                   UINT64_MAX);
    const fl_err err = start(new, why);
    if (err) {
        fl_simulation_free(new);
        if (err != FL_ERR_MEMORY) return err;
        return fl_reason_set(why, err, "no memory for %u clients",
                             fl_partition_client_count(options->partition));
    }
    *simulation = new;
    return FL_OK;
}

void fl_simulation_free(fl_simulation *simulation)
{
    if (!simulation) return;
    fl_boards_stop(simulation->boards);
    fl_pool_free(simulation->pool);  // waits for what runs
    fl_boards_free(simulation->boards);
    fl_evaluation_free(simulation->evaluation);
    fl_aggregator_free(simulation->aggregator);
    fl_model_free(simulation->first_model);
    fl_memnet_free(simulation->memnet);
    fl_arena_fini(&simulation->scratch);
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
            fl_boards_handle(simulation->boards, owner, &event);
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

const uint8_t *fl_simulation_ranges(const fl_simulation *simulation,
                                    size_t *len)
{
    return fl_aggregator_ranges(simulation->aggregator, len);
}

double fl_simulation_client_crypto_s(const fl_simulation *simulation)
{
    return fl_boards_crypto_s(simulation->boards);
}

double fl_simulation_server_crypto_s(const fl_simulation *simulation)
{
    return (double)simulation->crypto_ns * 1e-9;
}

int64_t fl_simulation_now_ms(const fl_simulation *simulation)
{
    return fl_memnet_now(simulation->memnet);
}
