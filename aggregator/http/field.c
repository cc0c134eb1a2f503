/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/field.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { HOST_CAP = 64 };  // of a number; names that matter are shorter

fl_err fl_field_count(uint32_t *value, const char *text, uint32_t max)
{
    uint64_t sum = 0;
    if (!*text) return FL_ERR_RANGE;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return FL_ERR_RANGE;
        sum = 10 * sum + (uint64_t)(*text - '0');
        if (sum > max) return FL_ERR_RANGE;
    }
    *value = (uint32_t)sum;
    return FL_OK;
}

// Takes "HOST" or "[HOST]" off the front; *rest is what follows it.
static fl_err split_host(char host[HOST_CAP], bool *has_brackets,
                         const char **rest, const char *text)
{
    *has_brackets = *text == '[';
    if (*has_brackets) text++;
    const size_t len = strcspn(text, *has_brackets ? "]" : ":");
    if (len == 0 || len >= HOST_CAP) return FL_ERR_RANGE;
    memcpy(host, text, len);
    host[len] = 0;
    text += len;
    if (*has_brackets && *text++ != ']') return FL_ERR_RANGE;
    *rest = text;
    return FL_OK;
}

static bool is_v4_loopback(const struct in_addr *address)
{
    return ntohl(address->s_addr) >> 24 == 127;
}

static bool set_v4(fl_field_listen *address, const char *host, uint32_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address->socket;
    if (inet_pton(AF_INET, host, &v4->sin_addr) != 1) return false;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    address->len = sizeof *v4;
    address->is_loopback = is_v4_loopback(&v4->sin_addr);
    return true;
}

static bool set_v6(fl_field_listen *address, const char *host, uint32_t port)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address->socket;
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    address->len = sizeof *v6;
    address->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    return true;
}

static bool parse_address(fl_field_listen *address, const char *text)
{
    char host[HOST_CAP];
    bool has_brackets;
    uint32_t port;
    const char *rest;
    if (split_host(host, &has_brackets, &rest, text)) return false;
    if (*rest != ':' || fl_field_count(&port, rest + 1, UINT16_MAX)) {
        return false;
    }
    *address = (fl_field_listen){.len = 0};
    if (has_brackets) return set_v6(address, host, port);
    const bool is_name = strcasecmp(host, "localhost") == 0;
    return set_v4(address, is_name ? "127.0.0.1" : host, port);
}

fl_err fl_field_address(fl_field_listen *address, const char *text,
                        fl_reason *why)
{
    if (parse_address(address, text)) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--http %s: not ADDRESS:PORT; write numbers, as "
                         "127.0.0.1:8080 or [::1]:8080",
                         text);
}

bool fl_field_is_local_host(const char *text)
{
    char host[HOST_CAP];
    bool has_brackets;
    uint32_t port;
    const char *rest;
    struct in6_addr number;
    if (split_host(host, &has_brackets, &rest, text)) return false;
    if (*rest &&
        (*rest != ':' || fl_field_count(&port, rest + 1, UINT16_MAX))) {
        return false;
    }
    if (has_brackets) return inet_pton(AF_INET6, host, &number) == 1;
    return strcasecmp(host, "localhost") == 0 ||
           inet_pton(AF_INET, host, &number) == 1;
}
