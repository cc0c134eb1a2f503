/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "secure/secure.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { TEXT_CAP = 16 * 1024, SERIAL = 7 };

static const char DOCUMENT[] = "docs/format.md";

static fl_identity authority;
static fl_reason why;

static fl_identity identity_of(uint32_t number)
{
    uint8_t seed[FL_SEED_BYTES];
    memset(seed, (int)(number & 0xff), sizeof seed);
    seed[0] ^= (uint8_t)(number >> 8);
    fl_identity identity;
    fl_identity_init(&identity, seed);
    return identity;
}

static fl_device device_of(uint32_t number)
{
    char name[FL_ENROLMENT_NAME_CAP];
    fl_device device;
    const fl_identity identity = identity_of(number);
    snprintf(name, sizeof name, "board-%u", number);
    fl_device_init(&device, &identity, name);
    return device;
}

// As device_of, but fast: its card is not one.
static fl_device fake_of(uint32_t number)
{
    fl_device device = {.name = "f"};  // the shortest line
    device.identity[0] = (uint8_t)(number >> 16);
    device.identity[1] = (uint8_t)(number >> 8);
    device.identity[2] = (uint8_t)number;
    memcpy(device.channel, device.identity, FL_KEY_BYTES);
    return device;
}

static int start(void **state)
{
    (void)state;
    why = (fl_reason){""};
    if (fl_secure_start()) return -1;
    authority = identity_of(4);
    return 0;
}

/* ---- lists by hand ---- */

// A list of these lines with the authority's signature below.
typedef struct {
    char text[TEXT_CAP];
    size_t len;
} handmade;

static void add_line(handmade *list, const char *line)
{
    const size_t len = strlen(line);
    assert_true(list->len + len < sizeof list->text);
    memcpy(list->text + list->len, line, len + 1);
    list->len += len;
}

static void add_device(handmade *list, const fl_device *device)
{
    char line[FL_DEVICE_LINE_CAP];
    (void)fl_device_encode(line, device);
    add_line(list, line);
}

static void add_head(handmade *list, const char *serial)
{
    char key[FL_HEX_CAP];
    fl_hex_encode(key, sizeof key, authority.public_key, FL_KEY_BYTES);
    list->len = 0;
    add_line(list, "fedge enrolment 1\nauthority ");
    add_line(list, key);
    add_line(list, "\nserial ");
    add_line(list, serial);
    add_line(list, "\n");
}

static void add_signature(handmade *list)
{
    uint8_t hash[FL_HASH_BYTES], signature[FL_SIGNATURE_BYTES];
    char digits[2 * FL_SIGNATURE_BYTES + 1];
    fl_hash(hash, list->text, list->len);
    fl_identity_sign(signature, &authority, "fedge enrolment", hash,
                     sizeof hash);
    fl_hex_encode(digits, sizeof digits, signature, sizeof signature);
    add_line(list, "signature ");
    add_line(list, digits);
    add_line(list, "\n");
}

static fl_err decode(fl_enrolment **list, const void *text, size_t len)
{
    return fl_enrolment_decode(list, text, len, &why);
}

static void refuse_bytes(const void *text, size_t len, fl_err err,
                         const char *word)
{
    fl_enrolment *list = NULL;
    why = (fl_reason){""};
    assert_err(decode(&list, text, len), err);
    assert_reason_names(why, word);
    assert_null(list);
}

static void refuse(const handmade *list, fl_err err, const char *word)
{
    refuse_bytes(list->text, list->len, err, word);
}

static void accept(const handmade *list)
{
    fl_enrolment *decoded = NULL;
    assert_ok(decode(&decoded, list->text, list->len));
    fl_enrolment_free(decoded);
}

// Two devices in the right order, signed.
static void make_pair(handmade *list)
{
    fl_device devices[] = {device_of(1), device_of(2)};
    uint8_t *bytes = NULL;
    size_t len;
    assert_ok(fl_enrolment_encode(&bytes, &len, &authority, SERIAL, devices, 2,
                                  &why));
    assert_true(len < sizeof list->text);
    memcpy(list->text, bytes, len);
    list->len = len;
    free(bytes);
}

/* ---- what the document says ---- */

