/*
 * The client's side of the protocol: a state machine that is fed events and
 * returns effects. No socket, clock, thread or randomness of its own; the
 * daemon connects it to TCP and the disk, the simulator to virtual time.
 *
 * Two things go on side by side. The link:
 *
 *   DOWN --back-off over: DIAL--> DIALING --opened: HELLO--> GREETING
 *     ^                                                         | welcome:
 *     |                                                         v NOISE
 *     +-- lost, silent, refused ---- UP <-- noise: CHECK_IN -- SEALING
 *
 * and the task, which survives the link:
 *
 *   IDLE --plan--> FINDING --> FETCHING --> TRAINING --+
 *     ^         enrolment list, model      |          |  | secure aggregation
 *     |                                    | in the   |  v
 *     |                                    | clear    | SESSION <---------+
 *     |                                    v             |               |
 *     |                         OFFERING <---- BURNING <-+ vector is due |
 *     |                            |                                     |
 *     |                         SENDING --> COMMITTING --ack-------------+
 *     +--- ack of the last word, refusal, round closed
 *
 * A survey goes the same way: what is trained above is looked at then. The
 * last model of a federation, and an INT8 form, are fetched by the same task.
 *
 * A client that is AWAY says why, starts nothing, and hangs up when it is the
 * link that must not be used; what has begun to be summed is finished. Pausing
 * a training is up to who runs it.
 *
 * BURNING is the moment in which the session's number goes to the disk: from
 * then on this update is never masked again.
 *
 * One owner, one thread. Effects are to be carried out in their order and
 * before the next event; what they point to is valid until then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_CLIENT_H
#define FL_CLIENT_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/reason.h"
#include "compress/compress.h"
#include "data/data.h"
#include "model/model.h"
#include "net/net.h"
#include "proto/proto.h"
#include "secure/secure.h"

/* ---- local work ---- */

/* How a training was fitted into memory. */
typedef struct {
    uint32_t thread_count;
    bool recomputes;
    size_t bytes;  // all that it took, beside the data
} fl_footprint;

/* What work gave: the metrics, and the update or the counts. */
typedef struct {
    uint64_t sample_count, correct_count;
    int64_t loss_sum_micro;
    fl_footprint footprint;  // of a training
    uint8_t *update;  // param_count floats, local - global, or uint32_t counts
                      // of a survey, little-endian; owned
    size_t update_len;
} fl_result;

/* Accepts one that is all zeros. */
void fl_result_fini(fl_result *result);

/*
 * The seed of what a client draws for a plan: the plan's own seed and number
 * together, so that an update made again for another session is another one,
 * whatever the aggregator says (the burn rule, docs/threat-model.md).
 */
uint64_t fl_local_seed(const fl_plan *plan);

struct fl_local_data;

/* A training: the model's parameters, on these rows. All borrowed. */
typedef struct {
    const fl_model *model;
    const fl_plan *plan;
    const struct fl_local_data *data;
    const uint32_t *rows;
    uint32_t row_count;
} fl_local_job;

/*
 * One who trains in place of the engine: `params`, which are the model's, in
 * place; *metrics: what the model was worth before. Calls on_step and obeys
 * `stop` and `is_paused` of the job's data. Any error; FL_ERR_CANCELLED:
 * *stop was set. After an error `params` are undefined.
 */
typedef struct {
    fl_err (*train)(void *self, float *params, fl_metrics *metrics,
                    const fl_local_job *job, fl_reason *why);
    void *self;
} fl_local_trainer;

/* What a plan is carried out with; all borrowed. */
typedef struct fl_local_data {
    const uint8_t *model;  // the ONNX file that the plan names
    size_t model_len;
    const uint8_t *ranges;  // and its ranges, when it names some; or NULL
    size_t ranges_len;
    const fl_dataset *dataset;
    const uint32_t *rows;    // this client's, in their order
    const uint64_t *places;  // numbers of theirs, for life; NULL: 0, 1, 2, ...
    uint32_t row_count;
    uint64_t client;          // names this client's random streams
    const atomic_bool *stop;  // set by anyone: leave soon; or NULL
    // Called between two steps of a training, which waits for it; or NULL.
    void (*on_step)(void *self, uint64_t step, uint64_t step_count);
    void *on_step_self;
    // Set: on_step will wait, so what works outside of this program is to stand
    // still for that time; or NULL.
    const atomic_bool *is_paused;
    const fl_local_trainer *trainer;  // who trains; NULL: the engine
    uint32_t thread_count;            // to train with at most; 0: one
    size_t memory_cap;                // bytes that a training may take; 0: any
} fl_local_data;

/* Whether the plan names ranges. */
bool fl_local_has_ranges(const fl_plan *plan);

