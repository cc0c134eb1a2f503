/*
 * How a round's updates become bytes: the codec, its numbers, and the three
 * things that can be done with it.
 *
 *   summable codecs: a public linear map and rounding to small integers, the
 *   same for every client, so that words can be added, masked or not
 *
 *     update --fl_update_encode--> words --(mask, add)--> sums
 *            sums --fl_update_decode--> weighted mean
 *
 *   other codecs: each client chooses what it sends; only in the clear
 *
 *     update --fl_codec_encode--> bytes --fl_codec_add--> sums
 *            sums --fl_codec_decode--> weighted mean
 *
 * Coordinates belong to groups, which a layout says: LARGE matrices, which can
 * be sketched down hard; SMALL tensors, which cannot; EXACT statistics, which
 * are not gradients and go as they are; and those that do not change, SKIPPED.
 *
 * Pure functions, no allocation, callable from any thread. The same arguments
 * give the same bits on every CPU. docs/format.md, "Updates", has every byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_CODEC_H
#define FL_COMPRESS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/random.h"
#include "base/reason.h"
#include "model/model.h"

/* ---- which codec ---- */

/* Values travel: append, never renumber. */
typedef enum {
    FL_CODEC_SKETCH = 1,      // summable: rotated, sampled, rounded
    FL_CODEC_DENSE = 2,       // summable: rotated, rounded to `bits`
    FL_CODEC_SKETCH1BIT = 3,  // own rotation and sample, the signs
    FL_CODEC_TOPK = 4,        // largest values, 8 bits each; residual
    FL_CODEC_STC = 5,         // largest values, sign and one size; residual
    FL_CODEC_QSGD = 6,        // all, rounded at random to `bits`
    FL_CODEC_FP16 = 7,        // all, half precision
    FL_CODEC_NONE = 8,        // all, as they are
    FL_CODEC_TALLY = 9,       // summable: no update, but counts
} fl_codec_kind;

/* "sketch1bit"; NULL for what is none. TALLY has a name, too, but
 * fl_codec_parse does not take it: the aggregator alone chooses it. */
const char *fl_codec_name(fl_codec_kind kind);

/* Its sums can be masked. */
bool fl_codec_is_summable(fl_codec_kind kind);

/* A client keeps what was not sent, for its next update. */
bool fl_codec_has_residual(fl_codec_kind kind);

/*
 * Reads "topk", "dense:8", "qsgd:4" (without a number, bits are 8 and 4; 0 for
 * codecs that have none). FL_ERR_NOT_FOUND: *why lists the names.
 * FL_ERR_RANGE: bits that the codec does not have (DENSE 2 to 20, QSGD 2 to 8).
 */
FL_CHECK fl_err fl_codec_parse(fl_codec_kind *kind, uint32_t *bits,
                               const char *text, fl_reason *why);

/* ---- layouts ---- */

typedef enum {
    FL_GROUP_LARGE = 0,
    FL_GROUP_SMALL = 1,
    FL_GROUP_EXACT = 2,
    FL_GROUP_SKIPPED = 3,
} fl_group;

enum {
    FL_LAYOUT_RUNS_MAX = 512,
    FL_LAYOUT_GROUPS = 4,
    FL_LAYOUT_LARGE_MIN = 4096,  // coordinates of a LARGE matrix
};

/* Which coordinates belong to which group, in runs that follow each other. */
typedef struct {
    uint32_t run_count;
    uint32_t runs[FL_LAYOUT_RUNS_MAX];  // coordinates * 4 + fl_group
} fl_layout;

/*
 * The layout that fits a model: weights of FL_LAYOUT_LARGE_MIN coordinates or
 * more are LARGE, statistics EXACT (SKIPPED when has_frozen_norms), the rest
 * SMALL. What does not fit into the runs joins its neighbours, SMALL.
 */
void fl_layout_init(fl_layout *layout, const fl_model *model,
                    bool has_frozen_norms);

/* One LARGE group of all. */
void fl_layout_init_plain(fl_layout *layout, size_t param_count);

/* Coordinates of a group. */
size_t fl_layout_count(const fl_layout *layout, fl_group group);

