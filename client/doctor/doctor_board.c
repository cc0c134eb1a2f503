/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "client/board/watch.h"
#include "client/doctor/finding.h"

enum {
    DISK_ERROR_MB = 8,
    DISK_WARNING_MB = 64,
    TEXT_MAX = 64 * 1024,
};

static void check_clock(fl_findings *all)
{
    char text[32] = "";
    struct tm utc;
    const time_t now = (time_t)(fl_clock_wall_ms() / 1000);
    if (gmtime_r(&now, &utc)) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    if (now < FL_TRAFFIC_PLAUSIBLE_S) {
        fl_finding_add(all, FL_FINDING_WARNING, "clock",
                       "let the board ask for the time (timedatectl set-ntp "
                       "true): quiet hours and the month's bytes need it",
                       "it says %s, which is long past", text);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "clock", NULL, "%s", text);
    }
}

static void check_disk(fl_findings *all)
{
    struct statvfs disk;
    if (statvfs(all->options->state, &disk)) return;  // no folder yet
    const double free_mb = (double)disk.f_bavail * (double)disk.f_frsize / 1e6;
    fl_severity severity = FL_FINDING_OK;
    if (free_mb < DISK_WARNING_MB) severity = FL_FINDING_WARNING;
    if (free_mb < DISK_ERROR_MB) severity = FL_FINDING_ERROR;
    if (disk.f_flag & ST_RDONLY) {
        fl_finding_add(all, FL_FINDING_ERROR, "disk",
                       "mount it writable; an SD card that fails becomes "
                       "read-only, see the kernel's log",
                       "the file system of the state folder is read-only");
    }
    fl_finding_add(all, severity, "disk",
                   "make room: a client keeps three models and an update",
                   "%.0f MB are free", free_mb);
}

/* ---- processor ---- */

static char *read_text(const char *root, const char *name)
{
    char path[4096];
    uint8_t *bytes = NULL;
    size_t len;
    if (fl_path_join(path, sizeof path, root ? root : "", name)) return NULL;
    if (fl_file_read(&bytes, &len, path, TEXT_MAX, NULL)) return NULL;
    return (char *)bytes;
}

static const char *kernels(void)
{
    static const char *const names[] = {
        [FL_CPU_PORTABLE] = "portable",
        [FL_CPU_SMLAL] = "NEON",
        [FL_CPU_SDOT] = "NEON with dot products",
        [FL_CPU_AVX2] = "AVX2",
        [FL_CPU_AVX512] = "AVX-512",
        [FL_CPU_AVX512VNNI] = "AVX-512 VNNI",
    };
    const char *best = names[FL_CPU_PORTABLE];
    for (int level = FL_CPU_PORTABLE; level <= FL_CPU_AVX512VNNI; level++) {
        if (fl_cpu_allows((fl_cpu)level)) best = names[level];
    }
    return best;
}

// OpenBLAS 0.3.21 takes a Cortex-A76 for a slower core.
static bool is_unknown_to_blas(const char *root)
{
    char *text = read_text(root, "proc/cpuinfo");
    const bool is_a76 = text && strstr(text, "0xd0b");
    free(text);
    return is_a76 && !getenv("OPENBLAS_CORETYPE");
}

static void check_processor(fl_findings *all)
{
    fl_reason why;
    if (fl_cpu_check(&why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "kernels",
                       "take FEDGE_CPU out of the environment", "%s", why.text);
    } else if (is_unknown_to_blas(all->options->rules.sensors_root)) {
        fl_finding_add(all, FL_FINDING_WARNING, "kernels",
                       "set OPENBLAS_CORETYPE=NEOVERSEN1 in the environment",
                       "%s; OpenBLAS does not know a Cortex-A76, and is slow "
                       "in what uses it (factorizing a model)",
                       kernels());
    } else {
        fl_finding_add(all, FL_FINDING_OK, "kernels", NULL, "%s", kernels());
    }
}

// Version 2, or the table of version 1, whose last column says it is enabled.
static bool has_memory_cgroup(const char *root)
{
    char *two = read_text(root, "sys/fs/cgroup/cgroup.controllers");
    char *one = read_text(root, "proc/cgroups");
    const char *line = one ? strstr(one, "\nmemory\t") : NULL;
    const char *end = line ? strchr(line + 1, '\n') : NULL;
    const bool has = (two && strstr(two, "memory")) ||
                     (end && strncmp(end - 2, "\t1", 2) == 0);
    free(two);
    free(one);
    return has;
}

