/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/master.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static const char label[12] = "fedge-master";  // without its final 0
enum {
    VERSION = 1,
    HEAD_BYTES = sizeof label + 4 * sizeof(uint32_t) + 3 * sizeof(uint64_t),
};

struct fl_master {
    size_t param_count;
    double release;
    fl_grid *grid;  // NULL: published is the master
    fl_master_scale scale;
    float *params;
};

void fl_master_free(fl_master *master)
{
    if (!master) return;
    fl_grid_free(master->grid);
    free(master->params);
    free(master);
}

static fl_err check_release(double release, fl_reason *why)
{
    if (release > 0 && release <= 1) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "release: %g; the share of coordinates that a round "
                         "moves must be above 0 and at most 1",
                         release);
}

// Room for this model's parameters, no grid yet. NULL: no memory.
static fl_master *make(const fl_model *model, double release)
{
    const size_t count = fl_model_param_count(model);
    fl_master *master = calloc(1, sizeof *master);
    if (!master) return NULL;
    master->param_count = count;
    master->release = release;
    master->params = malloc(count * sizeof *master->params + 1);
    if (!master->params) {
        fl_master_free(master);
        return NULL;
    }
    return master;
}

static fl_err no_memory(const fl_model *model, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_MEMORY,
                         "no memory for a master model of %zu parameters",
                         fl_model_param_count(model));
}

fl_err fl_master_new(fl_master **master, fl_model *model, double relative_step,
                     double release, fl_reason *why)
{
    FL_TRY(check_release(release, why));
    fl_master *made = make(model, release);
    if (!made) return no_memory(model, why);
    float *params = fl_model_params(model);
    if (relative_step != 0) {  // NaN is a step that fl_grid_new refuses
        const fl_err err = fl_grid_new(&made->grid, model, relative_step, why);
        if (err) {
            fl_master_free(made);
            return err;
        }
        fl_grid_snap(made->grid, params);
    }
    memcpy(made->params, params, made->param_count * sizeof *params);
    *master = made;
    return FL_OK;
}

/* ---- bytes ---- */

static size_t step_count(const fl_master *master)
{
    size_t count = 0;
    if (master->grid) (void)fl_grid_steps(master->grid, &count);
    return count;
}

size_t fl_master_bytes(const fl_master *master)
{
    return HEAD_BYTES + (step_count(master) + master->param_count) * 4;
}

static void write_double(fl_writer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    fl_writer_u64(out, bits);
}

static void write_floats(fl_writer *out, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        fl_writer_u32(out, bits);
    }
}

fl_err fl_master_encode(const fl_master *master, uint32_t round, uint8_t *dst,
                        size_t dst_cap)
{
    size_t steps_len = 0;
    const float *steps =
        master->grid ? fl_grid_steps(master->grid, &steps_len) : NULL;
    fl_writer out = fl_writer_over(dst, dst_cap);
    fl_writer_bytes(&out, label, sizeof label);
    fl_writer_u32(&out, VERSION);
    fl_writer_u32(&out, round);
    fl_writer_u32(&out, master->scale.clients);
    fl_writer_u32(&out, (uint32_t)steps_len);
    fl_writer_u64(&out, master->param_count);
    write_double(&out, master->scale.rms[0]);
    write_double(&out, master->scale.rms[1]);
    write_floats(&out, steps, steps_len);
    write_floats(&out, master->params, master->param_count);
    return fl_writer_finish(&out);
}

static fl_err malformed(fl_reason *why, const char *detail)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "the master model is malformed (%s); restore the "
                         "state folder from a backup, or move it away to start "
                         "anew",
                         detail);
}

typedef struct {
    uint32_t round, step_count;
    uint64_t param_count;
    fl_master_scale scale;
} head;

static double read_double(fl_reader *in)
{
    const uint64_t bits = fl_reader_u64(in);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static fl_err read_head(head *found, fl_reader *in, fl_reason *why)
{
    const uint8_t *name = fl_reader_bytes(in, sizeof label);
    if (!name || memcmp(name, label, sizeof label) != 0) {
        return malformed(why, "it does not begin as one");
    }
    const uint32_t version = fl_reader_u32(in);
    if (!in->failed && version != VERSION) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "the master model has version %u, this fedge "
                             "knows %d; install the version that wrote it",
                             version, VERSION);
    }
    found->round = fl_reader_u32(in);
    found->scale.clients = fl_reader_u32(in);
    found->step_count = fl_reader_u32(in);
    found->param_count = fl_reader_u64(in);
    found->scale.rms[0] = read_double(in);
    found->scale.rms[1] = read_double(in);
    return in->failed ? malformed(why, "it is cut") : FL_OK;
}

static bool is_spread(double rms)
{
    return rms >= 0 && isfinite(rms);
}

