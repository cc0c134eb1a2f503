/*
 * Where a peer is: `tcp://HOST:PORT`. HOST is a name, an IPv4 address or an
 * IPv6 address in brackets.
 *
 * Pure functions, callable from any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_NET_URL_H
#define FL_NET_URL_H

#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum { FL_URL_HOST_CAP = 256 };

typedef struct {
    char host[FL_URL_HOST_CAP];  // as written, with its brackets
    uint16_t port;
} fl_url;

/* FL_ERR_RANGE: not of that form; *why says what is wrong with it. */
FL_CHECK fl_err fl_url_parse(fl_url *url, const char *text, fl_reason *why);

/* Whether it can be dialled. FL_ERR_RANGE: as above, or its port is 0. */
FL_CHECK fl_err fl_url_check_dial(const char *text, fl_reason *why);

#endif
