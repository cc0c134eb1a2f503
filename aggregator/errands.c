/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/errands.h"

fl_err fl_errands_init(fl_errands *errands, fl_net *net, unsigned thread_count,
                       fl_reason *why)
{
    *errands = (fl_errands){.net = net, .thread_count = thread_count};
    if (fl_pool_new(&errands->workers, thread_count) ||
        fl_pool_new(&errands->background, 1)) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "cannot start a thread");
    }
    return FL_OK;
}

void fl_errands_fini(fl_errands *errands)
{
    fl_pool_free(errands->background);
    fl_pool_free(errands->workers);
    fl_evaluation_free(errands->evaluation);
    *errands = (fl_errands){.net = NULL};
}

fl_err fl_errands_prepare(fl_errands *errands, const fl_dataset *test,
                          const fl_model *model, fl_reason *why)
{
    return fl_evaluation_new(&errands->evaluation, errands->workers,
                             errands->thread_count, test, model, why);
}

/* ---- measuring ---- */

static void measure(fl_job *job)
{
    fl_errand_measure *m = (fl_errand_measure *)(void *)job;
    fl_evaluation *evaluation = m->errands->evaluation;
    m->err =
        fl_evaluation_run(evaluation, &m->metrics, m->asked.model, &m->why);
    if (m->err || !m->asked.bytes) return;
    m->int8_err =
        fl_evaluation_run_int8(evaluation, &m->int8_metrics, m->asked.model,
                               m->asked.bytes, m->asked.len, &m->why);
    if (m->int8_err) m->int8_metrics = (fl_metrics){0};
}

static void measured(fl_job *job)
{
    fl_errand_measure *m = (fl_errand_measure *)(void *)job;
    (void)!fl_net_post(m->errands->net, m);
}

void fl_errands_measure(fl_errands *errands, const fl_aggregator_effect *effect)
{
    errands->measure =
        (fl_errand_measure){.job = {.run = measure, .done = measured},
                            .errands = errands,
                            .asked = *effect};
    errands->is_measuring = true;
    fl_pool_submit(errands->background, &errands->measure.job);
}

/* ---- unmasking ---- */

static void unmask(fl_job *job)
{
    fl_errand_unmask *u = (fl_errand_unmask *)(void *)job;
    u->err = fl_secagg_unmask(u->secagg, u->errands->thread_count, &u->why);
}

static void unmasked(fl_job *job)
{
    fl_errand_unmask *u = (fl_errand_unmask *)(void *)job;
    (void)!fl_net_post(u->errands->net, u);
}

void fl_errands_unmask(fl_errands *errands, fl_secagg *secagg)
{
    errands->unmask =
        (fl_errand_unmask){.job = {.run = unmask, .done = unmasked},
                           .errands = errands,
                           .secagg = secagg};
    errands->is_unmasking = true;
    fl_pool_submit(errands->background, &errands->unmask.job);
}

/* ---- results ---- */

bool fl_errands_end(fl_errands *errands, const void *posted,
                    fl_aggregator_event *event)
{
    if (posted == &errands->unmask) {
        errands->is_unmasking = false;
        *event = (fl_aggregator_event){.kind = FL_AGGREGATOR_UNMASKED,
                                       .err = errands->unmask.err,
                                       .why = errands->unmask.why.text};
        return true;
    }
    if (posted != &errands->measure) return false;
    const fl_errand_measure *m = &errands->measure;
    errands->is_measuring = false;
    if (m->err || m->int8_err) {
        fl_log(FL_LOG_ERROR, "evaluation_failed", "why=%s", m->why.text);
    }
    *event = (fl_aggregator_event){.kind = FL_AGGREGATOR_EVALUATED,
                                   .metrics = m->metrics,
                                   .int8_metrics = m->int8_metrics,
                                   .err = m->err};
    return true;
}

bool fl_errands_is_busy(const fl_errands *errands)
{
    return errands->is_measuring || errands->is_unmasking;
}
