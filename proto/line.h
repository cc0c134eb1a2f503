/*
 * A line: the frames of one connection, in clear while two sides greet each
 * other, sealed from then on. There is no way back.
 *
 *   client                                        aggregator
 *   fl_line_hello    HELLO     -------->  fl_line_welcome
 *                              <--------  WELCOME  identity, channel key, card
 *   fl_line_greet    NOISE     -------->  fl_line_admit
 *                    identity, card
 *   fl_line_join               <--------  NOISE    session
 *   fl_line_send, receive      <------->  fl_line_send, receive
 *
 * HELLO and WELCOME go into the prologue of the channel's handshake as they
 * travelled, so nobody changes a version or a key on the way. The cards tie
 * the channel keys that Noise proves to the identities. What the client's
 * NOISE says may be a replay: who it is, is certain once a sealed frame has
 * come. A REFUSAL in clear comes from anybody.
 *
 * One owner, one thread. Whoever moves a line wipes the place where it was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_PROTO_LINE_H
#define FL_PROTO_LINE_H

#include "proto/proto.h"
#include "secure/secure.h"

enum {
    FL_LINE_FRESH_BYTES = 32,  // secret random bytes of a handshake
    FL_LINE_GREETING_CAP = FL_PROTO_HEADER_BYTES + FL_PROTO_GREETING_MAX,
};

/* All zeros: nothing has been said. */
typedef struct {
    fl_channel channel;
    uint8_t session[FL_PROTO_SESSION_BYTES];
    uint8_t peer[FL_PROTO_KEY_BYTES];  // the other's identity, see above
    fl_device device;  // aggregator: the client's card, without a name
} fl_line;

/* What has been said in clear, as it travelled; borrowed. */
typedef struct {
    const uint8_t *hello, *welcome;
    size_t hello_len, welcome_len;
    const fl_welcome *words;  // of the welcome; for the client
} fl_greeting;

/* Wipes. Accepts one that is all zeros. */
void fl_line_fini(fl_line *line);

/* Whether both have greeted: everything travels sealed. */
bool fl_line_is_sealed(const fl_line *line);

/*
 * Writes the next frame, for a `dst` of fl_message_bound; completes the
 * message's session and counter. Errors of fl_message_encode.
 * FL_ERR_STATE: the channel has failed, or the message does not travel in
 * clear.
 */
FL_CHECK fl_err fl_line_send(fl_line *line, uint8_t *dst, size_t dst_cap,
                             size_t *len, fl_message *message);

/*
 * Reads the next frame; safe on untrusted bytes. What `message` borrows lives
 * in `src` or in the arena, which also holds the opened frame. Errors of
 * fl_message_decode. FL_ERR_AUTH: a frame in clear that has to be sealed, of
 * another session, not the next one, or changed on the way.
 */
FL_CHECK fl_err fl_line_receive(fl_line *line, fl_message *message,
                                fl_arena *arena, const uint8_t *src,
                                size_t src_len, fl_reason *why);

/* ---- client ---- */

/* Writes HELLO: this version, and the program's name and version. */
void fl_line_hello(uint8_t dst[FL_LINE_GREETING_CAP], size_t *len,
                   const char *build);

/* FL_ERR_UNSUPPORTED: another version. FL_ERR_AUTH: the card is forged. */
FL_CHECK fl_err fl_line_check_welcome(const fl_welcome *welcome);

/*
 * Writes NOISE, the answer to a WELCOME that has been checked and pinned.
 * FL_ERR_AUTH: the channel key is a weak point.
 */
FL_CHECK fl_err fl_line_greet(fl_line *line, uint8_t dst[FL_LINE_GREETING_CAP],
                              size_t *len, const fl_identity *identity,
                              const fl_greeting *greeting,
                              const uint8_t fresh[FL_LINE_FRESH_BYTES]);

/*
 * The aggregator's NOISE: the line is sealed, and line->peer has proved itself.
 * FL_ERR_AUTH, FL_ERR_FORMAT: it is not an answer to ours.
 */
FL_CHECK fl_err fl_line_join(fl_line *line, const fl_message *noise);

/* ---- aggregator ---- */

/* Writes WELCOME, the answer to the frame `hello`. */
void fl_line_welcome(fl_line *line, uint8_t dst[FL_LINE_GREETING_CAP],
                     size_t *len, const fl_identity *identity,
                     const uint8_t *hello, size_t hello_len);

/*
 * Takes the client's NOISE and writes ours: the line is sealed, and line->peer
 * is who the client says it is. FL_ERR_AUTH, FL_ERR_FORMAT: it is not made for
 * this aggregator, or the card is forged.
 */
FL_CHECK fl_err fl_line_admit(fl_line *line, uint8_t dst[FL_LINE_GREETING_CAP],
                              size_t *len, const fl_message *noise,
                              const uint8_t session[FL_PROTO_SESSION_BYTES],
                              const uint8_t fresh[FL_LINE_FRESH_BYTES]);

#endif
