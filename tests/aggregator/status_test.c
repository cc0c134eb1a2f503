/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/status.h"

#include <math.h>
#include <stdlib.h>

#include "aggregator/store.h"
#include "compress/compress.h"
#include "model/model.h"
#include "proto/proto.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

static char folder[FL_SCRATCH_CAP];
static fl_reason why;
static char *text;  // what was printed last
static bool is_running;
static uint8_t model[65536];
static size_t model_len;  // of the rounds' models

static int make_folder(void **state)
{
    (void)state;
    why = (fl_reason){""};
    text = NULL;
    memcpy(model, "model", model_len = 5);
    assert_ok(fl_secure_start());
    return fl_scratch_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    free(text);
    fl_scratch_remove(folder);
    return 0;
}

static fl_err show(bool is_json)
{
    size_t len = 0;
    free(text);
    text = NULL;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    const fl_err err = fl_status_print(out, folder, is_json, &is_running, &why);
    fclose(out);
    return err;
}

static fl_store *open_store(void)
{
    fl_store *store = NULL;
    assert_ok(fl_store_open(&store, folder, false, &why));
    return store;
}

static void finish_round(fl_store *store, uint32_t round, double accuracy)
{
    const uint32_t aggregation = round ? FL_AGGREGATION_SECURE : 0;
    fl_round_record record = {
        .round = round,
        .attempt = 1,
        .selected_count = 3,
        .update_count = 2,
        .sample_count = 600,
        .client_loss = 0.5,
        .client_accuracy = 0.625,
        .loss = isnan(accuracy) ? accuracy : 0.25,
        .accuracy = accuracy,
        .bytes_up = 1500000,
        .bytes_down = 2000,
        .aggregation = aggregation,
        .sessions_aborted = round,
        .bytes_control = 90000 * (uint64_t)round,
        .codec = round ? FL_CODEC_SKETCH : 0,
        .payload_up = 800,
        .download_1 = 300,
        .download_full = 5000,
        .accuracy_before = (double)NAN,
        .accuracy_after = (double)NAN,
        .int8_accuracy = (double)NAN,
    };
    assert_ok(
        fl_store_finish_round(store, &record, model, model_len, NULL, 0, &why));
}

// 8,642 parameters in the rounds that follow.
static void use_whole_model(void)
{
    const fl_model_options options = {
        .name = "mlp", .input = {1, 1, 1}, .class_count = 2};
    fl_model *made;
    assert_ok(fl_model_new(&made, &options, &why));
    model_len = fl_model_bytes(made);
    assert_true(model_len <= sizeof model);
    assert_ok(fl_model_encode(made, model, model_len));
    fl_model_free(made);
}

static void check_in(fl_store *store, uint8_t key)
{
    const fl_client_record client = {.public_key = {key}};
    assert_ok(fl_store_put_client(store, &client, &why));
}

TEST(status_shows_a_person_how_far_it_is)
{
    fl_store *store = open_store();
    finish_round(store, 0, 0);
    finish_round(store, 1, 0.75);
    finish_round(store, 2, 0.5);
    check_in(store, 1);
    check_in(store, 2);
    assert_ok(show(false));
    assert_true(is_running);
    assert_string_equal(text,
                        "aggregator       running\n"
                        "rounds finished  2\n"
                        "clients known    2\n"
                        "updates          4\n"
                        "bytes up         3.0 MB\n"
                        "bytes down       4.0 kB\n"
                        "aggregation      secure\n"
                        "sessions aborted 3\n"
                        "bytes of control 270.0 kB, 67.5 kB a client a round\n"
                        "codec            sketch\n"
                        "an update        400 B\n"
                        "on the wire      750.0 kB\n"
                        "one behind       300 B\n"
                        "a whole model    5.0 kB\n"
                        "accuracy         50.00 %, best 75.00 % in round 1\n"
                        "loss             0.2500\n");
    fl_store_close(store);
    assert_ok(show(false));
    assert_false(is_running);
    assert_memory_equal(text, "aggregator       not running\n", 29);
}

TEST(status_shows_what_clients_report_when_nothing_is_held_out)
{
    fl_store *store = open_store();
    finish_round(store, 0, 0);
    finish_round(store, 1, (double)NAN);
    fl_store_close(store);
    assert_ok(show(false));
    assert_non_null(strstr(text, "client accuracy  62.50 %"));
    assert_null(strstr(text, "loss"));
}

TEST(status_of_a_federation_in_the_clear_tells_of_no_sessions)
{
    fl_store *store = open_store();
    fl_round_record record = {.round = 1, .aggregation = FL_AGGREGATION_CLEAR};
    finish_round(store, 0, 0);
    assert_ok(fl_store_finish_round(store, &record, (const uint8_t *)"model", 5,
                                    NULL, 0, &why));
    fl_store_close(store);
    assert_ok(show(false));
    assert_non_null(strstr(text, "aggregation      clear\n"));
    assert_null(strstr(text, "sessions"));
    assert_null(strstr(text, "control"));
}