/*
 * Does what the plan asks for: trains, or answers a survey (survey.h). Pure:
 * the same arguments give the same bits, on any thread; and so do others that
 * end in the same number of threads (footprint). The caller owns *result.
 * FL_ERR_FORMAT, FL_ERR_UNSUPPORTED: the model or the ranges. FL_ERR_RANGE:
 * plan, model and data do not fit, or training diverged. FL_ERR_LIMIT: it does
 * not fit memory_cap, *why has the numbers.
 * FL_ERR_CANCELLED: *stop was set.
 */
FL_CHECK fl_err fl_local_work(fl_result *result, const fl_plan *plan,
                              const fl_local_data *data, fl_reason *why);

/* ---- events ---- */

typedef enum {
    FL_CLIENT_TICK,       // time has passed; also the first event
    FL_CLIENT_OPENED,     // the dialled connection is there
    FL_CLIENT_FRAME,      // bytes, len
    FL_CLIENT_LOST,       // the connection is gone, or never came about
    FL_CLIENT_FOUND,      // answers FIND: model; or parts; or base; or nothing
    FL_CLIENT_TRAINED,    // answers TRAIN: result, or err and why
    FL_CLIENT_BURNED,     // answers BURN: err and why
    FL_CLIENT_INSTALLED,  // answers INSTALL: verdict, or err and why
    FL_CLIENT_AWAY,       // away: why it may not work from now on; NONE: it may
    FL_CLIENT_GIVE_UP,    // a training that is paused would end too late
    FL_CLIENT_STOP,       // leave politely: hang up, then LEAVE
} fl_client_event_kind;

/* What became of an INT8 form, on rows of this client. */
typedef struct {
    bool is_accepted;
    bool is_first;            // none was installed, or none that runs
    bool is_same;             // as the one that is installed already
    uint32_t row_count;       // that both were measured on
    uint32_t correct_count;   // of the new one
    uint32_t correct_before;  // of the one in use, or of the one before that
                              // if that is better
} fl_client_verdict;

typedef struct {
    fl_client_event_kind kind;
    int64_t now_ms;
    const uint8_t *bytes;  // FRAME: borrowed
    size_t len;
    uint8_t *model;  // FOUND: the whole object, taken; or NULL
    size_t model_len;
    fl_parts *parts;  // FOUND: a partial download, taken; or NULL
    uint8_t *base;    // FOUND: another model, whole, taken; or NULL
    size_t base_len;
    const uint8_t *base_name;          // FOUND: its object's; borrowed
    fl_result *result;                 // TRAINED: moved out, when err is FL_OK
    const fl_client_verdict *verdict;  // INSTALLED: borrowed
    fl_away away;                      // AWAY
    fl_err err;
    const char *why;  // TRAINED, BURNED, INSTALLED: the sentence, when err is
                      // not FL_OK
} fl_client_event;

/* ---- effects ---- */

typedef enum {
    FL_CLIENT_DIAL,           // connect to the aggregator
    FL_CLIENT_SEND,           // bytes, len: one frame
    FL_CLIENT_HANG_UP,        // close the connection; LOST follows
    FL_CLIENT_PIN,            // bytes: the aggregator's key, to keep for ever
    FL_CLIENT_PIN_AUTHORITY,  // bytes: the authority's, likewise
    FL_CLIENT_FIND,           // object: is it on disk? takes_base: if not, the
                              // newest other model? FOUND answers
    FL_CLIENT_BEGIN,          // object, bytes, len: keep this manifest
    FL_CLIENT_PUT,            // object, index, bytes, len: keep this chunk
    FL_CLIENT_KEEP,           // object, bytes, len: keep all its chunks
    FL_CLIENT_END,            // object: all its chunks are there; of a model,
                              // bytes and len: these
    FL_CLIENT_TRAIN,          // plan, bytes, len, and ranges where the plan's
                              // work needs them: TRAINED answers
    FL_CLIENT_CANCEL,         // the training that goes on; TRAINED still comes
    FL_CLIENT_SAVE_UPDATE,    // plan, result: keep until DROP_UPDATE; a result
                              // that has no update by now: nothing; never the
                              // counts of a survey
    FL_CLIENT_DROP_UPDATE,    // it is committed, or of no use any more
    FL_CLIENT_BURN,           // session: on disk before BURNED answers, and the
                              // update that SAVE_UPDATE kept is gone
    FL_CLIENT_SAVE_RESIDUAL,  // bytes, len: keep, instead of the one before
    FL_CLIENT_INSTALL,        // plan, bytes, len, ranges: take the INT8 form
                              // into use if it is good; INSTALLED answers
    FL_CLIENT_LOG,            // level, event, text
    FL_CLIENT_LEAVE,          // stop the program; err says why, and so does
                              // text, for people, or is ""
} fl_client_effect_kind;

/* What must outlive this process: it only grows. Zeros: nothing yet. */
typedef struct {
    uint64_t number;            // of the last session with a masked update
    uint64_t enrolment_serial;  // of its enrolment list
    uint8_t enrolment_hash[FL_HASH_BYTES];
    bool has_holdout;  // of all plans, for life
    uint32_t holdout;
} fl_client_past;

