/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700  // realpath; NOLINT: the system's name
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/owner.h"

enum {
    READ_MIN = 4096,
    TEMPORARY_ATTEMPTS = 100,
    MAKER_NS = 1000 * 1000,  // from making a file to its lock, and some more
};

static fl_err say_too_long(const char *path, size_t cap, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "%s: longer than the %zu bytes allowed", path, cap);
}

// Up to dst_cap bytes; fewer only at the end of the file.
static fl_err read_fully(int fd, uint8_t *dst, size_t dst_cap, size_t *len)
{
    *len = 0;
    while (*len < dst_cap) {
        const ssize_t got = read(fd, dst + *len, dst_cap - *len);
        if (got == 0) return FL_OK;
        if (got > 0) *len += (size_t)got;
        if (got < 0 && errno != EINTR) return FL_ERR_SYSTEM;
    }
    return FL_OK;
}

// How much to make room for: what the folder says, at most `cap`.
static size_t expected_len(int fd, size_t cap)
{
    struct stat about;
    size_t len = READ_MIN;
    if (fstat(fd, &about) == 0 && about.st_size > READ_MIN) {
        const uintmax_t size = (uintmax_t)about.st_size;
        len = size < SIZE_MAX / 2 ? (size_t)size : SIZE_MAX / 2;
    }
    return len < cap ? len : cap;
}

// The length is not known in advance: pipes and /proc announce none.
static fl_err read_growing(uint8_t **bytes, size_t *len, int fd,
                           const char *path, size_t cap, fl_reason *why)
{
    size_t room = expected_len(fd, cap), used = 0;
    for (;;) {
        // One byte more than the room tells "full" from "too long", and
        // holds the closing 0.
        uint8_t *grown = realloc(*bytes, room + 1);
        if (!grown) {
            return fl_reason_set(why, FL_ERR_MEMORY,
                                 "%s: no memory for %zu bytes", path, room);
        }
        *bytes = grown;
        size_t got;
        if (read_fully(fd, grown + used, room + 1 - used, &got)) {
            return fl_reason_system(why, path, "read");
        }
        used += got;
        if (used <= room) break;
        if (room == cap) return say_too_long(path, cap, why);
        room = room < cap / 2 ? room * 2 : cap;
    }
    (*bytes)[used] = 0;
    *len = used;
    return FL_OK;
}

// Takes the descriptor.
static fl_err read_and_close(uint8_t **bytes, size_t *len, int fd,
                             const char *path, size_t cap, fl_reason *why)
{
    if (cap > SIZE_MAX / 2) cap = SIZE_MAX / 2;
    uint8_t *content = NULL;
    const fl_err err = read_growing(&content, len, fd, path, cap, why);
    close(fd);
    if (err) {
        free(content);
        return err;
    }
    *bytes = content;
    return FL_OK;
}

static fl_err open_to_read(int *fd, const char *path, int flags, fl_reason *why)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (*fd >= 0) return FL_OK;
    if (errno == ENOENT || errno == ENOTDIR) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no such file", path);
    }
    return fl_reason_system(why, path, "open");
}

fl_err fl_file_read(uint8_t **bytes, size_t *len, const char *path, size_t cap,
                    fl_reason *why)
{
    int fd;
    FL_TRY(open_to_read(&fd, path, 0, why));
    return read_and_close(bytes, len, fd, path, cap, why);
}

fl_err fl_file_read_plain(uint8_t **bytes, size_t *len, const char *path,
                          size_t cap, fl_reason *why)
{
    int fd;
    struct stat about;
    // A pipe would have to wait for a writer, to be opened otherwise.
    FL_TRY(open_to_read(&fd, path, O_NONBLOCK, why));
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        return fl_reason_set(why, FL_ERR_RANGE, "%s: is not a file", path);
    }
    if (about.st_size > 0 && (uintmax_t)about.st_size > cap) {
        close(fd);
        return say_too_long(path, cap, why);
    }
    return read_and_close(bytes, len, fd, path, cap, why);
}

