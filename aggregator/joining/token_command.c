/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/office.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/joining/qr.h"
#include "aggregator/joining/tokens.h"
#include "aggregator/own_key.h"
#include "base/clock.h"

enum { LINE_CAP = FL_MEETING_CAP + FL_TOKEN_CAP + FL_HEX_CAP + 64 };

static const int64_t TTL_MAX_S = (int64_t)366 * 24 * 3600;

/* ---- how long ---- */

static int64_t seconds_of(char unit)
{
    switch (unit) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return (int64_t)24 * 3600;
    default: return 0;
    }
}

static fl_err parse_ttl(int64_t *ttl_ms, const char *text, fl_reason *why)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && number <= TTL_MAX_S; at++) {
        number = number * 10 + (*at - '0');
    }
    const int64_t unit_s = *at && at[1] == 0 ? seconds_of(*at) : 0;
    if (number < 1 || unit_s == 0 || number > TTL_MAX_S / unit_s) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--ttl %s: a number and s, m, h or d, up to 366d",
                             text);
    }
    *ttl_ms = number * unit_s * 1000;
    return FL_OK;
}

/* ---- a new one ---- */

static fl_err check_name(const fl_office_options *options, fl_reason *why)
{
    if (!options->name) return FL_OK;
    if (!fl_device_is_name(options->name)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--name %s: 1 to 63 of the characters a-z, 0-9, "
                             "\".\", \"_\", \"-\"",
                             options->name);
    }
    if (options->uses == 1) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--name is for one device, --uses %" PRIu64
                         " for several",
                         options->uses);
}

static void draw(fl_token *token)
{
    do {
        fl_secret_random(token, sizeof *token);
    } while (token->id == 0);  // which stands for none
}

static fl_err keep(fl_office *office, fl_token_record *record,
                   const fl_token *token, fl_reason *why)
{
    int64_t ttl_ms = 0;
    const fl_office_options *options = office->options;
    FL_TRY(check_name(options, why));
    FL_TRY(parse_ttl(&ttl_ms, options->ttl, why));
    *record = (fl_token_record){.id = token->id,
                                .made_ms = fl_clock_wall_ms(),
                                .use_cap = (uint32_t)options->uses};
    record->expires_ms = record->made_ms + ttl_ms;
    if (options->name) {
        snprintf(record->name, sizeof record->name, "%s", options->name);
    }
    fl_token_hash(record->hash, token);
    return fl_tokens_add(office->store, record, record->made_ms, why);
}

static fl_err read_pin(char pin[FL_HEX_CAP], const fl_office *office,
                       fl_reason *why)
{
    fl_identity identity;
    FL_TRY(
        fl_own_key_open(&identity, office->store, office->options->state, why));
    fl_hex_encode(pin, FL_HEX_CAP, identity.public_key, FL_KEY_BYTES);
    fl_identity_fini(&identity);
    return FL_OK;
}

// What a person should know beside the line, which alone goes to `out`.
static void explain(const fl_office *office, const fl_token_record *record)
{
    char until[FL_OFFICE_TIME_CAP];
    fl_office_time(until, record->expires_ms);
    fprintf(stderr,
            "Type this on the device. Good for %u device%s, until %s "
            "UTC.\n",
            record->use_cap, record->use_cap == 1 ? "" : "s", until);
    if (office->mode == FL_JOIN_LIST) {
        fprintf(stderr,
                "The authority is elsewhere: this aggregator keeps the "
                "device's card. fedge-aggregator clients approve prints it "
                "for fedge-keys sign -\n");
    } else if (office->mode == FL_JOIN_OPEN) {
        fprintf(stderr, "This aggregator lets in whoever comes (--join open): "
                        "nobody needs a token.\n");
    }
    if (fl_meeting_is_local(office->address)) {
        fprintf(stderr,
                "Only this machine can reach %s: start the aggregator with "
                "--listen tcp://0.0.0.0:7443, or say --address.\n",
                office->address);
    }
}

static fl_err print_json(FILE *out, const fl_office *office,
                         const fl_token_record *record, const char *token,
                         const char *pin, const char *text, fl_reason *why)
{
    char id[FL_TOKEN_ID_CAP];
    fl_json *line = fl_json_new();
    fl_token_id_encode(id, record->id);
    fl_json_text_set(line, "event", "token");
    fl_json_text_set(line, "id", id);
    fl_json_text_set(line, "token", token);
    fl_json_text_set(line, "address", office->address);
    fl_json_text_set(line, "pin", pin);
    fl_json_text_set(line, "line", text);
    fl_json_text_set(line, "name", record->name);
    fl_json_count_set(line, "uses", record->use_cap);
    fl_json_count_set(line, "expires_ms", (uint64_t)record->expires_ms);
    fl_json_text_set(line, "join", fl_join_mode_name(office->mode));
    fl_json_text_set(line, "version", FL_VERSION);
    return fl_office_print(out, line, why);
}

