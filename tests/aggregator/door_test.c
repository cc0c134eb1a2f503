/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/door.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/joining/tokens.h"
#include "aggregator/store_db.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { LOOK_MS = 1000, AUTHORITY = 99 };

static data_files files;
static char folder[DATA_PATH_CAP], list_path[DATA_PATH_CAP];
static fl_reason why;
static fl_store *store, *beside;
static fl_door door;
static char logged[1024];

static void log_line(void *self, fl_log_level level, const char *line)
{
    (void)self, (void)level;
    snprintf(logged, sizeof logged, "%s", line);
}

static int set_up(void **state)
{
    (void)state;
    logged[0] = 0;
    why = (fl_reason){""};
    assert_ok(fl_secure_start());
    fl_log_start(FL_LOG_INFO, log_line, NULL);
    data_files_init(&files);
    assert_true(snprintf(folder, sizeof folder, "%.200s/state", files.root) >
                0);
    assert_ok(fl_store_open(&store, folder, false, &why));
    assert_ok(fl_store_open_beside(&beside, folder, &why));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_door_fini(&door);
    fl_store_close(beside);
    fl_store_close(store);
    data_files_fini(&files);
    fl_log_start(FL_LOG_ERROR, NULL, NULL);
    return 0;
}

static fl_device make_device(uint8_t seed, const char *name)
{
    fl_device device;
    fl_identity identity;
    fl_identity_init(&identity, (const uint8_t[FL_SEED_BYTES]){seed});
    fl_device_init(&device, &identity, name);
    return device;
}

static void open_door(fl_join_mode mode)
{
    assert_ok(fl_door_init(&door, store, mode, NULL, NULL, 0, &why));
}

// The registration of the device made of this seed; NULL: there is none.
static const fl_registration *find(uint8_t seed)
{
    const fl_device device = make_device(seed, "client");
    const fl_registry registry = fl_door_registry(&door);
    for (uint32_t i = 0; i < registry.count; i++) {
        const fl_registration *item = &registry.items[i];
        if (memcmp(item->device.identity, device.identity, FL_KEY_BYTES) == 0) {
            return item;
        }
    }
    return NULL;
}

static fl_token add_token(fl_store *to, int64_t expires_ms)
{
    fl_token token = {.id = 5, .secret = {5}};
    const int64_t now_ms = fl_clock_wall_ms();
    fl_token_record record = {.id = 5,
                              .made_ms = now_ms,
                              .expires_ms = now_ms + expires_ms,
                              .use_cap = 1};
    fl_token_hash(record.hash, &token);
    assert_ok(fl_tokens_add(to, &record, now_ms, &why));
    return token;
}

static fl_standing ask(uint8_t seed, const fl_token *token, bool changes)
{
    fl_standing standing;
    fl_join join = {.has_token = token != NULL};
    const fl_device device = make_device(seed, "client");
    if (token) join.token = *token;
    assert_int_equal(fl_door_join(&door, &standing, &device, &join), changes);
    return standing;
}

/* ---- devices that ask ---- */

// The user would lose the point of a token: it opens the door once.
TEST(door_lets_a_token_in_once)
{
    open_door(FL_JOIN_TOKEN);
    const fl_token token = add_token(store, 60000);
    assert_int_equal(ask(1, &token, true).state, FL_STANDING_ENROLLED);
    assert_int_equal(find(1)->state, FL_REGISTRATION_ENROLLED);
    assert_non_null(strstr(logged, "event=join "));
    assert_null(strstr(logged, "0500"));  // never the secret
    assert_int_equal(ask(2, &token, false).cause, FL_CAUSE_TOKEN_USED);
    assert_non_null(strstr(logged, "event=join_refused "));
    assert_non_null(strstr(logged, "why=token_used"));
    assert_null(find(2));
    // Who is in stays in, and changes nothing by asking again.
    assert_int_equal(ask(1, &token, false).state, FL_STANDING_ENROLLED);
}