static fl_err write_fully(int fd, const uint8_t *src, size_t src_len)
{
    while (src_len > 0) {
        const ssize_t put = write(fd, src, src_len);
        if (put < 0 && errno != EINTR) return FL_ERR_SYSTEM;
        if (put > 0) {
            src += put;
            src_len -= (size_t)put;
        }
    }
    return FL_OK;
}

// Whether `path` still names the open file.
static bool names_file(const char *path, int fd)
{
    struct stat named, opened;
    return stat(path, &named) == 0 && fstat(fd, &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

static fl_err lock_file(int fd)
{
    while (flock(fd, LOCK_EX)) {
        if (errno != EINTR) return FL_ERR_SYSTEM;
    }
    return FL_OK;
}

// A crash left `temporary` behind, or somebody is writing it: wait for the
// latter, then remove what is still there. Who has just made it gets a moment
// to lock it: two that remove each other's files would both come to nothing.
static fl_err clear_temporary(const char *temporary)
{
    const int fd = open(temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno == ENOENT ? FL_OK : FL_ERR_SYSTEM;
    nanosleep(&(struct timespec){.tv_nsec = MAKER_NS}, NULL);
    fl_err err = lock_file(fd);
    if (!err && names_file(temporary, fd) && unlink(temporary)) {
        err = FL_ERR_SYSTEM;
    }
    close(fd);
    return err;
}

// There is one temporary name for a path, so that a daemon killed over and
// over leaves one such file and not a full disk. Its lock keeps writers apart.
static fl_err make_temporary(int *made, const char *temporary, unsigned mode)
{
    for (int i = 0; i < TEMPORARY_ATTEMPTS; i++) {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
        const int fd = open(temporary, flags, (mode_t)mode);
        if (fd < 0) {
            if (errno != EEXIST) return FL_ERR_SYSTEM;
            FL_TRY(clear_temporary(temporary));
            continue;
        }
        const fl_err err = lock_file(fd);
        if (!err && names_file(temporary, fd)) {
            fl_owner_follow(fd, temporary);
            *made = fd;
            return FL_OK;
        }
        if (err) unlink(temporary);
        close(fd);
        FL_TRY(err);  // else it was taken for a leftover before our lock
    }
    errno = EBUSY;
    return FL_ERR_SYSTEM;
}

static fl_err sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? path : ".";
    size_t len = slash ? (size_t)(slash - path) : 1;
    if (slash == path) len = 1;
    memcpy(folder, name, len);
    folder[len] = 0;

    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return FL_ERR_SYSTEM;
    // Some file systems have nothing to sync for a folder, and say EINVAL.
    const bool ok = fsync(fd) == 0 || errno == EINVAL;
    close(fd);
    return ok ? FL_OK : FL_ERR_SYSTEM;
}

// A device or pipe cannot be replaced, only written to.
static fl_err write_in_place(const char *path, const void *bytes, size_t len,
                             fl_reason *why)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fl_reason_system(why, path, "open");
    fl_err err = write_fully(fd, bytes, len);
    if (err) err = fl_reason_system(why, path, "write");
    close(fd);
    return err;
}

static fl_err name_temporary(char temporary[PATH_MAX], const char *path,
                             fl_reason *why)
{
    const int len = snprintf(temporary, PATH_MAX, "%s.tmp", path);
    if (len >= 0 && len < PATH_MAX) return FL_OK;
    errno = ENAMETOOLONG;
    return fl_reason_system(why, path, "write");
}

static fl_err replace(const char *path, const void *bytes, size_t len,
                      unsigned mode, bool is_durable, fl_reason *why)
{
    char temporary[PATH_MAX];
    FL_TRY(name_temporary(temporary, path, why));
    int fd;
    if (make_temporary(&fd, temporary, mode)) {
        return fl_reason_system(why, temporary, "make");
    }

    const char *failed = NULL;
    if (write_fully(fd, bytes, len)) {
        failed = "write";
    } else if (is_durable && fsync(fd)) {
        failed = "sync";
    } else if (rename(temporary, path)) {
        failed = "rename";
    }
    fl_err err = FL_OK;
    if (failed) {
        err = fl_reason_system(why, temporary, failed);
        unlink(temporary);
    } else if (is_durable && sync_folder_of(path)) {
        err = fl_reason_system(why, path, "sync the folder");
    }
    close(fd);  // only now: the lock covers the removal
    return err;
}

static fl_err write_file(const char *path, const void *bytes, size_t len,
                         unsigned mode, bool is_durable, fl_reason *why)
{
    struct stat about;
    const bool exists = stat(path, &about) == 0;
    if (exists && !S_ISREG(about.st_mode)) {
        return write_in_place(path, bytes, len, why);
    }

    // A link stays, and what it points to is replaced.
    char *target = exists ? realpath(path, NULL) : NULL;
    const fl_err err =
        replace(target ? target : path, bytes, len, mode, is_durable, why);
    free(target);
    return err;
}

fl_err fl_file_write(const char *path, const void *bytes, size_t len,
                     unsigned mode, fl_reason *why)
{
    return write_file(path, bytes, len, mode, true, why);
}

fl_err fl_file_replace(const char *path, const void *bytes, size_t len,
                       unsigned mode, fl_reason *why)
{
    return write_file(path, bytes, len, mode, false, why);
}

static fl_err overwrite(int fd, const char *path, const void *bytes, size_t len,
                        fl_reason *why)
{
    struct stat about;
    if (fstat(fd, &about)) return fl_reason_system(why, path, "look at");
    if (about.st_size < 0 || (size_t)about.st_size != len) {
        return fl_reason_set(why, FL_ERR_STATE, "%s: has not %zu bytes", path,
                             len);
    }
    if (pwrite(fd, bytes, len, 0) != (ssize_t)len || fsync(fd)) {
        return fl_reason_system(why, path, "write");
    }
    return FL_OK;
}

fl_err fl_file_overwrite(const char *path, const void *bytes, size_t len,
                         fl_reason *why)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no such file", path);
    }
    if (fd < 0) return fl_reason_system(why, path, "write");
    const fl_err err = overwrite(fd, path, bytes, len, why);
    close(fd);
    return err;
}

