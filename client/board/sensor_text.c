/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/sensor_text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS_MAX = 4096 };

static bool is_end(const char *at)
{
    return at[strspn(at, " \t\n")] == 0;
}

bool fl_sensor_number(long long *number, const char *text, int base)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, base);
    if (errno || end == text || !is_end(end)) return false;
    *number = value;
    return true;
}

// Letters of a name, so that it can be shown and be part of a path.
static size_t word_len(const char *text)
{
    size_t len = 0;
    while (isalnum((unsigned char)text[len]) ||
           (text[len] && strchr("-_.:+", text[len]))) {
        len++;
    }
    return len;
}

static bool copy_word(char word[FL_SENSOR_WORD_CAP], const char *text,
                      size_t len)
{
    if (len == 0 || len >= FL_SENSOR_WORD_CAP) return false;
    memcpy(word, text, len);
    word[len] = 0;
    return true;
}

bool fl_sensor_word(char word[FL_SENSOR_WORD_CAP], const char *text)
{
    const size_t len = word_len(text);
    return is_end(text + len) && copy_word(word, text, len);
}

// A number from 0 on; what stands behind it is not looked at.
static bool read_number(double *number, const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || !isfinite(value) || value < 0) return false;
    *number = value;
    return true;
}

bool fl_sensor_load(double *load, const char *text)
{
    return isdigit((unsigned char)*text) && read_number(load, text);
}

bool fl_sensor_pressure(double *percent, const char *text)
{
    static const char begin[] = "some avg10=";
    double value;
    if (strncmp(text, begin, sizeof begin - 1) != 0) return false;
    if (!read_number(&value, text + sizeof begin - 1) || value > 100) {
        return false;
    }
    *percent = value;
    return true;
}

// The line that begins with `key`; NULL: there is none.
static const char *find_line(const char *text, const char *key)
{
    const size_t len = strlen(key);
    while (strncmp(text, key, len) != 0) {
        text = strchr(text, '\n');
        if (!text) return NULL;
        text++;
    }
    return text + len;
}

bool fl_sensor_memory(double *megabytes, const char *text)
{
    double kilobytes;
    const char *at = find_line(text, "MemAvailable:");
    if (!at || !read_number(&kilobytes, at)) return false;
    *megabytes = kilobytes * 1024 / 1e6;
    return true;
}

static bool read_cpu(unsigned long *cpu, const char **at)
{
    char *end;
    if (!isdigit((unsigned char)**at)) return false;
    *cpu = strtoul(*at, &end, 10);
    *at = end;
    return *cpu < CPUS_MAX;
}

bool fl_sensor_cpus(unsigned *count, const char *text)
{
    unsigned long sum = 0, first, last;
    do {
        if (!read_cpu(&first, &text)) return false;
        last = first;
        if (*text == '-') {
            text++;
            if (!read_cpu(&last, &text) || last < first) return false;
        }
        sum += last - first + 1;
    } while (*text++ == ',' && sum < CPUS_MAX);
    if (!is_end(text - 1)) return false;
    *count = (unsigned)sum;
    return true;
}

// The next field of a line of the table, as a number.
static bool read_field(unsigned long *number, const char **at, int base)
{
    char *end;
    *at += strspn(*at, " \t");
    if (!isxdigit((unsigned char)**at)) return false;
    *number = strtoul(*at, &end, base);
    *at = end;
    return true;
}

// Interface, destination, gateway, flags, references, uses, metric, mask.
static bool read_default(char name[FL_SENSOR_WORD_CAP], unsigned long *metric,
                         const char *line)
{
    enum { DESTINATION, METRIC = 5, MASK, FIELDS };
    unsigned long fields[FIELDS];
    const size_t len = word_len(line);
    const char *at = line + len;
    for (int i = 0; i < FIELDS; i++) {
        const bool is_decimal = i > 2 && i < MASK;
        if (!read_field(&fields[i], &at, is_decimal ? 10 : 16)) return false;
    }
    if (fields[DESTINATION] != 0 || fields[MASK] != 0) return false;
    if (fields[METRIC] >= *metric || !copy_word(name, line, len)) return false;
    *metric = fields[METRIC];
    return true;
}

bool fl_sensor_route(char name[FL_SENSOR_WORD_CAP], const char *text)
{
    unsigned long metric = ULONG_MAX;
    bool is_found = false;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (read_default(name, &metric, line)) is_found = true;
    }
    return is_found;
}

bool fl_sensor_value(char word[FL_SENSOR_WORD_CAP], const char *text,
                     const char *key)
{
    const char *at = find_line(text, key);
    return at && copy_word(word, at, word_len(at));
}
