/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

typedef union {
    bool flag;
    uint64_t count;
    double number;
    const char *text;
} value;

struct fl_reload {
    fl_reload_options options;
    value *defaults, *old, *new;  // of the table's options
    fl_option *fresh;             // the table, bound to `new`
    fl_options *texts;            // owns those of the last reload
};

/* ---- values ---- */

static value get(const fl_option *option)
{
    switch (option->kind) {
    case FL_OPTION_FLAG: return (value){.flag = *(bool *)option->value};
    case FL_OPTION_COUNT: return (value){.count = *(uint64_t *)option->value};
    case FL_OPTION_NUMBER: return (value){.number = *(double *)option->value};
    case FL_OPTION_TEXT: break;
    }
    return (value){.text = *(const char **)option->value};
}

static void set(const fl_option *option, value v)
{
    switch (option->kind) {
    case FL_OPTION_FLAG: *(bool *)option->value = v.flag; break;
    case FL_OPTION_COUNT: *(uint64_t *)option->value = v.count; break;
    case FL_OPTION_NUMBER: *(double *)option->value = v.number; break;
    case FL_OPTION_TEXT: *(const char **)option->value = v.text; break;
    }
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same(fl_option_kind kind, value a, value b)
{
    switch (kind) {
    case FL_OPTION_FLAG: return a.flag == b.flag;
    case FL_OPTION_COUNT: return a.count == b.count;
    case FL_OPTION_NUMBER: return a.number == b.number;
    case FL_OPTION_TEXT: break;
    }
    return is_same_text(a.text, b.text);
}

/* ---- life ---- */

fl_err fl_reload_new(fl_reload **reload, const fl_reload_options *options)
{
    const size_t count = options->count;
    fl_reload *made = calloc(1, sizeof *made);
    if (!made) return FL_ERR_MEMORY;
    made->options = *options;
    made->defaults = calloc(count + 1, sizeof *made->defaults);
    made->old = calloc(count + 1, sizeof *made->old);
    made->new = calloc(count + 1, sizeof *made->new);
    made->fresh = calloc(count + 1, sizeof *made->fresh);
    if (!made->defaults || !made->old || !made->new || !made->fresh) {
        fl_reload_free(made);
        return FL_ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        made->defaults[i] = get(&options->table[i]);
        made->fresh[i] = options->table[i];
        made->fresh[i].value = &made->new[i];
    }
    *reload = made;
    return FL_OK;
}

void fl_reload_free(fl_reload *reload)
{
    if (!reload) return;
    fl_options_free(reload->texts);
    free(reload->defaults);
    free(reload->old);
    free(reload->new);
    free(reload->fresh);
    free(reload);
}

/* ---- reading again ---- */

static void set_all(const fl_reload *reload, const value *values)
{
    for (size_t i = 0; i < reload->options.count; i++) {
        set(&reload->options.table[i], values[i]);
    }
}

static void set_live(const fl_reload *reload)
{
    for (size_t i = 0; i < reload->options.count; i++) {
        const fl_option *option = &reload->options.table[i];
        set(option, option->is_live ? reload->new[i] : reload->old[i]);
    }
}

// What does not fit is left out; the log would cut it, too.
static void add_key(char keys[FL_RELOAD_KEYS_CAP], const char *key)
{
    const size_t len = strlen(keys);
    if (len + 2 + strlen(key) >= FL_RELOAD_KEYS_CAP) return;
    snprintf(keys + len, FL_RELOAD_KEYS_CAP - len, "%s%s", len > 0 ? ", " : "",
             key);
}

static void compare(fl_reload_report *report, const fl_reload *reload)
{
    *report = (fl_reload_report){.changed = ""};
    for (size_t i = 0; i < reload->options.count; i++) {
        const fl_option *option = &reload->options.table[i];
        if (is_same(option->kind, reload->old[i], reload->new[i])) continue;
        add_key(option->is_live ? report->changed : report->waiting,
                option->key);
    }
}

static fl_err check_values(const fl_reload *reload, fl_reload_check *check,
                           void *self, fl_reason *why)
{
    fl_log_level level;
    const char *const *text = reload->options.log_level;
    if (text && fl_log_level_parse(&level, *text)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--log-level %s: not error, warn, info or debug",
                             *text);
    }
    return check ? check(self, why) : FL_OK;
}

// All as if the program began now, then what a running one can take of it.
static fl_err try_values(const fl_reload *reload,
                         const fl_reload_report *report, fl_reload_check *check,
                         void *self, fl_reason *why)
{
    set_all(reload, reload->new);
    FL_TRY(check_values(reload, check, self, why));
    set_live(reload);
    const fl_err err = check_values(reload, check, self, why);
    if (!err) return FL_OK;
    return fl_reason_prefix(why, err, "not without a restart, for %s",
                            report->waiting);
}

fl_err fl_reload_run(fl_reload *reload, fl_reload_report *report,
                     fl_reload_check *check, void *self, fl_reason *why)
{
    const fl_reload_options *o = &reload->options;
    fl_options *texts = NULL;
    fl_asked asked;
    fl_log_level level;
    for (size_t i = 0; i < o->count; i++) {
        reload->old[i] = get(&o->table[i]);
        reload->new[i] = reload->defaults[i];
    }
    fl_err err = fl_options_read(&texts, &asked, reload->fresh, o->count,
                                 o->config_path, o->argc, o->argv, why);
    if (!err) {
        compare(report, reload);
        err = try_values(reload, report, check, self, why);
    }
    if (err) {
        set_all(reload, reload->old);
        fl_options_free(texts);
        return err;
    }
    fl_options_free(reload->texts);
    reload->texts = texts;
    if (o->log_level && !fl_log_level_parse(&level, *o->log_level)) {
        fl_log_set_level(level);
    }
    return FL_OK;
}

bool fl_reload_log(fl_reload *reload, fl_reload_check *check, void *self)
{
    fl_reload_report report;
    fl_reason why;
    if (fl_reload_run(reload, &report, check, self, &why)) {
        fl_log(FL_LOG_ERROR, "reload_failed", "why=%s meaning=%s", why.text,
               "it goes on with the options that it had; put that right and "
               "reload again");
        return false;
    }
    fl_log(FL_LOG_INFO, "reloaded", "changed=%s",
           report.changed[0] ? report.changed : "nothing");
    if (report.waiting[0]) {
        fl_log(FL_LOG_WARN, "needs_restart", "options=%s", report.waiting);
    }
    return true;
}
