/*
 * INT8 forms on a board: which are taken into use, which are not, and what is
 * on the disk at every moment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "client/install.h"
#include "client/installer.h"
#include "client/state/state.h"
#include "tests/support/board.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { HOLDOUT = 4, HELD_OUT = BOARD_ROWS / HOLDOUT };

typedef struct {
    fl_board_kit kit;
    fl_install install;
    fl_client_verdict verdict;
    uint8_t *bytes;
    size_t len;
} scene;

static void scene_init(scene *s)
{
    *s = (scene){.bytes = NULL};
    fl_board_kit_init(&s->kit);
    s->install = (fl_install){.data = fl_board_kit_data(&s->kit, true),
                              .holdout = HOLDOUT,
                              .max_drop = 2.0};
}

static void scene_fini(scene *s)
{
    free(s->bytes);
    fl_board_kit_fini(&s->kit);
}

static fl_err try_form(scene *s)
{
    free(s->bytes);
    s->bytes = NULL;
    s->install.data = fl_board_kit_data(&s->kit, true);
    s->kit.why.text[0] = 0;
    return fl_install_try(&s->verdict, &s->bytes, &s->len, &s->install,
                          &s->kit.why);
}

// Ranges so narrow that hardly anything of the values is left.
static void spoil(scene *s)
{
    for (size_t i = 0; i < s->kit.range_count; i++) {
        s->kit.ranges[i].high *= 1e-3F;
        s->kit.ranges[i].low *= 1e-3F;
    }
    fl_board_kit_encode(&s->kit);
}

/* ---- verdicts ---- */

TEST(install_takes_the_first_form_and_measures_it_on_held_out_rows)
{
    scene s;
    scene_init(&s);
    assert_ok(try_form(&s));
    assert_true(s.verdict.is_accepted && s.verdict.is_first);
    assert_false(s.verdict.is_same);
    assert_int_equal(s.verdict.row_count, HELD_OUT);
    assert_in_range(s.verdict.correct_count, 1, HELD_OUT);
    assert_true(fl_int8_is_encoded(s.bytes, s.len));
    scene_fini(&s);
}

TEST(install_measures_all_rows_where_none_is_held_out)
{
    scene s;
    scene_init(&s);
    s.install.holdout = 0;
    assert_ok(try_form(&s));
    assert_int_equal(s.verdict.row_count, BOARD_ROWS);
    scene_fini(&s);
}

TEST(install_knows_the_form_that_is_in_use)
{
    scene s;
    scene_init(&s);
    assert_ok(try_form(&s));
    uint8_t *first = s.bytes;
    s.bytes = NULL;
    s.install.installed = first;
    s.install.installed_len = s.len;
    assert_ok(try_form(&s));
    assert_true(s.verdict.is_accepted && s.verdict.is_same);
    assert_int_equal(s.verdict.correct_count, s.verdict.correct_before);
    free(first);
    scene_fini(&s);
}

TEST(install_refuses_a_form_that_is_worse_than_it_may_be)
{
    scene s;
    scene_init(&s);
    assert_ok(try_form(&s));
    uint8_t *first = s.bytes;
    s.bytes = NULL;
    s.install.installed = first;
    s.install.installed_len = s.len;
    spoil(&s);
    assert_ok(try_form(&s));
    assert_false(s.verdict.is_accepted || s.verdict.is_first);
    assert_true(s.verdict.correct_count < s.verdict.correct_before);
    // The edge: exactly what may be lost.
    const double lost =
        100.0 * (s.verdict.correct_before - s.verdict.correct_count) / HELD_OUT;
    s.install.max_drop = lost * (1.0 + 1e-12);
    assert_ok(try_form(&s));
    assert_true(s.verdict.is_accepted);
    s.install.max_drop = lost * (1.0 - 1e-9);
    assert_ok(try_form(&s));
    assert_false(s.verdict.is_accepted);
    free(first);
    scene_fini(&s);
}

// Forms that each lose what one may would pass one after the other.
TEST(install_holds_a_form_against_the_one_before_too)
{
    scene s;
    scene_init(&s);
    assert_ok(try_form(&s));
    uint8_t *good = s.bytes, *bad;
    const size_t good_len = s.len;
    const uint32_t best = s.verdict.correct_count;
    s.bytes = NULL;
    spoil(&s);
    assert_ok(try_form(&s));
    bad = s.bytes;
    s.bytes = NULL;
    s.install.installed = bad;
    s.install.installed_len = s.len;
    assert_ok(try_form(&s));
    assert_true(s.verdict.is_accepted);
    assert_true(s.verdict.correct_before < best);
    s.install.previous = good;
    s.install.previous_len = good_len;
    assert_ok(try_form(&s));
    assert_false(s.verdict.is_accepted);
    assert_int_equal(s.verdict.correct_before, best);
    // A worse one before it changes nothing, and neither does junk.
    s.install.installed = good;
    s.install.installed_len = good_len;
    s.install.previous = bad;
    s.install.previous_len = s.len;
    assert_ok(try_form(&s));
    assert_int_equal(s.verdict.correct_before, best);
    s.install.previous_len = 5;
    assert_ok(try_form(&s));
    assert_int_equal(s.verdict.correct_before, best);
    free(good);
    free(bad);
    scene_fini(&s);
}

