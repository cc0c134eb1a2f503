/*
 * Sessions of more than 128 clients, where each chooses its neighbours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/parties.h"
#include "tests/test.h"

static void check_nobody_faulted(const fl_parties *p)
{
    for (uint32_t i = 0; i < p->guest_count; i++) {
        assert_ok(p->guests[i].err);
        assert_ok(p->guests[i].refused);
    }
}

static void check_sparse(uint32_t n, bool repeats)
{
    static const fl_step steps[] = {FL_STEP_ADVERTISE, FL_STEP_CHOICE,
                                    FL_STEP_SHARES,    FL_STEP_MASKED,
                                    FL_STEP_CONFIRM,   FL_STEP_UNMASK};
    fl_parties *p = fl_parties_new(n);
    fl_parties_open(p, &(fl_parties_options){.client_min = n / 2,
                                             .repeats = repeats,
                                             .thread_count = 2});
    for (uint32_t i = 0; i < n; i++) {
        if (fl_random_below(&p->random, 10) > 0) continue;
        p->guests[i].gone_at = steps[fl_random_below(&p->random, 6)];
    }
    assert_true(fl_parties_run_to(p, FL_SECAGG_UNMASK));
    for (uint32_t i = 0; i < n; i += 2) {
        (void)fl_parties_ask(p, i);
    }
    assert_false(fl_secagg_can_unmask(p->secagg));  // half are too few
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    check_nobody_faulted(p);
    fl_parties_free(p);
}

TEST(secagg_survives_dropouts_of_150_clients)
{
    check_sparse(150, true);
}

TEST(secagg_survives_dropouts_of_400_clients)
{
    check_sparse(400, false);
}

TEST(secagg_has_a_complete_graph_up_to_128_clients)
{
    fl_parties *p = fl_parties_new(129);
    fl_parties_open(p, &(fl_parties_options){0});
    p->guests[64].gone_at = FL_STEP_ADVERTISE;
    assert_true(fl_parties_run_to(p, FL_SECAGG_SHARES));
    fl_parties_open(p, &(fl_parties_options){0});
    fl_parties_ask_all(p);
    assert_ok(fl_parties_advance(p));
    assert_int_equal(fl_secagg_get_phase(p->secagg), FL_SECAGG_CHOICE);
    fl_parties_free(p);
}

RUN_TESTS(cmocka_unit_test(secagg_survives_dropouts_of_150_clients),
          cmocka_unit_test(secagg_survives_dropouts_of_400_clients),
          cmocka_unit_test(secagg_has_a_complete_graph_up_to_128_clients))
