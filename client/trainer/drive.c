/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/drive.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/trainer/lines.h"

enum {
    TICK_MS = 100,
    LAST_TICK_MS = 10,  // it has closed its output: it ends at any moment
    TELL_MS = 1000,     // from one word about its progress to the next
    LEAVE_MS = 2000,    // for it to end, when it is done
    PIECE_CAP = 4096,
    PIECES_MAX = 32,  // at once; more than a pipe holds
};

typedef struct {
    const fl_child *child;
    const fl_local_data *data;
    int output_fd, log_fd;  // its standard output and error; -1: closed
    fl_lines output, log;
    fl_reason said;  // to people, last
    uint32_t log_count;
    fl_talk_report report;
    uint64_t step, step_count;
    bool has_news;  // of its steps
    bool is_over;   // done, or failed
    int64_t worked_ms, resumed_ms, told_ms;
    fl_reason *why;
} drive;

/* ---- what it says ---- */

static fl_err take_log(void *self, const fl_lines *line)
{
    drive *d = self;
    if (line->len == 0) return FL_OK;
    (void)!fl_reason_set(&d->said, FL_OK, "%.200s", line->text);
    if (d->log_count == FL_DRIVE_LOG_LINES_MAX) return FL_OK;
    if (++d->log_count < FL_DRIVE_LOG_LINES_MAX) {
        fl_log(FL_LOG_INFO, "trainer_says", "text=%s", line->text);
    } else {
        fl_log(FL_LOG_WARN, "trainer_says_too_much", "lines=%u", d->log_count);
    }
    return FL_OK;
}

static fl_err take_report(void *self, const fl_lines *line)
{
    drive *d = self;
    fl_talk_report *report = &d->report;
    if (d->is_over || line->len == 0) return FL_OK;
    if (line->is_cut) {
        return fl_reason_set(d->why, FL_ERR_LIMIT,
                             "its standard output has a line of more than %d "
                             "bytes",
                             FL_LINES_CAP);
    }
    FL_TRY(fl_talk_decode(report, line->text, line->len, d->why));
    d->is_over = report->kind != FL_TALK_PROGRESS;
    if (report->kind == FL_TALK_FAILED) {
        return fl_reason_set(d->why, FL_ERR_STATE, "it has failed: %s",
                             report->why.text);
    }
    if (report->kind == FL_TALK_PROGRESS) {
        d->step = report->step;
        d->step_count = report->step_count;
        d->has_news = true;
    }
    return FL_OK;
}

// Not for ever: a flood must not keep us from looking at the clock.
static fl_err read_end(drive *d, int *fd, fl_lines *lines,
                       fl_err (*take)(void *self, const fl_lines *line))
{
    char piece[PIECE_CAP];
    for (int i = 0; i < PIECES_MAX && *fd >= 0; i++) {
        const ssize_t len = read(*fd, piece, sizeof piece);
        if (len < 0 && errno == EINTR) continue;
        if (len < 0 && errno == EAGAIN) return FL_OK;
        if (len <= 0) {
            *fd = -1;
            return fl_lines_finish(lines, take, d);
        }
        FL_TRY(fl_lines_add(lines, piece, (size_t)len, take, d));
        // One that never ends its line would fill nothing but time.
        if (lines->is_cut && take == take_report) return take(d, lines);
    }
    return FL_OK;
}

static fl_err hear(drive *d, bool is_all)
{
    struct pollfd ends[] = {{.fd = d->output_fd, .events = POLLIN},
                            {.fd = d->log_fd, .events = POLLIN}};
    int wait_ms = d->output_fd < 0 ? LAST_TICK_MS : TICK_MS;
    if (is_all) wait_ms = 0;
    (void)poll(ends, 2, wait_ms);
    FL_TRY(read_end(d, &d->log_fd, &d->log, take_log));
    return read_end(d, &d->output_fd, &d->output, take_report);
}

/* ---- time ---- */

static void count_time(drive *d)
{
    const int64_t now_ms = fl_clock_monotonic_ms();
    d->worked_ms += now_ms - d->resumed_ms;
    d->resumed_ms = now_ms;
}

static bool is_set(const atomic_bool *flag)
{
    return flag && atomic_load(flag);
}

// on_step may wait for hours, for the gate may close at any moment. So it
// stands still whenever that is called.
static void tell(drive *d)
{
    const fl_local_data *data = d->data;
    const bool is_due = d->has_news && d->resumed_ms - d->told_ms >= TELL_MS;
    if (!data->on_step || (!is_due && !is_set(data->is_paused))) return;
    d->has_news = false;
    fl_child_pause(d->child, true);
    data->on_step(data->on_step_self, d->step, d->step_count);
    fl_child_pause(d->child, false);
    d->told_ms = d->resumed_ms = fl_clock_monotonic_ms();
}

/* ---- all together ---- */

static fl_err say_ended(const drive *d, const fl_reason *how)
{
    if (d->said.text[0] == 0) {
        return fl_reason_set(d->why, FL_ERR_CLOSED,
                             "it ended with %s before it was done", how->text);
    }
    return fl_reason_set(d->why, FL_ERR_CLOSED,
                         "it ended with %s before it was done; it said last: "
                         "%s",
                         how->text, d->said.text);
}

static fl_err follow(drive *d, int64_t limit_ms)
{
    fl_reason how;
    for (;;) {
        // Asked before it is heard: then that was all it has said.
        const bool has_ended = fl_child_has_ended(d->child, &how);
        FL_TRY(hear(d, has_ended));
        if (d->is_over) return FL_OK;
        if (has_ended) return say_ended(d, &how);
        if (is_set(d->data->stop)) {
            return fl_reason_set(d->why, FL_ERR_CANCELLED,
                                 "stopped on request");
        }
        count_time(d);
        if (d->worked_ms > limit_ms) {
            return fl_reason_set(d->why, FL_ERR_TIMEOUT,
                                 "it is not done after %.1f s",
                                 (double)limit_ms / 1000);
        }
        tell(d);
    }
}

// What it says to people at its end is logged, too.
static void let_leave(drive *d)
{
    fl_reason how;
    const int64_t until_ms = fl_clock_monotonic_ms() + LEAVE_MS;
    bool has_ended = false;
    while (!has_ended && fl_clock_monotonic_ms() < until_ms) {
        has_ended = fl_child_has_ended(d->child, &how);
        if (hear(d, has_ended)) return;
    }
}

fl_err fl_drive_run(fl_talk_report *report, const fl_child *child,
                    const fl_local_data *data, int64_t limit_ms, fl_reason *why)
{
    drive d = {.child = child,
               .data = data,
               .output_fd = child->output,
               .log_fd = child->log,
               .resumed_ms = fl_clock_monotonic_ms(),
               .why = why};
    FL_TRY(follow(&d, limit_ms));
    let_leave(&d);
    *report = d.report;
    return FL_OK;
}