TEST(enrolment_list_is_as_documented)
{
    size_t len, expected_len, hash_len;
    uint8_t *expected = fl_vector_read(&expected_len, DOCUMENT, "enrolment");
    uint8_t *hash = fl_vector_read(&hash_len, DOCUMENT, "enrolment_hash");
    uint8_t *bytes = NULL;
    assert_non_null(expected);
    assert_non_null(hash);
    assert_int_equal(hash_len, FL_HASH_BYTES);

    fl_device device = device_of(1);
    assert_ok(fl_enrolment_encode(&bytes, &len, &authority, SERIAL, &device, 1,
                                  &why));
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);

    fl_enrolment *list = NULL;
    assert_ok(decode(&list, expected, expected_len));
    assert_memory_equal(list->authority, authority.public_key, FL_KEY_BYTES);
    assert_memory_equal(list->hash, hash, FL_HASH_BYTES);
    assert_int_equal(list->serial, SERIAL);
    assert_int_equal(list->device_count, 1);
    assert_memory_equal(&list->devices[0], &device, sizeof device);
    fl_enrolment_free(list);
    free(bytes);
    free(hash);
    free(expected);
}

/* ---- decode ---- */

TEST(enrolment_list_may_be_empty)
{
    handmade list;
    add_head(&list, "1");
    add_signature(&list);
    fl_enrolment *decoded = NULL;
    assert_ok(decode(&decoded, list.text, list.len));
    assert_int_equal(decoded->device_count, 0);
    assert_int_equal(fl_enrolment_find(decoded, authority.public_key),
                     FL_ENROLMENT_NONE);
    fl_enrolment_free(decoded);
    fl_enrolment_free(NULL);
}

TEST(enrolment_list_with_any_changed_byte_is_refused_with_its_line)
{
    handmade list;
    make_pair(&list);
    accept(&list);
    static const char others[] = {'0', 'a', 'A', ' ', 0, '\n', '\r', '9'};
    unsigned line = 1;
    for (size_t i = 0; i < list.len; i++) {
        const char right = list.text[i];
        for (size_t k = 0; k < sizeof others; k++) {
            list.text[i] = others[k];
            if (right == others[k]) continue;
            char named[32];
            fl_enrolment *decoded = NULL;
            why = (fl_reason){""};
            const fl_err err = decode(&decoded, list.text, list.len);
            assert_true(err == FL_ERR_FORMAT || err == FL_ERR_AUTH);
            snprintf(named, sizeof named, "line %u:", line);
            // The signature shows what the form does not. A line that is
            // too high, or whose name is cut, is seen at the next one.
            if (err == FL_ERR_AUTH) snprintf(named, sizeof named, "line 6:");
            if (others[k] != '\n' &&
                !strstr(why.text, "line 5: not in rising order")) {
                assert_reason_names(why, named);
            }
        }
        list.text[i] = right;
        if (right == '\n') line++;
    }
    accept(&list);
}

TEST(enrolment_list_cut_at_any_byte_is_refused)
{
    handmade list;
    make_pair(&list);
    for (size_t len = 0; len < list.len; len++) {
        refuse_bytes(list.text, len, FL_ERR_FORMAT, "cut off");
    }
    refuse_bytes(NULL, 0, FL_ERR_FORMAT, "line 1: missing");
}

TEST(enrolment_list_with_anything_behind_is_refused)
{
    handmade list;
    make_pair(&list);
    add_line(&list, "\n");
    refuse(&list, FL_ERR_FORMAT, "line 7: stands behind the signature");
    make_pair(&list);
    add_line(&list, "x");
    refuse(&list, FL_ERR_FORMAT, "line 7");
    make_pair(&list);
    list.text[list.len++] = 0;
    refuse(&list, FL_ERR_FORMAT, "line 7");
}

TEST(enrolment_serial_has_one_form)
{
    static const char *const good[] = {"1", "10", "18446744073709551615"};
    static const char *const bad[] = {"",
                                      "0",
                                      "01",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "18446744073709551616",
                                      "18446744073709551620",
                                      "100000000000000000000"};
    handmade list;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        add_head(&list, good[i]);
        add_signature(&list);
        fl_enrolment *decoded = NULL;
        assert_ok(decode(&decoded, list.text, list.len));
        assert_true(decoded->serial == strtoull(good[i], NULL, 10));
        fl_enrolment_free(decoded);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        add_head(&list, bad[i]);
        add_signature(&list);
        refuse(&list, FL_ERR_FORMAT, "line 3");
    }
}

