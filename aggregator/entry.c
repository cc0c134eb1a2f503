/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <stdlib.h>
#include <string.h>

void fl_entry_fini(fl_aggregator *aggregator)
{
    fl_entry_forget(aggregator);
    free(aggregator->registry);
}

void fl_entry_forget(fl_aggregator *aggregator)
{
    fl_secret_wipe(&aggregator->asking, sizeof aggregator->asking);
}

/* ---- standing ---- */

static int compare_identities(const void *key, const void *item)
{
    const fl_registration *registration = item;
    return memcmp(key, registration->device.identity, FL_KEY_BYTES);
}

const fl_registration *
fl_entry_registration(const fl_aggregator *aggregator,
                      const uint8_t identity[FL_KEY_BYTES])
{
    if (aggregator->registry_count == 0) return NULL;
    return bsearch(identity, aggregator->registry, aggregator->registry_count,
                   sizeof *aggregator->registry, compare_identities);
}

static fl_standing enrolled(void)
{
    return (fl_standing){.state = FL_STANDING_ENROLLED};
}

static fl_standing pending(void)
{
    return (fl_standing){.state = FL_STANDING_PENDING};
}

static fl_standing refused(fl_cause cause)
{
    return (fl_standing){.state = FL_STANDING_REFUSED, .cause = cause};
}

// What the registry leaves open: anybody, or who is in a list from elsewhere.
static fl_standing standing_by_list(const fl_aggregator *aggregator,
                                    const uint8_t identity[FL_KEY_BYTES],
                                    bool is_pending)
{
    const fl_aggregator_options *options = &aggregator->options;
    const fl_enrolment *list = fl_roll_newest(aggregator);
    if (options->aggregation != FL_AGGREGATION_SECURE || options->authority ||
        (list && fl_enrolment_find(list, identity) != FL_ENROLMENT_NONE)) {
        return enrolled();
    }
    return is_pending ? pending() : refused(FL_CAUSE_NOT_ENROLLED);
}

fl_standing fl_entry_standing(const fl_aggregator *aggregator,
                              const uint8_t identity[FL_KEY_BYTES])
{
    const fl_registration *known = fl_entry_registration(aggregator, identity);
    const bool is_guarded = aggregator->options.is_guarded;
    if (!known && is_guarded) return refused(FL_CAUSE_NOT_ENROLLED);
    if (!known) return standing_by_list(aggregator, identity, false);
    switch (known->state) {
    case FL_REGISTRATION_REVOKED: return refused(FL_CAUSE_REVOKED);
    case FL_REGISTRATION_PENDING:
        if (!is_guarded) return standing_by_list(aggregator, identity, true);
        return pending();
    case FL_REGISTRATION_ENROLLED:
        if (!is_guarded) return standing_by_list(aggregator, identity, false);
        return enrolled();
    }
    return refused(FL_CAUSE_NOT_ENROLLED);
}

// Its name, and who signs the list: what a device keeps.
static void complete(const fl_aggregator *aggregator, fl_standing *standing,
                     const uint8_t identity[FL_KEY_BYTES])
{
    const fl_registration *known = fl_entry_registration(aggregator, identity);
    const fl_identity *authority = aggregator->options.authority;
    const fl_enrolment *list = fl_roll_newest(aggregator);
    if (known && standing->name[0] == 0) {
        memcpy(standing->name, known->device.name, sizeof standing->name);
    }
    if (standing->state == FL_STANDING_REFUSED || (!authority && !list)) return;
    standing->has_authority = true;
    memcpy(standing->authority,
           authority ? authority->public_key : list->authority, FL_KEY_BYTES);
}

void fl_entry_tell(fl_aggregator *aggregator, fl_peer *peer,
                   const fl_message *request, const fl_standing *standing)
{
    fl_message told = {.type = FL_MESSAGE_STANDING,
                       .operation = request ? request->operation : 0,
                       .standing = *standing};
    complete(aggregator, &told.standing, peer->line.peer);
    fl_reply_message(aggregator, peer, &told);
}

/* ---- join ---- */

void fl_entry_ask(fl_aggregator *aggregator, fl_peer *peer, fl_message *message)
{
    aggregator->asking.device = peer->line.device;
    aggregator->asking.words = message->join;
    fl_secret_wipe(&message->join, sizeof message->join);
    fl_reply(aggregator,
             (fl_aggregator_effect){.kind = FL_AGGREGATOR_JOIN,
                                    .conn = peer->conn,
                                    .device = &aggregator->asking.device,
                                    .join = &aggregator->asking.words});
}

void fl_entry_answer(fl_aggregator *aggregator,
                     const fl_aggregator_event *event)
{
    fl_peer *peer = fl_peer_find(aggregator, event->conn);
    if (!peer) return;
    fl_entry_tell(aggregator, peer, NULL, &event->standing);
    fl_peer_close(aggregator, peer, "it knows how it stands");
}

/* ---- another registry ---- */

static fl_err copy_registry(fl_aggregator *aggregator,
                            const fl_registry *registry)
{
    fl_registration *copy = NULL;
    if (registry->count > 0) {
        copy = calloc(registry->count, sizeof *copy);
        if (!copy) return FL_ERR_MEMORY;
        memcpy(copy, registry->items, registry->count * sizeof *copy);
    }
    free(aggregator->registry);
    aggregator->registry = copy;
    aggregator->registry_count = registry->count;
    return FL_OK;
}

static void rename_members(fl_aggregator *aggregator)
{
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        fl_member *member = &aggregator->members[i];
        const fl_device device = member->device;
        fl_roll_introduce(aggregator, member, &device);
    }
}

static void expel_strangers(fl_aggregator *aggregator)
{
    for (uint32_t i = 0; i < aggregator->peer_count; i++) {
        fl_peer *peer = &aggregator->peers[i];
        if (peer->conn == 0 || peer->is_closing) continue;
        if (peer->client == FL_AGGREGATOR_NONE) continue;
        const fl_standing standing =
            fl_entry_standing(aggregator, peer->line.peer);
        if (standing.state == FL_STANDING_ENROLLED) continue;
        fl_peer_expel(aggregator, peer, &standing);
    }
}

void fl_entry_follow(fl_aggregator *aggregator, const fl_registry *registry)
{
    if (copy_registry(aggregator, registry)) {
        // The one before holds until the next change, or start.
        fl_reply_log(aggregator, FL_LOG_ERROR, "registry_not_read",
                     "why=no memory for %u devices", registry->count);
        return;
    }
    rename_members(aggregator);
    fl_roll_follow(aggregator, registry->list, registry->list_len);
    expel_strangers(aggregator);
}
