/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/answer.h"

#include <stdlib.h>
#include <string.h>

#include "aggregator/http/api.h"

// Scripts and styles come from here alone and stand in files of their own, so
// that text which finds its way into the page can never become code.
#define POLICY                                                  \
    "default-src 'none'; script-src 'self'; style-src 'self'; " \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; "     \
    "form-action 'none'; frame-ancestors 'none'"

static const char *const headers[][2] = {
    {"Content-Security-Policy", POLICY},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

enum MHD_Result fl_answer_dress(struct MHD_Response *response, const char *type)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (!MHD_add_response_header(response, headers[i][0], headers[i][1])) {
            return MHD_NO;
        }
    }
    return MHD_add_response_header(response, "Content-Type", type);
}

// Takes the response. What is told here is true for a moment only.
static enum MHD_Result send_fresh(struct MHD_Connection *connection,
                                  unsigned status, const char *type,
                                  struct MHD_Response *response)
{
    if (!response) return MHD_NO;
    enum MHD_Result result = fl_answer_dress(response, type);
    if (result) {
        result = MHD_add_response_header(response, "Cache-Control", "no-store");
    }
    if (result && status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        result = MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    if (result && status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        result = MHD_add_response_header(response, "Retry-After", "10");
    }
    if (result) result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result fl_answer_text(struct MHD_Connection *connection,
                               const char *type, char *text, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (!response) free(text);
    return send_fresh(connection, MHD_HTTP_OK, type, response);
}

enum MHD_Result fl_answer_error(struct MHD_Connection *connection,
                                unsigned status, const char *sentence)
{
    char *text;
    if (fl_api_error(&text, sentence)) return MHD_NO;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response) free(text);
    return send_fresh(connection, status, FL_ANSWER_JSON, response);
}

enum MHD_Result fl_answer_stream(struct MHD_Connection *connection,
                                 const char *type, size_t buffer_len,
                                 MHD_ContentReaderCallback read, void *self,
                                 MHD_ContentReaderFreeCallback free_self)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, buffer_len, read, self, free_self);
    if (!response) free_self(self);
    return send_fresh(connection, MHD_HTTP_OK, type, response);
}
