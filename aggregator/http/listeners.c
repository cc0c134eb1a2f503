/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/site.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "aggregator/http/answer.h"
#include "aggregator/http/api.h"
#include "aggregator/http/piece.h"
#include "base/clock.h"

enum {
    BUFFER_LEN = 4096,
    SOCKET_BYTES = 64 * 1024,  // that the system may hold for who reads slowly
};

typedef struct fl_listener {
    struct fl_listener *next;
    fl_site *site;
    struct MHD_Connection *connection;
    bool is_suspended;
    uint32_t after;  // the last round it was told of
    uint64_t clients_version, session_version;
    int64_t told_ms;  // something, last
    fl_piece piece;
} listener;

/* ---- what there is to say ---- */

static void set_news(fl_listeners_news *news, fl_err err, char *text)
{
    if (err) return;
    if (news->text && strcmp(news->text, text) == 0) {
        free(text);
        return;
    }
    free(news->text);
    news->text = text;
    news->version++;
}

void fl_listeners_update(fl_listeners *listeners, const fl_snapshot *snapshot)
{
    char *text = NULL;
    fl_err err = fl_api_clients(&text, snapshot);
    set_news(&listeners->clients, err, text);
    err = fl_api_session(&text, snapshot);
    set_news(&listeners->session, err, text);
}

static bool has_rounds(const listener *l)
{
    return l->after < l->site->snapshot->status.rounds_done;
}

static bool has_news(const listener *l)
{
    const fl_listeners *all = &l->site->listeners;
    return has_rounds(l) || l->clients_version != all->clients.version ||
           l->session_version != all->session.version;
}

static bool is_due(const listener *l)
{
    return fl_clock_monotonic_ms() - l->told_ms >=
           l->site->listeners.heartbeat_ms;
}

static fl_err write_rounds(listener *l)
{
    const fl_snapshot *snapshot = l->site->snapshot;
    fl_round_record records[FL_SITE_BATCH];
    size_t count;
    FL_TRY(fl_store_read_rounds(l->site->store, records, FL_SITE_BATCH, &count,
                                l->after, NULL));
    for (size_t i = 0; i < count; i++) {
        char *text;
        FL_TRY(fl_api_round(&text, &records[i], snapshot->param_count));
        fprintf(l->piece.out, "id: %u\nevent: round\ndata: %s\n\n",
                records[i].round, text);
        free(text);
        l->after = records[i].round;
    }
    return count > 0 ? FL_OK : FL_ERR_NOT_FOUND;
}

static fl_err write_events(listener *l)
{
    const fl_listeners *all = &l->site->listeners;
    if (has_rounds(l)) return write_rounds(l);
    if (l->clients_version != all->clients.version) {
        fprintf(l->piece.out, "event: clients\ndata: %s\n\n",
                all->clients.text);
        l->clients_version = all->clients.version;
    }
    if (l->session_version != all->session.version) {
        fprintf(l->piece.out, "event: session\ndata: %s\n\n",
                all->session.text);
        l->session_version = all->session.version;
    }
    if (ftell(l->piece.out) == 0) fputs(": still here\n\n", l->piece.out);
    return FL_OK;
}

static fl_err compose(listener *l)
{
    FL_TRY(fl_piece_begin(&l->piece));
    FL_TRY(write_events(l));
    l->told_ms = fl_clock_monotonic_ms();
    return fl_piece_finish(&l->piece);
}

static ssize_t read_events(void *self, uint64_t position, char *dst,
                           size_t dst_cap)
{
    listener *l = self;
    (void)position;
    l->is_suspended = false;
    if (fl_piece_is_read(&l->piece)) {
        if (l->site->listeners.is_closing) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        if (!has_news(l) && !is_due(l)) {
            // Until fl_listeners_wake; MHD would ask again and again.
            MHD_suspend_connection(l->connection);
            l->is_suspended = true;
            return 0;
        }
        if (compose(l)) return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return (ssize_t)fl_piece_read(&l->piece, dst, dst_cap);
}

/* ---- who listens ---- */

// MHD calls this when the connection has ended, one way or the other.
static void free_listener(void *self)
{
    listener *l = self;
    fl_listeners *all = &l->site->listeners;
    listener **place = &all->first;
    while (*place != l) {
        place = &(*place)->next;
    }
    *place = l->next;
    all->count--;
    fl_piece_fini(&l->piece);
    free(l);
}

static void limit_socket(struct MHD_Connection *connection)
{
    const int bytes = SOCKET_BYTES;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info) return;
    (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &bytes,
                     sizeof bytes);
}

enum MHD_Result fl_listeners_answer(fl_site *site,
                                    struct MHD_Connection *connection,
                                    uint32_t after)
{
    fl_listeners *all = &site->listeners;
    if (all->count >= all->cap) {
        return fl_answer_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                               "as many listen to the events as may; ask for "
                               "/api/v1/status now and then, or try again");
    }
    listener *made = calloc(1, sizeof *made);
    if (!made) return MHD_NO;
    const uint32_t rounds_done = site->snapshot->status.rounds_done;
    *made = (listener){
        .next = all->first,
        .site = site,
        .connection = connection,
        .after = after < rounds_done ? after : rounds_done,
        .told_ms = fl_clock_monotonic_ms(),
    };
    all->first = made;
    all->count++;
    limit_socket(connection);
    return fl_answer_stream(connection, "text/event-stream", BUFFER_LEN,
                            read_events, made, free_listener);
}

static void resume(listener *l)
{
    l->is_suspended = false;
    MHD_resume_connection(l->connection);
}

void fl_listeners_wake(const fl_site *site)
{
    for (listener *l = site->listeners.first; l; l = l->next) {
        if (l->is_suspended && (has_news(l) || is_due(l))) resume(l);
    }
}

int64_t fl_listeners_deadline(const fl_listeners *listeners)
{
    int64_t deadline_ms = INT64_MAX;
    for (const listener *l = listeners->first; l; l = l->next) {
        const int64_t due_ms = l->told_ms + listeners->heartbeat_ms;
        if (due_ms < deadline_ms) deadline_ms = due_ms;
    }
    return deadline_ms;
}

void fl_listeners_close(fl_site *site)
{
    site->listeners.is_closing = true;
    for (listener *l = site->listeners.first; l; l = l->next) {
        if (l->is_suspended) resume(l);
    }
}

void fl_listeners_fini(fl_listeners *listeners)
{
    free(listeners->clients.text);
    free(listeners->session.text);
    *listeners = (fl_listeners){.first = NULL};
}
