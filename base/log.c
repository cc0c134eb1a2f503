/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    LINE_CAP = 4096,  // PIPE_BUF: the kernel does not split it up
    VALUE_CAP = 512,  // so that one long value leaves room for the others
    SPEC_CAP = 40,
};

static const char CUT_MARK[] = " cut=true";  // ends a line that lacks pairs

static const struct {
    const char *name;
    const char *priority;  // syslog(3), as sd-daemon(3) has it
} LEVELS[] = {
    [FL_LOG_ERROR] = {"error", "<3>"},
    [FL_LOG_WARN] = {"warn", "<4>"},
    [FL_LOG_INFO] = {"info", "<6>"},
    [FL_LOG_DEBUG] = {"debug", "<7>"},
};

enum { LEVEL_COUNT = sizeof LEVELS / sizeof *LEVELS };

static atomic_int least_level = FL_LOG_INFO;

// Written by fl_log_start before there are threads, then only read.
static struct {
    fl_log_sink *sink;  // NULL: standard error
    void *sink_self;
    bool is_journal;
} settings;

// JOURNAL_STREAM is inherited, also by what was started with standard error
// somewhere else: it counts only while it names that very stream.
static bool leads_to_journal(int file)
{
    struct stat status;
    char stream[48];
    const char *journal = getenv("JOURNAL_STREAM");
    if (!journal || fstat(file, &status)) return false;
    snprintf(stream, sizeof stream, "%llu:%llu",
             (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    return strcmp(stream, journal) == 0;
}

void fl_log_start(fl_log_level level, fl_log_sink *sink, void *self)
{
    fl_log_set_level(level);
    settings.sink = sink;
    settings.sink_self = self;
    settings.is_journal = leads_to_journal(STDERR_FILENO);
}

void fl_log_set_level(fl_log_level level)
{
    atomic_store(&least_level, (int)level);
}

const char *fl_log_priority(fl_log_level level)
{
    return leads_to_journal(STDERR_FILENO) ? LEVELS[level].priority : "";
}

fl_err fl_log_level_parse(fl_log_level *level, const char *text)
{
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(text, LEVELS[i].name) == 0) {
            *level = (fl_log_level)i;
            return FL_OK;
        }
    }
    return FL_ERR_RANGE;
}

typedef struct {
    char *text;
    size_t len, cap;
    bool is_cut;
} line_buffer;

