/* SPDX-License-Identifier: Apache-2.0 */
#include "client/join.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/options.h"
#include "client/state/state_address.h"
#include "secure/secure.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

#define ANY_KEY \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_KEY \
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TOKEN "lusab-babad.00112233445566778899aabbccddeeff"

static data_files files;
static char folder[DATA_PATH_CAP];
static fl_reason why;
static FILE *out;

static int set_up(void **state)
{
    (void)state;
    why = (fl_reason){""};
    fl_log_start(FL_LOG_ERROR, NULL, NULL);
    data_files_init(&files);
    assert_true(snprintf(folder, sizeof folder, "%.200s/state", files.root) >
                0);
    out = tmpfile();
    assert_non_null(out);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(ftell(out), 0);  // nobody has joined anything here
    fclose(out);
    data_files_fini(&files);
    return 0;
}

// Nobody listens there.
static fl_join_options make_options(void)
{
    return (fl_join_options){.address = "tcp://127.0.0.1:1",
                             .state = folder,
                             .pin = ANY_KEY,
                             .token = TOKEN,
                             .wait_s = 0.05};
}

static void refuse(const fl_join_options *options, int code, const char *word)
{
    assert_int_equal(fl_join_run(out, options, &why), code);
    assert_reason_names(why, word);
}

// What is kept before anybody has said yes would be believed ever after.
static void assert_nothing_kept(void)
{
    struct stat file;
    char path[DATA_PATH_CAP + 32], url[FL_ADDRESS_CAP];
    assert_err(fl_state_address_get(url, folder, NULL), FL_ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/aggregator.pub", folder);
    assert_int_not_equal(stat(path, &file), 0);
}

TEST(join_says_that_nobody_has_answered)
{
    fl_join_options options = make_options();
    refuse(&options, FL_EXIT_TEMPORARY, "no aggregator has answered");
    options.address = "127.0.0.1:1";
    refuse(&options, FL_EXIT_TEMPORARY, "tcp://127.0.0.1:1");
    assert_nothing_kept();
}

TEST(join_refuses_an_address_that_cannot_be_dialled)
{
    char longest[FL_ADDRESS_CAP + 1];
    fl_join_options options = make_options();
    options.address = "http://127.0.0.1:1";
    refuse(&options, FL_EXIT_USAGE, "tcp://");
    options.address = "127.0.0.1";
    refuse(&options, FL_EXIT_USAGE, "127.0.0.1");
    memset(longest, 'a', sizeof longest);
    longest[FL_ADDRESS_CAP] = 0;
    options.address = longest;
    refuse(&options, FL_EXIT_USAGE, "too long");
}

// A token that is cut short by the clipboard, say; its secret is not repeated.
TEST(join_refuses_what_is_no_token)
{
    fl_join_options options = make_options();
    options.token = "lusab-babad.00112233";
    refuse(&options, FL_EXIT_USAGE, "--token");
    assert_null(strstr(why.text, "00112233"));
    options.token = TOKEN;
    options.token_file = "/dev/null";
    refuse(&options, FL_EXIT_USAGE, "not both");
    options.token = NULL;
    refuse(&options, FL_EXIT_CONFIG, "/dev/null");
    options.token_file = "/nowhere/token";
    refuse(&options, FL_EXIT_CONFIG, "/nowhere/token");
    options.token_file = data_files_put_text(&files, "token", TOKEN "\r\n");
    refuse(&options, FL_EXIT_TEMPORARY, "no aggregator has answered");
}

TEST(join_refuses_a_name_that_nobody_can_have)
{
    fl_join_options options = make_options();
    options.name = "My Board";
    refuse(&options, FL_EXIT_USAGE, "--name My Board");
}

// Without it a token would be told to whoever answers.
TEST(join_needs_to_know_whom_it_asks)
{
    fl_join_options options = make_options();
    options.pin = NULL;
    refuse(&options, FL_EXIT_USAGE, "--pin KEY");
    options.pin = "abab";
    refuse(&options, FL_EXIT_USAGE, "64 hexadecimal digits");
    options.pin = ANY_KEY;
    options.authority = "abab";
    refuse(&options, FL_EXIT_USAGE, "--authority");
}

TEST(join_refuses_a_pin_that_has_changed)
{
    fl_join_options options = make_options();
    data_files_put_text(&files, "state/aggregator.pub", ANY_KEY "\n");
    options.pin = OTHER_KEY;
    refuse(&options, FL_EXIT_REFUSED, "another federation");
    assert_reason_names(why, ANY_KEY);
    assert_reason_names(why, OTHER_KEY);
    assert_reason_names(why, "--state");
    options.pin = NULL;  // then it is the one that it has
    refuse(&options, FL_EXIT_TEMPORARY, "no aggregator has answered");
    data_files_put_text(&files, "state/authority.pub", ANY_KEY "\n");
    options.authority = OTHER_KEY;
    refuse(&options, FL_EXIT_REFUSED, "authority.pub");
    data_files_put_text(&files, "state/aggregator.pub", "junk\n");
    refuse(&options, FL_EXIT_CONFIG, "aggregator.pub");
}

TEST(join_hides_the_token_from_who_lists_processes)
{
    char program[] = "fedge-client", word[] = "join", flag[] = "--token";
    char secret[] = TOKEN, both[] = "--token=" TOKEN, last[] = "--token";
    char *argv[] = {program, word, flag, secret, both, last, NULL};
    fl_join_hide_token(6, argv);
    assert_null(strstr(secret, "00112233"));
    assert_null(strstr(both, "00112233"));
    assert_string_equal(argv[3], TOKEN);
    assert_string_equal(argv[4], "--token=" TOKEN);
    assert_string_equal(argv[5], "--token");
    free(argv[3]);
    free(argv[4]);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(IN_FOLDER(join_says_that_nobody_has_answered),
          IN_FOLDER(join_refuses_an_address_that_cannot_be_dialled),
          IN_FOLDER(join_refuses_what_is_no_token),
          IN_FOLDER(join_refuses_a_name_that_nobody_can_have),
          IN_FOLDER(join_needs_to_know_whom_it_asks),
          IN_FOLDER(join_refuses_a_pin_that_has_changed),
          IN_FOLDER(join_hides_the_token_from_who_lists_processes))
