/*
 * Losses against PyTorch (tests/vectors/loss_torch.txt, made by the script
 * beside it), against central differences and against sums done by hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/loss.h"

#include <math.h>

#include "tests/support/torch.h"
#include "tests/test.h"

enum { N = 7, O = 5, SIZE = N * O };

static const char *const VECTORS = "tests/vectors/loss_torch.txt";

/* ---- a batch ---- */

typedef struct {
    fl_loss loss;
    float outputs[SIZE], teacher[SIZE], grad[SIZE];
    uint32_t labels[N];
} sample;

static bool is_metric(const fl_loss *loss)
{
    return loss->kind != FL_LOSS_SOFTMAX;
}

static sample sample_for(fl_loss loss)
{
    sample s = {.loss = loss};
    const float scale = is_metric(&loss) ? 1.0F : 3.0F;
    torch_fill(s.outputs, SIZE, 0);
    torch_fill(s.teacher, SIZE, 1000);
    for (uint32_t k = 0; k < SIZE; k++) {
        s.outputs[k] *= scale;
        s.teacher[k] *= 3.0F;
    }
    for (uint32_t r = 0; r < N; r++)
        s.labels[r] = is_metric(&loss) ? r % 3 : torch_hash(r + 2000) % O;
    return s;
}

static fl_loss_batch batch_of(sample *s)
{
    return (fl_loss_batch){
        .outputs = s->outputs,
        .teacher = s->loss.teacher.weight > 0.0F ? s->teacher : NULL,
        .labels = s->labels,
        .count = N,
        .width = O,
        .grad = s->grad,
    };
}

static double mean_loss(sample *s)
{
    fl_metrics metrics = {0};
    const fl_loss_batch batch = batch_of(s);
    const double sum = fl_loss_add(&metrics, &s->loss, &batch);
    assert_int_equal(metrics.sample_count, N);
    assert_true(metrics.loss_sum == sum || isnan(sum));
    return sum / N;
}

static const struct {
    const char *name;
    fl_loss loss;
} CASES[] = {
    {"plain", {.kind = FL_LOSS_SOFTMAX}},
    {"smooth", {.label_smoothing = 0.25F}},
    {"distill", {.teacher = {.weight = 0.75F, .temperature = 3.0F}}},
    {"both",
     {.label_smoothing = 0.125F,
      .teacher = {.weight = 0.5F, .temperature = 2.0F}}},
    {"contrastive", {.kind = FL_LOSS_CONTRASTIVE, .margin = 2.0F}},
    {"triplet", {.kind = FL_LOSS_TRIPLET, .margin = 0.5F}},
    {"matched",
     {.kind = FL_LOSS_CONTRASTIVE,
      .margin = 2.0F,
      .teacher = {.weight = 0.75F}}},
};
enum { CASE_COUNT = sizeof CASES / sizeof *CASES };

static void assert_near(const char *what, double got, double expected,
                        double allowed)
{
    if (fabs(got - expected) <= allowed * (1.0 + fabs(expected))) return;
    print_error("%s is %.9g, not %.9g\n", what, got, expected);
    fail();
}

/* ---- all losses ---- */

TEST(loss_is_that_of_pytorch_with_its_gradient)
{
    FILE *file = fopen(VECTORS, "r");
    assert_non_null(file);
    for (size_t c = 0; c < CASE_COUNT; c++) {
        sample s = sample_for(CASES[c].loss);
        char name[16];
        double loss, gradient;
        assert_int_equal(fscanf(file, "%15s %lf", name, &loss), 2);
        assert_string_equal(name, CASES[c].name);
        assert_near(name, mean_loss(&s), loss, 1e-6);
        for (size_t k = 0; k < SIZE; k++) {
            assert_int_equal(fscanf(file, "%lf", &gradient), 1);
            assert_near(name, (double)s.grad[k], gradient, 1e-6);
        }
    }
    fclose(file);
}

TEST(loss_gradient_agrees_with_central_differences)
{
    const float step = 0x1p-7F;
    for (size_t c = 0; c < CASE_COUNT; c++) {
        sample s = sample_for(CASES[c].loss);
        mean_loss(&s);
        for (size_t k = 0; k < SIZE; k++) {
            sample moved = s;
            moved.outputs[k] = s.outputs[k] + step;
            const double above = mean_loss(&moved);
            moved.outputs[k] = s.outputs[k] - step;
            const double below = mean_loss(&moved);
            assert_near(CASES[c].name, (double)s.grad[k],
                        (above - below) / (2.0 * (double)step), 1e-4);
        }
    }
}

