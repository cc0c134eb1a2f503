/*
 * The messages of fedge: structs here, bytes on the wire, nothing else.
 *
 * A frame (net/ puts its length in front) is, little-endian:
 *
 *   u16 magic 0xFED6 | u8 version | u8 type | u16 flags 0 | u16 header length
 *   | session 16 | u64 counter | u64 operation | u32 round | body
 *
 * Two frames a side are in clear: they open the sealed channel (line.h). All
 * others are numbered, counter 1, 2, 3 in each direction; their header stays
 * readable and their body is sealed. The operation is the same in every retry
 * and in the answer, so that nothing happens twice. Control bodies are protobuf
 * (fedge.proto is the contract), chunks are raw bytes. Length limits are
 * checked by type before a body is opened or looked at.
 *
 *   client                                     aggregator
 *   HELLO    versions               -------->
 *                                   <--------  WELCOME  keys, card
 *   NOISE    keys, card             -------->
 *                                   <--------  NOISE    session
 *   CHECK_IN mail position           -------->
 *                                   <--------  ACK
 *                                   <--------  MAIL     plan of a round
 *   FETCH    manifest or chunk      -------->
 *                                   <--------  MANIFEST, CHUNK
 *   OPEN     manifest               -------->
 *                                   <--------  GRANT    what is missing, window
 *   CHUNK                           -------->
 *                                   <--------  ACK
 *   COMMIT                          -------->
 *                                   <--------  ACK
 *
 * Under secure aggregation MAIL also brings the steps of a session, and STEP
 * answers them (secure/session.h); what is uploaded is masked.
 *
 * A device that is not enrolled says JOIN instead of CHECK_IN, and hears
 * STANDING (join.h).
 *
 * Any request may be answered by REFUSAL instead. PING carries the mail
 * position; its answers are PONG and whatever mail is newer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_PROTO_PROTO_H
#define FL_PROTO_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/reason.h"
#include "proto/join.h"

enum {
    FL_PROTO_VERSION = 2,
    FL_PROTO_HEADER_BYTES = 44,
    FL_PROTO_HASH_BYTES = 32,
    FL_PROTO_KEY_BYTES = 32,
    FL_PROTO_SESSION_BYTES = 16,
    FL_PROTO_SIGNATURE_BYTES = 64,
    FL_PROTO_TEXT_CAP = 200,  // build and refusal texts, final 0 included

    FL_PROTO_CHUNK_BYTES = 64 * 1024,
    FL_PROTO_OBJECT_BYTES_MAX = 320 * 1024 * 1024,
    FL_PROTO_CHUNKS_MAX = FL_PROTO_OBJECT_BYTES_MAX / FL_PROTO_CHUNK_BYTES,

    FL_PROTO_FRAME_MAX = 256 * 1024 + 64,  // longest frame of any type
    FL_PROTO_SEAL_BYTES = 16,              // behind a sealed body; counted
    FL_PROTO_GREETING_MAX = 512,           // a body in clear
    FL_PROTO_JOIN_MAX = 512,
    FL_PROTO_WINDOW_MAX = 64,  // chunks on their way at once
    FL_PROTO_BITMAP_MAX = FL_PROTO_CHUNKS_MAX / 8,
    FL_PROTO_SAMPLES_MAX = 1 << 20,        // of one client
    FL_PROTO_STEPS_MAX = 1 << 16,          // local epochs; rows of a batch
    FL_PROTO_STEP_MAX = 256 * 1024 - 512,  // bytes of a session's step
    FL_PROTO_CLIENTS_MAX = 16384,          // of a session
    FL_PROTO_RUNS_MAX = 512,               // of a codec's layout
};

typedef enum {
    FL_MESSAGE_HELLO = 1,
    FL_MESSAGE_WELCOME = 2,
    FL_MESSAGE_NOISE = 3,
    FL_MESSAGE_CHECK_IN = 4,
    FL_MESSAGE_ACK = 5,
    FL_MESSAGE_REFUSAL = 6,
    FL_MESSAGE_MAIL = 7,
    FL_MESSAGE_FETCH = 8,
    FL_MESSAGE_MANIFEST = 9,
    FL_MESSAGE_CHUNK = 10,
    FL_MESSAGE_OPEN = 11,
    FL_MESSAGE_GRANT = 12,
    FL_MESSAGE_COMMIT = 13,
    FL_MESSAGE_PING = 14,
    FL_MESSAGE_PONG = 15,
    FL_MESSAGE_STEP = 16,
    FL_MESSAGE_JOIN = 17,
    FL_MESSAGE_STANDING = 18,
} fl_message_type;

/* The client's first words. */
typedef struct {
    uint32_t version_min, version_max;  // from 1
    char build[FL_PROTO_TEXT_CAP];      // "fedge 0.1.0", for the log
} fl_hello;

