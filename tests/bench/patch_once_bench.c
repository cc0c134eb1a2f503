/*
 * How near to their entropy the differences of real models are coded: LeNet on
 * Fashion-MNIST, ten clients a round with 300 examples each, sketched updates,
 * a published model of which 4 % of the coordinates move in a round. The last
 * of 20 rounds is measured against the one before, and against the tenth
 * before.
 *
 *   range_over_entropy_1, range_over_entropy_10
 *                     a patch's bytes against the memoryless entropy, tensor by
 *                     tensor, of zero flags and sizes, and a bit for each sign
 *   rice_over_entropy_1, rice_over_entropy_10
 *                     Rice-coded gaps against the entropy of the zero flags
 *   patch_1_bytes, patch_10_bytes, packed_bytes
 *
 * The same every time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "compress/compress.h"
#include "compress/update/rice.h"

enum {
    ROUNDS = 20,
    BEHIND = 10,
    CLIENTS = 10,
    ROWS = 300,
    SIZE_MAX_COUNTED = 64,  // larger steps count as this one
};

static const double RELEASE = 0.04, RELATIVE = 0.6;

typedef struct {
    const char *name;
    bool is_sketched;
    fl_dataset *train;
    fl_model *model;
    fl_grid *grid;
    size_t count;
    float *master, *published, *scratch;
    float *history[ROUNDS + 1];
    uint8_t *bytes;
    size_t bytes_cap;
} bench;

static void must(fl_err err, const fl_reason *why)
{
    if (!err) return;
    fprintf(stderr, "patch_once_bench: %s %s\n", fl_err_text(err), why->text);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) exit(1);
    return memory;
}

/* ---- the federation ---- */

static void start(bench *b)
{
    fl_reason why = {""};
    const fl_data_options data = {.spec = "fashion-mnist"};
    must(fl_dataset_open(&b->train, FL_DATA_TRAIN, &data, &why), &why);
    const fl_model_options options = {.name = "lenet",
                                      .input = fl_dataset_shape(b->train),
                                      .class_count = 10,
                                      .seed = 1};
    must(fl_model_new(&b->model, &options, &why), &why);
    must(fl_grid_new(&b->grid, b->model, RELATIVE, &why), &why);
    b->count = fl_model_param_count(b->model);
    b->published = fl_model_params(b->model);
    fl_grid_snap(b->grid, b->published);
    b->master = allocate(b->count, sizeof *b->master);
    b->scratch = allocate(b->count, sizeof *b->scratch);
    memcpy(b->master, b->published, b->count * sizeof *b->master);
    b->bytes_cap = fl_packed_bound(b->model);
    b->bytes = allocate(b->bytes_cap, 1);
}

static fl_codec sketch(const bench *b, uint32_t round)
{
    fl_codec codec = {
        .kind = FL_CODEC_SKETCH,
        .param_count = b->count,
        .density = 0.05F,
        .density_small = 0.25F,
        .clip = 4.0F,
        .weight_max = ROWS,
        .client_cap = CLIENTS,
        .seed = round,
        .per_word = 3,
        .value_max = 1 << 20,
        .step_large = 1e-4F,
        .step_small = 1e-4F,
    };
    fl_layout_init(&codec.layout, b->model, false);
    return codec;
}

static void train(const bench *b, float *update, uint32_t round,
                  uint32_t client, const uint8_t *onnx, size_t onnx_len)
{
    uint32_t rows[ROWS];
    fl_result result;
    fl_reason why = {""};
    const fl_plan plan = {.param_count = b->count,
                          .local_epochs = 1,
                          .batch = 20,
                          .lr = 0.1F,
                          .seed = round,
                          .number = round};
    for (uint32_t i = 0; i < ROWS; i++) {
        rows[i] = ((round * CLIENTS + client) * ROWS + i) % 60000;
    }
    const fl_local_data data = {.model = onnx,
                                .model_len = onnx_len,
                                .dataset = b->train,
                                .rows = rows,
                                .row_count = ROWS,
                                .client = client};
    must(fl_local_work(&result, &plan, &data, &why), &why);
    memcpy(update, result.update, result.update_len);  // little-endian floats
    fl_result_fini(&result);
}

// The sum of the sketches, and what it says of the mean.
typedef struct {
    fl_codec codec;
    size_t words;
    uint64_t *own, *sums;
    float *scratch;
} sketches;

static sketches open_sketches(const bench *b, uint32_t round)
{
    sketches s = {.codec = sketch(b, round)};
    s.words = fl_update_words(&s.codec);
    s.own = allocate(s.words, sizeof *s.own);
    s.sums = allocate(s.words, sizeof *s.sums);
    s.scratch = allocate(fl_update_scratch(&s.codec), sizeof *s.scratch);
    return s;
}

static void add_sketch(sketches *s, const float *update, uint32_t client)
{
    fl_reason why = {""};
    fl_random rounding;
    const fl_update_metrics metrics = {ROWS, 0, 0.0};
    fl_random_init(&rounding, s->codec.seed, FL_RANDOM_ROUNDING, client);
    must(fl_update_encode(s->own, &s->codec, update, &metrics, client,
                          &rounding, s->scratch, &why),
         &why);
    for (size_t i = 0; i < s->words; i++) {
        s->sums[i] += s->own[i];
    }
}

