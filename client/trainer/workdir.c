/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700  // realpath, nftw; NOLINT: the system's name
#include "client/trainer/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"

enum {
    WALK_FDS = 8,
    TRIES_MAX = 16,  // each opens one more folder that was locked
};

/* ---- removing ---- */

static int remove_entry(const char *path, const struct stat *about, int type,
                        struct FTW *place)
{
    (void)about;
    (void)place;
    // A trainer may have locked itself out: its content goes the next time.
    if (type == FTW_DNR) (void)chmod(path, 0700);
    (void)remove(path);
    return 0;
}

// Links are removed, not followed. False: something is left.
static bool remove_all(const char *path)
{
    struct stat found;
    for (int i = 0; i < TRIES_MAX; i++) {
        (void)nftw(path, remove_entry, WALK_FDS, FTW_DEPTH | FTW_PHYS);
        if (lstat(path, &found) && errno == ENOENT) return true;
    }
    return false;
}

/* ---- the folder ---- */

static fl_err refuse(fl_reason *why, const char *path)
{
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s: %s", path, strerror(errno));
}

// The folder of all tasks.
static fl_err find_parent(char path[PATH_MAX], const char *state,
                          fl_reason *why)
{
    char *whole = realpath(state, NULL);
    if (!whole) return refuse(why, state);
    const fl_err err = fl_folder_place(path, whole, "trainer", why);
    free(whole);
    return err;
}

void fl_workdir_clear(const char *state)
{
    char parent[PATH_MAX];
    if (!find_parent(parent, state, NULL)) (void)remove_all(parent);
}

fl_err fl_workdir_open(fl_workdir *dir, const char *state, fl_reason *why)
{
    char parent[PATH_MAX];
    *dir = (fl_workdir){.fd = -1};
    fl_workdir_clear(state);
    FL_TRY(find_parent(parent, state, why));
    if (mkdir(parent, 0700) && errno != EEXIST) return refuse(why, parent);
    FL_TRY(fl_folder_place(dir->path, parent, "task.XXXXXX", why));
    if (!mkdtemp(dir->path)) return refuse(why, dir->path);
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return dir->fd < 0 ? refuse(why, dir->path) : FL_OK;
}

fl_err fl_workdir_close(fl_workdir *dir, fl_reason *why)
{
    if (dir->fd < 0) return FL_OK;
    close(dir->fd);
    dir->fd = -1;
    return remove_all(dir->path) ? FL_OK : refuse(why, dir->path);
}

/* ---- files ---- */

fl_err fl_workdir_create(FILE **file, const fl_workdir *dir, const char *name,
                         fl_reason *why)
{
    const int fd =
        openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return refuse(why, name);
    *file = fdopen(fd, "wb");
    if (*file) return FL_OK;
    const fl_err err = refuse(why, name);
    close(fd);
    return err;
}

fl_err fl_workdir_finish(FILE *file, const char *name, fl_reason *why)
{
    const bool has_failed = ferror(file);
    if (fclose(file) == 0 && !has_failed) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s cannot be written, is the disk full?", name);
}

static fl_err check_plain(size_t *len, int fd, const char *name, size_t cap,
                          fl_reason *why)
{
    struct stat found;
    if (fstat(fd, &found)) return refuse(why, name);
    if (!S_ISREG(found.st_mode)) {
        return fl_reason_set(why, FL_ERR_FORMAT, "%s is no plain file", name);
    }
    *len = (size_t)found.st_size;
    if (*len <= cap) return FL_OK;
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "%s has %zu bytes, %zu are the most that it can need",
                         name, *len, cap);
}

static fl_err read_all(uint8_t *bytes, size_t len, int fd, const char *name,
                       fl_reason *why)
{
    for (size_t done = 0; done < len;) {
        const ssize_t part = read(fd, bytes + done, len - done);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return refuse(why, name);
        if (part == 0) {
            return fl_reason_set(why, FL_ERR_FORMAT, "%s has become shorter",
                                 name);
        }
        done += (size_t)part;
    }
    return FL_OK;
}

static fl_err read_open(uint8_t **bytes, size_t *len, int fd, const char *name,
                        size_t cap, fl_reason *why)
{
    FL_TRY(check_plain(len, fd, name, cap, why));
    uint8_t *room = malloc(*len + 1);
    if (!room) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu bytes",
                             *len);
    }
    const fl_err err = read_all(room, *len, fd, name, why);
    if (err) {
        free(room);
        return err;
    }
    *bytes = room;
    return FL_OK;
}

fl_err fl_workdir_read(uint8_t **bytes, size_t *len, const fl_workdir *dir,
                       const char *name, size_t cap, fl_reason *why)
{
    // A pipe must not keep us waiting.
    const int fd =
        openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND, "there is no %s", name);
    }
    if (fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EACCES)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s is no plain file that can be read", name);
    }
    if (fd < 0) return refuse(why, name);
    const fl_err err = read_open(bytes, len, fd, name, cap, why);
    close(fd);
    return err;
}
