/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json.h"

static const char *const WORDS[] = {
#define WORD(name, bytes) #name,
    FL_SAFETENSORS_TYPE_LIST(WORD)
#undef WORD
};

static const size_t SIZES[] = {
#define SIZE(name, bytes) (bytes),
    FL_SAFETENSORS_TYPE_LIST(SIZE)
#undef SIZE
};

const char *fl_safetensors_word(fl_safetensors_type type)
{
    return type < FL_SAFETENSORS_TYPE_COUNT ? WORDS[type] : "?";
}

// False: the tensor is longer than any file.
static bool find_len(size_t *len, const fl_safetensor *tensor)
{
    *len = SIZES[tensor->type];
    for (size_t i = 0; i < tensor->dim_count; i++) {
        if (__builtin_mul_overflow(*len, tensor->dims[i], len)) return false;
    }
    return true;
}

/* ---- writing ---- */

static fl_err place(fl_safetensor *tensors, size_t count, fl_reason *why)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        tensors[i].at = at;
        if (!find_len(&tensors[i].len, &tensors[i]) ||
            __builtin_add_overflow(at, tensors[i].len, &at)) {
            return fl_reason_set(why, FL_ERR_LIMIT,
                                 "tensor \"%s\" is longer than any file",
                                 tensors[i].name);
        }
    }
    return FL_OK;
}

static fl_json *describe(const fl_safetensor *tensor)
{
    fl_json *item = fl_json_new();
    fl_json_text_set(item, "dtype", fl_safetensors_word(tensor->type));
    const uint64_t offsets[] = {tensor->at, tensor->at + tensor->len};
    fl_json_counts_set(item, "shape", tensor->dims, tensor->dim_count);
    fl_json_counts_set(item, "data_offsets", offsets, 2);
    return item;
}

// Blanks behind the JSON let the data begin at a multiple of eight.
static fl_err put_header(uint8_t **bytes, size_t *len, const char *text,
                         fl_reason *why)
{
    const size_t text_len = strlen(text);
    const size_t header_len = (text_len + 7) / 8 * 8;
    if (header_len > FL_SAFETENSORS_HEADER_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "a header of %zu bytes; it may have %d",
                             header_len, FL_SAFETENSORS_HEADER_MAX);
    }
    *len = FL_SAFETENSORS_LENGTH_BYTES + header_len;
    *bytes = malloc(*len);
    if (!*bytes) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_bytes_put_u32(*bytes, (uint32_t)header_len);  // see HEADER_MAX
    fl_bytes_put_u32(*bytes + 4, 0);
    uint8_t *header = *bytes + FL_SAFETENSORS_LENGTH_BYTES;
    for (size_t i = 0; i < header_len; i++) {
        header[i] = i < text_len ? (uint8_t)text[i] : ' ';
    }
    return FL_OK;
}

fl_err fl_safetensors_encode(uint8_t **bytes, size_t *len,
                             fl_safetensor *tensors, size_t count,
                             fl_reason *why)
{
    char *text = NULL;
    FL_TRY(place(tensors, count, why));
    fl_json *header = fl_json_new();
    for (size_t i = 0; i < count; i++) {
        fl_json_object_set(header, tensors[i].name, describe(&tensors[i]));
    }
    fl_err err = fl_json_text(&text, header);
    fl_json_free(header);
    if (err) return fl_reason_set(why, err, "no memory for %zu tensors", count);
    err = put_header(bytes, len, text, why);
    free(text);
    return err;
}

/* ---- reading ---- */

typedef struct {
    fl_safetensors *file;
    fl_reason *why;
} reading;

static bool read_type(fl_safetensors_type *type, const char *word)
{
    for (size_t i = 0; i < FL_SAFETENSORS_TYPE_COUNT; i++) {
        if (strcmp(word, WORDS[i]) != 0) continue;
        *type = (fl_safetensors_type)i;
        return true;
    }
    return false;
}

static fl_err read_numbers(fl_safetensor *tensor, const fl_json *item,
                           size_t data_len, fl_reason *why)
{
    uint64_t offsets[2];
    size_t offset_count, len;
    if (!fl_json_counts_get(tensor->dims, &tensor->dim_count,
                            FL_SAFETENSORS_DIMS_MAX, item, "shape")) {
        return fl_reason_set(
            why, FL_ERR_FORMAT,
            "tensor \"%s\": no shape of up to %d whole numbers", tensor->name,
            FL_SAFETENSORS_DIMS_MAX);
    }
    if (!fl_json_counts_get(offsets, &offset_count, 2, item, "data_offsets") ||
        offset_count != 2 || offsets[0] > offsets[1]) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "tensor \"%s\": data_offsets are not where it "
                             "begins and ends",
                             tensor->name);
    }
    if (offsets[1] > data_len) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "tensor \"%s\" ends at byte %llu of the data, "
                             "the file has %zu",
                             tensor->name, (unsigned long long)offsets[1],
                             data_len);
    }
    tensor->at = (size_t)offsets[0];
    tensor->len = (size_t)(offsets[1] - offsets[0]);
    if (find_len(&len, tensor) && len == tensor->len) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "tensor \"%s\" has %zu bytes, which its shape and "
                         "dtype do not take",
                         tensor->name, tensor->len);
}

