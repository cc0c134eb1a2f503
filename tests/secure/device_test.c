/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/secure.h"
#include "tests/test.h"

static fl_reason why;

static int start(void **state)
{
    (void)state;
    why = (fl_reason){""};
    return fl_secure_start() ? -1 : 0;
}

static fl_identity identity_of(uint8_t number)
{
    uint8_t seed[FL_SEED_BYTES];
    memset(seed, number, sizeof seed);
    fl_identity identity;
    fl_identity_init(&identity, seed);
    return identity;
}

static fl_device device_of(uint8_t number)
{
    char name[FL_ENROLMENT_NAME_CAP];
    fl_device device;
    const fl_identity identity = identity_of(number);
    snprintf(name, sizeof name, "board-%u", number);
    fl_device_init(&device, &identity, name);
    return device;
}

TEST(device_card_is_read_back_from_its_line)
{
    const fl_device device = device_of(1);
    char line[FL_DEVICE_LINE_CAP];
    const size_t len = fl_device_encode(line, &device);
    assert_int_equal(len, strlen(line));
    fl_device read;
    assert_ok(fl_device_check(&device));
    assert_ok(fl_device_decode(&read, line, len, &why));
    assert_memory_equal(&read, &device, sizeof device);
}

TEST(device_name_has_1_to_63_of_its_characters)
{
    char name[FL_ENROLMENT_NAME_CAP + 1] = "";
    assert_false(fl_device_is_name(name));
    for (size_t len = 1; len <= FL_ENROLMENT_NAME_CAP; len++) {
        name[len - 1] = "a.9_-z0"[len % 7];
        assert_int_equal(fl_device_is_name(name), len <= 63);
    }
    for (int c = 1; c < 256; c++) {
        const char one[] = {(char)c, 0};
        const bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                             c == '.' || c == '_' || c == '-';
        assert_int_equal(fl_device_is_name(one), is_fine);
    }
}

TEST(device_line_with_the_longest_name_fits)
{
    char name[FL_ENROLMENT_NAME_CAP], line[FL_DEVICE_LINE_CAP];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    const fl_identity identity = identity_of(1);
    fl_device device, read;
    fl_device_init(&device, &identity, name);
    const size_t len = fl_device_encode(line, &device);
    assert_ok(fl_device_decode(&read, line, len, &why));
    assert_string_equal(read.name, name);

    // One letter more.
    snprintf(line + len - 1, sizeof line - len + 1, "x\n");
    assert_err(fl_device_decode(&read, line, len + 1, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "1 to 63");
}

TEST(device_line_cut_at_any_byte_is_refused)
{
    const fl_device device = device_of(1);
    char line[FL_DEVICE_LINE_CAP];
    fl_device read;
    const size_t len = fl_device_encode(line, &device);
    for (size_t cut = 0; cut < len; cut++) {
        assert_err(fl_device_decode(&read, line, cut, &why), FL_ERR_FORMAT);
        assert_reason_names(why, "line feed");
    }
    for (size_t cut = 0; cut < len - 1; cut++) {
        char shorter[FL_DEVICE_LINE_CAP];
        memcpy(shorter, line, cut);
        shorter[cut] = '\n';
        // Less of the name is a name as well: no card covers it.
        const bool is_name = cut > len - sizeof "board-1";
        assert_err(fl_device_decode(&read, shorter, cut + 1, &why),
                   is_name ? FL_OK : FL_ERR_FORMAT);
    }
}

TEST(device_line_with_any_other_byte_is_refused)
{
    const fl_device device = device_of(1);
    char line[FL_DEVICE_LINE_CAP];
    fl_device read;
    const size_t len = fl_device_encode(line, &device);
    static const char others[] = {'A', ' ', '\t', '\r', 0, '\n', 'g', '/', ':'};
    for (size_t i = 0; i < len; i++) {
        for (size_t k = 0; k < sizeof others; k++) {
            const char right = line[i];
            const bool is_letter =
                i >= len - sizeof "board-1" && i < len - 1 && others[k] == 'g';
            line[i] = others[k];
            if (line[i] != right && !is_letter) {
                why = (fl_reason){""};
                assert_err(fl_device_decode(&read, line, len, &why),
                           FL_ERR_FORMAT);
                assert_string_not_equal(why.text, "");
            }
            line[i] = right;
        }
    }
}

TEST(device_line_with_another_digit_is_not_signed)
{
    const fl_device device = device_of(1);
    char line[FL_DEVICE_LINE_CAP];
    fl_device read;
    const size_t len = fl_device_encode(line, &device);
    for (size_t i = strlen("device "); i < len - sizeof " board-1"; i++) {
        const char right = line[i];
        if (right == ' ') continue;
        line[i] = right == '0' ? '1' : '0';
        assert_err(fl_device_decode(&read, line, len, &why), FL_ERR_AUTH);
        assert_reason_names(why, "board-1");
        line[i] = right;
    }
}

TEST(device_card_of_another_device_is_refused)
{
    fl_device device = device_of(1);
    const fl_device other = device_of(2);
    memcpy(device.card, other.card, sizeof device.card);
    assert_err(fl_device_check(&device), FL_ERR_AUTH);
    // Nor may it claim the channel key of another one.
    device = device_of(1);
    memcpy(device.channel, other.channel, sizeof device.channel);
    assert_err(fl_device_check(&device), FL_ERR_AUTH);
}

TEST(device_decode_refuses_two_lines)
{
    const fl_device device = device_of(1);
    char lines[2 * FL_DEVICE_LINE_CAP];
    fl_device read;
    size_t len = fl_device_encode(lines, &device);
    len += fl_device_encode(lines + len, &device);
    assert_err(fl_device_decode(&read, lines, len, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "one line");
}

RUN_TESTS(
    cmocka_unit_test_setup(device_card_is_read_back_from_its_line, start),
    cmocka_unit_test_setup(device_name_has_1_to_63_of_its_characters, start),
    cmocka_unit_test_setup(device_line_with_the_longest_name_fits, start),
    cmocka_unit_test_setup(device_line_cut_at_any_byte_is_refused, start),
    cmocka_unit_test_setup(device_line_with_any_other_byte_is_refused, start),
    cmocka_unit_test_setup(device_line_with_another_digit_is_not_signed, start),
    cmocka_unit_test_setup(device_card_of_another_device_is_refused, start),
    cmocka_unit_test_setup(device_decode_refuses_two_lines, start))
