/* SPDX-License-Identifier: Apache-2.0 */
#include "client/join.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/program.h"
#include "client/client.h"
#include "client/state/state.h"
#include "client/state/state_address.h"

enum {
    SCRATCH_CAP = 1024 * 1024,
    GOODBYE_MS = 1000,
    TOKEN_FILE_CAP = 256,
};

typedef struct {
    const fl_join_options *options;
    char address[FL_ADDRESS_CAP];
    fl_state *state;
    fl_identity identity;
    fl_join words;
    uint8_t pin[FL_KEY_BYTES], authority[FL_KEY_BYTES];
    bool has_authority;
    fl_arena scratch;
    fl_net *net;
    fl_client *client;
    fl_conn conn;
    bool is_dialling, has_left;
    fl_err left_with;
    fl_reason why;
} joiner;

/* ---- what was asked for ---- */

static fl_err take_address(joiner *j, fl_reason *why)
{
    const char *address = j->options->address;
    const bool has_scheme = strstr(address, "://") != NULL;
    const int len = snprintf(j->address, sizeof j->address, "%s%s",
                             has_scheme ? "" : "tcp://", address);
    if (len < 0 || (size_t)len >= sizeof j->address) {
        return fl_reason_set(why, FL_ERR_RANGE, "too long an address");
    }
    return fl_net_tcp_check(j->address, why);
}

static fl_err read_token(fl_token *token, const char *path, fl_reason *why)
{
    uint8_t *text = NULL;
    size_t len = 0;
    FL_TRY(fl_file_read(&text, &len, path, TOKEN_FILE_CAP, why));
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        text[--len] = 0;
    }
    const fl_err err = fl_token_decode(token, (char *)text, why);
    fl_secret_wipe(text, len);
    free(text);
    return err ? fl_reason_prefix(why, err, "%s", path) : FL_OK;
}

static fl_err take_token(joiner *j, fl_reason *why)
{
    const fl_join_options *options = j->options;
    j->words.has_token = options->token || options->token_file;
    if (options->token && options->token_file) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--token or --token-file, not both");
    }
    if (options->token_file) {
        return read_token(&j->words.token, options->token_file, why);
    }
    if (!options->token) return FL_OK;
    if (strcmp(options->token, "-") == 0) {
        return read_token(&j->words.token, "/dev/stdin", why);
    }
    const fl_err err = fl_token_decode(&j->words.token, options->token, why);
    return err ? fl_reason_prefix(why, FL_ERR_RANGE, "--token") : FL_OK;
}

static fl_err take_name(joiner *j, fl_reason *why)
{
    const char *name = j->options->name;
    if (!name) return FL_OK;
    if (!fl_device_is_name(name)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--name %s: 1 to 63 of the characters a-z, 0-9, "
                             "\".\", \"_\", \"-\"",
                             name);
    }
    memcpy(j->words.name, name, strlen(name));
    return FL_OK;
}

/* ---- whom to trust ---- */

// As a person says it, which must be what the folder says when it says
// anything. *has: either does.
static fl_err find_key(uint8_t key[FL_KEY_BYTES], bool *has, const char *said,
                       const char *what, fl_err known, const char *remedy,
                       fl_reason *why)
{
    uint8_t kept[FL_KEY_BYTES];
    if (known && known != FL_ERR_NOT_FOUND) return known;  // *why has it
    memcpy(kept, key, sizeof kept);
    *has = said || !known;
    if (!said) return FL_OK;
    if (fl_hex_decode(key, FL_KEY_BYTES, said)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--%s takes 64 hexadecimal digits", what);
    }
    if (known || fl_secret_equal(key, kept, FL_KEY_BYTES)) return FL_OK;
    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, kept, FL_KEY_BYTES);
    return fl_reason_set(why, FL_ERR_AUTH,
                         "this device belongs to another federation: it has "
                         "pinned %s, --%s says %.64s; %s",
                         digits, what, said, remedy);
}

static fl_err find_keys(joiner *j, fl_reason *why)
{
    bool has_pin;
    const fl_join_options *options = j->options;
    fl_err known = fl_state_pin_get(j->state, j->pin, why);
    FL_TRY(find_key(j->pin, &has_pin, options->pin, "pin", known,
                    "if that is meant, name another state folder with --state, "
                    "or delete aggregator.pub and authority.pub from this one",
                    why));
    if (!has_pin) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "join needs --pin KEY, which fedge-aggregator "
                             "token prints: nothing is said to an aggregator "
                             "that cannot prove its key");
    }
    known = fl_state_authority_get(j->state, j->authority, why);
    return find_key(j->authority, &j->has_authority, options->authority,
                    "authority", known,
                    "if that is meant, delete authority.pub from the state "
                    "folder",
                    why);
}

