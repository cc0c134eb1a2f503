/*
 * What strangers and options say, as text: addresses, numbers, names of hosts.
 * Pure functions over strings that end with 0.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_FIELD_H
#define FL_AGGREGATOR_HTTP_FIELD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/reason.h"

typedef struct {
    struct sockaddr_storage socket;
    socklen_t len;
    bool is_loopback;
} fl_field_listen;

/*
 * "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (which is 127.0.0.1); port 0
 * takes any. FL_ERR_RANGE: none of these, *why names --http.
 */
FL_CHECK fl_err fl_field_address(fl_field_listen *address, const char *text,
                                 fl_reason *why);

/* Decimal digits alone. FL_ERR_RANGE: anything else, or above `max`. */
FL_CHECK fl_err fl_field_count(uint32_t *value, const char *text, uint32_t max);

/*
 * Whether a Host header names this machine by number or as localhost, with or
 * without a port. A page elsewhere can make its own name point at a loopback
 * address and have a browser read from here; then the name is the page's.
 */
bool fl_field_is_local_host(const char *text);

#endif
