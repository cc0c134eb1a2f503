/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

static data_files files;
static char folder[DATA_PATH_CAP], table[DATA_PATH_CAP];
static fl_reason why;

static int set_up(void **state)
{
    (void)state;
    why = (fl_reason){""};
    fl_log_start(FL_LOG_ERROR, NULL, NULL);
    data_files_init(&files);
    strcpy(table, data_files_put_text(&files, "table.csv",
                                      "a,b,label\n0,1,0\n1,2,1\n2,0,0\n"));
    assert_true(snprintf(folder, sizeof folder, "%.200s/state", files.root) >
                0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    data_files_fini(&files);
    return 0;
}

// No rounds to run: a start that succeeds is over at once.
static fl_server_options make_options(void)
{
    fl_server_options options = {
        .listen = "tcp://127.0.0.1:0",
        .state = folder,
        .data = {.dataset = table, .test = table},
        .federation = FL_FEDERATION_INIT,
        .client_cap = 16,
        .upload_mb = 16,
        .threads = 2,
        .is_quiet = true,
    };
    options.federation.model = "mlp";
    options.federation.round_count = 0;
    return options;
}

static void refuse(const fl_server_options *options, fl_err err,
                   const char *word)
{
    assert_err(fl_server_run(options, &why), err);
    assert_reason_names(why, word);
}

static void count_round(void *self, const fl_round_record *round)
{
    (void)round;
    ++*(uint32_t *)self;
}

// Round 0 included.
static uint32_t count_rounds(void)
{
    uint32_t count = 0;
    fl_store *store = NULL;
    assert_ok(fl_store_open(&store, folder, true, &why));
    assert_ok(fl_store_each_round(store, 0, count_round, &count, &why));
    fl_store_close(store);
    return count;
}

// An ONNX file that takes `columns` numbers; returns its path.
static const char *put_model(uint32_t columns)
{
    fl_model *model = NULL;
    const fl_model_options options = {
        .name = "mlp", .input = {1, 1, columns}, .class_count = 2, .seed = 1};
    assert_ok(fl_model_new(&model, &options, &why));
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    assert_ok(fl_model_encode(model, bytes, len));
    const char *path = data_files_put(&files, "model.onnx", bytes, len);
    free(bytes);
    fl_model_free(model);
    return path;
}

TEST(server_saves_the_first_model_once_all_fits_together)
{
    const fl_server_options options = make_options();
    assert_ok(fl_server_run(&options, &why));
    assert_int_equal(count_rounds(), 1);
    assert_ok(fl_server_run(&options, &why));
    assert_int_equal(count_rounds(), 1);
}

// A wrong option at the first start must not cost the folder.
TEST(server_leaves_a_folder_free_when_a_first_start_fails)
{
    fl_server_options options = make_options();
    options.federation.model = "lenet";
    refuse(&options, FL_ERR_RANGE, "lenet does not fit");
    options.federation.model = "/nowhere/model.onnx";
    refuse(&options, FL_ERR_NOT_FOUND, "/nowhere/model.onnx");
    options.federation.model = put_model(3);
    refuse(&options, FL_ERR_RANGE, "1x1x3");
    options = make_options();
    options.data.test = "/nowhere/rows.csv";
    refuse(&options, FL_ERR_NOT_FOUND, "/nowhere/rows.csv");
    assert_int_equal(count_rounds(), 0);
    options = make_options();
    assert_ok(fl_server_run(&options, &why));
    assert_int_equal(count_rounds(), 1);
}

TEST(server_keeps_a_folder_to_its_federation_for_life)
{
    fl_server_options options = make_options();
    assert_ok(fl_server_run(&options, &why));
    options.federation.seed++;
    refuse(&options, FL_ERR_STATE, "seed");
    options = make_options();
    options.federation.model = "lenet";
    refuse(&options, FL_ERR_STATE, "\"lenet\"");
    options = make_options();
    options.federation.codec = "dense:5";
    refuse(&options, FL_ERR_STATE, "codec");
    options = make_options();
    options.federation.release = 0.5;
    refuse(&options, FL_ERR_STATE, "release");
    options = make_options();
    assert_ok(fl_server_run(&options, &why));
}

TEST(server_refuses_held_out_rows_that_the_model_does_not_take)
{
    fl_server_options options = make_options();
    assert_ok(fl_server_run(&options, &why));
    options.data.test = data_files_put_text(&files, "wide.csv",
                                            "a,b,c,label\n0,1,2,0\n1,2,3,1\n");
    options.data.dataset = files.path;
    refuse(&options, FL_ERR_RANGE, "1x1x3");
}

TEST(server_says_where_it_cannot_listen)
{
    fl_net *net = NULL;
    char url[40];
    assert_ok(fl_net_tcp_new(&net, &(fl_net_tcp_options){0}, &why));
    assert_ok(fl_net_listen(net, "tcp://127.0.0.1:0", &why));
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", fl_net_tcp_port(net));
    fl_server_options options = make_options();
    options.listen = url;
    refuse(&options, FL_ERR_SYSTEM, url);
    options.listen = "127.0.0.1";
    refuse(&options, FL_ERR_RANGE, "tcp://");
    fl_net_free(net);
}

TEST(server_refuses_a_state_it_cannot_use)
{
    fl_server_options options = make_options();
    options.state = table;
    refuse(&options, FL_ERR_SYSTEM, table);

    fl_store *store = NULL;
    options = make_options();
    assert_ok(fl_store_open(&store, folder, false, &why));
    refuse(&options, FL_ERR_STATE, folder);
    fl_store_close(store);

    data_files_put_text(&files, "state/identity.key", "junk");
    assert_int_equal(chmod(files.path, 0600), 0);
    refuse(&options, FL_ERR_FORMAT, "identity.key");
}

// SIGTERM waits for whoever starts to listen to it.
static void stop_in_advance(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
}

TEST(server_ends_when_it_is_asked_to)
{
    fl_server_options options = make_options();
    options.federation.round_count = 5;
    stop_in_advance();
    assert_ok(fl_server_run(&options, &why));
    assert_int_equal(count_rounds(), 1);
    assert_false(fl_store_is_running(folder));
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(WITH_FILES(server_saves_the_first_model_once_all_fits_together),
          WITH_FILES(server_leaves_a_folder_free_when_a_first_start_fails),
          WITH_FILES(server_keeps_a_folder_to_its_federation_for_life),
          WITH_FILES(server_refuses_held_out_rows_that_the_model_does_not_take),
          WITH_FILES(server_says_where_it_cannot_listen),
          WITH_FILES(server_refuses_a_state_it_cannot_use),
          WITH_FILES(server_ends_when_it_is_asked_to))
