/*
 * What a request or an option may say, as far as it is ours to read: addresses,
 * hosts, numbers. Whatever is taken is what it looks like.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/http/field.h"

enum { TEXT_CAP = 256 };

static void require(bool is_true)
{
    if (!is_true) abort();
}

static void read_count(const char *text)
{
    uint32_t value = 7;
    char *end;
    if (fl_field_count(&value, text, 1000)) {
        require(value == 7);
        return;
    }
    require(value <= 1000);
    require(strtoul(text, &end, 10) == value && *end == 0);
}

static void read_address(const char *text)
{
    fl_field_listen address;
    fl_reason why = {""};
    const fl_err err = fl_field_address(&address, text, &why);
    require(err == FL_OK || err == FL_ERR_RANGE);
    require((err != FL_OK) == (why.text[0] != 0));
    if (err) return;
    require(strchr(text, ':') != NULL);
    require(address.socket.ss_family == AF_INET
                ? address.len == sizeof(struct sockaddr_in)
                : address.socket.ss_family == AF_INET6 &&
                      address.len == sizeof(struct sockaddr_in6));
    // What we listen at is a host that we take requests for.
    require(fl_field_is_local_host(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *src, size_t src_len);

int LLVMFuzzerTestOneInput(const uint8_t *src, size_t src_len)
{
    char text[TEXT_CAP];
    const size_t len = src_len < TEXT_CAP ? src_len : TEXT_CAP - 1;
    memcpy(text, src, len);
    text[len] = 0;
    read_count(text);
    read_address(text);
    (void)fl_field_is_local_host(text);
    return 0;
}
