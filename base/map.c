/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 16 };

struct fl_map_slot {
    uint64_t key;
    uint32_t value;
    bool is_used;
};

// The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
static uint64_t mix(uint64_t key)
{
    key = (key ^ key >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    key = (key ^ key >> 27) * UINT64_C(0x94d049bb133111eb);
    return key ^ key >> 31;
}

static size_t home_of(const fl_map *map, uint64_t key)
{
    return (size_t)mix(key) & (map->slot_count - 1);
}

// The key's slot, or the free one where it would go; there is always one.
static fl_map_slot *find(const fl_map *map, uint64_t key)
{
    size_t at = home_of(map, key);
    while (map->slots[at].is_used && map->slots[at].key != key) {
        at = (at + 1) & (map->slot_count - 1);
    }
    return &map->slots[at];
}

static fl_err grow(fl_map *map)
{
    fl_map larger = *map;
    larger.slot_count = map->slot_count ? map->slot_count * 2 : FIRST_SLOTS;
    larger.slots = calloc(larger.slot_count, sizeof *larger.slots);
    if (!larger.slots) return FL_ERR_MEMORY;
    for (size_t i = 0; i < map->slot_count; i++) {
        if (map->slots[i].is_used) {
            *find(&larger, map->slots[i].key) = map->slots[i];
        }
    }
    free(map->slots);
    *map = larger;
    return FL_OK;
}

void fl_map_init(fl_map *map, size_t cap)
{
    *map = (fl_map){.cap = cap};
}

void fl_map_fini(fl_map *map)
{
    free(map->slots);
    *map = (fl_map){0};
}

fl_err fl_map_set(fl_map *map, uint64_t key, uint32_t value)
{
    uint32_t old;
    if (!fl_map_get(map, key, &old)) {
        if (map->len == map->cap) return FL_ERR_LIMIT;
        // At most half full: probes stay short.
        if (map->len * 2 >= map->slot_count) FL_TRY(grow(map));
        map->len++;
    }
    *find(map, key) = (fl_map_slot){key, value, true};
    return FL_OK;
}

bool fl_map_get(const fl_map *map, uint64_t key, uint32_t *value)
{
    if (map->len == 0) return false;
    const fl_map_slot *slot = find(map, key);
    if (!slot->is_used) return false;
    *value = slot->value;
    return true;
}

void fl_map_remove(fl_map *map, uint64_t key)
{
    if (map->len == 0) return;
    fl_map_slot *hole = find(map, key);
    if (!hole->is_used) return;
    map->len--;
    hole->is_used = false;
    // Close the gap: whoever probed past the hole moves back into it.
    const size_t mask = map->slot_count - 1;
    size_t gap = (size_t)(hole - map->slots);
    for (size_t at = (gap + 1) & mask; map->slots[at].is_used;
         at = (at + 1) & mask) {
        const size_t distance = (at - home_of(map, map->slots[at].key)) & mask;
        if (distance < ((at - gap) & mask)) continue;
        map->slots[gap] = map->slots[at];
        map->slots[at].is_used = false;
        gap = at;
    }
}