typedef struct {
    fl_client_effect_kind kind;
    const uint8_t *bytes;
    size_t len;
    const uint8_t *ranges;  // TRAIN, INSTALL; or NULL
    size_t ranges_len;
    const fl_client_past *past;  // BURN
    const uint8_t *object;       // FL_HASH_BYTES
    bool takes_base;
    uint32_t index;
    const fl_plan *plan;
    const fl_result *result;
    fl_log_level level;
    const char *event;
    const char *text;
    fl_err err;
} fl_client_effect;

/* ---- the machine ---- */

typedef struct {
    fl_identity identity;
    const uint8_t *pin;  // the aggregator's key; NULL: take the first seen
    const uint8_t *authority;  // the enrolment authority's, likewise
    fl_client_past past;
    uint32_t client_min;  // the fewest clients to hide an update among
    bool allows_clear;    // updates may be asked for in the clear
    bool takes_surveys;   // answers surveys, like updates in a sum or, where
                          // that is allowed, in the clear
    bool takes_int8;      // fetches the last model and INT8 forms: INSTALL
    uint32_t min_fields;  // the fewest numbers that a sketch makes of an update
    float min_step;       // the finest step that updates are rounded to; 0: any
    uint64_t start_count;  // of this client's state; makes operations unique
    uint64_t seed;         // of waiting times
    bool leave_when_finished;  // LEAVE after the last round
    const fl_join *join;  // asks to be enrolled, and LEAVEs when it knows how
                          // it stands (fl_client_standing); NULL: takes part
    size_t model_cap;     // longest model taken, bytes
    fl_arena *scratch;    // borrowed; reset at every step; machines of
                          // one thread may share it
    void (*random_bytes)(void *self, void *dst, size_t len);  // secrets
    void *random_self;
    // Decodes a list, which lives until this is called again; so that clients
    // of one process can share it.
    fl_err (*enrol)(void *self, const fl_enrolment **enrolment,
                    const uint8_t *bytes, size_t len, fl_reason *why);
    // Where a list of this name and length is put together, likewise: room
    // until this or `enrol` is called again. NULL: in the client's memory.
    fl_err (*room)(void *self, uint8_t **room,
                   const uint8_t object[FL_HASH_BYTES], size_t len);
    void *enrol_self;
} fl_client_options;

typedef struct fl_client fl_client;

/*
 * The caller owns *client: fl_client_free. `pin`, `authority` and `join` are
 * copied. FL_ERR_RANGE: `join` has a token, and no pin says whom it is for.
 */
FL_CHECK fl_err fl_client_new(fl_client **client,
                              const fl_client_options *options);

/* Wipes the identity. Accepts NULL. */
void fl_client_free(fl_client *client);

/*
 * Gives back an update that SAVE_UPDATE kept, before the first event: it is
 * offered again when its round is still on. `recipe` is fl_plan_recipe's, of
 * the plan that it was made for. Takes *result.
 */
void fl_client_restore(fl_client *client, uint32_t round,
                       const uint8_t recipe[FL_HASH_BYTES], fl_result *result);

/*
 * Gives back what SAVE_RESIDUAL kept, before the first event. It is added to
 * the next update of a codec that has residuals, if it is as long. Takes
 * `bytes`.
 */
void fl_client_restore_residual(fl_client *client, uint8_t *bytes, size_t len);

/* Handles one event; *effects: *count of them, until the next step. */
void fl_client_step(fl_client *client, const fl_client_event *event,
                    const fl_client_effect **effects, size_t *count);

/* When the next TICK is due, on the clock of the events' now_ms. */
int64_t fl_client_deadline(const fl_client *client);

/* When the round of the task ends, on the same clock; INT64_MAX: no task. */
int64_t fl_client_round_end(const fl_client *client);

/* What the aggregator has said of this device when it left, or refused it;
 * NULL: nothing. */
const fl_standing *fl_client_standing(const fl_client *client);

/* For status: "training", "idle", "connecting", ...; never NULL. */
const char *fl_client_activity(const fl_client *client);

/* Whether the event before belonged to a session: what took its time. */
bool fl_client_is_in_session(const fl_client *client);

typedef struct {
    bool is_connected;
    uint32_t round;                 // of the task, or the last one; 0: none yet
    uint32_t update_count;          // committed since the start
    uint64_t bytes_up, bytes_down;  // frames with their length prefix
    uint32_t refused_count;         // updates that the aggregator refused
    fl_step step;                   // of a session, said last; 0: none
    uint32_t session_count;         // sessions that this client saw to the end
    uint32_t fault_count;           // and refused, for a fault of the other
    // Why a round was declined or its training failed; "": an update has been
    // committed since, or neither has happened.
    fl_reason declined;
} fl_client_status;

fl_client_status fl_client_get_status(const fl_client *client);

#endif