static fl_err print_line(FILE *out, const fl_office *office,
                         const fl_token_record *record, const char *text)
{
    explain(office, record);
    fprintf(out, "%s\n", text);
    if (!isatty(fileno(out))) return FL_OK;
    // Without one the line is there all the same.
    if (fl_qr_print(out, text)) {
        fprintf(stderr, "No QR code: too long, or this program has none.\n");
    }
    return FL_OK;
}

static fl_err make_token(FILE *out, fl_office *office, fl_reason *why)
{
    fl_token token;
    fl_token_record record;
    char secret[FL_TOKEN_CAP], pin[FL_HEX_CAP];
    draw(&token);
    fl_err err = read_pin(pin, office, why);
    if (!err) err = keep(office, &record, &token, why);
    fl_token_encode(secret, &token);
    fl_secret_wipe(&token, sizeof token);
    if (!err) {
        char text[LINE_CAP];
        snprintf(text, sizeof text, "fedge-client join %s --token %s --pin %s",
                 office->address, secret, pin);
        err = office->options->is_json
                  ? print_json(out, office, &record, secret, pin, text, why)
                  : print_line(out, office, &record, text);
        fl_secret_wipe(text, sizeof text);
    }
    fl_secret_wipe(secret, sizeof secret);
    return err;
}

/* ---- those that there are ---- */

static const char *state_of(const fl_token_record *record, int64_t now_ms)
{
    if (record->is_revoked) return "revoked";
    if (record->use_count >= record->use_cap) return "used";
    return now_ms >= record->expires_ms ? "expired" : "good";
}

typedef struct {
    FILE *out;
    fl_json *json;  // NULL: a table
    int64_t now_ms;
} listing;

static void list_token(void *self, const fl_token_record *record)
{
    listing *l = self;
    char id[FL_TOKEN_ID_CAP], until[FL_OFFICE_TIME_CAP];
    const char *state = state_of(record, l->now_ms);
    fl_token_id_encode(id, record->id);
    fl_office_time(until, record->expires_ms);
    if (!l->json) {
        fprintf(l->out, "%-11s  %-7s  %u of %-5u  %-16s  %s\n", id, state,
                record->use_count, record->use_cap, until,
                record->name[0] ? record->name : "-");
        return;
    }
    fl_json *item = fl_json_new();
    fl_json_text_set(item, "id", id);
    fl_json_text_set(item, "state", state);
    fl_json_count_set(item, "uses", record->use_cap);
    fl_json_count_set(item, "used", record->use_count);
    fl_json_count_set(item, "made_ms", (uint64_t)record->made_ms);
    fl_json_count_set(item, "expires_ms", (uint64_t)record->expires_ms);
    fl_json_text_set(item, "name", record->name);
    fl_json_object_add(l->json, "tokens", item);
}

static fl_err list_tokens(FILE *out, const fl_office *office, fl_reason *why)
{
    listing l = {.out = out, .now_ms = fl_clock_wall_ms()};
    if (office->options->is_json) {
        l.json = fl_json_new();
        fl_json_text_set(l.json, "event", "tokens");
        fl_json_text_set(l.json, "version", FL_VERSION);
    } else {
        fprintf(out, "%-11s  %-7s  %-10s  %-16s  %s\n", "TOKEN", "STATE",
                "USED", "UNTIL (UTC)", "NAME");
    }
    const fl_err err = fl_tokens_each(office->store, list_token, &l, why);
    if (!err && l.json) return fl_office_print(out, l.json, why);
    fl_json_free(l.json);
    return err;
}

static fl_err revoke_token(FILE *out, const fl_office *office, fl_reason *why)
{
    uint32_t id;
    const char *text = office->options->revoke;
    if (fl_token_id_decode(&id, text)) {
        // Who pastes the whole token need not see it again.
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--revoke takes the id of a token, two words such "
                             "as lusab-babad, without what stands behind the "
                             "full stop");
    }
    FL_TRY(fl_tokens_revoke(office->store, id, why));
    fprintf(out, "revoked token %s; devices that have used it stay enrolled\n",
            text);
    return FL_OK;
}

fl_err fl_office_token(FILE *out, const fl_office_options *options,
                       fl_reason *why)
{
    fl_office office;
    // A token may be made before the aggregator runs for the first time.
    const bool may_make = !options->revoke && !options->lists_tokens;
    fl_err err = fl_office_open(&office, options, may_make, why);
    if (!err && options->revoke) {
        err = revoke_token(out, &office, why);
    } else if (!err) {
        err = options->lists_tokens ? list_tokens(out, &office, why)
                                    : make_token(out, &office, why);
    }
    fl_office_close(&office);
    return err;
}
