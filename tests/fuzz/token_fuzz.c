/* Any text as a token, an id or a device's id: what is taken is written again
 * as it was read, but for capital letters.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proquint.h"
#include "proto/proto.h"

static void check_token(const char *text)
{
    fl_token token;
    fl_reason why = {""};
    char again[FL_TOKEN_CAP], id[FL_TOKEN_ID_CAP];
    uint32_t number;
    if (fl_token_decode(&token, text, &why)) {
        if (why.text[0] == 0) abort();
        return;
    }
    fl_token_encode(again, &token);
    if (strcasecmp(again, text) != 0) abort();
    fl_token_id_encode(id, token.id);
    if (fl_token_id_decode(&number, id) || number != token.id) abort();
}

static void check_id(const char *text)
{
    uint8_t bytes[6];
    char again[FL_DEVICE_ID_CAP];
    if (!fl_device_is_id(text)) return;
    if (fl_proquint_decode(bytes, sizeof bytes, text)) abort();
    fl_proquint_encode(again, bytes, sizeof bytes);
    if (strcasecmp(again, text) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    if (!text) return 0;
    memcpy(text, data, len);
    text[len] = 0;
    check_token(text);
    check_id(text);
    free(text);
    return 0;
}