TEST(enrolment_list_out_of_order_is_refused)
{
    handmade list;
    fl_device devices[] = {device_of(1), device_of(2)};
    const bool is_rising =
        memcmp(devices[0].identity, devices[1].identity, FL_KEY_BYTES) < 0;
    add_head(&list, "1");
    add_device(&list, &devices[is_rising ? 1 : 0]);
    add_device(&list, &devices[is_rising ? 0 : 1]);
    add_signature(&list);
    refuse(&list, FL_ERR_FORMAT, "line 5: not in rising order");
}

TEST(enrolment_list_with_a_twin_is_refused)
{
    handmade list;
    fl_device device = device_of(1);
    add_head(&list, "1");
    add_device(&list, &device);
    strcpy(device.name, "other");
    add_device(&list, &device);
    add_signature(&list);
    refuse(&list, FL_ERR_FORMAT, "line 5: the identity of the line before");
}

TEST(enrolment_list_of_another_authority_is_refused)
{
    handmade list;
    const fl_identity right = authority;
    const fl_device device = device_of(1);
    add_head(&list, "1");
    add_device(&list, &device);
    authority = identity_of(5);
    add_signature(&list);
    authority = right;
    refuse(&list, FL_ERR_AUTH, "line 5: not the authority's signature");
}

TEST(enrolment_list_may_hold_any_card_that_the_authority_signed)
{
    handmade list;
    fl_device device = device_of(1);
    device.card[0] ^= 1;
    add_head(&list, "1");
    add_device(&list, &device);
    add_signature(&list);
    accept(&list);
}

TEST(enrolment_list_that_is_too_long_is_not_read)
{
    refuse_bytes("", (size_t)FL_ENROLMENT_BYTES_MAX + 1, FL_ERR_LIMIT,
                 "33554432 bytes");
}

TEST(enrolment_list_with_65536_devices_is_refused)
{
    enum { COUNT = FL_ENROLMENT_DEVICES_MAX + 1 };
    char *text = malloc((size_t)COUNT * FL_DEVICE_LINE_CAP + TEXT_CAP);
    assert_non_null(text);
    handmade head;
    add_head(&head, "1");
    size_t len = head.len;
    memcpy(text, head.text, len);
    for (uint32_t i = 0; i < COUNT; i++) {
        const fl_device device = fake_of(i);
        len += fl_device_encode(text + len, &device);
    }
    refuse_bytes(text, len, FL_ERR_LIMIT, "line 65539: more than 65535");
    free(text);
}

/* ---- encode ---- */

static void refuse_devices(fl_device *devices, uint32_t device_count,
                           fl_err err, const char *word)
{
    uint8_t *bytes = NULL;
    size_t len;
    why = (fl_reason){""};
    assert_err(fl_enrolment_encode(&bytes, &len, &authority, 1, devices,
                                   device_count, &why),
               err);
    assert_reason_names(why, word);
    assert_null(bytes);
}

TEST(enrolment_encode_refuses_twins)
{
    fl_device devices[] = {device_of(1), device_of(2), device_of(1)};
    strcpy(devices[2].name, "board-3");
    refuse_devices(devices, 3, FL_ERR_RANGE, "board-3");
    devices[0] = device_of(1);
    devices[1] = device_of(2);
    devices[2] = device_of(3);
    memcpy(devices[2].channel, devices[0].channel, FL_KEY_BYTES);
    refuse_devices(devices, 3, FL_ERR_RANGE, "same channel key");
    devices[0] = devices[1] = device_of(1);
    devices[0].channel[0] ^= 1;
    refuse_devices(devices, 2, FL_ERR_RANGE, "same identity");
}

TEST(enrolment_encode_refuses_what_is_no_name)
{
    fl_device device = device_of(1);
    strcpy(device.name, "a b");
    refuse_devices(&device, 1, FL_ERR_RANGE, "\"a b\"");
    strcpy(device.name, "");
    refuse_devices(&device, 1, FL_ERR_RANGE, "1 to 63");
    memset(device.name, 'a', sizeof device.name);  // not ended
    refuse_devices(&device, 1, FL_ERR_RANGE, "aaaa");
}

