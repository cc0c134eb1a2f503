/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/edit.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

static char folder[FL_SCRATCH_CAP], path[PATH_MAX], said[4096];
static fl_reason why;

static int make_folder(void **state)
{
    (void)state;
    why = (fl_reason){""};
    said[0] = 0;
    assert_ok(fl_secure_start());
    if (!fl_scratch_make(folder)) return -1;
    assert_ok(fl_path_join(path, sizeof path, folder, "boards.list"));
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    fl_scratch_remove(folder);
    return 0;
}

static fl_identity identity_of(uint8_t number)
{
    uint8_t seed[FL_SEED_BYTES];
    memset(seed, number, sizeof seed);
    fl_identity identity;
    fl_identity_init(&identity, seed);
    return identity;
}

static fl_device card_of(uint8_t number, const char *name)
{
    fl_device device;
    const fl_identity identity = identity_of(number);
    fl_device_init(&device, &identity, name);
    return device;
}

static fl_err begin_by(fl_edit *edit, uint8_t authority, uint64_t serial_min)
{
    *edit = FL_EDIT_NONE;
    edit->authority = identity_of(authority);
    return fl_edit_begin(edit, path, serial_min, &why);
}

static fl_edit begin(void)
{
    fl_edit edit;
    assert_ok(begin_by(&edit, 0xff, 0));
    return edit;
}

static void add(fl_edit *edit, uint8_t number, const char *name)
{
    const fl_device card = card_of(number, name);
    assert_ok(fl_edit_add(edit, &card, &why));
}

static void refuse_card(fl_edit *edit, uint8_t number, const char *name,
                        fl_err err, const char *word)
{
    const fl_device card = card_of(number, name);
    assert_err(fl_edit_add(edit, &card, &why), err);
    assert_reason_names(why, word);
}

// Ends the edit; what it says goes to `said`.
static fl_err finish(fl_edit *edit)
{
    memset(said, 0, sizeof said);
    FILE *out = fmemopen(said, sizeof said, "w");
    assert_non_null(out);
    const fl_err err = fl_edit_finish(edit, out, &why);
    fclose(out);
    fl_edit_fini(edit);
    return err;
}

static void assert_said(const char *text)
{
    if (!strstr(said, text)) fail_msg("\"%s\" is not in \"%s\"", text, said);
}

static void assert_serial(uint64_t serial, uint32_t device_count)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_enrolment *list = NULL;
    assert_ok(fl_file_read(&bytes, &len, path, 1 << 20, &why));
    assert_ok(fl_enrolment_decode(&list, bytes, len, &why));
    assert_true(list->serial == serial);
    assert_int_equal(list->device_count, device_count);
    fl_enrolment_free(list);
    free(bytes);
}

// A list with devices 1 to 3: a, b, c.
static void make_list(void)
{
    fl_edit edit = begin();
    add(&edit, 1, "a");
    add(&edit, 2, "b");
    add(&edit, 3, "c");
    assert_ok(finish(&edit));
}

// A list that this program would not make.
static void put_list(uint64_t serial, fl_device *devices, uint32_t device_count)
{
    uint8_t *bytes = NULL;
    size_t len;
    const fl_identity authority = identity_of(0xff);
    assert_ok(fl_enrolment_encode(&bytes, &len, &authority, serial, devices,
                                  device_count, &why));
    assert_ok(fl_file_write(path, bytes, len, 0644, &why));
    free(bytes);
}

TEST(edit_begins_a_list_and_raises_its_serial)
{
    make_list();
    assert_serial(1, 3);
    assert_said("enrolled a ");
    assert_said("enrolled b ");
    assert_said("enrolled c ");
    assert_said("boards.list: serial 1, 3 devices, hash ");
    fl_edit edit = begin();
    add(&edit, 4, "d");
    assert_ok(fl_edit_remove(&edit, "b", &why));
    assert_ok(finish(&edit));
    assert_serial(2, 3);
    assert_said("enrolled d ");
    assert_said("revoked b ");
    assert_null(strstr(said, "enrolled a"));
}

