/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/prune.h"

#include <math.h>
#include <stdlib.h>

enum {
    MULTIPLE = 8,
    EVEN_STEPS = 16,
    KEPT_MIN = 2,  // with one left, channels are numbered in another way
};

typedef struct {
    double score;
    uint32_t channel;  // numbered through
} candidate;

typedef struct {
    const fl_channels *channels;
    const fl_prune_options *options;
    uint32_t multiple, group_count;
    candidate *order;  // in each group the least important first
    uint32_t *kept;    // of each group, so far
    uint32_t *least;   // of each group, that stay whatever happens
} pruning;

/* ---- what a bundle saves ---- */

// A layer's time is taken to go with its multiplications.
static double latency_saving(const pruning *p, uint32_t group,
                             uint64_t mac_count)
{
    const uint64_t each = fl_channels_group(p->channels, group).mac_count;
    if (each == 0) return 0.0;
    return p->options->latency[group] * ((double)mac_count / (double)each);
}

// With `left` channels in a group instead of what it has kept.
static double saving_of(const pruning *p, uint32_t group, uint32_t left)
{
    const uint32_t before = p->kept[group];
    const fl_model_cost now = fl_channels_cost(p->channels, p->kept);
    p->kept[group] = left;
    const fl_model_cost then = fl_channels_cost(p->channels, p->kept);
    p->kept[group] = before;
    const uint64_t mac_count = now.mac_count - then.mac_count;
    switch (p->options->cost) {
    case FL_PRUNE_MACS: return (double)mac_count;
    case FL_PRUNE_LATENCY: return latency_saving(p, group, mac_count);
    case FL_PRUNE_PARAMS: break;
    }
    return (double)(now.param_count - then.param_count);
}

/*
 * A layer between two groups has its time in a channel of either, so that
 * adding up would count it twice. What all channels take is what is saved when
 * all groups get thinner together.
 */
static double total_latency(const pruning *p)
{
    double total = 0.0;
    for (uint32_t step = EVEN_STEPS; step-- > 0;) {
        for (uint32_t i = 0; i < p->group_count; i++) {
            const uint32_t count = fl_channels_group(p->channels, i).count;
            const uint32_t even =
                (uint32_t)((uint64_t)count * step / EVEN_STEPS);
            const uint32_t left = even ? even : 1;
            total += saving_of(p, i, left);
            p->kept[i] = left;
        }
    }
    for (uint32_t i = 0; i < p->group_count; i++) {
        p->kept[i] = fl_channels_group(p->channels, i).count;
    }
    return total;
}

static double total_cost(const pruning *p)
{
    const fl_model_cost whole = fl_channels_cost(p->channels, p->kept);
    switch (p->options->cost) {
    case FL_PRUNE_MACS: return (double)whole.mac_count;
    case FL_PRUNE_LATENCY: return total_latency(p);
    case FL_PRUNE_PARAMS: break;
    }
    return (double)whole.param_count;
}

/* ---- which bundle goes next ---- */

// What a group has after its next bundle; 0: it gives none.
static uint32_t left_after_bundle(const pruning *p, uint32_t group)
{
    const uint32_t left = (p->kept[group] - 1) / p->multiple * p->multiple;
    return left >= p->least[group] ? left : 0;
}

static double importance_of(const pruning *p, uint32_t group, uint32_t left)
{
    const fl_channel_group g = fl_channels_group(p->channels, group);
    double sum = 0.0;
    for (uint32_t i = g.count - p->kept[group]; i < g.count - left; i++) {
        sum += p->order[g.first + i].score;
    }
    return sum;
}

typedef struct {
    uint32_t group, left;
    double saving, price;  // price: importance by saving
} bundle;

// Of equals the one that saves most; left is 0 when nothing more can go.
static bundle cheapest_bundle(const pruning *p)
{
    bundle best = {0};
    for (uint32_t i = 0; i < p->group_count; i++) {
        bundle b = {.group = i, .left = left_after_bundle(p, i)};
        if (b.left == 0) continue;
        b.saving = saving_of(p, i, b.left);
        if (!(b.saving > 0.0)) continue;
        b.price = importance_of(p, i, b.left) / b.saving;
        const bool is_cheaper =
            b.price < best.price ||
            (b.price <= best.price && b.saving > best.saving);
        if (best.left == 0 || is_cheaper) best = b;
    }
    return best;
}

