/* SPDX-License-Identifier: Apache-2.0 */
#include "client/doctor/doctor.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

static data_files files;
static char folder[DATA_PATH_CAP], table[DATA_PATH_CAP], root[DATA_PATH_CAP];
static char *report;
static bool has_errors;

static int set_up(void **state)
{
    (void)state;
    data_files_init(&files);
    strcpy(table, data_files_put_text(&files, "table.csv",
                                      "a,label\n0,0\n1,1\n2,0\n3,1\n"));
    strcpy(root, data_files_put_folder(&files, "root"));
    strcpy(folder, data_files_put_folder(&files, "state"));
    return chmod(folder, 0700);
}

static int tear_down(void **state)
{
    (void)state;
    free(report);
    report = NULL;
    data_files_fini(&files);
    return 0;
}

// Nobody listens there.
static fl_service_options make_options(void)
{
    fl_service_options options = {
        .aggregator = "tcp://127.0.0.1:1",
        .state = folder,
        .data = {.dataset = table, .test = table},
        .rules = fl_rules_defaults(),
    };
    options.rules.sensors_root = root;
    return options;
}

static void check(const fl_service_options *options, bool is_json)
{
    size_t len;
    fl_reason why;
    free(report);
    FILE *out = open_memstream(&report, &len);
    assert_non_null(out);
    assert_ok(fl_doctor_run(out, options, is_json, &has_errors, &why));
    assert_int_equal(fclose(out), 0);
}

static bool is_about(const char *line, const char *severity, const char *name,
                     const char *word)
{
    return strncmp(line, severity, strlen(severity)) == 0 &&
           strstr(line, name) && strstr(line, word);
}

// A line that begins with the severity and has both words in it.
static void assert_line(const char *severity, const char *name,
                        const char *word)
{
    char *rest = NULL, *copy = strdup(report);
    assert_non_null(copy);
    bool is_found = false;
    for (char *line = strtok_r(copy, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        is_found |= is_about(line, severity, name, word);
    }
    free(copy);
    if (!is_found)
        fail_msg("no %s about %s, %s in:\n%s", severity, name, word, report);
}

static void put_key(unsigned mode)
{
    data_files_put_text(&files, "state/identity.key", "secret");
    assert_int_equal(chmod(files.path, (mode_t)mode), 0);
}

TEST(doctor_says_what_is_well_and_what_is_not)
{
    const fl_service_options options = make_options();
    put_key(0600);
    check(&options, false);
    assert_line("ok", "configuration", "tcp://127.0.0.1:1");
    assert_line("ok", "state folder", "can be written");
    assert_line("ok", "key", "for its owner alone");
    assert_line("ok", "name", "127.0.0.1");
    assert_line("error", "connection", "refused or broken off");
    assert_line("ok", "clock", "Z");
    assert_line("ok", "temperature", "unknown here");
    assert_line("ok", "eligibility", "may work now");
    assert_line("ok", "data", "rows");
    assert_line("warning", "memory cgroup", "MemoryMax");
    assert_true(has_errors);
    assert_non_null(strstr(report, "remedy: see that the aggregator runs"));
}

TEST(doctor_gives_programs_one_object)
{
    fl_json *object = NULL;
    const fl_service_options options = make_options();
    check(&options, true);
    assert_ok(fl_json_read(&object, report));
    fl_json_free(object);
    assert_non_null(strstr(report, "\"event\":\"check\",\"schema\":1,"));
    assert_non_null(
        strstr(report, "\"name\":\"connection\",\"severity\":\"error\""));
}

TEST(doctor_finds_keys_that_others_may_read)
{
    const fl_service_options options = make_options();
    put_key(0644);
    check(&options, false);
    assert_line("error", "key", "other users may read it");
    assert_int_equal(chmod(folder, 0755), 0);
    check(&options, false);
    assert_line("warning", "state folder", "other users may look into it");
}

TEST(doctor_finds_options_that_make_no_sense)
{
    fl_service_options options = make_options();
    options.rules.quiet_hours = "always";
    options.data.dataset = "/nowhere.csv";
    check(&options, false);
    assert_line("error", "configuration", "always");
    assert_line("error", "data", "/nowhere.csv");
    options = make_options();
    options.aggregator = NULL;
    check(&options, false);
    assert_line("error", "configuration", "no aggregator is named");
    data_files_put_text(&files, "state/aggregator.address", "fedge addr");
    check(&options, false);
    assert_line("error", "configuration", "aggregator.address");
    options.aggregator = "host:1";
    check(&options, false);
    assert_line("error", "name", "tcp://");
}

TEST(doctor_looks_for_the_trainer_of_the_owner)
{
    fl_service_options options = make_options();
    options.trainer.command = "/bin/sh /opt/trainer.sh";
    check(&options, false);
    assert_line("ok", "trainer", "/bin/sh trains");
    options.trainer.command = "/nonexistent/trainer";
    check(&options, false);
    assert_line("error", "trainer", "is not there, or cannot be executed");
}

TEST(doctor_names_sensors_and_judges_them)
{
    const fl_service_options options = make_options();
    data_files_put_text(&files, "root/sys/class/thermal/thermal_zone0/temp",
                        "91000\n");
    data_files_put_text(&files, "root/sys/class/thermal/thermal_zone1/temp",
                        "junk\n");
    data_files_put_text(&files, "root/proc/cpuinfo", "CPU part\t: 0xd0b\n");
    data_files_put_text(&files, "root/proc/cgroups",
                        "#name\nmemory\t0\t1\t1\n");
    unsetenv("OPENBLAS_CORETYPE");
    check(&options, false);
    assert_line("ok", "temperature", "91.0 C");
    assert_line("warning", "sensor", "thermal_zone1/temp: makes no sense");
    assert_line("warning", "eligibility", "hot: thermal_zone0 is at 91 C");
    assert_line("warning", "kernels", "Cortex-A76");
    assert_non_null(strstr(report, "OPENBLAS_CORETYPE=NEOVERSEN1"));
    assert_line("ok", "memory cgroup", "can limit");
}

static void put_model(uint32_t columns, uint32_t classes)
{
    fl_model *model = NULL;
    char name[128] = "state/objects/";
    memset(name + strlen(name), 'a', 64);
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "mlp",
                                               .input = {1, 1, columns},
                                               .class_count = classes},
                           NULL));
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    assert_ok(fl_model_encode(model, bytes, len));
    data_files_put(&files, name, bytes, len);
    free(bytes);
    fl_model_free(model);
}

