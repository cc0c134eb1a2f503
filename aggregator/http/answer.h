/*
 * Answers on their way out: status, headers, body. Every one has the headers
 * that keep a browser from running, framing or guessing what it should not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_ANSWER_H
#define FL_AGGREGATOR_HTTP_ANSWER_H

#include <stddef.h>

#include <microhttpd.h>

#define FL_ANSWER_JSON "application/json; charset=utf-8"

/* Puts the headers that all answers have, and its type. False: no memory. */
enum MHD_Result fl_answer_dress(struct MHD_Response *response,
                                const char *type);

/* A body from malloc, which it takes; nobody is to keep it. */
enum MHD_Result fl_answer_text(struct MHD_Connection *connection,
                               const char *type, char *text, size_t len);

/* A sentence for a person, as JSON. */
enum MHD_Result fl_answer_error(struct MHD_Connection *connection,
                                unsigned status, const char *sentence);

/*
 * A body that is made while it is read: `read` and `free_self` as MHD has
 * them; `self` is taken.
 */
enum MHD_Result fl_answer_stream(struct MHD_Connection *connection,
                                 const char *type, size_t buffer_len,
                                 MHD_ContentReaderCallback read, void *self,
                                 MHD_ContentReaderFreeCallback free_self);

#endif