static void remove_bundles(const pruning *p)
{
    const double wanted = p->options->remove * total_cost(p);
    double gone = 0.0;
    while (gone < wanted) {
        const bundle next = cheapest_bundle(p);
        if (next.left == 0) return;
        p->kept[next.group] = next.left;
        gone += next.saving;
    }
}

/* ---- arguments ---- */

static fl_err check_latency(const pruning *p, fl_reason *why)
{
    if (p->options->cost != FL_PRUNE_LATENCY) return FL_OK;
    if (!p->options->latency) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "pruning by latency needs what was measured");
    }
    for (uint32_t i = 0; i < p->group_count; i++) {
        const double latency = p->options->latency[i];
        if (isfinite(latency) && latency >= 0.0) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s: the latency of a channel is %g, it must be "
                             "0 or more",
                             fl_channels_group(p->channels, i).name, latency);
    }
    return FL_OK;
}

static fl_err check(const pruning *p, const double *scores, fl_reason *why)
{
    const fl_prune_options *o = p->options;
    if (o->cost > FL_PRUNE_LATENCY) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "cost is %d, it must be params, macs or latency",
                             (int)o->cost);
    }
    if (!(o->remove >= 0.0 && o->remove < 1.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "remove is %g, it must be 0 or more and below 1",
                             o->remove);
    }
    if (!(o->keep_min >= 0.0 && o->keep_min <= 1.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "keep_min is %g, it must be 0 to 1", o->keep_min);
    }
    for (size_t i = 0; i < fl_channels_count(p->channels); i++) {
        if (isfinite(scores[i]) && scores[i] >= 0.0) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the score of channel %zu is %g, it must be 0 or "
                             "more",
                             i, scores[i]);
    }
    return check_latency(p, why);
}

/* ---- before and after ---- */

static int compare_candidates(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->channel > y->channel) - (x->channel < y->channel);
}

static uint32_t least_kept(const pruning *p, uint32_t count)
{
    // Shares like 0.1 are a little more than they say.
    const double share = ceil(p->options->keep_min * count - 1e-9);
    const uint64_t bundles = ((uint64_t)share + p->multiple - 1) / p->multiple;
    const uint64_t whole = (bundles ? bundles : 1) * p->multiple;
    const uint64_t least = whole > KEPT_MIN ? whole : KEPT_MIN;
    const bool is_whole = count / 2 < p->multiple || least > count;
    return is_whole ? count : (uint32_t)least;
}

static void start(const pruning *p, const double *scores)
{
    for (uint32_t i = 0; i < p->group_count; i++) {
        const fl_channel_group g = fl_channels_group(p->channels, i);
        candidate *order = p->order + g.first;
        for (uint32_t c = 0; c < g.count; c++) {
            order[c] = (candidate){scores[g.first + c], g.first + c};
        }
        qsort(order, g.count, sizeof *order, compare_candidates);
        p->kept[i] = g.count;
        p->least[i] = least_kept(p, g.count);
    }
}

static void mark(bool *keep, const pruning *p)
{
    for (uint32_t i = 0; i < p->group_count; i++) {
        const fl_channel_group g = fl_channels_group(p->channels, i);
        for (uint32_t c = 0; c < g.count; c++) {
            keep[p->order[g.first + c].channel] = c >= g.count - p->kept[i];
        }
    }
}

fl_err fl_prune_choose(bool *keep, const fl_channels *channels,
                       const double *scores, const fl_prune_options *options,
                       fl_reason *why)
{
    pruning p = {
        .channels = channels,
        .options = options,
        .multiple = options->multiple ? options->multiple : MULTIPLE,
        .group_count = fl_channels_group_count(channels),
    };
    FL_TRY(check(&p, scores, why));
    // One more keeps a model without groups out of calloc(0).
    p.order = calloc(fl_channels_count(channels) + 1, sizeof *p.order);
    p.kept = calloc(p.group_count + 1, sizeof *p.kept);
    p.least = calloc(p.group_count + 1, sizeof *p.least);
    const bool is_whole = p.order && p.kept && p.least;
    if (is_whole) {
        start(&p, scores);
        remove_bundles(&p);
        mark(keep, &p);
    }
    free(p.order);
    free(p.kept);
    free(p.least);
    if (is_whole) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu channels",
                         fl_channels_count(channels));
}
