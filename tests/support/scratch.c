/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE  // unshare
#include "tests/support/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

bool fl_scratch_make(char folder[FL_SCRATCH_CAP])
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, FL_SCRATCH_CAP, "%s/fl_test_XXXXXX",
             parent ? parent : "/tmp");
    return mkdtemp(folder) != NULL;
}

static int remove_entry(const char *path, const struct stat *about, int type,
                        struct FTW *at)
{
    (void)about;
    (void)type;
    (void)at;
    return remove(path);
}

void fl_scratch_remove(const char *folder)
{
    umount2(folder, MNT_DETACH);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

bool fl_scratch_mount(const char *folder, size_t len)
{
    static bool is_apart;
    if (!is_apart && (unshare(CLONE_NEWNS) != 0 ||
                      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
        return false;
    is_apart = true;
    char options[64];
    snprintf(options, sizeof options, "size=%zu,mode=0700", len);
    return mount("tmpfs", folder, "tmpfs", 0, options) == 0;
}

bool fl_scratch_fill(const char *folder, size_t left)
{
    char path[FL_SCRATCH_CAP + 8];
    snprintf(path, sizeof path, "%s/filler", folder);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    static const uint8_t block[4096];
    off_t len = 0;
    if (left != SIZE_MAX) {
        for (ssize_t put; (put = write(fd, block, sizeof block)) > 0;)
            len += put;
    }
    const off_t keep = len > (off_t)left ? len - (off_t)left : 0;
    const bool ok = left == SIZE_MAX || ftruncate(fd, keep) == 0;
    close(fd);
    return ok;
}

bool fl_scratch_limit_files(size_t len)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    limit.rlim_cur = len == SIZE_MAX ? limit.rlim_max : len;
    // Without this the limit kills; with it, a write fails half-way.
    return signal(SIGXFSZ, SIG_IGN) != SIG_ERR &&
           setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

size_t fl_scratch_count(const char *folder)
{
    size_t count = 0;
    DIR *names = opendir(folder);
    if (!names) return 0;
    for (struct dirent *entry; (entry = readdir(names));)
        count += entry->d_name[0] != '.';
    closedir(names);
    return count;
}

bool fl_scratch_kill(void (*work)(void *self, int report), void *self,
                     unsigned after_us, unsigned *last)
{
    int pipes[2];
    if (pipe(pipes) != 0) return false;
    const pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) {
        close(pipes[0]);
        work(self, pipes[1]);
        _exit(1);
    }
    close(pipes[1]);
    if (after_us == 0) (void)!read(pipes[0], last, sizeof *last);
    nanosleep(&(struct timespec){.tv_sec = after_us / 1000000,
                                 .tv_nsec = after_us % 1000000 * 1000},
              NULL);
    kill(child, SIGKILL);
    for (uint32_t value; read(pipes[0], &value, sizeof value) == sizeof value;)
        *last = value;
    close(pipes[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
