/*
 * What libraries of the static programs ask for and never get.
 *
 * Debian has no static libqrencode: `fedge-aggregator token` prints its line
 * without a picture. OpenBLAS was made from Fortran, whose run time is needed
 * for one function.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

/* ---- libqrencode ---- */

void *QRcode_encodeString8bit(const char *text, int version, int level);
void *QRcode_encodeString8bit(const char *text, int version, int level)
{
    (void)text;
    (void)version;
    (void)level;
    errno = ENOSYS;
    return NULL;
}

void QRcode_free(void *code);
void QRcode_free(void *code)
{
    (void)code;
}

/* ---- Fortran: a // b in dst, filled up with blanks or cut ---- */

void _gfortran_concat_string(size_t dst_len, char *dst, size_t a_len,
                             const char *a, size_t b_len, const char *b);
void _gfortran_concat_string(size_t dst_len, char *dst, size_t a_len,
                             const char *a, size_t b_len, const char *b)
{
    if (a_len > dst_len) a_len = dst_len;
    if (b_len > dst_len - a_len) b_len = dst_len - a_len;
    memcpy(dst, a, a_len);
    memcpy(dst + a_len, b, b_len);
    memset(dst + a_len + b_len, ' ', dst_len - a_len - b_len);
}
