/*
 * fedge-aggregator: leads a federation over the network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/server.h"
#include "aggregator/status.h"

static const char CONFIG_PATH[] = "/etc/fedge/aggregator.conf";

enum { DATA_OPTIONS = 4, OWN_OPTIONS = 11 };
enum { TABLE_CAP = DATA_OPTIONS + FL_FEDERATION_OPTIONS + OWN_OPTIONS };

typedef struct {
    fl_server_options server;
    const char *log_level;
} settings;

static settings defaults(void)
{
    return (settings){
        .server = {.listen = "tcp://127.0.0.1:7443",
                   .state = getenv("STATE_DIRECTORY"),
                   .federation = FL_FEDERATION_DEFAULTS,
                   .client_cap = 16384,
                   .upload_mb = 256,
                   .threads = 1,
                   .gather_s = 1.0},
        .log_level = "info",
    };
}

static size_t list_options(fl_option table[TABLE_CAP], settings *s)
{
    fl_server_options *server = &s->server;
    const fl_option own[OWN_OPTIONS] = {
        {"aggregator", "listen", FL_OPTION_TEXT, &server->listen, 0, 0, "URL",
         "where clients connect: tcp://ADDRESS:PORT; port 0 takes any"},
        {"aggregator", "state", FL_OPTION_TEXT, &server->state, 0, 0, "DIR",
         "where rounds, models and keys are kept"},
        {"aggregator", "out", FL_OPTION_TEXT, &server->out, 0, 0, "FILE",
         "also write the global model there after each round, ONNX"},
        {"aggregator", "min-clients", FL_OPTION_COUNT, &server->min_clients, 0,
         1e6, "N", "wait for so many before the first round; 0: a cohort"},
        {"aggregator", "gather", FL_OPTION_NUMBER, &server->gather_s, 0, 1e6,
         "S", "seconds to wait after a start for clients to come"},
        {"aggregator", "client-cap", FL_OPTION_COUNT, &server->client_cap, 1,
         1e5, "N", "most clients at once"},
        {"aggregator", "upload-mb", FL_OPTION_COUNT, &server->upload_mb, 1, 1e6,
         "N", "memory for updates on their way, MB; the rest waits"},
        {"aggregator", "threads", FL_OPTION_COUNT, &server->threads, 1, 1024,
         "N", "threads that evaluate"},
        {"aggregator", "quiet", FL_OPTION_FLAG, &server->is_quiet, 0, 0, NULL,
         "no progress line"},
        {"aggregator", "log-level", FL_OPTION_TEXT, &s->log_level, 0, 0,
         "LEVEL", "error, warn, info or debug"},
        {NULL, "json", FL_OPTION_FLAG, &server->is_json, 0, 0, NULL,
         "run: one JSON object a round and a summary; status: one object"},
    };
    size_t count = fl_data_settings_list(table, DATA_OPTIONS, &server->data);
    fl_federation_list(table + count, &server->federation);
    count += FL_FEDERATION_OPTIONS;
    memcpy(table + count, own, sizeof own);
    return count + OWN_OPTIONS;
}

static void print_help(void)
{
    fl_option table[TABLE_CAP];
    settings s = defaults();
    puts("usage: fedge-aggregator run --state DIR [OPTION]...\n"
         "       fedge-aggregator status --state DIR [--json]\n\n"
         "run     waits for clients, leads the rounds, keeps every finished "
         "one; started\n"
         "        again it goes on after the last; ends on SIGTERM or Ctrl-C\n"
         "status  the rounds and clients of a folder, running or not\n\n"
         "Options may also stand in /etc/fedge/aggregator.conf (or --config "
         "FILE) and in\nthe environment as FEDGE_SECTION_KEY.\n");
    fl_options_help(stdout, table, list_options(table, &s));
}

static int usage(const char *text)
{
    fprintf(stderr, "fedge-aggregator: %s\n", text);
    return FL_EXIT_USAGE;
}

static int fail(fl_err err, const fl_reason *why)
{
    fprintf(stderr, "fedge-aggregator: %s\n", why->text);
    return err == FL_ERR_RANGE ? FL_EXIT_CONFIG : FL_EXIT_FAILED;
}

static int dispatch(const char *command, const settings *s)
{
    fl_log_level level;
    fl_reason why = {""};
    fl_err err;
    if (fl_log_level_parse(&level, s->log_level))
        return usage("--log-level is error, warn, info or debug");
    fl_log_start(level, NULL, NULL);
    if (!s->server.state) return usage("name a folder with --state DIR");
    if (fl_secure_start()) return usage("no source of random numbers");
    if (strcmp(command, "run") == 0) {
        err = fl_federation_check(&s->server.federation, &why);
        if (!err) err = fl_server_run(&s->server, &why);
        return err ? fail(err, &why) : FL_EXIT_OK;
    }
    if (strcmp(command, "status") == 0) {
        bool is_running;
        err = fl_status_print(stdout, s->server.state, s->server.is_json,
                              &is_running, &why);
        if (err) return fail(err, &why);
        return is_running ? FL_EXIT_OK : FL_EXIT_NOT_RUNNING;
    }
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
        fprintf(stderr, "fedge-aggregator: %s\n", why.text);
        code = err == FL_ERR_FORMAT ? FL_EXIT_CONFIG : FL_EXIT_USAGE;
    } else if (asked == FL_ASKED_HELP) {
        print_help();
    } else if (asked == FL_ASKED_VERSION) {
        puts("fedge-aggregator " FL_VERSION);
    } else if (!has_command) {
        code = usage("say run or status; see --help");
    } else {
        code = dispatch(argv[1], &s);
    }
    fl_options_free(options);
    return code;
}
