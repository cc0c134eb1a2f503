/*
 * Losses on embeddings: near when the label is the same, far when it is not.
 *
 * The distance is sqrt(|a - b|^2 + NEAR^2), whose gradient stays finite when
 * two embeddings fall together. Every ordered pair is visited, and a visit
 * of (i, j) writes the gradient of i alone or of a whole triplet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "model/loss.h"

static const double NEAR = 1e-6;

static const float *embedding(const fl_loss_batch *batch, uint32_t i)
{
    return batch->outputs + (size_t)i * batch->width;
}

static double square(const fl_loss_batch *batch, uint32_t i, uint32_t j)
{
    const float *a = embedding(batch, i), *b = embedding(batch, j);
    double sum = 0.0;
    for (uint32_t k = 0; k < batch->width; k++) {
        const double difference = (double)a[k] - (double)b[k];
        sum += difference * difference;
    }
    return sum;
}

static double distance_of(double squared)
{
    return sqrt(squared + NEAR * NEAR);
}

// Gradient of i += force * (i - j).
static void push(const fl_loss_batch *batch, uint32_t i, uint32_t j,
                 double force)
{
    if (!batch->grad || force == 0.0) return;
    const float *a = embedding(batch, i), *b = embedding(batch, j);
    float *grad = batch->grad + (size_t)i * batch->width;
    for (uint32_t k = 0; k < batch->width; k++) {
        const double difference = (double)a[k] - (double)b[k];
        grad[k] = (float)((double)grad[k] + force * difference);
    }
}

static bool is_same(const fl_loss_batch *batch, uint32_t i, uint32_t j)
{
    return batch->labels[i] == batch->labels[j];
}

// Minima and hinges would hide a NaN or an infinity: look for them first.
static bool is_finite(const fl_loss_batch *batch)
{
    const size_t size = (size_t)batch->count * batch->width;
    for (size_t k = 0; k < size; k++) {
        if (!isfinite(batch->outputs[k])) return false;
    }
    return true;
}

static void clear_gradient(const fl_loss_batch *batch)
{
    if (!batch->grad) return;
    memset(batch->grad, 0,
           (size_t)batch->count * batch->width * sizeof *batch->grad);
}

/* ---- whom an anchor has around it ---- */

typedef struct {
    bool has_same, has_other;
    uint32_t farthest_same, nearest_other;
    double same_square;   // of the farthest of its label
    double other_square;  // of the nearest of another label
    double twin_square;   // of the nearest of its label
} neighbours;

static void meet_same(neighbours *n, uint32_t j, double squared)
{
    if (!n->has_same || squared > n->same_square) {
        n->farthest_same = j;
        n->same_square = squared;
    }
    if (!n->has_same || squared < n->twin_square) n->twin_square = squared;
    n->has_same = true;
}

static void meet_other(neighbours *n, uint32_t j, double squared)
{
    if (n->has_other && squared >= n->other_square) return;
    n->nearest_other = j;
    n->other_square = squared;
    n->has_other = true;
}

static void meet(neighbours *n, const fl_loss_batch *batch, uint32_t i,
                 uint32_t j, double squared)
{
    if (is_same(batch, i, j)) {
        meet_same(n, j, squared);
    } else {
        meet_other(n, j, squared);
    }
}

// The nearest has its label; equally near ones do not count as that.
static bool is_right(const neighbours *n)
{
    return n->has_same && (!n->has_other || n->twin_square < n->other_square);
}

/* ---- contrastive ---- */

// Loss of a pair; *force: of its gradient along the difference.
static double pair_loss(double *force, bool same, double squared, double margin)
{
    if (same) {
        *force = 1.0;
        return 0.5 * squared;
    }
    const double distance = distance_of(squared), gap = margin - distance;
    if (gap <= 0.0) {
        *force = 0.0;
        return 0.0;
    }
    *force = -gap / distance;
    return 0.5 * gap * gap;
}

double fl_loss_contrastive(uint64_t *correct_count, const fl_loss_batch *batch,
                           float margin)
{
    const uint32_t count = batch->count;
    if (!is_finite(batch)) return NAN;
    clear_gradient(batch);
    if (count < 2) return 0.0;

    // Each pair is met twice, and its gradient has two ends.
    const double pair_share = 2.0 / ((double)count * (count - 1.0));
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        neighbours around = {0};
        for (uint32_t j = 0; j < count; j++) {
            if (j == i) continue;
            const double squared = square(batch, i, j);
            double force;
            sum += 0.5 * pair_loss(&force, is_same(batch, i, j), squared,
                                   (double)margin);
            push(batch, i, j, pair_share * force);
            meet(&around, batch, i, j, squared);
        }
        if (is_right(&around)) (*correct_count)++;
    }
    return pair_share * sum * count;
}

/* ---- triplet ---- */

static neighbours look_around(const fl_loss_batch *batch, uint32_t i)
{
    neighbours around = {0};
    for (uint32_t j = 0; j < batch->count; j++) {
        if (j != i) meet(&around, batch, i, j, square(batch, i, j));
    }
    return around;
}

// Whether i can be an anchor follows from the labels alone.
static uint32_t count_anchors(const fl_loss_batch *batch)
{
    uint32_t anchors = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t same = 0;
        for (uint32_t j = 0; j < batch->count; j++) {
            same += is_same(batch, i, j);
        }
        anchors += same > 1 && same < batch->count;
    }
    return anchors;
}

static double anchor_loss(const fl_loss_batch *batch, uint32_t i,
                          const neighbours *n, double margin, double share)
{
    if (!n->has_same || !n->has_other) return 0.0;
    const double to_same = distance_of(n->same_square);
    const double to_other = distance_of(n->other_square);
    const double loss = margin + to_same - to_other;
    if (loss <= 0.0) return 0.0;
    push(batch, i, n->farthest_same, share / to_same);
    push(batch, n->farthest_same, i, share / to_same);
    push(batch, i, n->nearest_other, -share / to_other);
    push(batch, n->nearest_other, i, -share / to_other);
    return loss;
}

double fl_loss_triplet(uint64_t *correct_count, const fl_loss_batch *batch,
                       float margin)
{
    if (!is_finite(batch)) return NAN;
    clear_gradient(batch);
    const uint32_t anchors = count_anchors(batch);
    const double share = anchors ? 1.0 / anchors : 0.0;
    double sum = 0.0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const neighbours around = look_around(batch, i);
        sum += anchor_loss(batch, i, &around, (double)margin, share);
        if (is_right(&around)) (*correct_count)++;
    }
    return share * sum * batch->count;
}
