/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { TABLE_CAP = 64, UPLOAD_BYTES_CAP = 1 << 30 };

static const fl_settings DEFAULTS = {
    .dataset = "fashion-mnist",
    .partition = "dirichlet:0.3",
    .clients = 100,
    .model = "lenet",
    .schedule = "constant",
    .local_epochs = 1,
    .batch = 32,
    .lr = 0.05,
    .schedule_factor = 0.1,
    .rounds = 50,
    .cohort = 10,
    .evaluate_every = 1,
    .deadline_s = 600.0,
    .up_mbit = 10.0,
    .down_mbit = 50.0,
    .latency_ms = 20.0,
    .samples_per_s = 500.0,
    .availability = 1.0,
    .period_s = 600.0,
    .seed = 1,
    .threads = 2,
    .log_level = "error",
};

// Fills `table` with all options, bound to the fields of `s`.
static size_t list_options(fl_option table[TABLE_CAP], fl_settings *s)
{
    const fl_option options[] = {
        {"data", "dataset", FL_OPTION_TEXT, &s->dataset, 0, 0, "SPEC",
         "fashion-mnist, csv:FILE, idx:DIR, npy:X,Y, images:DIR, or a path"},
        {"data", "test", FL_OPTION_TEXT, &s->test, 0, 0, "SPEC",
         "held-out data, when the dataset brings none; otherwise a tenth of "
         "its rows is held out"},
        {"data", "label-column", FL_OPTION_TEXT, &s->label_column, 0, 0, "NAME",
         "CSV: the column to predict (\"label\", else the last)"},
        {"data", "group-column", FL_OPTION_TEXT, &s->group_column, 0, 0, "NAME",
         "CSV: whose rows they are, for --partition column"},
        {"data", "partition", FL_OPTION_TEXT, &s->partition, 0, 0, "HOW",
         "how rows are dealt to clients: iid, dirichlet:ALPHA, shards:N, "
         "column"},
        {"data", "clients", FL_OPTION_COUNT, &s->clients, 1, 1000000, "N",
         "clients in the federation"},
        {"data", "samples", FL_OPTION_COUNT, &s->samples, 0, 1 << 20, "N",
         "rows of each client; 0 deals all rows out"},

        {"train", "model", FL_OPTION_TEXT, &s->model, 0, 0, "NAME|FILE",
         "lenet, mlp, or an ONNX file"},
        {"train", "local-epochs", FL_OPTION_COUNT, &s->local_epochs, 1, 65536,
         "N", "passes over its rows that a client makes in a round"},
        {"train", "batch", FL_OPTION_COUNT, &s->batch, 1, 65536, "N",
         "rows in one step"},
        {"train", "lr", FL_OPTION_NUMBER, &s->lr, 1e-12, 1e6, "X",
         "learning rate"},
        {"train", "momentum", FL_OPTION_NUMBER, &s->momentum, 0, 0.9999, "X",
         "of SGD"},
        {"train", "weight-decay", FL_OPTION_NUMBER, &s->weight_decay, 0, 1e3,
         "X", "L2 penalty added to the gradient"},
        {"train", "clip-norm", FL_OPTION_NUMBER, &s->clip_norm, 0, 1e9, "X",
         "longest gradient of a step; 0: no limit"},
        {"train", "schedule", FL_OPTION_TEXT, &s->schedule, 0, 0, "NAME",
         "of the learning rate within a round: constant, cosine, step"},
        {"train", "schedule-steps", FL_OPTION_COUNT, &s->schedule_steps, 0, 1e9,
         "N", "cosine: steps to 0; step: steps between two changes"},
        {"train", "schedule-factor", FL_OPTION_NUMBER, &s->schedule_factor, 0,
         1e3, "X", "step: what the rate is multiplied by"},

        {"rounds", "rounds", FL_OPTION_COUNT, &s->rounds, 0, 1000000, "N",
         "rounds to run"},
        {"rounds", "cohort", FL_OPTION_COUNT, &s->cohort, 1, 4096, "N",
         "clients whose updates make a round"},
        {"rounds", "over-select", FL_OPTION_NUMBER, &s->over_select, 0, 10, "X",
         "ask this share more clients, take the first to answer"},
        {"rounds", "quorum", FL_OPTION_COUNT, &s->quorum, 0, 4096, "N",
         "updates without which a round fails; 0: half of the cohort"},
        {"rounds", "deadline", FL_OPTION_NUMBER, &s->deadline_s, 0.001, 1e6,
         "S", "seconds that a round may take"},
        {"rounds", "evaluate-every", FL_OPTION_COUNT, &s->evaluate_every, 0,
         1000000, "N",
         "rounds between two measurements on the held-out data; 0: never"},

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
         "probability that a selected client vanishes while it works"},

        {"run", "seed", FL_OPTION_COUNT, &s->seed, 0, 9e15, "N",
         "the same seed gives the same result, whatever the threads"},
        {"run", "threads", FL_OPTION_COUNT, &s->threads, 0, 1024, "N",
         "worker threads; 0: none beside the main one"},
        {"run", "out", FL_OPTION_TEXT, &s->out, 0, 0, "FILE",
         "the trained model, ONNX"},
        {"run", "json", FL_OPTION_TEXT, &s->json, 0, 0, "FILE",
         "one JSON object a round and a summary; - is standard output"},
        {"run", "csv", FL_OPTION_TEXT, &s->csv, 0, 0, "FILE",
         "one line a round"},
        {"run", "plot", FL_OPTION_TEXT, &s->plot, 0, 0, "FILE",
         "the learning curve, SVG (needs gnuplot)"},
        {"run", "quiet", FL_OPTION_FLAG, &s->is_quiet, 0, 0, NULL,
         "no progress line and no table"},
        {"run", "log-level", FL_OPTION_TEXT, &s->log_level, 0, 0, "LEVEL",
         "error, warn, info or debug; one event a line on standard error"},
    };
    _Static_assert(sizeof options / sizeof *options <= TABLE_CAP,
                   "the table is large enough");
    memcpy(table, options, sizeof options);
    return sizeof options / sizeof *options;
}

