/*
 * fedge-sim: a federation on one machine, in virtual time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"
#include "sim/forms.h"
#include "sim/report.h"
#include "sim/settings.h"
#include "sim/simulation.h"

static atomic_bool stop;

static void on_signal(int signal_number)
{
    // The second one does not wait: this run is over at once.
    if (atomic_exchange(&stop, true)) _Exit(128 + signal_number);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

typedef struct {
    fl_dataset *train, *test;
    fl_partition *partition;
    fl_model *model;
    fl_report *report;
    fl_simulation *simulation;
} parts;

static void free_parts(parts *p)
{
    fl_simulation_free(p->simulation);
    fl_report_free(p->report);
    fl_model_free(p->model);
    fl_partition_free(p->partition);
    fl_dataset_free(p->test);
    fl_dataset_free(p->train);
}

static fl_err on_round(void *self, const fl_round_record *round,
                       const uint32_t *cohort, size_t cohort_len,
                       int64_t virtual_ms, fl_reason *why)
{
    return fl_report_round(self, round, cohort, cohort_len, virtual_ms, why);
}

static fl_err build(parts *p, const fl_settings *settings, fl_reason *why)
{
    FL_TRY(fl_report_check_path(settings->out, why));
    FL_TRY(fl_settings_load(settings, &p->train, &p->test, &p->partition, why));
    FL_TRY(fl_settings_write_partition(settings, p->partition, why));
    FL_TRY(
        fl_federation_model(&settings->federation, &p->model, p->train, why));
    const fl_report_options report =
        fl_settings_report(settings, p->partition, p->model);
    FL_TRY(fl_report_new(&p->report, &report, why));
    fl_simulation_options simulation = fl_settings_simulation(settings);
    simulation.train = p->train;
    simulation.test = p->test;
    simulation.partition = p->partition;
    simulation.stop = &stop;
    simulation.on_round = on_round;
    simulation.on_round_self = p->report;
    fl_model *model = p->model;
    p->model = NULL;  // taken
    return fl_simulation_new(&p->simulation, &simulation, model, why);
}

static fl_err write_model(const parts *p, const fl_settings *settings,
                          fl_reason *why)
{
    size_t len;
    const uint8_t *bytes = fl_simulation_model(p->simulation, &len);
    size_t ranges_len;
    const uint8_t *ranges = fl_simulation_ranges(p->simulation, &ranges_len);
    if (!settings->out) return FL_OK;
    return fl_export_write(settings->out, bytes, len, ranges, ranges_len, NULL,
                           why);
}

// What became of the model, when the federation was to make it smaller.
static fl_err measure_forms(const parts *p, const fl_settings *settings,
                            fl_reason *why)
{
    if (settings->federation.prune == 0.0 && !settings->federation.has_int8) {
        return FL_OK;
    }
    size_t len, ranges_len;
    const uint8_t *bytes = fl_simulation_model(p->simulation, &len);
    const uint8_t *ranges = fl_simulation_ranges(p->simulation, &ranges_len);
    fl_totals_forms forms;
    fl_model *dense = NULL;
    FL_TRY(fl_federation_model(&settings->federation, &dense, p->train, why));
    const fl_err err =
        fl_forms_measure(&forms, dense, bytes, len, ranges, ranges_len, why);
    if (!err) fl_report_set_forms(p->report, &forms);
    fl_model_free(dense);
    return err;
}

// What is finished is written, also when the run was stopped or failed.
static fl_err write_results(const parts *p, const fl_settings *settings,
                            fl_reason *why)
{
    FL_TRY(write_model(p, settings, why));
    FL_TRY(measure_forms(p, settings, why));
    fl_report_set_crypto(p->report,
                         fl_simulation_client_crypto_s(p->simulation),
                         fl_simulation_server_crypto_s(p->simulation));
    return fl_report_finish(p->report, fl_simulation_now_ms(p->simulation),
                            why);
}

static fl_err run(const fl_settings *settings, fl_reason *why)
{
    parts p = {0};
    fl_reason later;
    fl_err err = build(&p, settings, why);
    if (!err) {
        catch_signals();
        err = fl_simulation_run(p.simulation, why);
        const fl_err written = write_results(&p, settings, &later);
        if (written && !err) {
            err = fl_reason_set(why, written, "%s", later.text);
        }
    }
    free_parts(&p);
    return err;
}

static const char USAGE[] =
    "usage: fedge-sim [OPTION]...\n\n"
    "Runs a federation of simulated clients on this machine: the real client "
    "and\naggregator, connected by memory, in virtual time.\n\n"
    "  fedge-sim --rounds 20 --json run.jsonl --out model.onnx\n"
    "  fedge-sim --dataset csv:plants.csv --label-column species --model mlp "
    "\\\n"
    "            --clients 20 --cohort 5 --partition iid\n\n";

static int simulate(const void *self, fl_reason *why)
{
    const fl_settings *settings = self;
    if (fl_federation_check(&settings->federation, why)) return FL_EXIT_USAGE;
    if (fl_secure_start()) {
        (void)!fl_reason_set(why, FL_ERR_SYSTEM, "libsodium cannot start");
        return FL_EXIT_FAILED;
    }
    return fl_program_exit(run(settings, why));
}

int main(int argc, char **argv)
{
    fl_option table[FL_SETTINGS_OPTIONS];
    const fl_command command = {.run = simulate};
    fl_settings settings = FL_SETTINGS_DEFAULTS;
    fl_settings_list(table, &settings);
    const fl_program program = {
        .name = "fedge-sim",
        .summary = "simulate a federation on one machine",
        .usage = USAGE,
        .options = table,
        .option_count = FL_SETTINGS_OPTIONS,
        .commands = &command,
        .command_count = 1,
        .log_level = &settings.log_level,
        .settings = &settings,
    };
    return fl_program_main(&program, argc, argv);
}
