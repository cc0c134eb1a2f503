/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/piece.h"

#include <stdlib.h>
#include <string.h>

fl_err fl_piece_begin(fl_piece *piece)
{
    fl_piece_fini(piece);
    piece->out = open_memstream(&piece->text, &piece->len);
    return piece->out ? FL_OK : FL_ERR_MEMORY;
}

fl_err fl_piece_finish(fl_piece *piece)
{
    const bool has_failed = ferror(piece->out) != 0;
    const bool is_closed = fclose(piece->out) == 0;
    piece->out = NULL;
    if (is_closed && !has_failed) return FL_OK;
    fl_piece_fini(piece);
    return FL_ERR_MEMORY;
}

bool fl_piece_is_read(const fl_piece *piece)
{
    return piece->at == piece->len;
}

size_t fl_piece_read(fl_piece *piece, char *dst, size_t dst_cap)
{
    const size_t left = piece->len - piece->at;
    const size_t len = left < dst_cap ? left : dst_cap;
    if (len > 0) memcpy(dst, piece->text + piece->at, len);
    piece->at += len;
    return len;
}

void fl_piece_fini(fl_piece *piece)
{
    if (piece->out) fclose(piece->out);
    free(piece->text);
    *piece = (fl_piece){.text = NULL};
}
