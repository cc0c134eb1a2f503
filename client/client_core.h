/*
 * Inside the client's machine: its state, and the words its parts share.
 *
 *   client.c   the machine from outside: new, step, deadline
 *   uplink.c  the link: dial, greet, ping, give up and try again
 *   standing.c  whether it is enrolled: asked for, or told
 *   task.c     the task: from a plan to the end of its round
 *   download.c   the enrolment list and the model on their way down
 *   shortcut.c   the model made of a patch, or of the model packed
 *   enrol.c      whom an enrolment list is believed from
 *   installing.c the INT8 form on its way into use, and the end
 *   upload.c     the update, encoded, on its way up
 *   residual.c   what an update has not sent, for the next one
 *   masking.c    the session of secure aggregation in between
 *   absence.c    times in which the client may not work
 *   emit.c     effects and frames on their way out
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_CLIENT_CORE_H
#define FL_CLIENT_CLIENT_CORE_H

#include "base/random.h"
#include "client/client.h"

enum {
    FL_CLIENT_WINDOW = 8,              // chunks asked for at once in a download
    FL_CLIENT_UPLOAD_WINDOW_MAX = 16,  // sent at once, whatever is granted
    // A full window, and what else one event can cause.
    FL_CLIENT_EFFECTS_MAX = 2 * FL_CLIENT_UPLOAD_WINDOW_MAX,

    FL_CLIENT_GREET_MS = 25 * 1000,   // dial and handshake together
    FL_CLIENT_ANSWER_MS = 30 * 1000,  // without progress: hang up
    FL_CLIENT_PING_MS = 25 * 1000,
    FL_CLIENT_SILENCE_MS = 90 * 1000,
    FL_CLIENT_BACKOFF_MAX_MS = 60 * 1000,
    FL_CLIENT_BACKOFF_MS = 200,
    FL_CLIENT_RETRY_MS = 2 * 1000,
    FL_CLIENT_LAST_MS = 60 * 1000,  // for the last model, before we leave

    FL_CLIENT_RANGES_CAP = 1024 * 1024,  // bytes of a RANGES object
};

typedef enum {
    FL_UPLINK_DOWN,
    FL_UPLINK_DIALING,
    FL_UPLINK_GREETING,  // HELLO said
    FL_UPLINK_SEALING,   // NOISE said
    FL_UPLINK_UP,
} fl_uplink_state;

typedef enum {
    FL_TASK_IDLE,
    FL_TASK_FINDING,
    FL_TASK_FETCHING,
    FL_TASK_TRAINING,
    FL_TASK_SESSION,  // a step of the aggregator is awaited
    FL_TASK_BURNING,
    FL_TASK_OFFERING,
    FL_TASK_SENDING,
    FL_TASK_COMMITTING,
} fl_task_state;

typedef struct {
    fl_uplink_state state;
    unsigned failure_count;  // links in a row that carried nothing beyond a
                             // check-in; sets the back-off
    bool is_hanging_up;      // HANG_UP said, LOST not yet seen
    int64_t dial_at_ms;      // DOWN
    int64_t greet_by_ms;     // until UP
    int64_t ping_at_ms;      // UP
    int64_t heard_ms;        // UP
    int64_t answer_by_ms;    // something is owed to us until then
    uint8_t hello[FL_LINE_GREETING_CAP];  // GREETING: as it travelled
    size_t hello_len;
    fl_line line;
    uint64_t mail_after;
} fl_uplink;

/* What a job reads. All zeros: none. */
typedef struct {
    uint8_t *model;  // ONNX
    size_t model_len;
    uint8_t *ranges;  // NULL: without
    size_t ranges_len;
} fl_task_files;

