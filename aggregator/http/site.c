/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/http/answer.h"
#include "aggregator/http/api.h"
#include "aggregator/http/field.h"
#include "aggregator/http/metrics.h"
#include "aggregator/http/page.h"

enum { TAG_HASH_BYTES = 8, DEFAULT_LIMIT = 100 };

/* ---- the page ---- */

// A file's name is made of what is in it: a cache asks whether that is still
// so.
static fl_err make_file(struct MHD_Response **response, char tag[24],
                        const fl_page_file *file)
{
    uint8_t hash[FL_HASH_BYTES];
    char hex[FL_HEX_CAP];
    const size_t len = (size_t)(file->end - file->bytes);
    fl_hash(hash, file->bytes, len);
    fl_hex_encode(hex, sizeof hex, hash, TAG_HASH_BYTES);
    snprintf(tag, 24, "\"%.16s\"", hex);
    const struct MHD_IoVec whole = {.iov_base = file->bytes, .iov_len = len};
    *response = MHD_create_response_from_iovec(&whole, 1, NULL, NULL);
    if (!*response || !fl_answer_dress(*response, file->type) ||
        !MHD_add_response_header(*response, "Cache-Control", "no-cache") ||
        !MHD_add_response_header(*response, "ETag", tag)) {
        return FL_ERR_MEMORY;
    }
    return FL_OK;
}

static fl_err make_files(fl_site *site)
{
    size_t count;
    const fl_page_file *files = fl_page_files(&count);
    site->files = calloc(count, sizeof *site->files);
    site->tags = calloc(count, sizeof *site->tags);
    if (!site->files || !site->tags) return FL_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        FL_TRY(make_file(&site->files[i], site->tags[i], &files[i]));
    }
    return FL_OK;
}

static enum MHD_Result answer_unchanged(struct MHD_Connection *connection)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    const enum MHD_Result result =
        MHD_queue_response(connection, MHD_HTTP_NOT_MODIFIED, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_file(const fl_site *site,
                                   struct MHD_Connection *connection, size_t i)
{
    const char *held = MHD_lookup_connection_value(
        connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    if (held && strcmp(held, site->tags[i]) == 0) {
        return answer_unchanged(connection);
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, site->files[i]);
}

/* ---- metrics and API ---- */

static enum MHD_Result answer_metrics(fl_site *site,
                                      struct MHD_Connection *connection)
{
    const fl_vitals vitals = fl_site_vitals(site);
    char *text;
    size_t len;
    if (fl_metrics_text(&text, &len, site->snapshot, &vitals)) return MHD_NO;
    return fl_answer_text(connection, FL_METRICS_TYPE, text, len);
}

static enum MHD_Result answer_status(fl_site *site,
                                     struct MHD_Connection *connection)
{
    const fl_vitals vitals = fl_site_vitals(site);
    char *text;
    if (fl_api_status(&text, site->snapshot, &vitals)) return MHD_NO;
    return fl_answer_text(connection, FL_ANSWER_JSON, text, strlen(text));
}

// A number of the query, or what stands when it is not there.
static fl_err read_query(uint32_t *value, struct MHD_Connection *connection,
                         const char *key, uint32_t max)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, key);
    return text ? fl_field_count(value, text, max) : FL_OK;
}

static enum MHD_Result answer_rounds(fl_site *site,
                                     struct MHD_Connection *connection)
{
    uint32_t after = 0, limit = DEFAULT_LIMIT;
    if (read_query(&after, connection, "after", UINT32_MAX) ||
        read_query(&limit, connection, "limit", FL_SITE_ROUNDS_MAX) ||
        limit == 0) {
        return fl_answer_error(connection, MHD_HTTP_BAD_REQUEST,
                               "after is the number of a round, limit 1 to "
                               "1000: /api/v1/rounds?after=0&limit=100");
    }
    return fl_history_answer(site, connection, after, limit);
}

// A browser that comes back says what it has heard last.
static enum MHD_Result answer_events(fl_site *site,
                                     struct MHD_Connection *connection)
{
    uint32_t after = site->snapshot->status.rounds_done;
    const char *heard = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                    "Last-Event-ID");
    const fl_err err =
        heard && *heard ? fl_field_count(&after, heard, UINT32_MAX)
                        : read_query(&after, connection, "after", UINT32_MAX);
    if (err) {
        return fl_answer_error(connection, MHD_HTTP_BAD_REQUEST,
                               "Last-Event-ID, or after, is the number of the "
                               "last round heard of: /api/v1/events?after=0");
    }
    return fl_listeners_answer(site, connection, after);
}

