/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

static void leave(fl_aggregator *aggregator)
{
    aggregator->phase = FL_PHASE_FINISHED;
    fl_peer_close_all(aggregator);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_LEAVE});
}

static void say_finished(fl_aggregator *aggregator, fl_member *member)
{
    fl_peer_mail(aggregator, member, FL_MAIL_FINISHED, aggregator->rounds_done);
}

// Nobody has trained on the last model, so nobody has it yet.
void fl_farewell_begin(fl_aggregator *aggregator)
{
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        fl_member *member = &aggregator->members[i];
        if (member->peer != FL_AGGREGATOR_NONE) {
            say_finished(aggregator, member);
        }
    }
    if (!aggregator->reduction) {
        leave(aggregator);
        return;
    }
    aggregator->phase = FL_PHASE_FAREWELL;
    aggregator->fetched_ms = aggregator->now_ms;
    aggregator->phase_until_ms =
        aggregator->now_ms + aggregator->options.farewell_ms;
    fl_reply_log(aggregator, FL_LOG_INFO, "farewell",
                 "round=%u present=%u known=%u at_most_s=%lld",
                 aggregator->rounds_done, aggregator->present_count,
                 aggregator->options.known_count,
                 (long long)aggregator->options.farewell_ms / 1000);
}

void fl_farewell_welcome(fl_aggregator *aggregator, fl_member *member)
{
    if (aggregator->phase != FL_PHASE_FAREWELL) return;
    aggregator->fetched_ms = aggregator->now_ms;
    if (member->mail_kind != FL_MAIL_FINISHED) {
        say_finished(aggregator, member);
    }
}

// Whether somebody who has not heard the end may still come: who was here
// before a restart, or has only just gone.
static bool is_anybody_away(const fl_aggregator *aggregator)
{
    if (aggregator->member_count < aggregator->options.known_count) return true;
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        const fl_member *member = &aggregator->members[i];
        if (member->peer == FL_AGGREGATOR_NONE &&
            member->mail_kind != FL_MAIL_FINISHED &&
            aggregator->now_ms - member->lost_ms < FL_AGGREGATOR_LEASE_MS) {
            return true;
        }
    }
    return false;
}

static int64_t quiet_deadline(const fl_aggregator *aggregator)
{
    return aggregator->fetched_ms + FL_AGGREGATOR_QUIET_MS;
}

// That a lease is over is seen at the next sweep.
int64_t fl_farewell_deadline(const fl_aggregator *aggregator)
{
    const int64_t quiet_ms = quiet_deadline(aggregator);
    const int64_t until_ms = aggregator->phase_until_ms;
    return aggregator->now_ms < quiet_ms && quiet_ms < until_ms ? quiet_ms
                                                                : until_ms;
}

void fl_farewell_advance(fl_aggregator *aggregator)
{
    const bool is_quiet = aggregator->now_ms >= quiet_deadline(aggregator);
    if (aggregator->now_ms >= aggregator->phase_until_ms ||
        (is_quiet && !is_anybody_away(aggregator))) {
        leave(aggregator);
    }
}
