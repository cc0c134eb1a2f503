/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/sensors.h"

#include <stdlib.h>
#include <unistd.h>

#include "client/board/sensor_text.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

static data_files files;
static fl_sensors sensors;
static fl_sample sample;

static int set_up(void **state)
{
    (void)state;
    data_files_init(&files);
    data_files_put_text(&files, "sys/devices/system/cpu/online", "0-3\n");
    return fl_sensors_init(&sensors, files.root, FL_METERED_AUTO, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    data_files_fini(&files);
    return 0;
}

static void put(const char *name, const char *text)
{
    data_files_put_text(&files, name, text);
}

static void look(void)
{
    fl_sensors_read(&sensors, &sample, 0);
}

static void assert_reading(const fl_reading *reading, double value,
                           const char *source)
{
    assert_true(reading->is_known);
    assert_true(reading->value > value - 1e-6 && reading->value < value + 1e-6);
    assert_string_equal(reading->source, source);
}

static void assert_fault(const char *path, const char *what)
{
    assert_int_equal(sensors.fault_count, 1);
    if (!strstr(sensors.faults[0], path) || !strstr(sensors.faults[0], what))
        fail_msg("%s", sensors.faults[0]);
}

TEST(sensors_that_are_not_there_are_unknown)
{
    look();
    assert_false(sample.celsius.is_known);
    assert_false(sample.throttled.is_known);
    assert_false(sample.mains.is_known);
    assert_false(sample.battery.is_known);
    assert_false(sample.metered.is_known);
    assert_false(sample.load.is_known);
    assert_false(sample.pressure.is_known);
    assert_false(sample.memory.is_known);
    assert_int_equal(sensors.fault_count, 0);
}

TEST(sensors_tell_the_hottest_zone_and_its_name)
{
    put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    put("sys/class/thermal/thermal_zone0/temp", "48312\n");
    put("sys/class/thermal/thermal_zone10/type", "gpu-thermal\n");
    put("sys/class/thermal/thermal_zone10/temp", "81500\n");
    put("sys/class/thermal/thermal_zone2/temp", "-5000\n");
    put("sys/class/thermal/cooling_device0/temp", "150000\n");
    look();
    assert_reading(&sample.celsius, 81.5, "gpu-thermal");
    assert_int_equal(sensors.fault_count, 0);
}

TEST(sensors_of_a_raspberry_pi_tell_throttling_of_now_alone)
{
    const char *path = "sys/devices/platform/soc/soc:firmware/get_throttled";
    put(path, "50000\n");  // it has been, since the board was switched on
    look();
    assert_true(sample.throttled.is_known && sample.throttled.value < 1);
    put(path, "50005\n");
    look();
    assert_reading(&sample.throttled, 1, "the voltage is too low");
    put(path, "0x4\n");
    look();
    assert_reading(&sample.throttled, 1, "the firmware throttles");
    put(path, "0\n");
    put("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
    put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
    look();
    assert_reading(&sample.throttled, 1, "the voltage is too low");
}

TEST(sensors_of_a_jetson_tell_events_since_the_last_look)
{
    put("sys/class/hwmon/hwmon3/name", "soctherm_oc\n");
    put("sys/class/hwmon/hwmon3/oc1_event_cnt", "12\n");
    put("sys/class/hwmon/hwmon3/oc3_event_cnt", "3\n");
    look();
    assert_true(sample.throttled.is_known && sample.throttled.value < 1);
    put("sys/class/hwmon/hwmon3/oc3_event_cnt", "4\n");
    look();
    assert_reading(&sample.throttled, 1, "over-current events");
    look();
    assert_true(sample.throttled.value < 1);
    put("sys/class/hwmon/hwmon3/oc1_event_cnt", "0\n");  // begun anew
    look();
    assert_true(sample.throttled.value < 1);
    put("sys/class/hwmon/hwmon3/oc1_event_cnt", "-1\n");
    look();
    assert_fault("oc1_event_cnt", "makes no sense");
}

TEST(sensors_tell_mains_from_battery)
{
    put("sys/class/power_supply/AC/type", "Mains\n");
    put("sys/class/power_supply/AC/online", "0\n");
    look();
    assert_false(sample.mains.is_known);  // no battery: it runs on something
    put("sys/class/power_supply/BAT0/type", "Battery\n");
    put("sys/class/power_supply/BAT0/status", "Discharging\n");
    put("sys/class/power_supply/BAT0/capacity", "80\n");
    put("sys/class/power_supply/BAT1/type", "Battery\n");
    put("sys/class/power_supply/BAT1/status", "Unknown\n");
    put("sys/class/power_supply/BAT1/capacity", "20\n");
    put("sys/class/power_supply/mouse/type", "Battery\n");
    put("sys/class/power_supply/mouse/scope", "Device\n");
    put("sys/class/power_supply/mouse/status", "Discharging\n");
    put("sys/class/power_supply/mouse/capacity", "1\n");
    look();
    assert_reading(&sample.mains, 0, "on battery");
    assert_reading(&sample.battery, 50, "battery");
    put("sys/class/power_supply/AC/online", "1\n");
    look();
    assert_reading(&sample.mains, 1, "plugged in");
    put("sys/class/power_supply/BAT0/capacity", "180\n");
    look();
    assert_fault("BAT0/capacity", "makes no sense");
    assert_reading(&sample.battery, 20, "battery");
}

TEST(sensors_tell_load_and_pressure_without_what_is_ours)
{
    put("proc/loadavg", "6.00 1.00 1.00 2/345 6789\n");
    put("proc/pressure/cpu",
        "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\n");
    put("proc/pressure/memory",
        "some avg10=12.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00\n");
    put("proc/pressure/io", "some avg10=3.00 avg60=0.00 avg300=0.00 total=1\n");
    put("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable:  1000000 kB\n");
    fl_sensors_read(&sensors, &sample, 2);
    assert_reading(&sample.load, 1, "load");
    assert_reading(&sample.pressure, 12.25, "memory");
    assert_reading(&sample.memory, 1024, "memory");
    fl_sensors_read(&sensors, &sample, 8);
    assert_reading(&sample.load, 0, "load");
}

TEST(sensors_take_a_modem_for_a_link_that_costs_money)
{
    put("proc/net/route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
        "wwan0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        "wlan0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
    put("sys/class/net/wlan0/uevent", "DEVTYPE=wlan\nINTERFACE=wlan0\n");
    put("sys/class/net/wwan0/uevent", "INTERFACE=wwan0\nDEVTYPE=wwan\n");
    look();
    assert_reading(&sample.metered, 1, "wwan0 is a modem");
    put("sys/class/net/wwan0/uevent", "INTERFACE=wwan0\n");
    look();
    assert_reading(&sample.metered, 0, "wwan0 is no modem");
    sensors.metered = FL_METERED_YES;
    look();
    assert_true(sample.metered.value > 0);
    sensors.metered = FL_METERED_NO;
    put("sys/class/net/wwan0/uevent", "DEVTYPE=wwan\n");
    look();
    assert_reading(&sample.metered, 0, "--metered no");
}

// One bad file is left out, and named; the others go on.
TEST(sensors_that_are_broken_are_left_out_and_named)
{
    static char huge[20000];
    const char *temp = "sys/class/thermal/thermal_zone0/temp";
    memset(huge, '1', sizeof huge - 1);
    static const struct {
        const char *text, *what;
    } cases[] = {{"", "makes no sense"},
                 {"hot\n", "makes no sense"},
                 {"48312 C\n", "makes no sense"},
                 {"999999\n", "makes no sense"},
                 {"-274000\n", "makes no sense"},
                 {"99999999999999999999999\n", "makes no sense"},
                 {huge, "too long"}};
    put("sys/class/thermal/thermal_zone1/temp", "50000\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(temp, cases[i].text);
        look();
        assert_fault("thermal_zone0/temp", cases[i].what);
        assert_reading(&sample.celsius, 50, "thermal_zone1");
    }
    data_files_put(&files, temp,
                   "4\0"
                   "8",
                   3);
    look();
    assert_fault("thermal_zone0/temp", "not text");
    put("proc/loadavg", "nan nan nan\n");
    put("proc/meminfo", "MemAvailable: many\n");
    put("proc/pressure/io", "full avg10=1\n");
    look();
    assert_int_equal(sensors.fault_count, 4);
    assert_false(sample.load.is_known);
    assert_false(sample.memory.is_known);
}

TEST(sensors_that_are_folders_or_cannot_be_read_are_named_too)
{
    data_files_put_folder(&files, "sys/class/thermal/thermal_zone0/temp");
    look();
    assert_fault("thermal_zone0/temp", "directory");
    // Reading this gives EIO, as a bus with a loose contact does.
    data_files_put_folder(&files, "sys/class/thermal/thermal_zone3");
    char path[DATA_PATH_CAP + 16];
    snprintf(path, sizeof path, "%s/temp", files.path);
    assert_int_equal(symlink("/proc/self/mem", path), 0);
    look();
    assert_int_equal(sensors.fault_count, 2);
    if (!strstr(sensors.faults[1], "Input/output error"))
        fail_msg("%s", sensors.faults[1]);
}

TEST(sensors_count_all_faults_and_keep_some_of_them)
{
    for (int i = 0; i < 20; i++) {
        char name[64];
        snprintf(name, sizeof name, "sys/class/thermal/thermal_zone%d/temp", i);
        put(name, "?");
    }
    look();
    assert_int_equal(sensors.fault_count, 20);
    look();
    assert_int_equal(sensors.fault_count, 20);  // not added up
}

TEST(sensors_refuse_a_word_about_the_link_that_they_do_not_know)
{
    fl_metered metered;
    fl_reason why;
    assert_ok(fl_metered_parse(&metered, "no", &why));
    assert_int_equal(metered, FL_METERED_NO);
    assert_err(fl_metered_parse(&metered, "maybe", &why), FL_ERR_RANGE);
    assert_reason_names(why, "--metered maybe");
}

TEST(sensors_refuse_a_root_that_is_too_long)
{
    static char root[PATH_MAX];
    fl_reason why;
    memset(root, 'x', sizeof root - 1);
    assert_err(fl_sensors_init(&sensors, root, FL_METERED_AUTO, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "--sensors-root");
}

TEST(sensors_count_processors_as_the_kernel_lists_them)
{
    unsigned count;
    assert_true(fl_sensor_cpus(&count, "0\n") && count == 1);
    assert_true(fl_sensor_cpus(&count, "0-3,6,8-9\n") && count == 7);
    assert_false(fl_sensor_cpus(&count, "3-1\n"));
    assert_false(fl_sensor_cpus(&count, "0-\n"));
    assert_false(fl_sensor_cpus(&count, "0,\n"));
    assert_false(fl_sensor_cpus(&count, "0-99999\n"));
    assert_false(fl_sensor_cpus(&count, ""));
}

#define IN_A_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)
RUN_TESTS(
    IN_A_FOLDER(sensors_that_are_not_there_are_unknown),
    IN_A_FOLDER(sensors_tell_the_hottest_zone_and_its_name),
    IN_A_FOLDER(sensors_of_a_raspberry_pi_tell_throttling_of_now_alone),
    IN_A_FOLDER(sensors_of_a_jetson_tell_events_since_the_last_look),
    IN_A_FOLDER(sensors_tell_mains_from_battery),
    IN_A_FOLDER(sensors_tell_load_and_pressure_without_what_is_ours),
    IN_A_FOLDER(sensors_take_a_modem_for_a_link_that_costs_money),
    IN_A_FOLDER(sensors_that_are_broken_are_left_out_and_named),
    IN_A_FOLDER(sensors_that_are_folders_or_cannot_be_read_are_named_too),
    IN_A_FOLDER(sensors_count_all_faults_and_keep_some_of_them),
    IN_A_FOLDER(sensors_refuse_a_word_about_the_link_that_they_do_not_know),
    IN_A_FOLDER(sensors_refuse_a_root_that_is_too_long),
    IN_A_FOLDER(sensors_count_processors_as_the_kernel_lists_them))
