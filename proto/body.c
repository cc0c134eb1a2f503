/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/body.h"

#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "proto/fedge.pb-c.h"
#include "proto/plan.h"

static void encode_hello(fl_writer *out, const fl_hello *hello)
{
    Fedge__Hello pb = FEDGE__HELLO__INIT;
    pb.version_min = hello->version_min;
    pb.version_max = hello->version_max;
    pb.build = fl_pb_borrow(hello->build, strlen(hello->build));
    fl_pb_write(out, &pb.base);
}

static fl_err decode_hello(fl_hello *hello, fl_pb_source *source)
{
    const Fedge__Hello *pb =
        fedge__hello__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    hello->version_min = pb->version_min;
    hello->version_max = pb->version_max;
    return fl_pb_copy_text(hello->build, sizeof hello->build, pb->build,
                           "build", source);
}

static void encode_welcome(fl_writer *out, const fl_welcome *welcome)
{
    Fedge__Welcome pb = FEDGE__WELCOME__INIT;
    pb.version = welcome->version;
    pb.public_key = fl_pb_borrow(welcome->public_key, FL_PROTO_KEY_BYTES);
    pb.channel_key = fl_pb_borrow(welcome->channel_key, FL_PROTO_KEY_BYTES);
    pb.card = fl_pb_borrow(welcome->card, FL_PROTO_SIGNATURE_BYTES);
    fl_pb_write(out, &pb.base);
}

static fl_err decode_welcome(fl_welcome *welcome, fl_pb_source *source)
{
    const Fedge__Welcome *pb =
        fedge__welcome__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    welcome->version = pb->version;
    FL_TRY(fl_pb_copy(welcome->public_key, FL_PROTO_KEY_BYTES, pb->public_key,
                      "public_key", source));
    FL_TRY(fl_pb_copy(welcome->channel_key, FL_PROTO_KEY_BYTES, pb->channel_key,
                      "channel_key", source));
    return fl_pb_copy(welcome->card, FL_PROTO_SIGNATURE_BYTES, pb->card, "card",
                      source);
}

static fl_away away_of_pb(Fedge__Away away)
{
    const uint32_t number = (uint32_t)away;
    return number < FL_AWAY_COUNT ? (fl_away)number : FL_AWAY_OTHER;
}

static void encode_check_in(fl_writer *out, const fl_check_in *check_in)
{
    Fedge__CheckIn pb = FEDGE__CHECK_IN__INIT;
    pb.mail_after = check_in->mail_after;
    pb.away = (Fedge__Away)check_in->away;
    fl_pb_write(out, &pb.base);
}

static fl_err decode_check_in(fl_check_in *check_in, fl_pb_source *source)
{
    const Fedge__CheckIn *pb =
        fedge__check_in__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    check_in->mail_after = pb->mail_after;
    check_in->away = away_of_pb(pb->away);
    return FL_OK;
}

static void encode_refusal(fl_writer *out, const fl_refusal *refusal)
{
    Fedge__Refusal pb = FEDGE__REFUSAL__INIT;
    pb.code = refusal->code;
    pb.text = fl_pb_borrow(refusal->text, strlen(refusal->text));
    fl_pb_write(out, &pb.base);
}

static fl_err decode_refusal(fl_refusal *refusal, fl_pb_source *source)
{
    const Fedge__Refusal *pb =
        fedge__refusal__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    refusal->code = pb->code;
    return fl_pb_copy_text(refusal->text, sizeof refusal->text, pb->text,
                           "text", source);
}

static Fedge__Step pb_of_step(const fl_step_body *step)
{
    Fedge__Step pb = FEDGE__STEP__INIT;
    pb.step = step->step;
    pb.body = fl_pb_borrow(step->bytes, step->len);
    return pb;
}

static void step_of_pb(fl_step_body *step, const Fedge__Step *pb)
{
    step->step = pb->step;
    step->bytes = pb->body.data;
    step->len = pb->body.len;
}

static void encode_step(fl_writer *out, const fl_step_body *step)
{
    const Fedge__Step pb = pb_of_step(step);
    fl_pb_write(out, &pb.base);
}

static fl_err decode_step(fl_step_body *step, fl_pb_source *source)
{
    const Fedge__Step *pb =
        fedge__step__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    step_of_pb(step, pb);
    return FL_OK;
}

