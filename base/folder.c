/* SPDX-License-Identifier: Apache-2.0 */
#include "base/folder.h"

#include <signal.h>

#include "base/file.h"

#define LOCK_NAME "lock"

fl_err fl_folder_place(char path[PATH_MAX], const char *folder,
                       const char *name, fl_reason *why)
{
    if (!fl_path_join(path, PATH_MAX, folder, name)) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%.100s: the name of the state folder is too long",
                         folder);
}

fl_err fl_folder_lock(int *lock, const char *folder, fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(fl_folder_place(path, folder, LOCK_NAME, why));
    return fl_file_lock(lock, path, why);
}

bool fl_folder_is_locked(const char *folder)
{
    char path[PATH_MAX];
    return !fl_path_join(path, sizeof path, folder, LOCK_NAME) &&
           fl_file_is_locked(path);
}

fl_err fl_folder_ask_to_reload(const char *folder, const char *daemon,
                               fl_reason *why)
{
    char path[PATH_MAX];
    if (!fl_folder_is_locked(folder)) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no %s runs there",
                             folder, daemon);
    }
    FL_TRY(fl_folder_place(path, folder, LOCK_NAME, why));
    return fl_file_signal_holder(path, SIGHUP, why);
}
