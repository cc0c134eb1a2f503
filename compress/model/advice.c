/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/advice.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT_COUNT = 4 };

// How far it is beyond each limit, as a factor.
typedef struct {
    const char *name;
    double excess;
} measure;

static double ratio(double value, double limit)
{
    return limit > 0.0 ? value / limit : 0.0;
}

// A drop may be limited to none. Within a hundredth of a point it is none:
// that is what printing and back again may make of it.
static double drop_ratio(const fl_advice *advice,
                         const fl_advice_limits *limits)
{
    const double drop = 100.0 * (limits->accuracy - advice->accuracy);
    return drop / (limits->drop > 0.01 ? limits->drop : 0.01);
}

static void take_measure(measure all[LIMIT_COUNT], const fl_advice *a,
                         const fl_advice_limits *l)
{
    all[0] =
        (measure){"bytes", ratio((double)a->file_bytes, (double)l->file_bytes)};
    all[1] = (measure){"latency", ratio(a->latency_ms, l->latency_ms)};
    all[2] = (measure){"memory",
                       ratio((double)a->memory_bytes, (double)l->memory_bytes)};
    all[3] = (measure){"drop", drop_ratio(a, l)};
}

double fl_advice_excess(const fl_advice *advice, const fl_advice_limits *limits)
{
    measure all[LIMIT_COUNT];
    double worst = 0.0;
    take_measure(all, advice, limits);
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (all[i].excess > worst) worst = all[i].excess;
    }
    return worst;
}

bool fl_advice_is_better(const fl_advice *a, const fl_advice *b,
                         const fl_advice_limits *limits)
{
    const double x = fl_advice_excess(a, limits);
    const double y = fl_advice_excess(b, limits);
    const bool a_fits = x <= 1.0, b_fits = y <= 1.0;
    if (a_fits != b_fits) return a_fits;
    if (!a_fits) return x < y;
    return (double)a->file_bytes * a->latency_ms <
           (double)b->file_bytes * b->latency_ms;
}

void fl_advice_sort(fl_advice *list, size_t count,
                    const fl_advice_limits *limits)
{
    for (size_t i = 1; i < count; i++) {
        const fl_advice one = list[i];
        size_t k = i;
        for (; k > 0 && fl_advice_is_better(&one, &list[k - 1], limits); k--) {
            list[k] = list[k - 1];
        }
        list[k] = one;
    }
}

void fl_advice_verdict(char text[FL_ADVICE_TEXT_CAP], const fl_advice *advice,
                       const fl_advice_limits *limits)
{
    measure all[LIMIT_COUNT];
    size_t len = 0;
    take_measure(all, advice, limits);
    snprintf(text, FL_ADVICE_TEXT_CAP, "fits");
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (all[i].excess <= 1.0) continue;
        len += (size_t)snprintf(text + len, FL_ADVICE_TEXT_CAP - len, "%s%s",
                                len ? ", " : "too much: ", all[i].name);
    }
}