static fl_err read_tensor(void *self, const char *key, const fl_json *item)
{
    const reading *r = self;
    fl_safetensors *file = r->file;
    const char *word;
    if (strcmp(key, "__metadata__") == 0) return FL_OK;
    if (strlen(key) >= FL_SAFETENSORS_NAME_CAP ||
        file->count == FL_SAFETENSORS_COUNT_MAX) {
        return fl_reason_set(r->why, FL_ERR_LIMIT,
                             "more than %d tensors, or a name of more than %d "
                             "bytes",
                             FL_SAFETENSORS_COUNT_MAX,
                             FL_SAFETENSORS_NAME_CAP - 1);
    }
    fl_safetensor *tensor = &file->tensors[file->count++];
    memcpy(tensor->name, key, strlen(key) + 1);
    if (!item || !fl_json_text_get(&word, item, "dtype")) {
        return fl_reason_set(r->why, FL_ERR_FORMAT,
                             "tensor \"%s\" has no dtype", key);
    }
    if (!read_type(&tensor->type, word)) {
        return fl_reason_set(r->why, FL_ERR_UNSUPPORTED,
                             "tensor \"%s\": dtype %s is unknown", key, word);
    }
    return read_numbers(tensor, item, file->data_len, r->why);
}

static int by_place(const void *a, const void *b)
{
    const fl_safetensor *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return (x->len > y->len) - (x->len < y->len);
}

static fl_err check_gaps(fl_safetensors *file, fl_reason *why)
{
    size_t at = 0;
    qsort(file->tensors, file->count, sizeof *file->tensors, by_place);
    for (size_t i = 0; i < file->count; i++) {
        const fl_safetensor *tensor = &file->tensors[i];
        if (tensor->at != at) {
            return fl_reason_set(why, FL_ERR_FORMAT,
                                 "tensor \"%s\" begins at byte %zu of the "
                                 "data, the one before it ends at %zu",
                                 tensor->name, tensor->at, at);
        }
        at += tensor->len;
    }
    if (at == file->data_len) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "the tensors end at byte %zu of the data, the file "
                         "at %zu",
                         at, file->data_len);
}

static fl_err read_header(fl_safetensors *file, const uint8_t *header,
                          size_t len, fl_reason *why)
{
    fl_json *json = NULL;
    reading r = {.file = file, .why = why};
    const fl_err json_err = fl_json_decode(&json, header, len);
    if (json_err) {
        return fl_reason_set(why, json_err, "its header is not a JSON object");
    }
    file->tensors = calloc(FL_SAFETENSORS_COUNT_MAX, sizeof *file->tensors);
    fl_err err = FL_ERR_MEMORY;
    if (file->tensors) {
        err = fl_json_each(json, read_tensor, &r);
        if (!err) err = check_gaps(file, why);
    } else {
        (void)!fl_reason_set(why, err, "no memory for its header");
    }
    fl_json_free(json);
    return err;
}

fl_err fl_safetensors_decode(fl_safetensors *file, const uint8_t *src,
                             size_t src_len, fl_reason *why)
{
    *file = (fl_safetensors){.count = 0};
    if (src_len < FL_SAFETENSORS_LENGTH_BYTES) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%zu bytes are no safetensors file", src_len);
    }
    const uint64_t header_len = fl_bytes_get_u64(src);
    if (header_len > FL_SAFETENSORS_HEADER_MAX) {
        return fl_reason_set(
            why, FL_ERR_LIMIT, "a header of %llu bytes; it may have %d",
            (unsigned long long)header_len, FL_SAFETENSORS_HEADER_MAX);
    }
    const size_t rest = src_len - FL_SAFETENSORS_LENGTH_BYTES;
    if (header_len > rest) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the header has %llu bytes, the file %zu",
                             (unsigned long long)header_len, src_len);
    }
    const uint8_t *header = src + FL_SAFETENSORS_LENGTH_BYTES;
    file->data = header + header_len;
    file->data_len = rest - (size_t)header_len;
    const fl_err err = read_header(file, header, (size_t)header_len, why);
    if (err) fl_safetensors_fini(file);
    return err;
}

void fl_safetensors_fini(fl_safetensors *file)
{
    free(file->tensors);
    *file = (fl_safetensors){.count = 0};
}

const fl_safetensor *fl_safetensors_find(const fl_safetensors *file,
                                         const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    }
    return NULL;
}