static void check_cgroup(fl_findings *all)
{
    if (has_memory_cgroup(all->options->rules.sensors_root)) {
        fl_finding_add(all, FL_FINDING_OK, "memory cgroup", NULL,
                       "systemd can limit the client's memory");
    } else {
        fl_finding_add(all, FL_FINDING_WARNING, "memory cgroup",
                       "add cgroup_enable=memory to the kernel's command line "
                       "(Raspberry Pi: /boot/firmware/cmdline.txt), or say "
                       "--memory MB",
                       "this kernel has none: MemoryMax of the unit does "
                       "nothing");
    }
}

void fl_finding_board(fl_findings *all)
{
    check_clock(all);
    check_disk(all);
    check_processor(all);
    check_cgroup(all);
}

/* ---- sensors ---- */

static void name_reading(fl_findings *all, const char *name,
                         const fl_reading *reading, const char *unit)
{
    if (reading->is_known) {
        fl_finding_add(all, FL_FINDING_OK, name, NULL, "%s: %.1f%s",
                       reading->source, reading->value, unit);
    } else {
        fl_finding_add(all, FL_FINDING_OK, name, NULL,
                       "unknown here; it keeps nobody from working");
    }
}

static void name_readings(fl_findings *all, const fl_sample *s)
{
    name_reading(all, "temperature", &s->celsius, " C");
    name_reading(all, "throttling", &s->throttled, "");
    name_reading(all, "mains", &s->mains, "");
    name_reading(all, "load", &s->load, " a CPU");
    name_reading(all, "pressure", &s->pressure, " %");
    name_reading(all, "memory", &s->memory, " MB");
    if (s->metered.is_known) {
        fl_finding_add(all, FL_FINDING_OK, "metered", NULL, "%s",
                       s->metered.source);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "metered", NULL,
                       "no route by IPv4; say --metered yes if the link costs "
                       "money");
    }
}

static void name_faults(fl_findings *all, const fl_sensors *sensors)
{
    for (uint32_t i = 0; i < sensors->fault_count && i < FL_SENSORS_FAULTS_KEPT;
         i++) {
        fl_finding_add(all, FL_FINDING_WARNING, "sensor",
                       "it is left out; see the driver's messages in the "
                       "kernel's log",
                       "%s", sensors->faults[i]);
    }
}

// Whether there is data enough is fl_finding_data's matter.
static void judge_now(fl_findings *all, const fl_eligibility_options *rules,
                      fl_sample sample)
{
    char text[FL_ELIGIBILITY_TEXT_CAP];
    fl_eligibility now;
    sample.samples = rules->min_samples;
    fl_eligibility_init(&now, rules);
    (void)fl_eligibility_look(&now, &sample, fl_clock_monotonic_ms(),
                              fl_clock_wall_ms() / 1000);
    const fl_away away = fl_eligibility_away(&now);
    if (!away) {
        fl_finding_add(all, FL_FINDING_OK, "eligibility", NULL,
                       "the client may work now");
        return;
    }
    fl_eligibility_explain(&now, away, text);
    fl_finding_add(all, FL_FINDING_WARNING, "eligibility",
                   "wait, or change the rules in section [eligibility]",
                   "%s: %s", fl_away_word(away), text);
}

void fl_finding_sensors(fl_findings *all)
{
    const fl_rules *rules = &all->options->rules;
    fl_eligibility_options options;
    fl_metered metered;
    fl_sensors *sensors = calloc(1, sizeof *sensors);
    fl_sample sample;
    uint64_t bytes = 0;
    fl_reason why;
    if (!sensors || fl_rules_read(&options, &metered, rules, &why) ||
        fl_sensors_init(sensors, rules->sensors_root, metered, &why)) {
        free(sensors);  // check_configuration has said so
        return;
    }
    fl_sensors_read(sensors, &sample, 0);
    if (!fl_traffic_peek(&bytes, all->options->state, &why)) {
        sample.bytes = (double)bytes;
    }
    name_readings(all, &sample);
    name_faults(all, sensors);
    judge_now(all, &options, sample);
    free(sensors);
}
