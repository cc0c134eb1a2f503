/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <stdlib.h>
#include <string.h>

static uint64_t key_prefix(const uint8_t public_key[FL_KEY_BYTES])
{
    uint64_t prefix;
    memcpy(&prefix, public_key, sizeof prefix);
    return prefix;
}

// The connection of a member; NULL when there is none.
static fl_peer *peer_of(fl_aggregator *aggregator, const fl_member *member)
{
    if (member->peer == FL_AGGREGATOR_NONE) return NULL;
    return &aggregator->peers[member->peer];
}

fl_peer *fl_peer_find(fl_aggregator *aggregator, fl_conn conn)
{
    uint32_t slot;
    if (!fl_map_get(&aggregator->peer_of_conn, conn, &slot)) return NULL;
    return &aggregator->peers[slot];
}

void fl_peer_close(fl_aggregator *aggregator, fl_peer *peer, const char *why)
{
    if (peer->is_closing) return;
    peer->is_closing = true;
    // Strangers cannot fill the log of those who do not ask for it.
    const fl_log_level level =
        peer->state < FL_PEER_CHECKED_IN ? FL_LOG_DEBUG : FL_LOG_WARN;
    fl_reply_log(aggregator, level, "peer_closed", "conn=%llu why=%s",
                 (unsigned long long)peer->conn, why);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_CLOSE,
                                                .conn = peer->conn});
}

void fl_peer_close_all(fl_aggregator *aggregator)
{
    for (uint32_t i = 0; i < aggregator->peer_count; i++) {
        fl_peer *peer = &aggregator->peers[i];
        if (peer->conn == 0 || peer->is_closing) continue;
        peer->is_closing = true;
        fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_CLOSE,
                                                    .conn = peer->conn});
    }
}

void fl_peer_free_all(fl_aggregator *aggregator)
{
    if (!aggregator->peers) return;
    fl_secret_wipe(aggregator->peers,
                   aggregator->peer_count * sizeof *aggregator->peers);
    free(aggregator->peers);
    aggregator->peers = NULL;
}

/* ---- connections come and go ---- */

// Not realloc: it may leave keys behind where they were.
static void move_peers(fl_aggregator *aggregator, fl_peer *to, uint32_t cap)
{
    if (aggregator->peer_count > 0) {
        memcpy(to, aggregator->peers, aggregator->peer_count * sizeof *to);
    }
    fl_peer_free_all(aggregator);
    aggregator->peers = to;
    aggregator->peer_cap = cap;
}

// A free slot, made when there is none; NONE without memory.
static uint32_t take_slot(fl_aggregator *aggregator)
{
    const bool is_full = aggregator->peer_of_conn.len == aggregator->peer_count;
    for (uint32_t i = 0; !is_full && i < aggregator->peer_count; i++) {
        if (aggregator->peers[i].conn == 0) return i;
    }
    if (aggregator->peer_count == aggregator->peer_cap) {
        const uint32_t cap =
            aggregator->peer_cap ? aggregator->peer_cap * 2 : 16;
        fl_peer *more = malloc(cap * sizeof *more);
        if (!more) return FL_AGGREGATOR_NONE;
        move_peers(aggregator, more, cap);
    }
    return aggregator->peer_count++;
}

// Makes room for one more that has to prove itself. The oldest goes: whoever
// holds connections open and says nothing must not keep others out.
static void evict_oldest(fl_aggregator *aggregator)
{
    fl_peer *oldest = NULL;
    for (uint32_t i = 0; i < aggregator->peer_count; i++) {
        fl_peer *peer = &aggregator->peers[i];
        if (peer->conn == 0 || peer->is_closing) continue;
        if (peer->state == FL_PEER_CHECKED_IN) continue;
        if (!oldest || peer->heard_ms < oldest->heard_ms) oldest = peer;
    }
    if (oldest) fl_peer_close(aggregator, oldest, "others wait to say hello");
}

void fl_peer_opened(fl_aggregator *aggregator, fl_conn conn)
{
    const uint32_t slot = take_slot(aggregator);
    if (slot != FL_AGGREGATOR_NONE) {
        aggregator->peers[slot] = (fl_peer){.client = FL_AGGREGATOR_NONE};
    }
    if (slot == FL_AGGREGATOR_NONE ||
        fl_map_set(&aggregator->peer_of_conn, conn, slot)) {
        fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_CLOSE,
                                                    .conn = conn});
        return;
    }
    if (aggregator->greeting_count >= FL_AGGREGATOR_GREETING_MAX) {
        evict_oldest(aggregator);
    }
    aggregator->peers[slot].conn = conn;
    aggregator->peers[slot].heard_ms = aggregator->now_ms;
    aggregator->greeting_count++;
}

