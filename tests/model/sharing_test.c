/*
 * Which values share a quantisation. Graphs are written down as nodes: only
 * operators and inputs matter here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/sharing.h"

#include "tests/test.h"

enum { NODES_CAP = 16 };

typedef struct {
    fl_node nodes[NODES_CAP];
    fl_graph graph;
    fl_sharing sharing[NODES_CAP];
} sketch;

static sketch begin(void)
{
    return (sketch){.nodes = {{.op = FL_OP_INPUT, .name = "n0"}},
                    .graph = {.node_count = 1}};
}

// Reads `a`, and `b` when it is not 0. Returns the node's number.
static uint32_t add(sketch *s, fl_op_kind op, uint32_t a, uint32_t b)
{
    const uint32_t i = s->graph.node_count++;
    s->nodes[i] =
        (fl_node){.op = op, .input_count = b ? 2 : 1, .inputs = {a, b}};
    snprintf(s->nodes[i].name, sizeof s->nodes[i].name, "n%u", i);
    return i;
}

static void find(sketch *s)
{
    fl_reason why = {""};
    s->graph.nodes = s->nodes;
    const fl_err err = fl_sharing_find(s->sharing, &s->graph, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
}

static void assert_refused(sketch *s, const char *name, const char *op)
{
    fl_reason why = {""};
    s->graph.nodes = s->nodes;
    assert_err(fl_sharing_find(s->sharing, &s->graph, &why),
               FL_ERR_UNSUPPORTED);
    assert_reason_names(why, name);
    assert_reason_names(why, op);
}

static void assert_groups(const sketch *s, const uint32_t *groups)
{
    for (uint32_t i = 0; i < s->graph.node_count; i++) {
        if (s->sharing[i].group == groups[i]) continue;
        print_error("value %u is in group %u, not %u\n", i, s->sharing[i].group,
                    groups[i]);
        fail();
    }
}

// `which`: one character a value, 'f' where it is float32.
static void assert_floats(const sketch *s, const char *which)
{
    for (uint32_t i = 0; i < s->graph.node_count; i++) {
        if (s->sharing[i].is_float == (which[i] == 'f')) continue;
        print_error("value %u is %sfloat32\n", i,
                    s->sharing[i].is_float ? "" : "not ");
        fail();
    }
}

/* ---- float32 ---- */

TEST(sharing_leaves_the_front_and_the_logits_float)
{
    sketch s = begin();
    uint32_t last = add(&s, FL_OP_SUB, 0, 0);
    last = add(&s, FL_OP_DIV, last, 0);
    last = add(&s, FL_OP_CONV, last, 0);
    last = add(&s, FL_OP_FLATTEN, last, 0);
    add(&s, FL_OP_DENSE, last, 0);
    find(&s);
    assert_floats(&s, "ff---f");
}

TEST(sharing_quantises_an_input_with_nothing_in_front)
{
    sketch s = begin();
    add(&s, FL_OP_DENSE, 0, 0);
    find(&s);
    assert_floats(&s, "-f");
}

TEST(sharing_quantises_logits_that_no_layer_makes)
{
    sketch s = begin();
    const uint32_t conv = add(&s, FL_OP_CONV, 0, 0);
    add(&s, FL_OP_GLOBALPOOL, conv, 0);
    find(&s);
    assert_floats(&s, "---");
}

TEST(sharing_leaves_a_norm_at_the_end_float)
{
    sketch s = begin();
    const uint32_t dense = add(&s, FL_OP_DENSE, 0, 0);
    add(&s, FL_OP_L2NORM, dense, 0);
    find(&s);
    assert_floats(&s, "-ff");

    s = begin();
    const uint32_t conv = add(&s, FL_OP_CONV, 0, 0);
    const uint32_t pool = add(&s, FL_OP_GLOBALPOOL, conv, 0);
    add(&s, FL_OP_L2NORM, pool, 0);
    find(&s);
    assert_floats(&s, "---f");
}

/* ---- groups ---- */

TEST(sharing_gives_a_layer_the_quantisation_of_its_activation)
{
    static const fl_op_kind layers[] = {FL_OP_CONV, FL_OP_DENSE, FL_OP_ADD,
                                        FL_OP_MUL};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        sketch s = begin();
        const bool is_pair = layers[i] == FL_OP_ADD || layers[i] == FL_OP_MUL;
        const uint32_t x = add(&s, FL_OP_TANH, 0, 0);
        const uint32_t y = add(&s, layers[i], x, is_pair ? x : 0);
        const uint32_t z = add(&s, i % 2 ? FL_OP_RELU6 : FL_OP_RELU, y, 0);
        add(&s, FL_OP_DENSE, z, 0);
        find(&s);
        assert_groups(&s, (const uint32_t[]){0, 1, 2, 2, 4});
        assert_true(s.sharing[y].is_clamped);
        assert_false(s.sharing[z].is_clamped);
    }
}

TEST(sharing_keeps_a_layer_apart_when_others_read_it_too)
{
    sketch s = begin();
    const uint32_t conv = add(&s, FL_OP_CONV, 0, 0);
    const uint32_t relu = add(&s, FL_OP_RELU, conv, 0);
    add(&s, FL_OP_ADD, relu, conv);
    find(&s);
    assert_groups(&s, (const uint32_t[]){0, 1, 2, 3});
    assert_false(s.sharing[conv].is_clamped);
}

