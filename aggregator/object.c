/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <stdlib.h>
#include <string.h>

void fl_object_withdraw(fl_published *published)
{
    free(published->bytes);
    free(published->manifest);
    *published = (fl_published){0};
}

fl_err fl_object_publish(fl_published *published, fl_object_kind kind,
                         uint32_t round, uint8_t *bytes, size_t len)
{
    fl_err err = FL_ERR_MEMORY;
    fl_manifest manifest = {
        .kind = kind,
        .round = round,
        .size = len,
        .chunk_bytes = FL_PROTO_CHUNK_BYTES,
        .chunk_count = fl_manifest_chunk_count(len),
    };
    const size_t cap = fl_manifest_bound(manifest.chunk_count);
    uint8_t *hashes = malloc((size_t)manifest.chunk_count * FL_HASH_BYTES);
    uint8_t *encoded = malloc(cap);
    if (!hashes || !encoded) goto out;
    fl_parts_hash_all(hashes, bytes, len, FL_PROTO_CHUNK_BYTES, fl_hash);
    manifest.chunk_hashes = hashes;
    size_t encoded_len;
    err = fl_manifest_encode(encoded, cap, &encoded_len, &manifest);
    if (err) goto out;

    fl_object_withdraw(published);
    *published = (fl_published){.bytes = bytes,
                                .len = len,
                                .manifest = encoded,
                                .manifest_len = encoded_len};
    fl_hash(published->name, encoded, encoded_len);
    encoded = NULL;

out:
    free(hashes);
    free(encoded);
    return err;
}

/* ---- model, patches and list on their way down ---- */

// NULL: nothing that is published now has this name.
static const fl_published *find_published(const fl_aggregator *aggregator,
                                          const uint8_t *name)
{
    const fl_published *all[] = {&aggregator->published, &aggregator->roll,
                                 &aggregator->ranges};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i]->bytes && memcmp(all[i]->name, name, FL_HASH_BYTES) == 0) {
            return all[i];
        }
    }
    return fl_versions_find(&aggregator->versions, name);
}

// The smallest of what leads this client to the object. What there is no memory
// for is left out: the object itself always does.
static const fl_published *choose(fl_aggregator *aggregator,
                                  const fl_published *object,
                                  const fl_fetch *fetch)
{
    fl_versions *versions = &aggregator->versions;
    const fl_published *other;
    if (!fl_versions_is_newest(versions, object->name)) return object;
    if (fetch->takes_packed && !fl_versions_packed(versions, &other) &&
        other->len < object->len) {
        object = other;
    }
    if (fetch->has_base && !fl_versions_patch(versions, fetch->base, &other) &&
        other->len < object->len) {
        object = other;
    }
    return object;
}

static void fetch(fl_aggregator *aggregator, fl_peer *peer,
                  const fl_message *request)
{
    const fl_fetch *fetch = &request->fetch;
    aggregator->fetched_ms = aggregator->now_ms;
    fl_message answer = {.operation = request->operation,
                         .round = request->round};
    const fl_published *object = find_published(aggregator, fetch->object);
    if (!object) {
        fl_reply_refusal(aggregator, peer, request, FL_ERR_STALE,
                         "that is not the model or list of this round");
        return;
    }
    if (fetch->wants_manifest) {
        object = choose(aggregator, object, fetch);
        answer.type = FL_MESSAGE_MANIFEST;
        answer.manifest.bytes = object->manifest;
        answer.manifest.len = object->manifest_len;
        fl_reply_message(aggregator, peer, &answer);
        return;
    }
    const uint64_t at = (uint64_t)fetch->index * FL_PROTO_CHUNK_BYTES;
    if (at >= object->len) {
        fl_reply_refusal(aggregator, peer, request, FL_ERR_RANGE,
                         "the object has no such chunk");
        return;
    }
    const size_t left = object->len - (size_t)at;
    answer.type = FL_MESSAGE_CHUNK;
    answer.chunk = (fl_chunk){
        .index = fetch->index,
        .bytes = object->bytes + at,
        .len = left < FL_PROTO_CHUNK_BYTES ? left : FL_PROTO_CHUNK_BYTES,
    };
    memcpy(answer.chunk.object, object->name, FL_HASH_BYTES);
    fl_reply_message(aggregator, peer, &answer);
}

/* ---- updates on their way up
 * ---------------------------------------------------- */

void fl_object_drop(fl_aggregator *aggregator, fl_member *member)
{
    if (!member->upload) return;
    aggregator->upload_bytes -= member->upload->parts->size;
    fl_parts_free(member->upload->parts);
    free(member->upload);
    member->upload = NULL;
}

