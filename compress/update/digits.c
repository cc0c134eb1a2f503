/*
 * docs/format.md, "Fields": three numbers as digits, then the values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/compress.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

enum {
    LOSS_FRACTION_BITS = 20,
    LOSS_MAX_BITS = 6,  // a mean loss of 64
    LOSS_BITS = LOSS_FRACTION_BITS + LOSS_MAX_BITS,
    WEIGHT_CAP = 1 << 20,
    CLIP_CAP = 1 << 20,
};

static const uint32_t FIELD_CAP = UINT32_C(1) << 31;
static const double LOSS_ONE = 1 << LOSS_FRACTION_BITS;

_Static_assert(FL_DENSE_EXAMPLES_MAX <= UINT64_MAX / 4 / WEIGHT_CAP,
               "twice a scaled count fits 64 bits");
_Static_assert(FL_DENSE_CLIENTS_MAX <= UINT64_MAX / WEIGHT_CAP >> LOSS_BITS,
               "the largest sum of losses fits 64 bits");

/* ---- layout ---- */

// The numbers before the values, and the largest that a client may send.
typedef struct {
    uint64_t weight, correct, loss;
} numbers;

static numbers largest(const fl_dense_codec *codec)
{
    const uint64_t weight_max = codec->weight_max;
    return (numbers){weight_max, weight_max, weight_max << LOSS_BITS};
}

// The smallest count with radix^count > maximum.
static size_t digit_count(uint64_t maximum, uint64_t radix)
{
    size_t count = 1;
    while (maximum /= radix) {
        count++;
    }
    return count;
}

static uint64_t radix_of(const fl_dense_codec *codec)
{
    return (uint64_t)codec->field_max + 1;
}

static size_t number_fields(const fl_dense_codec *codec)
{
    const numbers most = largest(codec);
    const uint64_t radix = radix_of(codec);
    return 2 * digit_count(most.weight, radix) + digit_count(most.loss, radix);
}

size_t fl_dense_field_count(const fl_dense_codec *codec)
{
    return number_fields(codec) + codec->param_count;
}

fl_err fl_dense_check(const fl_dense_codec *codec, fl_reason *why)
{
    if (codec->field_max < 1 || codec->field_max > FIELD_CAP) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a largest field of %u is not within 1 and 2^31",
                             codec->field_max);
    }
    if (codec->weight_max < 1 || codec->weight_max > WEIGHT_CAP) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a largest weight of %u is not within 1 and %d",
                             codec->weight_max, WEIGHT_CAP);
    }
    // NaN is not above anything.
    if (!(codec->clip > 0.0F && codec->clip <= (float)CLIP_CAP)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a clip of %g is not above 0 and at most %d",
                             (double)codec->clip, CLIP_CAP);
    }
    const size_t numbers_len = number_fields(codec);
    if (codec->param_count < 1 ||
        codec->param_count > UINT32_MAX - numbers_len) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "an update of %zu parameters: fields are counted "
                             "in 32 bits, and there is at least one",
                             codec->param_count);
    }
    return FL_OK;
}

void fl_dense_task(uint8_t dst[FL_DENSE_TASK_BYTES],
                   const fl_dense_codec *codec,
                   const uint8_t recipe[FL_DENSE_RECIPE_BYTES])
{
    static const char label[] = "fedge fields 1";
    uint32_t clip;
    _Static_assert(sizeof clip == sizeof codec->clip, "a float of 32 bits");
    memcpy(&clip, &codec->clip, sizeof clip);
    fl_writer out = fl_writer_over(dst, FL_DENSE_TASK_BYTES);
    fl_writer_bytes(&out, label, sizeof label);  // with its 0
    fl_writer_u64(&out, codec->param_count);
    fl_writer_u32(&out, codec->field_max);
    fl_writer_u32(&out, codec->weight_max);
    fl_writer_u32(&out, clip);
    fl_writer_bytes(&out, recipe, FL_DENSE_RECIPE_BYTES);
    const fl_err err = fl_writer_finish(&out);
    assert(!err && out.len == FL_DENSE_TASK_BYTES);
    (void)err;
}

/* ---- encode ---- */

static fl_err check_metrics(const fl_dense_metrics *metrics, fl_reason *why)
{
    if (metrics->weight < 1 || metrics->weight > FL_DENSE_EXAMPLES_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "an update of %llu examples: at least 1 and at "
                             "most 2^40 can be told",
                             (unsigned long long)metrics->weight);
    }
    if (metrics->correct > metrics->weight) {
        return fl_reason_set(why, FL_ERR_RANGE, "%llu correct of %llu examples",
                             (unsigned long long)metrics->correct,
                             (unsigned long long)metrics->weight);
    }
    if (isnan(metrics->loss_sum)) {
        return fl_reason_set(why, FL_ERR_RANGE, "the loss is not a number");
    }
    return FL_OK;
}

// count * to / from, to the nearest integer, a half upwards.
static uint64_t scale(uint64_t count, uint64_t to, uint64_t from)
{
    return (2 * count * to + from) / (2 * from);
}

static double limit(double x, double low, double high)
{
    if (x < low) return low;
    return x > high ? high : x;
}

