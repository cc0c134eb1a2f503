/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>

enum { MARGIN = 2 };  // half of the standard's, which cameras accept

static bool is_dark(const QRcode *code, int row, int column)
{
    if (row < 0 || column < 0 || row >= code->width || column >= code->width) {
        return false;
    }
    return code->data[row * code->width + column] & 1;
}

// The upper half of a character cell is its foreground here.
static void print_cell(FILE *out, bool upper, bool lower)
{
    fprintf(out, "\x1b[%d;%dm\u2580", upper ? 30 : 97, lower ? 40 : 107);
}

fl_err fl_qr_print(FILE *out, const char *text)
{
    QRcode *code =
        QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);  // smallest that fits
    if (!code) return errno == ENOMEM ? FL_ERR_MEMORY : FL_ERR_RANGE;
    for (int row = -MARGIN; row < code->width + MARGIN; row += 2) {
        for (int column = -MARGIN; column < code->width + MARGIN; column++) {
            print_cell(out, is_dark(code, row, column),
                       is_dark(code, row + 1, column));
        }
        fprintf(out, "\x1b[0m\n");
    }
    QRcode_free(code);
    return FL_OK;
}