static fl_err check_head(const head *found, const fl_model *model,
                         uint32_t round, size_t left, fl_reason *why)
{
    const size_t tensor_count = fl_model_tensor_count(model);
    const size_t param_count = fl_model_param_count(model);
    if (found->round != round) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the master model is of round %u, the published "
                             "one of round %u; restore the state folder from "
                             "one backup",
                             found->round, round);
    }
    if (found->param_count != param_count ||
        (found->step_count != 0 && found->step_count != tensor_count)) {
        return fl_reason_set(
            why, FL_ERR_FORMAT,
            "the master model has %llu parameters and %u steps, the published "
            "one %zu and %zu; restore the state folder from one backup",
            (unsigned long long)found->param_count, found->step_count,
            param_count, tensor_count);
    }
    if (left != (found->step_count + param_count) * 4) {
        return malformed(why, "not as long as it says");
    }
    if (!is_spread(found->scale.rms[0]) || !is_spread(found->scale.rms[1])) {
        return malformed(why, "the spread of its sum");
    }
    return FL_OK;
}

// Whether all of them are finite.
static bool read_floats(float *values, size_t count, fl_reader *in)
{
    bool is_finite = true;
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = fl_reader_u32(in);
        memcpy(&values[i], &bits, sizeof bits);
        is_finite = is_finite && isfinite(values[i]);
    }
    return is_finite;
}

static fl_err read_grid(fl_master *master, const fl_model *model, size_t count,
                        fl_reader *in, fl_reason *why)
{
    if (count == 0) return FL_OK;
    float *steps = malloc(count * sizeof *steps);
    if (!steps) return no_memory(model, why);
    (void)read_floats(steps, count, in);  // NaN is no step, either
    const fl_err err = fl_grid_restore(&master->grid, model, steps, count, why);
    free(steps);
    return err == FL_ERR_RANGE ? malformed(why, "its steps") : err;
}

fl_err fl_master_decode(fl_master **master, const fl_model *model,
                        uint32_t round, double release, const uint8_t *src,
                        size_t src_len, fl_reason *why)
{
    fl_reader in = fl_reader_over(src, src_len);
    head found = {.round = 0};
    FL_TRY(read_head(&found, &in, why));
    FL_TRY(check_head(&found, model, round, in.left, why));

    FL_TRY(check_release(release, why));
    fl_master *made = make(model, release);
    if (!made) return no_memory(model, why);
    made->scale = found.scale;
    fl_err err = read_grid(made, model, found.step_count, &in, why);
    if (!err && !read_floats(made->params, made->param_count, &in)) {
        err = malformed(why, "a parameter that is NaN or infinite");
    }
    if (err) {
        fl_master_free(made);
        return err;
    }
    *master = made;
    return FL_OK;
}

size_t fl_master_len(const uint8_t *src, size_t src_len)
{
    head found = {.round = 0};
    fl_reader in = fl_reader_over(src, src_len);
    if (read_head(&found, &in, NULL)) return src_len;
    const uint64_t count = found.param_count + found.step_count;
    if (found.param_count > FL_MODEL_PARAMS_MAX || in.left / 4 < count) {
        return src_len;
    }
    return HEAD_BYTES + (size_t)count * 4;
}

/* ---- rounds ---- */

float *fl_master_params(fl_master *master)
{
    return master->params;
}

const fl_grid *fl_master_grid(const fl_master *master)
{
    return master->grid;
}

void fl_master_add(fl_master *master, const fl_model *model, const float *mean)
{
    float *params = master->params;
    fl_model_variances_to_squares(model, params);
    for (size_t i = 0; i < master->param_count; i++) {
        params[i] += mean[i];
    }
    fl_model_squares_to_variances(model, params);
}

static size_t copy_all(const fl_master *master, float *published)
{
    size_t moved = 0;
    for (size_t i = 0; i < master->param_count; i++) {
        moved += published[i] != master->params[i];
        published[i] = master->params[i];
    }
    return moved;
}

size_t fl_master_release(const fl_master *master, float *published,
                         float *scratch)
{
    if (!master->grid) return copy_all(master, published);
    const double share = master->release * (double)master->param_count;
    const size_t count = share < 1 ? 1 : (size_t)lround(share);
    return fl_grid_release(master->grid, published, master->params, count,
                           scratch);
}

fl_err fl_master_shrink(fl_master **shrunk, const fl_master *master,
                        const fl_model *smaller, const uint32_t *from,
                        fl_reason *why)
{
    fl_master *made = make(smaller, master->release);
    if (!made) return no_memory(smaller, why);
    if (master->grid) {
        size_t count;
        const float *steps = fl_grid_steps(master->grid, &count);
        const fl_err err =
            fl_grid_restore(&made->grid, smaller, steps, count, why);
        if (err) {
            fl_master_free(made);
            return err;
        }
    }
    for (size_t i = 0; i < made->param_count; i++) {
        made->params[i] = master->params[from[i]];
    }
    *shrunk = made;
    return FL_OK;
}

fl_master_scale fl_master_get_scale(const fl_master *master)
{
    return master->scale;
}

void fl_master_set_scale(fl_master *master, const fl_master_scale *scale)
{
    master->scale = *scale;
    for (size_t i = 0; i < 2; i++) {
        double *rms = &master->scale.rms[i];
        if (!is_spread(*rms)) *rms = 0;
    }
}
