/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "client/disk.h"

static fl_err open_traffic(fl_watch *watch, const char *folder, fl_reason *why)
{
    const fl_err err = fl_traffic_open(&watch->traffic, folder, why);
    if (err != FL_ERR_FORMAT) return err;
    fl_log(FL_LOG_WARN, "traffic_lost", "why=%s", why->text);
    return FL_OK;
}

fl_err fl_watch_open(fl_watch *watch, const fl_rules *rules, const char *folder,
                     fl_reason *why)
{
    fl_eligibility_options options;
    fl_metered metered;
    *watch = (fl_watch){.every_ms = (int64_t)rules->look_s * 1000,
                        .next_ms = INT64_MIN};
    FL_TRY(fl_rules_read(&options, &metered, rules, why));
    FL_TRY(fl_sensors_init(&watch->sensors, rules->sensors_root, metered, why));
    fl_eligibility_init(&watch->eligibility, &options);
    return open_traffic(watch, folder, why);
}

fl_err fl_watch_follow(fl_watch *watch, const fl_rules *rules, fl_reason *why)
{
    fl_eligibility_options options;
    fl_metered metered;
    FL_TRY(fl_rules_read(&options, &metered, rules, why));
    watch->sensors.metered = metered;
    watch->every_ms = (int64_t)rules->look_s * 1000;
    watch->next_ms = INT64_MIN;
    fl_eligibility_limit(&watch->eligibility, &options);
    return FL_OK;
}

static void count_bytes(fl_watch *watch, uint64_t bytes, int64_t wall_s)
{
    fl_reason why;
    fl_disk_report(fl_traffic_count(&watch->traffic, bytes, wall_s, &why),
                   "traffic", &why);
}

void fl_watch_close(fl_watch *watch, uint64_t bytes)
{
    fl_reason why;
    if (watch->every_ms == 0) return;  // never opened
    count_bytes(watch, bytes, fl_clock_wall_ms() / 1000);
    fl_disk_report(fl_traffic_close(&watch->traffic, &why), "traffic", &why);
}

// Once for each number of them: a sensor may be broken for years.
static void log_faults(fl_watch *watch)
{
    const fl_sensors *sensors = &watch->sensors;
    if (sensors->fault_count == watch->fault_count) return;
    watch->fault_count = sensors->fault_count;
    if (sensors->fault_count == 0) return;
    fl_log(FL_LOG_WARN, "sensors_broken", "count=%u first=%s",
           sensors->fault_count, sensors->faults[0]);
}

bool fl_watch_look(fl_watch *watch, const fl_watch_self *self)
{
    fl_sample sample;
    if (self->now_ms < watch->next_ms) return false;
    const int64_t wall_s = fl_clock_wall_ms() / 1000;
    watch->next_ms = self->now_ms + watch->every_ms;
    count_bytes(watch, self->bytes, wall_s);
    fl_sensors_read(&watch->sensors, &sample, self->own_tasks);
    log_faults(watch);
    sample.bytes = (double)watch->traffic.bytes;
    sample.samples = (double)self->samples;
    sample.trainer_rest_s = (double)self->trainer_rest_ms / 1000;
    sample.trainer_failures = self->trainer_failures;
    return fl_eligibility_look(&watch->eligibility, &sample, self->now_ms,
                               wall_s);
}

int64_t fl_watch_deadline(const fl_watch *watch)
{
    return watch->next_ms;
}

fl_away fl_watch_away(const fl_watch *watch)
{
    return fl_eligibility_away(&watch->eligibility);
}
