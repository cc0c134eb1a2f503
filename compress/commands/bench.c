/*
 * fedge-compress bench: how long a model takes, and where.
 *
 * Every thread has a runner of its own and calls it over and over, so that
 * latency is one call's and throughput is all threads'.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/team.h"
#include "compress/tool.h"

static const char USAGE[] =
    "usage: fedge-compress bench MODEL [OPTION]...\n\n"
    "Runs a model, float32 or INT8, on random input and reports latency, "
    "throughput,\nmemory, and the time of every layer. FEDGE_CPU=portable "
    "(or avx2, avx512vnni,\nsdot, smlal) forces a set of kernels.\n\n"
    "  fedge-compress bench r8-int8.onnx\n"
    "  FEDGE_CPU=portable fedge-compress bench r8-int8.onnx --runs 200\n\n";

enum { PROFILE_RUNS = 200 };

typedef struct {
    const fl_tool *tool;
    fl_runner **runners;  // one a thread
    float *x;             // (batch, H, W, C), the same for all
    float *logits;        // (threads, batch, classes)
    uint64_t *ns;         // (threads, runs): of each call
    uint64_t *done;       // calls that each thread made
    uint64_t *step_ns;    // sums over PROFILE_RUNS calls of one runner
    size_t file_len;
} bench;

/* ---- measuring ---- */

static void call(const bench *b, unsigned thread)
{
    fl_runner *runner = b->runners[thread];
    const size_t size = b->tool->bench_batch * fl_runner_class_count(runner);
    // A batch that fits its capacity cannot fail.
    (void)!fl_runner_run(runner, b->logits + thread * size, b->x,
                         (size_t)b->tool->bench_batch);
}

static bool is_over(const bench *b, int64_t start_ns)
{
    const double seconds = (double)(fl_clock_monotonic_ns() - start_ns) / 1e9;
    return seconds >= b->tool->seconds || atomic_load(&fl_tool_stop);
}

static void measure_thread(unsigned thread, void *context)
{
    bench *b = context;
    uint64_t *ns = b->ns + thread * b->tool->run_count;
    const int64_t start_ns = fl_clock_monotonic_ns();
    for (uint64_t i = 0; i < b->tool->warmup_runs; i++) {
        if (!is_over(b, start_ns)) call(b, thread);
    }
    const int64_t begin_ns = fl_clock_monotonic_ns();
    for (uint64_t i = 0; i < b->tool->run_count; i++) {
        const int64_t before_ns = fl_clock_monotonic_ns();
        call(b, thread);
        ns[i] = (uint64_t)(fl_clock_monotonic_ns() - before_ns);
        b->done[thread] = i + 1;
        if (is_over(b, begin_ns)) break;
    }
}

static void profile(const bench *b)
{
    fl_runner *runner = b->runners[0];
    for (unsigned i = 0; i < PROFILE_RUNS; i++) {
        (void)!fl_runner_profile(runner, b->logits, b->x,
                                 (size_t)b->tool->bench_batch, b->step_ns);
        if (atomic_load(&fl_tool_stop)) return;
    }
}

/* ---- reporting ---- */

