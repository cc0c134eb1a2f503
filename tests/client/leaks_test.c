/*
 * A round of real programs: an aggregator and clients, each with its folder
 * and its log, and a source of randomness that notes all it gives. Afterwards
 * nothing of what was drawn is in any file, but for the keys in key files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE  // memmem, MAP_ANONYMOUS
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aggregator/server.h"
#include "base/file.h"
#include "client/service.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { CLIENTS = 3, PROGRAMS = CLIENTS + 1, TAPE_CAP = 1 << 20, NEEDLE = 16 };

static data_files files;
static char table[DATA_PATH_CAP], url[40];

/* ---- randomness that is noted ---- */

// Draws of all programs, one behind the other, each from a multiple of NEEDLE.
typedef struct {
    atomic_size_t len;
    uint8_t bytes[TAPE_CAP];
} tape;

static tape *drawn;

static const char *name_source(void)
{
    return "noted";
}

static void draw(void *dst, size_t len)
{
    const size_t room = (len + NEEDLE - 1) / NEEDLE * NEEDLE;
    const size_t at = atomic_fetch_add(&drawn->len, room);
    if (at + room > TAPE_CAP || len > TAPE_CAP) _exit(10);
    for (size_t done = 0; done < len;) {
        const ssize_t got = getrandom((uint8_t *)dst + done, len - done, 0);
        if (got < 1) _exit(11);
        done += (size_t)got;
    }
    if (len >= NEEDLE) memcpy(drawn->bytes + at, dst, len);
}

static uint32_t draw_number(void)
{
    uint32_t number;
    draw(&number, sizeof number);
    return number;
}

static void note_draws(void)
{
    static randombytes_implementation source = {
        .implementation_name = name_source,
        .random = draw_number,
        .buf = draw,
    };
    drawn = mmap(NULL, sizeof *drawn, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(drawn, MAP_FAILED);
    assert_int_equal(randombytes_set_implementation(&source), 0);
}

/* ---- the programs ---- */

static void choose_port(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &len), 0);
    close(fd);
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", ntohs(here.sin_port));
}

static void join_path(char path[DATA_PATH_CAP], const char *kind, unsigned i)
{
    const int len =
        snprintf(path, DATA_PATH_CAP, "%.200s/%s-%u", files.root, kind, i);
    assert_in_range(len, 1, DATA_PATH_CAP - 1);
}

static fl_err lead(const char *state)
{
    fl_server_options options = {
        .listen = url,
        .state = state,
        .join = "open",
        .data = {.dataset = table, .test = table},
        .federation = FL_FEDERATION_INIT,
        .client_cap = 16,
        .upload_mb = 16,
        .threads = 1,
        .is_quiet = true,
    };
    options.federation.model = "mlp";
    options.federation.round_count = 1;
    options.federation.cohort = CLIENTS;
    options.federation.min_survivors = 2;
    return fl_server_run(&options, &(fl_reason){""});
}

static fl_err take_part(const char *state, unsigned i)
{
    const fl_service_options options = {
        .aggregator = url,
        .state = state,
        .aggregation = "secure",
        .min_survivors = 2,
        .data = {.dataset = table, .test = table, .partition = "iid"},
        .clients = CLIENTS,
        .slice = i,
        .leave_when_finished = true,
        .rules = fl_rules_defaults(),
    };
    return fl_service_run(&options, options.aggregator, &(fl_reason){""});
}

static bool leaves_cores(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return true;
    return limit.rlim_cur != 1 && prctl(PR_GET_DUMPABLE) != 0;
}

// Program 0 is the aggregator.
static pid_t start(unsigned i)
{
    char state[DATA_PATH_CAP], log[DATA_PATH_CAP];
    join_path(state, "state", i);
    join_path(log, "log", i);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) return child;

    alarm(60);
    const int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) _exit(1);
    fl_log_start(FL_LOG_DEBUG, NULL, NULL);
    if (i == 0 ? lead(state) : take_part(state, i - 1)) _exit(2);
    _exit(leaves_cores() ? 3 : 0);
}

static void run_a_round(void)
{
    pid_t programs[PROGRAMS];
    for (unsigned i = 0; i < PROGRAMS; i++) {
        programs[i] = start(i);
    }
    for (unsigned i = 0; i < PROGRAMS; i++) {
        int status = -1;
        assert_int_equal(waitpid(programs[i], &status, 0), programs[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

/* ---- the search ---- */

static unsigned file_count, session_count, key_count;

// As it was drawn, or as digits.
static bool has_needle(const uint8_t *file, size_t len, const uint8_t *needle)
{
    char digits[2 * NEEDLE + 1];
    fl_hex_encode(digits, sizeof digits, needle, NEEDLE);
    return memmem(file, len, needle, NEEDLE) ||
           memmem(file, len, digits, 2 * NEEDLE);
}

static unsigned count_needles(const uint8_t *file, size_t len)
{
    static const uint8_t none[NEEDLE];
    unsigned count = 0;
    for (size_t at = 0; at < drawn->len; at += NEEDLE) {
        const uint8_t *needle = drawn->bytes + at;
        if (memcmp(needle, none, NEEDLE) == 0) continue;  // a short draw
        count += has_needle(file, len, needle);
    }
    return count;
}

static bool ends_with(const char *path, const char *end)
{
    const size_t len = strlen(path), end_len = strlen(end);
    return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

static int search(const char *path, const struct stat *info, int kind,
                  struct FTW *place)
{
    static const char finished[] = "event=session_finished";
    uint8_t *file = NULL;
    size_t len = 0;
    (void)info, (void)place;
    if (kind != FTW_F) return 0;
    assert_ok(fl_file_read(&file, &len, path, 1 << 28, &(fl_reason){""}));
    const unsigned count = count_needles(file, len);
    const bool has_finished =
        memmem(file, len, finished, sizeof finished - 1) != NULL;
    free(file);
    file_count++;
    session_count += has_finished;
    if (ends_with(path, ".key")) {
        key_count += count > 0;  // the search finds what is there
    } else if (count > 0) {
        fail_msg("%s has %u pieces of what was drawn", path, count);
    }
    return 0;
}

TEST(leaks_of_a_round_into_folders_and_logs_are_none)
{
    char text[1024] = "a,b,label\n";
    data_files_init(&files);
    for (int i = 0; i < 30; i++)
        strcat(text, i % 2 ? "0,1,0\n" : "1,0,1\n");
    strcpy(table, data_files_put_text(&files, "table.csv", text));
    note_draws();
    choose_port();
    run_a_round();

    assert_int_equal(nftw(files.root, search, 8, FTW_PHYS), 0);
    assert_int_equal(session_count, CLIENTS);
    assert_in_range(key_count, PROGRAMS, 2 * PROGRAMS);
    assert_true(file_count > 4 * PROGRAMS);
    // At least b, s, c and t - 1 coefficients of each client.
    assert_in_range(drawn->len, CLIENTS * (96 + 2 * 64), TAPE_CAP);
    data_files_fini(&files);
}

RUN_TESTS(cmocka_unit_test(leaks_of_a_round_into_folders_and_logs_are_none))
