/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/vector.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_CAP = 256, BYTES_CAP = 1 << 20 };

static bool find_block(FILE *file, const char *name)
{
    char wanted[LINE_CAP], line[LINE_CAP];
    snprintf(wanted, sizeof wanted, "```hex %s\n", name);
    while (fgets(line, sizeof line, file)) {
        if (strcmp(line, wanted) == 0) return true;
    }
    return false;
}

static int digit_value(char digit)
{
    const char digits[] = "0123456789abcdef";
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool add_line(uint8_t *bytes, size_t *len, const char *line)
{
    for (const char *at = line; *at && *at != '\n' && *at != '#';) {
        if (*at == ' ') {
            at++;
            continue;
        }
        const int high = digit_value(at[0]);
        const int low = high < 0 ? -1 : digit_value(at[1]);
        if (low < 0 || *len == BYTES_CAP) return false;
        bytes[(*len)++] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

static bool read_block(FILE *file, uint8_t *bytes, size_t *len)
{
    char line[LINE_CAP];
    while (fgets(line, sizeof line, file)) {
        if (strcmp(line, "```\n") == 0) return true;
        if (!add_line(bytes, len, line)) return false;
    }
    return false;
}

uint8_t *fl_vector_read(size_t *len, const char *path, const char *name)
{
    *len = 0;
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    uint8_t *bytes = malloc(BYTES_CAP);
    if (!bytes || !find_block(file, name) || !read_block(file, bytes, len)) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}
