/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/models.h"

#include <stdlib.h>
#include <string.h>

static const fl_models_entry *find(const fl_models *models,
                                   const uint8_t name[FL_HASH_BYTES])
{
    for (size_t i = models->count; i-- > 0;) {
        const fl_models_entry *entry = &models->kept[i];
        if (memcmp(entry->name, name, FL_HASH_BYTES) == 0) return entry;
    }
    return NULL;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);
    if (copy) memcpy(copy, bytes, len);
    return copy;
}

static void drop_oldest(fl_models *models)
{
    models->bytes -= models->kept[0].len;
    free(models->kept[0].bytes);
    models->count--;
    memmove(models->kept, models->kept + 1,
            models->count * sizeof *models->kept);
}

void fl_models_fini(fl_models *models)
{
    while (models->count > 0) {
        drop_oldest(models);
    }
}

void fl_models_add(fl_models *models, const uint8_t name[FL_HASH_BYTES],
                   const uint8_t *bytes, size_t len)
{
    if (len > FL_MODELS_BYTES_MAX || find(models, name)) return;
    fl_models_entry entry = {.bytes = copy_of(bytes, len), .len = len};
    if (!entry.bytes) return;
    memcpy(entry.name, name, FL_HASH_BYTES);
    while (models->count == FL_MODELS_MAX ||
           models->bytes > FL_MODELS_BYTES_MAX - len) {
        drop_oldest(models);
    }
    models->kept[models->count++] = entry;
    models->bytes += len;
}

uint8_t *fl_models_copy(const fl_models *models,
                        const uint8_t name[FL_HASH_BYTES], size_t *len)
{
    const fl_models_entry *entry = find(models, name);
    if (!entry) return NULL;
    *len = entry->len;
    return copy_of(entry->bytes, entry->len);
}
