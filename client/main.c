/*
 * fedge-client: takes part in a federation with the data on this machine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "client/service.h"

static const char CONFIG_PATH[] = "/etc/fedge/client.conf";

typedef struct {
    fl_service_options service;
    const char *log_level;
    bool is_json;
} settings;

enum { TABLE_CAP = FL_DATA_SETTINGS_COUNT + 9 };

static settings defaults(void)
{
    return (settings){
        .service = {.data = {.dataset = "fashion-mnist"},
                    .clients = 100,
                    .seed = 1,
                    .state = getenv("STATE_DIRECTORY")},
        .log_level = "info",
    };
}

static size_t list_options(fl_option *table, settings *s)
{
    fl_service_options *service = &s->service;
    const fl_option options[] = {
        {"data", "slice", FL_OPTION_COUNT, &service->slice, 0, 1e6, "N",
         "which part of --partition is this client's, from 0"},
        {"data", "clients", FL_OPTION_COUNT, &service->clients, 1, 1e6, "N",
         "parts of the partition, when its text does not say"},
        {"data", "seed", FL_OPTION_COUNT, &service->seed, 0, 9e15, "N",
         "of the partition; the same for all clients that share a dataset"},
        {"client", "aggregator", FL_OPTION_TEXT, &service->aggregator, 0, 0,
         "URL", "where the aggregator listens: tcp://ADDRESS:PORT"},
        {"client", "state", FL_OPTION_TEXT, &service->state, 0, 0, "DIR",
         "where this client keeps its key and its work"},
        {"client", "pin", FL_OPTION_TEXT, &service->pin, 0, 0, "KEY",
         "the aggregator's public key; without it the first one seen is kept"},
        {"client", "until-finished", FL_OPTION_FLAG,
         &service->leave_when_finished, 0, 0, NULL,
         "exit after the last round instead of waiting for more"},
        {"client", "log-level", FL_OPTION_TEXT, &s->log_level, 0, 0, "LEVEL",
         "error, warn, info or debug"},
        {NULL, "json", FL_OPTION_FLAG, &s->is_json, 0, 0, NULL,
         "status: one JSON object"},
    };
    const size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_COUNT, &service->data);
    memcpy(table + count, options, sizeof options);
    return count + sizeof options / sizeof *options;
}

static void print_help(void)
{
    fl_option table[TABLE_CAP];
    settings s = defaults();
    puts("usage: fedge-client run --aggregator URL --state DIR [OPTION]...\n"
         "       fedge-client status --state DIR [--json]\n\n"
         "run     trains on this machine's data whenever the aggregator asks, "
         "and sends\n"
         "        back what the model learned; ends on SIGTERM or Ctrl-C\n"
         "status  what a client that runs on this machine is doing\n\n"
         "Options may also stand in /etc/fedge/client.conf (or --config FILE) "
         "and in the\nenvironment as FEDGE_SECTION_KEY.\n");
    fl_options_help(stdout, table, list_options(table, &s));
}

static int usage(const char *text)
{
    fprintf(stderr, "fedge-client: %s\n", text);
    return FL_EXIT_USAGE;
}

static int fail(fl_err err, const fl_reason *why)
{
    fprintf(stderr, "fedge-client: %s\n", why->text);
    switch ((int)err) {
    case FL_ERR_AUTH: return FL_EXIT_REFUSED;
    case FL_ERR_RANGE: return FL_EXIT_CONFIG;
    default: return FL_EXIT_FAILED;
    }
}

static int run(const settings *s)
{
    fl_reason why = {""};
    if (!s->service.aggregator)
        return usage("run needs --aggregator tcp://ADDRESS:PORT");
    const fl_err err = fl_service_run(&s->service, &why);
    return err ? fail(err, &why) : FL_EXIT_OK;
}

static int status(const settings *s)
{
    fl_reason why = {""};
    char *text = NULL;
    const bool is_running = fl_state_is_running(s->service.state);
    const fl_err err = fl_state_status_read(&text, s->service.state, &why);
    if (err && err != FL_ERR_NOT_FOUND) return fail(err, &why);
    if (s->is_json) {
        // One object: the last status behind whether it still holds.
        printf("{\"running\":%s%s%s\n", is_running ? "true" : "false",
               text ? "," : "}", text ? text + 1 : "");
    } else {
        printf("%s\n%s\n", is_running ? "running" : "not running",
               text ? text : "no status yet");
    }
    free(text);
    return is_running ? FL_EXIT_OK : FL_EXIT_NOT_RUNNING;
}

static int dispatch(const char *command, const settings *s)
{
    fl_log_level level;
    if (fl_log_level_parse(&level, s->log_level))
        return usage("--log-level is error, warn, info or debug");
    fl_log_start(level, NULL, NULL);
    if (!s->service.state) return usage("name a folder with --state DIR");
    if (fl_secure_start()) return usage("no source of random numbers");
    if (strcmp(command, "run") == 0) return run(s);
    if (strcmp(command, "status") == 0) return status(s);
    return usage("the commands are run and status; see --help");
}

int main(int argc, char **argv)
{
    fl_option table[TABLE_CAP];
    settings s = defaults();
    fl_options *options = NULL;
    fl_asked asked;
    fl_reason why = {""};
    int code = FL_EXIT_OK;
    const bool has_command = argc > 1 && argv[1][0] != '-';
    const size_t count = list_options(table, &s);
    const int skip = has_command ? 1 : 0;
    const fl_err err =
        fl_options_read(&options, &asked, table, count, CONFIG_PATH,
                        argc - skip, argv + skip, &why);
    if (err) {
        fprintf(stderr, "fedge-client: %s\n", why.text);
        code = err == FL_ERR_FORMAT ? FL_EXIT_CONFIG : FL_EXIT_USAGE;
    } else if (asked == FL_ASKED_HELP) {
        print_help();
    } else if (asked == FL_ASKED_VERSION) {
        puts("fedge-client " FL_VERSION);
    } else if (!has_command) {
        code = usage("say run or status; see --help");
    } else {
        code = dispatch(argv[1], &s);
    }
    fl_options_free(options);
    return code;
}