static int compare_ns(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

typedef struct {
    uint64_t count;
    double p50_us, p90_us, p99_us, mean_us, per_s;
} summary;

// Of sorted times.
static double percentile_us(const bench *b, uint64_t count, uint64_t percent)
{
    const uint64_t at = (count - 1) * percent / 100;
    return (double)b->ns[at] / 1e3;
}

// Sorts the times of all threads, put together.
static summary summarize(bench *b)
{
    summary s = {0};
    double sum = 0.0;
    for (uint64_t t = 0; t < b->tool->threads; t++) {
        const uint64_t *from = b->ns + t * b->tool->run_count;
        memmove(b->ns + s.count, from, b->done[t] * sizeof *from);
        s.count += b->done[t];
    }
    qsort(b->ns, s.count, sizeof *b->ns, compare_ns);
    for (uint64_t i = 0; i < s.count; i++) {
        sum += (double)b->ns[i];
    }
    s.p50_us = percentile_us(b, s.count, 50);
    s.p90_us = percentile_us(b, s.count, 90);
    s.p99_us = percentile_us(b, s.count, 99);
    s.mean_us = sum / (double)s.count / 1e3;
    s.per_s =
        (double)(b->tool->threads * b->tool->bench_batch) * 1e6 / s.mean_us;
    return s;
}

static void print_layers(const bench *b)
{
    const fl_runner *runner = b->runners[0];
    const uint32_t steps = fl_runner_step_count(runner);
    uint64_t all_ns = 1;
    for (uint32_t i = 0; i < steps; i++) {
        all_ns += b->step_ns[i];
    }
    printf("\n%-28s %-24s %14s %10s %9s %6s %8s\n", "layer", "operators",
           "output", "kMAC", "us", "%", "MAC/ns");
    for (uint32_t i = 0; i < steps; i++) {
        const fl_step_info step = fl_runner_step(runner, i);
        const double us = (double)b->step_ns[i] / PROFILE_RUNS / 1e3;
        const double macs =
            (double)step.mac_count * (double)b->tool->bench_batch;
        char shape[40];
        snprintf(shape, sizeof shape, "%ux%ux%u", step.shape.height,
                 step.shape.width, step.shape.channels);
        printf("%-28s %-24s %14s %10.1f %9.2f %6.1f %8.1f\n", step.name,
               step.op, shape, macs / 1e3, us,
               100.0 * (double)b->step_ns[i] / (double)all_ns,
               us > 0.0 ? macs / us / 1e3 : 0.0);
    }
}

static void print_report(const bench *b, const summary *s)
{
    char file[16], memory[16];
    fl_bytes_text(file, (double)b->file_len);
    fl_bytes_text(memory, (double)fl_runner_bytes(b->runners[0]));
    printf("%s: %s, kernels %s, batch %llu, threads %llu, %llu calls\n",
           b->tool->word, file, fl_runner_kernels(b->runners[0]),
           (unsigned long long)b->tool->bench_batch,
           (unsigned long long)b->tool->threads, (unsigned long long)s->count);
    printf("latency   p50 %.1f us, p90 %.1f us, p99 %.1f us, mean %.1f us\n",
           s->p50_us, s->p90_us, s->p99_us, s->mean_us);
    printf("throughput %.0f examples/s; memory at work %s a thread\n", s->per_s,
           memory);
    print_layers(b);
}

static fl_json *layer_json(const bench *b, uint32_t i)
{
    const fl_step_info step = fl_runner_step(b->runners[0], i);
    fl_json *layer = fl_json_new();
    fl_json_text_set(layer, "name", step.name);
    fl_json_text_set(layer, "operators", step.op);
    fl_json_count_set(layer, "height", step.shape.height);
    fl_json_count_set(layer, "width", step.shape.width);
    fl_json_count_set(layer, "channels", step.shape.channels);
    fl_json_count_set(layer, "macs", step.mac_count);
    fl_json_number_set(layer, "us", (double)b->step_ns[i] / PROFILE_RUNS / 1e3);
    return layer;
}

static fl_err write_json(const bench *b, const summary *s, fl_reason *why)
{
    char *text = NULL;
    fl_json *json = fl_json_new();
    fl_json_text_set(json, "model", b->tool->word);
    fl_json_text_set(json, "kernels", fl_runner_kernels(b->runners[0]));
    fl_json_count_set(json, "file_bytes", b->file_len);
    fl_json_count_set(json, "arena_bytes", fl_runner_bytes(b->runners[0]));
    fl_json_count_set(json, "batch", b->tool->bench_batch);
    fl_json_count_set(json, "threads", b->tool->threads);
    fl_json_count_set(json, "calls", s->count);
    fl_json_number_set(json, "p50_us", s->p50_us);
    fl_json_number_set(json, "p90_us", s->p90_us);
    fl_json_number_set(json, "p99_us", s->p99_us);
    fl_json_number_set(json, "mean_us", s->mean_us);
    fl_json_number_set(json, "examples_per_s", s->per_s);
    for (uint32_t i = 0; i < fl_runner_step_count(b->runners[0]); i++) {
        fl_json_object_add(json, "layers", layer_json(b, i));
    }
    const fl_err err = fl_json_text(&text, json);
    if (!err) puts(text);
    free(text);
    fl_json_free(json);
    return err ? fl_reason_set(why, err, "no memory for the report") : FL_OK;
}

/* ---- life ---- */

static void fill(float *x, size_t count, uint64_t seed)
{
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_INIT, 0);
    for (size_t i = 0; i < count; i++) {
        x[i] = fl_random_float(&random);
    }
}

