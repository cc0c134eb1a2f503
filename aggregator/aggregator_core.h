/*
 * Inside the aggregator's machine: its state, and the words its parts share.
 *
 *   aggregator.c  the machine from outside: new, step, deadline
 *   peer.c        connections: handshake, check-in, mail, silence
 *   round.c       the round: cohort, deadline, evaluate, save
 *   harvest.c     what its sum becomes: the next model and the record
 *   farewell.c    after the last round
 *   aggregation.c  the sum: of updates in the clear, or by a session
 *   survey.c      rounds that ask instead of training, and what follows
 *   roll.c        the enrolment list: who may be in a cohort
 *   entry.c       who may come in: asks to join, is let in, is thrown out
 *   object.c      model and list on their way down, updates on their way up
 *   versions.c    models of the last rounds, and what leads to the newest
 *   settings.c    options that change between two rounds
 *   reply.c       effects and frames on their way out
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_AGGREGATOR_CORE_H
#define FL_AGGREGATOR_AGGREGATOR_CORE_H

#include "aggregator/aggregator.h"
#include "aggregator/object.h"
#include "aggregator/versions.h"
#include "base/map.h"

enum {
    FL_AGGREGATOR_GREET_MS = 15 * 1000,
    FL_AGGREGATOR_SILENCE_MS = 90 * 1000,
    FL_AGGREGATOR_LEASE_MS = 30 * 1000,  // gone that long: a dropout
    FL_AGGREGATOR_GRACE_MS = 2 * 1000,   // and in a session, which is short
    FL_AGGREGATOR_SWEEP_MS = 1000,       // how often silence is looked for
    FL_AGGREGATOR_RETRY_MS = 10 * 1000,  // after a failed save
    FL_AGGREGATOR_PAUSE_MS = 1000,       // after a failed round
    FL_AGGREGATOR_QUIET_MS = 3 * 1000,   // nobody has come or fetched it
    FL_AGGREGATOR_GREETING_MAX = 256,    // connections that prove nothing yet
    FL_AGGREGATOR_WINDOW = 8,
    FL_AGGREGATOR_BURST_BYTES = 8 << 20,  // of mail, between two other events
};

#define FL_AGGREGATOR_NONE UINT32_MAX

typedef enum {
    FL_PEER_NEW,      // connected
    FL_PEER_GREETED,  // HELLO answered
    FL_PEER_SEALED,   // NOISE answered; who it is may still be a replay
    FL_PEER_CHECKED_IN,
} fl_peer_state;

/* A connection. Slots are reused; `conn` 0 marks a free one. */
typedef struct {
    fl_conn conn;
    fl_peer_state state;
    bool is_closing;
    uint32_t client;  // slot, when CHECKED_IN; else NONE
    int64_t heard_ms;
    fl_line line;
} fl_peer;

typedef enum {
    FL_PART_NONE,       // not in the cohort
    FL_PART_SELECTED,   // asked, not done
    FL_PART_READY,      // SECURE: trained, or in the session
    FL_PART_COMMITTED,  // its update is in the sum
    FL_PART_REFUSED,    // its update was bad, or it declined
} fl_part;

/* An update on its way. */
typedef struct {
    fl_parts *parts;
    uint8_t object[FL_HASH_BYTES];
} fl_upload;

/* A client that has been here since the start. */
typedef struct {
    fl_client_record record;
    fl_device device;  // what it can be enrolled with
    uint32_t place;    // in the enrolment list, while its round is on
    uint32_t peer;     // slot; NONE: not connected
    int64_t lost_ms;   // when the connection went
    fl_away away;      // what it said last of why it cannot work
    fl_part part;
    uint32_t seat;            // in the cohort
    bool has_declined;        // the round that is on
    uint32_t declined_round;  // the last that it would not do; 0: none
    fl_upload *upload;
    uint8_t committed[FL_HASH_BYTES];  // the last update that went into a sum
    uint32_t committed_round;          // and of which round; 0: none
    // The mailbox. A newer mail makes the one before void, so it has one row.
    uint64_t mail_sequence;  // 0: empty
    fl_mail_kind mail_kind;
    uint32_t mail_round;
} fl_member;

