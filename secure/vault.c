/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "secure/vault.h"

#include <assert.h>
#include <sodium.h>
#include <stdalign.h>
#include <stdint.h>

#include "base/bytes.h"

enum { ALIGNMENT = alignof(max_align_t) };

// Lies in the locked pages itself, in front of what it gives out.
struct fl_vault {
    size_t cap, used;  // multiples of ALIGNMENT
    alignas(max_align_t) uint8_t bytes[];
};

// Needs len <= SIZE_MAX - ALIGNMENT.
static size_t aligned(size_t len)
{
    return (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

fl_err fl_vault_new(fl_vault **vault, size_t cap)
{
    size_t len;
    if (fl_size_add(&len, cap, sizeof(fl_vault) + ALIGNMENT)) {
        return FL_ERR_MEMORY;
    }
    // sodium_malloc puts the end of the room before the guard page, so only a
    // length that is a multiple of the alignment gives an aligned start.
    len = aligned(sizeof(fl_vault) + cap);
    fl_vault *made = sodium_malloc(len);
    if (!made) return FL_ERR_MEMORY;

    made->cap = len - sizeof(fl_vault);
    made->used = 0;
    sodium_memzero(made->bytes, made->cap);  // it comes filled with a pattern
    *vault = made;
    return FL_OK;
}

void *fl_vault_take(fl_vault *vault, size_t len)
{
    if (len > vault->cap - vault->used) return NULL;
    void *taken = vault->bytes + vault->used;
    vault->used += aligned(len);  // no further than cap: it is a multiple too
    assert((uintptr_t)taken % ALIGNMENT == 0);
    return taken;
}

void fl_vault_wipe(fl_vault *vault)
{
    sodium_memzero(vault->bytes, vault->used);
    vault->used = 0;
}

void fl_vault_free(fl_vault *vault)
{
    sodium_free(vault);  // wipes all the pages before it gives them back
}
