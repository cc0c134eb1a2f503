/* SPDX-License-Identifier: Apache-2.0 */
#include "client/jobs.h"

#include "base/memory.h"

enum { LOOK_MS = 10000 };  // between two looks for data

fl_err fl_jobs_open(fl_jobs *jobs, const fl_service_options *options,
                    fl_state *state, uint64_t number, fl_reason *why)
{
    jobs->options = options;
    jobs->state = state;
    jobs->number = number;
    FL_TRY(fl_external_init(&jobs->external, &options->trainer, options->state,
                            options->data.dataset, why));
    FL_TRY(fl_feed_open(&jobs->feed, options, number, why));
    // Of data that grows they are not sure before a model has as many.
    if (!fl_feed_grows(&jobs->feed)) fl_feed_keep_classes(&jobs->feed, state);
    if (!fl_gate_init(&jobs->gate)) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory for a gate");
}

fl_err fl_jobs_start(fl_jobs *jobs, fl_net *net)
{
    jobs->net = net;
    return fl_pool_new(&jobs->pool, 1);
}

void fl_jobs_close(fl_jobs *jobs)
{
    fl_pool_free(jobs->pool);
    fl_result_fini(&jobs->training.result);
    fl_gate_fini(&jobs->gate);
    fl_installer_fini(&jobs->installer);
    fl_external_fini(&jobs->external);
    fl_feed_close(&jobs->feed);
}

static fl_local_data data_of(const fl_jobs *jobs,
                             const fl_client_effect *effect)
{
    fl_local_data data = {
        .model = effect->bytes,
        .model_len = effect->len,
        .ranges = effect->ranges,
        .ranges_len = effect->ranges_len,
        .client = jobs->number,
        .trainer = fl_external_trainer(&jobs->external),
        .thread_count = (uint32_t)jobs->options->rules.threads,
    };
    fl_feed_lend(&jobs->feed, &data);
    return data;
}

static void post_done(fl_job *job)
{
    const fl_jobs *jobs = job->owner;
    (void)!fl_net_post(jobs->net, job);
}

static void submit(fl_jobs *jobs, fl_job *job)
{
    job->owner = jobs;
    job->done = post_done;
    fl_pool_submit(jobs->pool, job);
}

/* ---- looking for data ---- */

static void begin_look(fl_jobs *jobs)
{
    const fl_local_data *data = &jobs->training.data;
    jobs->is_looking = true;
    fl_feed_begin(&jobs->feed, jobs->awaits_data ? data->model : NULL,
                  jobs->awaits_data ? data->model_len : 0);
    submit(jobs, &jobs->feed.job);
}

void fl_jobs_seek(fl_jobs *jobs)
{
    if (!fl_feed_grows(&jobs->feed) || jobs->is_looking || jobs->is_training ||
        jobs->feed.stock.row_count >= jobs->options->rules.min_samples ||
        fl_net_now(jobs->net) < jobs->look_at_ms) {
        return;
    }
    begin_look(jobs);
}

/* ---- training ---- */

void fl_jobs_train(fl_jobs *jobs, const fl_client_effect *effect)
{
    const fl_local_data data = data_of(jobs, effect);
    fl_training_begin(&jobs->training, &jobs->gate, effect, &data);
    jobs->is_training = true;
    jobs->has_given_up = false;
    jobs->awaits_data = fl_feed_grows(&jobs->feed);
    if (!jobs->awaits_data) {
        submit(jobs, &jobs->training.job);
    } else if (!jobs->is_looking) {
        begin_look(jobs);
    }
}

static bool end_training(fl_jobs *jobs, fl_client_event *event)
{
    fl_training *t = &jobs->training;
    jobs->is_training = false;
    *event = (fl_client_event){.kind = FL_CLIENT_TRAINED,
                               .result = &t->result,
                               .err = t->err,
                               .why = t->why.text};
    return true;
}

// The engine's work, or the trainer's, is over; not that it never began.
static bool end_work(fl_jobs *jobs, fl_client_event *event)
{
    const fl_training *t = &jobs->training;
    if (t->result.footprint.bytes > 0) jobs->footprint = t->result.footprint;
    if (t->plan.work == FL_WORK_TRAIN) {
        fl_external_note(&jobs->external, t->err, &t->why,
                         fl_net_now(jobs->net));
    }
    return end_training(jobs, event);
}

