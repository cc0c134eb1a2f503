/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <assert.h>
#include <stdarg.h>

enum { LOG_TEXT_CAP = 1024 };

void fl_emit(fl_client *client, fl_client_effect effect)
{
    assert(client->effect_count < FL_CLIENT_EFFECTS_MAX);
    client->effects[client->effect_count++] = effect;
}

void fl_emit_log(fl_client *client, fl_log_level level, const char *event,
                 const char *format, ...)
{
    char *text = fl_arena_take(client->options.scratch, LOG_TEXT_CAP);
    if (!text) return;  // the log may lose a line, the machine goes on
    va_list args;
    va_start(args, format);
    fl_log_format(text, LOG_TEXT_CAP, format, args);
    va_end(args);
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_LOG,
                                       .level = level,
                                       .event = event,
                                       .text = text});
}

void fl_emit_frame(fl_client *client, const uint8_t *bytes, size_t len)
{
    client->status.bytes_up += len + FL_NET_LENGTH_BYTES;
    fl_emit(client, (fl_client_effect){
                        .kind = FL_CLIENT_SEND, .bytes = bytes, .len = len});
}

void fl_emit_message(fl_client *client, fl_message *message)
{
    fl_uplink *uplink = &client->uplink;
    if (uplink->is_hanging_up) return;

    const size_t cap = fl_message_bound(message);
    uint8_t *bytes = fl_arena_take(client->options.scratch, cap);
    size_t len = 0;
    if (!bytes || fl_line_send(&uplink->line, bytes, cap, &len, message)) {
        fl_uplink_hang_up(client, "cannot encode a message");
        return;
    }
    fl_emit_frame(client, bytes, len);
}

uint64_t fl_emit_operation(fl_client *client)
{
    return ++client->operation;
}
