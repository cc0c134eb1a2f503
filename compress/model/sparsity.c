/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/sparsity.h"

#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"

double fl_sparsity_at(double target, uint64_t step, uint64_t step_count)
{
    if (step >= step_count) return target;
    const double left = 1.0 - (double)step / (double)step_count;
    return target * (1.0 - left * left * left);
}

void fl_sparsity_scores(double *scores, const fl_model *model,
                        fl_sparsity_score kind, const double *fisher)
{
    const float *params = fl_model_get_params(model);
    for (size_t i = 0; i < fl_model_param_count(model); i++) {
        const double w = (double)params[i];
        switch (kind) {
        case FL_SPARSITY_MAGNITUDE: scores[i] = fabs(w); break;
        case FL_SPARSITY_FISHER: scores[i] = fisher[i]; break;
        case FL_SPARSITY_OBD: scores[i] = 0.5 * fisher[i] * w * w; break;
        }
    }
}

/* ---- masks ---- */

// Weights that still learn, with what they score.
typedef struct {
    double score;
    size_t place;
} candidate;

typedef struct {
    candidate *candidates;
    size_t count;          // of candidates
    size_t cleared_count;  // weights that are gone already
} ranking;

static int compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score < y->score) return -1;
    if (x->score > y->score) return 1;
    return (x->place > y->place) - (x->place < y->place);
}

static fl_err add_tensor(ranking *r, fl_tensor_info tensor, const bool *mask,
                         const double *scores, fl_reason *why)
{
    for (size_t i = tensor.offset; i < tensor.offset + tensor.count; i++) {
        if (!isfinite(scores[i])) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "the score of parameter %zu is %g", i,
                                 scores[i]);
        }
        if (mask[i]) {
            r->candidates[r->count++] = (candidate){scores[i], i};
        } else {
            r->cleared_count++;
        }
    }
    return FL_OK;
}

static void clear_lowest(bool *mask, ranking *r, double share)
{
    const size_t all = r->count + r->cleared_count;
    const size_t wanted = (size_t)ceil(share * (double)all);
    qsort(r->candidates, r->count, sizeof *r->candidates, compare);
    for (size_t i = 0; i < r->count && r->cleared_count + i < wanted; i++) {
        mask[r->candidates[i].place] = false;
    }
    r->count = r->cleared_count = 0;
}

static fl_err rank(bool *mask, ranking *r, const fl_model *model,
                   const double *scores, double share, bool by_layer,
                   fl_reason *why)
{
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role != FL_TENSOR_WEIGHT) continue;
        FL_TRY(add_tensor(r, tensor, mask, scores, why));
        if (by_layer) clear_lowest(mask, r, share);
    }
    clear_lowest(mask, r, share);
    return FL_OK;
}

fl_err fl_sparsity_mask(bool *mask, const fl_model *model, const double *scores,
                        double share, bool by_layer, fl_reason *why)
{
    size_t len;
    ranking r = {0};
    if (!(share >= 0.0 && share < 1.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "sparsity is %g, it must be 0 or more and below 1",
                             share);
    }
    // One too many keeps a model without parameters out of malloc(0).
    if (!fl_size_mul(&len, fl_model_param_count(model) + 1,
                     sizeof *r.candidates)) {
        r.candidates = malloc(len);
    }
    if (!r.candidates) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory to rank %zu weights",
                             fl_model_param_count(model));
    }
    const fl_err err = rank(mask, &r, model, scores, share, by_layer, why);
    free(r.candidates);
    return err;
}

void fl_sparsity_apply(fl_model *model, const bool *mask)
{
    float *params = fl_model_params(model);
    for (size_t i = 0; i < fl_model_param_count(model); i++) {
        if (!mask[i]) params[i] = 0.0F;
    }
}

fl_sparsity fl_sparsity_of(const fl_model *model)
{
    const float *params = fl_model_get_params(model);
    fl_sparsity found = {0};
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role != FL_TENSOR_WEIGHT) continue;
        found.weight_count += tensor.count;
        for (size_t k = 0; k < tensor.count; k++) {
            const float w = params[tensor.offset + k];
            if (w <= 0.0F && w >= 0.0F) found.zero_count++;
        }
    }
    return found;
}
