/* A session with five honest clients, and whatever else devices say: the
 * aggregator does not crash, refuses with a sentence, and gives the sum of the
 * survivors or none (tests/support/parties.c looks).
 *
 * An input is a script: one byte says what happens and to whom, the next ones
 * how. Honest steps are among them, so that sessions get far.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "secure/session/secagg_graph.h"
#include "tests/support/parties.h"

enum { CLIENTS = 5, SAID_CAP = 255 };

typedef struct {
    const uint8_t *at, *end;
    bool is_lying;
    bool is_spoilt;  // a vector is not that of its client
} script;

static uint8_t next_byte(script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

// Changes a byte or the length of what an honest client says.
static bool meddle(void *self, fl_parties *parties, uint32_t i, fl_step step,
                   uint8_t *bytes, size_t *len)
{
    (void)parties;
    (void)i;
    script *s = self;
    if (!s->is_lying) return true;
    const uint8_t how = next_byte(s);
    if (how >= 0xf0) {
        *len = *len > how - 0xf0U ? *len - (how - 0xf0U) : 0;
        return true;
    }
    const size_t at = (size_t)(how << 8 | next_byte(s)) % *len;
    const uint8_t change = next_byte(s);
    bytes[at] ^= change;
    if (change && step == FL_STEP_MASKED) s->is_spoilt = true;
    return true;
}

static void say_anything(fl_parties *p, script *s, uint32_t device)
{
    uint8_t bytes[SAID_CAP];
    const fl_step step = (fl_step)(next_byte(s) % 16);
    const size_t wanted = next_byte(s);
    const size_t left = (size_t)(s->end - s->at);
    const size_t len = wanted < left ? wanted : left;
    fl_reason why = {""};
    if (len > 0) memcpy(bytes, s->at, len);
    s->at += len;
    if (step == FL_STEP_MASKED) {
        if (!fl_secagg_add(p->secagg, device, bytes, len, &why)) {
            s->is_spoilt = true;
            return;
        }
    } else if (!fl_secagg_receive(p->secagg, device, step, bytes, len, &why)) {
        return;
    }
    if (why.text[0] == 0) abort();
}

static void play(fl_parties *p, script *s)
{
    while (s->at < s->end && fl_secagg_get_phase(p->secagg) < FL_SECAGG_DONE) {
        const uint8_t what = next_byte(s);
        const uint32_t i = (what >> 3) % (CLIENTS + 1);  // one is a stranger
        const uint32_t device = i;
        s->is_lying = what % 8 == 1;
        if (what % 8 < 2 && i < CLIENTS) {
            (void)fl_parties_ask(p, i);
        } else if (what % 8 < 5) {
            say_anything(p, s, device);
        } else if (what % 8 == 5) {
            fl_secagg_drop(p->secagg, device);
        } else {
            s->is_lying = false;
            if (what % 8 == 6) fl_parties_ask_all(p);
            (void)!fl_parties_advance(p);
        }
    }
    s->is_lying = false;
}

static void check_choice(const uint8_t *data, size_t len)
{
    fl_secagg_graph graph;
    uint32_t partner;
    if (fl_secagg_graph_init(&graph, 9, 3)) abort();
    for (uint32_t slot = 0; slot < 9 && len >= 6; slot++, data += 6, len -= 6) {
        (void)!fl_secagg_graph_choose(&graph, slot, data, 6);
    }
    if (fl_secagg_graph_close(&graph)) abort();
    for (uint32_t slot = 0; slot < 9; slot++) {
        uint32_t least = 0;
        fl_secagg_graph_walk walk = fl_secagg_graph_partners(&graph, slot);
        while (fl_secagg_graph_next(&walk, &partner)) {
            if (partner < least || partner >= 9 || partner == slot) abort();
            least = partner + 1;
        }
    }
    fl_secagg_graph_fini(&graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static fl_parties *p;
    script s = {.at = data, .end = data + len};
    if (!p) p = fl_parties_new(CLIENTS + 1);
    p->number = 0;  // so that an input always does the same
    fl_random_init(&p->random, 1, FL_RANDOM_TEST, 0);
    check_choice(data, len);
    fl_parties_open(p, &(fl_parties_options){.client_count = CLIENTS,
                                             .client_min = 3,
                                             .repeats = next_byte(&s) & 1,
                                             .meddle = meddle,
                                             .meddle_self = &s});
    play(p, &s);
    while (fl_secagg_get_phase(p->secagg) < FL_SECAGG_DONE) {
        fl_parties_ask_all(p);
        (void)!fl_parties_advance(p);
    }
    const bool has_sum = fl_secagg_get_phase(p->secagg) == FL_SECAGG_DONE;
    if (has_sum && !s.is_spoilt) fl_parties_check_sum(p);
    return 0;
}