TEST(install_counts_what_cannot_be_read_as_nothing)
{
    static const uint8_t junk[] = "no model";
    scene s;
    scene_init(&s);
    s.install.installed = junk;
    s.install.installed_len = sizeof junk;
    assert_ok(try_form(&s));
    assert_true(s.verdict.is_accepted && s.verdict.is_first);
    scene_fini(&s);
}

TEST(install_refuses_ranges_of_another_model_and_bytes_that_are_none)
{
    scene s;
    scene_init(&s);
    s.kit.range_count--;
    fl_board_kit_encode(&s.kit);
    assert_err(try_form(&s), FL_ERR_FORMAT);
    assert_null(s.bytes);
    s.kit.range_count++;
    fl_board_kit_encode(&s.kit);
    s.kit.len /= 2;
    assert_err(try_form(&s), FL_ERR_FORMAT);
    assert_null(s.bytes);
    scene_fini(&s);
}

TEST(install_ends_when_it_is_told_to)
{
    scene s;
    atomic_bool stop = true;
    scene_init(&s);
    s.install.data.stop = &stop;
    assert_err(
        fl_install_try(&s.verdict, &s.bytes, &s.len, &s.install, &s.kit.why),
        FL_ERR_CANCELLED);
    assert_null(s.bytes);
    scene_fini(&s);
}

/* ---- the disk ---- */

static char folder[FL_SCRATCH_CAP];