/* ---- codecs ---- */

enum {
    FL_CODEC_PER_WORD_MIN = 2,
    FL_CODEC_PER_WORD_MAX = 16,
    FL_CODEC_WEIGHT_MAX = 1 << 20,
    FL_CODEC_CLIP_MAX = 1 << 20,
    FL_CODEC_CLIENTS_MAX = 1 << 14,
};

/* The same for all clients of a round. */
typedef struct {
    fl_codec_kind kind;
    size_t param_count;   // what the layout's runs add up to, from 1 to
                          // FL_MODEL_PARAMS_MAX; of a tally its counts
    uint32_t bits;        // DENSE, QSGD
    float density;        // SKETCH, SKETCH1BIT, TOPK, STC: share of LARGE that
    float density_small;  // is sent, and of SMALL; above 0, <= 1
    float clip;           // a value counts as at most so large; above 0
    uint32_t weight_max;  // from 1; a client with more examples counts so
    uint32_t client_cap;  // clients of a sum at most, from 1
    uint64_t seed;        // public; of signs and samples: another every session
    // Summable only.
    uint32_t per_word;   // fields in a word, PER_WORD_MIN to PER_WORD_MAX
    uint32_t value_max;  // a client's integers are limited to +-this; 1 to 2^30
    float step_large;    // of the integers; above 0, at most FL_CODEC_CLIP_MAX
    float step_small;
    fl_layout layout;
} fl_codec;

/* Room of a sum in a field: the largest r with r^per_word <= 2^63. */
uint64_t fl_codec_radix(uint32_t per_word);

/*
 * FL_ERR_RANGE: a number is not what its comment above asks for; *why names
 * it. The functions below need a codec that has passed.
 */
FL_CHECK fl_err fl_codec_check(const fl_codec *codec, fl_reason *why);

/*
 * The bytes whose hash names to both sides how updates are made and how they
 * become words. `recipe` is a hash, that of how to train.
 */
enum {
    FL_CODEC_RECIPE_BYTES = 32,
    FL_CODEC_TASK_MAX = 15 + 80 + 4 * FL_LAYOUT_RUNS_MAX + 32,
};
size_t fl_codec_task(uint8_t dst[FL_CODEC_TASK_MAX], const fl_codec *codec,
                     const uint8_t recipe[FL_CODEC_RECIPE_BYTES]);

/* A client's training in three numbers, or those of a sum of clients. */
typedef struct {
    uint64_t weight;   // examples, at least 1 a client
    uint64_t correct;  // at most weight
    double loss_sum;   // what is not within 0 and 64 an example counts so
} fl_update_metrics;

#define FL_UPDATE_EXAMPLES_MAX (UINT64_C(1) << 40)

/* Numbers of an update that are sent, of all groups together. */
size_t fl_codec_support(const fl_codec *codec);

/* Bytes of one client's update after each stage, for the ledger. */
typedef struct {
    uint64_t raw;      // float32
    uint64_t support;  // what of it is sent, float32
    uint64_t rounded;  // its values at their width
    uint64_t packed;   // with all that goes with it: what is uploaded (other
                       // codecs: at most)
} fl_codec_stages;

fl_codec_stages fl_codec_get_stages(const fl_codec *codec);

/* ---- summable codecs (update.c) ---- */

/* Words of an update or a tally; 0 when they do not fit an object. */
size_t fl_update_words(const fl_codec *codec);

/* Floats of scratch memory that encode and decode need. */
size_t fl_update_scratch(const fl_codec *codec);

/*
 * Turns `update` (param_count, local - global) into words. `place` is this
 * client's number in the cohort, below client_cap: clients with different
 * places round in turn, so that errors cancel. `rounding` is the client's own.
 * FL_ERR_RANGE: a value is NaN or infinite (*why names the coordinate), the
 * weight is 0 or above FL_UPDATE_EXAMPLES_MAX, correct is above it, or the
 * loss is NaN. FL_ERR_UNSUPPORTED: TALLY. `words` are undefined then.
 * `scratch` holds parts of the update afterwards: the owner wipes it.
 */
