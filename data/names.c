/* SPDX-License-Identifier: Apache-2.0 */
#include "data/names.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 64, TEXT_FIRST = 1024 };

void fl_names_init(fl_names *names, uint32_t count_max)
{
    *names = (fl_names){.count_max = count_max};
}

void fl_names_fini(fl_names *names)
{
    free(names->text);
    free(names->starts);
    free(names->slots);
    *names = (fl_names){.count_max = names->count_max};
}

// FNV-1a.
static uint32_t hash_text(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    }
    return hash;
}

// The slot that holds the name, or the free one where it belongs.
static uint32_t find_slot(const fl_names *names, const char *text, size_t len)
{
    const uint32_t mask = names->slot_count - 1;
    uint32_t slot = hash_text(text, len) & mask;
    for (; names->slots[slot]; slot = (slot + 1) & mask) {
        const char *held = names->text + names->starts[names->slots[slot] - 1];
        if (strncmp(held, text, len) == 0 && held[len] == '\0') break;
    }
    return slot;
}

static void fill_slots(fl_names *names)
{
    memset(names->slots, 0, names->slot_count * sizeof *names->slots);
    for (uint32_t i = 0; i < names->count; i++) {
        const char *text = names->text + names->starts[i];
        names->slots[find_slot(names, text, strlen(text))] = i + 1;
    }
}

// At most half of the slots are taken, so a search ends soon.
static fl_err grow_slots(fl_names *names)
{
    if (names->slot_count > 2 * names->count) return FL_OK;
    const uint32_t grown =
        names->slot_count ? 2 * names->slot_count : SLOTS_FIRST;
    uint32_t *slots = realloc(names->slots, grown * sizeof *slots);
    uint32_t *starts = realloc(names->starts, grown / 2 * sizeof *starts);
    if (slots) names->slots = slots;
    if (starts) names->starts = starts;
    if (!slots || !starts) return FL_ERR_MEMORY;
    names->slot_count = grown;
    fill_slots(names);
    return FL_OK;
}

static fl_err grow_text(fl_names *names, size_t len)
{
    const size_t needed = names->text_len + len + 1;
    if (needed <= names->text_cap) return FL_OK;
    if (needed > FL_NAMES_TEXT_MAX) return FL_ERR_LIMIT;
    size_t cap = names->text_cap ? 2 * names->text_cap : TEXT_FIRST;
    if (cap < needed) cap = needed;
    char *text = realloc(names->text, cap);
    if (!text) return FL_ERR_MEMORY;
    names->text = text;
    names->text_cap = cap;
    return FL_OK;
}

fl_err fl_names_add(fl_names *names, uint32_t *number, const char *text,
                    size_t len)
{
    if (len > FL_NAMES_TEXT_MAX) return FL_ERR_LIMIT;
    if (memchr(text, '\0', len)) return FL_ERR_FORMAT;
    FL_TRY(grow_slots(names));
    const uint32_t slot = find_slot(names, text, len);
    if (names->slots[slot] == 0) {
        if (names->count >= names->count_max) return FL_ERR_LIMIT;
        FL_TRY(grow_text(names, len));
        memcpy(names->text + names->text_len, text, len);
        names->text[names->text_len + len] = '\0';
        names->starts[names->count] = (uint32_t)names->text_len;
        names->text_len += len + 1;
        names->slots[slot] = ++names->count;
    }
    *number = names->slots[slot] - 1;
    return FL_OK;
}

const char *fl_names_get(const fl_names *names, uint32_t number)
{
    return number < names->count ? names->text + names->starts[number] : NULL;
}

typedef struct {
    const char *text;
    uint32_t number;
} numbered;

static int compare_texts(const void *a, const void *b)
{
    return strcmp(((const numbered *)a)->text, ((const numbered *)b)->text);
}

fl_err fl_names_sort(fl_names *names, uint32_t *ranks)
{
    if (names->count == 0) return FL_OK;
    numbered *order = malloc(names->count * sizeof *order);
    if (!order) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < names->count; i++) {
        order[i] = (numbered){fl_names_get(names, i), i};
    }
    qsort(order, names->count, sizeof *order, compare_texts);
    for (uint32_t i = 0; i < names->count; i++) {
        names->starts[i] = (uint32_t)(order[i].text - names->text);
        if (ranks) ranks[order[i].number] = i;
    }
    fill_slots(names);
    free(order);
    return FL_OK;
}

size_t fl_names_bytes(const fl_names *names)
{
    return names->text_cap +
           ((size_t)names->slot_count / 2 + names->slot_count) *
               sizeof(uint32_t);
}
