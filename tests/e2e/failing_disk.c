/*
 * A disk that fails, for LD_PRELOAD: while the file $FAILING_DISK exists, what
 * is written below the folder $FAILING_FOLDER fails as its first word says:
 *
 *   EIO     everything: a card that dies
 *   EROFS   everything: the kernel has given it up
 *   ENOSPC  what would take more room; what is overwritten in place does not
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// What dlsym gives is a function, which C has no cast for.
#define REAL(name, type)                      \
    static type *real;                        \
    if (!real) {                              \
        void *found = dlsym(RTLD_NEXT, name); \
        memcpy(&real, &found, sizeof real);   \
    }

// 0: the disk is well.
static int fault(void)
{
    char word[16] = "";
    const char *path = getenv("FAILING_DISK");
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) return 0;
    if (fscanf(file, "%15s", word) != 1) word[0] = 0;
    fclose(file);
    if (strcmp(word, "EIO") == 0) return EIO;
    if (strcmp(word, "EROFS") == 0) return EROFS;
    return strcmp(word, "ENOSPC") == 0 ? ENOSPC : 0;
}

static bool is_below(const char *path)
{
    const char *folder = getenv("FAILING_FOLDER");
    const size_t len = folder ? strlen(folder) : 0;
    return len > 0 && strncmp(path, folder, len) == 0 && path[len] == '/';
}

static bool is_file_below(int file)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) return false;
    path[len] = 0;
    return is_below(path);
}

// True, and errno: this call fails.
static bool fails(int file, bool takes_room)
{
    if (!is_file_below(file)) return false;
    const int number = fault();
    if (number == 0 || (number == ENOSPC && !takes_room)) return false;
    errno = number;
    return true;
}

typedef ssize_t write_fn(int, const void *, size_t);
ssize_t write(int file, const void *bytes, size_t len)
{
    REAL("write", write_fn);
    return fails(file, true) ? -1 : real(file, bytes, len);
}

typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
ssize_t pwrite(int file, const void *bytes, size_t len, off_t at)
{
    REAL("pwrite", pwrite_fn);
    return fails(file, false) ? -1 : real(file, bytes, len, at);
}

typedef int allocate_fn(int, off_t, off_t);
int posix_fallocate(int file, off_t at, off_t len)
{
    REAL("posix_fallocate", allocate_fn);
    return fails(file, true) ? errno : real(file, at, len);
}

typedef int sync_fn(int);
int fsync(int file)
{
    REAL("fsync", sync_fn);
    return fails(file, false) ? -1 : real(file);
}

typedef int open_fn(const char *, int, ...);
int open(const char *path, int flags, ...)
{
    REAL("open", open_fn);
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if ((flags & O_ACCMODE) != O_RDONLY && is_below(path) && fault() == EROFS) {
        errno = EROFS;
        return -1;
    }
    return real(path, flags, mode);
}
