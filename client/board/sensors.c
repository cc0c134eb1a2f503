/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/sensors.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/board/sensor_text.h"

enum {
    TEXT_CAP = 16 * 1024,
    FILES_MAX = 64,       // of one kind
    THROTTLED_NOW = 0xf,  // get_throttled: the lower bits are of now
    CELSIUS_MIN = -60,
    CELSIUS_MAX = 200,
};

fl_err fl_metered_parse(fl_metered *metered, const char *text, fl_reason *why)
{
    static const char *const words[] = {"auto", "yes", "no"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *metered = (fl_metered)i;
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE, "--metered %s: not auto, yes or no",
                         text);
}

fl_err fl_sensors_init(fl_sensors *sensors, const char *root,
                       fl_metered metered, fl_reason *why)
{
    *sensors = (fl_sensors){.metered = metered};
    const int len =
        snprintf(sensors->root, sizeof sensors->root, "%s", root ? root : "");
    if (len >= 0 && (size_t)len < sizeof sensors->root) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE, "--sensors-root: too long a path");
}

/* ---- files ---- */

static void note_fault(fl_sensors *s, const char *path, const char *what)
{
    if (s->fault_count < FL_SENSORS_FAULTS_KEPT) {
        snprintf(s->faults[s->fault_count], FL_SENSORS_FAULT_CAP, "%.120s: %s",
                 path + strlen(s->root), what);
    }
    s->fault_count++;
}

static bool read_all(int file, char text[TEXT_CAP], const char **fault)
{
    size_t len = 0;
    ssize_t got;
    *fault = NULL;
    do {
        got = read(file, text + len, TEXT_CAP - len);
        if (got > 0) len += (size_t)got;
    } while (got > 0 && len < TEXT_CAP);
    if (got < 0) *fault = strerror(errno);
    if (len == TEXT_CAP) *fault = "too long";
    if (!*fault && memchr(text, 0, len)) *fault = "not text";
    if (!*fault) text[len] = 0;
    return !*fault;
}

// False: it is not there, or is noted as a fault.
static bool read_path(fl_sensors *s, const char *path, char text[TEXT_CAP])
{
    const char *fault;
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ENODEV) {
            note_fault(s, path, strerror(errno));
        }
        return false;
    }
    const bool is_read = read_all(file, text, &fault);
    close(file);
    if (!is_read) note_fault(s, path, fault);
    return is_read;
}

static bool join(char path[PATH_MAX], const char *folder, const char *name)
{
    const int len = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < PATH_MAX;
}

static bool read_in(fl_sensors *s, const char *folder, const char *name,
                    char text[TEXT_CAP])
{
    char path[PATH_MAX];
    return join(path, folder, name) && read_path(s, path, text);
}

static void refuse_in(fl_sensors *s, const char *folder, const char *name)
{
    char path[PATH_MAX];
    if (join(path, folder, name)) note_fault(s, path, "makes no sense");
}

static bool read_number_in(fl_sensors *s, const char *folder, const char *name,
                           int base, long long *number)
{
    char text[TEXT_CAP];
    if (!read_in(s, folder, name, text)) return false;
    if (fl_sensor_number(number, text, base)) return true;
    refuse_in(s, folder, name);
    return false;
}

static bool read_word_in(fl_sensors *s, const char *folder, const char *name,
                         char word[FL_SENSOR_WORD_CAP])
{
    char text[TEXT_CAP];
    if (!read_in(s, folder, name, text)) return false;
    // Some say more than a word, which nobody here asks about.
    text[strcspn(text, " \n")] = 0;
    return fl_sensor_word(word, text);
}

typedef void visit_path(fl_sensors *s, const char *path, void *context);

static void each_path(fl_sensors *s, const char *pattern, visit_path *visit,
                      void *context)
{
    glob_t found = {0};
    char path[PATH_MAX];
    if (!join(path, s->root, pattern)) return;
    if (glob(path, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && i < FILES_MAX; i++) {
            visit(s, found.gl_pathv[i], context);
        }
    }
    globfree(&found);
}

static void learn(fl_reading *reading, double value, const char *source)
{
    reading->is_known = true;
    reading->value = value;
    snprintf(reading->source, sizeof reading->source, "%s", source);
}

/* ---- temperature ---- */

