/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manual.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/option.h"

// The programs of this tree, which name each other.
static const char *const FAMILY[] = {"fedge-aggregator", "fedge-client",
                                     "fedge-compress", "fedge-keys",
                                     "fedge-sim"};

static const struct {
    int code;
    bool is_of_daemons;
    const char *text;
} EXITS[] = {
    {FL_EXIT_OK, false, "done"},
    {FL_EXIT_FAILED, false, "failed; the last line on standard error says why"},
    {FL_EXIT_USAGE, false, "the command line is wrong"},
    {FL_EXIT_NOT_RUNNING, true, "status: not running"},
    {FL_EXIT_TEMPORARY, true, "another time it may work"},
    {FL_EXIT_REFUSED, false, "refused, or a key has changed"},
    {FL_EXIT_CONFIG, false,
     "the configuration or the data is wrong; starting again will not help"},
};

/* ---- roff ---- */

// Text as it is: no character of it means anything to roff.
static void put_text(FILE *out, const char *text, size_t len)
{
    static const char special[] = "-\\'`^~";
    static const char *const escaped[] = {"\\-",   "\\e",   "\\(aq",
                                          "\\(ga", "\\(ha", "\\(ti"};
    if (len > 0 && (text[0] == '.' || text[0] == '\'')) fputs("\\&", out);
    for (size_t i = 0; i < len; i++) {
        const char *at = strchr(special, text[i]);
        if (at && *at) {
            fputs(escaped[at - special], out);
        } else {
            fputc(text[i], out);
        }
    }
}

static void put(FILE *out, const char *text)
{
    put_text(out, text, strlen(text));
}

static void put_bold(FILE *out, const char *text, size_t len)
{
    fputs("\\fB", out);
    put_text(out, text, len);
    fputs("\\fP", out);
}

static void put_section(FILE *out, const char *macro, const char *title)
{
    fprintf(out, "%s \"", macro);
    put(out, title);
    fputs("\"\n", out);
}

// An entry of a list: its title in bold, and what stands below.
static void put_entry(FILE *out, const char *title, const char *text)
{
    fputs(".TP\n", out);
    put_bold(out, title, strlen(title));
    fputc('\n', out);
    put(out, text);
    fputc('\n', out);
}

/* ---- blocks of a usage ---- */

typedef struct {
    const char *text;
    size_t len;  // without the newline at the end
} block;

// Takes the first block off *usage; false: there is none left.
static bool next_block(block *next, const char **usage)
{
    *usage += strspn(*usage, "\n");
    const char *end = strstr(*usage, "\n\n");
    next->text = *usage;
    next->len = end ? (size_t)(end - *usage) : strlen(*usage);
    *usage += next->len;
    while (next->len > 0 && next->text[next->len - 1] == '\n') {
        next->len--;
    }
    return next->len > 0;
}

static size_t line_len(const char *text, const char *end)
{
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    return (size_t)((newline ? newline : end) - text);
}

static bool is_example(const block *b, const char *program)
{
    return b->len > 2 && strncmp(b->text, "  ", 2) == 0 &&
           strncmp(b->text + 2, program, strlen(program)) == 0;
}

// It has columns, or lines that are indented.
static bool is_table(const block *b)
{
    for (size_t i = 0; i + 1 < b->len; i++) {
        if (b->text[i] == ' ' && b->text[i + 1] == ' ') return true;
    }
    return false;
}

static void put_lines(FILE *out, const block *b)
{
    const char *end = b->text + b->len;
    for (const char *at = b->text; at < end;) {
        const size_t len = line_len(at, end);
        put_text(out, at, len);
        fputc('\n', out);
        at += len + 1;
    }
}

// "usage: NAME WORD..." and lines below it, one for each way to call it. Those
// that do not begin with the program's name go on with the line before.
static void put_synopsis(FILE *out, const block *b, const char *program)
{
    const char *end = b->text + b->len;
    const size_t name_len = strlen(program);
    bool is_first = true;
    for (const char *at = b->text; at < end;) {
        const size_t len = line_len(at, end);
        const char *word = at;
        if (strncmp(word, "usage:", 6) == 0) word += 6;
        word += strspn(word, " ");
        const bool is_call = strncmp(word, program, name_len) == 0;
        if (is_call && !is_first) fputs(".br\n", out);
        if (is_call) {
            put_bold(out, word, name_len);
            word += name_len;
        }
        put_text(out, word, (size_t)(at + len - word));
        fputc('\n', out);
        at += len + 1;
        is_first = false;
    }
}

