/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <math.h>

#include "model/graph.h"
#include "tests/test.h"

static fl_model_options options_for(const char *name)
{
    return (fl_model_options){
        .name = name, .input = {28, 28, 1}, .class_count = 10, .seed = 5};
}

TEST(model_lenet_has_the_layers_that_everyone_uses)
{
    const fl_model_options options = options_for("lenet");
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    assert_int_equal(fl_model_param_count(model), 80202);
    assert_int_equal(fl_model_class_count(model), 10);
    assert_int_equal(fl_model_input(model).height, 28);
    assert_int_equal(fl_model_input(model).width, 28);
    assert_int_equal(fl_model_input(model).channels, 1);

    static const fl_op_kind ops[] = {FL_OP_INPUT,   FL_OP_CONV,    FL_OP_RELU,
                                     FL_OP_MAXPOOL, FL_OP_CONV,    FL_OP_RELU,
                                     FL_OP_MAXPOOL, FL_OP_FLATTEN, FL_OP_DENSE,
                                     FL_OP_RELU,    FL_OP_DENSE};
    assert_int_equal(model->graph.node_count, sizeof ops / sizeof *ops);
    for (uint32_t i = 0; i < model->graph.node_count; i++)
        assert_int_equal(model->graph.nodes[i].op, ops[i]);
    fl_model_free(model);
}

TEST(model_mlp_has_three_dense_layers)
{
    const fl_model_options options = options_for("mlp");
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    assert_int_equal(fl_model_param_count(model),
                     784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10);
    fl_model_free(model);
}

// Without statistics, which the papers do not count.
static size_t learning_count(const char *name, uint32_t class_count)
{
    fl_model_options options = options_for(name);
    options.input = (fl_shape){32, 32, 3};
    options.class_count = class_count;
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    size_t count = 0;
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role != FL_TENSOR_STATISTIC) count += tensor.count;
    }
    fl_model_free(model);
    return count;
}

TEST(model_resnets_are_as_large_as_their_paper_says)
{
    assert_int_equal(learning_count("resnet18", 1000), 11689512);
    assert_int_equal(learning_count("resnet50", 1000), 25557032);
    assert_int_equal(learning_count("resnet50", 10), 23508032 + 2049 * 10);
}