/* ---- the machine ---- */

static void dial(joiner *j)
{
    j->is_dialling = true;
    if (fl_net_dial(j->net, j->address, &j->conn, &j->why)) j->conn = 0;
}

static void do_effect(joiner *j, const fl_client_effect *effect)
{
    // Nothing but the link: it has no task.
    if (effect->kind == FL_CLIENT_DIAL) dial(j);
    if (effect->kind == FL_CLIENT_SEND) {
        // A connection that has gone is reported by its CLOSED event.
        (void)!fl_net_send(j->net, j->conn, effect->bytes, effect->len);
    }
    if (effect->kind == FL_CLIENT_HANG_UP) fl_net_close(j->net, j->conn);
    if (effect->kind == FL_CLIENT_LOG) {
        fl_log_line(effect->level, effect->event, effect->text);
    }
    if (effect->kind == FL_CLIENT_LEAVE) {
        j->has_left = true;
        j->left_with = effect->err;
        (void)!fl_reason_set(&j->why, effect->err, "%s", effect->text);
    }
}

static void step(joiner *j, fl_client_event event)
{
    const fl_client_effect *effects;
    size_t count;
    event.now_ms = fl_net_now(j->net);
    fl_client_step(j->client, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        do_effect(j, &effects[i]);
    }
}

static void tell(joiner *j, fl_client_event event)
{
    step(j, event);
    const bool is_lost = j->is_dialling && j->conn == 0;  // not even begun
    j->is_dialling = false;
    if (is_lost) step(j, (fl_client_event){.kind = FL_CLIENT_LOST});
}

static void handle(joiner *j, const fl_net_event *event)
{
    if (event->kind == FL_NET_TIME) {
        tell(j, (fl_client_event){.kind = FL_CLIENT_TICK});
    }
    if (event->kind == FL_NET_TIME || event->conn != j->conn) return;
    if (event->kind == FL_NET_OPENED) {
        tell(j, (fl_client_event){.kind = FL_CLIENT_OPENED});
    }
    if (event->kind == FL_NET_FRAME) {
        tell(j, (fl_client_event){.kind = FL_CLIENT_FRAME,
                                  .bytes = event->bytes,
                                  .len = event->len});
        fl_net_arm(j->net, event->conn);
    }
    if (event->kind == FL_NET_CLOSED) {
        j->conn = 0;
        tell(j, (fl_client_event){.kind = FL_CLIENT_LOST});
    }
}

static fl_err make_machine(joiner *j, fl_reason *why)
{
    uint64_t seed;
    fl_secret_random(&seed, sizeof seed);
    const fl_net_tcp_options tcp = {.connection_cap = 4};
    fl_client_options options = {
        .identity = j->identity,
        .pin = j->pin,
        .authority = j->has_authority ? j->authority : NULL,
        .start_count = fl_state_start_count(j->state),
        .seed = seed,
        .scratch = &j->scratch,
        .random_bytes = fl_secret_draw,
        .join = &j->words,
    };
    FL_TRY(fl_net_tcp_new(&j->net, &tcp, why));
    const fl_err err = fl_client_new(&j->client, &options);
    fl_identity_fini(&options.identity);
    fl_secret_wipe(&j->words.token, sizeof j->words.token);
    return err ? fl_reason_set(why, err, "no memory for a client") : FL_OK;
}

static fl_err start(joiner *j, fl_reason *why)
{
    char path[4096];
    if (fl_secure_start() || fl_secure_hide()) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "libsodium cannot start, or core files cannot be "
                             "forbidden");
    }
    FL_TRY(take_address(j, why));
    FL_TRY(take_name(j, why));
    FL_TRY(take_token(j, why));
    FL_TRY(fl_state_open(&j->state, j->options->state, why));
    FL_TRY(find_keys(j, why));
    if (fl_path_join(path, sizeof path, j->options->state, "identity.key")) {
        return fl_reason_set(why, FL_ERR_RANGE, "--state: too long a path");
    }
    FL_TRY(fl_identity_open(&j->identity, path, why));
    return make_machine(j, why);
}