fl_err fl_file_check(const char *path, fl_reason *why)
{
    struct stat about;
    const bool exists = stat(path, &about) == 0;
    if (exists && S_ISDIR(about.st_mode)) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: a folder; name a file in it", path);
    }
    if (exists && !S_ISREG(about.st_mode)) {
        return access(path, W_OK) ? fl_reason_system(why, path, "write")
                                  : FL_OK;
    }
    char temporary[PATH_MAX];
    FL_TRY(name_temporary(temporary, path, why));
    int fd;
    if (make_temporary(&fd, temporary, 0600)) {
        return fl_reason_system(why, path, "write");
    }
    // A full disk has names left, and one that fails does so when it is used.
    fl_err err = FL_OK;
    if (write_fully(fd, (const uint8_t *)"", 1)) {
        err = fl_reason_system(why, path, "write");
    }
    unlink(temporary);
    close(fd);
    return err;
}

fl_err fl_file_publish(const char *made, const char *path, fl_reason *why)
{
    if (rename(made, path)) return fl_reason_system(why, made, "rename");
    if (!sync_folder_of(path)) return FL_OK;
    return fl_reason_system(why, path, "sync the folder");
}

fl_err fl_path_join(char *dst, size_t dst_cap, const char *folder,
                    const char *name)
{
    const int len = snprintf(dst, dst_cap, "%s/%s", folder, name);
    return len >= 0 && (size_t)len < dst_cap ? FL_OK : FL_ERR_SPACE;
}
