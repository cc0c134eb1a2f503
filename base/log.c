/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    LINE_CAP = 4096,   // PIPE_BUF: the kernel does not split it up
    VALUE_CAP = 1024,  // so that one long value leaves room for the others
    SPEC_CAP = 40,
};

static const char CUT_MARK[] = " cut=true";  // ends a line that lacks pairs

static const struct {
    const char *name;
    int journal_priority;  // syslog(3)
} LEVELS[] = {
    [FL_LOG_ERROR] = {"error", 3},
    [FL_LOG_WARN] = {"warn", 4},
    [FL_LOG_INFO] = {"info", 6},
    [FL_LOG_DEBUG] = {"debug", 7},
};

enum { LEVEL_COUNT = sizeof LEVELS / sizeof *LEVELS };

// Written by fl_log_start before there are threads, then only read.
static struct {
    fl_log_level level;
    fl_log_sink *sink;  // NULL: standard error
    void *sink_self;
    bool is_journal;
} settings = {.level = FL_LOG_INFO};

void fl_log_start(fl_log_level level, fl_log_sink *sink, void *self)
{
    settings.level = level;
    settings.sink = sink;
    settings.sink_self = self;
    settings.is_journal = getenv("JOURNAL_STREAM") != NULL;
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
    char text[LINE_CAP];
    size_t len;
    bool is_cut;
} line_buffer;

// All of it or nothing; afterwards there is still room for the cut mark.
static void add_to_line(line_buffer *line, const char *text, size_t len)
{
    const size_t reserved = sizeof CUT_MARK + 1;  // and newline, and 0
    if (line->is_cut || len > LINE_CAP - reserved - line->len) {
        line->is_cut = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

typedef struct {
    char text[VALUE_CAP];
    size_t len;
} value_buffer;

static void add_to_value(value_buffer *value, const char *text, size_t len)
{
    const size_t room = VALUE_CAP - value->len;
    if (len > room) len = room;
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

static void add_pair(line_buffer *line, const char *key, size_t key_len,
                     const value_buffer *value)
{
    char pair[4 * VALUE_CAP];
    size_t len = 0;
    if (needs_quotes(value)) {
        pair[len++] = '"';
        for (size_t i = 0; i < value->len && len < sizeof pair - 6; i++) {
            len += escape(pair + len, value->text[i]);
        }
        pair[len++] = '"';
    } else {
        memcpy(pair, value->text, value->len);
        len = value->len;
    }

    const size_t before = line->len;
    add_to_line(line, " ", 1);
    add_to_line(line, key, key_len);
    add_to_line(line, "=", 1);
    add_to_line(line, pair, len);
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
    char text[VALUE_CAP + 1];
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
        len =
            snprintf(text, sizeof text, "<%d>", LEVELS[level].journal_priority);
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

static void begin_line(line_buffer *line, fl_log_level level, const char *event)
{
    line->len = 0;
    line->is_cut = false;
    if (!settings.sink) add_prefix(line, level);
    add_to_line(line, "event=", 6);
    add_to_line(line, event, strlen(event));
}

static void mark_cut(line_buffer *line)
{
    if (!line->is_cut) return;
    memcpy(line->text + line->len, CUT_MARK, sizeof CUT_MARK - 1);
    line->len += sizeof CUT_MARK - 1;
}

static void emit_line(line_buffer *line, fl_log_level level)
{
    mark_cut(line);
    if (settings.sink) {
        line->text[line->len] = 0;
        settings.sink(settings.sink_self, level, line->text);
    } else {
        line->text[line->len++] = '\n';
        // There is nobody to tell when standard error does not take it.
        (void)!write(STDERR_FILENO, line->text, line->len);
    }
}

void fl_log(fl_log_level level, const char *event, const char *format, ...)
{
    if (level > settings.level) return;
    line_buffer line;
    begin_line(&line, level, event);
    if (format) {
        va_list args;
        va_start(args, format);
        add_pairs(&line, format, &args);
        va_end(args);
    }
    emit_line(&line, level);
}

void fl_log_format(char *dst, size_t dst_cap, const char *format, va_list args)
{
    line_buffer line = {.len = 0};
    va_list copy;
    va_copy(copy, args);
    add_pairs(&line, format, &copy);
    va_end(copy);
    mark_cut(&line);
    line.text[line.len] = 0;
    // Without the blank in front; cut where `dst` ends.
    snprintf(dst, dst_cap, "%s", line.len > 0 ? line.text + 1 : "");
}

void fl_log_line(fl_log_level level, const char *event, const char *pairs)
{
    if (level > settings.level) return;
    line_buffer line;
    begin_line(&line, level, event);
    add_to_line(&line, " ", 1);
    add_to_line(&line, pairs, strlen(pairs));
    emit_line(&line, level);
}
