/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <math.h>
#include <stdlib.h>

bool fl_harvest_is_measured(const fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    const uint32_t round = fl_round_number(aggregator);
    return options->evaluate_every > 0 &&
           (round % options->evaluate_every == 0 ||
            round == options->round_count || fl_survey_has_int8(aggregator));
}

static fl_err encode_model(fl_aggregator *aggregator)
{
    aggregator->next_len = fl_model_bytes(aggregator->model);
    aggregator->next_bytes = malloc(aggregator->next_len);
    if (!aggregator->next_bytes) return FL_ERR_MEMORY;
    return fl_model_encode(aggregator->model, aggregator->next_bytes,
                           aggregator->next_len);
}

// The master, and behind it where the reduction stands.
static fl_err encode_master(fl_aggregator *aggregator)
{
    const uint32_t round = fl_round_number(aggregator);
    const fl_reduction *reduction = aggregator->reduction;
    const size_t len = fl_master_bytes(aggregator->master);
    const size_t more =
        reduction ? fl_reduction_state_bytes(fl_reduction_get_state(reduction))
                  : 0;
    uint8_t *bytes = malloc(len + more);
    if (!bytes) return FL_ERR_MEMORY;
    aggregator->next_master = bytes;
    aggregator->next_master_len = len + more;
    FL_TRY(fl_master_encode(aggregator->master, round, bytes, len));
    if (!reduction) return FL_OK;
    return fl_reduction_state_encode(fl_reduction_get_state(reduction), round,
                                     bytes + len, more);
}

// A model that comes back is there as it was published.
static fl_err encode_next(fl_aggregator *aggregator)
{
    if (!aggregator->next_bytes) FL_TRY(encode_model(aggregator));
    return encode_master(aggregator);
}

// The master takes the round's mean; what is published follows it.
static fl_err apply_mean(fl_aggregator *aggregator, fl_update_metrics *metrics,
                         size_t *moved, fl_reason *why)
{
    const size_t param_count = fl_model_param_count(aggregator->model);
    float *mean = malloc(param_count * sizeof *mean);
    if (!mean) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    const fl_err err = fl_aggregation_mean(aggregator, mean, metrics, why);
    if (!err) {
        fl_reduction_trained(aggregator->reduction,
                             fl_round_number(aggregator));
        fl_master_add(aggregator->master, aggregator->model, mean);
        float *scratch = mean;  // which nobody needs any more
        *moved = fl_master_release(aggregator->master,
                                   fl_model_params(aggregator->model), scratch);
    }
    free(mean);
    return err;
}

// What the codec made of an update, and what it took to bring clients the model
// of this round.
static void record_bytes(fl_aggregator *aggregator, fl_round_record *record)
{
    fl_sum *sum = &aggregator->sum;
    const fl_codec_stages stages = fl_codec_get_stages(&sum->codec);
    const uint64_t masked = sum->word_count * sizeof(uint64_t);
    record->codec = sum->codec.kind;
    record->up_support = stages.support;
    record->up_rounded = stages.rounded;
    record->payload_up = sum->payload_up;
    if (record->aggregation == FL_AGGREGATION_SECURE) {
        record->payload_up = masked * record->update_count;
    }
    record->up_packed = record->payload_up / record->update_count;
    if (!fl_harvest_is_measured(aggregator)) return;
    record->download_1 = fl_versions_patch_bytes(&aggregator->versions, 1);
    record->download_10 = fl_versions_patch_bytes(&aggregator->versions, 10);
    record->download_full = fl_versions_packed_bytes(&aggregator->versions);
}

static void record_round(fl_aggregator *aggregator,
                         const fl_update_metrics *metrics, size_t moved)
{
    const double weight = (double)metrics->weight;
    aggregator->record = (fl_round_record){
        .round = fl_round_number(aggregator),
        .attempt = aggregator->attempt,
        .selected_count = aggregator->cohort_len,
        .update_count = aggregator->committed_count,
        .sample_count = metrics->weight,
        .client_loss = metrics->loss_sum / weight,
        .client_accuracy = (double)metrics->correct / weight,
        .loss = NAN,
        .accuracy = NAN,
        .took_ms = aggregator->now_ms - aggregator->opened_ms,
        .aggregation = aggregator->options.aggregation,
        .moved = moved,
    };
    record_bytes(aggregator, &aggregator->record);
    fl_survey_record(aggregator, &aggregator->record);
}

// What the round was for: another model, or what clients know of this one.
static fl_err take_sum(fl_aggregator *aggregator, fl_update_metrics *metrics,
                       size_t *moved, fl_reason *why)
{
    return aggregator->work == FL_WORK_TRAIN
               ? apply_mean(aggregator, metrics, moved, why)
               : fl_survey_close(aggregator, metrics, why);
}

fl_err fl_harvest_take(fl_aggregator *aggregator, fl_reason *why)
{
    fl_update_metrics metrics = {.weight = 0};
    size_t moved = 0;
    FL_TRY(take_sum(aggregator, &metrics, &moved, why));
    record_round(aggregator, &metrics, moved);
    return encode_next(aggregator);
}
