/* SPDX-License-Identifier: Apache-2.0 */
#include "client/service.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
                                      "a,label\n0,0\n1,1\n2,0\n3,1\n"));
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

// Nobody listens there: nothing below comes as far as dialling.
static fl_service_options make_options(void)
{
    return (fl_service_options){
        .aggregator = "tcp://127.0.0.1:1",
        .state = folder,
        .data = {.dataset = table, .test = table},
        .clients = 2,
        .aggregation = "secure",
        .rules = fl_rules_defaults(),
    };
}

static void refuse(const fl_service_options *options, fl_err err,
                   const char *word)
{
    assert_err(fl_service_run(options, options->aggregator, &why), err);
    assert_reason_names(why, word);
}

// Dialling it every few seconds for ever would look like a dead network.
TEST(service_refuses_an_address_that_cannot_be_dialled)
{
    fl_service_options options = make_options();
    options.aggregator = "localhost:7443";
    refuse(&options, FL_ERR_RANGE, "tcp://");
}

TEST(service_refuses_data_it_cannot_train_on)
{
    fl_service_options options = make_options();
    options.data.dataset = "/nowhere/rows.csv";
    refuse(&options, FL_ERR_NOT_FOUND, "/nowhere/rows.csv");
    options.data.dataset =
        data_files_put_text(&files, "bad.csv", "a,label\nx,1\n");
    refuse(&options, FL_ERR_FORMAT, "bad.csv");
}

TEST(service_refuses_a_slice_that_nobody_has)
{
    fl_service_options options = make_options();
    options.data.partition = "iid";
    options.slice = 2;
    refuse(&options, FL_ERR_RANGE, "--slice 2");
    assert_reason_names(why, "2 parts");
    options.data.partition = "iid:3";
    options.slice = 3;
    refuse(&options, FL_ERR_RANGE, "3 parts");
    options.data.partition = "iid:5";
    refuse(&options, FL_ERR_RANGE, "5");
}

TEST(service_refuses_a_pin_that_is_no_key)
{
    fl_service_options options = make_options();
    options.pin = "abab";
    refuse(&options, FL_ERR_RANGE, "--pin");
    data_files_put_text(&files, "state/aggregator.pub", "junk");
    options.pin = NULL;
    refuse(&options, FL_ERR_FORMAT, "aggregator.pub");
}

// Whoever has taken the aggregator's place could have the next updates.
TEST(service_refuses_another_pin_than_it_has_kept)
{
    char pinned[65], other[65], text[66];
    memset(pinned, 'a', 64);
    memset(other, 'b', 64);
    pinned[64] = other[64] = 0;
    snprintf(text, sizeof text, "%s\n", pinned);
    data_files_put_text(&files, "state/aggregator.pub", text);
    fl_service_options options = make_options();
    options.pin = other;
    refuse(&options, FL_ERR_AUTH, "--pin");  // FL_EXIT_REFUSED
    assert_reason_names(why, pinned);
    assert_reason_names(why, other);
    assert_reason_names(why, "delete the file");
    data_files_put_text(&files, "state/authority.pub", text);
    options.pin = NULL;
    options.authority = other;
    refuse(&options, FL_ERR_AUTH, "--authority");
    assert_reason_names(why, "authority.pub");
}

TEST(service_refuses_rules_that_make_no_sense)
{
    fl_service_options options = make_options();
    options.rules.resume_celsius = 90;
    refuse(&options, FL_ERR_RANGE, "--resume-temperature 90");
    options.rules.max_celsius = 0;  // then it is not asked for
    options.rules.metered = "perhaps";
    refuse(&options, FL_ERR_RANGE, "--metered perhaps");
    options.rules.metered = "auto";
    options.rules.quiet_hours = "at night";
    refuse(&options, FL_ERR_RANGE, "at night");
}

TEST(service_refuses_a_state_it_cannot_use)
{
    fl_service_options options = make_options();
    options.state = table;
    refuse(&options, FL_ERR_SYSTEM, table);

    fl_state *other = NULL;
    options.state = folder;
    assert_ok(fl_state_open(&other, folder, &why));
    refuse(&options, FL_ERR_STATE, folder);
    fl_state_close(other);

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

TEST(service_ends_when_it_is_asked_to)
{
    fl_service_options options = make_options();
    options.data.partition = "iid";
    stop_in_advance();
    assert_ok(fl_service_run(&options, options.aggregator, &why));
    assert_false(fl_state_is_running(folder));
    char *status = NULL;
    assert_ok(fl_state_status_read(&status, folder, &why));
    assert_non_null(strstr(status, "\"samples\":2"));
    free(status);
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(WITH_FILES(service_refuses_an_address_that_cannot_be_dialled),
          WITH_FILES(service_refuses_data_it_cannot_train_on),
          WITH_FILES(service_refuses_a_slice_that_nobody_has),
          WITH_FILES(service_refuses_a_pin_that_is_no_key),
          WITH_FILES(service_refuses_another_pin_than_it_has_kept),
          WITH_FILES(service_refuses_rules_that_make_no_sense),
          WITH_FILES(service_refuses_a_state_it_cannot_use),
          WITH_FILES(service_ends_when_it_is_asked_to))
