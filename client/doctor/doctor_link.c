/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE  // NI_MAXHOST

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/folder.h"
#include "client/doctor/finding.h"
#include "client/state/state_pin.h"
#include "net/net.h"

enum { PATIENCE_MS = 5000, SCRATCH_CAP = 1024 * 1024, HOST_CAP = 256 };

/* ---- the name ---- */

// tcp://HOST:PORT, tcp://[HOST]:PORT; fl_net_tcp_check has seen it.
static void host_of(char host[HOST_CAP], const char *url)
{
    const char *begin = url + strlen("tcp://");
    const char *end = strrchr(begin, ':');
    size_t len = end ? (size_t)(end - begin) : strlen(begin);
    if (len >= 2 && begin[0] == '[') {
        begin++;
        len -= 2;
    }
    if (len >= HOST_CAP) len = HOST_CAP - 1;
    memcpy(host, begin, len);
    host[len] = 0;
}

static bool check_name(fl_findings *all, const char *url)
{
    char host[HOST_CAP], address[NI_MAXHOST];
    struct addrinfo *found = NULL;
    host_of(host, url);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const int err = getaddrinfo(host, NULL, &hints, &found);
    if (err) {
        fl_finding_add(all, FL_FINDING_ERROR, "name",
                       "see that the network is up and the name is right; an "
                       "address does without DNS",
                       "%s: %s", host, gai_strerror(err));
        return false;
    }
    if (getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address,
                    NULL, 0, NI_NUMERICHOST)) {
        address[0] = 0;
    }
    fl_finding_add(all, FL_FINDING_OK, "name", NULL, "%s is %s", host, address);
    freeaddrinfo(found);
    return true;
}

/* ---- the first words ---- */

typedef struct {
    fl_net *net;
    fl_conn conn;
    fl_arena scratch;
    fl_message message;  // the answer
} call;

static fl_err say_hello(call *c)
{
    uint8_t hello[FL_LINE_GREETING_CAP];
    size_t len;
    fl_line_hello(hello, &len, "fedge check " FL_VERSION);
    return fl_net_send(c->net, c->conn, hello, len);
}

// The first frame that comes, or why none does.
static fl_err hear(call *c, fl_reason *why)
{
    fl_net_event event;
    const int64_t until_ms = fl_net_now(c->net) + PATIENCE_MS;
    for (;;) {
        FL_TRY(fl_net_next(c->net, &event, until_ms));
        if (event.kind == FL_NET_OPENED) {
            FL_TRY(say_hello(c));
        } else if (event.kind == FL_NET_FRAME) {
            return fl_message_decode(&c->message, &c->scratch, event.bytes,
                                     event.len, why);
        } else if (event.kind == FL_NET_CLOSED) {
            return fl_reason_set(why, FL_ERR_CLOSED,
                                 "the connection is refused or broken off");
        } else if (fl_net_now(c->net) >= until_ms) {
            return fl_reason_set(why, FL_ERR_TIMEOUT, "no answer for %d s",
                                 PATIENCE_MS / 1000);
        }
    }
}

static fl_err ask(call *c, const char *url, fl_reason *why)
{
    const fl_net_tcp_options options = {.connection_cap = 2};
    FL_TRY(fl_net_tcp_new(&c->net, &options, why));
    FL_TRY(fl_net_dial(c->net, url, &c->conn, why));
    (void)!fl_reason_set(why, FL_OK, "the network gives no reason");
    return hear(c, why);
}

/* ---- what they say ---- */

static bool check_protocol(fl_findings *all, const fl_message *answer)
{
    const bool is_refusal = answer->type == FL_MESSAGE_REFUSAL;
    if (answer->type != FL_MESSAGE_WELCOME) {
        fl_finding_add(all, FL_FINDING_ERROR, "protocol",
                       "update the older of the two programs", "it answers: %s",
                       is_refusal ? answer->refusal.text
                                  : "what is no welcome");
        return false;
    }
    if (fl_line_check_welcome(&answer->welcome)) {
        fl_finding_add(all, FL_FINDING_ERROR, "protocol",
                       "see that no other program listens there",
                       "the welcome is of version %u or not signed by its key",
                       answer->welcome.version);
        return false;
    }
    fl_finding_add(all, FL_FINDING_OK, "protocol", NULL, "version %u",
                   answer->welcome.version);
    return true;
}

static fl_err expected_key(uint8_t key[FL_KEY_BYTES],
                           const fl_service_options *options, fl_reason *why)
{
    fl_state_pin pin = {.owner = "aggregator"};
    if (options->pin) {
        if (!fl_hex_decode(key, FL_KEY_BYTES, options->pin)) return FL_OK;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--pin takes 64 hexadecimal digits");
    }
    FL_TRY(fl_folder_place(pin.path, options->state, "aggregator.pub", why));
    return fl_state_pin_read(key, &pin, why);
}

static void check_pin(fl_findings *all, const uint8_t seen[FL_KEY_BYTES])
{
    uint8_t key[FL_KEY_BYTES];
    char digits[FL_HEX_CAP];
    fl_reason why = {""};
    const fl_err err = expected_key(key, all->options, &why);
    fl_hex_encode(digits, sizeof digits, seen, FL_KEY_BYTES);
    if (err == FL_ERR_NOT_FOUND) {
        fl_finding_add(all, FL_FINDING_WARNING, "pin",
                       "compare it with the pin that the aggregator prints, "
                       "and say --pin",
                       "none yet; the first run keeps %s", digits);
    } else if (err) {
        fl_finding_add(all, FL_FINDING_ERROR, "pin", "correct it", "%s",
                       why.text);
    } else if (!fl_secret_equal(key, seen, FL_KEY_BYTES)) {
        fl_finding_add(all, FL_FINDING_ERROR, "pin",
                       "somebody else answers at this address, or the "
                       "aggregator was set up anew; if that is right, delete "
                       "aggregator.pub from the state folder",
                       "another key answers: %s", digits);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "pin", NULL,
                       "the key that is known answers");
    }
}

void fl_finding_link(fl_findings *all)
{
    const char *url = all->options->aggregator;
    call c = {.conn = 0};
    fl_reason why = {""};
    if (!url) return;
    if (fl_net_tcp_check(url, &why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "name",
                       "it looks like tcp://ADDRESS:PORT", "%s", why.text);
        return;
    }
    if (!check_name(all, url)) return;
    fl_arena_init(&c.scratch, SCRATCH_CAP);
    if (ask(&c, url, &why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "connection",
                       "see that the aggregator runs and that no firewall is "
                       "in between",
                       "%s: %s", url, why.text);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "connection", NULL, "%s answers",
                       url);
        if (check_protocol(all, &c.message)) {
            check_pin(all, c.message.welcome.public_key);
        }
    }
    fl_net_free(c.net);
    fl_arena_fini(&c.scratch);
}
