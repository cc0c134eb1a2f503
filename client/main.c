/*
 * fedge-client: takes part in a federation with the data on this machine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/program.h"
#include "client/activity.h"
#include "client/doctor/doctor.h"
#include "client/infer.h"
#include "client/join.h"
#include "client/service.h"
#include "client/state/state_address.h"

static const char STATE[] = "/var/lib/fedge-client";

typedef struct {
    fl_service_options service;
    const char *log_level, *model, *file;
    const char *address, *token, *token_file, *name;  // of join
    char *const *files;
    size_t file_count;
    uint64_t top;
    double wait_s;
    bool is_json;
} settings;

enum {
    TABLE_CAP =
        FL_DATA_SETTINGS_COUNT + 24 + FL_RULES_COUNT + FL_EXTERNAL_OPTION_COUNT
};

static settings defaults(void)
{
    return (settings){
        .service = {.data = {.dataset = "fashion-mnist"},
                    .clients = 100,
                    .seed = 1,
                    .aggregation = "secure",
                    .min_survivors = FL_SESSION_MIN_CLIENTS,
                    .min_fields = 16,
                    .min_step = 1e-7,
                    .max_drop = 2.0,
                    .rules = fl_rules_defaults(),
                    .state = fl_program_state(STATE)},
        .log_level = "info",
        .top = 1,
        .wait_s = 30,
    };
}

static size_t list_options(fl_option *table, settings *s)
{
    fl_service_options *service = &s->service;
    const fl_option options[] = {
        {"data", "data", FL_OPTION_TEXT, &service->own_data, 0, 0, "PATH",
         "this device's own rows, instead of --dataset: a folder of pictures "
         "by class, a CSV, .npy or IDX; what is new there is used from the "
         "next round on"},
        {"data", "classes", FL_OPTION_TEXT, &service->classes, 0, 0, "NAMES",
         "of --data: what the federation's classes are called, in their "
         "order: cat,dog"},
        {"data", "slice", FL_OPTION_COUNT, &service->slice, 0, 1e6, "N",
         "which part of --partition is this client's, from 0"},
        {"data", "clients", FL_OPTION_COUNT, &service->clients, 1, 1e6, "N",
         "parts of the partition, when its text does not say"},
        {"data", "seed", FL_OPTION_COUNT, &service->seed, 0, 9e15, "N",
         "of the partition; the same for all clients that share a dataset"},
        {"client", "aggregator", FL_OPTION_TEXT, &service->aggregator, 0, 0,
         "URL",
         "where the aggregator listens: tcp://ADDRESS:PORT; without it where "
         "this client has joined"},
        {"client", "state", FL_OPTION_TEXT, &service->state, 0, 0, "DIR",
         "where this client keeps its key and its work"},
        {"client", "pin", FL_OPTION_TEXT, &service->pin, 0, 0, "KEY",
         "the aggregator's public key; without it the first one seen is kept"},
        {"client", "authority", FL_OPTION_TEXT, &service->authority, 0, 0,
         "KEY",
         "the public key of who signs the enrolment list; without it the first "
         "one seen is kept"},
        {"client", "aggregation", FL_OPTION_TEXT, &service->aggregation, 0, 0,
         "MODE",
         "secure: only ever take part in sums that hide this client's update; "
         "clear: also let the aggregator see it, when it asks for that"},
        {"client", "min-survivors", FL_OPTION_COUNT, &service->min_survivors, 2,
         FL_SESSION_CLIENTS_MAX, "N",
         "the fewest clients to hide an update among"},
        {"client", "min-fields", FL_OPTION_COUNT, &service->min_fields, 1, 1e6,
         "N",
         "the fewest numbers that a sketch may make of an update: with "
         "fewer it would show single ones"},
        {"client", "min-step", FL_OPTION_NUMBER, &service->min_step, 0, 1, "X",
         "the finest step that sums may be rounded to: finer ones tell more "
         "about each update than a sum of many needs"},
        {"client", "no-surveys", FL_OPTION_FLAG, &service->refuses_surveys, 0,
         0, NULL,
         "answer nothing that is asked about the data without training: how "
         "good the model is here, which channels and values it uses"},
        {"client", "max-drop", FL_OPTION_NUMBER, &service->max_drop, 0, 100,
         "X",
         "points of accuracy, on this machine's data, that a new INT8 model "
         "may lose against the one in use; else that one stays",
         FL_OPTION_LIVE},
        {"client", "until-finished", FL_OPTION_FLAG,
         &service->leave_when_finished, 0, 0, NULL,
         "exit after the last round instead of waiting for more"},
        {"client", "log-level", FL_OPTION_TEXT, &s->log_level, 0, 0, "LEVEL",
         "error, warn, info or debug", FL_OPTION_LIVE},
        {NULL, "json", FL_OPTION_FLAG, &s->is_json, 0, 0, NULL,
         "join, status, check: one JSON object; infer: one a row"},
        {NULL, "token", FL_OPTION_TEXT, &s->token, 0, 0, "ID.SECRET",
         "join: lets this device in; - reads it from standard input, so that "
         "nobody sees it in the list of processes"},
        {NULL, "token-file", FL_OPTION_TEXT, &s->token_file, 0, 0, "FILE",
         "join: the same, from a file"},
        {NULL, "name", FL_OPTION_TEXT, &s->name, 0, 0, "NAME",
         "join: what this device wants to be called"},
        {NULL, "wait", FL_OPTION_NUMBER, &s->wait_s, 0, 3600, "S",
         "join: seconds to wait for an answer"},
        {NULL, "top", FL_OPTION_COUNT, &s->top, 1, 65536, "N",
         "infer: the N likeliest classes"},
        {NULL, "model", FL_OPTION_TEXT, &s->model, 0, 0, "FILE",
         "infer: this ONNX model, float32 or INT8, not the one in use"},
    };
    const size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_COUNT, &service->data);
    memcpy(table + count, options, sizeof options);
    size_t at = count + sizeof options / sizeof *options;
    at += fl_rules_list(table + at, &service->rules);
    return at + fl_external_list(table + at, &service->trainer);
}

static const char USAGE[] =
    "usage: fedge-client join ADDRESS --token ID.SECRET --pin KEY\n"
    "       fedge-client run [--aggregator URL] [OPTION]...\n"
    "       fedge-client status [--json]\n"
    "       fedge-client check | doctor [OPTION]... [--json]\n"
    "       fedge-client reload\n"
    "       fedge-client infer FILE... [--top N] [--json]\n\n"
    "join    asks the aggregator there to enrol this device, and remembers "
    "it\n"
    "run     trains on this machine's data whenever the aggregator asks, and "
    "sends\n"
    "        back what the model learned; ends on SIGTERM or Ctrl-C\n"
    "status  what the client of this folder is doing, or why it does not\n"
    "check   looks for what could keep a client with these options from "
    "working;\n"
    "        doctor: check, then status\n"
    "reload  has the client of this folder read its configuration again\n"
    "infer   what the INT8 model of this folder takes each picture or row of "
    "the\n"
    "        files for (.png, .jpg, a folder of them, .npy, .csv, IDX)\n\n"
    "  fedge-client join tcp://192.0.2.7:7443 --token ID.SECRET --pin KEY\n"
    "  fedge-client run --dataset images:/srv/pictures\n"
    "  fedge-client status --json\n\n"
    "Options may also stand in /etc/fedge/client.conf (or --config FILE) and "
    "in the\nenvironment as FEDGE_SECTION_KEY.\n\n";

static const fl_manual_entry VARIABLES[] = {
    {"STATE_DIRECTORY", "the default of --state; systemd sets it"},
    {"FEDGE_CPU", "the most that kernels may use of the processor: portable, "
                  "avx2, avx512vnni, smlal or sdot"},
    {NULL, NULL},
};

static const fl_manual_entry FILES[] = {
    {STATE, "the key of this device, which aggregator and authority it trusts, "
            "and its work; what is there survives updates and removal"},
    {NULL, NULL},
};

// Where it has joined, unless a person says where.
static int find_aggregator(const char **url, char address[FL_ADDRESS_CAP],
                           const fl_service_options *service, fl_reason *why)
{
    *url = service->aggregator;
    if (*url) return FL_EXIT_OK;
    const fl_err err = fl_state_address_get(address, service->state, why);
    *url = address;
    if (!err) return FL_EXIT_OK;
    if (err != FL_ERR_NOT_FOUND) return fl_program_exit(err);
    (void)!fl_reason_set(
        why, FL_ERR_RANGE,
        "%s has joined no federation: fedge-client join "
        "ADDRESS --token ID.SECRET --pin KEY (fedge-aggregator "
        "token prints that line), or say --aggregator "
        "tcp://ADDRESS:PORT",
        service->state);
    return FL_EXIT_REFUSED;
}

static int join(const void *self, fl_reason *why)
{
    const settings *s = self;
    const fl_join_options options = {.address = s->address,
                                     .state = s->service.state,
                                     .pin = s->service.pin,
                                     .authority = s->service.authority,
                                     .token = s->token,
                                     .token_file = s->token_file,
                                     .name = s->name,
                                     .wait_s = s->wait_s,
                                     .is_json = s->is_json};
    return fl_join_run(stdout, &options, why);
}

static int run(const void *self, fl_reason *why)
{
    const settings *s = self;
    char address[FL_ADDRESS_CAP];
    const char *url;
    const int code = find_aggregator(&url, address, &s->service, why);
    if (code) return code;
    fl_err err = fl_service_check(&s->service, why);
    if (!err) err = fl_service_run(&s->service, url, why);
    // A disk that cannot be written now may be well another time.
    return err == FL_ERR_SYSTEM ? FL_EXIT_TEMPORARY : fl_program_exit(err);
}

static int status(const void *self, fl_reason *why)
{
    const settings *s = self;
    bool is_running;
    if (fl_activity_print(stdout, s->service.state, s->is_json, &is_running,
                          why)) {
        return FL_EXIT_FAILED;
    }
    return is_running ? FL_EXIT_OK : FL_EXIT_NOT_RUNNING;
}

static int check(const void *self, fl_reason *why)
{
    const settings *s = self;
    bool has_errors;
    char address[FL_ADDRESS_CAP];
    fl_service_options service = s->service;
    if (find_aggregator(&service.aggregator, address, &s->service, NULL)) {
        service.aggregator = NULL;  // which is what the report says, too
    }
    const fl_err err =
        fl_doctor_run(stdout, &service, s->is_json, &has_errors, why);
    return err || has_errors ? FL_EXIT_FAILED : FL_EXIT_OK;
}

// A client that does not run, or never has, is no fault.
static int doctor(const void *self, fl_reason *why)
{
    fl_reason ignored = {""};
    const int code = check(self, why);
    (void)status(self, &ignored);
    if (ignored.text[0]) puts(ignored.text);
    return code;
}

static int reload(const void *self, fl_reason *why)
{
    const settings *s = self;
    const fl_err err = fl_state_ask_to_reload(s->service.state, why);
    return err == FL_ERR_NOT_FOUND ? FL_EXIT_NOT_RUNNING : fl_program_exit(err);
}

static int infer(const void *self, fl_reason *why)
{
    const settings *s = self;
    const fl_infer_options options = {
        .state = s->service.state,
        .model = s->model,
        .files = s->files,
        .file_count = s->file_count,
        .label_column = s->service.data.label_column,
        .resize = s->service.data.resize,
        .top = s->top,
        .is_json = s->is_json,
    };
    return fl_program_exit(fl_infer_run(stdout, &options, why));
}

int main(int argc, char **argv)
{
    fl_join_hide_token(argc, argv);
    fl_option table[TABLE_CAP];
    settings s = defaults();
    const fl_command commands[] = {
        {.name = "run", .run = run},
        {.name = "join", .run = join, .operand = "ADDRESS", .word = &s.address},
        {.name = "status", .run = status},
        {.name = "check", .run = check},
        {.name = "doctor", .run = doctor},
        {.name = "reload", .run = reload},
        {.name = "infer",
         .run = infer,
         .operand = "FILE",
         .word = &s.file,
         .words = &s.files,
         .word_count = &s.file_count}};
    const fl_program program = {
        .name = "fedge-client",
        .summary = "train a common model on the data of this machine",
        .config_path = "/etc/fedge/client.conf",
        .usage = USAGE,
        .options = table,
        .option_count = list_options(table, &s),
        .commands = commands,
        .command_count = sizeof commands / sizeof *commands,
        .log_level = &s.log_level,
        .settings = &s,
        .reload = &s.service.reload,
        .variables = VARIABLES,
        .files = FILES,
    };
    fl_memory_give_back();
    return fl_program_main(&program, argc, argv);
}