static void leave_member(fl_aggregator *aggregator, fl_peer *peer)
{
    fl_member *member = &aggregator->members[peer->client];
    if (&aggregator->peers[member->peer] != peer) return;  // superseded
    member->peer = FL_AGGREGATOR_NONE;
    member->lost_ms = aggregator->now_ms;
    aggregator->present_count--;
    if (!member->away) aggregator->able_count--;
}

void fl_peer_expel(fl_aggregator *aggregator, fl_peer *peer,
                   const fl_standing *standing)
{
    fl_member *member = &aggregator->members[peer->client];
    leave_member(aggregator, peer);
    // Nobody hopes that it will be back.
    member->lost_ms = aggregator->now_ms - FL_AGGREGATOR_LEASE_MS;
    peer->client = FL_AGGREGATOR_NONE;
    fl_entry_tell(aggregator, peer, NULL, standing);
    fl_peer_close(aggregator, peer, fl_cause_word(standing->cause));
}

void fl_peer_closed(fl_aggregator *aggregator, fl_conn conn)
{
    fl_peer *peer = fl_peer_find(aggregator, conn);
    if (!peer) return;
    if (peer->state < FL_PEER_CHECKED_IN) aggregator->greeting_count--;
    if (peer->client != FL_AGGREGATOR_NONE) leave_member(aggregator, peer);
    fl_map_remove(&aggregator->peer_of_conn, conn);
    fl_line_fini(&peer->line);
    *peer = (fl_peer){0};
}

void fl_peer_sweep(fl_aggregator *aggregator)
{
    if (aggregator->now_ms < aggregator->sweep_at_ms) return;
    aggregator->sweep_at_ms = aggregator->now_ms + FL_AGGREGATOR_SWEEP_MS;
    for (uint32_t i = 0; i < aggregator->peer_count; i++) {
        fl_peer *peer = &aggregator->peers[i];
        if (peer->conn == 0) continue;
        const int64_t limit_ms = peer->state == FL_PEER_CHECKED_IN
                                     ? FL_AGGREGATOR_SILENCE_MS
                                     : FL_AGGREGATOR_GREET_MS;
        if (aggregator->now_ms - peer->heard_ms >= limit_ms) {
            fl_peer_close(aggregator, peer, "silent");
        }
    }
}

/* ---- greeting ---- */

// Room for a frame of a greeting; NULL: the peer is closed.
static uint8_t *take_room(fl_aggregator *aggregator, fl_peer *peer)
{
    uint8_t *frame =
        fl_arena_take(aggregator->options.scratch, FL_LINE_GREETING_CAP);
    if (!frame) fl_peer_close(aggregator, peer, "no memory for a frame");
    return frame;
}

static void hello(fl_aggregator *aggregator, fl_peer *peer,
                  const fl_message *message, const uint8_t *bytes, size_t len)
{
    const fl_hello *words = &message->hello;
    if (words->version_min > FL_PROTO_VERSION ||
        words->version_max < FL_PROTO_VERSION) {
        fl_reply_refusal(aggregator, peer, message, FL_ERR_UNSUPPORTED,
                         "this aggregator speaks protocol version 2 only");
        fl_peer_close(aggregator, peer, "no common protocol version");
        return;
    }
    uint8_t *frame = take_room(aggregator, peer);
    size_t frame_len;
    if (!frame) return;
    fl_line_welcome(&peer->line, frame, &frame_len,
                    &aggregator->options.identity, bytes, len);
    peer->state = FL_PEER_GREETED;
    fl_reply_frame(aggregator, peer, frame, frame_len);
}

static void noise(fl_aggregator *aggregator, fl_peer *peer,
                  const fl_message *message)
{
    struct {
        uint8_t session[FL_PROTO_SESSION_BYTES], key[FL_LINE_FRESH_BYTES];
    } fresh;
    uint8_t *frame = take_room(aggregator, peer);
    size_t frame_len;
    if (!frame) return;
    aggregator->options.random_bytes(aggregator->options.random_self, &fresh,
                                     sizeof fresh);
    const fl_err err = fl_line_admit(&peer->line, frame, &frame_len, message,
                                     fresh.session, fresh.key);
    fl_secret_wipe(&fresh, sizeof fresh);
    if (err) {
        fl_peer_close(aggregator, peer, "a handshake that does not open");
        return;
    }
    peer->state = FL_PEER_SEALED;
    fl_reply_frame(aggregator, peer, frame, frame_len);
}

/* ---- members ---- */

