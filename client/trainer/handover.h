/*
 * What a trainer is given and what it gives back, as files in its folder.
 *
 *   out   model.onnx, model.safetensors, examples.safetensors, task.json
 *   back  trained.safetensors: the tensors of model.safetensors, trained
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_HANDOVER_H
#define FL_CLIENT_TRAINER_HANDOVER_H

#include "client/client.h"
#include "client/trainer/talk.h"
#include "client/trainer/workdir.h"

/*
 * Writes all that the job says; `params` are the model's. FL_ERR_SYSTEM: the
 * disk. FL_ERR_MEMORY. FL_ERR_LIMIT: a model of more tensors than a file has.
 */
FL_CHECK fl_err fl_handover_give(const fl_workdir *dir, const fl_local_job *job,
                                 const float *params, const fl_talk_task *task,
                                 fl_reason *why);

/*
 * Replaces `params`, from which the trainer has started, by what it has made of
 * them. Statistics stay where the plan freezes them. FL_ERR_NOT_FOUND: nothing.
 * FL_ERR_FORMAT, FL_ERR_LIMIT, FL_ERR_UNSUPPORTED: no such file, or others than
 * the model's names, shapes and float32. FL_ERR_RANGE: NaN, infinite, a
 * variance below 0, or further from where it has started than the plan's
 * largest change of each parameter makes. FL_ERR_SYSTEM. FL_ERR_MEMORY. After
 * an error `params` are undefined.
 */
FL_CHECK fl_err fl_handover_take(float *params, const fl_workdir *dir,
                                 const fl_local_job *job, fl_reason *why);

#endif
