/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/census.h"

#include "aggregator/aggregator_core.h"

static bool is_here(const fl_aggregator *aggregator, const fl_member *member)
{
    return member->peer != FL_AGGREGATOR_NONE &&
           !aggregator->peers[member->peer].is_closing;
}

static fl_census_state state_of_part(const fl_member *member)
{
    if (member->part == FL_PART_NONE) return FL_CENSUS_WAITING;
    if (member->has_declined) return FL_CENSUS_DECLINED;
    switch (member->part) {
    case FL_PART_NONE: break;
    case FL_PART_SELECTED: return FL_CENSUS_TRAINING;
    case FL_PART_READY: return FL_CENSUS_READY;
    case FL_PART_COMMITTED: return FL_CENSUS_ADDED;
    case FL_PART_REFUSED: return FL_CENSUS_DECLINED;
    }
    return FL_CENSUS_WAITING;
}

fl_census fl_census_take(const fl_aggregator *aggregator)
{
    // What a client did in a round is of no interest once that is over.
    const bool is_round_on = aggregator->phase >= FL_PHASE_TRAINING &&
                             aggregator->phase <= FL_PHASE_SAVING;
    fl_census census = {.count = {0}};
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        const fl_member *member = &aggregator->members[i];
        fl_census_state state = FL_CENSUS_WAITING;
        if (!is_here(aggregator, member)) {
            state = FL_CENSUS_ABSENT;
        } else if (is_round_on) {
            state = state_of_part(member);
        }
        // Who stops in the middle of a round still has its part in it.
        if (state == FL_CENSUS_WAITING && member->away) {
            state = FL_CENSUS_RESTING;
        }
        census.count[state]++;
    }
    return census;
}

const char *fl_census_word(fl_census_state state)
{
#define WORD(name, word, meaning) [FL_CENSUS_##name] = (word),
    static const char *const words[] = {FL_CENSUS_LIST(WORD)};
#undef WORD
    return words[state];
}

const char *fl_census_meaning(fl_census_state state)
{
#define MEANING(name, word, meaning) [FL_CENSUS_##name] = (meaning),
    static const char *const meanings[] = {FL_CENSUS_LIST(MEANING)};
#undef MEANING
    return meanings[state];
}