typedef enum {
    FL_PHASE_GATHERING,
    FL_PHASE_TRAINING,
    FL_PHASE_SESSION,
    FL_PHASE_UNMASKING,
    FL_PHASE_EVALUATING,
    FL_PHASE_SAVING,
    FL_PHASE_FAREWELL,
    FL_PHASE_FINISHED,
} fl_phase;

/* The model that has just been replaced by another shape, until that is saved:
 * clients still fetch it. All NULL: none. */
typedef struct {
    fl_model *model;
    fl_master *master;
    bool *keep;  // the channels that are left of it; NULL: it has grown
    size_t channel_count;
    uint32_t *from;  // as fl_model_shrink gave it
} fl_shed;

/* The sum of the round. */
typedef struct {
    fl_codec codec;
    size_t word_count;  // of an update that can be masked
    uint32_t client_min, client_cap;
    uint64_t *sums;       // CLEAR: fl_codec_sums of them
    size_t sum_cap;       // that there is room for
    uint64_t payload_up;  // bytes of the updates that were taken
    uint64_t number;      // of the session or attempt, the last one given out
    fl_secagg *secagg;    // SECURE, from SESSION to the end of the round
    uint32_t told_count;  // of the cohort, what the phase has to tell
    int64_t lost_at_ms;   // when the next who is gone is not awaited any more
    uint8_t *step;        // FL_SESSION_STEP_MAX, for one message at a time
    uint32_t aborted_count, aborted_since_save;
    uint64_t bytes_control;  // since the last round was saved
} fl_sum;

struct fl_aggregator {
    fl_aggregator_options options;
    fl_aggregator_settings next_settings;
    int64_t now_ms;  // of the event being handled
    bool has_started, has_next_settings;
    bool is_outdated;        // clients have had later mail, as we have said
    uint64_t mail_sequence;  // the last one given out

    fl_peer *peers;
    uint32_t peer_count, peer_cap;  // slots in use or once used; allocated
    uint32_t greeting_count;
    fl_map peer_of_conn;
    int64_t sweep_at_ms;

    fl_member *members;
    uint32_t member_count, member_cap;
    uint32_t present_count;  // checked in now
    uint32_t able_count;     // of these, who can work
    fl_map member_of_key;    // by the first 8 bytes of the public key

    fl_phase phase;
    int64_t phase_until_ms;  // GATHERING: not before; TRAINING: deadline;
                             // SAVING: save again, INT64_MAX: under way;
                             // FAREWELL: the end
    int64_t fetched_ms;      // FAREWELL: when somebody came or fetched
    int64_t opened_ms;       // of the round: its plans went out
    uint32_t rounds_done, attempt;
    uint32_t *cohort;  // member slots
    uint32_t cohort_len;
    uint32_t ready_count, committed_count;
    fl_sum sum;
    uint64_t bytes_up, bytes_down;  // since the last round was saved
    uint32_t refused_count;
    uint8_t (*contributors)[FL_KEY_BYTES];
    size_t contributor_count;

    fl_model *model;    // the global model; published as it was saved
    fl_master *master;  // what it follows
    fl_published published;
    fl_versions versions;     // published and before, for those who hold one
    fl_reduction *reduction;  // NULL: the model stays as large as it is
    fl_reduction_outcome outcome;  // of the survey that is being closed
    fl_work work;                  // of the round that is on
    fl_published ranges;           // of the INT8 form that plans name
    fl_shed shed;
    fl_model_cost cost;       // of the model
    fl_enrolment *enrolment;  // SECURE: in force; a round keeps its own
    fl_published roll;
    fl_enrolment *next_enrolment;  // takes its place after that; NULL: none
    fl_published next_roll;
    fl_registration *registry;  // in rising order of identities
    uint32_t registry_count;
    struct {
        fl_device device;
        fl_join words;
    } asking;  // what a JOIN points to; wiped at the next step
    // What is being saved; becomes the above when it is.
    fl_round_record record;
    uint8_t *next_bytes, *next_master;
    size_t next_len, next_master_len;

    size_t upload_bytes;  // taken by updates on their way

    fl_aggregator_effect *effects;
    size_t effect_count, effect_cap;
};

