/* SPDX-License-Identifier: Apache-2.0 */
#include "base/team.h"

#include "tests/test.h"

enum { SIZE = 4, MEETINGS = 2000 };

typedef struct {
    fl_team *team;
    unsigned counts[SIZE];
    unsigned wrong[SIZE];  // meetings after which somebody was behind
} meeting;

// Everybody counts; nobody may see an old count behind a meeting.
static void count_and_look(unsigned member, void *context)
{
    meeting *m = context;
    for (unsigned i = 1; i <= MEETINGS; i++) {
        m->counts[member] = i;
        fl_team_wait(m->team);
        for (unsigned k = 0; k < SIZE; k++)
            m->wrong[member] += m->counts[k] != i;
        fl_team_wait(m->team);
    }
}

TEST(team_members_see_what_was_written_before_a_meeting)
{
    meeting m = {0};
    assert_ok(fl_team_new(&m.team, SIZE));
    assert_int_equal(fl_team_size(m.team), SIZE);
    fl_team_run(m.team, count_and_look, &m);
    for (unsigned k = 0; k < SIZE; k++) {
        assert_int_equal(m.counts[k], MEETINGS);
        assert_int_equal(m.wrong[k], 0);
    }
    fl_team_free(m.team);
}

static void add_own_number(unsigned member, void *context)
{
    ((unsigned *)context)[member] += member + 1;
}

TEST(team_runs_again_and_again_with_all_members)
{
    fl_team *team = NULL;
    unsigned sums[SIZE] = {0};
    assert_ok(fl_team_new(&team, SIZE));
    for (unsigned i = 0; i < 100; i++)
        fl_team_run(team, add_own_number, sums);
    for (unsigned k = 0; k < SIZE; k++)
        assert_int_equal(sums[k], 100 * (k + 1));
    fl_team_free(team);
}

TEST(team_of_one_is_the_caller)
{
    fl_team *team = NULL;
    unsigned sum = 0;
    assert_ok(fl_team_new(&team, 1));
    fl_team_run(team, add_own_number, &sum);
    assert_int_equal(sum, 1);
    fl_team_free(team);
}

TEST(team_refuses_sizes_beyond_its_limits)
{
    fl_team *team = NULL;
    assert_err(fl_team_new(&team, 0), FL_ERR_RANGE);
    assert_err(fl_team_new(&team, FL_TEAM_MAX + 1), FL_ERR_RANGE);
    fl_team_free(NULL);
}

RUN_TESTS(cmocka_unit_test(team_members_see_what_was_written_before_a_meeting),
          cmocka_unit_test(team_runs_again_and_again_with_all_members),
          cmocka_unit_test(team_of_one_is_the_caller),
          cmocka_unit_test(team_refuses_sizes_beyond_its_limits))
