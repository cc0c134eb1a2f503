/* SPDX-License-Identifier: Apache-2.0 */
#include "base/folder.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/lock.h"

#define LOCK_NAME "lock"

static fl_err make_one(const char *path, unsigned mode)
{
    if (mkdir(path, (mode_t)mode) == 0) return FL_OK;
    struct stat about;
    const int number = errno;  // a read-only parent hides that it is there
    if (stat(path, &about) == 0) {
        if (S_ISDIR(about.st_mode)) return FL_OK;
        errno = ENOTDIR;
        return FL_ERR_SYSTEM;
    }
    errno = number;
    return FL_ERR_SYSTEM;
}

fl_err fl_folder_make(const char *path, unsigned mode, fl_reason *why)
{
    char part[PATH_MAX];
    const size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "cannot make the folder \"%s\": the name is %s",
                             path, len ? "too long" : "empty");
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        const char here = part[i];
        if ((here != '/' && here != 0) || part[i - 1] == '/') continue;
        part[i] = 0;
        if (make_one(part, mode)) {
            return fl_reason_system(why, part, "make the folder");
        }
        part[i] = here;
    }
    return FL_OK;
}

fl_err fl_folder_place(char path[PATH_MAX], const char *folder,
                       const char *name, fl_reason *why)
{
    if (!fl_path_join(path, PATH_MAX, folder, name)) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM, "%.100s: too long a path", folder);
}

fl_err fl_folder_lock(int *lock, const char *folder, fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(fl_folder_place(path, folder, LOCK_NAME, why));
    return fl_lock_take(lock, path, why);
}

bool fl_folder_is_locked(const char *folder)
{
    char path[PATH_MAX];
    return !fl_path_join(path, sizeof path, folder, LOCK_NAME) &&
           fl_lock_is_held(path);
}

fl_err fl_folder_ask_to_reload(const char *folder, const char *daemon,
                               fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(fl_folder_place(path, folder, LOCK_NAME, why));
    const fl_err err = fl_lock_signal_holder(path, SIGHUP, why);
    if (err != FL_ERR_NOT_FOUND) return err;
    return fl_reason_set(why, err, "%s: no %s runs there", folder, daemon);
}
