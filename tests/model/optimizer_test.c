/*
 * Optimisers against PyTorch's steps (tests/vectors/optimizer_torch.txt, made
 * by the script beside it), with every set of kernels that this CPU has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/optimizer.h"

#include <math.h>

#include "tests/support/torch.h"
#include "tests/test.h"

enum { COUNT = 19, STEPS_MAX = 12 };

static const char *const VECTORS = "tests/vectors/optimizer_torch.txt";

/* ---- a run without a network ---- */

typedef struct {
    float params[COUNT], anchor[COUNT], global[COUNT], local[COUNT];
    fl_train_options options;
    fl_optimizer optimizer;
} run;

static void run_open(run *r, const fl_train_options *options)
{
    *r = (run){.options = *options};
    torch_fill(r->params, COUNT, 10000);
    torch_fill(r->anchor, COUNT, 20000);
    torch_fill(r->global, COUNT, 30000);
    torch_fill(r->local, COUNT, 40000);
    assert_ok(
        fl_optimizer_start(&r->optimizer, r->params, COUNT, &r->options, NULL));
}

// Step `step` in slices of `slice` parameters, as threads take them.
static bool run_step(run *r, const fl_kernels *kernels, uint32_t step,
                     size_t slice)
{
    float grads[COUNT];
    torch_fill(grads, COUNT, 100 * step);
    fl_update all = fl_optimizer_update(&r->optimizer, &r->options, step);
    all.params = r->params;
    all.grads = grads;
    all.scale = fl_optimizer_clip(kernels->sum_squares(grads, COUNT),
                                  r->options.clip_norm);
    bool is_finite = true;
    for (size_t at = 0; at < COUNT; at += slice) {
        const size_t left = COUNT - at;
        const fl_update part =
            fl_optimizer_slice(&all, at, left < slice ? left : slice);
        if (!fl_optimizer_apply(kernels, &part)) is_finite = false;
    }
    return is_finite;
}

/* ---- PyTorch ---- */

static const struct {
    const char *name;
    fl_train_options options;
} CASES[] = {
    {"sgd", {.lr = 0.125F}},
    {"momentum", {.lr = 0.125F, .momentum = 0.75F}},
    {"nesterov",
     {.lr = 0.125F,
      .momentum = 0.75F,
      .nesterov = true,
      .weight_decay = 0.125F}},
    {"adam", {.optimizer = FL_OPTIMIZER_ADAM, .lr = 0.0625F}},
    {"adam-decay",
     {.optimizer = FL_OPTIMIZER_ADAM,
      .lr = 0.0625F,
      .beta1 = 0.75F,
      .beta2 = 0.875F,
      .epsilon = 0.25F,
      .weight_decay = 0.5F}},
    {"adamw",
     {.optimizer = FL_OPTIMIZER_ADAMW, .lr = 0.0625F, .weight_decay = 0.5F}},
    {"clip", {.lr = 0.125F, .momentum = 0.75F, .clip_norm = 0.5F}},
    {"prox",
     {.lr = 0.125F, .momentum = 0.75F, .clip_norm = 0.5F, .prox_mu = 0.5F}},
    {"prox-adamw",
     {.optimizer = FL_OPTIMIZER_ADAMW,
      .lr = 0.0625F,
      .weight_decay = 0.5F,
      .prox_mu = 0.5F}},
    {"scaffold", {.lr = 0.125F, .clip_norm = 0.5F}},
};
enum { CASE_COUNT = sizeof CASES / sizeof *CASES };

static void case_open(run *r, size_t number)
{
    run_open(r, &CASES[number].options);
    r->options.prox_params = r->anchor;
    if (strcmp(CASES[number].name, "scaffold") == 0) {
        r->options.control_global = r->global;
        r->options.control_local = r->local;
    }
}

static void assert_params(const run *r, const char *name, FILE *file)
{
    for (size_t i = 0; i < COUNT; i++) {
        double expected;
        assert_int_equal(fscanf(file, "%lf", &expected), 1);
        const double got = (double)r->params[i];
        if (fabs(got - expected) <= 2e-6 * (1.0 + fabs(expected))) continue;
        print_error("%s: parameter %zu is %.9g, not %.9g\n", name, i, got,
                    expected);
        fail();
    }
}

static void follow_pytorch(const fl_kernels *kernels, FILE *file)
{
    for (size_t c = 0; c < CASE_COUNT; c++) {
        run r;
        case_open(&r, c);
        for (uint32_t step = 0; step < STEPS_MAX;) {
            char name[16];
            unsigned target;
            assert_int_equal(fscanf(file, "%15s %u", name, &target), 2);
            assert_string_equal(name, CASES[c].name);
            while (step < target)
                assert_true(run_step(&r, kernels, step++, COUNT));
            assert_params(&r, name, file);
        }
        fl_optimizer_fini(&r.optimizer);
    }
}

