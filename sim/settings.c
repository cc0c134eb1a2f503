/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    UPLOAD_BYTES_CAP = 1 << 30,
    GATHER_MS = 1000,  // all clients connect before the first round
};

const fl_settings FL_SETTINGS_DEFAULTS = {
    .data = {.dataset = "fashion-mnist", .partition = "dirichlet:0.3"},
    .federation = FL_FEDERATION_INIT,
    .clients = 100,
    .up_mbit = 10.0,
    .down_mbit = 50.0,
    .latency_ms = 20.0,
    .samples_per_s = 500.0,
    .availability = 1.0,
    .period_s = 600.0,
    .threads = 2,
    .log_level = "error",
};

void fl_settings_list(fl_option *table, fl_settings *s)
{
    const fl_option own[FL_SETTINGS_OWN] = {
        {"data", "clients", FL_OPTION_COUNT, &s->clients, 1, 1000000, "N",
         "clients in the federation"},
        {"fleet", "up-mbit", FL_OPTION_NUMBER, &s->up_mbit, 0, 1e6, "X",
         "a client's median upload rate, Mbit/s; 0: no limit"},
        {"fleet", "down-mbit", FL_OPTION_NUMBER, &s->down_mbit, 0, 1e6, "X",
         "a client's median download rate, Mbit/s; 0: no limit"},
        {"fleet", "latency-ms", FL_OPTION_NUMBER, &s->latency_ms, 0, 1e5, "X",
         "median one-way latency"},
        {"fleet", "loss", FL_OPTION_NUMBER, &s->loss, 0, 0.5, "X",
         "share of packets that are lost and sent again"},
        {"fleet", "link-spread", FL_OPTION_NUMBER, &s->link_spread, 0, 5, "X",
         "how much links differ: deviation of the logarithm"},
        {"fleet", "speed", FL_OPTION_NUMBER, &s->samples_per_s, 1e-3, 1e9, "X",
         "a client's median training speed, samples/s"},
        {"fleet", "speed-spread", FL_OPTION_NUMBER, &s->speed_spread, 0, 5, "X",
         "how much speeds differ: deviation of the logarithm"},
        {"fleet", "availability", FL_OPTION_NUMBER, &s->availability, 0.01, 1,
         "X", "share of the time that a client is there"},
        {"fleet", "availability-period", FL_OPTION_NUMBER, &s->period_s, 1, 1e7,
         "S", "mean length of one presence and one absence, seconds"},
        {"fleet", "dropout", FL_OPTION_NUMBER, &s->dropout, 0, 1, "X",
         "share of a cohort that vanishes, spread over the steps of the "
         "session "
         "(in the clear: over training and upload)"},

        {"run", "threads", FL_OPTION_COUNT, &s->threads, 0, 1024, "N",
         "worker threads; their number does not change the result"},
        {"run", "out", FL_OPTION_TEXT, &s->out, 0, 0, "FILE",
         "the trained model, ONNX"},
        {"run", "json", FL_OPTION_TEXT, &s->json, 0, 0, "FILE",
         "one JSON object a round and a summary; - is standard output"},
        {"run", "csv", FL_OPTION_TEXT, &s->csv, 0, 0, "FILE",
         "one line a round"},
        {"run", "plot", FL_OPTION_TEXT, &s->plot, 0, 0, "FILE",
         "the learning curve, SVG (needs gnuplot)"},
        {"run", "plot-bytes", FL_OPTION_TEXT, &s->plot_bytes, 0, 0, "FILE",
         "bytes up and down over rounds, SVG (needs gnuplot)"},
        {"run", "partition-out", FL_OPTION_TEXT, &s->partition_out, 0, 0,
         "FILE", "which training row belongs to which client, CSV"},
        {"run", "quiet", FL_OPTION_FLAG, &s->is_quiet, 0, 0, NULL,
         "no progress line and no table"},
        {"run", "log-level", FL_OPTION_TEXT, &s->log_level, 0, 0, "LEVEL",
         "error, warn, info or debug; one event a line on standard error"},
    };
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_COUNT, &s->data);
    table[count++] = own[0];  // among those of the data
    fl_federation_list(table + count, &s->federation);
    count += FL_FEDERATION_OPTIONS;
    memcpy(table + count, own + 1, sizeof own - sizeof *own);
}

/* ---- from settings to things
 * -------------------------------------------------- */

fl_err fl_settings_load(const fl_settings *settings, fl_dataset **train,
                        fl_dataset **test, fl_partition **partition,
                        fl_reason *why)
{
    const uint64_t seed = settings->federation.seed;
    const fl_data_options data =
        fl_data_settings_options(&settings->data, seed);
    FL_TRY(fl_dataset_open(train, FL_DATA_TRAIN, &data, why));
    FL_TRY(fl_dataset_open(test, FL_DATA_TEST, &data, why));
    return fl_data_settings_deal(partition, &settings->data, *train,
                                 (uint32_t)settings->clients, seed, why);
}

fl_err fl_settings_write_partition(const fl_settings *settings,
                                   const fl_partition *partition,
                                   fl_reason *why)
{
    const char *path = settings->partition_out;
    if (!path) return FL_OK;
    FILE *file = fopen(path, "w");
    bool is_whole = file && fputs("client,row\n", file) >= 0;
    for (uint32_t c = 0; is_whole && c < fl_partition_client_count(partition);
         c++) {
        uint32_t count;
        const uint32_t *rows = fl_partition_rows(partition, c, &count);
        for (uint32_t i = 0; i < count && is_whole; i++) {
            is_whole = fprintf(file, "%u,%u\n", c, rows[i]) > 0;
        }
    }
    if (file && fclose(file)) is_whole = false;
    if (is_whole) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s: cannot be written: %s", path,
                         strerror(errno));
}

fl_report_options fl_settings_report(const fl_settings *settings,
                                     const fl_partition *partition,
                                     const fl_model *model)
{
    return (fl_report_options){
        .json = settings->json,
        .csv = settings->csv,
        .plot = settings->plot,
        .plot_bytes = settings->plot_bytes,
        .is_quiet = settings->is_quiet,
        .dataset = settings->data.dataset,
        .model = settings->federation.model,
        .partition = settings->data.partition,
        .seed = settings->federation.seed,
        .param_count = fl_model_param_count(model),
        .client_count = fl_partition_client_count(partition),
        .cohort = (uint32_t)settings->federation.cohort,
        .round_count = (uint32_t)settings->federation.round_count,
    };
}

fl_simulation_options fl_settings_simulation(const fl_settings *settings)
{
    fl_simulation_options options = {
        .federation = {.gather_ms = GATHER_MS,
                       .upload_bytes_cap = UPLOAD_BYTES_CAP},
        .fleet = {.seed = settings->federation.seed,
                  .up_mbit = settings->up_mbit,
                  .down_mbit = settings->down_mbit,
                  .link_spread = settings->link_spread,
                  .latency_ms = settings->latency_ms,
                  .loss = settings->loss,
                  .samples_per_s = settings->samples_per_s,
                  .speed_spread = settings->speed_spread,
                  .availability = settings->availability,
                  .period_s = settings->period_s,
                  .dropout = settings->dropout},
        .thread_count = (unsigned)settings->threads,
    };
    fl_federation_apply(&settings->federation, &options.federation);
    return options;
}