static void visit_zone(fl_sensors *s, const char *folder, void *context)
{
    fl_reading *hottest = context;
    char type[FL_SENSOR_WORD_CAP];
    long long milli;
    if (!read_number_in(s, folder, "temp", 10, &milli)) return;
    const double celsius = (double)milli / 1000;
    if (celsius < CELSIUS_MIN || celsius > CELSIUS_MAX) {
        refuse_in(s, folder, "temp");
        return;
    }
    if (hottest->is_known && celsius <= hottest->value) return;
    const bool has_type = read_word_in(s, folder, "type", type);
    learn(hottest, celsius, has_type ? type : strrchr(folder, '/') + 1);
}

/* ---- throttling ---- */

static void note_throttling(fl_reading *throttled, bool is_throttled,
                            const char *source)
{
    if (throttled->is_known && (throttled->value > 0 || !is_throttled)) return;
    learn(throttled, is_throttled, source);
}

static const char *name_bits(long long bits)
{
    if (bits & 1) return "the voltage is too low";
    if (bits & 8) return "the soft limit of temperature is reached";
    return bits & 4 ? "the firmware throttles" : "the frequency is capped";
}

static void visit_firmware(fl_sensors *s, const char *folder, void *context)
{
    long long bits;
    if (!read_number_in(s, folder, "get_throttled", 16, &bits)) return;
    note_throttling(context, bits & THROTTLED_NOW, name_bits(bits));
}

typedef struct {
    fl_reading *throttled;
    bool has_events;
    uint64_t events;
} hwmon;

// Counters that go up each time the chip slows itself down.
static void count_events(fl_sensors *s, const char *folder, hwmon *all)
{
    for (unsigned i = 1; i <= 9; i++) {
        char name[FL_SENSOR_WORD_CAP];
        long long count;
        snprintf(name, sizeof name, "oc%u_event_cnt", i);
        if (!read_number_in(s, folder, name, 10, &count)) continue;
        if (count < 0) {
            refuse_in(s, folder, name);
            continue;
        }
        all->has_events = true;
        all->events += (uint64_t)count;
    }
}

static void visit_hwmon(fl_sensors *s, const char *folder, void *context)
{
    hwmon *all = context;
    char name[FL_SENSOR_WORD_CAP];
    long long alarm;
    if (!read_word_in(s, folder, "name", name)) return;
    if (strcmp(name, "rpi_volt") == 0 &&
        read_number_in(s, folder, "in0_lcrit_alarm", 10, &alarm)) {
        note_throttling(all->throttled, alarm != 0, "the voltage is too low");
    } else if (strcmp(name, "soctherm_oc") == 0) {
        count_events(s, folder, all);
    }
}

// The first look has nothing to compare with, nor has one after a restart of
// the counters.
static void compare_events(fl_sensors *s, const hwmon *all)
{
    if (all->has_events) {
        const bool is_more = s->has_events && all->events > s->events;
        note_throttling(all->throttled, is_more, "over-current events");
    }
    s->has_events = all->has_events;
    s->events = all->events;
}

static void read_throttling(fl_sensors *s, fl_reading *throttled)
{
    hwmon all = {.throttled = throttled};
    each_path(s, "sys/devices/platform/*firmware*", visit_firmware, throttled);
    each_path(s, "sys/devices/platform/soc/*firmware*", visit_firmware,
              throttled);
    each_path(s, "sys/class/hwmon/hwmon*", visit_hwmon, &all);
    compare_events(s, &all);
}

/* ---- power ---- */

typedef struct {
    bool is_plugged, is_discharging;
    unsigned battery_count;  // with a charge that is known
    double charge;           // their sum
} power;

static void add_battery(fl_sensors *s, const char *folder, power *p)
{
    char status[FL_SENSOR_WORD_CAP], scope[FL_SENSOR_WORD_CAP];
    long long charge;
    // Of a mouse, or a pen.
    if (read_word_in(s, folder, "scope", scope) &&
        strcmp(scope, "Device") == 0) {
        return;
    }
    if (read_word_in(s, folder, "status", status)) {
        p->is_discharging |= strcmp(status, "Discharging") == 0;
        p->is_plugged |=
            strcmp(status, "Charging") == 0 || strcmp(status, "Full") == 0;
    }
    if (!read_number_in(s, folder, "capacity", 10, &charge)) return;
    if (charge < 0 || charge > 100) {
        refuse_in(s, folder, "capacity");
        return;
    }
    p->battery_count++;
    p->charge += (double)charge;
}