static void close_sketches(sketches *s, float *mean)
{
    fl_reason why = {""};
    fl_update_metrics metrics;
    fl_update_spread spread;
    must(fl_update_decode(mean, &metrics, &spread, &s->codec, s->sums, CLIENTS,
                          s->scratch, &why),
         &why);
    free(s->own);
    free(s->sums);
    free(s->scratch);
}

static void play(bench *b, uint32_t round)
{
    fl_reason why = {""};
    sketches s = open_sketches(b, round);
    float *update = allocate(b->count, sizeof *update);
    float *mean = allocate(b->count, sizeof *mean);
    const size_t onnx_len = fl_model_bytes(b->model);
    uint8_t *onnx = allocate(onnx_len, 1);
    must(fl_model_encode(b->model, onnx, onnx_len), &why);
    for (uint32_t c = 0; c < CLIENTS; c++) {
        train(b, update, round, c, onnx, onnx_len);
        add_sketch(&s, update, c);
        for (size_t i = 0; i < b->count; i++) {
            mean[i] += update[i] / CLIENTS;
        }
    }
    close_sketches(&s, b->is_sketched ? mean : update);
    for (size_t i = 0; i < b->count; i++) {
        b->master[i] += mean[i];
    }
    fl_grid_release(b->grid, b->published, b->master,
                    (size_t)(RELEASE * (double)b->count), b->scratch);
    free(update);
    free(mean);
    free(onnx);
}

/* ---- what its differences weigh ---- */

static double entropy(const size_t *counts, size_t kinds, size_t total)
{
    double bits = 0;
    for (size_t i = 0; i < kinds; i++) {
        const double count = (double)counts[i];
        if (counts[i]) bits -= count * log2(count / (double)total);
    }
    return bits;
}

typedef struct {
    double flags, rest;  // bits of the memoryless code
    double rice;
} weight;

static weight weigh(const bench *b, const float *from, const float *to)
{
    size_t step_count;
    weight sum = {0};
    const float *steps = fl_grid_steps(b->grid, &step_count);
    for (size_t t = 0; t < step_count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(b->model, t);
        size_t flags[2] = {0}, sizes[SIZE_MAX_COUNTED + 1] = {0};
        for (size_t i = 0; i < tensor.count; i++) {
            const size_t at = tensor.offset + i;
            const double moved = (double)(to[at] - from[at]) / (double)steps[t];
            const size_t size = (size_t)lrint(fabs(moved));
            b->scratch[i] = size ? 1.0F : 0.0F;
            flags[size > 0]++;
            if (size) {
                sizes[size < SIZE_MAX_COUNTED ? size : SIZE_MAX_COUNTED]++;
            }
        }
        sum.flags += entropy(flags, 2, tensor.count);
        sum.rest +=
            (double)flags[1] + entropy(sizes, SIZE_MAX_COUNTED + 1, flags[1]);
        fl_writer out = fl_writer_over(b->bytes, b->bytes_cap);
        fl_bits_writer bits = fl_bits_writer_over(&out);
        fl_rice_encode(&bits, b->scratch, tensor.count,
                       fl_rice_fit(b->scratch, tensor.count));
        fl_bits_end(&bits);
        sum.rice += 8.0 * (double)out.len;
    }
    return sum;
}

static void compare(const bench *b, int behind)
{
    fl_reason why = {""};
    size_t len;
    const float *from = b->history[ROUNDS - behind], *to = b->history[ROUNDS];
    const weight bits = weigh(b, from, to);
    must(fl_patch_encode(b->bytes, b->bytes_cap, &len, b->model, b->grid, from,
                         to),
         &why);
    printf("%s_range_%d %.4f ratio\n", b->name, behind,
           8.0 * (double)len / (bits.flags + bits.rest));
    printf("%s_rice_%d %.4f ratio\n", b->name, behind, bits.rice / bits.flags);
    printf("%s_patch_%d %zu B\n", b->name, behind, len);
}

static void measure(const char *name, bool is_sketched)
{
    bench b = {.name = name, .is_sketched = is_sketched};
    fl_reason why = {""};
    size_t len;
    start(&b);
    for (uint32_t round = 0; round <= ROUNDS; round++) {
        if (round > 0) play(&b, round);
        b.history[round] = allocate(b.count, sizeof(float));
        memcpy(b.history[round], b.published, b.count * sizeof(float));
    }
    compare(&b, 1);
    compare(&b, BEHIND);
    must(fl_packed_encode(b.bytes, b.bytes_cap, &len, b.model, b.grid,
                          b.published),
         &why);
    printf("%s_packed %zu B\n", name, len);
    for (uint32_t round = 0; round <= ROUNDS; round++) {
        free(b.history[round]);
    }
    free(b.master);
    free(b.scratch);
    free(b.bytes);
    fl_grid_free(b.grid);
    fl_model_free(b.model);
    fl_dataset_free(b.train);
}

int main(void)
{
    measure("plain", false);
    measure("sketch", true);
    return 0;
}
