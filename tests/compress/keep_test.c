/*
 * Lists of channels that a person has written: what they mean, and what is
 * said when they are wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/model/keep.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/test.h"

enum { CHANNELS = 16 + 32 + 128 };  // conv1, conv2, fc1 of lenet

typedef struct {
    fl_model *model;
    fl_channels *channels;
    bool keep[CHANNELS];
    fl_reason why;
} world;

static void world_open(world *w)
{
    const fl_model_options options = {
        .name = "lenet", .input = {28, 28, 1}, .class_count = 10, .seed = 1};
    *w = (world){.why = {""}};
    assert_ok(fl_model_new(&w->model, &options, NULL));
    assert_ok(fl_channels_new(&w->channels, w->model, NULL));
    assert_int_equal(fl_channels_count(w->channels), CHANNELS);
}

static void world_close(world *w)
{
    fl_channels_free(w->channels);
    fl_model_free(w->model);
}

TEST(keep_reads_numbers_and_ranges)
{
    world w;
    world_open(&w);
    assert_ok(
        fl_keep_read(w.keep, w.channels, "conv2:1,3-5,31;conv1:0-15;", &w.why));
    for (uint32_t c = 0; c < CHANNELS; c++) {
        const bool in_conv2 = c >= 16 && c < 48;
        const uint32_t at = c - 16;
        assert_int_equal(w.keep[c], !in_conv2 || at == 1 || at == 31 ||
                                        (at >= 3 && at <= 5));
    }
    world_close(&w);
}

TEST(keep_keeps_what_is_not_named)
{
    world w;
    world_open(&w);
    assert_ok(fl_keep_read(w.keep, w.channels, "", &w.why));
    assert_null(memchr(w.keep, false, CHANNELS));
    world_close(&w);
}

TEST(keep_refuses_lists_that_lie)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"conv3:0-7", "no group \"conv3\""},
        {"conv:0-7", "no group \"conv\""},
        {":0-7", "no group \"\""},
        {"conv1", "\"conv1\" is no list"},
        {"conv1:0;conv1:1", "conv1 is named twice"},
        {"conv1:", "conv1"},
        {"conv1:;conv2:1", "conv1"},
        {"conv1:16", "no channel 16, the last is 15"},
        {"conv1:0-16", "no channel 16"},
        {"conv1:0-4000000000", "is not numbers"},
        {"conv1:3,2", "conv1"},
        {"conv1:3,3", "conv1"},
        {"conv1:0-7,7", "conv1"},
        {"conv1:0-15,0-15,0-15", "twice"},
        {"conv1:5-3", "conv1: \"5-3\""},
        {"conv1:a", "conv1: \"a\""},
        {"conv1:1,", "conv1: \"1,\""},
        {"conv1:,1", "conv1: \",1\""},
        {"conv1:1-", "conv1: \"1-\""},
        {"conv1:-1", "conv1: \"-1\""},
        {"conv1:1 2;conv2:1", "conv1: \"1 2\" is not"},
    };
    world w;
    world_open(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_err(fl_keep_read(w.keep, w.channels, cases[i].text, &w.why),
                   FL_ERR_RANGE);
        assert_reason_names(w.why, cases[i].word);
    }
    world_close(&w);
}

TEST(keep_tells_groups_of_one_name_apart)
{
    const fl_model_options options = {
        .name = "shufflenetv2", .input = {32, 32, 3}, .class_count = 10};
    fl_model *model = NULL;
    fl_channels *channels = NULL;
    fl_reason why = {""};
    uint32_t second_count = 0;
    assert_ok(fl_model_new(&model, &options, NULL));
    assert_ok(fl_channels_new(&channels, model, NULL));
    bool *keep = calloc(fl_channels_count(channels), sizeof *keep);
    assert_non_null(keep);
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        char name[FL_KEEP_NAME_CAP], list[FL_KEEP_NAME_CAP + 2];
        fl_keep_name(name, channels, i);
        second_count += strcmp(name, group.name) != 0;
        snprintf(list, sizeof list, "%s:0", name);
        assert_ok(fl_keep_read(keep, channels, list, &why));
        for (uint32_t c = 0; c < fl_channels_count(channels); c++) {
            const bool is_in = c > group.first && c < group.first + group.count;
            assert_int_equal(keep[c], !is_in);
        }
    }
    assert_true(second_count > 0);
    free(keep);
    fl_channels_free(channels);
    fl_model_free(model);
}

RUN_TESTS(cmocka_unit_test(keep_reads_numbers_and_ranges),
          cmocka_unit_test(keep_keeps_what_is_not_named),
          cmocka_unit_test(keep_refuses_lists_that_lie),
          cmocka_unit_test(keep_tells_groups_of_one_name_apart))
