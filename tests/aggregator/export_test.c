/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/export.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/master.h"
#include "aggregator/reduction_state.h"
#include "aggregator/store.h"
#include "base/file.h"
#include "compress/compress.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

static fl_reason why;
static char folder[FL_SCRATCH_CAP];

typedef struct {
    uint8_t *bytes;
    size_t len;
} buffer;

static buffer room(size_t len)
{
    buffer made = {malloc(len), len};
    assert_non_null(made.bytes);
    return made;
}

static fl_model *make_model(void)
{
    fl_model *model = NULL;
    const fl_model_options options = {
        .name = "lenet", .input = {28, 28, 1}, .class_count = 10, .seed = 3};
    assert_ok(fl_model_new(&model, &options, &why));
    return model;
}

static buffer encode(const fl_model *model)
{
    const buffer made = room(fl_model_bytes(model));
    assert_ok(fl_model_encode(model, made.bytes, made.len));
    return made;
}

// Ranges that any network can be quantised with.
static buffer make_ranges(const fl_model *model)
{
    size_t count;
    assert_ok(fl_int8_range_count(&count, model, &why));
    fl_range *ranges = calloc(count, sizeof *ranges);
    assert_non_null(ranges);
    for (size_t i = 0; i < count; i++)
        ranges[i] = (fl_range){-1.0F, 4.0F};
    const buffer made = room(fl_ranges_bytes(count));
    assert_ok(fl_ranges_encode(made.bytes, made.len, ranges, count));
    free(ranges);
    return made;
}

static char *inside(const char *name)
{
    static char path[FL_SCRATCH_CAP + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static buffer read_file(const char *name)
{
    buffer found = {NULL, 0};
    assert_ok(
        fl_file_read(&found.bytes, &found.len, inside(name), 1 << 24, &why));
    return found;
}

static void assert_files(const buffer *model, bool has_int8)
{
    buffer written = read_file("m.v1.onnx");
    assert_int_equal(written.len, model->len);
    assert_memory_equal(written.bytes, model->bytes, model->len);
    free(written.bytes);
    assert_int_equal(access(inside("m.v1-int8.onnx"), F_OK) == 0, has_int8);
    if (!has_int8) return;
    buffer int8 = read_file("m.v1-int8.onnx");
    fl_int8_model *quantized = NULL;
    assert_true(int8.len < model->len / 2);
    assert_true(fl_int8_is_encoded(int8.bytes, int8.len));
    assert_ok(fl_int8_decode(&quantized, int8.bytes, int8.len, &why));
    fl_int8_free(quantized);
    free(int8.bytes);
}

TEST(export_writes_the_int8_form_beside_the_model)
{
    fl_model *model = make_model();
    const buffer bytes = encode(model), ranges = make_ranges(model);
    size_t int8_len = 7;
    assert_ok(fl_export_write(inside("m.v1.onnx"), bytes.bytes, bytes.len, NULL,
                              0, &int8_len, &why));
    assert_int_equal(int8_len, 0);
    assert_files(&bytes, false);
    assert_ok(fl_export_write(inside("m.v1.onnx"), bytes.bytes, bytes.len,
                              ranges.bytes, ranges.len, &int8_len, &why));
    assert_true(int8_len > 0);
    assert_files(&bytes, true);
    free(bytes.bytes);
    free(ranges.bytes);
    fl_model_free(model);
}

TEST(export_refuses_ranges_of_another_model)
{
    fl_model *model = make_model();
    const buffer bytes = encode(model), ranges = make_ranges(model);
    assert_err(fl_export_write(inside("m.v1.onnx"), bytes.bytes, bytes.len,
                               ranges.bytes, ranges.len - 1, NULL, &why),
               FL_ERR_FORMAT);
    free(bytes.bytes);
    free(ranges.bytes);
    fl_model_free(model);
}

TEST(export_does_not_take_the_place_of_what_the_aggregator_keeps)
{
    char *home = strdup(inside("state"));
    assert_non_null(home);
    assert_int_equal(mkdir(home, 0700), 0);
    assert_int_equal(mkdir(inside("state/models"), 0700), 0);
    assert_int_equal(mkdir(inside("state2"), 0700), 0);
    static const char *const ALLOWED[] = {"m", "state2/m", "state/m.onnx"};
    for (size_t i = 0; i < 3; i++)
        assert_ok(fl_export_check(inside(ALLOWED[i]), home, &why));
    static const char *const REFUSED[] = {"state/fedge.sqlite",
                                          "state/models/1.onnx",
                                          "state2/../state/identity.key"};
    for (size_t i = 0; i < 3; i++) {
        assert_err(fl_export_check(inside(REFUSED[i]), home, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "another folder");
    }
    free(home);
}

// The master of round 1, and behind it a reduction that is done.
static buffer make_state(fl_model *model, const buffer *ranges)
{
    fl_master *master = NULL;
    assert_ok(fl_master_new(&master, model, 0.5, 0.5, &why));
    const fl_reduction_state state = {
        .phase = FL_REDUCTION_TRAIN,
        .reference = 0.5,
        .accuracy = 0.5,
        .first_params = 1,
        .accepted = {{ranges->bytes, ranges->len}, 1},
    };
    const size_t master_len = fl_master_bytes(master);
    const buffer made = room(master_len + fl_reduction_state_bytes(&state));
    assert_ok(fl_master_encode(master, 1, made.bytes, master_len));
    assert_ok(fl_reduction_state_encode(&state, 1, made.bytes + master_len,
                                        made.len - master_len));
    assert_int_equal(fl_master_len(made.bytes, made.len), master_len);
    assert_int_equal(fl_master_len(made.bytes, master_len - 1), master_len - 1);
    fl_master_free(master);
    return made;
}

TEST(export_finds_both_in_a_state_folder)
{
    fl_store *store = NULL;
    fl_model *model = make_model();
    const buffer ranges = make_ranges(model);
    const buffer saved = make_state(model, &ranges);
    const buffer bytes = encode(model);  // on its grid by now
    fl_round_record record = {.round = 0};
    assert_ok(fl_store_open(&store, inside("state"), false, &why));
    assert_ok(fl_store_finish_round(store, &record, bytes.bytes, bytes.len,
                                    NULL, 0, &why));
    char out[FL_SCRATCH_CAP + 32];
    strcpy(out, inside("m.v1.onnx"));
    assert_ok(fl_export_state(inside("state"), out, &why));
    assert_files(&bytes, false);
    record.round = 1;
    assert_ok(fl_store_finish_round(store, &record, bytes.bytes, bytes.len,
                                    saved.bytes, saved.len, &why));
    assert_ok(fl_export_state(inside("state"), out, &why));
    assert_files(&bytes, true);
    fl_store_close(store);
    free(ranges.bytes);
    free(saved.bytes);
    free(bytes.bytes);
    fl_model_free(model);
}

TEST(export_needs_a_state_folder)
{
    assert_err(fl_export_state(inside("nowhere"), "out.onnx", &why),
               FL_ERR_NOT_FOUND);
}

static int make_folder(void **state)
{
    (void)state;
    return fl_scratch_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    fl_scratch_remove(folder);
    return 0;
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(
    IN_FOLDER(export_writes_the_int8_form_beside_the_model),
    IN_FOLDER(export_refuses_ranges_of_another_model),
    IN_FOLDER(export_does_not_take_the_place_of_what_the_aggregator_keeps),
    IN_FOLDER(export_finds_both_in_a_state_folder),
    IN_FOLDER(export_needs_a_state_folder))