static void encode_mail(fl_writer *out, const fl_mail *mail)
{
    Fedge__Plan plan;
    Fedge__Step step;
    Fedge__Mail pb = FEDGE__MAIL__INIT;
    pb.sequence = mail->sequence;
    pb.kind = (Fedge__MailKind)mail->kind;
    pb.round = mail->round;
    if (mail->kind == FL_MAIL_PLAN) {
        plan = fl_plan_to_pb(&mail->plan);
        pb.plan = &plan;
    }
    if (mail->kind == FL_MAIL_STEP) {
        step = pb_of_step(&mail->step);
        pb.step = &step;
    }
    if (mail->kind == FL_MAIL_FINISHED) {
        pb.model = fl_pb_borrow_name(mail->model);
        pb.ranges = fl_pb_borrow_name(mail->ranges);
    }
    fl_pb_write(out, &pb.base);
}

static fl_err take_last_model(fl_mail *mail, const Fedge__Mail *pb,
                              const fl_pb_source *source)
{
    if (mail->kind == FL_MAIL_FINISHED) {
        FL_TRY(fl_pb_copy_name(mail->model, pb->model, "model", source));
        return fl_pb_copy_name(mail->ranges, pb->ranges, "ranges", source);
    }
    if (pb->model.len == 0 && pb->ranges.len == 0) return FL_OK;
    return fl_reason_set(source->why, FL_ERR_FORMAT,
                         "model or ranges are there, which does not fit kind");
}

static fl_err decode_mail(fl_mail *mail, fl_pb_source *source)
{
    const Fedge__Mail *pb =
        fedge__mail__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    mail->sequence = pb->sequence;
    mail->kind = (fl_mail_kind)pb->kind;
    mail->round = pb->round;
    if ((mail->kind == FL_MAIL_PLAN) != (pb->plan != NULL)) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "plan is %s, which does not fit kind",
                             pb->plan ? "there" : "missing");
    }
    if ((mail->kind == FL_MAIL_STEP) != (pb->step != NULL)) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "step is %s, which does not fit kind",
                             pb->step ? "there" : "missing");
    }
    FL_TRY(take_last_model(mail, pb, source));
    if (pb->step) step_of_pb(&mail->step, pb->step);
    return pb->plan ? fl_plan_from_pb(&mail->plan, pb->plan, source) : FL_OK;
}

static void encode_fetch(fl_writer *out, const fl_fetch *fetch)
{
    Fedge__Fetch pb = FEDGE__FETCH__INIT;
    pb.object = fl_pb_borrow(fetch->object, FL_PROTO_HASH_BYTES);
    pb.wants_manifest = fetch->wants_manifest;
    pb.index = fetch->index;
    if (fetch->has_base) {
        pb.base_model = fl_pb_borrow(fetch->base, FL_PROTO_HASH_BYTES);
    }
    pb.takes_packed = fetch->takes_packed;
    fl_pb_write(out, &pb.base);
}

static fl_err decode_fetch(fl_fetch *fetch, fl_pb_source *source)
{
    const Fedge__Fetch *pb =
        fedge__fetch__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    fetch->wants_manifest = pb->wants_manifest != 0;
    fetch->index = pb->index;
    fetch->has_base = pb->base_model.len > 0;
    if (fetch->has_base) {
        FL_TRY(fl_pb_copy(fetch->base, FL_PROTO_HASH_BYTES, pb->base_model,
                          "base_model", source));
    }
    fetch->takes_packed = pb->takes_packed != 0;
    return fl_pb_copy(fetch->object, FL_PROTO_HASH_BYTES, pb->object, "object",
                      source);
}

static void encode_chunk(fl_writer *out, const fl_chunk *chunk)
{
    fl_writer_bytes(out, chunk->object, FL_PROTO_HASH_BYTES);
    fl_writer_u32(out, chunk->index);
    fl_writer_bytes(out, chunk->bytes, chunk->len);
}

static fl_err decode_chunk(fl_chunk *chunk, fl_pb_source *source)
{
    fl_reader in = fl_reader_over(source->bytes, source->len);
    const uint8_t *object = fl_reader_bytes(&in, FL_PROTO_HASH_BYTES);
    chunk->index = fl_reader_u32(&in);
    chunk->len = in.left;
    chunk->bytes = fl_reader_bytes(&in, in.left);
    if (in.failed) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "%zu bytes are less than object and index",
                             source->len);
    }
    memcpy(chunk->object, object, FL_PROTO_HASH_BYTES);
    return FL_OK;
}

