/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"

#include <errno.h>

#include "tests/test.h"

static char long_text[1000];

static int fill_long_text(void **state)
{
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    return 0;
}

TEST(reason_keeps_the_sentence_and_gives_the_code_back)
{
    fl_reason why;
    assert_err(fl_reason_set(&why, FL_ERR_FORMAT, "%s: byte %d", "a.idx", 7),
               FL_ERR_FORMAT);
    assert_string_equal(why.text, "a.idx: byte 7");
}

TEST(reason_says_why_the_system_refused)
{
    fl_reason why;
    errno = ENOSPC;
    assert_err(fl_reason_system(&why, "a.idx", "write"), FL_ERR_SYSTEM);
    assert_string_equal(why.text,
                        "a.idx: cannot write: No space left on device");
}

TEST(reason_gets_a_context_in_front)
{
    fl_reason why;
    fl_reason_set(&why, FL_ERR_FORMAT, "byte %d", 7);
    assert_err(fl_reason_prefix(&why, FL_ERR_SYSTEM, "client %u", 3U),
               FL_ERR_SYSTEM);
    assert_string_equal(why.text, "client 3: byte 7");
}

TEST(reason_may_be_missing)
{
    assert_err(fl_reason_set(NULL, FL_ERR_RANGE, "%d", 1), FL_ERR_RANGE);
    assert_err(fl_reason_prefix(NULL, FL_ERR_RANGE, "%d", 1), FL_ERR_RANGE);
}

TEST(reason_replaces_control_characters)
{
    fl_reason why;
    fl_reason_set(&why, FL_ERR_FORMAT, "%s", "a\nb\x1b[2J\x7f");
    assert_string_equal(why.text, "a?b?[2J?");
    fl_reason_prefix(&why, FL_ERR_FORMAT, "%s", "c\rd");
    assert_string_equal(why.text, "c?d: a?b?[2J?");
}

TEST(reason_is_cut_at_its_capacity)
{
    fl_reason why;
    fl_reason_set(&why, FL_ERR_FORMAT, "%s", long_text);
    assert_int_equal(strlen(why.text), FL_REASON_CAP - 1);
    fl_reason_prefix(&why, FL_ERR_FORMAT, "a.idx");
    assert_int_equal(strlen(why.text), FL_REASON_CAP - 1);
    assert_memory_equal(why.text, "a.idx: xxx", 10);
    fl_reason_prefix(&why, FL_ERR_FORMAT, "%s", long_text);
    assert_int_equal(strlen(why.text), FL_REASON_CAP - 1);
}

RUN_TESTS(cmocka_unit_test(reason_keeps_the_sentence_and_gives_the_code_back),
          cmocka_unit_test(reason_says_why_the_system_refused),
          cmocka_unit_test(reason_gets_a_context_in_front),
          cmocka_unit_test(reason_may_be_missing),
          cmocka_unit_test(reason_replaces_control_characters),
          cmocka_unit_test_setup(reason_is_cut_at_its_capacity, fill_long_text))