static fl_err read_schedule(fl_schedule *schedule, const fl_settings *settings,
                            fl_reason *why)
{
    static const char *const names[] = {
        [FL_SCHEDULE_CONSTANT] = "constant",
        [FL_SCHEDULE_COSINE] = "cosine",
        [FL_SCHEDULE_STEP] = "step",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(settings->schedule, names[i]) != 0) continue;
        *schedule = (fl_schedule)i;
        if (*schedule == FL_SCHEDULE_CONSTANT || settings->schedule_steps > 0)
            return FL_OK;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--schedule %s needs --schedule-steps", names[i]);
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--schedule %s: not constant, cosine or step",
                         settings->schedule);
}

// What belongs together is checked together, before anything is loaded.
static fl_err check(const fl_settings *settings, fl_reason *why)
{
    fl_schedule schedule;
    fl_log_level level;
    FL_TRY(read_schedule(&schedule, settings, why));
    if (fl_log_level_parse(&level, settings->log_level))
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--log-level %s: not error, warn, info or debug",
                             settings->log_level);
    if (settings->quorum > settings->cohort)
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--quorum %llu is above --cohort %llu",
                             (unsigned long long)settings->quorum,
                             (unsigned long long)settings->cohort);
    fl_log_start(level, NULL, NULL);
    return FL_OK;
}

fl_err fl_settings_read(fl_settings *settings, fl_asked *asked, int argc,
                        char *const *argv, fl_reason *why)
{
    fl_option table[TABLE_CAP];
    *settings = DEFAULTS;
    const size_t count = list_options(table, settings);
    FL_TRY(fl_options_read(&settings->options, asked, table, count, NULL, argc,
                           argv, why));
    return *asked == FL_ASKED_NOTHING ? check(settings, why) : FL_OK;
}

void fl_settings_fini(fl_settings *settings)
{
    fl_options_free(settings->options);
    settings->options = NULL;
}

void fl_settings_help(FILE *out)
{
    fl_option table[TABLE_CAP];
    fl_settings settings = DEFAULTS;
    const size_t count = list_options(table, &settings);
    fputs("usage: fedge-sim [OPTION]...\n\n"
          "Runs a federation of simulated clients on this machine: the real "
          "client and\naggregator, connected by memory, in virtual time.\n\n"
          "  fedge-sim --rounds 20 --json run.jsonl --out model.onnx\n"
          "  fedge-sim --dataset csv:plants.csv --label-column species "
          "--model mlp \\\n"
          "            --clients 20 --cohort 5 --partition iid\n",
          out);
    fl_options_help(out, table, count);
}

/* ---- from settings to things
 * -------------------------------------------------- */

fl_err fl_settings_load(const fl_settings *settings, fl_dataset **train,
                        fl_dataset **test, fl_partition **partition,
                        fl_reason *why)
{
    const fl_data_options data = {
        .spec = settings->dataset,
        .test_spec = settings->test,
        .label_column = settings->label_column,
        .group_column = settings->group_column,
        .seed = settings->seed,
    };
    fl_partition_options deal = {
        .client_count = (uint32_t)settings->clients,
        .sample_count = (uint32_t)settings->samples,
        .seed = settings->seed,
    };
    FL_TRY(fl_partition_parse(&deal, settings->partition, why));
    FL_TRY(fl_dataset_open(train, FL_DATA_TRAIN, &data, why));
    FL_TRY(fl_dataset_open(test, FL_DATA_TEST, &data, why));
    return fl_partition_new(partition, *train, &deal, why);
}

