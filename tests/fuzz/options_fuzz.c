/*
 * A configuration file, then after a line "--" one word of the command line
 * a line: whatever is accepted lies within the limits of its table, and
 * whatever is refused has a sentence.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

enum { WORDS_MAX = 16 };

static void require(bool is_true)
{
    if (!is_true) abort();
}

static void read_all(const char *path, int argc, char *const *argv)
{
    bool json = false;
    uint64_t rounds = 5, seed = 0;
    double rate = 1;
    const char *folder = "/", *out = NULL;
    const fl_option table[] = {
        {NULL, "json", FL_OPTION_FLAG, &json, 0, 0, NULL, "a flag"},
        {NULL, "out", FL_OPTION_TEXT, &out, 0, 0, "FILE", "a text"},
        {"train", "rounds", FL_OPTION_COUNT, &rounds, 1, 1000, "N", "a count"},
        {"train", "seed", FL_OPTION_COUNT, &seed, 0, 0x1p64, "N", "a count"},
        {"train", "rate", FL_OPTION_NUMBER, &rate, 0, 10, "R", "a number"},
        {"data", "folder", FL_OPTION_TEXT, &folder, 0, 0, "F", "a text"},
    };
    fl_options *options;
    fl_asked asked;
    fl_reason why = {""};
    const fl_err err =
        fl_options_read(&options, &asked, table, sizeof table / sizeof *table,
                        path, argc, argv, &why);
    require((err != FL_OK) == (why.text[0] != 0));
    require(err == FL_OK || err == FL_ERR_RANGE || err == FL_ERR_FORMAT);
    require(rounds >= 1 && rounds <= 1000);
    require(isfinite(rate) && rate >= 0 && rate <= 10);
    require(folder && strlen(folder) < 1 << 20);
    fl_options_free(options);
}

// One word a line behind argv[0]; returns argc.
static int split_words(char *argv[WORDS_MAX], char *lines)
{
    int argc = 1;
    while (lines && argc < WORDS_MAX) {
        argv[argc++] = lines;
        lines = strchr(lines, '\n');
        if (lines) *lines++ = 0;
    }
    return argc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char path[64], program[] = "fedge", *argv[WORDS_MAX] = {program};
    char *text = malloc(len + 1);
    FILE *file = tmpfile();
    require(text && file);
    memcpy(text, data, len);
    text[len] = 0;
    char *words = strstr(text, "\n--\n");
    const size_t config_len = words ? (size_t)(words - text) : len;
    require(fwrite(text, 1, config_len, file) == config_len);
    fflush(file);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    // No word may name a file: "--config" would read what is on this disk.
    if (!words || !strstr(words, "--config")) {
        read_all(path, split_words(argv, words ? words + 4 : NULL), argv);
    }
    fclose(file);
    free(text);
    return 0;
}
