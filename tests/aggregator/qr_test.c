/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/qr.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

enum { MARGIN = 2, FINDER = 7, WIDTH_MAX = 200, LONGEST = 2953 };

// What a camera would see: true is dark.
static bool cells[WIDTH_MAX][WIDTH_MAX];
static int width, height;

static char *print(const char *text)
{
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    assert_non_null(out);
    assert_ok(fl_qr_print(out, text));
    fclose(out);
    return printed;
}

// Each cell sets both colours; the character is an upper half block.
static void look(const char *printed)
{
    int x = 0, upper, lower, used;
    width = height = 0;
    for (const char *at = printed; *at;) {
        if (sscanf(at, "\x1b[%d;%dm\u2580%n", &upper, &lower, &used) == 2) {
            assert_true(x < WIDTH_MAX && height + 1 < WIDTH_MAX);
            assert_true((upper == 30 || upper == 97) &&
                        (lower == 40 || lower == 107));
            cells[height][x] = upper == 30;
            cells[height + 1][x++] = lower == 40;
            at += used;
            continue;
        }
        assert_int_equal(strncmp(at, "\x1b[0m\n", 5), 0);
        at += 5;
        if (width == 0) width = x;
        assert_int_equal(x, width);
        height += 2;
        x = 0;
    }
}

// One of the three squares by which a camera finds the code.
static void assert_finder(int top, int left)
{
    for (int y = 0; y < FINDER; y++) {
        for (int x = 0; x < FINDER; x++) {
            const bool is_rim =
                y == 0 || x == 0 || y == FINDER - 1 || x == FINDER - 1;
            const bool is_heart = y > 1 && y < 5 && x > 1 && x < 5;
            assert_int_equal(cells[top + y][left + x], is_rim || is_heart);
        }
    }
}

TEST(qr_is_a_code_that_a_camera_finds)
{
    char *printed = print("fedge-client join tcp://192.0.2.7:7443");
    look(printed);
    free(printed);
    const int side = width - 2 * MARGIN;
    assert_int_equal(side % 4, 1);  // 17 + 4 a version
    assert_true(height >= side + 2 * MARGIN);
    assert_finder(MARGIN, MARGIN);
    assert_finder(MARGIN, MARGIN + side - FINDER);
    assert_finder(MARGIN + side - FINDER, MARGIN);
    for (int i = 0; i < width; i++) {  // the quiet zone is light
        assert_false(cells[0][i] || cells[MARGIN - 1][i] || cells[i][0] ||
                     cells[i][width - 1]);
    }
}

TEST(qr_of_another_text_is_another_code)
{
    char *one = print("fedge-client join tcp://192.0.2.7:7443");
    char *other = print("fedge-client join tcp://192.0.2.8:7443");
    assert_string_not_equal(one, other);
    free(one);
    free(other);
}

TEST(qr_refuses_a_text_that_fits_no_code)
{
    char text[LONGEST + 2];
    memset(text, 'a', sizeof text);
    text[LONGEST + 1] = 0;
    FILE *out = tmpfile();
    assert_non_null(out);
    assert_err(fl_qr_print(out, text), FL_ERR_RANGE);
    assert_int_equal(ftell(out), 0);
    text[LONGEST] = 0;
    assert_ok(fl_qr_print(out, text));
    fclose(out);
}

RUN_TESTS(cmocka_unit_test(qr_is_a_code_that_a_camera_finds),
          cmocka_unit_test(qr_of_another_text_is_another_code),
          cmocka_unit_test(qr_refuses_a_text_that_fits_no_code))
