/*
 * What libraries of the static programs ask for and never get.
 *
 * Debian has no static libqrencode: `fedge-aggregator token` prints its line
 * without a picture. libmicrohttpd can speak TLS, for which GnuTLS would come
 * along, of which again no static one exists; the dashboard never asks it to,
 * so whoever gets into one of these functions has met a bug and ends. OpenBLAS
 * was made from Fortran, whose run time is needed for one function.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>
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

/* ---- GnuTLS ---- */

int gnutls_global_init(void);
int gnutls_global_init(void)
{
    return 0;
}

void gnutls_global_deinit(void);
void gnutls_global_deinit(void)
{
}

extern void *(*gnutls_malloc)(size_t);
void *(*gnutls_malloc)(size_t) = malloc;

#define ABSENT(name) \
    void name(void); \
    void name(void)  \
    {                \
        abort();     \
    }

ABSENT(gnutls_alpn_set_protocols)
ABSENT(gnutls_bye)
ABSENT(gnutls_certificate_allocate_credentials)
ABSENT(gnutls_certificate_free_credentials)
ABSENT(gnutls_certificate_server_set_request)
ABSENT(gnutls_certificate_set_dh_params)
ABSENT(gnutls_certificate_set_retrieve_function2)
ABSENT(gnutls_certificate_set_retrieve_function3)
ABSENT(gnutls_certificate_set_x509_key_mem)
ABSENT(gnutls_certificate_set_x509_key_mem2)
ABSENT(gnutls_certificate_set_x509_trust_mem)
ABSENT(gnutls_cipher_get)
ABSENT(gnutls_credentials_set)
ABSENT(gnutls_deinit)
ABSENT(gnutls_dh_params_deinit)
ABSENT(gnutls_dh_params_import_pkcs3)
ABSENT(gnutls_dh_params_init)
ABSENT(gnutls_handshake)
ABSENT(gnutls_init)
ABSENT(gnutls_priority_deinit)
ABSENT(gnutls_priority_init)
ABSENT(gnutls_priority_set)
ABSENT(gnutls_protocol_get_version)
ABSENT(gnutls_psk_allocate_server_credentials)
ABSENT(gnutls_psk_free_server_credentials)
ABSENT(gnutls_psk_set_server_credentials_function)
ABSENT(gnutls_record_check_pending)
ABSENT(gnutls_record_get_direction)
ABSENT(gnutls_record_recv)
ABSENT(gnutls_record_send)
ABSENT(gnutls_session_get_ptr)
ABSENT(gnutls_session_set_ptr)
ABSENT(gnutls_strerror)
ABSENT(gnutls_transport_set_int2)

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
