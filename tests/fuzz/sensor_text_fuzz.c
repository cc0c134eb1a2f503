/* What the kernel's files and a person's quiet hours say: whatever is taken is
 * in its range, and quiet hours change when they say.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/board/quiet.h"
#include "client/board/sensor_text.h"

enum { TEXT_CAP = 4096, SOME_DAY_S = 1790000000 };

static void demand(bool is_true)
{
    if (!is_true) abort();
}

static void read_words(const char *text)
{
    char word[FL_SENSOR_WORD_CAP] = "";
    (void)fl_sensor_word(word, text);
    demand(!strchr(word, '/') && !strchr(word, '\n'));
    (void)fl_sensor_route(word, text);
    demand(!strchr(word, '/') && !strchr(word, '\n'));
    (void)fl_sensor_value(word, text, "DEVTYPE=");
    demand(strlen(word) < sizeof word);
}

static void read_numbers(const char *text)
{
    long long number;
    unsigned cpus;
    double value;
    (void)fl_sensor_number(&number, text, 10);
    (void)fl_sensor_number(&number, text, 16);
    if (fl_sensor_load(&value, text)) demand(isfinite(value) && value >= 0);
    if (fl_sensor_memory(&value, text)) demand(isfinite(value) && value >= 0);
    if (fl_sensor_pressure(&value, text)) demand(value >= 0 && value <= 100);
    if (fl_sensor_cpus(&cpus, text)) demand(cpus >= 1);
}

static void read_hours(const char *text)
{
    fl_quiet quiet;
    if (fl_quiet_parse(&quiet, text, NULL)) return;
    demand(quiet.count <= FL_QUIET_SPANS_MAX);
    const int64_t change_s = fl_quiet_change(&quiet, SOME_DAY_S);
    if (change_s == INT64_MAX) return;
    demand(change_s > SOME_DAY_S);
    demand(fl_quiet_contains(&quiet, change_s) !=
           fl_quiet_contains(&quiet, change_s - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char text[TEXT_CAP];
    if (len >= sizeof text) return 0;
    if (len > 0) memcpy(text, data, len);
    text[len] = 0;
    read_words(text);
    read_numbers(text);
    read_hours(text);
    return 0;
}