TEST(loss_is_the_same_without_a_gradient)
{
    for (size_t c = 0; c < CASE_COUNT; c++) {
        sample s = sample_for(CASES[c].loss);
        fl_metrics with = {0}, without = {0};
        fl_loss_batch batch = batch_of(&s);
        fl_loss_add(&with, &s.loss, &batch);
        batch.grad = NULL;
        fl_loss_add(&without, &s.loss, &batch);
        assert_memory_equal(&with, &without, sizeof with);
    }
}

TEST(loss_never_hides_an_output_that_is_not_finite)
{
    const float bad[] = {NAN, INFINITY};
    for (size_t c = 0; c < CASE_COUNT; c++) {
        for (size_t k = 0; k < (size_t)SIZE * 2; k++) {
            sample s = sample_for(CASES[c].loss);
            s.outputs[k / 2] = bad[k % 2];
            assert_false(isfinite(mean_loss(&s)));
        }
    }
}

/* ---- softmax ---- */

TEST(loss_of_equal_logits_is_the_logarithm_of_their_number)
{
    sample s = sample_for((fl_loss){.label_smoothing = 0.5F});
    for (size_t k = 0; k < SIZE; k++)
        s.outputs[k] = 100.0F;
    assert_near("loss", mean_loss(&s), log(O), 1e-7);
    // The label's logit: (1/5 - (0.5 + 0.5/5)) / N.
    assert_near("gradient", (double)s.grad[s.labels[0]], -0.4 / N, 1e-7);
}

TEST(loss_counts_the_largest_logit_as_the_answer)
{
    sample s = sample_for((fl_loss){0});
    for (uint32_t r = 0; r < N; r++)
        s.outputs[r * O + (r < 3 ? s.labels[r] : (s.labels[r] + 1) % O)] = 9.0F;
    fl_metrics metrics = {0};
    const fl_loss_batch batch = batch_of(&s);
    fl_loss_add(&metrics, &s.loss, &batch);
    assert_int_equal(metrics.correct_count, 3);
}

TEST(loss_from_a_teacher_with_the_same_logits_is_that_of_the_labels)
{
    sample s = sample_for(
        (fl_loss){.teacher = {.weight = 0.25F, .temperature = 4.0F}});
    sample plain = sample_for((fl_loss){0});
    memcpy(s.teacher, s.outputs, sizeof s.teacher);
    assert_near("loss", mean_loss(&s), 0.75 * mean_loss(&plain), 1e-7);
    for (size_t k = 0; k < SIZE; k++)
        assert_near("gradient", (double)s.grad[k], 0.75 * (double)plain.grad[k],
                    1e-7);
}

TEST(loss_from_a_teacher_who_is_sure_stays_finite)
{
    sample s =
        sample_for((fl_loss){.teacher = {.weight = 1.0F, .temperature = 1.0F}});
    for (size_t r = 0; r < N; r++)
        s.teacher[r * O] = 1e6F;  // all others are e^-1000000 likely
    assert_true(isfinite(mean_loss(&s)));
    for (size_t k = 0; k < SIZE; k++)
        assert_true(isfinite(s.grad[k]));
}

/* ---- embeddings ---- */

// Four points on a line, labels 0 0 1 1.
static sample line(fl_loss loss, float a, float b, float c, float d)
{
    sample s = {.loss = loss, .outputs = {a, b, c, d}};
    s.labels[2] = s.labels[3] = 1;
    return s;
}

static double line_loss(sample *s, uint32_t count, uint64_t *correct)
{
    fl_metrics metrics = {0};
    fl_loss_batch batch = batch_of(s);
    batch.count = count;
    batch.width = 1;
    const double sum = fl_loss_add(&metrics, &s->loss, &batch);
    *correct = metrics.correct_count;
    return sum / count;
}

TEST(loss_contrastive_is_the_sum_done_by_hand)
{
    const fl_loss loss = {.kind = FL_LOSS_CONTRASTIVE, .margin = 3.0F};
    sample s = line(loss, 0.0F, 1.0F, 3.0F, 7.0F);
    uint64_t correct;
    // Same: 1/2 + 16/2. Different: 0-3 and 0-7, 1-7 beyond, 1-3: 1/2.
    assert_near("loss", line_loss(&s, 4, &correct), 9.0 / 6.0, 1e-6);
    assert_near("gradient", (double)s.grad[0], -1.0 / 6.0, 1e-6);
    assert_near("gradient", (double)s.grad[1], (1.0 + 1.0) / 6.0, 1e-6);
    assert_near("gradient", (double)s.grad[2], (-4.0 - 1.0) / 6.0, 1e-6);
    assert_near("gradient", (double)s.grad[3], 4.0 / 6.0, 1e-6);
    assert_int_equal(correct, 3);  // but 3, which is nearer to 1 than to 7
}