TEST(optimizer_takes_the_steps_that_pytorch_takes)
{
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        FILE *file = fopen(VECTORS, "r");
        assert_non_null(file);
        follow_pytorch(kernels, file);
        fclose(file);
    }
}

TEST(optimizer_gives_the_same_bits_in_slices_of_any_size)
{
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (size_t i = 0; i < CASE_COUNT * (COUNT - 1); i++) {
            run whole, sliced;
            case_open(&whole, i % CASE_COUNT);
            case_open(&sliced, i % CASE_COUNT);
            for (uint32_t step = 0; step < 3; step++) {
                run_step(&whole, kernels, step, COUNT);
                run_step(&sliced, kernels, step, 1 + i / CASE_COUNT);
            }
            assert_memory_equal(whole.params, sliced.params,
                                sizeof whole.params);
            fl_optimizer_fini(&whole.optimizer);
            fl_optimizer_fini(&sliced.optimizer);
        }
    }
}

TEST(optimizer_sees_every_parameter_that_is_not_finite)
{
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (size_t i = 0; i < CASE_COUNT * COUNT; i++) {
            run r;
            case_open(&r, i % CASE_COUNT);
            r.params[i / CASE_COUNT] = i % 2 ? NAN : INFINITY;
            assert_false(run_step(&r, kernels, 0, COUNT));
            fl_optimizer_fini(&r.optimizer);
        }
    }
}

/* ---- runs ---- */

TEST(optimizer_forgets_the_run_before)
{
    const fl_kernels *kernels = fl_kernels_at(0);
    const fl_train_options prox = {.lr = 0.5F, .momentum = 0.5F, .prox_mu = 1};
    const fl_train_options adam = {.optimizer = FL_OPTIMIZER_ADAM, .lr = 0.5F};
    run old, fresh;
    run_open(&old, &prox);
    run_step(&old, kernels, 0, COUNT);
    old.options = adam;  // after others, and again after itself
    for (unsigned i = 0; i < 2; i++) {
        torch_fill(old.params, COUNT, 10000);
        assert_ok(fl_optimizer_start(&old.optimizer, old.params, COUNT,
                                     &old.options, NULL));
        for (uint32_t step = 0; step < 3; step++)
            run_step(&old, kernels, step, COUNT);
    }
    run_open(&fresh, &adam);
    for (uint32_t step = 0; step < 3; step++)
        run_step(&fresh, kernels, step, COUNT);
    assert_memory_equal(old.params, fresh.params, sizeof old.params);
    fl_optimizer_fini(&fresh.optimizer);

    old.options = prox;
    torch_fill(old.params, COUNT, 10000);
    assert_ok(fl_optimizer_start(&old.optimizer, old.params, COUNT,
                                 &old.options, NULL));
    run_open(&fresh, &prox);
    for (uint32_t step = 0; step < 3; step++) {
        run_step(&old, kernels, step, COUNT);
        run_step(&fresh, kernels, step, COUNT);
    }
    assert_memory_equal(old.params, fresh.params, sizeof old.params);
    fl_optimizer_fini(&fresh.optimizer);
    fl_optimizer_fini(&old.optimizer);
}

TEST(optimizer_allocates_only_what_the_options_need)
{
    run r;
    run_open(&r,
             &(fl_train_options){.prox_mu = 1.0F, .prox_params = &(float){0}});
    assert_non_null(r.optimizer.first);
    assert_null(r.optimizer.second);
    assert_null(r.optimizer.start);
    fl_optimizer_fini(&r.optimizer);
}

TEST(optimizer_refuses_more_parameters_than_memory_holds)
{
    const float none = 0.0F;
    const size_t counts[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4 - 2};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        fl_optimizer optimizer = {0};
        fl_reason why = {""};
        assert_err(fl_optimizer_start(&optimizer, &none, counts[i],
                                      &(fl_train_options){0}, &why),
                   FL_ERR_MEMORY);
        assert_reason_names(why, "moments");
        fl_optimizer_fini(&optimizer);
    }
}

/* ---- rates ---- */

static void assert_rate(const fl_train_options *options, uint64_t step,
                        double expected)
{
    const double got = (double)fl_optimizer_rate(options, step);
    if (fabs(got - expected) <= 1e-6) return;
    print_error("the rate of step %u is %g, not %g\n", (unsigned)step, got,
                expected);
    fail();
}

