/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_ATTEMPTS = 5 };

// For the person who reads a refusal, and fl_lock_signal_holder.
static void write_process_id(int fd)
{
    char text[32];
    const int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0)) return;
    (void)!write(fd, text, (size_t)len);
}

static long read_process_id(int fd)
{
    char text[32] = "";
    if (read(fd, text, sizeof text - 1) < 0) return 0;
    return strtol(text, NULL, 10);
}

// Tries again for a moment: fl_lock_is_held holds the lock for an instant.
static bool take_lock(int fd)
{
    for (int attempt = 1;; attempt++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK || attempt == LOCK_ATTEMPTS) return false;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

fl_err fl_lock_take(int *lock, const char *path, fl_reason *why)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    const int fd = open(path, flags, 0600);
    if (fd < 0) return fl_reason_system(why, path, "open");
    if (take_lock(fd)) {
        write_process_id(fd);
        *lock = fd;
        return FL_OK;
    }
    fl_err err;
    if (errno == EWOULDBLOCK) {
        err = fl_reason_set(why, FL_ERR_STATE,
                            "%s: in use by process %ld; stop it, or choose "
                            "another state folder",
                            path, read_process_id(fd));
    } else {
        err = fl_reason_system(why, path, "lock");
    }
    close(fd);
    return err;
}

void fl_lock_release(int lock)
{
    close(lock);
}

// Whoever may write there could have put a pipe, or a link, in its place.
static int open_to_look(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static bool is_locked(int fd)
{
    return flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool fl_lock_is_held(const char *path)
{
    const int fd = open_to_look(path);
    if (fd < 0) return false;
    const bool is_held = is_locked(fd);
    close(fd);
    return is_held;
}

// Root is not to signal whomever a file names. For others the kernel sees to
// that, and a service may not see its own process in /proc.
static bool is_owners_process(int fd, long process)
{
    char path[64];
    struct stat of_file, of_process;
    if (geteuid() != 0) return process > 1;
    snprintf(path, sizeof path, "/proc/%ld", process);
    return process > 1 && fstat(fd, &of_file) == 0 &&
           stat(path, &of_process) == 0 && of_process.st_uid == of_file.st_uid;
}

static fl_err signal_holder(int fd, const char *path, int number,
                            fl_reason *why)
{
    if (!is_locked(fd)) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "%s: no program holds this lock", path);
    }
    const long process = read_process_id(fd);
    if (!is_owners_process(fd, process)) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: names process %ld, which does not belong to "
                             "the owner of the file",
                             path, process);
    }
    if (kill((pid_t)process, number)) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: process %ld cannot be signalled: %s; be its "
                             "user, or root",
                             path, process, strerror(errno));
    }
    return FL_OK;
}

fl_err fl_lock_signal_holder(const char *path, int number, fl_reason *why)
{
    const int fd = open_to_look(path);
    if (fd < 0 && errno == ENOENT) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no such lock", path);
    }
    if (fd < 0) return fl_reason_system(why, path, "open");
    const fl_err err = signal_holder(fd, path, number, why);
    close(fd);
    return err;
}
