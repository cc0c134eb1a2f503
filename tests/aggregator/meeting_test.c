/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/meeting.h"

#include <string.h>

#include "tests/test.h"

static fl_reason why;

static const char *find(const char *address, const char *listen, uint16_t port)
{
    static char url[FL_MEETING_CAP];
    const fl_meeting_place place = {
        .address = address, .listen = listen, .port = port};
    assert_ok(fl_meeting_find(url, &place, &why));
    return url;
}

TEST(meeting_is_where_a_person_says)
{
    assert_string_equal(
        find("tcp://farm.example:7443", "tcp://0.0.0.0:7443", 7443),
        "tcp://farm.example:7443");
}

TEST(meeting_is_where_the_aggregator_listens)
{
    assert_string_equal(find(NULL, "tcp://192.0.2.7:7443", 0),
                        "tcp://192.0.2.7:7443");
    // The port that it has got.
    assert_string_equal(find(NULL, "tcp://127.0.0.1:0", 40001),
                        "tcp://127.0.0.1:40001");
    assert_string_equal(find(NULL, "tcp://[2001:db8::7]:0", 7443),
                        "tcp://[2001:db8::7]:7443");
}

// Boards that dial 0.0.0.0 reach themselves.
TEST(meeting_is_never_at_any_address)
{
    const char *any[] = {"tcp://0.0.0.0:7443", "tcp://[::]:7443",
                         "tcp://*:7443"};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        const char *url = find(NULL, any[i], 7443);
        const size_t len = strlen(url);
        assert_null(strstr(url, "0.0.0.0"));
        assert_null(strstr(url, "::"));
        assert_null(strchr(url, '*'));
        assert_true(len > strlen("tcp://:7443"));
        assert_string_equal(url + len - 5, ":7443");
    }
}

TEST(meeting_refuses_an_address_that_no_line_holds)
{
    char address[FL_MEETING_CAP + 1], url[FL_MEETING_CAP];
    memset(address, 'a', sizeof address);
    address[FL_MEETING_CAP] = 0;
    const fl_meeting_place place = {.address = address};
    assert_err(fl_meeting_find(url, &place, &why), FL_ERR_RANGE);
    assert_reason_names(why, "too long");
}

// The line with it is for a shell.
TEST(meeting_refuses_what_is_no_address)
{
    const char *bad[] = {"", "farm.example", "tcp://farm.example",
                         "tcp://a;reboot:7443", "tcp://$(reboot):7443"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char url[FL_MEETING_CAP];
        const fl_meeting_place place = {.address = bad[i]};
        assert_err(fl_meeting_find(url, &place, &why), FL_ERR_RANGE);
        assert_reason_names(why, "tcp://");
        why.text[0] = 0;
    }
}

TEST(meeting_knows_what_other_machines_cannot_reach)
{
    assert_true(fl_meeting_is_local("tcp://127.0.0.1:7443"));
    assert_true(fl_meeting_is_local("tcp://127.3.2.1:7443"));
    assert_true(fl_meeting_is_local("tcp://localhost:7443"));
    assert_true(fl_meeting_is_local("tcp://[::1]:7443"));
    assert_false(fl_meeting_is_local("tcp://192.0.2.7:7443"));
    assert_false(fl_meeting_is_local("tcp://localhost.example:7443"));
    assert_false(fl_meeting_is_local("127.0.0.1"));
}

RUN_TESTS(cmocka_unit_test(meeting_is_where_a_person_says),
          cmocka_unit_test(meeting_is_where_the_aggregator_listens),
          cmocka_unit_test(meeting_is_never_at_any_address),
          cmocka_unit_test(meeting_refuses_an_address_that_no_line_holds),
          cmocka_unit_test(meeting_refuses_what_is_no_address),
          cmocka_unit_test(meeting_knows_what_other_machines_cannot_reach))
