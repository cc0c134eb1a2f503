/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include <stdbool.h>
#include <string.h>

#include "net/net.h"

static const char SCHEME[] = "tcp://";

static bool is_host_letter(char c, bool in_brackets)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
        (c >= 'A' && c <= 'Z')) {
        return true;
    }
    return strchr(in_brackets ? ":.%-_" : ".-_", c) && c != '\0';
}

static bool host_ok(const char *host, size_t len)
{
    if (len == 0 || len >= FL_URL_HOST_CAP) return false;
    const bool in_brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';
    const size_t edge = in_brackets ? 1 : 0;
    for (size_t i = edge; i < len - edge; i++) {
        if (!is_host_letter(host[i], in_brackets)) return false;
    }
    return true;
}

static bool parse_port(uint16_t *port, const char *text)
{
    uint32_t value = 0;
    const size_t len = strlen(text);
    if (len == 0 || len > 5) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        value = value * 10 + (uint32_t)(*text - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

fl_err fl_url_parse(fl_url *url, const char *text, fl_reason *why)
{
    const size_t scheme_len = sizeof SCHEME - 1;
    if (strncmp(text, SCHEME, scheme_len) != 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%.100s: an address must start with tcp://, as in "
                             "tcp://192.0.2.7:7443",
                             text);
    }
    const char *host = text + scheme_len;
    const char *colon = strrchr(host, ':');
    if (!colon || !parse_port(&url->port, colon + 1)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%.100s: an address must end with a colon and a "
                             "port from 0 to 65535, as in tcp://192.0.2.7:7443",
                             text);
    }
    const size_t host_len = (size_t)(colon - host);
    if (!host_ok(host, host_len)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%.100s: between tcp:// and the port there must "
                             "be a host name, an IPv4 address or an IPv6 "
                             "address in [brackets]",
                             text);
    }
    memcpy(url->host, host, host_len);
    url->host[host_len] = '\0';
    return FL_OK;
}

fl_err fl_url_check_dial(const char *text, fl_reason *why)
{
    fl_url url = {.port = 0};
    FL_TRY(fl_url_parse(&url, text, why));
    if (url.port != 0) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "%.100s: port 0 cannot be dialled; name the port "
                         "that the peer listens on",
                         text);
}