/* ---- every request ---- */

typedef struct {
    const char *path;
    enum MHD_Result (*answer)(fl_site *site, struct MHD_Connection *connection);
} route;

static const route routes[] = {
    {"/metrics", answer_metrics},
    {"/api/v1/status", answer_status},
    {"/api/v1/rounds", answer_rounds},
    {"/api/v1/events", answer_events},
};

static enum MHD_Result
answer_path(fl_site *site, struct MHD_Connection *connection, const char *path)
{
    size_t file_count;
    const fl_page_file *files = fl_page_files(&file_count);
    for (size_t i = 0; i < file_count; i++) {
        if (strcmp(path, files[i].path) == 0) {
            return answer_file(site, connection, i);
        }
    }
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(path, routes[i].path) != 0) continue;
        if (site->snapshot) return routes[i].answer(site, connection);
        return fl_answer_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                               "the aggregator is starting; try again");
    }
    return fl_answer_error(connection, MHD_HTTP_NOT_FOUND,
                           "there are /, /metrics, /api/v1/status, "
                           "/api/v1/rounds and /api/v1/events");
}

static const char *get_header(struct MHD_Connection *connection,
                              const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *len = get_header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (len && strcmp(len, "0") != 0) ||
           get_header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static bool is_for_us(const fl_site *site, struct MHD_Connection *connection)
{
    const char *host = get_header(connection, MHD_HTTP_HEADER_HOST);
    return !site->is_loopback || !host || fl_field_is_local_host(host);
}

// What is wrong with a request, apart from its path; 0: nothing.
static unsigned find_fault(const fl_site *site,
                           struct MHD_Connection *connection,
                           const char *method, const char **sentence)
{
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        *sentence = "there is only something to GET here";
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (has_body(connection)) {
        *sentence = "a request has no body here";
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    if (!is_for_us(site, connection)) {
        *sentence =
            "this is the dashboard of localhost; a proxy in front of it "
            "has to send Host: localhost";
        return MHD_HTTP_MISDIRECTED_REQUEST;
    }
    return 0;
}

// MHD sets the prototype, and calls this when the headers are there and again
// when the body is, which a good request does not have. To answer the first
// time closes the connection: so it is for bad ones, whose body nobody reads.
enum MHD_Result fl_site_answer(void *self, struct MHD_Connection *connection,
                               const char *path, const char *method,
                               const char *version, const char *upload,
                               size_t *upload_len, void **seen)
{
    fl_site *site = self;
    const char *sentence;
    (void)version;
    (void)upload;
    (void)upload_len;
    if (*seen) return answer_path(site, connection, path);
    *seen = site;
    site->request_count++;
    const unsigned fault = find_fault(site, connection, method, &sentence);
    return fault ? fl_answer_error(connection, fault, sentence) : MHD_YES;
}

fl_vitals fl_site_vitals(const fl_site *site)
{
    fl_vitals vitals = {.request_count = site->request_count,
                        .listener_count = site->listeners.count};
    fl_vitals_read(&vitals);
    return vitals;
}

void fl_site_update(fl_site *site, fl_snapshot *snapshot)
{
    free(site->snapshot);
    site->snapshot = snapshot;
    fl_listeners_update(&site->listeners, snapshot);
}

fl_err fl_site_init(fl_site *site, const char *state, fl_reason *why)
{
    *site = (fl_site){.store = NULL};
    FL_TRY(fl_store_open(&site->store, state, true, why));
    const fl_err err = make_files(site);
    return err ? fl_reason_set(why, err, "no memory for the dashboard") : FL_OK;
}

void fl_site_fini(fl_site *site)
{
    size_t count;
    (void)fl_page_files(&count);
    for (size_t i = 0; site->files && i < count; i++) {
        if (site->files[i]) MHD_destroy_response(site->files[i]);
    }
    free(site->files);
    free(site->tags);
    fl_listeners_fini(&site->listeners);
    free(site->snapshot);
    fl_store_close(site->store);
    *site = (fl_site){.store = NULL};
}