// Ends this member's part in the round: a bad update is not sent twice.
static void refuse_update(fl_aggregator *aggregator, fl_peer *peer,
                          fl_member *member, const fl_message *request,
                          fl_err err, const char *text)
{
    aggregator->refused_count++;
    fl_reply_log(aggregator, FL_LOG_WARN, "update_refused",
                 "round=%u conn=%llu err=%s why=%s",
                 fl_round_number(aggregator), (unsigned long long)peer->conn,
                 fl_err_text(err), text);
    fl_object_drop(aggregator, member);
    member->part = FL_PART_REFUSED;
    if (aggregator->phase == FL_PHASE_SESSION) {
        fl_secagg_drop(aggregator->sum.secagg, member->place);
    }
    fl_reply_refusal(aggregator, peer, request, err, text);
}

// Whether this member may send an update for this round now.
static bool is_due(fl_aggregator *aggregator, fl_peer *peer,
                   const fl_member *member, const fl_message *request)
{
    if (request->round == fl_round_number(aggregator) &&
        fl_aggregation_is_due(aggregator, member)) {
        return true;
    }
    if (aggregator->phase == FL_PHASE_GATHERING &&
        request->round == fl_round_number(aggregator)) {
        // After a restart of ours: clients come back before their round does.
        fl_reply_refusal(aggregator, peer, request, FL_ERR_NOT_FOUND,
                         "that round is not open yet: offer again");
    } else if (member->part == FL_PART_REFUSED) {
        fl_reply_refusal(aggregator, peer, request, FL_ERR_STATE,
                         "your update of this round has been refused");
    } else {
        fl_reply_refusal(aggregator, peer, request, FL_ERR_STALE,
                         "no update of yours is due for that round");
    }
    return false;
}

// Chunks spread the waiting clients over the time that one upload takes.
static uint32_t later_ms(const fl_aggregator *aggregator,
                         const fl_member *member)
{
    fl_random random;
    uint64_t id;
    memcpy(&id, member->record.public_key, sizeof id);
    fl_random_init(&random, id, FL_RANDOM_BACKOFF, fl_round_number(aggregator));
    return 200 + fl_random_below(&random, 800);
}

static void grant(fl_aggregator *aggregator, fl_peer *peer,
                  const fl_message *request, const fl_upload *upload)
{
    fl_message answer = {.type = FL_MESSAGE_GRANT,
                         .operation = request->operation,
                         .round = request->round,
                         .grant = {.window = FL_AGGREGATOR_WINDOW}};
    const size_t len = fl_parts_bitmap_bytes(upload->parts->chunk_count);
    uint8_t *bitmap = fl_arena_take(aggregator->options.scratch, len);
    if (!bitmap || fl_parts_bitmap_encode(bitmap, len, upload->parts)) {
        fl_peer_close(aggregator, peer, "no memory for a grant");
        return;
    }
    memcpy(answer.grant.object, upload->object, FL_HASH_BYTES);
    answer.grant.bitmap = bitmap;
    answer.grant.bitmap_len = len;
    fl_reply_message(aggregator, peer, &answer);
}

// Everything is checked here, before memory is taken for the update.
static fl_err check_offer(const fl_aggregator *aggregator,
                          const fl_message *request, fl_manifest *manifest,
                          fl_reason *why)
{
    const fl_open *open = &request->open;
    const fl_object_kind kind =
        aggregator->options.aggregation == FL_AGGREGATION_SECURE
            ? FL_OBJECT_MASKED
            : FL_OBJECT_UPDATE;
    if (memcmp(open->model, aggregator->published.name, FL_HASH_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_STALE,
                             "the update starts from another model");
    }
    FL_TRY(fl_manifest_decode(manifest, aggregator->options.scratch,
                              open->manifest, open->manifest_len, why));
    if (manifest->kind != kind || manifest->round != request->round) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the manifest is not of an update of this round");
    }
    return fl_aggregation_check(aggregator, manifest->size, why);
}

static fl_err begin_upload(fl_aggregator *aggregator, fl_member *member,
                           const fl_manifest *manifest,
                           const uint8_t object[FL_HASH_BYTES])
{
    fl_upload *upload = calloc(1, sizeof *upload);
    if (!upload) return FL_ERR_MEMORY;
    if (fl_parts_new(&upload->parts, manifest->size, FL_PROTO_CHUNK_BYTES,
                     manifest->chunk_hashes, FL_PROTO_OBJECT_BYTES_MAX)) {
        free(upload);
        return FL_ERR_MEMORY;
    }
    memcpy(upload->object, object, FL_HASH_BYTES);
    member->upload = upload;
    aggregator->upload_bytes += manifest->size;
    return FL_OK;
}

