/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE  // pipe2, unshare, close_range; NOLINT: the system's name
#include "client/trainer/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    STATUS_FD = 3,  // where the child says what has failed, until it is exec'd
    FDS_MAX = 65536,
    MAP_CAP = 64,
};

/* ---- in the child: only what is safe after a fork of many threads ---- */

#define STEPS(X)                            \
    X(STEP_GROUP, "a process group")        \
    X(STEP_FILES, "its standard files")     \
    X(STEP_LIMITS, "its limits")            \
    X(STEP_NETWORK, "a network of its own") \
    X(STEP_FOLDER, "its folder")            \
    X(STEP_PROGRAM, "the program")

typedef enum {
#define STEP_ENUM(name, text) name,
    STEPS(STEP_ENUM)
#undef STEP_ENUM
} step;

static const char *const STEP_NAMES[] = {
#define STEP_NAME(name, text) text,
    STEPS(STEP_NAME)
#undef STEP_NAME
};

typedef struct {
    step step;
    int error;
} failure;

typedef struct {
    const fl_child_options *options;
    pid_t parent;
    int output, log, status;
    char users[MAP_CAP], groups[MAP_CAP];  // of a user namespace
} preparation;

static bool set_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    return signal(SIGPIPE, SIG_DFL) != SIG_ERR &&
           sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static bool set_group(const preparation *p)
{
    if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL)) return false;
    return getppid() == p->parent && set_signals();
}

static void close_others(void)
{
    if (close_range(STATUS_FD + 1, ~0U, 0) == 0) return;
    for (int fd = STATUS_FD + 1; fd < FDS_MAX; fd++) {  // Linux before 5.9
        close(fd);
    }
}

// Out of the way first: one of them might be where another has to go.
static bool move(int *fd)
{
    *fd = fcntl(*fd, F_DUPFD_CLOEXEC, STATUS_FD + 1);
    return *fd >= 0;
}

static bool set_files(const preparation *p)
{
    int input = p->options->input, output = p->output, log = p->log;
    int status = p->status;
    if (!move(&input) || !move(&output) || !move(&log) || !move(&status)) {
        return false;
    }
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(log, 2) < 0) {
        return false;
    }
    if (dup3(status, STATUS_FD, O_CLOEXEC) < 0) return false;
    close_others();
    return true;
}

// Core files are forbidden already: it inherits that (fl_secure_hide).
static bool set_limits(const fl_child_options *options)
{
    const struct rlimit memory = {options->memory, options->memory};
    return options->memory == 0 || setrlimit(RLIMIT_AS, &memory) == 0;
}

static bool put_text(const char *path, const char *text)
{
    const size_t len = strlen(text);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool is_written = write(fd, text, len) == (ssize_t)len;
    return close(fd) == 0 && is_written;
}

// Root can have a network of its own; others need users of their own first, in
// which they go on being who they are.
static bool leave_network(const preparation *p)
{
    if (!p->options->is_offline || unshare(CLONE_NEWNET) == 0) return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
           put_text("/proc/self/uid_map", p->users) &&
           put_text("/proc/self/setgroups", "deny") &&
           put_text("/proc/self/gid_map", p->groups);
}

static step become(const preparation *p)
{
    const fl_child_options *o = p->options;
    if (!set_group(p)) return STEP_GROUP;
    if (!set_files(p)) return STEP_FILES;
    if (!leave_network(p)) return STEP_NETWORK;
    if (chdir(o->folder)) return STEP_FOLDER;
    if (!set_limits(o)) return STEP_LIMITS;
    execve(o->argv[0], o->argv, o->envp);
    return STEP_PROGRAM;
}

_Noreturn static void run(const preparation *p)
{
    const failure failed = {.step = become(p), .error = errno};
    // The one before set_files has put it elsewhere, or after it.
    if (write(failed.step <= STEP_FILES ? p->status : STATUS_FD, &failed,
              sizeof failed) < 0) {
        _exit(126);
    }
    _exit(127);
}

/* ---- in the parent ---- */

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) close(pair[i]);
        pair[i] = -1;
    }
}

static bool make_pipes(int output[2], int log[2], int status[2])
{
    return pipe2(output, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0 &&
           pipe2(status, O_CLOEXEC) == 0 &&
           fcntl(output[0], F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(log[0], F_SETFL, O_NONBLOCK) == 0;
}

static void wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

// Nothing comes when the program runs: that closes its end.
static fl_err hear(int status, pid_t pid, const fl_child_options *options,
                   fl_reason *why)
{
    failure failed;
    ssize_t len;
    do {
        len = read(status, &failed, sizeof failed);
    } while (len < 0 && errno == EINTR);
    if (len != (ssize_t)sizeof failed) return FL_OK;
    wait_for(pid);
    if (failed.step == STEP_NETWORK) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "--trainer-offline: this system does not let a "
                             "program have a network of its own: %s",
                             strerror(failed.error));
    }
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s cannot be started, %s: %s",
                         options->argv[0], STEP_NAMES[failed.step],
                         strerror(failed.error));
}

fl_err fl_child_start(fl_child *child, const fl_child_options *options,
                      fl_reason *why)
{
    int output[2] = {-1, -1}, log[2] = {-1, -1}, status[2] = {-1, -1};
    preparation p = {.options = options, .parent = getpid()};
    fl_err err = FL_ERR_SYSTEM;
    snprintf(p.users, sizeof p.users, "%u %u 1", geteuid(), geteuid());
    snprintf(p.groups, sizeof p.groups, "%u %u 1", getegid(), getegid());
    if (!make_pipes(output, log, status)) goto out;
    p.output = output[1];
    p.log = log[1];
    p.status = status[1];
    const pid_t pid = fork();
    if (pid == 0) run(&p);
    if (pid < 0) goto out;
    close(status[1]);
    status[1] = -1;
    err = hear(status[0], pid, options, why);
    if (err) goto closed;
    *child = (fl_child){.pid = pid, .output = output[0], .log = log[0]};
    output[0] = log[0] = -1;

out:
    if (err) {
        (void)!fl_reason_set(why, err, "no process can be started: %s",
                             strerror(errno));
    }
closed:
    close_pair(output);
    close_pair(log);
    close_pair(status);
    return err;
}

void fl_child_pause(const fl_child *child, bool is_paused)
{
    kill(-child->pid, is_paused ? SIGSTOP : SIGCONT);
}

bool fl_child_has_ended(const fl_child *child, fl_reason *how)
{
    siginfo_t info = {.si_pid = 0};
    // It stays a zombie: its number, which is its group's, is not given anew.
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
        info.si_pid == 0) {
        return false;
    }
    if (info.si_code == CLD_EXITED) {
        (void)!fl_reason_set(how, FL_ERR_CLOSED, "exit code %d",
                             info.si_status);
    } else {
        (void)!fl_reason_set(how, FL_ERR_CLOSED, "signal %d (%s)",
                             info.si_status, strsignal(info.si_status));
    }
    return true;
}

void fl_child_end(fl_child *child)
{
    kill(-child->pid, SIGKILL);
    wait_for(child->pid);
    close(child->output);
    close(child->log);
}