TEST(doctor_holds_the_data_against_the_model)
{
    fl_service_options options = make_options();
    put_model(1, 3);
    check(&options, false);
    assert_line("ok", "labels", "2 classes of the 3");
    strcpy(table, data_files_put_text(&files, "three.csv",
                                      "a,label\n0,0\n1,1\n2,2\n3,1\n"));
    put_model(1, 2);
    check(&options, false);
    assert_line("error", "labels", "3 classes, the model 2");
    put_model(4, 3);
    check(&options, false);
    assert_line("error", "model", "1x1x1, the model takes 1x1x4");
}

TEST(doctor_names_a_count_of_bytes_that_is_damaged)
{
    const fl_service_options options = make_options();
    data_files_put_text(&files, "state/traffic", "FEDGEtr1 junk");
    check(&options, false);
    assert_line("warning", "bytes of the month", "damaged");
    data_files_put_text(&files, "state/traffic", "FEDGEtr7 from later");
    check(&options, false);
    assert_line("warning", "bytes of the month", "newer fedge-client");
}

TEST(doctor_of_a_folder_that_is_not_there_yet)
{
    fl_service_options options = make_options();
    options.state = "/nowhere/state";
    check(&options, false);
    assert_line("warning", "state folder", "No such file");
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(WITH_FILES(doctor_says_what_is_well_and_what_is_not),
          WITH_FILES(doctor_gives_programs_one_object),
          WITH_FILES(doctor_finds_keys_that_others_may_read),
          WITH_FILES(doctor_finds_options_that_make_no_sense),
          WITH_FILES(doctor_looks_for_the_trainer_of_the_owner),
          WITH_FILES(doctor_names_sensors_and_judges_them),
          WITH_FILES(doctor_holds_the_data_against_the_model),
          WITH_FILES(doctor_names_a_count_of_bytes_that_is_damaged),
          WITH_FILES(doctor_of_a_folder_that_is_not_there_yet))