TEST(enrolment_encode_refuses_too_many)
{
    fl_device device = device_of(1);
    refuse_devices(&device, FL_ENROLMENT_DEVICES_MAX + 1, FL_ERR_LIMIT,
                   "65536 devices");
}

// Same devices in any order: same bytes, since they are hashed.
TEST(enrolment_encode_sorts)
{
    enum { COUNT = 9 };
    fl_device devices[COUNT];
    uint8_t *first = NULL, *second = NULL;
    size_t first_len, second_len;
    for (uint32_t i = 0; i < COUNT; i++) {
        devices[i] = device_of(i);
    }
    assert_ok(fl_enrolment_encode(&first, &first_len, &authority, 2, devices,
                                  COUNT, &why));
    for (uint32_t i = 0; i < COUNT; i++) {
        devices[i] = device_of(COUNT - 1 - i);
    }
    assert_ok(fl_enrolment_encode(&second, &second_len, &authority, 2, devices,
                                  COUNT, &why));
    assert_int_equal(first_len, second_len);
    assert_memory_equal(first, second, first_len);
    free(first);
    free(second);
}

/* ---- find ---- */

static fl_enrolment *list_of(uint32_t device_count)
{
    fl_device *devices = calloc(device_count, sizeof *devices);
    assert_non_null(devices);
    for (uint32_t i = 0; i < device_count; i++) {
        devices[i] = fake_of(2 * (device_count - i) + 1);
    }
    uint8_t *bytes = NULL;
    size_t len;
    fl_enrolment *list = NULL;
    assert_ok(fl_enrolment_encode(&bytes, &len, &authority, SERIAL, devices,
                                  device_count, &why));
    const clock_t begin = clock();
    assert_ok(decode(&list, bytes, len));
    const double took_ms = 1e3 * (double)(clock() - begin) / CLOCKS_PER_SEC;
    print_message("%u devices, %zu bytes: decoded in %.1f ms\n", device_count,
                  len, took_ms);
    assert_true(took_ms < 100);
    free(devices);
    free(bytes);
    return list;
}

static void assert_finds(uint32_t device_count)
{
    fl_enrolment *list = list_of(device_count);
    assert_int_equal(list->device_count, device_count);
    for (uint32_t i = 0; i <= device_count; i++) {
        const fl_device there = fake_of(2 * i + 1), between = fake_of(2 * i);
        assert_int_equal(fl_enrolment_find(list, there.identity),
                         i == 0 ? FL_ENROLMENT_NONE : i - 1);
        assert_int_equal(fl_enrolment_find(list, between.identity),
                         FL_ENROLMENT_NONE);
    }
    fl_enrolment_free(list);
}

TEST(enrolment_find_gives_the_place_of_every_device)
{
    for (uint32_t count = 1; count < 10; count++) {
        assert_finds(count);
    }
    assert_finds(10000);
}

RUN_TESTS(
    cmocka_unit_test_setup(enrolment_list_is_as_documented, start),
    cmocka_unit_test_setup(enrolment_list_may_be_empty, start),
    cmocka_unit_test_setup(
        enrolment_list_with_any_changed_byte_is_refused_with_its_line, start),
    cmocka_unit_test_setup(enrolment_list_cut_at_any_byte_is_refused, start),
    cmocka_unit_test_setup(enrolment_list_with_anything_behind_is_refused,
                           start),
    cmocka_unit_test_setup(enrolment_serial_has_one_form, start),
    cmocka_unit_test_setup(enrolment_list_out_of_order_is_refused, start),
    cmocka_unit_test_setup(enrolment_list_with_a_twin_is_refused, start),
    cmocka_unit_test_setup(enrolment_list_of_another_authority_is_refused,
                           start),
    cmocka_unit_test_setup(
        enrolment_list_may_hold_any_card_that_the_authority_signed, start),
    cmocka_unit_test_setup(enrolment_list_that_is_too_long_is_not_read, start),
    cmocka_unit_test_setup(enrolment_list_with_65536_devices_is_refused, start),
    cmocka_unit_test_setup(enrolment_encode_refuses_twins, start),
    cmocka_unit_test_setup(enrolment_encode_refuses_what_is_no_name, start),
    cmocka_unit_test_setup(enrolment_encode_refuses_too_many, start),
    cmocka_unit_test_setup(enrolment_encode_sorts, start),
    cmocka_unit_test_setup(enrolment_find_gives_the_place_of_every_device,
                           start))
