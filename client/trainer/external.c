/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/external.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/trainer/child.h"
#include "client/trainer/drive.h"
#include "client/trainer/handover.h"
#include "client/trainer/probe.h"

enum {
    SEED_BITS = 53,  // whole numbers that every reader of JSON has
    ENV_CAP = PATH_MAX + 8,
};

/* ---- options ---- */

size_t fl_external_list(fl_option *table, fl_external_options *o)
{
    const fl_option options[] = {
        {"trainer", "trainer-command", FL_OPTION_TEXT, &o->command, 0, 0,
         "COMMAND",
         "a program of yours that trains in place of the built-in engine: "
         "\"/usr/bin/python3 /opt/trainer.py\" (docs/trainer.md)"},
        {"trainer", "trainer-seconds", FL_OPTION_COUNT, &o->seconds, 0, 1e6,
         "N", "that it may take, without pauses; 0: as long as the round"},
        {"trainer", "trainer-memory", FL_OPTION_COUNT, &o->memory, 0, 1e6, "MB",
         "of addresses that it may use; 0: any, which CUDA needs"},
        {"trainer", "trainer-offline", FL_OPTION_FLAG, &o->is_offline, 0, 0,
         NULL, "let it have no network at all, where the system permits that"},
    };
    _Static_assert(sizeof options / sizeof *options == FL_EXTERNAL_OPTION_COUNT,
                   "there is room for all of them");
    memcpy(table, options, sizeof options);
    return FL_EXTERNAL_OPTION_COUNT;
}

/* ---- limits ---- */

// A tenth of the round is left for what comes after it, or for another client.
static int64_t limit_of(const fl_external *external, const fl_plan *plan)
{
    const int64_t own_ms = (int64_t)external->options.seconds * 1000;
    const int64_t round_ms = (int64_t)plan->deadline_ms / 10 * 9;
    if (own_ms == 0) return round_ms > 0 ? round_ms : INT64_MAX;
    return round_ms > 0 && round_ms < own_ms ? round_ms : own_ms;
}

static uint64_t seed_of(const fl_local_job *job)
{
    fl_random seed;
    fl_random_init(&seed, fl_local_seed(job->plan), FL_RANDOM_SHUFFLE,
                   job->data->client);
    return fl_random_u64(&seed) >> (64 - SEED_BITS);
}

static uint32_t threads_of(const fl_local_job *job)
{
    return job->data->thread_count ? job->data->thread_count : 1;
}

/* ---- one training ---- */

static fl_err give(const fl_workdir *dir, const fl_external *external,
                   const fl_local_job *job, const float *params,
                   int64_t limit_ms, fl_reason *why)
{
    const fl_talk_task task = {
        .plan = job->plan,
        .seed = seed_of(job),
        .seconds = limit_ms < INT64_MAX ? (uint64_t)limit_ms / 1000 : 0,
        .threads = threads_of(job),
        .row_count = job->row_count,
        .class_count = fl_model_class_count(job->model),
        .input = fl_dataset_shape(job->data->dataset),
        .dataset = external->dataset,
    };
    return fl_handover_give(dir, job, params, &task, why);
}

// Nothing of our environment: it may hold what is nobody's business.
static fl_err start(fl_child *child, const fl_workdir *dir,
                    const fl_external *external, uint32_t threads,
                    fl_reason *why)
{
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LANG=C.UTF-8";
    char home[ENV_CAP], scratch[ENV_CAP], team[32];
    char *const environment[] = {path, lang, home, scratch, team, NULL};
    snprintf(home, sizeof home, "HOME=%s", dir->path);
    snprintf(scratch, sizeof scratch, "TMPDIR=%s", dir->path);
    snprintf(team, sizeof team, "OMP_NUM_THREADS=%" PRIu32, threads);
    const int input = openat(dir->fd, FL_TALK_TASK, O_RDONLY | O_CLOEXEC);
    if (input < 0) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s is gone", FL_TALK_TASK);
    }
    const fl_child_options options = {
        .argv = external->argv.words,
        .envp = environment,
        .folder = dir->path,
        .input = input,
        .memory = external->options.memory * 1000000,
        .is_offline = external->options.is_offline,
    };
    const fl_err err = fl_child_start(child, &options, why);
    close(input);
    return err;
}

static fl_err drive(fl_talk_report *report, const fl_workdir *dir,
                    const fl_external *external, const fl_local_job *job,
                    int64_t limit_ms, fl_reason *why)
{
    fl_child child;
    FL_TRY(start(&child, dir, external, threads_of(job), why));
    const fl_err err = fl_drive_run(report, &child, job->data, limit_ms, why);
    fl_child_end(&child);
    if (err || report->example_count <= job->row_count) return err;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "it has trained on %" PRIu64
                         " examples; it was given %" PRIu32,
                         report->example_count, job->row_count);
}