TEST(sharing_keeps_other_activations_apart)
{
    static const fl_op_kind acts[] = {FL_OP_HARD_SWISH, FL_OP_HARD_SIGMOID,
                                      FL_OP_SIGMOID, FL_OP_TANH,
                                      FL_OP_LEAKY_RELU};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        sketch s = begin();
        const uint32_t conv = add(&s, FL_OP_CONV, 0, 0);
        add(&s, acts[i], conv, 0);
        find(&s);
        assert_groups(&s, (const uint32_t[]){0, 1, 2});
        assert_false(s.sharing[conv].is_clamped);
    }
}

TEST(sharing_runs_through_what_moves_numbers)
{
    static const fl_op_kind movers[] = {FL_OP_MAXPOOL,    FL_OP_AVGPOOL,
                                        FL_OP_GLOBALPOOL, FL_OP_FLATTEN,
                                        FL_OP_SLICE,      FL_OP_SHUFFLE};
    for (size_t i = 0; i < sizeof movers / sizeof *movers; i++) {
        sketch s = begin();
        const uint32_t conv = add(&s, FL_OP_CONV, 0, 0);
        const uint32_t relu = add(&s, FL_OP_RELU, conv, 0);
        const uint32_t moved = add(&s, movers[i], relu, 0);
        add(&s, FL_OP_DENSE, moved, 0);
        find(&s);
        assert_groups(&s, (const uint32_t[]){0, 1, 1, 1, 4});
    }
}

TEST(sharing_joins_all_that_a_concat_reads)
{
    sketch s = begin();
    const uint32_t a = add(&s, FL_OP_CONV, 0, 0);
    const uint32_t b = add(&s, FL_OP_CONV, 0, 0);
    const uint32_t relu = add(&s, FL_OP_RELU, b, 0);
    const uint32_t all = add(&s, FL_OP_CONCAT, a, relu);
    const uint32_t mixed = add(&s, FL_OP_SHUFFLE, all, 0);
    const uint32_t left = add(&s, FL_OP_SLICE, mixed, 0);
    const uint32_t right = add(&s, FL_OP_SLICE, mixed, 0);
    const uint32_t conv = add(&s, FL_OP_CONV, right, 0);
    add(&s, FL_OP_CONCAT, left, conv);
    find(&s);
    assert_groups(&s, (const uint32_t[]){0, 1, 1, 1, 1, 1, 1, 1, 1, 1});
    assert_true(s.sharing[b].is_clamped);
    assert_false(s.sharing[a].is_clamped);
}

/* ---- refusals ---- */

TEST(sharing_refuses_group_norm)
{
    sketch s = begin();
    const uint32_t norm = add(&s, FL_OP_GROUPNORM, 0, 0);
    add(&s, FL_OP_DENSE, norm, 0);
    assert_refused(&s, "n1", "GroupNormalization");
}

TEST(sharing_refuses_constants_behind_layers)
{
    sketch s = begin();
    const uint32_t conv = add(&s, FL_OP_CONV, 0, 0);
    const uint32_t sub = add(&s, FL_OP_SUB, conv, 0);
    add(&s, FL_OP_DENSE, sub, 0);
    assert_refused(&s, "n2", "Sub");
}

TEST(sharing_refuses_an_input_read_both_ways)
{
    sketch s = begin();
    const uint32_t div = add(&s, FL_OP_DIV, 0, 0);
    const uint32_t conv = add(&s, FL_OP_CONV, 0, 0);
    add(&s, FL_OP_ADD, div, conv);
    assert_refused(&s, "n1", "Div");
}

TEST(sharing_refuses_an_l2_norm_between_layers)
{
    sketch s = begin();
    const uint32_t norm = add(&s, FL_OP_L2NORM, 0, 0);
    add(&s, FL_OP_DENSE, norm, 0);
    assert_refused(&s, "n1", "LpNormalization");
}

RUN_TESTS(
    cmocka_unit_test(sharing_leaves_the_front_and_the_logits_float),
    cmocka_unit_test(sharing_quantises_an_input_with_nothing_in_front),
    cmocka_unit_test(sharing_quantises_logits_that_no_layer_makes),
    cmocka_unit_test(sharing_leaves_a_norm_at_the_end_float),
    cmocka_unit_test(sharing_gives_a_layer_the_quantisation_of_its_activation),
    cmocka_unit_test(sharing_keeps_a_layer_apart_when_others_read_it_too),
    cmocka_unit_test(sharing_keeps_other_activations_apart),
    cmocka_unit_test(sharing_runs_through_what_moves_numbers),
    cmocka_unit_test(sharing_joins_all_that_a_concat_reads),
    cmocka_unit_test(sharing_refuses_group_norm),
    cmocka_unit_test(sharing_refuses_constants_behind_layers),
    cmocka_unit_test(sharing_refuses_an_input_read_both_ways),
    cmocka_unit_test(sharing_refuses_an_l2_norm_between_layers))