typedef struct {
    fl_task_state state;
    fl_plan plan;
    int64_t until_ms;          // the end of the round
    uint64_t first_operation;  // answers to older ones are to another task

    // FINDING, FETCHING
    fl_object_kind wanted_kind;
    uint8_t wanted[FL_HASH_BYTES];
    // What comes: what is wanted, or a shortcut, which becomes that here.
    // Shortcuts are small: they stay in memory.
    fl_object_kind coming_kind;
    uint8_t coming[FL_HASH_BYTES];
    uint32_t coming_round;
    bool is_plain;  // a shortcut has failed: no more of them for this task
    bool goes_without_ranges;  // they cannot be had, and can be done without
    bool is_last;   // after FINISHED: the last model, for which plan.model and
                    // plan.ranges stand; nobody waits for an answer
    uint8_t *base;  // a model that patches may start from; NULL: none
    size_t base_len;
    uint8_t base_name[FL_HASH_BYTES];
    fl_parts *parts;
    uint32_t next_chunk;  // none below it has still to be asked for
    uint32_t on_the_way;  // chunks asked for or sent, not yet answered

    fl_task_files files;  // that have come; TRAINING takes them

    // After training
    fl_result result;
    bool is_burned;  // its masked form may have been sent

    // SESSION
    fl_party *party;  // NULL: not invited yet
    fl_step answer;   // said last; its bytes, its operation until it is acked
    uint8_t *answer_bytes;
    size_t answer_len;
    uint64_t answer_operation;
    int64_t stalled_at_ms;  // INT64_MAX: nothing is awaited in time

    // OFFERING and later
    uint8_t *upload;  // the update, encoded, masked or not
    size_t upload_len;
    uint8_t *offer;  // their encoded manifest
    size_t offer_len;
    uint8_t update[FL_HASH_BYTES];  // its name
    uint32_t chunk_count, window;
    uint8_t *bitmap;  // chunks that the aggregator has or that were sent
    uint64_t chunk_operation;  // the first of the chunks sent since the grant
    uint64_t commit_operation;
    int64_t retry_at_ms;  // OFFERING: when to offer again; INT64_MAX: asked
} fl_task;

/* Floats, little-endian; all zeros: none. */
typedef struct {
    uint8_t *bytes;
    size_t len;
} fl_residual;

struct fl_client {
    fl_client_options options;
    uint8_t pin[FL_KEY_BYTES], authority[FL_KEY_BYTES];
    bool has_pin, has_authority;
    fl_client_past past;
    fl_random backoff;
    uint64_t operation;  // the last one given out
    int64_t now_ms;      // of the event being handled

    fl_uplink uplink;
    fl_task task;
    // What BEGIN, PUT, KEEP and END name; `wanted` may change in the same step.
    uint8_t downloading[FL_HASH_BYTES];
    fl_residual residual;        // added to the next update
    fl_residual pending;         // takes its place when that one is committed
    fl_residual before;          // what it was then, until that round is over
    uint64_t pending_operation;  // fl_residual_await; 0: none
    uint32_t residual_round;     // of the commit that may be undone; 0: none
    // The list that is held; NULL: none yet.
    const fl_enrolment *enrolment;
    uint8_t enrolment_object[FL_HASH_BYTES];

    // The ranges that came last: so small that they need no disk.
    uint8_t *ranges;  // NULL: none yet
    size_t ranges_len;
    uint8_t ranges_object[FL_HASH_BYTES];

    // A result that waits for a plan: of a round that failed, or from disk.
    fl_result kept;
    uint32_t kept_round;
    uint8_t kept_recipe[FL_HASH_BYTES];
    // What the job reads that runs now; the model is NULL when none does.
    fl_task_files trained;
    bool is_trained_for_task;  // false: cancelled, its result is dropped
    // Of an INT8 form that is being installed, likewise.
    fl_task_files installing;
    fl_plan installing_plan;
    fl_task_files waiting;  // the newest form that came meanwhile
    fl_plan waiting_plan;
    fl_task_files spent;  // effects of this step may point to them
    uint8_t tried_model[FL_HASH_BYTES];  // the form that was tried last
    uint8_t tried_ranges[FL_HASH_BYTES];
    int64_t leave_by_ms;  // at the latest, when we leave after that
    bool has_finished;    // FINISHED was said last
    bool is_leaving;
    fl_away away;   // NONE: it may work
    fl_reason why;  // we leave, when that is for a fault

    fl_join join;  // is_joining: what is asked for; a secret
    bool is_joining;
    bool is_pending;       // told so last
    fl_standing standing;  // state 0: not told yet

    fl_client_status status;
    fl_client_effect effects[FL_CLIENT_EFFECTS_MAX];
    size_t effect_count;
};

/* ---- emit.c ---- */