TEST(loss_triplet_takes_the_hardest_of_each_anchor)
{
    const fl_loss loss = {.kind = FL_LOSS_TRIPLET, .margin = 3.0F};
    sample s = line(loss, 0.0F, 1.0F, 3.0F, 7.0F);
    uint64_t correct;
    // 3+1-3, 3+1-2, 3+4-2, 3+4-6
    assert_near("loss", line_loss(&s, 4, &correct), 9.0 / 4.0, 1e-6);
    // Towards 1 and from 3 as an anchor, towards 1 as 1's farthest.
    assert_near("gradient", (double)s.grad[0], (-1.0 + 1.0 - 1.0) / 4.0, 1e-6);
    assert_int_equal(correct, 3);
}

TEST(loss_triplet_leaves_out_anchors_without_a_partner)
{
    const fl_loss loss = {.kind = FL_LOSS_TRIPLET, .margin = 3.0F};
    sample s = line(loss, 0.0F, 1.0F, 3.0F, 7.0F);
    uint64_t correct;
    // Three examples: the third has no other of its label.
    assert_near("loss", line_loss(&s, 3, &correct), (1.0 + 2.0) / 2.0, 1e-6);
    // Two of one label: nobody is different.
    assert_near("loss", line_loss(&s, 2, &correct), 0.0, 0.0);
    assert_near("gradient", (double)s.grad[0], 0.0, 0.0);
    assert_int_equal(correct, 2);
}

TEST(loss_on_embeddings_of_one_example_is_nothing)
{
    const fl_loss_kind kinds[] = {FL_LOSS_CONTRASTIVE, FL_LOSS_TRIPLET};
    for (size_t i = 0; i < 2; i++) {
        sample s = line((fl_loss){.kind = kinds[i], .margin = 1.0F}, 5.0F, 0.0F,
                        0.0F, 0.0F);
        uint64_t correct;
        s.grad[0] = 1.0F;
        assert_near("loss", line_loss(&s, 1, &correct), 0.0, 0.0);
        assert_near("gradient", (double)s.grad[0], 0.0, 0.0);
        assert_int_equal(correct, 0);
    }
}

TEST(loss_on_embeddings_that_fell_together_has_a_finite_gradient)
{
    const fl_loss_kind kinds[] = {FL_LOSS_CONTRASTIVE, FL_LOSS_TRIPLET};
    for (size_t i = 0; i < 2; i++) {
        sample s = line((fl_loss){.kind = kinds[i], .margin = 1.0F}, 2.0F, 2.0F,
                        2.0F, 2.0F);
        uint64_t correct;
        assert_true(line_loss(&s, 4, &correct) > 0.3);
        for (size_t k = 0; k < 4; k++)
            assert_true(isfinite(s.grad[k]));
        assert_int_equal(correct, 0);  // nobody is nearer than the others
    }
}

RUN_TESTS(
    cmocka_unit_test(loss_is_that_of_pytorch_with_its_gradient),
    cmocka_unit_test(loss_gradient_agrees_with_central_differences),
    cmocka_unit_test(loss_is_the_same_without_a_gradient),
    cmocka_unit_test(loss_never_hides_an_output_that_is_not_finite),
    cmocka_unit_test(loss_of_equal_logits_is_the_logarithm_of_their_number),
    cmocka_unit_test(loss_counts_the_largest_logit_as_the_answer),
    cmocka_unit_test(
        loss_from_a_teacher_with_the_same_logits_is_that_of_the_labels),
    cmocka_unit_test(loss_from_a_teacher_who_is_sure_stays_finite),
    cmocka_unit_test(loss_contrastive_is_the_sum_done_by_hand),
    cmocka_unit_test(loss_triplet_takes_the_hardest_of_each_anchor),
    cmocka_unit_test(loss_triplet_leaves_out_anchors_without_a_partner),
    cmocka_unit_test(loss_on_embeddings_of_one_example_is_nothing),
    cmocka_unit_test(
        loss_on_embeddings_that_fell_together_has_a_finite_gradient))