static void open_upload(fl_aggregator *aggregator, fl_peer *peer,
                        fl_member *member, const fl_message *request)
{
    fl_manifest manifest = {.size = 0};
    fl_reason why;
    uint8_t object[FL_HASH_BYTES];
    fl_hash(object, request->open.manifest, request->open.manifest_len);
    if (!is_due(aggregator, peer, member, request)) return;

    const fl_err err = check_offer(aggregator, request, &manifest, &why);
    if (err) {
        refuse_update(aggregator, peer, member, request, err, why.text);
        return;
    }
    if (member->upload &&
        memcmp(member->upload->object, object, FL_HASH_BYTES) != 0) {
        fl_object_drop(aggregator, member);  // trained anew: another update
    }
    if (!member->upload) {
        const bool has_room = aggregator->upload_bytes + manifest.size <=
                              aggregator->options.upload_bytes_cap;
        if (!has_room || begin_upload(aggregator, member, &manifest, object)) {
            fl_message later = {.type = FL_MESSAGE_GRANT,
                                .operation = request->operation,
                                .round = request->round};
            memcpy(later.grant.object, object, FL_HASH_BYTES);
            later.grant.later_ms = later_ms(aggregator, member);
            fl_reply_message(aggregator, peer, &later);
            return;
        }
    }
    grant(aggregator, peer, request, member->upload);
}

static fl_upload *find_upload(const fl_member *member, const uint8_t *object)
{
    if (member->upload &&
        memcmp(member->upload->object, object, FL_HASH_BYTES) == 0) {
        return member->upload;
    }
    return NULL;
}

static void put_chunk(fl_aggregator *aggregator, fl_peer *peer,
                      fl_member *member, const fl_message *request)
{
    const fl_chunk *chunk = &request->chunk;
    if (!is_due(aggregator, peer, member, request)) return;
    fl_upload *upload = find_upload(member, chunk->object);
    if (!upload) {
        fl_reply_refusal(aggregator, peer, request, FL_ERR_NOT_FOUND,
                         "open the upload first");
        return;
    }
    const fl_err err = fl_parts_put(upload->parts, chunk->index, chunk->bytes,
                                    chunk->len, fl_hash);
    if (err) {
        refuse_update(aggregator, peer, member, request, err,
                      "a chunk does not fit its manifest");
    } else {
        fl_reply_ack(aggregator, peer, request);
    }
}

static void add_to_sum(fl_aggregator *aggregator, fl_peer *peer,
                       fl_member *member, const fl_message *request)
{
    const fl_upload *upload = member->upload;
    const fl_parts *parts = upload->parts;
    fl_reason why = {""};
    const fl_err err =
        aggregator->options.aggregation == FL_AGGREGATION_SECURE
            ? fl_secagg_add(aggregator->sum.secagg, member->place,
                            parts->buffer, parts->size, &why)
            : fl_aggregation_add(aggregator, parts->buffer, parts->size, &why);
    if (err) {
        refuse_update(aggregator, peer, member, request, err, why.text);
        return;
    }
    aggregator->committed_count++;
    member->part = FL_PART_COMMITTED;
    memcpy(member->committed, upload->object, FL_HASH_BYTES);
    member->committed_round = fl_round_number(aggregator);
    member->mail_sequence = 0;  // its plan is done, and never read again
    fl_object_drop(aggregator, member);
    fl_reply_ack(aggregator, peer, request);
}

static void commit(fl_aggregator *aggregator, fl_peer *peer, fl_member *member,
                   const fl_message *request)
{
    const uint8_t *object = request->commit.object;
    // The answer got lost on its way: the same one again, nothing else.
    if (member->committed_round == request->round &&
        memcmp(member->committed, object, FL_HASH_BYTES) == 0) {
        fl_reply_ack(aggregator, peer, request);
        return;
    }
    if (!is_due(aggregator, peer, member, request)) return;
    const fl_upload *upload = find_upload(member, object);
    if (!upload || !fl_parts_is_complete(upload->parts)) {
        fl_reply_refusal(aggregator, peer, request, FL_ERR_NOT_FOUND,
                         "chunks of the update are missing");
        return;
    }
    add_to_sum(aggregator, peer, member, request);
}

void fl_object_request(fl_aggregator *aggregator, fl_peer *peer,
                       const fl_message *message)
{
    fl_member *member = &aggregator->members[peer->client];
    if (message->type == FL_MESSAGE_FETCH) {
        fetch(aggregator, peer, message);
    } else if (message->type == FL_MESSAGE_OPEN) {
        open_upload(aggregator, peer, member, message);
    } else if (message->type == FL_MESSAGE_CHUNK) {
        put_chunk(aggregator, peer, member, message);
    } else if (message->type == FL_MESSAGE_COMMIT) {
        commit(aggregator, peer, member, message);
    }
}