static bool is_file_name(const char *model)
{
    const size_t len = strlen(model);
    return strchr(model, '/') ||
           (len > 5 && strcmp(model + len - 5, ".onnx") == 0);
}

static fl_err read_model(fl_model **model, const char *path, fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    FL_TRY(fl_file_read(&bytes, &len, path, FL_MODEL_BYTES_MAX, why));
    fl_err err = fl_model_decode(model, bytes, len, why);
    free(bytes);
    return err ? fl_reason_prefix(why, err, "%s", path) : FL_OK;
}

static fl_err make_model(fl_model **model, const char *name,
                         const fl_dataset *train, uint64_t seed, fl_reason *why)
{
    const fl_shape shape = fl_dataset_shape(train);
    float *moments = calloc(2 * (size_t)shape.channels, sizeof *moments);
    if (!moments)
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %u columns",
                             shape.channels);
    fl_dataset_moments(moments, moments + shape.channels, train);
    const fl_model_options options = {
        .name = name,
        .input = shape,
        .class_count = fl_dataset_class_count(train),
        .mean = moments,
        .deviation = moments + shape.channels,
        .seed = seed,
    };
    const fl_err err = fl_model_new(model, &options, why);
    free(moments);
    return err;
}

fl_err fl_settings_model(const fl_settings *settings, fl_model **model,
                         const fl_dataset *train, fl_reason *why)
{
    if (is_file_name(settings->model))
        return read_model(model, settings->model, why);
    return make_model(model, settings->model, train, settings->seed, why);
}

fl_report_options fl_settings_report(const fl_settings *settings,
                                     const fl_partition *partition,
                                     const fl_model *model)
{
    return (fl_report_options){
        .json = settings->json,
        .csv = settings->csv,
        .plot = settings->plot,
        .is_quiet = settings->is_quiet,
        .dataset = settings->dataset,
        .model = settings->model,
        .partition = settings->partition,
        .seed = settings->seed,
        .param_count = fl_model_param_count(model),
        .client_count = fl_partition_client_count(partition),
        .cohort = (uint32_t)settings->cohort,
        .round_count = (uint32_t)settings->rounds,
    };
}

static fl_plan plan_of(const fl_settings *settings)
{
    fl_schedule schedule = FL_SCHEDULE_CONSTANT;
    (void)!read_schedule(&schedule, settings, NULL);  // checked when read
    return (fl_plan){
        .local_epochs = (uint32_t)settings->local_epochs,
        .batch = (uint32_t)settings->batch,
        .lr = (float)settings->lr,
        .momentum = (float)settings->momentum,
        .weight_decay = (float)settings->weight_decay,
        .clip_norm = (float)settings->clip_norm,
        .schedule = schedule,
        .schedule_steps = (uint32_t)settings->schedule_steps,
        .schedule_factor = (float)settings->schedule_factor,
    };
}

fl_simulation_options fl_settings_simulation(const fl_settings *settings)
{
    const uint32_t cohort = (uint32_t)settings->cohort;
    return (fl_simulation_options){
        .federation =
            {
                .round_count = (uint32_t)settings->rounds,
                .cohort = cohort,
                .quorum = settings->quorum ? (uint32_t)settings->quorum
                                           : (cohort + 1) / 2,
                .over_select = settings->over_select,
                .gather_ms = 1000,
                .deadline_ms = (int64_t)(settings->deadline_s * 1e3),
                .evaluate_every = (uint32_t)settings->evaluate_every,
                .training = plan_of(settings),
                .seed = settings->seed,
                .client_cap = (uint32_t)settings->clients + 1,
                .upload_bytes_cap = UPLOAD_BYTES_CAP,
            },
        .fleet =
            {
                .seed = settings->seed,
                .up_mbit = settings->up_mbit,
                .down_mbit = settings->down_mbit,
                .link_spread = settings->link_spread,
                .latency_ms = settings->latency_ms,
                .loss = settings->loss,
                .samples_per_s = settings->samples_per_s,
                .speed_spread = settings->speed_spread,
                .availability = settings->availability,
                .period_s = settings->period_s,
                .dropout = settings->dropout,
            },
        .thread_count = (unsigned)settings->threads,
    };
}