TEST(edit_writes_nothing_before_its_end)
{
    make_list();
    fl_edit edit = begin();
    assert_ok(fl_edit_remove(&edit, "a", &why));
    fl_edit_fini(&edit);
    assert_serial(1, 3);
    fl_edit_fini(&edit);  // a second time does nothing
}

TEST(edit_that_changes_nothing_keeps_the_serial)
{
    make_list();
    fl_edit edit = begin();
    add(&edit, 4, "d");
    add(&edit, 2, "b");
    assert_ok(fl_edit_remove(&edit, "d", &why));
    assert_ok(finish(&edit));
    assert_said("nothing to change, serial 1");
    assert_serial(1, 3);
}

TEST(edit_renames_and_replaces_cards)
{
    make_list();
    fl_edit edit = begin();
    add(&edit, 2, "kitchen");
    assert_ok(finish(&edit));
    assert_said("renamed b to kitchen\n");
    assert_serial(2, 3);
    edit = begin();
    fl_device card = card_of(2, "kitchen");
    card.card[0] ^= 1;
    assert_ok(fl_edit_add(&edit, &card, &why));
    assert_ok(finish(&edit));
    assert_said("new card of kitchen");
    assert_serial(3, 3);
}

TEST(edit_removes_by_name_or_key)
{
    char key[FL_HEX_CAP];
    make_list();
    const fl_device c = card_of(3, "c");
    fl_hex_encode(key, sizeof key, c.identity, FL_KEY_BYTES);
    fl_edit edit = begin();
    assert_ok(fl_edit_remove(&edit, key, &why));
    assert_err(fl_edit_remove(&edit, key, &why), FL_ERR_NOT_FOUND);
    assert_err(fl_edit_remove(&edit, "c", &why), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "boards.list: no device is called c");
    assert_ok(fl_edit_remove(&edit, "a", &why));
    assert_ok(fl_edit_remove(&edit, "b", &why));
    assert_ok(finish(&edit));
    assert_serial(2, 0);
    edit = begin();  // goes on from none
    add(&edit, 1, "a");
    assert_ok(finish(&edit));
    assert_serial(3, 1);
}

TEST(edit_refuses_a_name_that_another_device_has)
{
    make_list();
    fl_edit edit = begin();
    refuse_card(&edit, 4, "a", FL_ERR_RANGE, "called a");
    add(&edit, 1, "d");  // the name is free then
    add(&edit, 4, "a");
    refuse_card(&edit, 5, "d", FL_ERR_RANGE, "called d");
    assert_ok(finish(&edit));
    assert_serial(2, 4);
}

TEST(edit_asks_for_the_key_where_a_name_is_there_twice)
{
    fl_device devices[] = {card_of(1, "a"), card_of(2, "a")};
    put_list(1, devices, 2);
    fl_edit edit = begin();
    assert_err(fl_edit_remove(&edit, "a", &why), FL_ERR_RANGE);
    assert_reason_names(why, "several devices");
    fl_edit_fini(&edit);
}

TEST(edit_refuses_a_card_when_the_list_is_full)
{
    enum { COUNT = FL_ENROLMENT_DEVICES_MAX };
    fl_device *devices = calloc(COUNT, sizeof *devices);
    assert_non_null(devices);
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(devices[i].identity, &i, sizeof i);
        memcpy(devices[i].channel, &i, sizeof i);
        devices[i].name[0] = 'f';
    }
    put_list(1, devices, COUNT);
    free(devices);
    fl_edit edit = begin();
    refuse_card(&edit, 1, "a", FL_ERR_LIMIT, "65535 devices");
    fl_edit_fini(&edit);
}

TEST(edit_refuses_a_second_one_at_the_same_time)
{
    fl_edit first = begin(), second;
    assert_err(begin_by(&second, 0xff, 0), FL_ERR_STATE);
    assert_reason_names(why, "another fedge-keys");
    fl_edit_fini(&second);
    fl_edit_fini(&first);
    assert_ok(begin_by(&second, 0xff, 0));
    fl_edit_fini(&second);
}