// FL_ERR_TIMEOUT: nobody has answered.
static fl_err talk(joiner *j, fl_reason *why)
{
    fl_net_event event;
    const int64_t until_ms =
        fl_net_now(j->net) + (int64_t)(j->options->wait_s * 1e3);
    tell(j, (fl_client_event){.kind = FL_CLIENT_TICK});
    while (!j->has_left && fl_net_now(j->net) < until_ms) {
        const int64_t next_ms = fl_client_deadline(j->client);
        if (fl_net_next(j->net, &event,
                        next_ms < until_ms ? next_ms : until_ms)) {
            return fl_reason_set(why, FL_ERR_SYSTEM, "the network has failed");
        }
        handle(j, &event);
    }
    if (j->has_left) return fl_reason_set(why, j->left_with, "%s", j->why.text);
    return fl_reason_set(why, FL_ERR_TIMEOUT,
                         "%s: no aggregator has answered within %g s; see that "
                         "it runs, and that this machine reaches it",
                         j->address, j->options->wait_s);
}

// So that the aggregator sees a connection end, not break.
static void say_goodbye(joiner *j)
{
    fl_net_event event;
    const int64_t until_ms = fl_net_now(j->net) + GOODBYE_MS;
    while (j->conn && fl_net_now(j->net) < until_ms) {
        if (fl_net_next(j->net, &event, until_ms)) break;
        if (event.kind == FL_NET_CLOSED && event.conn == j->conn) j->conn = 0;
    }
}

static void finish(joiner *j)
{
    fl_client_free(j->client);
    fl_net_free(j->net);
    fl_arena_fini(&j->scratch);
    fl_identity_fini(&j->identity);
    fl_state_close(j->state);
    fl_secret_wipe(&j->words, sizeof j->words);
}

/* ---- what became of it ---- */

static fl_err keep(const joiner *j, const fl_standing *standing, fl_reason *why)
{
    FL_TRY(fl_state_pin_set(j->state, j->pin, why));
    if (standing->has_authority) {
        FL_TRY(fl_state_authority_set(j->state, standing->authority, why));
    }
    return fl_state_address_set(j->options->state, j->address, why);
}

static void print(FILE *out, const joiner *j, const fl_standing *standing)
{
    char id[FL_DEVICE_ID_CAP];
    const bool is_in = standing->state == FL_STANDING_ENROLLED;
    fl_device_id(id, j->identity.public_key);
    if (!j->options->is_json) {
        fprintf(out,
                is_in ? "enrolled as %s, id %s\n"
                      : "pending as %s, id %s: somebody has to approve it, on "
                        "the aggregator: fedge-aggregator clients approve\n",
                standing->name[0] ? standing->name : id, id);
        return;
    }
    char *text = NULL;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "joined");
    fl_json_text_set(line, "state", is_in ? "enrolled" : "pending");
    fl_json_text_set(line, "id", id);
    fl_json_text_set(line, "name", standing->name);
    fl_json_text_set(line, "aggregator", j->address);
    if (!fl_json_text(&text, line)) fprintf(out, "%s\n", text);
    free(text);
    fl_json_free(line);
}

static int exit_code(const joiner *j, fl_err err)
{
    const fl_standing *standing =
        j->client ? fl_client_standing(j->client) : NULL;
    if (err == FL_ERR_TIMEOUT) return FL_EXIT_TEMPORARY;
    if (standing && standing->state == FL_STANDING_REFUSED &&
        fl_cause_is_temporary(standing->cause)) {
        return FL_EXIT_TEMPORARY;
    }
    if (err == FL_ERR_RANGE) return FL_EXIT_USAGE;
    return fl_program_exit(err);
}

int fl_join_run(FILE *out, const fl_join_options *options, fl_reason *why)
{
    joiner j = {.options = options};
    fl_arena_init(&j.scratch, SCRATCH_CAP);
    fl_err err = start(&j, why);
    if (!err) {
        err = talk(&j, why);
        say_goodbye(&j);
    }
    if (!err) err = keep(&j, fl_client_standing(j.client), why);
    if (!err) print(out, &j, fl_client_standing(j.client));
    const int code = exit_code(&j, err);
    finish(&j);
    return code;
}

/* ---- the command line ---- */

// The secret in it, and room for what the option then points to.
static char *hide(char *word)
{
    const size_t len = strlen(word);
    char *copy = malloc(len + 1);
    if (!copy) return word;
    memcpy(copy, word, len + 1);
    memset(word, 'x', len);
    return copy;
}

void fl_join_hide_token(int argc, char **argv)
{
    static const char flag[] = "--token", with_value[] = "--token=";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], flag) == 0 && i + 1 < argc) {
            argv[i + 1] = hide(argv[i + 1]);
        } else if (strncmp(argv[i], with_value, strlen(with_value)) == 0) {
            argv[i] = hide(argv[i]);
        }
    }
}