// A slot for a new client: a fresh one, or that of one who is long gone.
static uint32_t take_member(fl_aggregator *aggregator)
{
    if (aggregator->member_count < aggregator->options.client_cap) {
        if (aggregator->member_count == aggregator->member_cap) {
            const uint32_t cap =
                aggregator->member_cap ? aggregator->member_cap * 2 : 16;
            fl_member *more = realloc(aggregator->members, cap * sizeof *more);
            if (!more) return FL_AGGREGATOR_NONE;
            aggregator->members = more;
            aggregator->member_cap = cap;
        }
        return aggregator->member_count++;
    }
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        const fl_member *member = &aggregator->members[i];
        if (member->peer != FL_AGGREGATOR_NONE || member->part) continue;
        fl_map_remove(&aggregator->member_of_key,
                      key_prefix(member->record.public_key));
        return i;
    }
    return FL_AGGREGATOR_NONE;
}

// The member with this key, added when new; NONE: no room, or another key
// with the same first 8 bytes, which takes 2^32 tries to make.
static uint32_t find_member(fl_aggregator *aggregator,
                            const uint8_t public_key[FL_KEY_BYTES])
{
    uint32_t slot;
    const uint64_t prefix = key_prefix(public_key);
    if (fl_map_get(&aggregator->member_of_key, prefix, &slot)) {
        const uint8_t *known = aggregator->members[slot].record.public_key;
        return memcmp(known, public_key, FL_KEY_BYTES) == 0
                   ? slot
                   : FL_AGGREGATOR_NONE;
    }
    slot = take_member(aggregator);
    if (slot == FL_AGGREGATOR_NONE) return slot;
    aggregator->members[slot] = (fl_member){.peer = FL_AGGREGATOR_NONE};
    memcpy(aggregator->members[slot].record.public_key, public_key,
           FL_KEY_BYTES);
    if (fl_map_set(&aggregator->member_of_key, prefix, slot)) {
        return FL_AGGREGATOR_NONE;
    }
    return slot;
}

// The first sealed frame has come: the client is who it says it is, and here.
// False: it cannot be a member.
static bool seat(fl_aggregator *aggregator, fl_peer *peer,
                 const fl_message *message)
{
    const fl_standing standing = fl_entry_standing(aggregator, peer->line.peer);
    if (standing.state != FL_STANDING_ENROLLED) {
        fl_entry_tell(aggregator, peer, message, &standing);
        fl_peer_close(aggregator, peer,
                      standing.state == FL_STANDING_PENDING
                          ? "not approved yet"
                          : fl_cause_word(standing.cause));
        return false;
    }
    const uint32_t slot = find_member(aggregator, peer->line.peer);
    if (slot == FL_AGGREGATOR_NONE) {
        fl_reply_refusal(aggregator, peer, message, FL_ERR_LIMIT,
                         "too many clients");
        fl_peer_close(aggregator, peer, "too many clients");
        return false;
    }
    fl_member *member = &aggregator->members[slot];
    fl_peer *old = peer_of(aggregator, member);
    // The newest wins: the one before may be a dead end of the same client. If
    // it lives, it is another client with the same key, and hears so.
    if (old) {
        fl_peer_expel(aggregator, old,
                      &(fl_standing){.state = FL_STANDING_REFUSED,
                                     .cause = FL_CAUSE_REPLACED});
    }
    member->peer = (uint32_t)(peer - aggregator->peers);
    fl_roll_introduce(aggregator, member, &peer->line.device);
    peer->client = slot;
    peer->state = FL_PEER_CHECKED_IN;
    aggregator->greeting_count--;
    aggregator->present_count++;
    if (!member->away) aggregator->able_count++;
    return true;
}

/* ---- mail ---- */

static void push_mail(fl_aggregator *aggregator, fl_peer *peer,
                      const fl_member *member)
{
    fl_message message = {.type = FL_MESSAGE_MAIL,
                          .round = member->mail_round,
                          .mail = {.sequence = member->mail_sequence,
                                   .kind = member->mail_kind,
                                   .round = member->mail_round}};
    if (member->mail_kind == FL_MAIL_PLAN) {
        message.mail.plan = fl_round_plan(aggregator, member);
    }
    if (member->mail_kind == FL_MAIL_FINISHED && aggregator->reduction) {
        memcpy(message.mail.model, aggregator->published.name, FL_HASH_BYTES);
        memcpy(message.mail.ranges, aggregator->ranges.name, FL_HASH_BYTES);
    }
    if (member->mail_kind == FL_MAIL_STEP &&
        fl_aggregation_message(aggregator, member, &message.mail.step)) {
        return;  // it has answered, or dropped out
    }
    fl_reply_message(aggregator, peer, &message);
}

static void push_mail_after(fl_aggregator *aggregator, fl_peer *peer,
                            uint64_t after)
{
    const fl_member *member = &aggregator->members[peer->client];
    if (member->mail_sequence > after) push_mail(aggregator, peer, member);
}

void fl_peer_mail(fl_aggregator *aggregator, fl_member *member,
                  fl_mail_kind kind, uint32_t round)
{
    member->mail_sequence = ++aggregator->mail_sequence;
    member->mail_kind = kind;
    member->mail_round = round;
    fl_peer *peer = peer_of(aggregator, member);
    if (peer && peer->state == FL_PEER_CHECKED_IN) {
        push_mail(aggregator, peer, member);
    }
}