static void visit_supply(fl_sensors *s, const char *folder, void *context)
{
    power *p = context;
    char type[FL_SENSOR_WORD_CAP];
    long long online;
    if (!read_word_in(s, folder, "type", type)) return;
    if (strcmp(type, "Battery") == 0) {
        add_battery(s, folder, p);
    } else if (read_number_in(s, folder, "online", 10, &online)) {
        p->is_plugged |= online > 0;
    }
}

// A board without battery runs on mains, whatever its supplies say.
static void read_power(fl_sensors *s, fl_sample *sample)
{
    power p = {0};
    each_path(s, "sys/class/power_supply/*", visit_supply, &p);
    if (p.is_plugged) {
        learn(&sample->mains, 1, "plugged in");
    } else if (p.is_discharging) {
        learn(&sample->mains, 0, "on battery");
    }
    if (p.battery_count > 0) {
        learn(&sample->battery, p.charge / p.battery_count, "battery");
    }
}

/* ---- load, pressure, memory ---- */

static bool read_root(fl_sensors *s, const char *name, char text[TEXT_CAP])
{
    return read_in(s, s->root, name, text);
}

static unsigned count_cpus(fl_sensors *s)
{
    char text[TEXT_CAP];
    unsigned count;
    if (read_root(s, "sys/devices/system/cpu/online", text) &&
        fl_sensor_cpus(&count, text)) {
        return count;
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

static void read_load(fl_sensors *s, fl_reading *reading, double own_load)
{
    char text[TEXT_CAP];
    double load;
    if (!read_root(s, "proc/loadavg", text)) return;
    if (!fl_sensor_load(&load, text)) {
        refuse_in(s, s->root, "proc/loadavg");
        return;
    }
    load = load > own_load ? load - own_load : 0;
    learn(reading, load / count_cpus(s), "load");
}

static void read_pressure(fl_sensors *s, fl_reading *reading)
{
    static const struct {
        const char *path, *source;
    } files[] = {{"proc/pressure/cpu", "a CPU"},
                 {"proc/pressure/memory", "memory"},
                 {"proc/pressure/io", "the disk"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char text[TEXT_CAP];
        double percent;
        if (!read_root(s, files[i].path, text)) continue;
        if (!fl_sensor_pressure(&percent, text)) {
            refuse_in(s, s->root, files[i].path);
        } else if (!reading->is_known || percent > reading->value) {
            learn(reading, percent, files[i].source);
        }
    }
}

static void read_memory(fl_sensors *s, fl_reading *reading)
{
    char text[TEXT_CAP];
    double megabytes;
    if (!read_root(s, "proc/meminfo", text)) return;
    if (fl_sensor_memory(&megabytes, text)) {
        learn(reading, megabytes, "memory");
    } else {
        refuse_in(s, s->root, "proc/meminfo");
    }
}

/* ---- the link ---- */

static void guess_metered(fl_sensors *s, fl_reading *reading)
{
    char text[TEXT_CAP], name[FL_SENSOR_WORD_CAP], path[PATH_MAX];
    char type[FL_SENSOR_WORD_CAP];
    if (!read_root(s, "proc/net/route", text)) return;
    if (!fl_sensor_route(name, text)) return;  // no way out, or by IPv6 alone
    snprintf(path, sizeof path, "sys/class/net/%s/uevent", name);
    if (!read_root(s, path, text)) return;
    const bool has_type = fl_sensor_value(type, text, "DEVTYPE=");
    const bool is_metered = has_type && (strcmp(type, "wwan") == 0 ||
                                         strcmp(type, "bluetooth") == 0);
    char source[FL_SENSOR_NAME_CAP];
    snprintf(source, sizeof source, "%.20s%s", name,
             is_metered ? " is a modem" : " is no modem");
    learn(reading, is_metered, source);
}

static void read_metered(fl_sensors *s, fl_reading *reading)
{
    switch (s->metered) {
    case FL_METERED_AUTO: guess_metered(s, reading); break;
    case FL_METERED_YES: learn(reading, 1, "--metered yes"); break;
    case FL_METERED_NO: learn(reading, 0, "--metered no"); break;
    }
}

void fl_sensors_read(fl_sensors *s, fl_sample *sample, double own_load)
{
    *sample = (fl_sample){.bytes = 0};
    s->fault_count = 0;
    each_path(s, "sys/class/thermal/thermal_zone*", visit_zone,
              &sample->celsius);
    read_throttling(s, &sample->throttled);
    read_power(s, sample);
    read_load(s, &sample->load, own_load);
    read_pressure(s, &sample->pressure);
    read_memory(s, &sample->memory);
    read_metered(s, &sample->metered);
}