TEST(optimizer_warms_up_in_a_line_before_the_schedule)
{
    const fl_train_options options = {.lr = 1.0F,
                                      .warmup_steps = 3,
                                      .schedule = FL_SCHEDULE_COSINE,
                                      .schedule_steps = 4};
    const double expected[] = {0.25, 0.5,         0.75, 1.0, 0.853553391,
                               0.5,  0.146446609, 0.0,  0.0};
    for (uint64_t step = 0; step < 9; step++)
        assert_rate(&options, step, expected[step]);
}

TEST(optimizer_lowers_the_rate_in_steps)
{
    const fl_train_options options = {.lr = 2.0F,
                                      .schedule = FL_SCHEDULE_STEP,
                                      .schedule_steps = 2,
                                      .schedule_factor = 0.5F};
    const double expected[] = {2.0, 2.0, 1.0, 1.0, 0.5};
    for (uint64_t step = 0; step < 5; step++)
        assert_rate(&options, step, expected[step]);
}

/* ---- SCAFFOLD ---- */

// Steps against a constant gradient of 1, at the default kernels.
static void walk(run *r, uint32_t steps)
{
    float ones[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        ones[i] = 1.0F;
    for (uint32_t step = 0; step < steps; step++) {
        fl_update all = fl_optimizer_update(&r->optimizer, &r->options, step);
        all.params = r->params;
        all.grads = ones;
        all.count = COUNT;
        assert_true(fl_optimizer_apply(fl_kernels_at(0), &all));
    }
}

// Whatever the rates and the momentum, the variate is the mean gradient.
TEST(optimizer_scaffold_finds_the_gradient_that_was_followed)
{
    const fl_train_options cases[] = {
        {.lr = 0.125F},
        {.lr = 0.125F, .momentum = 0.75F},
        {.lr = 0.125F, .momentum = 0.75F, .nesterov = true},
        {.lr = 0.5F,
         .momentum = 0.5F,
         .warmup_steps = 3,
         .schedule = FL_SCHEDULE_COSINE,
         .schedule_steps = 20},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        run r;
        float start[COUNT];
        run_open(&r, &cases[c]);
        memcpy(start, r.params, sizeof start);
        r.options.control_global = r.global;
        r.options.control_local = r.local;
        walk(&r, 9);
        fl_scaffold_update(r.local, start, r.params, COUNT, &r.options, 9);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(fabsf(r.local[i] - 1.0F) < 2e-6F);
        fl_optimizer_fini(&r.optimizer);
    }
}

TEST(optimizer_scaffold_begins_without_variates)
{
    run r;
    float start[COUNT], control[COUNT];
    run_open(&r, &(fl_train_options){.lr = 0.25F});
    memcpy(start, r.params, sizeof start);
    walk(&r, 4);
    fl_scaffold_update(control, start, r.params, COUNT, &r.options, 4);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(fabsf(control[i] - 1.0F) < 1e-6F);
    fl_optimizer_fini(&r.optimizer);
}

TEST(optimizer_scaffold_learns_nothing_from_standing_still)
{
    run r;
    float control[COUNT];
    run_open(&r, &(fl_train_options){.lr = 0.0F});
    r.options.control_global = r.global;
    r.options.control_local = r.local;
    fl_scaffold_update(control, r.params, r.params, COUNT, &r.options, 5);
    assert_memory_equal(control, r.local, sizeof control);
    r.options.lr = 1.0F;
    fl_scaffold_update(control, r.params, r.params, COUNT, &r.options, 0);
    assert_memory_equal(control, r.local, sizeof control);
    fl_optimizer_fini(&r.optimizer);
}

RUN_TESTS(
    cmocka_unit_test(optimizer_takes_the_steps_that_pytorch_takes),
    cmocka_unit_test(optimizer_gives_the_same_bits_in_slices_of_any_size),
    cmocka_unit_test(optimizer_sees_every_parameter_that_is_not_finite),
    cmocka_unit_test(optimizer_forgets_the_run_before),
    cmocka_unit_test(optimizer_allocates_only_what_the_options_need),
    cmocka_unit_test(optimizer_refuses_more_parameters_than_memory_holds),
    cmocka_unit_test(optimizer_warms_up_in_a_line_before_the_schedule),
    cmocka_unit_test(optimizer_lowers_the_rate_in_steps),
    cmocka_unit_test(optimizer_scaffold_finds_the_gradient_that_was_followed),
    cmocka_unit_test(optimizer_scaffold_begins_without_variates),
    cmocka_unit_test(optimizer_scaffold_learns_nothing_from_standing_still))