/* The aggregator's answer: `card` is the identity's word for the other key. */
typedef struct {
    uint32_t version;  // 1 .. 255
    uint8_t public_key[FL_PROTO_KEY_BYTES];
    uint8_t channel_key[FL_PROTO_KEY_BYTES];
    uint8_t card[FL_PROTO_SIGNATURE_BYTES];
} fl_welcome;

/*
 * Why a client cannot work now. Values travel: append, never renumber. One
 * that is not known here has become OTHER.
 */
#define FL_AWAY_LIST(X)                       \
    X(FL_AWAY_NONE, 0, "here")                \
    X(FL_AWAY_OTHER, 1, "other")              \
    X(FL_AWAY_METERED, 2, "metered")          \
    X(FL_AWAY_BYTE_BUDGET, 3, "byte_budget")  \
    X(FL_AWAY_HOT, 4, "hot")                  \
    X(FL_AWAY_THROTTLED, 5, "throttled")      \
    X(FL_AWAY_ON_BATTERY, 6, "on_battery")    \
    X(FL_AWAY_LOW_MEMORY, 7, "low_memory")    \
    X(FL_AWAY_BUSY, 8, "busy")                \
    X(FL_AWAY_QUIET_HOURS, 9, "quiet_hours")  \
    X(FL_AWAY_LITTLE_DATA, 10, "little_data") \
    X(FL_AWAY_TRAINER, 11, "trainer")

typedef enum {
#define FL_AWAY_ENUM(name, value, word) name = (value),
    FL_AWAY_LIST(FL_AWAY_ENUM)
#undef FL_AWAY_ENUM
        FL_AWAY_COUNT
} fl_away;

/* "quiet_hours", for logs and programs; never NULL. */
const char *fl_away_word(fl_away away);

/* "I am here." */
typedef struct {
    uint64_t mail_after;  // sequence number of the last mail read
    fl_away away;
} fl_check_in;

typedef struct {
    uint32_t code;  // an fl_err, not FL_OK
    char text[FL_PROTO_TEXT_CAP];
} fl_refusal;

typedef enum {
    FL_AGGREGATION_SECURE = 1,  // the aggregator learns the sum alone
    FL_AGGREGATION_CLEAR = 2,   // it sees every update
} fl_aggregation;

/* What a plan asks a client to do with the model and its examples. */
typedef enum {
    FL_WORK_TRAIN = 0,       // train it: an update
    FL_WORK_MEASURE = 1,     // evaluate it: metrics, and one count
    FL_WORK_IMPORTANCE = 2,  // how much each channel matters: a count each
    FL_WORK_RANGES = 3,      // which values occur: a histogram a range
} fl_work;

/*
 * What a client of the cohort is asked to do. Work other than TRAIN is a
 * survey: its codec is the one of tallies (9), it has no runs.
 */
typedef struct {
    fl_work work;
    uint32_t holdout;  // every so-manyth row is not trained on; MEASURE takes
                       // these alone; 0 (there are none, all rows do) or 2 to
                       // 2^16
    uint32_t row_cap;  // rows that a survey looks at, at most, up to
                       // FL_PROTO_SAMPLES_MAX; 0: all
    uint8_t ranges[FL_PROTO_HASH_BYTES];  // object name of the RANGES of the
                                          // model's INT8 form; zeros: none
    uint32_t round;                       // from 1
    uint8_t model[FL_PROTO_HASH_BYTES];   // object name of the ONNX file
    uint64_t param_count;                 // 1 .. FL_PROTO_OBJECT_BYTES_MAX / 4;
                                          // of a survey: counts; MEASURE: 1
    uint32_t deadline_ms;                 // from the sending of this plan
    uint32_t local_epochs;                // 1 .. FL_PROTO_STEPS_MAX
    uint32_t batch;                       // 1 .. FL_PROTO_STEPS_MAX
    float lr;                             // > 0
    float momentum;                       // >= 0, < 1
    float weight_decay;                   // >= 0
    float clip_norm;                      // >= 0
    uint32_t schedule;                    // an fl_schedule
    uint32_t schedule_steps;  // >= 1 unless the schedule is constant
    float schedule_factor;    // >= 0
    uint64_t seed;            // of the order of rows
    uint32_t norm;            // an fl_norm: TRAIN or FROZEN
    fl_aggregation aggregation;
    uint64_t number;      // of the session: above that of every plan before
    uint32_t client_cap;  // clients in the sum at most, 1 .. 16384
    uint32_t client_min;  // and at least, 1 .. client_cap
    uint32_t weight_max;  // 1 .. FL_PROTO_SAMPLES_MAX
    float value_clip;     // largest |value| of an update, > 0
    // How updates become bytes: compress/ knows what these say.
    uint32_t codec;  // an fl_codec_kind
    uint32_t codec_bits;
    float density, density_small;
    uint32_t per_word, value_max;
    float step_large, step_small;
    uint32_t place;  // of this client in the cohort, below client_cap
    uint32_t run_count;
    uint32_t runs[FL_PROTO_RUNS_MAX];
    uint8_t enrolment[FL_PROTO_HASH_BYTES];  // object name of the list; SECURE
                                             // only, else zeros
} fl_plan;

