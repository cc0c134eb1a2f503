/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

// It tells as much about the data here as an update does.
static void forget(fl_residual *residual)
{
    if (residual->bytes) fl_secret_wipe(residual->bytes, residual->len);
    free(residual->bytes);
    *residual = (fl_residual){.bytes = NULL};
}

void fl_residual_fini(fl_client *client)
{
    forget(&client->residual);
    forget(&client->pending);
    forget(&client->before);
}

void fl_client_restore_residual(fl_client *client, uint8_t *bytes, size_t len)
{
    forget(&client->residual);
    client->residual = (fl_residual){.bytes = bytes, .len = len};
}

// Values of parameters that this model does not have, or has elsewhere.
static void drop_stranger(fl_client *client, size_t count)
{
    fl_emit_log(client, FL_LOG_WARN, "residual_dropped",
                "round=%u bytes=%zu parameters=%zu", client->task.plan.round,
                client->residual.len, count);
    forget(&client->residual);
}

void fl_residual_add(fl_client *client, float *update, size_t count)
{
    const fl_residual *residual = &client->residual;
    if (!residual->bytes) return;
    if (residual->len / sizeof *update != count ||
        residual->len % sizeof *update != 0) {
        drop_stranger(client, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        float left;
        const uint32_t bits = fl_bytes_get_u32(residual->bytes + 4 * i);
        memcpy(&left, &bits, sizeof left);
        update[i] += left;
    }
}

static void save(fl_client *client)
{
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_SAVE_RESIDUAL,
                                       .bytes = client->residual.bytes,
                                       .len = client->residual.len});
}

// False: it is of another model, or there is no memory.
static bool follow(fl_residual *residual, const uint32_t *from, size_t count)
{
    uint8_t *bytes = malloc(4 * count);
    const size_t before = residual->len / 4;
    bool is_good = bytes != NULL;
    for (size_t i = 0; is_good && i < count; i++) {
        const size_t at = from[i];
        is_good = at < before;
        if (is_good) memcpy(bytes + 4 * i, residual->bytes + 4 * at, 4);
    }
    forget(residual);
    if (is_good) {
        *residual = (fl_residual){.bytes = bytes, .len = 4 * count};
    } else {
        free(bytes);
    }
    return is_good;
}

// There is none, or it has followed: the patch is applied once more, since the
// model that it made could not be kept.
static bool need_not_follow(const fl_residual *residual, size_t count)
{
    return !residual->bytes || residual->len == 4 * count;
}

// After a stop between KEEP and SAVE_RESIDUAL the smaller model is there and
// no patch is applied again: fl_residual_add then drops what is too long.
void fl_residual_follow(fl_client *client, const uint32_t *from, size_t count)
{
    if (!from) return;
    // What awaits its ACK becomes the residual later: it follows silently.
    if (!need_not_follow(&client->pending, count)) {
        (void)follow(&client->pending, from, count);
    }
    if (need_not_follow(&client->residual, count)) return;
    if (follow(&client->residual, from, count)) {
        save(client);
    } else {
        drop_stranger(client, count);
    }
}

fl_err fl_residual_pend(fl_client *client, const float *left, size_t count)
{
    size_t len;
    FL_TRY(fl_size_mul(&len, count, sizeof *left));
    uint8_t *bytes = malloc(len);
    if (!bytes) return FL_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &left[i], sizeof bits);
        fl_bytes_put_u32(bytes + 4 * i, bits);
    }
    forget(&client->pending);
    client->pending = (fl_residual){.bytes = bytes, .len = len};
    client->pending_operation = 0;
    return FL_OK;
}

void fl_residual_commit(fl_client *client)
{
    // One that awaits its own ACK is of an earlier update.
    if (!client->pending.bytes || client->pending_operation != 0) return;
    forget(&client->before);
    client->before = client->residual;
    client->residual = client->pending;
    client->pending = (fl_residual){.bytes = NULL};
    client->residual_round = client->task.plan.round;
    save(client);
}

void fl_residual_settle(fl_client *client)
{
    forget(&client->before);
    client->residual_round = 0;
}

void fl_residual_undo(fl_client *client, uint32_t round)
{
    fl_residual *residual = &client->residual;
    if (client->residual_round == 0 || client->residual_round != round) return;
    if (client->before.bytes) {
        forget(residual);
        *residual = client->before;
        client->before = (fl_residual){.bytes = NULL};
    } else {
        memset(residual->bytes, 0, residual->len);  // there was none
    }
    client->residual_round = 0;
    save(client);
}

void fl_residual_await(fl_client *client, uint64_t operation)
{
    if (client->pending_operation == 0) client->pending_operation = operation;
}

void fl_residual_answered(fl_client *client, uint64_t operation)
{
    if (client->pending_operation == 0 ||
        client->pending_operation != operation) {
        return;
    }
    client->pending_operation = 0;
    fl_residual_commit(client);
    fl_residual_settle(client);  // another round is on
}

void fl_residual_forget_pending(fl_client *client)
{
    if (client->pending_operation == 0) forget(&client->pending);
}
