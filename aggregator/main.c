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
#include "base/program.h"

enum { DATA_OPTIONS = FL_DATA_SETTINGS_DATASET, OWN_OPTIONS = 13 };
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
                   .federation = FL_FEDERATION_INIT,
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
        {"aggregator", "enrolment", FL_OPTION_TEXT, &server->enrolment, 0, 0,
         "FILE",
         "who may take part, signed by an authority (fedge-keys sign); without "
         "it this aggregator is the authority and enrols whoever comes"},
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
         "no progress on a terminal"},
        {"aggregator", "log-level", FL_OPTION_TEXT, &s->log_level, 0, 0,
         "LEVEL", "error, warn, info or debug"},
        {"http", "http", FL_OPTION_TEXT, &server->http, 0, 0, "ADDRESS:PORT",
         "where a browser finds the dashboard, and /metrics and /api/v1 are; "
         "there is no password, so take 127.0.0.1:8080"},
        {NULL, "json", FL_OPTION_FLAG, &server->is_json, 0, 0, NULL,
         "run: one JSON object a round and a summary; status: one object"},
    };
    size_t count = fl_data_settings_list(table, DATA_OPTIONS, &server->data);
    fl_federation_list(table + count, &server->federation);
    count += FL_FEDERATION_OPTIONS;
    memcpy(table + count, own, sizeof own);
    return count + OWN_OPTIONS;
}

static const char USAGE[] =
    "usage: fedge-aggregator run --state DIR [OPTION]...\n"
    "       fedge-aggregator status --state DIR [--json]\n"
    "       fedge-aggregator export --state DIR --out FILE\n\n"
    "run     waits for clients, leads the rounds, keeps every finished one; "
    "started\n"
    "        again it goes on after the last; ends on SIGTERM or Ctrl-C\n"
    "status  the rounds and clients of a folder, running or not\n"
    "export  the last global model as ONNX; its INT8 form, where it has one, "
    "beside it\n        (model.onnx, model-int8.onnx)\n\n"
    "Options may also stand in /etc/fedge/aggregator.conf (or --config FILE) "
    "and in\nthe environment as FEDGE_SECTION_KEY.\n\n";

static fl_err check_state(const settings *s, fl_reason *why)
{
    if (s->server.state) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE, "name a folder with --state DIR");
}

static int run(const void *self, fl_reason *why)
{
    const settings *s = self;
    if (check_state(s, why) ||
        fl_federation_check(&s->server.federation, why)) {
        return FL_EXIT_USAGE;
    }
    return fl_program_exit(fl_server_run(&s->server, why));
}

static int status(const void *self, fl_reason *why)
{
    const settings *s = self;
    bool is_running;
    if (check_state(s, why)) return FL_EXIT_USAGE;
    if (fl_status_print(stdout, s->server.state, s->server.is_json, &is_running,
                        why)) {
        return FL_EXIT_FAILED;
    }
    return is_running ? FL_EXIT_OK : FL_EXIT_NOT_RUNNING;
}

static int export(const void *self, fl_reason *why)
{
    const settings *s = self;
    if (check_state(s, why)) return FL_EXIT_USAGE;
    if (!s->server.out) {
        (void)!fl_reason_set(why, FL_ERR_RANGE, "name a file with --out FILE");
        return FL_EXIT_USAGE;
    }
    return fl_program_exit(
        fl_export_state(s->server.state, s->server.out, why));
}

int main(int argc, char **argv)
{
    fl_option table[TABLE_CAP];
    const fl_command commands[] = {{.name = "run", .run = run},
                                   {.name = "status", .run = status},
                                   {.name = "export", .run = export}};
    settings s = defaults();
    const fl_program program = {
        .name = "fedge-aggregator",
        .config_path = "/etc/fedge/aggregator.conf",
        .usage = USAGE,
        .options = table,
        .option_count = list_options(table, &s),
        .commands = commands,
        .command_count = sizeof commands / sizeof *commands,
        .log_level = &s.log_level,
        .settings = &s,
    };
    return fl_program_main(&program, argc, argv);
}
