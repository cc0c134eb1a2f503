/* safetensors of strangers: what is taken lies in the file, fills it, and is
 * the same again when it is written.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "client/trainer/safetensors.h"
#include "client/trainer/talk.h"

static void demand(bool is_true)
{
    if (!is_true) abort();
}

static void check_again(const fl_safetensors *file)
{
    uint8_t *header = NULL;
    size_t header_len;
    fl_safetensors again;
    if (fl_safetensors_encode(&header, &header_len, file->tensors, file->count,
                              NULL)) {
        return;  // names that take more room than before
    }
    const size_t len = header_len + file->data_len;
    uint8_t *whole = realloc(header, len);
    demand(whole);
    if (file->data_len > 0) {
        memcpy(whole + header_len, file->data, file->data_len);
    }
    demand(fl_safetensors_decode(&again, whole, len, NULL) == FL_OK);
    demand(again.count == file->count);
    for (size_t i = 0; i < file->count; i++) {
        const fl_safetensor *a = &file->tensors[i];
        const fl_safetensor *b = fl_safetensors_find(&again, a->name);
        demand(b && a->at == b->at && a->len == b->len && a->type == b->type);
    }
    fl_safetensors_fini(&again);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_safetensors file;
    fl_talk_report report;
    if (!fl_safetensors_decode(&file, data, len, NULL)) {
        size_t sum = 0;
        for (size_t i = 0; i < file.count; i++) {
            demand(file.tensors[i].at == sum);
            sum += file.tensors[i].len;
        }
        demand(sum == file.data_len && sum <= len);
        check_again(&file);
        fl_safetensors_fini(&file);
    }
    // What a trainer says comes from the same stranger.
    char *line = malloc(len + 1);
    demand(line);
    if (len > 0) memcpy(line, data, len);
    line[len] = 0;
    if (!fl_talk_decode(&report, line, len, NULL)) {
        demand(report.kind != FL_TALK_DONE || report.example_count > 0);
        demand(report.accuracy >= 0 && report.accuracy <= 1);
    }
    free(line);
    return 0;
}
