/*
 * What a client and a trainer of the owner's say to each other: one JSON object
 * a line (docs/trainer.md).
 *
 *   client --(task)--> standard input of the trainer
 *   client <--(progress, ..., then done or failed)-- its standard output
 *
 * Private to client/. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_TALK_H
#define FL_CLIENT_TRAINER_TALK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "data/data.h"
#include "proto/proto.h"

enum { FL_TALK_VERSION = 1 };

/* Files in the trainer's folder. */
#define FL_TALK_TASK     "task.json"
#define FL_TALK_MODEL    "model.safetensors"
#define FL_TALK_GRAPH    "model.onnx"
#define FL_TALK_EXAMPLES "examples.safetensors"
#define FL_TALK_RESULT   "trained.safetensors"

typedef struct {
    const fl_plan *plan;
    uint64_t seed;     // of all that the trainer draws; below 2^53
    uint64_t seconds;  // that it has
    uint32_t threads;
    uint32_t row_count, class_count;
    fl_shape input;
    const char *dataset;  // what --dataset says, for trainers that read it
} fl_talk_task;

/* The line, without newline. The caller frees *line. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_talk_encode(char **line, const fl_talk_task *task);

typedef enum {
    FL_TALK_PROGRESS,  // step, step_count
    FL_TALK_DONE,      // example_count, loss, accuracy; the result is there
    FL_TALK_FAILED,    // why
} fl_talk_kind;

typedef struct {
    fl_talk_kind kind;
    uint64_t step, step_count;
    uint64_t example_count;  // that it has trained on, at least 1
    double loss;             // finite
    double accuracy;         // 0 to 1
    fl_reason why;
} fl_talk_report;

/*
 * Reads a line of a trainer. FL_ERR_FORMAT: no JSON object, or one without what
 * its kind needs. FL_ERR_UNSUPPORTED: of another version. FL_ERR_RANGE: a
 * number that cannot be.
 */
FL_CHECK fl_err fl_talk_decode(fl_talk_report *report, const char *line,
                               size_t len, fl_reason *why);

#endif