// All of it or nothing. There stays room for the cut mark and one byte more,
// a newline or a 0.
static void add_to_line(line_buffer *line, const char *text, size_t len)
{
    if (line->is_cut || line->len + len + sizeof CUT_MARK > line->cap) {
        line->is_cut = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

typedef struct {
    char text[VALUE_CAP];
    size_t len;
    bool is_cut;
} value_buffer;

static void add_to_value(value_buffer *value, const char *text, size_t len)
{
    const size_t room = VALUE_CAP - value->len;
    if (len > room) {
        value->is_cut = true;
        len = room;
    }
    memcpy(value->text + value->len, text, len);
    value->len += len;
}

static bool is_plain(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static bool needs_quotes(const value_buffer *value)
{
    for (size_t i = 0; i < value->len; i++) {
        if (!is_plain(value->text[i])) return true;
    }
    return value->len == 0;
}

// Bytes beyond ASCII are escaped too: some of them steer terminals, and
// journald hides a line that is not UTF-8.
static size_t escape(char dst[5], char c)
{
    switch (c) {
    case '\n': return (size_t)snprintf(dst, 5, "\\n");
    case '\r': return (size_t)snprintf(dst, 5, "\\r");
    case '\t': return (size_t)snprintf(dst, 5, "\\t");
    case '"':
    case '\\': return (size_t)snprintf(dst, 5, "\\%c", c);
    default: break;
    }
    if (c == ' ' || is_plain(c) || c == '=') {
        dst[0] = c;
        return 1;
    }
    return (size_t)snprintf(dst, 5, "\\x%02x", (unsigned char)c);
}

// A value that is too long ends in "...".
static void add_pair(line_buffer *line, const char *key, size_t key_len,
                     const value_buffer *value)
{
    char text[VALUE_CAP + sizeof "\"\\x00...\""];
    size_t len = 0, i = 0;
    const bool is_quoted = needs_quotes(value);
    if (is_quoted) text[len++] = '"';
    for (; i < value->len && len <= VALUE_CAP; i++) {
        len += escape(text + len, value->text[i]);
    }
    if (i < value->len || value->is_cut) {
        len += (size_t)snprintf(text + len, sizeof "...", "...");
    }
    if (is_quoted) text[len++] = '"';

    const size_t before = line->len;
    if (before > 0) add_to_line(line, " ", 1);
    add_to_line(line, key, key_len);
    add_to_line(line, "=", 1);
    add_to_line(line, text, len);
    if (line->is_cut) line->len = before;  // no half pairs
}

// A conversion as printf knows it, with each * replaced by its number.
typedef struct {
    char flags[SPEC_CAP];  // "%-08.3"
    char length[3];        // "", "h", "hh", "l", "ll", "z", "j", "t"
    char letter;           // 'd'
} conversion;

// The second parameter stands behind the '%'; returns what follows.
static const char *read_conversion(conversion *spec, const char *at,
                                   va_list *args)
{
    size_t len = 0;
    spec->flags[len++] = '%';
    for (; *at && strchr("-+ #0123456789.*", *at); at++) {
        assert(len < SPEC_CAP - 16);
        if (*at == '*') {
            const int number = va_arg(*args, int);
            len += (size_t)snprintf(spec->flags + len, 12, "%d",
                                    number > 0 ? number : 0);
        } else {
            spec->flags[len++] = *at;
        }
    }
    spec->flags[len] = 0;
    memset(spec->length, 0, sizeof spec->length);
    for (len = 0; *at && strchr("hlzjt", *at); at++) {
        assert(len < sizeof spec->length - 1);
        spec->length[len++] = *at;
    }
    spec->letter = *at;
    return at + 1;
}

static intmax_t next_signed(const char *length, va_list *args)
{
    switch (length[0]) {
    case 'z':
    case 't': return va_arg(*args, ptrdiff_t);
    case 'l': return length[1] ? va_arg(*args, long long) : va_arg(*args, long);
    case 'j': return va_arg(*args, intmax_t);
    case 'h': {
        const int number = va_arg(*args, int);
        return length[1] ? (signed char)number : (short)number;
    }
    default: return va_arg(*args, int);
    }
}

static uintmax_t next_unsigned(const char *length, va_list *args)
{
    switch (length[0]) {
    case 'z':
    case 't': return va_arg(*args, size_t);
    case 'l':
        return length[1] ? va_arg(*args, unsigned long long)
                         : va_arg(*args, unsigned long);
    case 'j': return va_arg(*args, uintmax_t);
    case 'h': {
        const unsigned number = va_arg(*args, unsigned);
        return length[1] ? (unsigned char)number : (unsigned short)number;
    }
    default: return va_arg(*args, unsigned);
    }
}

// The compiler has checked the format where fl_log was called.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void add_formatted(value_buffer *value, const char *format, ...)
{
    char text[VALUE_CAP + 2];  // one more than fits tells that it was cut
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0) add_to_value(value, text, strlen(text));
}
#pragma GCC diagnostic pop

static void convert(value_buffer *value, const conversion *spec, va_list *args)
{
    char format[SPEC_CAP + 4];
    const bool is_integer = strchr("diuxXo", spec->letter) != NULL;
    snprintf(format, sizeof format, "%s%s%c", spec->flags,
             is_integer ? "j" : "", spec->letter);
    switch (spec->letter) {
    case 'd':
    case 'i':
        add_formatted(value, format, next_signed(spec->length, args));
        break;
    case 'e':
    case 'f':
    case 'g': add_formatted(value, format, va_arg(*args, double)); break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        add_formatted(value, format, next_unsigned(spec->length, args));
        break;
    case 'c': add_formatted(value, format, va_arg(*args, int)); break;
    case 's': {
        const char *text = va_arg(*args, const char *);
        add_formatted(value, format, text ? text : "(null)");
        break;
    }
    case 'p': add_formatted(value, format, va_arg(*args, void *)); break;
    case '%': add_to_value(value, "%", 1); break;
    default: assert(false && "not a conversion that fl_log knows");
    }
}

static void add_pairs(line_buffer *line, const char *format, va_list *args)
{
    for (format += strspn(format, " "); *format;
         format += strspn(format, " ")) {
        const char *key = format;
        const size_t key_len = strcspn(format, "= %");
        assert(key_len > 0 && key[key_len] == '=');
        format += key_len + 1;

        value_buffer value = {.len = 0};
        while (*format && *format != ' ') {
            if (*format == '%') {
                conversion spec;
                format = read_conversion(&spec, format + 1, args);
                convert(&value, &spec, args);
            } else {
                add_to_value(&value, format++, 1);
            }
        }
        add_pair(line, key, key_len, &value);
    }
}

static void add_prefix(line_buffer *line, fl_log_level level)
{
    char text[64];
    int len;
    if (settings.is_journal) {
        len = snprintf(text, sizeof text, "%s", LEVELS[level].priority);
    } else {
        const int64_t now_ms = fl_clock_wall_ms();
        const time_t now = (time_t)(now_ms / 1000);
        struct tm utc = {0};
        gmtime_r(&now, &utc);
        len = (int)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
        len += snprintf(text + len, sizeof text - (size_t)len, ".%03dZ %s ",
                        (int)(now_ms % 1000), LEVELS[level].name);
    }
    add_to_line(line, text, (size_t)len);
}

// An event, whose pairs follow.
static void begin_line(line_buffer *line, fl_log_level level, const char *event)
{
    if (!settings.sink) add_prefix(line, level);
    add_to_line(line, "event=", 6);
    add_to_line(line, event, strlen(event));
}

static void finish(line_buffer *line)
{
    const size_t mark_len = sizeof CUT_MARK - 1;
    if (line->is_cut && line->len + mark_len < line->cap) {
        memcpy(line->text + line->len, CUT_MARK, mark_len);
        line->len += mark_len;
    }
    line->text[line->len] = 0;
}

static void emit(line_buffer *line, fl_log_level level)
{
    finish(line);
    if (settings.sink) {
        settings.sink(settings.sink_self, level, line->text);
    } else {
        line->text[line->len++] = '\n';
        // There is nobody to tell when standard error does not take it.
        (void)!write(STDERR_FILENO, line->text, line->len);
    }
}

void fl_log(fl_log_level level, const char *event, const char *format, ...)
{
    if ((int)level > atomic_load(&least_level)) return;
    char text[LINE_CAP];
    line_buffer line = {.text = text, .cap = sizeof text};
    begin_line(&line, level, event);
    if (format) {
        va_list args;
        va_start(args, format);
        add_pairs(&line, format, &args);
        va_end(args);
    }
    emit(&line, level);
}

void fl_log_format(char *dst, size_t dst_cap, const char *format, va_list args)
{
    assert(dst_cap > 0);
    line_buffer pairs = {.text = dst, .cap = dst_cap};
    va_list copy;
    va_copy(copy, args);
    add_pairs(&pairs, format, &copy);
    va_end(copy);
    finish(&pairs);
}

void fl_log_line(fl_log_level level, const char *event, const char *pairs)
{
    if ((int)level > atomic_load(&least_level)) return;
    char text[LINE_CAP];
    line_buffer line = {.text = text, .cap = sizeof text};
    begin_line(&line, level, event);
    if (pairs && pairs[0]) {
        const size_t before = line.len;
        add_to_line(&line, " ", 1);
        add_to_line(&line, pairs, strlen(pairs));
        if (line.is_cut) line.len = before;
    }
    emit(&line, level);
}
