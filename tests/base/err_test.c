/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "tests/test.h"

TEST(err_has_a_text_for_every_code)
{
    assert_string_equal(fl_err_text(FL_OK), "success");
    for (int code = 0; code <= FL_ERR_STALE; code++)
        assert_string_not_equal(fl_err_text((fl_err)code),
                                "unknown error code");
}

TEST(err_has_a_text_for_what_is_no_code)
{
    assert_string_equal(fl_err_text((fl_err)15), "unknown error code");
}

TEST(err_values_never_change)
{
    // They are in logs and on the wire.
    assert_int_equal(FL_OK, 0);
    assert_int_equal(FL_ERR_MEMORY, 1);
    assert_int_equal(FL_ERR_SPACE, 2);
    assert_int_equal(FL_ERR_RANGE, 3);
    assert_int_equal(FL_ERR_FORMAT, 4);
    assert_int_equal(FL_ERR_AUTH, 5);
    assert_int_equal(FL_ERR_STATE, 6);
    assert_int_equal(FL_ERR_TIMEOUT, 7);
    assert_int_equal(FL_ERR_CLOSED, 8);
    assert_int_equal(FL_ERR_SYSTEM, 9);
    assert_int_equal(FL_ERR_UNSUPPORTED, 10);
    assert_int_equal(FL_ERR_NOT_FOUND, 11);
    assert_int_equal(FL_ERR_LIMIT, 12);
    assert_int_equal(FL_ERR_CANCELLED, 13);
    assert_int_equal(FL_ERR_STALE, 14);
}

static int calls;

static fl_err count_call(fl_err err)
{
    calls++;
    return err;
}

static fl_err try_both(fl_err first, fl_err second)
{
    FL_TRY(count_call(first));
    FL_TRY(count_call(second));
    return FL_OK;
}

TEST(err_passes_the_first_failure_up)
{
    calls = 0;
    assert_err(try_both(FL_ERR_AUTH, FL_ERR_SPACE), FL_ERR_AUTH);
    assert_int_equal(calls, 1);
    assert_err(try_both(FL_OK, FL_ERR_SPACE), FL_ERR_SPACE);
    assert_ok(try_both(FL_OK, FL_OK));
    assert_int_equal(calls, 5);
}

RUN_TESTS(cmocka_unit_test(err_has_a_text_for_every_code),
          cmocka_unit_test(err_has_a_text_for_what_is_no_code),
          cmocka_unit_test(err_values_never_change),
          cmocka_unit_test(err_passes_the_first_failure_up))