/* ---- settings.c ---- */

/* The quorum that holds: no session is possible with less than it needs. */
uint32_t fl_settings_quorum(const fl_aggregator_options *options);

/* They wait for the round that is on. */
void fl_settings_ask(fl_aggregator *aggregator,
                     const fl_aggregator_settings *settings);

/* Takes what waits; only while no round is on. */
void fl_settings_take(fl_aggregator *aggregator);

/* ---- reply.c ---- */

/* Appends an effect; without memory it is lost, and logged nowhere. */
void fl_reply(fl_aggregator *aggregator, fl_aggregator_effect effect);

/* Appends a LOG effect; `format` as for fl_log. */
void fl_reply_log(fl_aggregator *aggregator, fl_log_level level,
                  const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends a SEND effect; the bytes live until the next step. */
void fl_reply_frame(fl_aggregator *aggregator, const fl_peer *peer,
                    const uint8_t *bytes, size_t len);

/* Seals a message, once the channel is open, and sends it. */
void fl_reply_message(fl_aggregator *aggregator, fl_peer *peer,
                      fl_message *message);

/* Answers `request` with ACK. */
void fl_reply_ack(fl_aggregator *aggregator, fl_peer *peer,
                  const fl_message *request);

/* Answers `request` with a refusal. */
void fl_reply_refusal(fl_aggregator *aggregator, fl_peer *peer,
                      const fl_message *request, fl_err err, const char *text);

/* ---- peer.c ---- */

void fl_peer_opened(fl_aggregator *aggregator, fl_conn conn);
void fl_peer_closed(fl_aggregator *aggregator, fl_conn conn);
void fl_peer_frame(fl_aggregator *aggregator, fl_conn conn,
                   const uint8_t *bytes, size_t len);

/* Closes who is silent, every now and then. */
void fl_peer_sweep(fl_aggregator *aggregator);

void fl_peer_close(fl_aggregator *aggregator, fl_peer *peer, const char *why);

/* NULL: there is no such connection. */
fl_peer *fl_peer_find(fl_aggregator *aggregator, fl_conn conn);

/* Its member is gone for good: nobody waits for it. */
void fl_peer_expel(fl_aggregator *aggregator, fl_peer *peer,
                   const fl_standing *standing);
void fl_peer_close_all(fl_aggregator *aggregator);

/* Wipes and frees all peers. */
void fl_peer_free_all(fl_aggregator *aggregator);

/* Puts a mail into the member's mailbox and pushes it when connected. */
void fl_peer_mail(fl_aggregator *aggregator, fl_member *member,
                  fl_mail_kind kind, uint32_t round);

/* ---- round.c ---- */

/* The number of the round that is on, or comes next. */
uint32_t fl_round_number(const fl_aggregator *aggregator);

/* How the round trains: the plan but for what follows from its sum. */
fl_plan fl_round_recipe(const fl_aggregator *aggregator);

/* This member's plan of the round that is on, its deadline counted from now. */
fl_plan fl_round_plan(const fl_aggregator *aggregator, const fl_member *member);

/* Makes the model, saved as `bytes`, the one that clients download; taken when
 * the result is FL_OK. */
FL_CHECK fl_err fl_round_publish(fl_aggregator *aggregator, uint32_t round,
                                 uint8_t *bytes, size_t len);

/* Looks whether the phase can end: after any event. */
void fl_round_advance(fl_aggregator *aggregator);

void fl_round_evaluated(fl_aggregator *aggregator,
                        const fl_aggregator_event *event);
void fl_round_saved(fl_aggregator *aggregator, fl_err err);
int64_t fl_round_deadline(const fl_aggregator *aggregator);

/* The round has come to nothing: with another cohort, again. */
void fl_round_fail(fl_aggregator *aggregator);

/* The sum is there: the new model. */
void fl_round_close(fl_aggregator *aggregator);

/* ---- harvest.c ---- */

/*
 * What a round's sum was for: the new model, or what clients know of this one,
 * with its bytes and its record, ready to be saved. FL_ERR_RANGE: no clients
 * can have made that sum; nothing has changed. FL_ERR_MEMORY: the aggregator
 * has to be started again.
 */
FL_CHECK fl_err fl_harvest_take(fl_aggregator *aggregator, fl_reason *why);

/* Whether the model of the round that is on is measured. */
bool fl_harvest_is_measured(const fl_aggregator *aggregator);

/* ---- farewell.c ---- */

/* The last round is done: says so, and of a model that was made smaller lets
 * clients fetch the last one before all is over. */
void fl_farewell_begin(fl_aggregator *aggregator);

/* A member has checked in: after the last round it hears that all is over. */
void fl_farewell_welcome(fl_aggregator *aggregator, fl_member *member);

/* FAREWELL: looks whether all is over. */
void fl_farewell_advance(fl_aggregator *aggregator);
int64_t fl_farewell_deadline(const fl_aggregator *aggregator);

/* ---- aggregation.c ---- */

/* Most bytes of one update of this model, in the largest cohort. */
uint64_t fl_aggregation_bytes(const fl_aggregator_options *options,
                              const fl_model *model);

/* An empty sum for the cohort that has been picked. */
FL_CHECK fl_err fl_aggregation_begin(fl_aggregator *aggregator);

/* FL_ERR_RANGE: an update of this round does not have so many bytes. */
FL_CHECK fl_err fl_aggregation_check(const fl_aggregator *aggregator,
                                     uint64_t bytes, fl_reason *why);

/* CLEAR: adds one update. Errors of fl_codec_add. */
FL_CHECK fl_err fl_aggregation_add(fl_aggregator *aggregator,
                                   const uint8_t *bytes, size_t len,
                                   fl_reason *why);

/* SECURE: opens a session with those who are ready. */
void fl_aggregation_open(fl_aggregator *aggregator);

/* SECURE: ends phases whose time has come. */
void fl_aggregation_advance(fl_aggregator *aggregator);

/* SECURE: a client's step; answered. */
void fl_aggregation_step(fl_aggregator *aggregator, fl_peer *peer,
                         const fl_message *message);

/*
 * SECURE: what this member is to be told now, valid until the next call.
 * FL_ERR_NOT_FOUND: nothing.
 */
FL_CHECK fl_err fl_aggregation_message(fl_aggregator *aggregator,
                                       const fl_member *member,
                                       fl_step_body *step);
void fl_aggregation_unmasked(fl_aggregator *aggregator,
                             const fl_aggregator_event *event);

/* Whether a packed vector of this member is awaited now. */
bool fl_aggregation_is_due(const fl_aggregator *aggregator,
                           const fl_member *member);

/* When a phase wants to be looked at again. */
int64_t fl_aggregation_deadline(const fl_aggregator *aggregator);

/*
 * The weighted mean (a float a parameter) and the clients' metrics; the master
 * learns what the sum was like. FL_ERR_RANGE: no sum of clients, or one that
 * has wrapped.
 */
FL_CHECK fl_err fl_aggregation_mean(fl_aggregator *aggregator, float *mean,
                                    fl_update_metrics *metrics, fl_reason *why);

/* Whether this member's update is in the sum. */
bool fl_aggregation_has(const fl_aggregator *aggregator,
                        const fl_member *member);

/* The round is over, one way or the other. */
void fl_aggregation_end(fl_aggregator *aggregator);

/* SURVEY: the sums of the counts, fl_reduction_counts of them, likewise. */
FL_CHECK fl_err fl_aggregation_counts(fl_aggregator *aggregator,
                                      uint64_t *counts,
                                      fl_update_metrics *metrics,
                                      fl_reason *why);

/* ---- survey.c ---- */

/* Takes over what was saved of a reduction, or begins one. */
FL_CHECK fl_err fl_survey_init(fl_aggregator *aggregator, const fl_model *model,
                               const uint8_t *saved, size_t saved_len,
                               fl_reason *why);
void fl_survey_fini(fl_aggregator *aggregator);

/* Whether the round that is on, or comes next, is a survey. */
bool fl_survey_is_next(const fl_aggregator *aggregator);

/* Clients that the next round asks. */
uint32_t fl_survey_cohort(const fl_aggregator *aggregator);

/* What the plan of the next round says beside training. */
void fl_survey_write_plan(const fl_aggregator *aggregator, fl_plan *plan);

/* Of a survey. Errors of fl_reduction_counts. */
FL_CHECK fl_err fl_survey_codec(const fl_aggregator *aggregator,
                                fl_codec *codec, uint64_t seed);

/* Whether one client can have said that, before it is added: FL_ERR_RANGE, and
 * errors of fl_codec_add. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_survey_check(const fl_aggregator *aggregator,
                                const uint8_t *bytes, size_t len,
                                fl_reason *why);

/*
 * The survey's sum is there: what follows of it for the model. FL_ERR_RANGE:
 * numbers that no clients can have sent; nothing has changed. FL_ERR_MEMORY:
 * the aggregator has to be started again.
 */
FL_CHECK fl_err fl_survey_close(fl_aggregator *aggregator,
                                fl_update_metrics *metrics, fl_reason *why);

/* What the survey, if it was one, says in the round's record. */
void fl_survey_record(fl_aggregator *aggregator, fl_round_record *record);

/* Whether the INT8 form has just been accepted. */
bool fl_survey_has_int8(const fl_aggregator *aggregator);

/* Makes the ranges that plans name what clients can fetch. */
FL_CHECK fl_err fl_survey_publish(fl_aggregator *aggregator);

/* Adds what is published to the versions that clients may hold. */
FL_CHECK fl_err fl_survey_push(fl_aggregator *aggregator, uint32_t round);

/* The model of before is not needed any more. */
void fl_survey_shed(fl_aggregator *aggregator);

/* ---- roll.c ---- */

/* Takes over the list of the options. */
FL_CHECK fl_err fl_roll_init(fl_aggregator *aggregator, fl_reason *why);

void fl_roll_fini(fl_aggregator *aggregator);

/* The list that was signed last, in force or next; NULL: none. */
const fl_enrolment *fl_roll_newest(const fl_aggregator *aggregator);

/*
 * The registry has changed, or the authority elsewhere has signed `list` (NULL:
 * it has not): signs what follows, at once. It is in force as soon as no round
 * needs the one before.
 */
void fl_roll_follow(fl_aggregator *aggregator, const uint8_t *list,
                    size_t list_len);

/* Takes over a client's card, under the registry's name or one of our making.
 */
void fl_roll_introduce(const fl_aggregator *aggregator, fl_member *member,
                       const fl_device *device);

/*
 * Gives every member of the cohort its place, signing a new list if need be.
 * Who cannot be in a list leaves the cohort.
 */
FL_CHECK fl_err fl_roll_call(fl_aggregator *aggregator);

/* ---- entry.c ---- */

void fl_entry_fini(fl_aggregator *aggregator);

/* Forgets what the step before has been asked. */
void fl_entry_forget(fl_aggregator *aggregator);

/* What is known of this device; NULL: nothing. */
const fl_registration *
fl_entry_registration(const fl_aggregator *aggregator,
                      const uint8_t identity[FL_KEY_BYTES]);

/* How a device stands that says who it is. */
fl_standing fl_entry_standing(const fl_aggregator *aggregator,
                              const uint8_t identity[FL_KEY_BYTES]);

/* Tells it so: in answer to `request`, or unasked (NULL). */
void fl_entry_tell(fl_aggregator *aggregator, fl_peer *peer,
                   const fl_message *request, const fl_standing *standing);

/* JOIN of a peer that is sealed; and what has become of it. */
void fl_entry_ask(fl_aggregator *aggregator, fl_peer *peer,
                  fl_message *message);
void fl_entry_answer(fl_aggregator *aggregator,
                     const fl_aggregator_event *event);

/* Another registry: who may not be here any more is told so and goes. */
void fl_entry_follow(fl_aggregator *aggregator, const fl_registry *registry);

/* ---- object.c ---- */

/* FETCH, OPEN, CHUNK, COMMIT of a client that has checked in. */
void fl_object_request(fl_aggregator *aggregator, fl_peer *peer,
                       const fl_message *message);

/* Forgets a member's half-sent update. */
void fl_object_drop(fl_aggregator *aggregator, fl_member *member);

#endif