TEST(door_lets_nobody_in_by_a_token_whose_time_is_over)
{
    open_door(FL_JOIN_TOKEN);
    const fl_token token = add_token(store, -1);
    assert_int_equal(ask(1, &token, false).cause, FL_CAUSE_TOKEN_EXPIRED);
    assert_null(find(1));
}

// The device would believe it is in, and be turned away for ever.
TEST(door_refuses_for_now_what_cannot_be_written_down)
{
    open_door(FL_JOIN_TOKEN);
    const fl_token token = add_token(store, 60000);
    assert_ok(fl_store_db_run(fl_store_database(store),
                              "PRAGMA query_only = ON", &why));
    const fl_standing standing = ask(1, &token, false);
    assert_int_equal(standing.state, FL_STANDING_REFUSED);
    assert_int_equal(standing.cause, FL_CAUSE_BUSY);
    assert_true(fl_cause_is_temporary(standing.cause));
    assert_non_null(strstr(logged, "event=not_saved what=join"));
    assert_ok(fl_store_db_run(fl_store_database(store),
                              "PRAGMA query_only = OFF", &why));
    assert_int_equal(ask(1, &token, true).state, FL_STANDING_ENROLLED);
}

TEST(door_writes_down_who_comes_only_when_it_is_open)
{
    const fl_device device = make_device(1, "porch");
    fl_registry_entry entry;
    open_door(FL_JOIN_TOKEN);
    fl_door_came(&door, &device);
    assert_err(fl_registry_find(store, &entry, "porch", &why),
               FL_ERR_NOT_FOUND);
    fl_door_fini(&door);
    open_door(FL_JOIN_OPEN);
    fl_door_came(&door, &device);
    assert_ok(fl_registry_find(store, &entry, "porch", &why));
    assert_int_equal(entry.registration.state, FL_REGISTRATION_ENROLLED);
    assert_ok(fl_store_db_run(fl_store_database(store),
                              "PRAGMA query_only = ON", &why));
    const fl_device second = make_device(2, "shed");
    fl_door_came(&door, &second);
    assert_non_null(strstr(logged, "event=not_saved what=device"));
}

/* ---- other programs ---- */

TEST(door_tells_other_programs_how_devices_get_in)
{
    char noted[16];
    open_door(FL_JOIN_APPROVE);
    assert_ok(fl_registry_get_note(beside, noted, sizeof noted, "join", &why));
    assert_string_equal(noted, "approve");
}

// A device that was revoked would go on for as long as the aggregator runs.
TEST(door_notices_within_a_second_what_another_program_has_written)
{
    open_door(FL_JOIN_TOKEN);
    const fl_token token = add_token(store, 60000);
    (void)ask(1, &token, true);
    assert_false(fl_door_look(&door, 0));
    assert_int_equal(fl_door_deadline(&door), LOOK_MS);
    assert_ok(fl_registry_set_state(beside, find(1)->device.identity,
                                    FL_REGISTRATION_REVOKED, 1, &why));
    assert_false(fl_door_look(&door, LOOK_MS - 1));  // not yet time
    assert_true(fl_door_look(&door, LOOK_MS));
    assert_int_equal(find(1)->state, FL_REGISTRATION_REVOKED);
    assert_false(fl_door_look(&door, 2 * LOOK_MS));  // nothing new
    assert_int_equal(ask(1, &token, false).cause, FL_CAUSE_REVOKED);
}

/* ---- lists ---- */

static uint8_t *sign(uint8_t authority, uint64_t serial, fl_device *devices,
                     uint32_t count, size_t *len)
{
    uint8_t *bytes;
    fl_identity identity;
    fl_identity_init(&identity, (const uint8_t[FL_SEED_BYTES]){authority});
    assert_ok(fl_enrolment_encode(&bytes, len, &identity, serial, devices,
                                  count, &why));
    return bytes;
}