FL_CHECK fl_err fl_update_encode(uint64_t *words, const fl_codec *codec,
                                 const float *update,
                                 const fl_update_metrics *metrics,
                                 uint32_t place, fl_random *rounding,
                                 float *scratch, fl_reason *why);

/* What a sum says about the next one, for LARGE and SMALL. */
typedef struct {
    double rms[2];   // of the sums, in units of an update times its weight
                     // share (weight / weight_max); 0: an empty group
    double edge[2];  // share of the sums in the outer tenth of their range:
                     // near 0 unless sums have wrapped
} fl_update_spread;

/*
 * The weighted mean of `client_count` updates, from the sums of their words;
 * `mean` has param_count, SKIPPED ones are 0. Weight and correct count are
 * exactly those of the clients, the loss but for the 2^-20 that each was
 * rounded to. FL_ERR_RANGE: no client or more than client_cap, or numbers that
 * so many cannot have made. FL_ERR_UNSUPPORTED: TALLY. Results are
 * undefined then.
 */
FL_CHECK fl_err fl_update_decode(float *mean, fl_update_metrics *metrics,
                                 fl_update_spread *spread,
                                 const fl_codec *codec, const uint64_t *sums,
                                 uint32_t client_count, float *scratch,
                                 fl_reason *why);

/* ---- tallies (tally.c) ---- */

/*
 * A survey's answer: param_count counts, two in a word, and the metrics of the
 * rows that were looked at. Of the codec only kind, param_count, weight_max,
 * client_cap and seed are used; the layout has no runs. A sum of client_cap
 * clients never wraps: no count is above fl_tally_max. In the clear the words
 * are sent as they are, little-endian, and fl_codec_add adds them.
 */
uint32_t fl_tally_max(const fl_codec *codec);

/* Writes fl_update_words. FL_ERR_RANGE: a count is above fl_tally_max, or as of
 * fl_update_encode. */
FL_CHECK fl_err fl_tally_encode(uint64_t *words, const fl_codec *codec,
                                const uint32_t *counts,
                                const fl_update_metrics *metrics,
                                fl_reason *why);

/* counts[0..param_count): sums over the clients. FL_ERR_RANGE: numbers that
 * client_count clients cannot have made. */
FL_CHECK fl_err fl_tally_decode(uint64_t *counts, fl_update_metrics *metrics,
                                const fl_codec *codec, const uint64_t *sums,
                                uint32_t client_count, fl_reason *why);

/* ---- all codecs, in the clear (codec.c) ---- */

/* Most bytes of an encoded update; 0 when they do not fit an object. */
size_t fl_codec_bound(const fl_codec *codec);

/* Floats of scratch memory that the functions below need; it begins where a
 * uint64_t may lie. */
size_t fl_codec_scratch(const fl_codec *codec);

/*
 * Encodes `update` (param_count): the residual added by the caller where there
 * is one, and on return what was not sent. Errors and wiping as of
 * fl_update_encode; FL_ERR_SPACE: dst_cap below fl_codec_bound.
 */
FL_CHECK fl_err fl_codec_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                                const fl_codec *codec, float *update,
                                const fl_update_metrics *metrics,
                                uint32_t place, fl_random *rounding,
                                float *scratch, fl_reason *why);

/* 64-bit numbers of a sum: 3 for the metrics, and the values or words. */
size_t fl_codec_sums(const fl_codec *codec);

/*
 * Adds one client's bytes to `sums`. Safe on any bytes; integers, so the order
 * of clients does not matter. FL_ERR_FORMAT, FL_ERR_RANGE: *why; sums are
 * unchanged.
 */
FL_CHECK fl_err fl_codec_add(uint64_t *sums, const fl_codec *codec,
                             const uint8_t *src, size_t src_len, float *scratch,
                             fl_reason *why);

/* As fl_update_decode, for sums of any codec; the spread of those that are not
 * summable is zeros. */
FL_CHECK fl_err fl_codec_decode(float *mean, fl_update_metrics *metrics,
                                fl_update_spread *spread, const fl_codec *codec,
                                const uint64_t *sums, uint32_t client_count,
                                float *scratch, fl_reason *why);

#endif
