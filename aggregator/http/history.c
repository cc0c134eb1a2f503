/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/site.h"

#include <stdlib.h>

#include "aggregator/http/answer.h"
#include "aggregator/http/api.h"
#include "aggregator/http/piece.h"

enum { BUFFER_LEN = 4096 };

// {"schema":1,"rounds":[ROUND,ROUND,...]}, read from the store as it is sent.
typedef struct {
    fl_site *site;
    uint32_t after, left;
    bool has_begun, has_rounds, has_ended;
    fl_piece piece;
} history;

static fl_err write_round(history *h, const fl_round_record *round)
{
    char *text;
    FL_TRY(fl_api_round(&text, round, h->site->snapshot->param_count));
    fprintf(h->piece.out, "%s%s", h->has_rounds ? "," : "", text);
    free(text);
    h->has_rounds = true;
    h->after = round->round;
    h->left--;
    return FL_OK;
}

static fl_err write_batch(history *h)
{
    fl_round_record records[FL_SITE_BATCH];
    const size_t cap = h->left < FL_SITE_BATCH ? h->left : FL_SITE_BATCH;
    size_t count = 0;
    if (!h->has_begun) {
        fprintf(h->piece.out, "{\"schema\":%d,\"rounds\":[", FL_API_SCHEMA);
    }
    h->has_begun = true;
    FL_TRY(fl_store_read_rounds(h->site->store, records, cap, &count, h->after,
                                NULL));
    for (size_t i = 0; i < count; i++) {
        FL_TRY(write_round(h, &records[i]));
    }
    h->has_ended = count < FL_SITE_BATCH;
    if (h->has_ended) fputs("]}", h->piece.out);
    return FL_OK;
}

static fl_err compose(history *h)
{
    FL_TRY(fl_piece_begin(&h->piece));
    FL_TRY(write_batch(h));
    return fl_piece_finish(&h->piece);
}

static ssize_t read_history(void *self, uint64_t position, char *dst,
                            size_t dst_cap)
{
    history *h = self;
    (void)position;
    if (fl_piece_is_read(&h->piece)) {
        if (h->has_ended) return MHD_CONTENT_READER_END_OF_STREAM;
        if (compose(h)) return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return (ssize_t)fl_piece_read(&h->piece, dst, dst_cap);
}

static void free_history(void *self)
{
    history *h = self;
    fl_piece_fini(&h->piece);
    free(h);
}

enum MHD_Result fl_history_answer(fl_site *site,
                                  struct MHD_Connection *connection,
                                  uint32_t after, uint32_t limit)
{
    history *made = calloc(1, sizeof *made);
    if (!made) return MHD_NO;
    made->site = site;
    made->after = after;
    made->left = limit;
    return fl_answer_stream(connection, FL_ANSWER_JSON, BUFFER_LEN,
                            read_history, made, free_history);
}