static fl_err allocate(bench *b, fl_reason *why)
{
    const fl_tool *tool = b->tool;
    const fl_runner *runner = b->runners[0];
    size_t inputs, outputs;
    fl_err err = fl_size_mul(&inputs, fl_shape_size(fl_runner_input(runner)),
                             (size_t)tool->bench_batch);
    if (!err) {
        err = fl_size_mul(&outputs, fl_runner_class_count(runner),
                          (size_t)(tool->bench_batch * tool->threads));
    }
    if (!err) {
        b->x = calloc(inputs, sizeof *b->x);
        b->logits = calloc(outputs, sizeof *b->logits);
        b->ns = calloc(tool->threads * tool->run_count, sizeof *b->ns);
        b->done = calloc(tool->threads, sizeof *b->done);
        b->step_ns =
            calloc(fl_runner_step_count(runner) + 1, sizeof *b->step_ns);
    }
    if (err || !b->x || !b->logits || !b->ns || !b->done || !b->step_ns) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for a batch of %llu",
                             (unsigned long long)tool->bench_batch);
    }
    fill(b->x, inputs, tool->seed);
    return FL_OK;
}

static fl_err open_runners(bench *b, fl_reason *why)
{
    fl_tool_model model = {0};
    b->runners = calloc(b->tool->threads, sizeof *b->runners);
    if (!b->runners) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_tool_read(&model, b->tool->word, why);
    b->file_len = model.file_len;
    for (uint64_t i = 0; !err && i < b->tool->threads; i++) {
        err = fl_tool_runner(&b->runners[i], &model,
                             (uint32_t)b->tool->bench_batch, why);
    }
    fl_tool_model_fini(&model);
    return err;
}

static void bench_close(bench *b)
{
    for (uint64_t i = 0; b->runners && i < b->tool->threads; i++) {
        fl_runner_free(b->runners[i]);
    }
    free(b->runners);
    free(b->x);
    free(b->logits);
    free(b->ns);
    free(b->done);
    free(b->step_ns);
}

static fl_err measure(bench *b, fl_reason *why)
{
    fl_team *team = NULL;
    const fl_err err = fl_team_new(&team, (unsigned)b->tool->threads);
    if (err) {
        return fl_reason_set(why, err, "cannot start %llu threads",
                             (unsigned long long)b->tool->threads);
    }
    fl_team_run(team, measure_thread, b);
    fl_team_free(team);
    profile(b);
    const summary s = summarize(b);
    if (b->tool->is_json) return write_json(b, &s, why);
    print_report(b, &s);
    return FL_OK;
}

static int run(const void *settings, fl_reason *why)
{
    bench b = {.tool = settings};
    fl_err err = open_runners(&b, why);
    if (!err) err = allocate(&b, why);
    if (!err) err = measure(&b, why);
    bench_close(&b);
    return fl_program_exit(err);
}

fl_command fl_bench_command(fl_tool *tool)
{
    static fl_option table[7];
    const fl_option own[] = {
        {"bench", "runs", FL_OPTION_COUNT, &tool->run_count, 1, 10000000, "N",
         "calls to measure, in each thread"},
        {"bench", "warmup-runs", FL_OPTION_COUNT, &tool->warmup_runs, 0,
         10000000, "N", "calls before that"},
        {"bench", "seconds", FL_OPTION_NUMBER, &tool->seconds, 0.001, 1e6, "X",
         "stop earlier than after all runs"},
        {"bench", "batch", FL_OPTION_COUNT, &tool->bench_batch, 1, 65536, "N",
         "examples a call"},
        {"bench", "threads", FL_OPTION_COUNT, &tool->threads, 1, FL_TEAM_MAX,
         "N", "that call at the same time, each a runner of its own"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the input"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
    };
    return (fl_command){
        .name = "bench",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, 0, own, 7),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