// The training begins with the new rows, if the model can learn from them.
static bool end_look(fl_jobs *jobs, fl_client_event *event)
{
    fl_training *t = &jobs->training;
    const bool was_for_training = jobs->feed.model != NULL;
    jobs->is_looking = false;
    jobs->look_at_ms = fl_net_now(jobs->net) + LOOK_MS;
    const fl_err err =
        fl_feed_finish(&jobs->feed, jobs->is_installing, &t->why);
    if (!jobs->awaits_data) return false;
    if (!was_for_training) {  // it came in the meantime
        begin_look(jobs);
        return false;
    }
    jobs->awaits_data = false;
    if (err) {
        t->err = err;
        return end_training(jobs, event);
    }
    fl_feed_lend(&jobs->feed, &t->data);
    fl_feed_keep_classes(&jobs->feed, jobs->state);
    submit(jobs, &t->job);
    return false;
}

/* ---- the INT8 form ---- */

void fl_jobs_install(fl_jobs *jobs, const fl_client_effect *effect)
{
    const fl_local_data data = data_of(jobs, effect);
    fl_installer_begin(&jobs->installer, jobs->options->state, effect, &data,
                       jobs->options->max_drop);
    jobs->installer.gate = &jobs->gate;
    jobs->is_installing = true;
    submit(jobs, &jobs->installer.job);
}

static bool end_install(fl_jobs *jobs, fl_client_event *event)
{
    jobs->is_installing = false;
    fl_installer_finish(&jobs->installer, jobs->state, event);
    return true;
}

/* ---- what is done ---- */

bool fl_jobs_take(fl_jobs *jobs, const void *posted, fl_client_event *event)
{
    if (posted == &jobs->installer) return end_install(jobs, event);
    if (posted == &jobs->feed) return end_look(jobs, event);
    return end_work(jobs, event);
}

void fl_jobs_settle(fl_jobs *jobs)
{
    if (!jobs->is_installing) {
        fl_installer_fini(&jobs->installer);
        fl_feed_release(&jobs->feed);
    }
    fl_memory_trim();  // others on the board need what the worker took
}

/* ---- while they go on ---- */

void fl_jobs_pause(fl_jobs *jobs, bool is_paused)
{
    fl_gate_set(&jobs->gate, is_paused);
    if (!jobs->is_training) return;
    if (is_paused) fl_training_pause(&jobs->training);
    fl_log(FL_LOG_INFO, is_paused ? "paused" : "resumed", "round=%u",
           jobs->training.plan.round);
}

void fl_jobs_cancel(fl_jobs *jobs)
{
    fl_training_stop(&jobs->training);
}

void fl_jobs_give_up(fl_jobs *jobs)
{
    jobs->has_given_up = true;
}

int64_t fl_jobs_patience(const fl_jobs *jobs, int64_t end_ms)
{
    if (!jobs->is_training || jobs->has_given_up) return INT64_MAX;
    return fl_training_latest(&jobs->training, end_ms);
}

bool fl_jobs_are_stuck(const fl_jobs *jobs)
{
    return jobs->is_training &&
           fl_training_is_stuck(&jobs->training, fl_net_now(jobs->net));
}

/* ---- leaving ---- */

void fl_jobs_leave(fl_jobs *jobs)
{
    if (jobs->is_training) fl_training_stop(&jobs->training);
    if (jobs->is_installing) atomic_store(&jobs->installer.stop, true);
    if (jobs->is_looking) atomic_store(&jobs->feed.stop, true);
    if (jobs->awaits_data) jobs->is_training = false;  // it never began
    fl_gate_knock(&jobs->gate);
}

void fl_jobs_forget(fl_jobs *jobs, const void *posted)
{
    if (posted == &jobs->training) jobs->is_training = false;
    if (posted == &jobs->installer) jobs->is_installing = false;
    if (posted == &jobs->feed) jobs->is_looking = false;
}

bool fl_jobs_are_busy(const fl_jobs *jobs)
{
    return jobs->is_training || jobs->is_installing || jobs->is_looking;
}
