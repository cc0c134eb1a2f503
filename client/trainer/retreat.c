/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/retreat.h"

void fl_retreat_note(fl_retreat *retreat, bool has_failed, int64_t now_ms)
{
    if (!has_failed) {
        *retreat = (fl_retreat){.failure_count = 0};
        return;
    }
    if (retreat->failure_count < UINT32_MAX) retreat->failure_count++;
    if (retreat->failure_count < FL_RETREAT_FAILURES) return;
    int64_t rest_ms = FL_RETREAT_MS;
    for (uint32_t i = FL_RETREAT_FAILURES;
         i < retreat->failure_count && rest_ms < FL_RETREAT_MAX_MS; i++) {
        rest_ms *= 2;
    }
    if (rest_ms > FL_RETREAT_MAX_MS) rest_ms = FL_RETREAT_MAX_MS;
    retreat->until_ms = now_ms + rest_ms;
}

int64_t fl_retreat_left_ms(const fl_retreat *retreat, int64_t now_ms)
{
    return retreat->until_ms > now_ms ? retreat->until_ms - now_ms : 0;
}