TEST(model_scales_its_input_only_when_told_how)
{
    const float mean[] = {0.5F}, deviation[] = {0.25F};
    fl_model_options options = options_for("lenet");
    options.mean = mean;
    options.deviation = deviation;
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    assert_int_equal(fl_model_param_count(model), 80202);
    assert_int_equal(model->graph.nodes[1].op, FL_OP_SUB);
    assert_int_equal(model->graph.nodes[2].op, FL_OP_DIV);
    assert_int_equal(model->graph.constant_count, 2);
    const size_t at = model->graph.nodes[2].constant_at;
    assert_true(model->graph.constants[at] >= 0.25F &&
                model->graph.constants[at] <= 0.25F);
    fl_model_free(model);

    fl_reason why = {""};
    options.deviation = NULL;
    assert_err(fl_model_new(&model, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "deviation");
    options.deviation = (const float[]){0.0F};
    assert_err(fl_model_new(&model, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "div");
}

TEST(model_draws_parameters_evenly_within_their_bounds)
{
    const fl_model_options options = options_for("lenet");
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        if (node->weight_count == 0) continue;
        const double bound =
            1.0 / sqrt((double)node->weight_count / node->out_count);
        const size_t count = node->weight_count + node->bias_count;
        double sum = 0.0, squares = 0.0;
        for (size_t k = 0; k < count; k++) {
            const double p = (double)model->params[node->weight_at + k];
            assert_true(fabs(p) <= bound);
            sum += p / bound;
            squares += p * p / (bound * bound);
        }
        // Five deviations of the mean of `count` uniform numbers.
        assert_true(fabs(sum / (double)count) <
                    5.0 / sqrt(3.0 * (double)count));
        assert_true(fabs(squares / (double)count - 1.0 / 3.0) <
                    5.0 * 0.3 / sqrt((double)count));
    }
    fl_model_free(model);
}

TEST(model_is_a_function_of_its_seed)
{
    fl_model_options options = options_for("lenet");
    fl_model *a = NULL, *b = NULL, *c = NULL;
    assert_ok(fl_model_new(&a, &options, NULL));
    assert_ok(fl_model_new(&b, &options, NULL));
    options.seed++;
    assert_ok(fl_model_new(&c, &options, NULL));
    const size_t bytes = fl_model_param_count(a) * sizeof(float);
    assert_memory_equal(fl_model_params(a), fl_model_params(b), bytes);
    assert_memory_not_equal(fl_model_params(a), fl_model_params(c), bytes);
    fl_model_free(a);
    fl_model_free(b);
    fl_model_free(c);
    fl_model_free(NULL);
}

TEST(model_refuses_a_name_it_does_not_know_and_lists_its_own)
{
    const fl_model_options options = options_for("resnet-9000");
    fl_model *model = NULL;
    fl_reason why = {""};
    assert_err(fl_model_new(&model, &options, &why), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "resnet-9000");
    assert_reason_names(why, "mlp");
    assert_reason_names(why, "lenet");
    assert_null(model);
}

TEST(model_refuses_an_input_that_is_too_small)
{
    fl_model_options options = options_for("lenet");
    fl_model *model = NULL;
    fl_reason why = {""};
    options.input = (fl_shape){13, 28, 1};
    assert_err(fl_model_new(&model, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "13x28x1");
    assert_reason_names(why, "conv2");
    options.input = (fl_shape){28, 0, 1};
    assert_err(fl_model_new(&model, &options, &why), FL_ERR_RANGE);
    options.input = (fl_shape){16, 16, 3};
    assert_ok(fl_model_new(&model, &options, &why));
    fl_model_free(model);
}

TEST(model_refuses_fewer_than_two_classes)
{
    fl_model_options options = options_for("mlp");
    fl_model *model = NULL;
    fl_reason why = {""};
    options.class_count = 1;
    assert_err(fl_model_new(&model, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "class_count");
    options.class_count = FL_DATA_CLASSES_MAX + 1;
    assert_err(fl_model_new(&model, &options, &why), FL_ERR_RANGE);
}

// Two clients with different means: averaging variances would lose that.
TEST(model_averages_statistics_as_squares)
{
    fl_graph graph = {0};
    const fl_node input = {.op = FL_OP_INPUT, .shape = {1, 1, 2}};
    const fl_node norm = {.op = FL_OP_BATCHNORM, .input_count = 1};
    assert_ok(fl_graph_add(&graph, &input, false, NULL, NULL));
    assert_ok(fl_graph_add(&graph, &norm, false, NULL, NULL));
    const fl_model model = {.graph = graph};
    float a[] = {1, 1, 0, 0, 3, 5, 2, 1}, b[] = {1, 1, 0, 0, 1, 5, 2, 1};
    fl_model_variances_to_squares(&model, a);
    fl_model_variances_to_squares(&model, b);
    assert_float_equal((double)a[6], 11.0, 1e-6);
    for (size_t i = 0; i < 8; i++)
        a[i] = (a[i] + b[i]) / 2.0F;
    fl_model_squares_to_variances(&model, a);
    assert_float_equal((double)a[4], 2.0, 1e-6);
    assert_float_equal((double)a[6], 3.0, 1e-6);  // 2 within, 1 between
    assert_float_equal((double)a[7], 1.0, 1e-5);
    a[7] = 1.0F;
    fl_model_squares_to_variances(&model, a);  // 1 - 5^2
    assert_float_equal((double)a[7], 0.0, 0.0);
    fl_graph_fini(&graph);
}

TEST(model_tensors_cover_the_parameters_in_order)
{
    const char *const names[] = {"lenet", "resnet8", "mobilenetv2-tiny"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        fl_model *model;
        const fl_model_options options = {
            .name = names[n], .input = {32, 32, 3}, .class_count = 10};
        assert_ok(fl_model_new(&model, &options, NULL));
        size_t end = 0, statistics = 0;
        for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
            const fl_tensor_info tensor = fl_model_tensor(model, i);
            assert_int_equal(tensor.offset, end);
            assert_true(tensor.count > 0);
            assert_int_equal(tensor.count % tensor.row_count, 0);
            end += tensor.count;
            if (tensor.role == FL_TENSOR_STATISTIC) statistics += tensor.count;
        }
        assert_int_equal(end, fl_model_param_count(model));
        // Half of what belongs to a batch norm is counted, not trained.
        assert_int_equal(2 * statistics, fl_model_norm_count(model));
        fl_model_free(model);
    }
}

RUN_TESTS(
    cmocka_unit_test(model_tensors_cover_the_parameters_in_order),

    cmocka_unit_test(model_averages_statistics_as_squares),
    cmocka_unit_test(model_lenet_has_the_layers_that_everyone_uses),
    cmocka_unit_test(model_mlp_has_three_dense_layers),
    cmocka_unit_test(model_resnets_are_as_large_as_their_paper_says),
    cmocka_unit_test(model_scales_its_input_only_when_told_how),
    cmocka_unit_test(model_draws_parameters_evenly_within_their_bounds),
    cmocka_unit_test(model_is_a_function_of_its_seed),
    cmocka_unit_test(model_refuses_a_name_it_does_not_know_and_lists_its_own),
    cmocka_unit_test(model_refuses_an_input_that_is_too_small),
    cmocka_unit_test(model_refuses_fewer_than_two_classes))