/*
 * Names all in a plan that decides what an update becomes: the model and how
 * to train it (docs/format.md, "Updates"). Clients whose plans have different
 * recipes share no session: with a tiny learning rate for all but one of them
 * the sum would be the update of that one.
 */
void fl_plan_recipe(uint8_t hash[FL_PROTO_HASH_BYTES], const fl_plan *plan);

/* The seed of what the plan's codec draws, the same for the whole cohort. */
uint64_t fl_plan_codec_seed(const fl_plan *plan);

typedef enum {
    FL_MAIL_PLAN = 1,      // you are in the cohort: the plan
    FL_MAIL_CLOSED = 2,    // that round is over; drop what you have for it
    FL_MAIL_FINISHED = 3,  // no more rounds
    FL_MAIL_STEP = 4,      // a step of this round's session
} fl_mail_kind;

/* A step of a session of secure aggregation: secure/ knows what it says. */
typedef struct {
    uint32_t step;         // 1 .. 255
    const uint8_t *bytes;  // borrowed
    size_t len;            // at most FL_PROTO_STEP_MAX
} fl_step_body;

/* One row of a client's mailbox. */
typedef struct {
    uint64_t sequence;  // from 1, rises by at least 1
    fl_mail_kind kind;
    uint32_t round;  // PLAN, CLOSED: which, from 1; FINISHED: the last
    fl_plan plan;    // PLAN only, of the same round
    // FINISHED: the federation's last model and the ranges of its INT8 form;
    // zeros: none. No ranges without a model.
    uint8_t model[FL_PROTO_HASH_BYTES], ranges[FL_PROTO_HASH_BYTES];
    fl_step_body step;  // STEP only
} fl_mail;

/* Asks for an object's manifest, or for one of its chunks. */
typedef struct {
    uint8_t object[FL_PROTO_HASH_BYTES];
    bool wants_manifest;
    uint32_t index;  // of the chunk; 0 with wants_manifest
    // With wants_manifest: a model that is held already, so that the manifest
    // may be that of a patch (PATCH), or of the model packed (PACKED).
    bool has_base;
    uint8_t base[FL_PROTO_HASH_BYTES];
    bool takes_packed;
} fl_fetch;

typedef enum {
    FL_OBJECT_MODEL = 1,      // an ONNX file
    FL_OBJECT_UPDATE = 2,     // an update, readable: CLEAR
    FL_OBJECT_MASKED = 3,     // words of an update, masked: SECURE
    FL_OBJECT_ENROLMENT = 4,  // an enrolment list
    FL_OBJECT_PATCH = 5,      // what makes one model of another
    FL_OBJECT_PACKED = 6,     // a model, compressed
    FL_OBJECT_RANGES = 7,     // of the values of a model's INT8 form
} fl_object_kind;

/*
 * An object's content by chunks. The object's name is the hash of the bytes
 * of this message's body as they travelled (`encoded`).
 */
typedef struct {
    fl_object_kind kind;
    uint32_t round;
    uint64_t size;         // 1 .. FL_PROTO_OBJECT_BYTES_MAX
    uint32_t chunk_bytes;  // FL_PROTO_CHUNK_BYTES; the last chunk is shorter
    uint32_t chunk_count;  // what size and chunk_bytes give; not on the wire
    const uint8_t *chunk_hashes;  // chunk_count * FL_PROTO_HASH_BYTES; borrowed
} fl_manifest;

