/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG_TEXT_CAP = 1024, FIRST_EFFECTS = 64 };

void fl_reply(fl_aggregator *aggregator, fl_aggregator_effect effect)
{
    if (aggregator->effect_count == aggregator->effect_cap) {
        const size_t cap =
            aggregator->effect_cap ? aggregator->effect_cap * 2 : FIRST_EFFECTS;
        fl_aggregator_effect *more =
            realloc(aggregator->effects, cap * sizeof *more);
        if (!more) return;
        aggregator->effects = more;
        aggregator->effect_cap = cap;
    }
    aggregator->effects[aggregator->effect_count++] = effect;
}

void fl_reply_log(fl_aggregator *aggregator, fl_log_level level,
                  const char *event, const char *format, ...)
{
    char *text = fl_arena_take(aggregator->options.scratch, LOG_TEXT_CAP);
    if (!text) return;  // the log may lose a line, the machine goes on
    va_list args;
    va_start(args, format);
    fl_log_format(text, LOG_TEXT_CAP, format, args);
    va_end(args);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_LOG,
                                                .level = level,
                                                .event = event,
                                                .text = text});
}

void fl_reply_frame(fl_aggregator *aggregator, const fl_peer *peer,
                    const uint8_t *bytes, size_t len)
{
    aggregator->bytes_down += len + FL_NET_LENGTH_BYTES;
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_SEND,
                                                .conn = peer->conn,
                                                .bytes = bytes,
                                                .len = len});
}

void fl_reply_message(fl_aggregator *aggregator, fl_peer *peer,
                      fl_message *message)
{
    if (peer->is_closing) return;
    const size_t cap = fl_message_bound(message);
    uint8_t *bytes = fl_arena_take(aggregator->options.scratch, cap);
    size_t len = 0;
    if (!bytes || fl_line_send(&peer->line, bytes, cap, &len, message)) {
        fl_peer_close(aggregator, peer, "cannot encode a message");
        return;
    }
    if (message->type == FL_MESSAGE_MAIL && message->mail.step.step != 0) {
        aggregator->sum.bytes_control += len + FL_NET_LENGTH_BYTES;
    }
    fl_reply_frame(aggregator, peer, bytes, len);
}

void fl_reply_ack(fl_aggregator *aggregator, fl_peer *peer,
                  const fl_message *request)
{
    fl_reply_message(aggregator, peer,
                     &(fl_message){.type = FL_MESSAGE_ACK,
                                   .operation = request->operation,
                                   .round = request->round});
}

void fl_reply_refusal(fl_aggregator *aggregator, fl_peer *peer,
                      const fl_message *request, fl_err err, const char *text)
{
    fl_message answer = {.type = FL_MESSAGE_REFUSAL,
                         .operation = request->operation,
                         .round = request->round,
                         .refusal = {.code = err}};
    snprintf(answer.refusal.text, sizeof answer.refusal.text, "%s", text);
    fl_reply_message(aggregator, peer, &answer);
}