TEST(status_gives_a_program_one_object_on_a_line)
{
    fl_store *store = open_store();
    finish_round(store, 0, 0);
    finish_round(store, 1, 0.75);
    check_in(store, 1);
    assert_ok(show(true));
    assert_string_equal(
        text, "{\"event\":\"status\",\"running\":true,\"round\":1,"
              "\"accuracy\":0.75,\"loss\":0.25,\"client_accuracy\":0.625,"
              "\"client_loss\":0.5,\"bytes_up\":1500000,\"bytes_down\":2000,"
              "\"selected\":3,\"updates\":2,\"samples\":600,"
              "\"best_accuracy\":0.75,\"best_round\":1,"
              "\"aggregation\":\"secure\",\"sessions_aborted\":1,"
              "\"bytes_control\":90000,\"codec\":\"sketch\","
              "\"payload_up_per_client\":400.0,"
              "\"wire_up_per_client\":750000.0,\"download_1_behind\":300.0,"
              "\"download_10_behind\":0.0,\"download_full\":5000.0,"
              "\"ratio_up\":null,\"ratio_up_wire\":null,"
              "\"dense_params\":0,\"dense_accuracy\":null,"
              "\"pruned_params\":0,\"macs\":0,\"model_bytes\":0,"
              "\"sparsity\":null,\"int8_accuracy\":null,"
              "\"surveys\":0,\"survey_bytes_up\":0,"
              "\"guard_accepted\":0,\"guard_rolled_back\":0,\"clients\":1,"
              "\"version\":\"" FL_VERSION "\"}\n");
    fl_store_close(store);
    assert_ok(show(true));
    assert_non_null(strstr(text, "\"running\":false"));
}

TEST(status_compares_with_the_size_of_the_model)
{
    fl_store *store = open_store();
    use_whole_model();
    finish_round(store, 0, 0);
    finish_round(store, 1, 0.75);
    fl_store_close(store);
    assert_ok(show(false));
    assert_non_null(strstr(text, "an update        400 B, 1/86 of float32\n"));
    assert_non_null(
        strstr(text, "a whole model    5.0 kB, 1/6.9 of float32\n"));
    assert_non_null(strstr(
        text, "against Flower   1/173 of its 69.1 kB, 8 bytes a value\n"));
    assert_ok(show(true));
    assert_non_null(strstr(text, "\"ratio_up\":86.42"));
}

TEST(status_of_a_folder_before_its_first_round)
{
    fl_store_close(open_store());
    assert_ok(show(false));
    assert_non_null(strstr(text, "rounds finished  0\n"));
    assert_null(strstr(text, "accuracy"));
    assert_null(strstr(text, "aggregation"));
    assert_ok(show(true));
    assert_non_null(strstr(text, "\"accuracy\":null"));
}

// Looking must not make a state where there was none.
TEST(status_refuses_a_folder_without_an_aggregator)
{
    assert_err(show(true), FL_ERR_NOT_FOUND);
    assert_reason_names(why, folder);
    assert_false(is_running);
    assert_string_equal(text, "");
    assert_int_equal(fl_scratch_count(folder), 0);
    strcat(folder, "/none");
    assert_err(show(false), FL_ERR_NOT_FOUND);
    *strrchr(folder, '/') = 0;
    assert_int_equal(fl_scratch_count(folder), 0);
}

// What systemctl status shows.
TEST(status_fits_on_a_line)
{
    char line[FL_STATUS_LINE_CAP];
    fl_aggregator_status now = {.rounds_done = 2,
                                .round_count = 50,
                                .connected_count = 12,
                                .activity = "gathering"};
    fl_status_line(line, &now);
    assert_string_equal(line, "round 2 of 50, gathering, 12 clients");
    now.selected_count = 10;
    now.update_count = 4;
    now.activity = "training";
    fl_status_line(line, &now);
    assert_string_equal(line,
                        "round 3 of 50, training: 4 of 10 updates, 12 clients");
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(status_shows_a_person_how_far_it_is),
          IN_FOLDER(status_shows_what_clients_report_when_nothing_is_held_out),
          IN_FOLDER(status_of_a_federation_in_the_clear_tells_of_no_sessions),
          IN_FOLDER(status_gives_a_program_one_object_on_a_line),
          IN_FOLDER(status_compares_with_the_size_of_the_model),
          IN_FOLDER(status_of_a_folder_before_its_first_round),
          cmocka_unit_test(status_fits_on_a_line),
          IN_FOLDER(status_refuses_a_folder_without_an_aggregator))
