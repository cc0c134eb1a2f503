/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_address.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/folder.h"
#include "client/state/state_record.h"

#define NAME  "aggregator.address"
#define TITLE "fedge address "
#define HEAD  TITLE "1\n"

enum { FILE_CAP = FL_ADDRESS_CAP + sizeof HEAD };

// Takes the second line; NULL: not what we write.
static const char *address_in(char *text)
{
    if (strncmp(text, HEAD, strlen(HEAD)) != 0) return NULL;
    char *line = text + strlen(HEAD);
    char *end = strchr(line, '\n');
    if (!end || end == line || end[1] != 0) return NULL;
    if (end - line >= FL_ADDRESS_CAP) return NULL;
    *end = 0;
    return line;
}

static fl_err refuse(const char *path, const char *text, fl_reason *why)
{
    if (text && strncmp(text, TITLE, strlen(TITLE)) == 0 &&
        strncmp(text, HEAD, strlen(HEAD)) != 0) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "%s: written by a newer fedge-client; install "
                             "that again, or delete the file and say "
                             "--aggregator",
                             path);
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: damaged; delete it and say --aggregator", path);
}

fl_err fl_state_address_get(char url[FL_ADDRESS_CAP], const char *folder,
                            fl_reason *why)
{
    char path[PATH_MAX];
    uint8_t *text = NULL;
    size_t len = 0;
    FL_TRY(fl_folder_place(path, folder, NAME, why));
    const fl_err err = fl_file_read(&text, &len, path, FILE_CAP, why);
    if (err == FL_ERR_NOT_FOUND) return err;
    if (err) return err == FL_ERR_LIMIT ? refuse(path, NULL, why) : err;
    const char *line =
        strlen((char *)text) == len ? address_in((char *)text) : NULL;
    const fl_err read_err = line ? FL_OK : refuse(path, (char *)text, why);
    if (line) snprintf(url, FL_ADDRESS_CAP, "%s", line);
    free(text);
    return read_err;
}

fl_err fl_state_address_set(const char *folder, const char *url, fl_reason *why)
{
    char path[PATH_MAX], text[FILE_CAP];
    FL_TRY(fl_folder_place(path, folder, NAME, why));
    if (strlen(url) >= FL_ADDRESS_CAP) {
        return fl_reason_set(why, FL_ERR_RANGE, "too long an address: %s", url);
    }
    snprintf(text, sizeof text, HEAD "%s\n", url);
    return fl_state_file_write(path, text, strlen(text), 0600, true, why);
}

fl_err fl_state_address_keep(const char *folder, const char *url,
                             fl_reason *why)
{
    char known[FL_ADDRESS_CAP];
    if (!fl_state_address_get(known, folder, NULL) && strcmp(known, url) == 0) {
        return FL_OK;
    }
    return fl_state_address_set(folder, url, why);
}