static fl_err work(fl_talk_report *report, const fl_external *external,
                   float *params, const fl_local_job *job, fl_reason *why)
{
    fl_workdir dir;
    fl_reason left;
    const int64_t limit_ms = limit_of(external, job->plan);
    fl_err err = fl_workdir_open(&dir, external->state, why);
    if (!err) err = give(&dir, external, job, params, limit_ms, why);
    if (!err) err = drive(report, &dir, external, job, limit_ms, why);
    if (!err) err = fl_handover_take(params, &dir, job, why);
    if (fl_workdir_close(&dir, &left)) {
        fl_log(FL_LOG_WARN, "trainer_folder_left", "why=%s", left.text);
    }
    return err;
}

/* ---- what it was worth ---- */

static double share(double part, const fl_metrics *whole)
{
    return part / (double)whole->sample_count;
}

static void log_done(const fl_talk_report *report, const fl_metrics *before,
                     const fl_metrics *after, const fl_plan *plan, int64_t ms)
{
    fl_log(FL_LOG_INFO, "trainer_done",
           "round=%" PRIu32 " examples=%" PRIu64
           " loss=%.6g accuracy=%.4g measured_before=%.6g measured_after=%.6g "
           "took_ms=%" PRId64,
           plan->round, report->example_count, report->loss, report->accuracy,
           share(before->loss_sum, before), share(after->loss_sum, after), ms);
}

// What was measured on some of the examples, as if it were on all.
static fl_metrics scale(const fl_metrics *measured, uint64_t example_count)
{
    const double factor = share((double)example_count, measured);
    return (fl_metrics){
        .sample_count = example_count,
        .correct_count =
            (uint64_t)llrint((double)measured->correct_count * factor),
        .loss_sum = measured->loss_sum * factor,
    };
}

static fl_err train(void *self, float *params, fl_metrics *metrics,
                    const fl_local_job *job, fl_reason *why)
{
    const fl_external *external = self;
    const int64_t begun_ms = fl_clock_monotonic_ms();
    fl_metrics before, after;
    fl_talk_report report;
    FL_TRY(fl_probe_measure(&before, params, job, why));
    const fl_err err = work(&report, external, params, job, why);
    if (err == FL_ERR_CANCELLED) return err;
    if (err) return fl_reason_prefix(why, err, "the trainer");
    const fl_err probed = fl_probe_measure(&after, params, job, why);
    if (probed) {
        return fl_reason_prefix(why, probed, "what the trainer has made");
    }
    log_done(&report, &before, &after, job->plan,
             fl_clock_monotonic_ms() - begun_ms);
    *metrics = scale(&before, report.example_count);
    return FL_OK;
}

/* ---- whoever has one ---- */

fl_err fl_external_init(fl_external *external,
                        const fl_external_options *options, const char *state,
                        const char *dataset, fl_reason *why)
{
    *external = (fl_external){.options = *options,
                              .state = state,
                              .dataset = dataset,
                              .trainer = {.train = train, .self = external}};
    if (!options->command) return FL_OK;
    FL_TRY(fl_argv_split(&external->argv, options->command, why));
    const char *program = external->argv.words[0];
    if (access(program, X_OK) == 0) return FL_OK;
    fl_reason_set(why, FL_ERR_NOT_FOUND,
                  "--trainer-command: %s is not there, or cannot be executed",
                  program);
    fl_external_fini(external);
    return FL_ERR_NOT_FOUND;
}

void fl_external_fini(fl_external *external)
{
    fl_argv_fini(&external->argv);
}

const fl_local_trainer *fl_external_trainer(const fl_external *external)
{
    return external->options.command ? &external->trainer : NULL;
}

void fl_external_note(fl_external *external, fl_err err, const fl_reason *why,
                      int64_t now_ms)
{
    if (!external->options.command || err == FL_ERR_CANCELLED) return;
    fl_retreat_note(&external->retreat, err != FL_OK, now_ms);
    external->trouble = err ? *why : (fl_reason){""};
    const int64_t left_ms = fl_retreat_left_ms(&external->retreat, now_ms);
    if (left_ms == 0) return;
    fl_log(FL_LOG_WARN, "trainer_rests", "failures=%" PRIu32 " s=%" PRId64,
           external->retreat.failure_count, left_ms / 1000);
}
