/*
 * Clients that vanish, at every step, in every pattern that there is time for:
 * the sum is that of the survivors, or the session is aborted exactly when too
 * few are left.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "tests/support/parties.h"
#include "tests/test.h"

enum { CLIENT_MIN = 2 };

// When a client may vanish in the complete graph; 0: never.
static const fl_step steps[] = {FL_STEP_ADVERTISE, FL_STEP_SHARES,
                                FL_STEP_MASKED,    FL_STEP_CONFIRM,
                                FL_STEP_UNMASK,    0};
enum { STEP_COUNT = sizeof steps / sizeof steps[0] };

static uint32_t count_saying(const fl_step *gone_at, uint32_t n, fl_step step)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        count += gone_at[i] == 0 || gone_at[i] > step;
    }
    return count;
}

// In the complete graph; from the document, not from the code.
static bool can_succeed(const fl_step *gone_at, uint32_t n)
{
    const uint32_t roster = count_saying(gone_at, n, FL_STEP_ADVERTISE);
    const uint32_t t = 2 * roster / 3 + 1;
    const uint32_t fewest = t > CLIENT_MIN ? t : CLIENT_MIN;
    return roster >= CLIENT_MIN &&
           count_saying(gone_at, n, FL_STEP_CONFIRM) >= fewest &&
           count_saying(gone_at, n, FL_STEP_UNMASK) >= t;
}

static void print_pattern(const fl_step *gone_at, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        print_error("%s ", gone_at[i] ? fl_step_name(gone_at[i]) : "stays");
    }
    print_error("of %u\n", n);
}

static void check_nobody_faulted(const fl_parties *p)
{
    for (uint32_t i = 0; i < p->guest_count; i++) {
        assert_ok(p->guests[i].err);
        assert_ok(p->guests[i].refused);
    }
}

static void check_pattern(fl_parties *p, const fl_step *gone_at)
{
    const uint32_t n = p->device_count;
    fl_parties_open(p, &(fl_parties_options){.client_min = CLIENT_MIN});
    for (uint32_t i = 0; i < n; i++) {
        p->guests[i].gone_at = gone_at[i];
    }
    const bool has_sum = fl_parties_run(p) == FL_OK;
    if (has_sum != can_succeed(gone_at, n)) {
        print_pattern(gone_at, n);
        fail_msg("%s", has_sum ? "there is a sum" : p->why.text);
    }
    if (has_sum) {
        fl_parties_check_sum(p);
    } else {
        assert_null(fl_secagg_sum(p->secagg));
    }
    check_nobody_faulted(p);
}

// The pattern that a number below STEP_COUNT^n stands for.
static void decode_pattern(fl_step *gone_at, uint32_t n, uint32_t code)
{
    for (uint32_t i = 0; i < n; i++) {
        gone_at[i] = steps[code % STEP_COUNT];
        code /= STEP_COUNT;
    }
}

static uint32_t pattern_count(uint32_t n)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < n; i++) {
        count *= STEP_COUNT;
    }
    return count;
}

TEST(secagg_survives_every_pattern_of_2_to_4_clients)
{
    fl_step gone_at[4];
    for (uint32_t n = 2; n <= 4; n++) {
        fl_parties *p = fl_parties_new(n);
        for (uint32_t code = 0; code < pattern_count(n); code++) {
            decode_pattern(gone_at, n, code);
            check_pattern(p, gone_at);
        }
        fl_parties_free(p);
    }
}

// One of the patterns that differ in who it is alone; and not one in which more
// than four vanish, which fewer clients have shown.
static bool is_worth_while(const fl_step *gone_at, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        if (gone_at[i] < gone_at[i - 1]) return false;
    }
    return count_saying(gone_at, n, FL_STEP_UNMASK) + 4 >= n;
}

static void shuffle(fl_random *random, fl_step *gone_at, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = fl_random_below(random, i);
        const fl_step step = gone_at[i - 1];
        gone_at[i - 1] = gone_at[j];
        gone_at[j] = step;
    }
}

// So many vanish at this step, so many at that; who does is left to chance.
TEST(secagg_survives_any_dropouts_of_5_to_7_clients)
{
    fl_step gone_at[7];
    for (uint32_t n = 5; n <= 7; n++) {
        fl_parties *p = fl_parties_new(n);
        for (uint32_t code = 0; code < pattern_count(n); code++) {
            decode_pattern(gone_at, n, code);
            if (!is_worth_while(gone_at, n)) continue;
            shuffle(&p->random, gone_at, n);
            check_pattern(p, gone_at);
        }
        fl_parties_free(p);
    }
}

TEST(secagg_survives_random_patterns_of_50_clients)
{
    fl_step gone_at[50];
    fl_parties *p = fl_parties_new(50);
    for (uint32_t session = 0; session < 6; session++) {
        // From nobody to more than may vanish.
        for (uint32_t i = 0; i < 50; i++) {
            const bool stays = fl_random_below(&p->random, 50) >= session * 4;
            gone_at[i] =
                stays ? 0 : steps[fl_random_below(&p->random, STEP_COUNT - 1)];
        }
        check_pattern(p, gone_at);
    }
    fl_parties_free(p);
}

RUN_TESTS(cmocka_unit_test(secagg_survives_every_pattern_of_2_to_4_clients),
          cmocka_unit_test(secagg_survives_any_dropouts_of_5_to_7_clients),
          cmocka_unit_test(secagg_survives_random_patterns_of_50_clients))
