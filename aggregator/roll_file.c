/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/roll_file.h"

#include <stdlib.h>

#include "base/file.h"

static fl_err join(char path[4096], const char *folder, const char *name,
                   fl_reason *why)
{
    const fl_err err = fl_path_join(path, 4096, folder, name);
    return err ? fl_reason_set(why, FL_ERR_RANGE, "--state: too long a path")
               : FL_OK;
}

fl_err fl_roll_file_open(fl_roll_file *file, const char *folder,
                         const char *path, fl_reason *why)
{
    char own[4096];
    *file = (fl_roll_file){.holds_authority = !path};
    if (path) {
        return fl_file_read(&file->list, &file->list_len, path,
                            FL_ENROLMENT_BYTES_MAX, why);
    }
    FL_TRY(join(own, folder, "authority.key", why));
    FL_TRY(fl_identity_open(&file->authority, own, why));
    FL_TRY(join(own, folder, "enrolment.list", why));
    const fl_err err = fl_file_read(&file->list, &file->list_len, own,
                                    FL_ENROLMENT_BYTES_MAX, why);
    return err == FL_ERR_NOT_FOUND ? FL_OK : err;
}

void fl_roll_file_fini(fl_roll_file *file)
{
    fl_identity_fini(&file->authority);
    free(file->list);
    *file = (fl_roll_file){0};
}

fl_err fl_roll_file_save(const char *folder, const uint8_t *list,
                         size_t list_len, fl_reason *why)
{
    char path[4096];
    FL_TRY(join(path, folder, "enrolment.list", why));
    return fl_file_write(path, list, list_len, 0644, why);
}
