/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/vault.h"

#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "secure/secure.h"
#include "tests/support/scratch.h"
#include "tests/support/torch.h"
#include "tests/test.h"

enum { ALIGNMENT = alignof(max_align_t) };

static fl_vault *new_vault(size_t cap)
{
    fl_vault *vault;
    assert_ok(fl_secure_start());
    assert_ok(fl_vault_new(&vault, cap));
    return vault;
}

static void assert_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], 0);
}

/* ---- taking ---- */

TEST(vault_gives_zeroed_and_aligned_bytes_that_do_not_overlap)
{
    uint8_t *taken[40];
    fl_vault *vault = new_vault(40 * 64);
    for (size_t i = 0; i < 40; i++) {
        taken[i] = fl_vault_take(vault, i);
        assert_non_null(taken[i]);
        assert_int_equal((uintptr_t)taken[i] % ALIGNMENT, 0);
        assert_zero(taken[i], i);
        memset(taken[i], (int)i + 1, i);
    }
    for (size_t i = 0; i < 40; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(taken[i][k], i + 1);
    fl_vault_free(vault);
}

TEST(vault_holds_all_that_it_was_made_for)
{
    const size_t caps[] = {1, 15, 16, 17, 4095, 4096, 100000};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        fl_vault *vault = new_vault(caps[i]);
        uint8_t *all = fl_vault_take(vault, caps[i]);
        assert_non_null(all);
        assert_zero(all, caps[i]);
        memset(all, 0xff, caps[i]);  // up to the guard page, no further
        assert_null(fl_vault_take(vault, 1));
        fl_vault_free(vault);
    }
}

TEST(vault_gives_null_when_it_is_full_and_stays_usable)
{
    fl_vault *vault = new_vault(64);
    assert_null(fl_vault_take(vault, 65));
    assert_null(fl_vault_take(vault, SIZE_MAX));
    assert_null(fl_vault_take(vault, SIZE_MAX - 14));
    assert_non_null(fl_vault_take(vault, 40));  // takes 48
    assert_null(fl_vault_take(vault, 17));
    assert_non_null(fl_vault_take(vault, 16));
    assert_null(fl_vault_take(vault, 1));
    assert_non_null(fl_vault_take(vault, 0));
    fl_vault_free(vault);
}

TEST(vault_new_refuses_what_does_not_fit_memory)
{
    fl_vault *vault = NULL;
    assert_ok(fl_secure_start());
    assert_err(fl_vault_new(&vault, SIZE_MAX), FL_ERR_MEMORY);
    assert_err(fl_vault_new(&vault, SIZE_MAX - 100), FL_ERR_MEMORY);
    assert_err(fl_vault_new(&vault, SIZE_MAX / 2), FL_ERR_MEMORY);
    assert_null(vault);
}

TEST(vault_of_nothing_gives_nothing)
{
    fl_vault *vault = new_vault(0);
    assert_null(fl_vault_take(vault, 1));
    fl_vault_wipe(vault);
    fl_vault_free(vault);
    fl_vault_free(NULL);
}

/* ---- wiping ---- */

TEST(vault_wipe_zeroes_all_of_it_and_starts_again)
{
    enum { CAP = 10000 };
    fl_vault *vault = new_vault(CAP);
    uint8_t *first = fl_vault_take(vault, 100);
    uint8_t *second = fl_vault_take(vault, CAP - 200);
    memset(first, 1, 100);
    memset(second, 2, CAP - 200);
    fl_vault_wipe(vault);
    assert_zero(first, 100);
    assert_zero(second, CAP - 200);
    uint8_t *again = fl_vault_take(vault, CAP);
    assert_ptr_equal(again, first);
    assert_zero(again, CAP);
    fl_vault_free(vault);
}

/* ---- what the system does with the pages ---- */

// True: "dd" (or another word of two letters) is among the flags of the
// mapping that `address` is in.
static bool has_flag(const void *address, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (!maps) return false;
    char line[512];
    bool is_here = false, has = false;
    while (fgets(line, sizeof line, maps)) {
        uintptr_t from, to;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
            is_here = from <= (uintptr_t)address && (uintptr_t)address < to;
        } else if (is_here && strncmp(line, "VmFlags:", 8) == 0) {
            has = strstr(line, flag) != NULL;
        }
    }
    fclose(maps);
    return has;
}

static bool may_lock(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;  // there mlock does nothing
#endif
    struct rlimit limit;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= 1 << 16;
}

// qemu takes MADV_DONTDUMP for a hint that it need not pass on.
static void skip_where_emulated(void)
{
    if (getenv("EMULATED")) skip();
}

TEST(vault_is_excluded_from_core_files_and_locked)
{
    skip_where_emulated();
    enum { CAP = 20000 };
    fl_vault *vault = new_vault(CAP);
    uint8_t *bytes = fl_vault_take(vault, CAP);
    uint8_t *elsewhere = malloc(CAP);
    assert_non_null(elsewhere);
    if (!has_flag(bytes, " rd ")) {  // no such file, or none that says
        free(elsewhere);
        fl_vault_free(vault);
        skip();
    }
    assert_true(has_flag(bytes, " dd "));
    assert_true(has_flag(bytes + CAP - 1, " dd "));
    assert_true(has_flag(vault, " dd "));
    if (may_lock()) assert_true(has_flag(bytes, " lo "));
    assert_false(has_flag(elsewhere, " lo "));
    free(elsewhere);
    fl_vault_free(vault);
}

