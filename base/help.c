/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/option.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 80 };

typedef struct {
    FILE *out;
    bool has_section;  // one has been printed
} printer;

// Words of `text`, broken before HELP_WIDTH; `column` is where the first one
// stands and further lines begin, with `prefix`.
static void print_wrapped(FILE *out, int column, const char *prefix,
                          const char *text)
{
    int at = column;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        const int len = (int)strcspn(text, " ");
        if (at > column && at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%-*s", column, prefix);
            at = column;
        }
        at += fprintf(out, "%s%.*s", at > column ? " " : "", len, text);
        text += len;
    }
    fputc('\n', out);
}

/* ---- --help ---- */

static void print_title(void *self, const char *title)
{
    printer *p = self;
    fprintf(p->out, "%s%s%s\n", p->has_section ? "\n" : "", title,
            title[0] == '[' ? "" : ":");
    p->has_section = true;
}

static void print_option(void *self, const fl_option *option)
{
    FILE *out = ((printer *)self)->out;
    char limits[FL_OPTION_LIMITS_CAP], help[1000];
    fl_option_limits_text(limits, option);
    snprintf(help, sizeof help, "%s%s%s%s%s", option->help,
             limits[0] ? " (" : "", limits, limits[0] ? ")" : "",
             option->is_live ? " *" : "");

    const int used =
        fprintf(out, "  --%s%s%s", option->key, option->argument ? " " : "",
                option->argument ? option->argument : "");
    if (used + 2 <= HELP_COLUMN) {
        fprintf(out, "%*s", HELP_COLUMN - used, "");
    } else {
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    }
    print_wrapped(out, HELP_COLUMN, "", help);
}

// One example says more than the rule.
static void print_other_ways(FILE *out, const fl_option *option)
{
    char name[FL_OPTION_VARIABLE_CAP], text[800];
    const char *value = option->argument ? option->argument : "true";
    fl_option_variable_name(name, option);
    snprintf(text, sizeof text,
             "An option below a [section] may also stand in the configuration "
             "file (a line \"%s = %s\" below a line \"[%s]\") or in the "
             "environment (%s=%s). The command line wins over the "
             "environment, that over FILE.d/*.conf, and those over FILE.",
             option->key, value, option->section, name, value);
    fputc('\n', out);
    print_wrapped(out, 0, "", text);
}

static void explain_stars(FILE *out, const fl_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!table[i].is_live) continue;
        fputc('\n', out);
        print_wrapped(out, 0, "",
                      "* read again at SIGHUP (systemctl reload), in a program "
                      "that runs");
        return;
    }
}

void fl_options_help(FILE *out, const fl_option *table, size_t count)
{
    static const fl_option_visitor visitor = {print_title, print_option};
    printer p = {.out = out};
    fl_option_visit(table, count, &visitor, &p);
    const fl_option *example = fl_option_first_set(table, count);
    if (example) print_other_ways(out, example);
    explain_stars(out, table, count);
}

/* ---- a configuration file ---- */

static void print_section(void *self, const char *title)
{
    printer *p = self;
    if (title[0] == '[') fprintf(p->out, "\n%s\n", title);
}

// "# rounds to train (1 to 1000)" and "#rounds = 100". Without a default that a
// file could say, the key stands with a blank: it is no setting yet.
static void print_key(void *self, const fl_option *option)
{
    FILE *out = ((printer *)self)->out;
    if (!option->section) return;
    char text[1000], value[FL_OPTION_LIMITS_CAP], range[FL_OPTION_RANGE_CAP];
    const bool has_range =
        option->kind == FL_OPTION_COUNT || option->kind == FL_OPTION_NUMBER;
    if (has_range) fl_option_range_text(range, option);
    snprintf(text, sizeof text, "%s%s%s%s%s", option->help,
             has_range ? " (" : "", has_range ? range : "",
             has_range ? ")" : "",
             option->is_live ? "; a reload changes it" : "");
    fprintf(out, "\n# ");
    print_wrapped(out, 2, "#", text);
    fl_option_default_text(value, option);
    fprintf(out, "#%s%s = %s\n", value[0] ? "" : " ", option->key,
            value[0] ? value : option->argument);
}

void fl_options_config(FILE *out, const fl_option *table, size_t count)
{
    static const fl_option_visitor visitor = {print_section, print_key};
    printer p = {.out = out};
    fl_option_visit(table, count, &visitor, &p);
}