static void put_block(FILE *out, const block *b, bool is_first)
{
    const bool is_as_it_is = is_table(b);
    fputs(is_first ? "" : ".PP\n", out);
    fputs(is_as_it_is ? ".EX\n" : "", out);
    put_lines(out, b);
    if (is_as_it_is) fputs(".EE\n", out);
}

typedef enum { DESCRIPTION = 1, EXAMPLES = 2 } part;

// The blocks behind the synopsis that belong to the parts; how many these are.
// `is_first`: right below a heading.
static size_t put_blocks(FILE *out, const char *usage, const char *program,
                         unsigned parts, bool is_first)
{
    block b;
    size_t count = 0;
    if (!next_block(&b, &usage)) return 0;
    while (next_block(&b, &usage)) {
        block behind;
        const char *rest = usage;
        const bool leads_on = b.text[b.len - 1] == ':' &&
                              next_block(&behind, &rest) &&
                              is_example(&behind, program);
        const part its =
            leads_on || is_example(&b, program) ? EXAMPLES : DESCRIPTION;
        if (!(parts & its)) continue;
        if (out) put_block(out, &b, is_first && count == 0);
        count++;
    }
    return count;
}

/* ---- options ---- */

static void put_option_section(void *self, const char *title)
{
    put_section(self, ".SS", title);
}

static void put_option(void *self, const fl_option *option)
{
    FILE *out = self;
    char limits[FL_OPTION_LIMITS_CAP];
    fl_option_limits_text(limits, option);
    fputs(".TP\n\\fB\\-\\-", out);
    put(out, option->key);
    fputs("\\fP", out);
    if (option->argument) {
        fputs(" \\fI", out);
        put(out, option->argument);
        fputs("\\fP", out);
    }
    fputc('\n', out);
    put(out, option->help);
    if (limits[0]) {
        fputs(" (", out);
        put(out, limits);
        fputc(')', out);
    }
    fputs(option->is_live ? "; a reload changes it\n" : "\n", out);
}

// Of a command: what every program has stands once, among the program's.
static void put_own_option(void *self, const fl_option *option)
{
    if (option->value) put_option(self, option);
}

/* ---- sections ---- */

static void put_title(FILE *out, const fl_program *program)
{
    char date[20] = "";
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    if (epoch) {
        struct tm day;
        const time_t when = (time_t)strtoll(epoch, NULL, 10);
        if (gmtime_r(&when, &day)) strftime(date, sizeof date, "%F", &day);
    }
    fputs(".TH ", out);
    for (const char *at = program->name; *at; at++) {
        const char upper = (char)toupper((unsigned char)*at);
        put_text(out, &upper, 1);
    }
    fprintf(out, " 1 \"%s\" \"fedge %s\" \"User Commands\"\n", date,
            FL_VERSION);
    fputs(".SH NAME\n", out);
    put(out, program->name);
    fputs(" \\- ", out);
    put(out, program->summary);
    fputc('\n', out);
}

static void put_usage_synopsis(FILE *out, const char *usage,
                               const char *program)
{
    block b;
    if (next_block(&b, &usage)) put_synopsis(out, &b, program);
}

// A command with options of its own has all of its manual in one place.
static void put_command(FILE *out, const fl_program *program,
                        const fl_command *command)
{
    static const fl_option_visitor visitor = {NULL, put_own_option};
    char title[120];
    snprintf(title, sizeof title, "%s %s", program->name, command->name);
    put_section(out, ".SS", title);
    put_usage_synopsis(out, command->usage, program->name);
    put_blocks(out, command->usage, program->name, DESCRIPTION | EXAMPLES,
               false);
    fl_option_visit(command->options, command->option_count, &visitor, out);
}

static void put_commands(FILE *out, const fl_program *program)
{
    bool has_title = false;
    for (size_t i = 0; i < program->command_count; i++) {
        if (!program->commands[i].usage) continue;
        if (!has_title) put_section(out, ".SH", "COMMANDS");
        has_title = true;
        put_command(out, program, &program->commands[i]);
    }
}

