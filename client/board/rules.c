/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/rules.h"

#include <string.h>

#include "base/team.h"

static const double BATTERY_STEP = 10;  // %, from pausing to going on

fl_rules fl_rules_defaults(void)
{
    return (fl_rules){
        .max_celsius = 80,
        .resume_celsius = 70,
        .min_battery = 30,
        .min_memory = 32,
        .metered = "auto",
        .min_samples = 1,
        .rest_s = 30,
        .look_s = 5,
        .threads = 1,
    };
}

size_t fl_rules_list(fl_option *table, fl_rules *r)
{
    const fl_option options[] = {
        {"eligibility", "max-temperature", FL_OPTION_NUMBER, &r->max_celsius, 0,
         150, "C", "pause when any part of the board is as hot; 0: never",
         FL_OPTION_LIVE},
        {"eligibility", "resume-temperature", FL_OPTION_NUMBER,
         &r->resume_celsius, 0, 150, "C", "go on when all are cooler",
         FL_OPTION_LIVE},
        {"eligibility", "on-battery", FL_OPTION_FLAG, &r->works_on_battery, 0,
         0, NULL, "work on battery too, down to --min-battery", FL_OPTION_LIVE},
        {"eligibility", "min-battery", FL_OPTION_NUMBER, &r->min_battery, 0,
         100, "PERCENT",
         "pause when the battery is below; go on 10 points above",
         FL_OPTION_LIVE},
        {"eligibility", "quiet-hours", FL_OPTION_TEXT, &r->quiet_hours, 0, 0,
         "TIMES",
         "do nothing then, by the local clock: 22:00-07:00, "
         "Sat-Sun 09:00-12:30",
         FL_OPTION_LIVE},
        {"eligibility", "max-load", FL_OPTION_NUMBER, &r->max_load, 0, 1000,
         "X",
         "pause when others have so many tasks a CPU running for half a "
         "minute; 0: never",
         FL_OPTION_LIVE},
        {"eligibility", "max-pressure", FL_OPTION_NUMBER, &r->max_pressure, 0,
         100, "PERCENT",
         "pause when tasks wait for a CPU, memory or the disk so much of the "
         "time for half a minute; 0: never",
         FL_OPTION_LIVE},
        {"eligibility", "min-memory", FL_OPTION_NUMBER, &r->min_memory, 0, 1e6,
         "MB", "pause when less memory is available to others; 0: never",
         FL_OPTION_LIVE},
        {"eligibility", "metered", FL_OPTION_TEXT, &r->metered, 0, 0, "WORD",
         "whether the link costs money, so that nothing is sent: yes, no, "
         "auto (a modem does)",
         FL_OPTION_LIVE},
        {"eligibility", "byte-budget", FL_OPTION_NUMBER, &r->byte_budget, 0,
         1e9, "MB", "to send and receive in a month, at most; 0: any",
         FL_OPTION_LIVE},
        {"eligibility", "min-samples", FL_OPTION_COUNT, &r->min_samples, 1,
         FL_PROTO_SAMPLES_MAX, "N", "train with so many examples at least",
         FL_OPTION_LIVE},
        {"eligibility", "pause-at-least", FL_OPTION_COUNT, &r->rest_s, 0, 86400,
         "SECONDS", "that a pause lasts; work lasts a third of it",
         FL_OPTION_LIVE},
        {"eligibility", "look-every", FL_OPTION_COUNT, &r->look_s, 1, 3600,
         "SECONDS", "from one look at the sensors to the next", FL_OPTION_LIVE},
        {"eligibility", "sensors-root", FL_OPTION_TEXT, &r->sensors_root, 0, 0,
         "DIR", "where sys/ and proc/ are, for tests"},
        {"resources", "memory", FL_OPTION_COUNT, &r->memory, 0, 1e6, "MB",
         "for the data (half of it at most) and a training, beside what the "
         "program takes when idle; 0: any",
         FL_OPTION_LIVE},
        {"resources", "threads", FL_OPTION_COUNT, &r->threads, 1, FL_TEAM_MAX,
         "N", "to train with, at most", FL_OPTION_LIVE},
    };
    _Static_assert(sizeof options / sizeof *options == FL_RULES_COUNT,
                   "there is room for all of them");
    memcpy(table, options, sizeof options);
    return FL_RULES_COUNT;
}

fl_err fl_rules_read(fl_eligibility_options *options, fl_metered *metered,
                     const fl_rules *r, fl_reason *why)
{
    if (r->max_celsius > 0 && r->resume_celsius > r->max_celsius) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--resume-temperature %g is above "
                             "--max-temperature %g",
                             r->resume_celsius, r->max_celsius);
    }
    FL_TRY(fl_metered_parse(metered, r->metered, why));
    const double resume_battery = r->min_battery + BATTERY_STEP;
    *options = (fl_eligibility_options){
        .max_celsius = r->max_celsius,
        .resume_celsius = r->resume_celsius,
        .works_on_battery = r->works_on_battery,
        .min_battery = r->min_battery,
        .resume_battery = resume_battery < 100 ? resume_battery : 100,
        .max_load = r->max_load,
        .max_pressure = r->max_pressure,
        .min_memory = r->min_memory,
        .byte_budget = r->byte_budget * 1e6,
        .min_samples = (double)r->min_samples,
        .rest_ms = (int64_t)r->rest_s * 1000,
    };
    return fl_quiet_parse(&options->quiet, r->quiet_hours, why);
}
