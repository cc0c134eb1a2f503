/* SPDX-License-Identifier: Apache-2.0 */
#include "data/data.h"
#include "tests/test.h"

TEST(partition_spec_reads_every_form)
{
    fl_partition_options options = {.client_count = 9, .seed = 5};
    assert_ok(fl_partition_parse(&options, "iid", NULL));
    assert_int_equal(options.kind, FL_PARTITION_IID);
    assert_int_equal(options.client_count, 9);
    assert_ok(fl_partition_parse(&options, "iid:12", NULL));
    assert_int_equal(options.client_count, 12);
    assert_ok(fl_partition_parse(&options, "dirichlet:0.3:100", NULL));
    assert_int_equal(options.kind, FL_PARTITION_DIRICHLET);
    assert_true(options.alpha == 0.3);
    assert_int_equal(options.client_count, 100);
    assert_ok(fl_partition_parse(&options, "shards:2", NULL));
    assert_int_equal(options.kind, FL_PARTITION_SHARDS);
    assert_int_equal(options.shards, 2);
    assert_int_equal(options.client_count, 100);
    assert_ok(fl_partition_parse(&options, "column:4", NULL));
    assert_int_equal(options.kind, FL_PARTITION_COLUMN);
    assert_int_equal(options.client_count, 4);
    assert_int_equal(options.seed, 5);
}

TEST(partition_spec_refuses_everything_else_and_shows_the_forms)
{
    const char *const wrong[] = {
        "",
        "IID",
        "iid:",
        "iid:0",
        "iid:-1",
        "iid:1:2",
        "iid:99999999",
        "dirichlet",
        "dirichlet:",
        "dirichlet:0",
        "dirichlet:-1",
        "dirichlet:nan",
        "dirichlet:inf",
        "dirichlet:1e999",
        "dirichlet:0x1",
        "dirichlet: 1",
        "dirichlet:1:",
        "dirichlet:1e",
        "shards",
        "shards:0",
        "shards:1.5",
        "shards:2:3:4",
        "column:x",
        "column:",
        "iidx",
        "dirichlet:0.0000000000000000000000000000000001",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fl_partition_options options = {.client_count = 9};
        fl_reason why = {""};
        assert_err(fl_partition_parse(&options, wrong[i], &why), FL_ERR_RANGE);
        assert_reason_names(why, "dirichlet:0.3:100");
        assert_int_equal(options.client_count, 9);
    }
    fl_partition_options options = {0};
    assert_err(fl_partition_parse(&options, NULL, NULL), FL_ERR_RANGE);
}

RUN_TESTS(cmocka_unit_test(partition_spec_reads_every_form),
          cmocka_unit_test(
              partition_spec_refuses_everything_else_and_shows_the_forms))
