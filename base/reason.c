/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void replace_control_characters(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
    }
}

fl_err fl_reason_set(fl_reason *why, fl_err err, const char *format, ...)
{
    if (!why) return err;
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    replace_control_characters(why->text);
    return err;
}

fl_err fl_reason_system(fl_reason *why, const char *path, const char *doing)
{
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s: cannot %s: %s", path, doing,
                         strerror(errno));
}

static void append(fl_reason *why, const char *text)
{
    const size_t len = strlen(why->text);
    const size_t more = strnlen(text, sizeof why->text - 1 - len);
    memcpy(why->text + len, text, more);
    why->text[len + more] = '\0';
}

fl_err fl_reason_prefix(fl_reason *why, fl_err err, const char *format, ...)
{
    if (!why) return err;
    const fl_reason old = *why;
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    append(why, ": ");
    append(why, old.text);
    replace_control_characters(why->text);
    return err;
}