static void encode_open(fl_writer *out, const fl_open *open)
{
    Fedge__Open pb = FEDGE__OPEN__INIT;
    pb.manifest = fl_pb_borrow(open->manifest, open->manifest_len);
    pb.model = fl_pb_borrow(open->model, FL_PROTO_HASH_BYTES);
    fl_pb_write(out, &pb.base);
}

static fl_err decode_open(fl_open *open, fl_pb_source *source)
{
    const Fedge__Open *pb =
        fedge__open__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    open->manifest = pb->manifest.data;
    open->manifest_len = pb->manifest.len;
    return fl_pb_copy(open->model, FL_PROTO_HASH_BYTES, pb->model, "model",
                      source);
}

static void encode_grant(fl_writer *out, const fl_grant *grant)
{
    Fedge__Grant pb = FEDGE__GRANT__INIT;
    pb.object = fl_pb_borrow(grant->object, FL_PROTO_HASH_BYTES);
    pb.window = grant->window;
    pb.later_ms = grant->later_ms;
    pb.bitmap = fl_pb_borrow(grant->bitmap, grant->bitmap_len);
    fl_pb_write(out, &pb.base);
}

static fl_err decode_grant(fl_grant *grant, fl_pb_source *source)
{
    const Fedge__Grant *pb =
        fedge__grant__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    grant->window = pb->window;
    grant->later_ms = pb->later_ms;
    grant->bitmap = pb->bitmap.data;
    grant->bitmap_len = pb->bitmap.len;
    return fl_pb_copy(grant->object, FL_PROTO_HASH_BYTES, pb->object, "object",
                      source);
}

static void encode_commit(fl_writer *out, const fl_commit *commit)
{
    Fedge__Commit pb = FEDGE__COMMIT__INIT;
    pb.object = fl_pb_borrow(commit->object, FL_PROTO_HASH_BYTES);
    fl_pb_write(out, &pb.base);
}

static fl_err decode_commit(fl_commit *commit, fl_pb_source *source)
{
    const Fedge__Commit *pb =
        fedge__commit__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    return fl_pb_copy(commit->object, FL_PROTO_HASH_BYTES, pb->object, "object",
                      source);
}

static void encode_ping(fl_writer *out, const fl_ping *ping)
{
    Fedge__Ping pb = FEDGE__PING__INIT;
    pb.mail_after = ping->mail_after;
    pb.away = (Fedge__Away)ping->away;
    fl_pb_write(out, &pb.base);
}

static fl_err decode_ping(fl_ping *ping, fl_pb_source *source)
{
    const Fedge__Ping *pb =
        fedge__ping__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    ping->mail_after = pb->mail_after;
    ping->away = away_of_pb(pb->away);
    return FL_OK;
}

/* ---- joining ---- */

static void encode_join(fl_writer *out, const fl_join *join)
{
    Fedge__Join pb = FEDGE__JOIN__INIT;
    pb.token = join->token.id;
    if (join->has_token) {
        pb.secret = fl_pb_borrow(join->token.secret, FL_TOKEN_SECRET_BYTES);
    }
    pb.name = fl_pb_borrow(join->name, strlen(join->name));
    fl_pb_write(out, &pb.base);
}

static fl_err decode_join(fl_join *join, fl_pb_source *source)
{
    const Fedge__Join *pb =
        fedge__join__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    join->has_token = pb->secret.len > 0;
    join->token.id = pb->token;
    if (join->has_token) {
        FL_TRY(fl_pb_copy(join->token.secret, FL_TOKEN_SECRET_BYTES, pb->secret,
                          "secret", source));
        fl_secret_wipe(pb->secret.data, pb->secret.len);
    }
    return fl_pb_copy_text(join->name, sizeof join->name, pb->name, "name",
                           source);
}

static void encode_standing(fl_writer *out, const fl_standing *standing)
{
    Fedge__Standing pb = FEDGE__STANDING__INIT;
    pb.state = (Fedge__StandingState)standing->state;
    pb.cause = standing->cause;
    pb.name = fl_pb_borrow(standing->name, strlen(standing->name));
    if (standing->has_authority) {
        pb.authority = fl_pb_borrow(standing->authority, FL_PROTO_KEY_BYTES);
    }
    fl_pb_write(out, &pb.base);
}