static char *inside(const char *name)
{
    static char path[FL_SCRATCH_CAP + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void assert_file_is(const char *name, const char *text)
{
    uint8_t *bytes;
    size_t len;
    assert_ok(fl_file_read(&bytes, &len, inside(name), 1000, NULL));
    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
    free(bytes);
}

static fl_err save(fl_state *kept, const char *text, uint32_t round)
{
    const fl_state_installed installed = {
        .round = round, .row_count = 10, .correct_count = 7, .wall_ms = 5};
    return fl_state_installed_save(kept, &installed, (const uint8_t *)text,
                                   strlen(text), NULL);
}

static void assert_installed(const char *text, uint32_t round)
{
    fl_state_installed installed;
    uint8_t *bytes;
    size_t len;
    assert_ok(fl_state_installed_load(&installed, &bytes, &len, folder, NULL));
    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
    assert_int_equal(installed.round, round);
    assert_int_equal(installed.row_count, round ? 10 : 0);
    free(bytes);
}

static fl_state *open_state(void)
{
    fl_state *kept;
    assert_ok(fl_state_open(&kept, folder, NULL));
    return kept;
}

TEST(install_keeps_the_form_before_the_one_in_use)
{
    fl_state_installed installed;
    uint8_t *bytes;
    size_t len;
    assert_true(fl_scratch_make(folder));
    fl_state *kept = open_state();
    assert_err(fl_state_installed_load(&installed, &bytes, &len, folder, NULL),
               FL_ERR_NOT_FOUND);
    assert_ok(save(kept, "one", 1));
    assert_installed("one", 1);
    assert_int_equal(access(inside("int8.previous.onnx"), F_OK), -1);
    assert_err(fl_state_previous_load(&bytes, &len, folder, NULL),
               FL_ERR_NOT_FOUND);
    assert_ok(save(kept, "two", 2));
    assert_installed("two", 2);
    assert_file_is("int8.previous.onnx", "one");
    assert_ok(save(kept, "two", 3));  // no other form: one stays
    assert_installed("two", 3);
    assert_file_is("int8.previous.onnx", "one");
    assert_ok(save(kept, "three", 4));
    assert_file_is("int8.previous.onnx", "two");
    assert_ok(fl_state_previous_load(&bytes, &len, folder, NULL));
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "two", 3);
    free(bytes);
    fl_state_close(kept);
    fl_scratch_remove(folder);
}

TEST(install_says_nothing_of_a_form_that_the_record_does_not_mean)
{
    assert_true(fl_scratch_make(folder));
    fl_state *kept = open_state();
    assert_ok(save(kept, "one", 1));
    assert_ok(fl_file_write(inside("int8.onnx"), "else", 4, 0644, NULL));
    assert_installed("else", 0);
    assert_ok(fl_file_write(inside("int8"), "junk", 4, 0600, NULL));
    assert_installed("else", 0);
    fl_state_close(kept);
    fl_scratch_remove(folder);
}

TEST(install_of_another_federation_is_forgotten)
{
    const uint8_t key[FL_KEY_BYTES] = {1};
    assert_true(fl_scratch_make(folder));
    fl_state *kept = open_state();
    assert_ok(save(kept, "one", 1));
    assert_ok(save(kept, "two", 2));
    assert_ok(fl_state_pin_set(kept, key, NULL));
    assert_int_equal(access(inside("int8.onnx"), F_OK), -1);
    assert_int_equal(access(inside("int8.previous.onnx"), F_OK), -1);
    fl_state_close(kept);
    fl_scratch_remove(folder);
}

static void save_for_ever(void *self, int report)
{
    (void)self;
    fl_state *kept = open_state();
    for (uint32_t i = 2;; i++) {
        char text[64];
        snprintf(text, sizeof text, "form %u of a board", i);
        if (save(kept, text, i)) _exit(1);
        if (write(report, &i, sizeof i) < 0) _exit(1);
    }
}

// Whenever it is killed there is a whole form, and its record or none.
TEST(install_survives_a_kill_at_any_moment)
{
    for (unsigned us = 1000; us < 30000; us += 1500) {
        fl_state_installed installed;
        uint8_t *bytes;
        size_t len;
        unsigned last = 0, number = 0;
        char expected[64];
        assert_true(fl_scratch_make(folder));
        fl_state *kept = open_state();
        assert_ok(save(kept, "form 1 of a board", 1));
        fl_state_close(kept);
        assert_true(fl_scratch_kill(save_for_ever, NULL, us, &last));
        assert_ok(
            fl_state_installed_load(&installed, &bytes, &len, folder, NULL));
        assert_int_equal(sscanf((char *)bytes, "form %u of", &number), 1);
        snprintf(expected, sizeof expected, "form %u of a board", number);
        assert_string_equal((char *)bytes, expected);
        assert_in_range(number, last, last + 1 + (last == 0));
        assert_true(installed.round == number || installed.round == 0);
        free(bytes);
        kept = open_state();
        assert_ok(save(kept, "next", 99));
        assert_file_is("int8.previous.onnx", expected);
        fl_state_close(kept);
        fl_scratch_remove(folder);
    }
}

/* ---- the job ---- */

TEST(install_job_takes_a_good_form_into_use_and_leaves_a_bad_one)
{
    scene s;
    fl_installer installer;
    fl_client_event event;
    fl_pool *pool;
    uint8_t *bytes;
    size_t len;
    scene_init(&s);
    assert_true(fl_scratch_make(folder));
    fl_state *kept = open_state();
    assert_ok(fl_pool_new(&pool, 1));
    s.kit.plan.holdout = HOLDOUT;
    const fl_client_effect effect = {.plan = &s.kit.plan};
    for (uint32_t round = 1; round <= 2; round++) {
        s.kit.plan.round = round;
        const fl_local_data data = fl_board_kit_data(&s.kit, true);
        fl_installer_begin(&installer, folder, &effect, &data, 2.0);
        fl_pool_submit(pool, &installer.job);
        fl_pool_wait(pool, &installer.job);
        fl_installer_finish(&installer, kept, &event);
        assert_int_equal(event.kind, FL_CLIENT_INSTALLED);
        assert_ok(event.err);
        assert_int_equal(event.verdict->is_accepted, round == 1);
        fl_installer_fini(&installer);
        spoil(&s);
    }
    fl_state_installed installed;
    assert_ok(fl_state_installed_load(&installed, &bytes, &len, folder, NULL));
    assert_int_equal(installed.round, 1);
    assert_int_equal(installed.row_count, HELD_OUT);
    assert_true(fl_int8_is_encoded(bytes, len));
    free(bytes);
    fl_pool_free(pool);
    fl_state_close(kept);
    fl_scratch_remove(folder);
    scene_fini(&s);
}

RUN_TESTS(cmocka_unit_test(
              install_takes_the_first_form_and_measures_it_on_held_out_rows),
          cmocka_unit_test(install_measures_all_rows_where_none_is_held_out),
          cmocka_unit_test(install_knows_the_form_that_is_in_use),
          cmocka_unit_test(install_refuses_a_form_that_is_worse_than_it_may_be),
          cmocka_unit_test(install_holds_a_form_against_the_one_before_too),
          cmocka_unit_test(install_counts_what_cannot_be_read_as_nothing),
          cmocka_unit_test(
              install_refuses_ranges_of_another_model_and_bytes_that_are_none),
          cmocka_unit_test(install_ends_when_it_is_told_to),
          cmocka_unit_test(install_keeps_the_form_before_the_one_in_use),
          cmocka_unit_test(
              install_says_nothing_of_a_form_that_the_record_does_not_mean),
          cmocka_unit_test(install_of_another_federation_is_forgotten),
          cmocka_unit_test(install_survives_a_kill_at_any_moment),
          cmocka_unit_test(
              install_job_takes_a_good_form_into_use_and_leaves_a_bad_one))