TEST(edit_refuses_the_list_of_another_authority)
{
    make_list();
    fl_edit edit;
    assert_err(begin_by(&edit, 0xfe, 0), FL_ERR_AUTH);
    assert_reason_names(why, "boards.list");
    fl_edit_fini(&edit);
}

TEST(edit_refuses_a_list_that_is_damaged)
{
    fl_edit edit;
    assert_ok(fl_file_write(path, "fedge enrolment 2\n", 18, 0644, &why));
    assert_err(begin_by(&edit, 0xff, 0), FL_ERR_FORMAT);
    assert_reason_names(why, "boards.list: line 1");
    fl_edit_fini(&edit);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, path), 0);
    assert_err(begin_by(&edit, 0xff, 0), FL_ERR_SYSTEM);
    assert_reason_names(why, "boards.list");
    fl_edit_fini(&edit);
}

TEST(edit_goes_on_above_a_serial_that_is_asked_for)
{
    fl_edit edit;
    assert_ok(begin_by(&edit, 0xff, 40));
    add(&edit, 1, "a");
    assert_ok(finish(&edit));
    assert_serial(40, 1);
    assert_ok(begin_by(&edit, 0xff, 40));  // has been reached
    add(&edit, 2, "b");
    assert_ok(finish(&edit));
    assert_serial(41, 2);
    assert_ok(begin_by(&edit, 0xff, 50));  // a change in itself
    assert_ok(finish(&edit));
    assert_serial(50, 2);
}

TEST(edit_refuses_to_go_beyond_the_last_serial)
{
    fl_device device = card_of(1, "a");
    put_list(UINT64_MAX, &device, 1);
    fl_edit edit = begin();
    add(&edit, 2, "b");
    assert_err(finish(&edit), FL_ERR_LIMIT);
    assert_reason_names(why, "highest serial");
    assert_serial(UINT64_MAX, 1);
}

TEST(edit_refuses_a_channel_key_that_is_there_twice)
{
    make_list();
    fl_edit edit = begin();
    fl_device card = card_of(4, "d");
    memcpy(card.channel, edit.devices[0].channel, FL_KEY_BYTES);
    assert_ok(fl_edit_add(&edit, &card, &why));
    assert_err(finish(&edit), FL_ERR_RANGE);
    assert_reason_names(why, "same channel key");
    assert_serial(1, 3);
}

TEST(edit_keeps_the_old_list_when_the_disk_fails)
{
    make_list();
    fl_edit edit = begin();
    add(&edit, 4, "d");
    assert_true(fl_scratch_limit_files(100));
    const fl_err err = finish(&edit);
    assert_true(fl_scratch_limit_files(SIZE_MAX));
    assert_err(err, FL_ERR_SYSTEM);
    assert_string_equal(said, "");
    assert_serial(1, 3);
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(edit_begins_a_list_and_raises_its_serial),
          IN_FOLDER(edit_writes_nothing_before_its_end),
          IN_FOLDER(edit_that_changes_nothing_keeps_the_serial),
          IN_FOLDER(edit_renames_and_replaces_cards),
          IN_FOLDER(edit_removes_by_name_or_key),
          IN_FOLDER(edit_refuses_a_name_that_another_device_has),
          IN_FOLDER(edit_asks_for_the_key_where_a_name_is_there_twice),
          IN_FOLDER(edit_refuses_a_card_when_the_list_is_full),
          IN_FOLDER(edit_refuses_a_second_one_at_the_same_time),
          IN_FOLDER(edit_refuses_the_list_of_another_authority),
          IN_FOLDER(edit_refuses_a_list_that_is_damaged),
          IN_FOLDER(edit_goes_on_above_a_serial_that_is_asked_for),
          IN_FOLDER(edit_refuses_to_go_beyond_the_last_serial),
          IN_FOLDER(edit_refuses_a_channel_key_that_is_there_twice),
          IN_FOLDER(edit_keeps_the_old_list_when_the_disk_fails))
