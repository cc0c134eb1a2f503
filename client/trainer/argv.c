/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/argv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// The next word, in place; *at: behind it. NULL: a quote does not end.
static char *take_word(char **at)
{
    char *from = *at, *to = *at, *word = *at;
    bool is_quoted = false;
    for (; *from && (is_quoted || *from != ' '); from++) {
        if (*from == '"') {
            is_quoted = !is_quoted;
        } else {
            *to++ = *from;
        }
    }
    *at = *from ? from + 1 : from;
    *to = 0;
    return is_quoted ? NULL : word;
}

static fl_err split(fl_argv *argv, const char *line, fl_reason *why)
{
    size_t count = 0;
    for (char *at = argv->text; *(at += strspn(at, " "));) {
        if (count == FL_ARGV_WORDS_MAX) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "--trainer-command: more than %d words",
                                 FL_ARGV_WORDS_MAX);
        }
        argv->words[count] = take_word(&at);
        if (!argv->words[count++]) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "--trainer-command %s: a quote does not end",
                                 line);
        }
    }
    if (count > 0 && argv->words[0][0] == '/') return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--trainer-command %s: begin with the whole path of "
                         "the program, /usr/bin/python3",
                         line);
}

fl_err fl_argv_split(fl_argv *argv, const char *line, fl_reason *why)
{
    *argv = (fl_argv){.text = strdup(line)};
    if (!argv->text) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    const fl_err err = split(argv, line, why);
    if (err) fl_argv_fini(argv);
    return err;
}

void fl_argv_fini(fl_argv *argv)
{
    free(argv->text);
    *argv = (fl_argv){.text = NULL};
}