// Of a member that is connected.
static void hear_away(fl_aggregator *aggregator, fl_member *member,
                      fl_away away)
{
    if (away == member->away) return;
    fl_reply_log(aggregator, FL_LOG_DEBUG, "client_away", "reason=%s",
                 fl_away_word(away));
    if (!member->away) aggregator->able_count--;
    if (!away) aggregator->able_count++;
    member->away = away;
}

// A client that has had later mail than we have sent: our state folder is an
// older copy, and what we say is old news to it.
static void hear_of_later_mail(fl_aggregator *aggregator, uint64_t mail_after)
{
    if (mail_after <= aggregator->mail_sequence || aggregator->is_outdated) {
        return;
    }
    aggregator->is_outdated = true;
    fl_reply_log(aggregator, FL_LOG_ERROR, "outdated_state", "remedy=%s",
                 "clients have heard from a later state of this aggregator and "
                 "do not listen to this one; an older state folder can only be "
                 "gone on with from what fedge-aggregator backup makes of it");
}

static void check_in(fl_aggregator *aggregator, fl_peer *peer,
                     const fl_message *message)
{
    fl_member *member = &aggregator->members[peer->client];
    hear_of_later_mail(aggregator, message->check_in.mail_after);
    hear_away(aggregator, member, message->check_in.away);
    fl_reply_log(aggregator, FL_LOG_DEBUG, "check_in", "conn=%llu",
                 (unsigned long long)peer->conn);
    fl_reply(aggregator,
             (fl_aggregator_effect){.kind = FL_AGGREGATOR_SAVE_CLIENT,
                                    .client = &member->record,
                                    .device = &member->device});
    fl_reply_ack(aggregator, peer, message);
    push_mail_after(aggregator, peer, message->check_in.mail_after);
    fl_farewell_welcome(aggregator, member);
}

static void ping(fl_aggregator *aggregator, fl_peer *peer,
                 const fl_message *message)
{
    fl_reply_message(aggregator, peer,
                     &(fl_message){.type = FL_MESSAGE_PONG,
                                   .operation = message->operation});
    hear_away(aggregator, &aggregator->members[peer->client],
              message->ping.away);
    push_mail_after(aggregator, peer, message->ping.mail_after);
}

/* ---- frames ---- */

// The one type that is due before check-in; after it, those of object.c too.
static void dispatch(fl_aggregator *aggregator, fl_peer *peer,
                     fl_message *message, const uint8_t *bytes, size_t len)
{
    const fl_message_type type = message->type;
    switch (peer->state) {
    case FL_PEER_NEW:
        if (type != FL_MESSAGE_HELLO) break;
        hello(aggregator, peer, message, bytes, len);
        return;
    case FL_PEER_GREETED:
        if (type != FL_MESSAGE_NOISE) break;
        noise(aggregator, peer, message);
        return;
    case FL_PEER_SEALED:
        if (type == FL_MESSAGE_JOIN) {
            fl_entry_ask(aggregator, peer, message);
            return;
        }
        if (type != FL_MESSAGE_CHECK_IN) break;
        if (seat(aggregator, peer, message)) {
            check_in(aggregator, peer, message);
        }
        return;
    case FL_PEER_CHECKED_IN:
        if (type == FL_MESSAGE_CHECK_IN) {
            check_in(aggregator, peer, message);
        } else if (type == FL_MESSAGE_PING) {
            ping(aggregator, peer, message);
        } else if (type == FL_MESSAGE_FETCH || type == FL_MESSAGE_OPEN ||
                   type == FL_MESSAGE_CHUNK || type == FL_MESSAGE_COMMIT) {
            fl_object_request(aggregator, peer, message);
        } else if (type == FL_MESSAGE_STEP) {
            aggregator->sum.bytes_control += len + FL_NET_LENGTH_BYTES;
            fl_aggregation_step(aggregator, peer, message);
        } else {
            break;
        }
        return;
    }
    fl_peer_close(aggregator, peer, "a message that is not due");
}

void fl_peer_frame(fl_aggregator *aggregator, fl_conn conn,
                   const uint8_t *bytes, size_t len)
{
    fl_peer *peer = fl_peer_find(aggregator, conn);
    fl_message message;
    fl_reason why;
    if (!peer || peer->is_closing) return;
    aggregator->bytes_up += len + FL_NET_LENGTH_BYTES;
    if (fl_line_receive(&peer->line, &message, aggregator->options.scratch,
                        bytes, len, &why)) {
        fl_peer_close(aggregator, peer, why.text);
        return;
    }
    peer->heard_ms = aggregator->now_ms;
    dispatch(aggregator, peer, &message, bytes, len);
}