// An option that a file or the environment may set, for an example.
static const fl_option *example_option(const fl_program *program)
{
    const fl_option *option =
        fl_option_first_set(program->options, program->option_count);
    for (size_t i = 0; i < program->command_count && !option; i++) {
        const fl_command *command = &program->commands[i];
        option = fl_option_first_set(command->options, command->option_count);
    }
    return option;
}

static void put_options(FILE *out, const fl_program *program)
{
    static const fl_option_visitor visitor = {put_option_section, put_option};
    put_section(out, ".SH", "OPTIONS");
    fl_option_visit(program->options, program->option_count, &visitor, out);
    // Of commands alone: it does not stand with those of every program then.
    if (!fl_option_first_set(program->options, program->option_count) &&
        example_option(program)) {
        put_option(out, &FL_OPTION_COMMON[0]);
    }
}

static void put_entries(FILE *out, const fl_manual_entry *entries)
{
    for (; entries && entries->title; entries++) {
        put_entry(out, entries->title, entries->text);
    }
}

static void put_environment(FILE *out, const fl_program *program)
{
    const fl_option *option = example_option(program);
    if (!option && !program->variables) return;
    put_section(out, ".SH", "ENVIRONMENT");
    if (option) {
        char name[FL_OPTION_VARIABLE_CAP], text[400];
        fl_option_variable_name(name, option);
        snprintf(text, sizeof text,
                 "any option below a [section], such as %s=%s for --%s; the "
                 "command line wins over it",
                 name, option->argument ? option->argument : "true",
                 option->key);
        put_entry(out, "FEDGE_SECTION_KEY", text);
    }
    put_entries(out, program->variables);
}

static void put_files(FILE *out, const fl_program *program)
{
    if (!program->config_path && !program->files) return;
    put_section(out, ".SH", "FILES");
    if (program->config_path) {
        char drop_ins[400];
        snprintf(drop_ins, sizeof drop_ins, "%s.d/*.conf",
                 program->config_path);
        put_entry(out, program->config_path,
                  "options, as lines KEY = VALUE below a line [SECTION]");
        put_entry(out, drop_ins,
                  "the same, read after it in the order of their names");
    }
    put_entries(out, program->files);
}

static void put_exits(FILE *out, const fl_program *program)
{
    put_section(out, ".SH", "EXIT STATUS");
    for (size_t i = 0; i < sizeof EXITS / sizeof *EXITS; i++) {
        if (EXITS[i].is_of_daemons && !program->config_path) continue;
        char code[16];
        snprintf(code, sizeof code, "%d", EXITS[i].code);
        put_entry(out, code, EXITS[i].text);
    }
}

static void put_relatives(FILE *out, const fl_program *program)
{
    const char *comma = "";
    put_section(out, ".SH", "SEE ALSO");
    for (size_t i = 0; i < sizeof FAMILY / sizeof *FAMILY; i++) {
        if (strcmp(FAMILY[i], program->name) == 0) continue;
        fputs(comma, out);
        put_bold(out, FAMILY[i], strlen(FAMILY[i]));
        fputs("(1)", out);
        comma = ",\n";
    }
    fputc('\n', out);
}

void fl_manual_page(FILE *out, const fl_program *program)
{
    const char *usage = program->usage, *name = program->name;
    put_title(out, program);
    put_section(out, ".SH", "SYNOPSIS");
    put_usage_synopsis(out, usage, name);
    put_section(out, ".SH", "DESCRIPTION");
    put_blocks(out, usage, name, DESCRIPTION, true);
    put_commands(out, program);
    put_options(out, program);
    put_environment(out, program);
    put_files(out, program);
    put_exits(out, program);
    if (put_blocks(NULL, usage, name, EXAMPLES, true) > 0) {
        put_section(out, ".SH", "EXAMPLES");
        put_blocks(out, usage, name, EXAMPLES, true);
    }
    put_relatives(out, program);
}

void fl_manual_config(FILE *out, const fl_program *program)
{
    fprintf(out,
            "# Options of %s. Keys are commented out, so this file changes "
            "nothing:\n"
            "# take the \"#\" off one to set it. Files %s.d/*.conf\n"
            "# are read after this one.\n",
            program->name, program->config_path);
    fl_options_config(out, program->options, program->option_count);
}