static fl_err decode_standing(fl_standing *standing, fl_pb_source *source)
{
    const Fedge__Standing *pb =
        fedge__standing__unpack(&source->memory, source->len, source->bytes);
    if (!pb) return fl_pb_refuse(source);
    standing->state = (fl_standing_state)pb->state;
    standing->cause = fl_cause_of(pb->cause);
    standing->has_authority = pb->authority.len > 0;
    if (standing->has_authority) {
        FL_TRY(fl_pb_copy(standing->authority, FL_PROTO_KEY_BYTES,
                          pb->authority, "authority", source));
    }
    return fl_pb_copy_text(standing->name, sizeof standing->name, pb->name,
                           "name", source);
}

// ACK and PONG say nothing yet, but what they hold must be protobuf, so that
// a later version may add to them.
static fl_err decode_nothing(fl_pb_source *source)
{
    const Fedge__Ack *pb =
        fedge__ack__unpack(&source->memory, source->len, source->bytes);
    return pb ? FL_OK : fl_pb_refuse(source);
}

void fl_body_encode(fl_writer *out, const fl_message *message)
{
    switch (message->type) {
    case FL_MESSAGE_HELLO: encode_hello(out, &message->hello); return;
    case FL_MESSAGE_WELCOME: encode_welcome(out, &message->welcome); return;
    case FL_MESSAGE_NOISE:
        fl_writer_bytes(out, message->noise.bytes, message->noise.len);
        return;
    case FL_MESSAGE_CHECK_IN: encode_check_in(out, &message->check_in); return;
    case FL_MESSAGE_REFUSAL: encode_refusal(out, &message->refusal); return;
    case FL_MESSAGE_MAIL: encode_mail(out, &message->mail); return;
    case FL_MESSAGE_FETCH: encode_fetch(out, &message->fetch); return;
    case FL_MESSAGE_MANIFEST:
        fl_writer_bytes(out, message->manifest.bytes, message->manifest.len);
        return;
    case FL_MESSAGE_CHUNK: encode_chunk(out, &message->chunk); return;
    case FL_MESSAGE_OPEN: encode_open(out, &message->open); return;
    case FL_MESSAGE_GRANT: encode_grant(out, &message->grant); return;
    case FL_MESSAGE_COMMIT: encode_commit(out, &message->commit); return;
    case FL_MESSAGE_PING: encode_ping(out, &message->ping); return;
    case FL_MESSAGE_STEP: encode_step(out, &message->step); return;
    case FL_MESSAGE_JOIN: encode_join(out, &message->join); return;
    case FL_MESSAGE_STANDING: encode_standing(out, &message->standing); return;
    case FL_MESSAGE_ACK:
    case FL_MESSAGE_PONG: return;
    }
    assert(false);  // fl_check_message lets no other type pass
}

fl_err fl_body_decode(fl_message *message, fl_pb_source *source)
{
    switch (message->type) {
    case FL_MESSAGE_HELLO: return decode_hello(&message->hello, source);
    case FL_MESSAGE_WELCOME: return decode_welcome(&message->welcome, source);
    case FL_MESSAGE_NOISE:
        message->noise.bytes = source->bytes;
        message->noise.len = source->len;
        return FL_OK;
    case FL_MESSAGE_CHECK_IN:
        return decode_check_in(&message->check_in, source);
    case FL_MESSAGE_REFUSAL: return decode_refusal(&message->refusal, source);
    case FL_MESSAGE_MAIL: return decode_mail(&message->mail, source);
    case FL_MESSAGE_FETCH: return decode_fetch(&message->fetch, source);
    case FL_MESSAGE_MANIFEST:
        message->manifest.bytes = source->bytes;
        message->manifest.len = source->len;
        return FL_OK;
    case FL_MESSAGE_CHUNK: return decode_chunk(&message->chunk, source);
    case FL_MESSAGE_OPEN: return decode_open(&message->open, source);
    case FL_MESSAGE_GRANT: return decode_grant(&message->grant, source);
    case FL_MESSAGE_COMMIT: return decode_commit(&message->commit, source);
    case FL_MESSAGE_PING: return decode_ping(&message->ping, source);
    case FL_MESSAGE_STEP: return decode_step(&message->step, source);
    case FL_MESSAGE_JOIN: return decode_join(&message->join, source);
    case FL_MESSAGE_STANDING:
        return decode_standing(&message->standing, source);
    case FL_MESSAGE_ACK:
    case FL_MESSAGE_PONG: return decode_nothing(source);
    }
    assert(false);  // message.c knows the limits of no other type
    return FL_ERR_UNSUPPORTED;
}
