/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_address.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/support/data_files.h"
#include "tests/test.h"

static data_files files;
static char url[FL_ADDRESS_CAP];
static fl_reason why;

static int set_up(void **state)
{
    (void)state;
    strcpy(url, "untouched");
    data_files_init(&files);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    data_files_fini(&files);
    return 0;
}

static void put(const char *text)
{
    data_files_put_text(&files, "aggregator.address", text);
}

static void refuse(fl_err err, const char *word)
{
    assert_err(fl_state_address_get(url, files.root, &why), err);
    assert_reason_names(why, "aggregator.address");
    assert_reason_names(why, word);
    assert_string_equal(url, "untouched");
}

TEST(state_address_comes_back_as_it_was_kept)
{
    struct stat kept;
    char path[DATA_PATH_CAP + 32];
    assert_err(fl_state_address_get(url, files.root, &why), FL_ERR_NOT_FOUND);
    assert_ok(fl_state_address_set(files.root, "tcp://192.0.2.7:7443", &why));
    assert_ok(fl_state_address_get(url, files.root, &why));
    assert_string_equal(url, "tcp://192.0.2.7:7443");
    // The aggregator has moved.
    assert_ok(fl_state_address_set(files.root, "tcp://[2001:db8::1]:1", &why));
    assert_ok(fl_state_address_get(url, files.root, &why));
    assert_string_equal(url, "tcp://[2001:db8::1]:1");
    snprintf(path, sizeof path, "%s/aggregator.address", files.root);
    assert_int_equal(stat(path, &kept), 0);
    assert_int_equal(kept.st_mode & 0777, 0600);
}

TEST(state_address_may_be_written_by_a_person)
{
    put("fedge address 1\ntcp://farm.example:7443\n");
    assert_ok(fl_state_address_get(url, files.root, &why));
    assert_string_equal(url, "tcp://farm.example:7443");
}

// A board would dial nonsense for ever and look like one without a network.
TEST(state_address_refuses_a_file_that_is_damaged)
{
    const char *texts[] = {"",
                           "fedge address 1\n",
                           "fedge address 1\n\n",
                           "fedge address 1\ntcp://192.0.2.7:7443",
                           "fedge address 1\ntcp://192.0.2.7:7443\nmore\n",
                           "tcp://192.0.2.7:7443\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put(texts[i]);
        refuse(FL_ERR_FORMAT, "say --aggregator");
    }
    data_files_put(&files, "aggregator.address", "fedge address 1\nt\0p\n", 20);
    refuse(FL_ERR_FORMAT, "damaged");
    char text[4 * FL_ADDRESS_CAP];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    put(text);
    refuse(FL_ERR_FORMAT, "damaged");
    memcpy(text, "fedge address 1\n", 16);
    text[16 + FL_ADDRESS_CAP] = '\n';
    text[17 + FL_ADDRESS_CAP] = 0;
    put(text);
    refuse(FL_ERR_FORMAT, "damaged");
}

TEST(state_address_leaves_a_newer_file_to_the_newer_program)
{
    put("fedge address 2\ntcp://192.0.2.7:7443 tcp://192.0.2.8:7443\n");
    refuse(FL_ERR_UNSUPPORTED, "newer fedge-client");
}

TEST(state_address_refuses_what_no_file_holds)
{
    char longest[FL_ADDRESS_CAP + 1];
    memset(longest, 'a', sizeof longest);
    longest[FL_ADDRESS_CAP] = 0;
    assert_err(fl_state_address_set(files.root, longest, &why), FL_ERR_RANGE);
    longest[FL_ADDRESS_CAP - 1] = 0;
    assert_ok(fl_state_address_set(files.root, longest, &why));
    assert_ok(fl_state_address_get(url, files.root, &why));
    assert_string_equal(url, longest);
    assert_err(fl_state_address_set("/nowhere/at/all", "tcp://a:1", &why),
               FL_ERR_SYSTEM);
    assert_reason_names(why, "/nowhere/at/all");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(IN_FOLDER(state_address_comes_back_as_it_was_kept),
          IN_FOLDER(state_address_may_be_written_by_a_person),
          IN_FOLDER(state_address_refuses_a_file_that_is_damaged),
          IN_FOLDER(state_address_leaves_a_newer_file_to_the_newer_program),
          IN_FOLDER(state_address_refuses_what_no_file_holds))
