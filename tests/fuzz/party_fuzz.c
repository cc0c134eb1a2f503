/* An honest session in which one message to one party is changed by the input:
 * no crash, and a party that refuses is aborted, has a fault, and stays so.
 *
 *   byte 0          which step is changed, and in which graph
 *   then, repeated  u16 place, u8 what it is xored with
 *   a last u16      how much longer the message is, or shorter
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/support/script.h"

static const fl_step STEPS[] = {
    FL_STEP_INVITE,    FL_STEP_ROSTER,        FL_STEP_INBOX,
    FL_STEP_SURVIVORS, FL_STEP_CONFIRMATIONS,
};

enum { STEP_COUNT = sizeof STEPS / sizeof *STEPS };

static size_t change(uint8_t *message, size_t len, const uint8_t *data,
                     size_t data_len)
{
    for (; data_len >= 3; data += 3, data_len -= 3) {
        message[(size_t)(data[0] | data[1] << 8) % len] ^= data[2];
    }
    if (data_len == 0) return len;
    const size_t changed = len + data[0] % 9;
    return changed < 4 ? 0 : changed - 4;
}

static void check_party(const fl_party *party, fl_err err)
{
    const fl_party_state state = fl_party_get_state(party);
    const bool is_aborted = state == FL_PARTY_ABORTED;
    if (is_aborted != (err != FL_OK)) abort();
    if (is_aborted != (fl_party_fault(party) != FL_FAULT_NONE)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static bool is_started;
    if (!is_started && fl_secure_start()) abort();
    is_started = true;
    if (len < 1) return 0;

    const fl_step step = STEPS[data[0] % STEP_COUNT];
    fl_script *script = fl_script_at(3, step);
    size_t message_len = fl_script_message(script, step, 1);
    message_len = change(script->message, message_len, data + 1, len - 1);
    const fl_err err = fl_script_send(script, step, 1, message_len);
    check_party(script->clients[1].party, err);
    if (err) {
        message_len = fl_script_message(script, step, 1);
        if (fl_script_send(script, step, 1, message_len) != FL_ERR_STATE) {
            abort();
        }
    }
    fl_script_free(script);
    return 0;
}
