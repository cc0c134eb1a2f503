/*
 * Training on this machine, as several commands do it: their options, both
 * parts of the dataset, a teacher, a progress line and an end on Ctrl-C.
 *
 *   fl_training_init --open--> run, measure, run, ... --> close
 *
 * Models come and go: each run compiles one, trains it in place, and forgets
 * it, so that commands may change its shape in between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_TRAINING_H
#define FL_COMPRESS_TRAINING_H

#include "base/progress.h"
#include "base/random.h"
#include "compress/model/tune.h"
#include "compress/tool.h"

enum { FL_TRAINING_OPTIONS = 20 };  // that fl_training_list adds

typedef struct {
    const fl_tool *tool;
    fl_dataset *train, *test;
    uint32_t *rows;  // 0, 1, 2, ... as many as the larger part has
    fl_model *teacher;
    fl_trainer *teaching;
    fl_train_options options;  // a command may change them between runs
    fl_random random;          // of the order of rows, run after run
    fl_progress progress;
    uint64_t steps_an_epoch;
} fl_training;

/*
 * Appends the options of training. `lr` is the command's own rate, with its
 * own default: what begins and what goes on want different ones.
 */
size_t fl_training_list(fl_option *table, size_t count, fl_tool *tool,
                        double *lr);

/*
 * Reads the options; nothing to close yet. FL_ERR_RANGE: one is none of its
 * words: wrong usage.
 */
FL_CHECK fl_err fl_training_init(fl_training *training, const fl_tool *tool,
                                 double lr, fl_reason *why);

/* Opens the dataset and the teacher. Close it also after an error. */
FL_CHECK fl_err fl_training_open(fl_training *training, fl_reason *why);
void fl_training_close(fl_training *training);

/*
 * How to train, for those who do it themselves: all rows of the training part,
 * and the line on standard error, which fl_progress_finish ends. *training is
 * borrowed.
 */
fl_tune_options fl_training_tune(fl_training *training);

/*
 * Trains the model's parameters in place for `epochs` passes over the training
 * part, as fl_tune_model does. FL_ERR_CANCELLED: Ctrl-C;
 * what was learned is kept.
 */
FL_CHECK fl_err fl_training_run(fl_training *training, fl_model *model,
                                uint32_t epochs, fl_reason *why);

/*
 * The same for a model that has been made smaller and is to learn again:
 * without a dataset nothing happens, and Ctrl-C sets *is_stopped.
 */
FL_CHECK fl_err fl_training_recover(fl_training *training, fl_model *model,
                                    bool *is_stopped, fl_reason *why);

/* Measures it on the test part. */
FL_CHECK fl_err fl_training_measure(const fl_training *training,
                                    fl_metrics *metrics, const fl_model *model,
                                    fl_reason *why);

/* The same of a quantised one. */
FL_CHECK fl_err fl_training_measure_int8(const fl_training *training,
                                         fl_metrics *metrics,
                                         const fl_int8_model *quantized,
                                         fl_reason *why);

#endif
