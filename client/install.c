/* SPDX-License-Identifier: Apache-2.0 */
#include "client/install.h"

#include <stdlib.h>
#include <string.h>

#include "client/form.h"
#include "client/rows.h"

// The same rows every time: a drop is that of the model, not of the sample.
static const uint64_t SAMPLE_SEED = 1;

static fl_err make_form(fl_int8_model **form, uint8_t **bytes, size_t *len,
                        const fl_local_data *data, fl_reason *why)
{
    fl_model *model = NULL;
    FL_TRY(fl_model_decode(&model, data->model, data->model_len, why));
    fl_err err =
        fl_ranges_quantize(form, model, data->ranges, data->ranges_len, why);
    if (!err) err = fl_int8_encode_new(bytes, len, *form, FL_QDQ_PLAIN, why);
    fl_model_free(model);
    return err;
}

static fl_err choose_rows(uint32_t **rows, fl_form_rows *chosen,
                          const fl_install *install, fl_reason *why)
{
    const fl_local_data *data = &install->data;
    fl_random random;
    *rows = calloc(data->row_count + (size_t)1, sizeof **rows);
    if (!*rows) return fl_reason_set(why, FL_ERR_MEMORY, "no memory for rows");
    fl_random_init(&random, SAMPLE_SEED, FL_RANDOM_SURVEY, data->client);
    const fl_own_rows own = {
        .rows = data->rows, .places = data->places, .count = data->row_count};
    const uint32_t count = fl_rows_split(*rows, &own, install->holdout, true);
    *chosen = (fl_form_rows){
        .dataset = data->dataset,
        .rows = *rows,
        .row_count = fl_rows_sample(*rows, count, FL_INSTALL_ROWS_MAX, &random),
        .stop = data->stop,
    };
    return FL_OK;
}

// FL_ERR_NOT_FOUND: these bytes are nothing that could be compared with.
static fl_err measure_bytes(uint32_t *correct_count, const uint8_t *bytes,
                            size_t len, const fl_form_rows *rows)
{
    fl_int8_model *form = NULL;
    fl_metrics metrics = {0};
    if (!bytes) return FL_ERR_NOT_FOUND;
    fl_err err = fl_int8_decode(&form, bytes, len, NULL);
    if (!err) err = fl_form_measure(&metrics, form, rows, NULL);
    fl_int8_free(form);
    *correct_count = (uint32_t)metrics.correct_count;
    return err == FL_ERR_FORMAT || err == FL_ERR_UNSUPPORTED ||
                   err == FL_ERR_RANGE || err == FL_ERR_LIMIT
               ? FL_ERR_NOT_FOUND
               : err;
}

// With the one in use alone, each form that is a little worse would lower what
// the next one is held against.
static fl_err measure_installed(uint32_t *correct_count,
                                const fl_install *install,
                                const fl_form_rows *rows)
{
    uint32_t before = 0;
    FL_TRY(measure_bytes(correct_count, install->installed,
                         install->installed_len, rows));
    const fl_err err =
        measure_bytes(&before, install->previous, install->previous_len, rows);
    if (err) return err == FL_ERR_NOT_FOUND ? FL_OK : err;
    if (before > *correct_count) *correct_count = before;
    return FL_OK;
}

static bool is_good(const fl_client_verdict *verdict, double max_drop)
{
    const double lost =
        (double)verdict->correct_before - (double)verdict->correct_count;
    return 100.0 * lost <= max_drop * verdict->row_count;
}

static fl_err judge(fl_client_verdict *verdict, const fl_int8_model *form,
                    const fl_install *install, const fl_form_rows *rows,
                    fl_reason *why)
{
    fl_metrics now = {0};
    FL_TRY(fl_form_measure(&now, form, rows, why));
    verdict->row_count = rows->row_count;
    verdict->correct_count = (uint32_t)now.correct_count;
    const fl_err err =
        measure_installed(&verdict->correct_before, install, rows);
    if (err == FL_ERR_NOT_FOUND) {
        verdict->is_first = true;
        verdict->is_accepted = true;
        return FL_OK;
    }
    if (err) {
        return fl_reason_set(why, err, "the installed model: %s",
                             fl_err_text(err));
    }
    verdict->is_accepted = is_good(verdict, install->max_drop);
    return FL_OK;
}

fl_err fl_install_try(fl_client_verdict *verdict, uint8_t **bytes, size_t *len,
                      const fl_install *install, fl_reason *why)
{
    fl_int8_model *form = NULL;
    uint32_t *rows = NULL;
    fl_form_rows chosen = {.dataset = NULL};
    *verdict = (fl_client_verdict){.is_accepted = false};
    *bytes = NULL;
    fl_err err = make_form(&form, bytes, len, &install->data, why);
    if (!err) err = choose_rows(&rows, &chosen, install, why);
    if (!err) err = judge(verdict, form, install, &chosen, why);
    if (!err) {
        verdict->is_same = install->installed && *bytes &&
                           install->installed_len == *len &&
                           memcmp(install->installed, *bytes, *len) == 0;
    }
    if (err) {
        free(*bytes);
        *bytes = NULL;
    }
    fl_int8_free(form);
    free(rows);
    return err;
}
