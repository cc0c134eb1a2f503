/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/field.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/test.h"

static fl_reason why;
static fl_field_listen address;

static uint16_t port_of(const fl_field_listen *listened)
{
    const void *name = &listened->socket;
    return listened->socket.ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)name)->sin6_port)
               : ntohs(((const struct sockaddr_in *)name)->sin_port);
}

TEST(field_reads_an_address_and_a_port)
{
    assert_ok(fl_field_address(&address, "127.0.0.1:8080", &why));
    assert_int_equal(address.socket.ss_family, AF_INET);
    assert_int_equal(port_of(&address), 8080);
    assert_ok(fl_field_address(&address, "[::1]:0", &why));
    assert_int_equal(address.socket.ss_family, AF_INET6);
    assert_int_equal(port_of(&address), 0);
    assert_ok(fl_field_address(&address, "localhost:65535", &why));
    assert_int_equal(address.socket.ss_family, AF_INET);
    assert_int_equal(port_of(&address), 65535);
}

TEST(field_knows_what_is_loopback)
{
    const char *inside[] = {"127.0.0.1:1", "127.9.8.7:1", "[::1]:1",
                            "LOCALHOST:1"};
    const char *outside[] = {"0.0.0.0:1", "192.0.2.7:1", "[::]:1",
                             "[2001:db8::1]:1"};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(fl_field_address(&address, inside[i], &why));
        assert_true(address.is_loopback);
        assert_ok(fl_field_address(&address, outside[i], &why));
        assert_false(address.is_loopback);
    }
}

TEST(field_refuses_what_is_no_address_and_port)
{
    const char *wrong[] = {"",          ":",           "8080",
                           "127.0.0.1", "127.0.0.1:",  "127.0.0.1:65536",
                           ":8080",     "[::1]8080",   "[::1:8080",
                           "::1:8080",  "example:80",  "127.0.0.1:80a",
                           "[]:80",     "127.0.0.1:-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_err(fl_field_address(&address, wrong[i], &why), FL_ERR_RANGE);
        assert_reason_names(why, "--http");
        assert_reason_names(why, "127.0.0.1:8080");
    }
}

TEST(field_reads_digits_alone)
{
    uint32_t value = 7;
    assert_ok(fl_field_count(&value, "0", 0));
    assert_int_equal(value, 0);
    assert_ok(fl_field_count(&value, "4294967295", UINT32_MAX));
    assert_int_equal(value, UINT32_MAX);
    const char *wrong[] = {"",    "-1",         "+1",
                           " 1",  "1 ",         "1.0",
                           "0x1", "4294967296", "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_err(fl_field_count(&value, wrong[i], UINT32_MAX), FL_ERR_RANGE);
    }
    assert_err(fl_field_count(&value, "11", 10), FL_ERR_RANGE);
    assert_int_equal(value, UINT32_MAX);
}

TEST(field_takes_numbers_and_localhost_for_this_machine)
{
    const char *ours[] = {"localhost",      "localhost:8080", "127.0.0.1",
                          "127.0.0.1:8080", "[::1]",          "[::1]:80",
                          "LocalHost"};
    const char *others[] = {"",
                            "evil.example",
                            "evil.example:8080",
                            "localhost.evil.example",
                            "127.0.0.1.evil.example",
                            "[evil]:80",
                            "localhost:x",
                            "localhost:99999",
                            "[::1",
                            "[::1]x",
                            ":80"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        assert_true(fl_field_is_local_host(ours[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(fl_field_is_local_host(others[i]));
    }
}

RUN_TESTS(cmocka_unit_test(field_reads_an_address_and_a_port),
          cmocka_unit_test(field_knows_what_is_loopback),
          cmocka_unit_test(field_refuses_what_is_no_address_and_port),
          cmocka_unit_test(field_reads_digits_alone),
          cmocka_unit_test(field_takes_numbers_and_localhost_for_this_machine))