// In a child: its death or its exit status tells.
static int status_of(void (*work)(void))
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void write_past_the_end(void)
{
    signal(SIGSEGV, SIG_DFL);
    fl_vault *vault;
    if (fl_vault_new(&vault, 4096)) _exit(1);
    volatile uint8_t *bytes = fl_vault_take(vault, 4096);
    bytes[4096] = 1;
}

TEST(vault_has_a_guard_page_behind_it)
{
    assert_ok(fl_secure_start());
    const int status = status_of(write_past_the_end);
    // A sanitizer catches the signal and exits on its own.
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) > 1);
}

// With no page to lock, as an ordinary user (root's limit does not count).
static void work_without_locked_pages(void)
{
    enum { CAP = 100000 };
    const struct rlimit none = {0, 0};
    fl_vault *vault;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) _exit(1);
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    if (fl_vault_new(&vault, CAP)) _exit(3);
    uint8_t *bytes = fl_vault_take(vault, CAP);
    if (!bytes) _exit(4);
    memset(bytes, 1, CAP);
    fl_vault_wipe(vault);
    if (bytes[0] != 0 || bytes[CAP - 1] != 0) _exit(5);
    fl_vault_free(vault);
}

TEST(vault_works_where_no_page_may_be_locked)
{
    assert_ok(fl_secure_start());
    assert_int_equal(status_of(work_without_locked_pages), 0);
}

static void look_without_locked_pages(void)
{
    const struct rlimit none = {0, 0};
    fl_vault *vault;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || fl_vault_new(&vault, 1))
        _exit(1);
    // Root locks all the same, and who is no longer root may not read smaps.
    if (geteuid() != 0 && has_flag(vault, " lo ")) _exit(2);
    if (has_flag(vault, " rd ") && !has_flag(vault, " dd ")) _exit(3);
}

TEST(vault_that_is_not_locked_is_excluded_from_core_files)
{
    skip_where_emulated();
    assert_ok(fl_secure_start());
    assert_int_equal(status_of(look_without_locked_pages), 0);
}

/* ---- a real core file ---- */

enum { MARK_LEN = 256, CONTROL = 1000000, SECRET = 2000000 };

static char scratch[FL_SCRATCH_CAP];

// Made where they belong, byte by byte, so that no copy is anywhere else.
static void make_mark(volatile uint8_t *dst, uint32_t which)
{
    for (uint32_t i = 0; i < MARK_LEN; i++)
        dst[i] = (uint8_t)torch_hash(which + i);
}

static void dump_core(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || chdir(scratch) != 0) _exit(1);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_CORE, &limit) != 0) _exit(1);
    fl_vault *vault;
    uint8_t *control = malloc(MARK_LEN);
    if (!control || fl_vault_new(&vault, MARK_LEN)) _exit(2);
    make_mark(control, CONTROL);
    make_mark(fl_vault_take(vault, MARK_LEN), SECRET);
    signal(SIGABRT, SIG_DFL);
    abort();
}

// The kernel writes cores to where the process is, and not to a program.
static bool cores_are_files(void)
{
    char pattern[128] = "";
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "r");
    if (!file) return false;
    const bool got = fgets(pattern, sizeof pattern, file) != NULL;
    fclose(file);
    return got && strcmp(pattern, "core\n") == 0;
}

// The core in the scratch folder, "core" or "core.PID"; NULL: there is none.
static uint8_t *read_core(size_t *len)
{
    char pattern[FL_SCRATCH_CAP + 8];
    snprintf(pattern, sizeof pattern, "%s/core*", scratch);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0) return NULL;
    uint8_t *core = NULL;
    fl_reason why;
    assert_ok(fl_file_read(&core, len, found.gl_pathv[0], SIZE_MAX / 2, &why));
    globfree(&found);
    return core;
}

static bool has_mark(const uint8_t *bytes, size_t len, uint32_t which)
{
    uint8_t mark[MARK_LEN];
    make_mark(mark, which);
    for (size_t i = 0; i + MARK_LEN <= len; i++)
        if (memcmp(bytes + i, mark, MARK_LEN) == 0) return true;
    return false;
}

TEST(vault_is_in_no_core_file)
{
    skip_where_emulated();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();  // a core would have terabytes of their shadow memory
#endif
    if (!cores_are_files()) skip();
    assert_ok(fl_secure_start());
    assert_true(fl_scratch_make(scratch));
    assert_true(WIFSIGNALED(status_of(dump_core)));
    size_t len;
    uint8_t *core = read_core(&len);
    fl_scratch_remove(scratch);
    if (!core) skip();  // a hard limit forbids it
    assert_true(has_mark(core, len, CONTROL));
    assert_false(has_mark(core, len, SECRET));
    free(core);
}

RUN_TESTS(
    cmocka_unit_test(vault_gives_zeroed_and_aligned_bytes_that_do_not_overlap),
    cmocka_unit_test(vault_holds_all_that_it_was_made_for),
    cmocka_unit_test(vault_gives_null_when_it_is_full_and_stays_usable),
    cmocka_unit_test(vault_new_refuses_what_does_not_fit_memory),
    cmocka_unit_test(vault_of_nothing_gives_nothing),
    cmocka_unit_test(vault_wipe_zeroes_all_of_it_and_starts_again),
    cmocka_unit_test(vault_is_excluded_from_core_files_and_locked),
    cmocka_unit_test(vault_has_a_guard_page_behind_it),
    cmocka_unit_test(vault_works_where_no_page_may_be_locked),
    cmocka_unit_test(vault_that_is_not_locked_is_excluded_from_core_files),
    cmocka_unit_test(vault_is_in_no_core_file))