static void put_list(uint8_t authority, uint64_t serial, uint32_t count)
{
    size_t len;
    fl_device devices[] = {make_device(1, "a"), make_device(2, "b"),
                           make_device(3, "c")};
    uint8_t *bytes = sign(authority, serial, devices, count, &len);
    strcpy(list_path, data_files_put(&files, "boards.list", bytes, len));
    free(bytes);
}

static void open_listed(uint64_t serial)
{
    size_t len;
    fl_device devices[] = {make_device(1, "a")};
    put_list(AUTHORITY, serial, 1);
    uint8_t *bytes = sign(AUTHORITY, serial, devices, 1, &len);
    assert_ok(
        fl_door_init(&door, store, FL_JOIN_LIST, list_path, bytes, len, &why));
    free(bytes);
}

TEST(door_takes_over_its_own_list)
{
    size_t len;
    fl_device devices[] = {make_device(1, "a"), make_device(2, "b")};
    uint8_t *bytes = sign(AUTHORITY, 1, devices, 2, &len);
    assert_ok(
        fl_door_init(&door, store, FL_JOIN_TOKEN, NULL, bytes, len, &why));
    free(bytes);
    assert_int_equal(fl_door_registry(&door).count, 2);
    assert_int_equal(find(2)->state, FL_REGISTRATION_ENROLLED);
    fl_door_fini(&door);
    assert_err(fl_door_init(&door, store, FL_JOIN_TOKEN, NULL,
                            (const uint8_t *)"junk", 4, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "enrolment.list");
    assert_reason_names(why, "backup");
}

TEST(door_follows_a_newer_list_and_tells_it_once)
{
    open_listed(4);
    assert_false(fl_door_look(&door, 0));
    put_list(AUTHORITY, 5, 3);
    assert_true(fl_door_look(&door, LOOK_MS));
    assert_int_equal(find(3)->state, FL_REGISTRATION_ENROLLED);
    assert_non_null(fl_door_registry(&door).list);
    (void)fl_door_look(&door, 2 * LOOK_MS);
    assert_null(fl_door_registry(&door).list);
}

// With an old list a device that was thrown out would be back.
TEST(door_keeps_its_list_against_an_older_one_and_anothers)
{
    open_listed(4);
    put_list(AUTHORITY, 3, 3);
    assert_false(fl_door_look(&door, LOOK_MS));
    assert_non_null(strstr(logged, "event=enrolment_not_read"));
    assert_non_null(strstr(logged, "serial 3 does not follow 4"));
    put_list(AUTHORITY + 1, 9, 2);
    assert_false(fl_door_look(&door, 2 * LOOK_MS));
    assert_non_null(strstr(logged, "another authority"));
    data_files_put_text(&files, "boards.list", "half of a li");
    assert_false(fl_door_look(&door, 3 * LOOK_MS));
    assert_non_null(strstr(logged, "boards.list"));
    assert_int_equal(unlink(list_path), 0);  // being replaced just now
    assert_false(fl_door_look(&door, 4 * LOOK_MS));
    assert_null(find(3));
    assert_int_equal(find(1)->state, FL_REGISTRATION_ENROLLED);
    put_list(AUTHORITY, 5, 3);
    assert_true(fl_door_look(&door, 5 * LOOK_MS));
    assert_non_null(find(3));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(
    IN_FOLDER(door_lets_a_token_in_once),
    IN_FOLDER(door_lets_nobody_in_by_a_token_whose_time_is_over),
    IN_FOLDER(door_refuses_for_now_what_cannot_be_written_down),
    IN_FOLDER(door_writes_down_who_comes_only_when_it_is_open),
    IN_FOLDER(door_tells_other_programs_how_devices_get_in),
    IN_FOLDER(door_notices_within_a_second_what_another_program_has_written),
    IN_FOLDER(door_takes_over_its_own_list),
    IN_FOLDER(door_follows_a_newer_list_and_tells_it_once),
    IN_FOLDER(door_keeps_its_list_against_an_older_one_and_anothers))
