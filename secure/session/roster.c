/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "secure/session/transcript.h"

// The labels travel with their 0, which sizeof counts.
static const char LEAF_LABEL[] = "fedge leaf";
static const char NODE_LABEL[] = "fedge node";

/* ---- nodes: the first device below, and a hash of all below ---- */

enum { DEVICE_BYTES = FL_NODE_BYTES - FL_HASH_BYTES };

static uint32_t first_device(const uint8_t node[FL_NODE_BYTES])
{
    return fl_bytes_get_u32(node);
}

void fl_roster_leaf(uint8_t dst[FL_NODE_BYTES], uint32_t slot,
                    const uint8_t entry[FL_ENTRY_BYTES])
{
    uint8_t bytes[sizeof LEAF_LABEL + 4 + FL_ENTRY_BYTES];
    memcpy(bytes, LEAF_LABEL, sizeof LEAF_LABEL);
    fl_bytes_put_u32(bytes + sizeof LEAF_LABEL, slot);
    memcpy(bytes + sizeof LEAF_LABEL + 4, entry, FL_ENTRY_BYTES);
    memcpy(dst, entry, DEVICE_BYTES);
    fl_hash(dst + DEVICE_BYTES, bytes, sizeof bytes);
}

/* dst may be left or right. */
static void join_nodes(uint8_t dst[FL_NODE_BYTES],
                       const uint8_t left[FL_NODE_BYTES],
                       const uint8_t right[FL_NODE_BYTES])
{
    uint8_t bytes[sizeof NODE_LABEL + FL_NODE_BYTES + FL_NODE_BYTES];
    memcpy(bytes, NODE_LABEL, sizeof NODE_LABEL);
    memcpy(bytes + sizeof NODE_LABEL, left, FL_NODE_BYTES);
    memcpy(bytes + sizeof NODE_LABEL + FL_NODE_BYTES, right, FL_NODE_BYTES);
    memmove(dst, left, DEVICE_BYTES);
    fl_hash(dst + DEVICE_BYTES, bytes, sizeof bytes);
}

/* ---- trees ---- */

/*
 * The level above level[0..count), which may be written over it. Returns how
 * many nodes it has: the last goes up as it is when it has no sibling.
 */
static uint32_t rise(uint8_t (*above)[FL_NODE_BYTES],
                     uint8_t (*level)[FL_NODE_BYTES], uint32_t count)
{
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        join_nodes(above[i / 2], level[i], level[i + 1]);
    }
    if (count % 2) memmove(above[count / 2], level[count - 1], FL_NODE_BYTES);
    return count / 2 + count % 2;
}

void fl_roster_root(uint8_t root[FL_NODE_BYTES],
                    uint8_t (*leaves)[FL_NODE_BYTES], uint32_t count)
{
    assert(count > 0);
    while (count > 1) {
        count = rise(leaves, leaves, count);
    }
    memcpy(root, leaves[0], FL_NODE_BYTES);
}

size_t fl_roster_tree(uint8_t (*tree)[FL_NODE_BYTES], uint32_t count)
{
    assert(count > 0);
    size_t total = count;
    for (uint8_t(*level)[FL_NODE_BYTES] = tree; count > 1;) {
        uint8_t(*above)[FL_NODE_BYTES] = level + count;
        count = rise(above, level, count);
        level = above;
        total += count;
    }
    return total;
}

size_t fl_roster_proof(uint8_t (*proof)[FL_NODE_BYTES],
                       const uint8_t (*tree)[FL_NODE_BYTES], uint32_t count,
                       uint32_t slot)
{
    assert(slot < count);
    size_t len = 0;
    for (; count > 1; count = count / 2 + count % 2, slot /= 2) {
        const uint32_t sibling = slot ^ 1;
        if (sibling < count) {
            memcpy(proof[len++], tree[sibling], FL_NODE_BYTES);
        }
        tree += count;
    }
    return len;
}

size_t fl_roster_proof_len(uint32_t count, uint32_t slot)
{
    assert(slot < count);
    size_t len = 0;
    for (; count > 1; count = count / 2 + count % 2, slot /= 2) {
        len += (slot ^ 1) < count;
    }
    return len;
}

bool fl_roster_climb(uint8_t root[FL_NODE_BYTES],
                     const uint8_t entry[FL_ENTRY_BYTES], uint32_t count,
                     uint32_t slot, const uint8_t *proof)
{
    assert(slot < count);
    const uint32_t device = fl_bytes_get_u32(entry);
    bool is_rising = true;
    fl_roster_leaf(root, slot, entry);
    for (; count > 1; count = count / 2 + count % 2, slot /= 2) {
        if ((slot ^ 1) >= count) continue;
        if (slot % 2) {
            is_rising &= first_device(proof) < device;
            join_nodes(root, proof, root);
        } else {
            is_rising &= device < first_device(proof);
            join_nodes(root, root, proof);
        }
        proof += FL_NODE_BYTES;
    }
    return is_rising;
}
