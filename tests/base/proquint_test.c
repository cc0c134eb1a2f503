/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proquint.h"

#include "tests/test.h"

// The examples of Wilkerson's proposal.
static const struct {
    uint8_t bytes[4];
    const char *text;
} VECTORS[] = {
    {{127, 0, 0, 1}, "lusab-babad"},      {{63, 84, 220, 193}, "gutih-tugad"},
    {{63, 118, 7, 35}, "gutuk-bisog"},    {{140, 98, 193, 141}, "mudof-sakat"},
    {{64, 255, 6, 200}, "haguz-biram"},   {{128, 30, 52, 45}, "mabiv-gibot"},
    {{147, 67, 119, 2}, "natag-lisaf"},   {{212, 58, 253, 68}, "tibup-zujah"},
    {{216, 35, 68, 215}, "tobog-higil"},  {{216, 68, 232, 21}, "todah-vobij"},
    {{198, 81, 129, 136}, "sinid-makam"}, {{12, 110, 110, 204}, "budov-kuras"},
};

TEST(proquint_writes_and_reads_the_examples_of_its_proposal)
{
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
        char text[FL_PROQUINT_CAP(4)];
        uint8_t bytes[4];
        fl_proquint_encode(text, VECTORS[i].bytes, 4);
        assert_string_equal(text, VECTORS[i].text);
        assert_ok(fl_proquint_decode(bytes, 4, text));
        assert_memory_equal(bytes, VECTORS[i].bytes, 4);
    }
}

TEST(proquint_reads_back_every_word)
{
    for (unsigned word = 0; word < 1 << 16; word++) {
        const uint8_t bytes[2] = {(uint8_t)(word >> 8), (uint8_t)word};
        char text[FL_PROQUINT_CAP(2)];
        uint8_t back[2];
        fl_proquint_encode(text, bytes, 2);
        assert_ok(fl_proquint_decode(back, 2, text));
        assert_memory_equal(back, bytes, 2);
    }
}

TEST(proquint_reads_capital_letters_too)
{
    uint8_t bytes[6];
    assert_ok(fl_proquint_decode(bytes, 6, "Lusab-BABAD-guTih"));
    assert_memory_equal(bytes, "\x7f\x00\x00\x01\x3f\x54", 6);
}

TEST(proquint_refuses_what_is_none)
{
    static const char *const texts[] = {"",
                                        "lusab",
                                        "lusab-",
                                        "lusab-baba",
                                        "lusab-babadx",
                                        "lusab-babad-",
                                        "lusabxbabad",
                                        "lusab babad",
                                        "lusab-babed",
                                        "cusab-babad",
                                        "-lusab-babad",
                                        "lusab-babad-gutih"};
    uint8_t bytes[4];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(fl_proquint_decode(bytes, 4, texts[i]), FL_ERR_FORMAT);
    }
}

RUN_TESTS(
    cmocka_unit_test(proquint_writes_and_reads_the_examples_of_its_proposal),
    cmocka_unit_test(proquint_reads_back_every_word),
    cmocka_unit_test(proquint_reads_capital_letters_too),
    cmocka_unit_test(proquint_refuses_what_is_none))
