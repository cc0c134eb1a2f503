/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/meeting.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"

#define SCHEME "tcp://"

enum { HOST_CAP = 256 };

// Where the machine would send from: connecting a datagram socket sends
// nothing. The address is one that nobody has (RFC 5737).
static bool find_own_address(char host[HOST_CAP])
{
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t len = sizeof own;
    inet_pton(AF_INET, "192.0.2.1", &far.sin_addr);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) return false;
    const bool is_found =
        connect(fd, (const struct sockaddr *)&far, sizeof far) == 0 &&
        getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
        own.sin_addr.s_addr != htonl(INADDR_ANY) &&
        inet_ntop(AF_INET, &own.sin_addr, host, HOST_CAP);
    close(fd);
    return is_found;
}

static void find_own_host(char host[HOST_CAP])
{
    if (find_own_address(host)) return;
    if (gethostname(host, HOST_CAP) == 0 && memchr(host, 0, HOST_CAP)) return;
    snprintf(host, HOST_CAP, "localhost");
}

static bool is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0 ||
           strcmp(host, "*") == 0;
}

// The part between the scheme and the last colon; false: not of that form.
static bool split(char host[HOST_CAP], const char **port, const char *url)
{
    const size_t skip = strlen(SCHEME);
    if (strncmp(url, SCHEME, skip) != 0) return false;
    const char *colon = strrchr(url + skip, ':');
    if (!colon || (size_t)(colon - url - skip) >= HOST_CAP) return false;
    snprintf(host, HOST_CAP, "%.*s", (int)(colon - url - skip), url + skip);
    *port = colon + 1;
    return true;
}

static int write_url(char url[FL_MEETING_CAP], const fl_meeting_place *place)
{
    char host[HOST_CAP];
    const char *port;
    if (place->address || !split(host, &port, place->listen)) {
        return snprintf(url, FL_MEETING_CAP, "%s",
                        place->address ? place->address : place->listen);
    }
    if (is_any(host)) find_own_host(host);
    if (place->port == 0) {
        return snprintf(url, FL_MEETING_CAP, SCHEME "%s:%s", host, port);
    }
    return snprintf(url, FL_MEETING_CAP, SCHEME "%s:%u", host, place->port);
}

fl_err fl_meeting_find(char url[FL_MEETING_CAP], const fl_meeting_place *place,
                       fl_reason *why)
{
    const int len = write_url(url, place);
    if (len < 0 || len >= FL_MEETING_CAP) {
        return fl_reason_set(why, FL_ERR_RANGE, "too long an address");
    }
    return place->address ? fl_net_tcp_check(url, why) : FL_OK;
}

bool fl_meeting_is_local(const char *url)
{
    char host[HOST_CAP];
    const char *port;
    return split(host, &port, url) &&
           (strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0 ||
            strcmp(host, "localhost") == 0);
}
