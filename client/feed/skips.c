/* SPDX-License-Identifier: Apache-2.0 */
#include "client/feed/skips.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"

enum { KNOWN_FIRST = 16 };

void fl_skips_begin(fl_skips *skips, const fl_skips *before)
{
    *skips = (fl_skips){.before = before};
}

void fl_skips_begin_quietly(fl_skips *skips)
{
    *skips = (fl_skips){.is_quiet = true};
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool is_known(const fl_skips *skips, uint64_t digest)
{
    return skips && skips->known_count > 0 &&
           bsearch(&digest, skips->known, skips->known_count,
                   sizeof *skips->known, compare);
}

// One that cannot be remembered is logged again, at worst.
static void remember(fl_skips *skips, uint64_t digest)
{
    if (skips->known_count == skips->known_cap) {
        const uint32_t cap =
            skips->known_cap ? 2 * skips->known_cap : KNOWN_FIRST;
        uint64_t *known = realloc(skips->known, cap * sizeof *known);
        if (!known) return;
        skips->known = known;
        skips->known_cap = cap;
    }
    skips->known[skips->known_count++] = digest;
}

void fl_skips_tell(void *self, const char *what)
{
    fl_skips *skips = self;
    const uint64_t digest = fl_digest(0, what, strlen(what));
    if (skips->count < FL_SKIPS_NAMED) {
        (void)!fl_reason_set(&skips->named[skips->count], FL_OK, "%s", what);
    }
    skips->count++;
    if (skips->is_quiet || skips->known_count == FL_SKIPS_KNOWN_MAX) return;
    remember(skips, digest);
    if (is_known(skips->before, digest)) return;
    if (++skips->new_count > FL_SKIPS_LOGGED) return;
    fl_log(FL_LOG_WARN, "data_skipped", "what=%s", what);
}

void fl_skips_end(fl_skips *skips)
{
    if (skips->new_count > FL_SKIPS_LOGGED) {
        fl_log(FL_LOG_WARN, "data_skipped", "more=%u",
               skips->new_count - FL_SKIPS_LOGGED);
    }
    skips->before = NULL;
    if (skips->known_count > 0) {
        qsort(skips->known, skips->known_count, sizeof *skips->known, compare);
    }
}

void fl_skips_fini(fl_skips *skips)
{
    free(skips->known);
    *skips = (fl_skips){.count = 0};
}

void fl_skips_list(char text[FL_SKIPS_TEXT_CAP], const fl_skips *skips)
{
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < skips->count && i < FL_SKIPS_NAMED; i++) {
        const int more = snprintf(text + len, FL_SKIPS_TEXT_CAP - len, "%s%s",
                                  i > 0 ? "; " : "", skips->named[i].text);
        if (more > 0) len += (size_t)more;
    }
}
