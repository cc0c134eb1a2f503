/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rolls.h"

#include <stdlib.h>

#include "sim/chance.h"
#include "tests/test.h"

typedef struct {
    uint8_t *bytes;
    size_t len;
    uint8_t name[FL_HASH_BYTES];
} list;

// Of one device; the serial makes it another one.
static list make_list(uint64_t serial)
{
    fl_identity authority, owner;
    fl_device device;
    list made;
    assert_ok(fl_secure_start());
    fl_chance_identity(&authority, 1, 0);
    fl_chance_identity(&owner, 1, 1);
    fl_device_init(&device, &owner, "board");
    assert_ok(fl_enrolment_encode(&made.bytes, &made.len, &authority, serial,
                                  &device, 1, NULL));
    fl_hash(made.name, made.bytes, made.len);
    return made;
}

static uint8_t *room_for(fl_rolls *rolls, fl_rolls_share *board, const list *l)
{
    uint8_t *room = NULL;
    assert_ok(fl_rolls_room(rolls, board, &room, l->name, l->len));
    assert_non_null(room);
    return room;
}

static const fl_enrolment *enrol(fl_rolls *rolls, fl_rolls_share *board)
{
    const fl_enrolment *enrolment = NULL;
    assert_ok(fl_rolls_enrol(rolls, board, &enrolment, NULL));
    return enrolment;
}

TEST(rolls_have_a_list_once_for_all_boards)
{
    list first = make_list(1), second = make_list(2);
    fl_rolls rolls = {0};
    fl_rolls_share a = {0}, b = {0};
    uint8_t *room = room_for(&rolls, &a, &first);
    assert_ptr_equal(room_for(&rolls, &b, &first), room);
    memcpy(room, first.bytes, first.len);
    const fl_enrolment *enrolment = enrol(&rolls, &a);
    assert_int_equal(enrolment->serial, 1);
    assert_ptr_equal(enrol(&rolls, &b), enrolment);

    uint8_t *next = room_for(&rolls, &a, &second);
    assert_ptr_not_equal(next, room);
    assert_int_equal(enrolment->serial, 1);  // held while the next one comes
    memcpy(next, second.bytes, second.len);
    assert_int_equal(enrol(&rolls, &a)->serial, 2);
    assert_int_equal(enrolment->serial, 1);  // and b holds it still

    fl_rolls_leave(&rolls, &b);
    fl_rolls_leave(&rolls, &a);
    assert_null(rolls.first);
    free(first.bytes);
    free(second.bytes);
}

TEST(rolls_give_a_list_up_with_its_last_board)
{
    list first = make_list(1), second = make_list(2);
    fl_rolls rolls = {0};
    fl_rolls_share board = {0};
    room_for(&rolls, &board, &first);
    room_for(&rolls, &board, &second);  // the first is not wanted any more
    memcpy(room_for(&rolls, &board, &second), second.bytes, second.len);
    enrol(&rolls, &board);
    memcpy(room_for(&rolls, &board, &first), first.bytes, first.len);
    enrol(&rolls, &board);  // nor the second now
    fl_rolls_leave(&rolls, &board);
    assert_null(rolls.first);
    free(first.bytes);
    free(second.bytes);
}

TEST(rolls_refuse_what_is_no_list)
{
    list l = make_list(1);
    fl_rolls rolls = {0};
    fl_rolls_share board = {0};
    const fl_enrolment *none = NULL;
    fl_reason why;
    memcpy(room_for(&rolls, &board, &l), l.bytes, l.len);
    const fl_enrolment *held = enrol(&rolls, &board);
    memset(l.name, 1, sizeof l.name);
    memset(room_for(&rolls, &board, &l), 1, l.len);
    assert_err(fl_rolls_enrol(&rolls, &board, &none, &why), FL_ERR_FORMAT);
    assert_null(none);
    assert_int_equal(held->serial, 1);
    fl_rolls_leave(&rolls, &board);
    assert_null(rolls.first);
    free(l.bytes);
}

RUN_TESTS(cmocka_unit_test(rolls_have_a_list_once_for_all_boards),
          cmocka_unit_test(rolls_give_a_list_up_with_its_last_board),
          cmocka_unit_test(rolls_refuse_what_is_no_list))