/* A piece of an object; type CHUNK, raw bytes, in both directions. */
typedef struct {
    uint8_t object[FL_PROTO_HASH_BYTES];
    uint32_t index;
    const uint8_t *bytes;  // borrowed
    size_t len;            // 1 .. FL_PROTO_CHUNK_BYTES
} fl_chunk;

/* "I have an update for you", and what it is made from. */
typedef struct {
    const uint8_t *manifest;  // encoded fl_manifest; borrowed
    size_t manifest_len;
    uint8_t model[FL_PROTO_HASH_BYTES];  // the model it started from
} fl_open;

typedef struct {
    uint8_t object[FL_PROTO_HASH_BYTES];
    uint32_t window;        // chunks that may be on their way; 0: come later
    uint32_t later_ms;      // with window 0: when to ask again
    const uint8_t *bitmap;  // chunks that are there already: bit i % 8 of
                            // byte i / 8; borrowed
    size_t bitmap_len;      // at most FL_PROTO_BITMAP_MAX
} fl_grant;

typedef struct {
    uint8_t object[FL_PROTO_HASH_BYTES];
} fl_commit;

typedef struct {
    uint64_t mail_after;
    fl_away away;  // of a client
} fl_ping;

/* HELLO, WELCOME and NOISE have session and counter 0. */
typedef struct {
    fl_message_type type;
    uint8_t session[FL_PROTO_SESSION_BYTES];
    uint64_t counter;
    uint64_t operation;
    uint32_t round;
    union {  // ACK and PONG have no body
        fl_hello hello;
        fl_welcome welcome;
        struct {
            const uint8_t *bytes;  // a handshake message of Noise, borrowed
            size_t len;
        } noise;
        fl_check_in check_in;
        fl_refusal refusal;
        fl_mail mail;
        fl_fetch fetch;
        struct {
            const uint8_t *bytes;  // an encoded fl_manifest, borrowed
            size_t len;
        } manifest;
        fl_chunk chunk;
        fl_open open;
        fl_grant grant;
        fl_commit commit;
        fl_ping ping;
        fl_step_body step;  // client to aggregator
        fl_join join;
        fl_standing standing;
    };
} fl_message;

/* Bytes that are enough for this message's frame, sealed or not. */
size_t fl_message_bound(const fl_message *message);

/*
 * Writes the frame without length prefix; *len bytes.
 * FL_ERR_SPACE: dst_cap is too small. FL_ERR_RANGE: the message breaks a
 * limit stated above (a bug of the caller, or an object that is too large).
 */
FL_CHECK fl_err fl_message_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                                  const fl_message *message);

/*
 * Reads a frame. Safe on untrusted bytes. What `message` borrows lives in
 * `src` or in the arena. Every enum, length, float (finite) and limit stated
 * above has been checked; a text has its final 0 and no control characters.
 * Encoded manifests are left to fl_manifest_decode.
 * FL_ERR_FORMAT: malformed, or too long for its type. FL_ERR_UNSUPPORTED:
 * another protocol version or an unknown type. FL_ERR_MEMORY: the arena's
 * maximum was reached.
 */
FL_CHECK fl_err fl_message_decode(fl_message *message, fl_arena *arena,
                                  const uint8_t *src, size_t src_len,
                                  fl_reason *why);

/*
 * Reads the 44 bytes in front of a sealed body and checks all that can be
 * known without opening it. Errors of fl_message_decode; FL_ERR_FORMAT also:
 * too short to be sealed.
 */
FL_CHECK fl_err fl_message_decode_head(fl_message *message, const uint8_t *src,
                                       size_t src_len, fl_reason *why);

/* The name of a type for the log: "check_in"; never NULL. */
const char *fl_message_type_name(fl_message_type type);

/* Bytes that are enough for a manifest of so many chunks. */
size_t fl_manifest_bound(uint32_t chunk_count);

/* FL_ERR_RANGE: a limit is broken. FL_ERR_SPACE: dst_cap is too small. */
FL_CHECK fl_err fl_manifest_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                                   const fl_manifest *manifest);

/*
 * As fl_message_decode. The hashes are borrowed from the arena. There is one
 * encoding per manifest: what does not encode back to `src` is FL_ERR_FORMAT,
 * since the bytes are hashed.
 */
FL_CHECK fl_err fl_manifest_decode(fl_manifest *manifest, fl_arena *arena,
                                   const uint8_t *src, size_t src_len,
                                   fl_reason *why);

/* Chunks of an object of that size; UINT32_MAX for sizes beyond any object. */
uint32_t fl_manifest_chunk_count(uint64_t size);

#include "proto/line.h"

#endif