/* Appends an effect; the array is large enough by construction. */
void fl_emit(fl_client *client, fl_client_effect effect);

/* Appends a LOG effect; `format` as for fl_log. */
void fl_emit_log(fl_client *client, fl_log_level level, const char *event,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends a SEND effect; the bytes live until the next step. */
void fl_emit_frame(fl_client *client, const uint8_t *bytes, size_t len);

/* Seals a message and sends it. Without memory the link is given up instead. */
void fl_emit_message(fl_client *client, fl_message *message);

/* An operation id that no other operation of this client has, ever. */
uint64_t fl_emit_operation(fl_client *client);

/* ---- uplink.c ---- */

void fl_uplink_start(fl_client *client);
void fl_uplink_opened(fl_client *client);

/* Wipes the keys of the connection. */
void fl_uplink_fini(fl_client *client);

void fl_uplink_lost(fl_client *client);
void fl_uplink_tick(fl_client *client);
int64_t fl_uplink_deadline(const fl_client *client);

/* Decodes a frame and hands it to whom it concerns. */
void fl_uplink_frame(fl_client *client, const uint8_t *bytes, size_t len);

/* Gives up the connection; `why` goes into the log. */
void fl_uplink_hang_up(fl_client *client, const char *why);

/*
 * An answer is owed to the task from now on; or none is. Before the check-in
 * is answered, that answer is owed whatever the task does.
 */
void fl_uplink_expect(fl_client *client, bool is_owed);

/* The same where nothing is wrong. */
void fl_uplink_hang_up_quietly(fl_client *client);

/* Says goodbye and leaves; client->why says why, when err is not FL_OK. */
void fl_uplink_leave(fl_client *client, fl_err err);

/* Says why the client is away, or that it is back. */
void fl_uplink_tell_away(fl_client *client);

/* ---- absence.c ---- */

/* Whether the link must not be used. */
bool fl_absence_is_of_link(const fl_client *client);

void fl_absence_change(fl_client *client, fl_away away);

/* The training would end too late: another client may do it. */
void fl_absence_give_up(fl_client *client);

/* Hangs up as soon as nothing is left that must be finished. */
void fl_absence_settle(fl_client *client);

/* ---- standing.c ---- */

/* Asks to be enrolled. */
void fl_standing_ask(fl_client *client);
void fl_standing_told(fl_client *client, const fl_standing *standing);

/* ---- task.c ---- */

/* Frees them; zeros. */
void fl_task_files_fini(fl_task_files *files);

void fl_task_mail(fl_client *client, const fl_mail *mail);
void fl_task_trained(fl_client *client, const fl_client_event *event);

/* The link is up: go on where the task stood. */
void fl_task_resume(fl_client *client);

/* The link is gone: nothing is on its way any more. */
void fl_task_suspend(fl_client *client);

/* ACK, REFUSAL, MANIFEST, CHUNK, GRANT. */
void fl_task_answer(fl_client *client, const fl_message *message);

void fl_task_tick(fl_client *client);
int64_t fl_task_deadline(const fl_client *client);

/* Whether an update that is kept is what the plan asks for. */
bool fl_task_is_kept(const fl_client *client);

/* Everything that the plan needs has come: train, or use what is kept. */
void fl_task_downloaded(fl_client *client);

/* The task has done all that was asked for. */
void fl_task_finish(fl_client *client);

/* Takes no part in the round: says so, and back to IDLE. */
void fl_task_decline(fl_client *client);

/* Back to IDLE, everything freed, the training cancelled. */
void fl_task_drop(fl_client *client);

/* ---- installing.c ---- */

/* Whether the plan's work needs the ranges that it names. */
bool fl_installing_needs_ranges(const fl_client *client);

/*
 * These are the files of `plan`: its INT8 form is to be installed, unless it
 * was tried before; when another one has been, if one is being installed, and
 * no newer one comes. Takes *files if so.
 */
void fl_installing_begin(fl_client *client, const fl_plan *plan,
                         fl_task_files *files);
void fl_installing_done(fl_client *client, const fl_client_event *event);

/* FINISHED: fetches what it names. */
void fl_installing_last(fl_client *client, const fl_mail *mail);

/* Leaves when nothing is left to do, or there is no more time. */
void fl_installing_leave(fl_client *client);

/* ---- download.c ---- */

/* Looks for what the plan needs next, or goes on with fl_task_downloaded. */
void fl_download_begin(fl_client *client);
void fl_download_found(fl_client *client, const fl_client_event *event);
void fl_download_resume(fl_client *client);
void fl_download_manifest(fl_client *client, const uint8_t *src, size_t len);
void fl_download_chunk(fl_client *client, const fl_chunk *chunk);

/* True: there is another way to the model, which is taken from now on. */
bool fl_download_refused(fl_client *client, const fl_refusal *refusal);

/* ---- shortcut.c ---- */

/*
 * Makes the model that is wanted of the shortcut that has come, and has it
 * kept on disk. The caller owns *bytes. FL_ERR_AUTH: it becomes another one.
 * FL_ERR_LIMIT: one that is too long. Those of fl_patch_apply and
 * fl_packed_decode.
 */
FL_CHECK fl_err fl_shortcut_finish(fl_client *client, uint8_t **bytes,
                                   size_t *len, fl_reason *why);

/* ---- enrol.c ---- */

/*
 * Makes this the list that is held. Nothing is held after an error: those of
 * options.enrol; FL_ERR_AUTH: another authority's, or this client is not in
 * it; FL_ERR_STALE: an old one.
 */
FL_CHECK fl_err fl_enrol_client(fl_client *client, const uint8_t *bytes,
                                size_t len, fl_reason *why);

/* ---- upload.c ---- */

/* Makes task.upload of the result, masked by a party if there is one. */
FL_CHECK fl_err fl_upload_pack(fl_client *client, fl_reason *why);

/* Packs the result in the clear and offers it. */
void fl_upload_begin_clear(fl_client *client);

/* Offers task.upload. */
void fl_upload_begin(fl_client *client);
void fl_upload_resume(fl_client *client);
void fl_upload_granted(fl_client *client, const fl_grant *grant);
void fl_upload_acknowledged(fl_client *client, uint64_t operation);

/* Offers again after a while. */
void fl_upload_later(fl_client *client, int64_t delay_ms);

/* ---- residual.c ---- */

/* Adds what earlier updates have not sent; one of another model is dropped. */
void fl_residual_add(fl_client *client, float *update, size_t count);

/*
 * The model has fewer parameters from now on: from[i] is which one of the
 * former's parameter i is; NULL: they are the same ones. What has not been sent
 * of those that are left stays; a residual of another model is dropped.
 */
void fl_residual_follow(fl_client *client, const uint32_t *from, size_t count);

/*
 * Keeps what the task's update does not send, instead of what was pending.
 * FL_ERR_MEMORY: nothing has changed, and the update must not be sent.
 */
FL_CHECK fl_err fl_residual_pend(fl_client *client, const float *left,
                                 size_t count);

/* The task's update is with the aggregator: what was pending is the residual,
 * unless that is of an earlier one (fl_residual_await). */
void fl_residual_commit(fl_client *client);

/* What was committed is in a model: there is no way back. */
void fl_residual_settle(fl_client *client);

/* This round has failed, and what was committed in it is lost: the residual is
 * what it was before. */
void fl_residual_undo(fl_client *client, uint32_t round);

/* The answer to this COMMIT is on its way when the next task begins already:
 * what is pending outlives its own. */
void fl_residual_await(fl_client *client, uint64_t operation);

/* An ACK: perhaps the one that is awaited. */
void fl_residual_answered(fl_client *client, uint64_t operation);

/* The update never gets there. */
void fl_residual_forget_pending(fl_client *client);

/* Wipes and frees all. */
void fl_residual_fini(fl_client *client);

/* ---- masking.c ---- */

/* The update is ready: says so, and waits to be invited. */
void fl_masking_begin(fl_client *client);
void fl_masking_step(fl_client *client, const fl_step_body *step);
void fl_masking_burned(fl_client *client, const fl_client_event *event);

/* The masked vector is with the aggregator. */
void fl_masking_committed(fl_client *client);
void fl_masking_acknowledged(fl_client *client, uint64_t operation);
void fl_masking_resume(fl_client *client);
void fl_masking_tick(fl_client *client);

#endif