// `loss_sum` of `weight` examples, as a multiple of 2^-20.
static uint64_t loss_units(double loss_sum, uint64_t weight)
{
    const double most = (double)(weight << LOSS_MAX_BITS);
    return (uint64_t)(limit(loss_sum, 0.0, most) * LOSS_ONE + 0.5);
}

// As the client's update counts: with a weight of at most weight_max.
static numbers count_as(const fl_dense_codec *codec,
                        const fl_dense_metrics *metrics)
{
    const uint64_t cap = codec->weight_max, weight = metrics->weight;
    if (weight <= cap) {
        return (numbers){weight, metrics->correct,
                         loss_units(metrics->loss_sum, weight)};
    }
    return (numbers){
        cap, scale(metrics->correct, cap, weight),
        loss_units(metrics->loss_sum * (double)cap / (double)weight, cap)};
}

// The lowest first; returns where the next number begins.
static uint32_t *put_digits(uint32_t *fields, uint64_t number, uint64_t maximum,
                            uint64_t radix)
{
    for (size_t left = digit_count(maximum, radix); left > 0; left--) {
        *fields++ = (uint32_t)(number % radix);
        number /= radix;
    }
    return fields;
}

// To the next integer above with the probability that makes the mean exact.
// What lies behind the point is exact in a double, so this is the same
// everywhere, and an integer stays what it is.
static uint32_t round_at_random(double x, fl_random *rounding)
{
    const uint32_t below = (uint32_t)x;
    const double rest = x - (double)below;
    return below + ((double)fl_random_u32(rounding) < rest * 0x1p32);
}

fl_err fl_dense_encode(uint32_t *fields, const fl_dense_codec *codec,
                       const float *update, const fl_dense_metrics *metrics,
                       fl_random *rounding, fl_reason *why)
{
    FL_TRY(check_metrics(metrics, why));
    const uint64_t radix = radix_of(codec);
    const numbers most = largest(codec), own = count_as(codec, metrics);
    fields = put_digits(fields, own.weight, most.weight, radix);
    fields = put_digits(fields, own.correct, most.correct, radix);
    fields = put_digits(fields, own.loss, most.loss, radix);

    const double clip = (double)codec->clip;
    const double top = codec->field_max, middle = top / 2;
    const double slope =
        middle * (double)own.weight / ((double)codec->weight_max * clip);
    for (size_t i = 0; i < codec->param_count; i++) {
        const double value = (double)update[i];
        if (!isfinite(value)) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "coordinate %zu of the update is %g, not a "
                                 "number; a lower learning rate may help",
                                 i, value);
        }
        // The slope was rounded: the ends may lie a hair outside.
        const double x = limit(value, -clip, clip) * slope + middle;
        fields[i] = round_at_random(limit(x, 0.0, top), rounding);
    }
    return FL_OK;
}

/* ---- decode ---- */

static fl_err refuse_sums(const char *what, uint32_t client_count,
                          fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the sum holds %s, which %u clients cannot have made",
                         what, client_count);
}

// *ok: the digits are those of a number up to `maximum`.
static uint64_t take_digits(const uint64_t **sums, uint64_t digit_max,
                            uint64_t maximum, uint32_t client_count,
                            uint64_t radix, bool *ok)
{
    const size_t count = digit_count(maximum, radix);
    uint64_t number = 0;
    for (size_t i = count; i > 0; i--) {
        const uint64_t digit = (*sums)[i - 1];
        if (digit > digit_max ||
            __builtin_mul_overflow(number, radix, &number) ||
            __builtin_add_overflow(number, digit, &number)) {
            *ok = false;
        }
    }
    if (number > client_count * maximum) *ok = false;
    *sums += count;
    return number;
}

fl_err fl_dense_decode(float *mean, fl_dense_metrics *metrics,
                       const fl_dense_codec *codec, const uint64_t *sums,
                       uint32_t client_count, fl_reason *why)
{
    if (client_count < 1 || client_count > FL_DENSE_CLIENTS_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a sum of %u clients, not of 1 to %d",
                             client_count, FL_DENSE_CLIENTS_MAX);
    }
    const uint64_t radix = radix_of(codec);
    const uint64_t sum_max = (uint64_t)client_count * codec->field_max;
    const numbers most = largest(codec);
    bool ok = true;
    const numbers all = {
        .weight =
            take_digits(&sums, sum_max, most.weight, client_count, radix, &ok),
        .correct =
            take_digits(&sums, sum_max, most.correct, client_count, radix, &ok),
        .loss =
            take_digits(&sums, sum_max, most.loss, client_count, radix, &ok),
    };
    // Each client brings one example at least.
    if (!ok || all.weight < client_count || all.correct > all.weight ||
        all.loss > all.weight << LOSS_BITS) {
        return refuse_sums("a weight, correct count or loss", client_count,
                           why);
    }
    *metrics = (fl_dense_metrics){all.weight, all.correct,
                                  (double)all.loss / LOSS_ONE};

    const double step = (double)codec->clip * (double)codec->weight_max /
                        ((double)codec->field_max * (double)all.weight);
    for (size_t i = 0; i < codec->param_count; i++) {
        if (sums[i] > sum_max) {
            return refuse_sums("a value", client_count, why);
        }
        // Sums below 2^45: their differences are exact.
        const int64_t centred = (int64_t)(2 * sums[i]) - (int64_t)sum_max;
        mean[i] = (float)((double)centred * step);
    }
    return FL_OK;
}
