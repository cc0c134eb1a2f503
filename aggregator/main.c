/*
 * fedge-aggregator: leads a federation over the network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/backup.h"
#include "aggregator/joining/office.h"
#include "aggregator/server.h"
#include "aggregator/status.h"
#include "base/memory.h"
#include "base/program.h"

enum { DATA_OPTIONS = FL_DATA_SETTINGS_DATASET, OWN_OPTIONS = 20 };
enum { TABLE_CAP = DATA_OPTIONS + FL_FEDERATION_OPTIONS + OWN_OPTIONS };

typedef struct {
    fl_server_options server;
    const char *log_level;
    // Of token and clients.
    const char *ttl, *name, *revoke, *word;
    uint64_t uses;
    bool lists_tokens;
    char *const *words;
    size_t word_count;
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
        .ttl = "24h",
        .uses = 1,
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
         "it this aggregator is the authority"},
        {"join", "join", FL_OPTION_TEXT, &server->join, 0, 0, "WAY",
         "how devices get in: token: with one that fedge-aggregator token "
         "prints (the default); approve: also without, when somebody approves "
         "them; list: who is in --enrolment (the default with it); open: "
         "whoever comes"},
        {"join", "address", FL_OPTION_TEXT, &server->address, 0, 0, "URL",
         "where clients reach this machine, for the lines that token prints; "
         "without it as --listen says",
         FL_OPTION_LIVE},
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
         "LEVEL", "error, warn, info or debug", FL_OPTION_LIVE},
        {"http", "http", FL_OPTION_TEXT, &server->http, 0, 0, "ADDRESS:PORT",
         "where a browser finds the dashboard, and /metrics and /api/v1 are; "
         "there is no password, so take 127.0.0.1:8080"},
        {NULL, "json", FL_OPTION_FLAG, &server->is_json, 0, 0, NULL,
         "run: one JSON object a round and a summary; others: one object"},
        {NULL, "ttl", FL_OPTION_TEXT, &s->ttl, 0, 0, "TIME",
         "token: how long it is good, such as 90m, 24h or 7d"},
        {NULL, "uses", FL_OPTION_COUNT, &s->uses, 1, FL_TOKEN_USES_MAX, "N",
         "token: how many devices may use it"},
        {NULL, "name", FL_OPTION_TEXT, &s->name, 0, 0, "NAME",
         "token: what the device that uses it will be called"},
        {NULL, "list", FL_OPTION_FLAG, &s->lists_tokens, 0, 0, NULL,
         "token: print those that there are, without their secrets"},
        {NULL, "revoke", FL_OPTION_TEXT, &s->revoke, 0, 0, "ID",
         "token: let nobody in with this one any more"},
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
    "       fedge-aggregator reload --state DIR\n"
    "       fedge-aggregator export --state DIR --out FILE\n"
    "       fedge-aggregator backup --state DIR --out FOLDER\n"
    "       fedge-aggregator token --state DIR [--ttl TIME] [--uses N] "
    "[--name NAME]\n"
    "       fedge-aggregator token --state DIR --list | --revoke ID\n"
    "       fedge-aggregator clients list|approve|revoke WHO...|"
    "rename WHO NAME\n\n"
    "run     waits for clients, leads the rounds, keeps every finished one; "
    "started\n"
    "        again it goes on after the last; ends on SIGTERM or Ctrl-C\n"
    "status  the rounds and clients of a folder, running or not\n"
    "reload  has the aggregator of a folder read its configuration again\n"
    "export  the last global model as ONNX; its INT8 form, where it has one, "
    "beside it\n        (model.onnx, model-int8.onnx)\n"
    "backup  copies all that is kept there, keys too, to a new folder; to "
    "restore it,\n        put that in the place of --state and run\n"
    "token   a token, as the line to type on a device that is to take part\n"
    "clients who may take part, waits to, or may not; WHO is a name, an id or "
    "a "
    "key\n"
    "        (all of these beside an aggregator that runs, or without)\n\n"
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

static fl_office_options office_options(const settings *s)
{
    const fl_server_options *server = &s->server;
    return (fl_office_options){.state = server->state,
                               .listen = server->listen,
                               .address = server->address,
                               .join = server->join,
                               .enrolment = server->enrolment,
                               .ttl = s->ttl,
                               .name = s->name,
                               .revoke = s->revoke,
                               .uses = s->uses,
                               .lists_tokens = s->lists_tokens,
                               .is_json = server->is_json};
}

static int token(const void *self, fl_reason *why)
{
    const settings *s = self;
    const fl_office_options options = office_options(s);
    if (check_state(s, why)) return FL_EXIT_USAGE;
    return fl_program_exit(fl_office_token(stdout, &options, why));
}

static int clients(const void *self, fl_reason *why)
{
    const settings *s = self;
    const fl_office_options options = office_options(s);
    if (check_state(s, why)) return FL_EXIT_USAGE;
    const fl_err err =
        fl_office_clients(stdout, &options, s->words, s->word_count, why);
    return err == FL_ERR_STATE ? FL_EXIT_USAGE : fl_program_exit(err);
}

static int reload(const void *self, fl_reason *why)
{
    const settings *s = self;
    if (check_state(s, why)) return FL_EXIT_USAGE;
    const fl_err err = fl_store_ask_to_reload(s->server.state, why);
    return err == FL_ERR_NOT_FOUND ? FL_EXIT_NOT_RUNNING : fl_program_exit(err);
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

static int backup(const void *self, fl_reason *why)
{
    const settings *s = self;
    if (check_state(s, why)) return FL_EXIT_USAGE;
    if (!s->server.out) {
        (void)!fl_reason_set(why, FL_ERR_RANGE, "name a folder with --out DIR");
        return FL_EXIT_USAGE;
    }
    return fl_program_exit(
        fl_backup_write(s->server.state, s->server.out, why));
}

int main(int argc, char **argv)
{
    fl_option table[TABLE_CAP];
    settings s = defaults();
    const fl_command commands[] = {{.name = "run", .run = run},
                                   {.name = "status", .run = status},
                                   {.name = "reload", .run = reload},
                                   {.name = "export", .run = export},
                                   {.name = "backup", .run = backup},
                                   {.name = "token", .run = token},
                                   {.name = "clients",
                                    .run = clients,
                                    .operand = "list, approve, revoke or "
                                               "rename",
                                    .word = &s.word,
                                    .words = &s.words,
                                    .word_count = &s.word_count}};
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
        .reload = &s.server.reload,
    };
    fl_memory_give_back();
    return fl_program_main(&program, argc, argv);
}
