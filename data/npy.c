/*
 * .npy, what numpy.save writes (numpy.lib.format, versions 1.0 to 3.0):
 *
 *   "\x93NUMPY" MAJOR MINOR | length of the text, 2 or 4 bytes | text | numbers
 *
 * The text is a Python dictionary of exactly three entries:
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "data/array.h"

enum {
    MAGIC_LEN = 6,
    PREFIX_LEN = 8,
    TEXT_LEN_MAX = 10000,  // the most that numpy.load reads by default
    WORD_CAP = 16,
};

typedef struct {
    const char *at;  // ends with a zero byte
    const char *start;
    const fl_stream *stream;
    fl_reason *why;
    fl_array *array;
    bool has_descr, has_order, has_shape;
} cursor;

static fl_err say_syntax(const cursor *in, const char *expected)
{
    return fl_reason_set(in->why, FL_ERR_FORMAT,
                         "%s: the header's text, character %zu: expected %s",
                         fl_stream_path(in->stream),
                         (size_t)(in->at - in->start), expected);
}

static void skip_space(cursor *in)
{
    while (*in->at == ' ' || *in->at == '\n') {
        in->at++;
    }
}

// Goes past `c` if that is what comes next.
static bool accept(cursor *in, char c)
{
    skip_space(in);
    if (*in->at != c) return false;
    in->at++;
    return true;
}

static fl_err read_string(char word[WORD_CAP], cursor *in)
{
    skip_space(in);
    const char quote = *in->at;
    if (quote != '\'' && quote != '"') return say_syntax(in, "a string");
    const char *end = strchr(in->at + 1, quote);
    if (!end || end - in->at > WORD_CAP) {
        return say_syntax(in, "a short string");
    }
    const size_t len = (size_t)(end - in->at) - 1;
    memcpy(word, in->at + 1, len);
    word[len] = '\0';
    in->at = end + 1;
    return FL_OK;
}

static fl_err read_descr(cursor *in)
{
    static const struct {
        const char *word;
        fl_number_type type;
    } types[] = {
        {"|u1", FL_NUMBER_U8},  {"<u1", FL_NUMBER_U8},  {"|i1", FL_NUMBER_I8},
        {"<i1", FL_NUMBER_I8},  {"<i2", FL_NUMBER_I16}, {"<u2", FL_NUMBER_U16},
        {"<i4", FL_NUMBER_I32}, {"<i8", FL_NUMBER_I64}, {"<f4", FL_NUMBER_F32},
        {"<f8", FL_NUMBER_F64},
    };
    char word[WORD_CAP];
    skip_space(in);
    if (*in->at == '[') {
        return fl_reason_set(in->why, FL_ERR_FORMAT,
                             "%s: is a table with named fields; save one "
                             "plain array of numbers",
                             fl_stream_path(in->stream));
    }
    FL_TRY(read_string(word, in));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(word, types[i].word) != 0) continue;
        in->array->type = types[i].type;
        in->has_descr = true;
        return FL_OK;
    }
    return fl_reason_set(in->why, FL_ERR_FORMAT,
                         "%s: dtype '%s' is none of u1 i1 u2 i2 i4 i8 f4 f8, "
                         "little-endian; save a.astype('<f4')",
                         fl_stream_path(in->stream), word);
}

static fl_err read_order(cursor *in)
{
    skip_space(in);
    if (strncmp(in->at, "True", 4) == 0) {
        return fl_reason_set(in->why, FL_ERR_FORMAT,
                             "%s: is in Fortran order; save "
                             "numpy.ascontiguousarray(a)",
                             fl_stream_path(in->stream));
    }
    if (strncmp(in->at, "False", 5) != 0) return say_syntax(in, "False");
    in->at += 5;
    in->has_order = true;
    return FL_OK;
}

static fl_err read_size(uint64_t *size, cursor *in)
{
    skip_space(in);
    if (!isdigit((unsigned char)*in->at)) return say_syntax(in, "a size");
    for (*size = 0; isdigit((unsigned char)*in->at); in->at++) {
        *size = *size * 10 + (uint64_t)(*in->at - '0');
        // Beyond every maximum; array.c refuses it with a sentence.
        if (*size > UINT32_MAX) *size = UINT32_MAX;
    }
    return FL_OK;
}

static fl_err read_shape(cursor *in)
{
    fl_array *array = in->array;
    if (!accept(in, '(')) return say_syntax(in, "(");
    array->dim_count = 0;
    while (!accept(in, ')')) {
        if (array->dim_count == FL_ARRAY_DIMS_MAX) {
            return fl_reason_set(in->why, FL_ERR_FORMAT,
                                 "%s: has more than 4 dimensions; save "
                                 "a.reshape(len(a), -1) or (N, H, W, C)",
                                 fl_stream_path(in->stream));
        }
        FL_TRY(read_size(&array->dims[array->dim_count++], in));
        if (!accept(in, ',') && *in->at != ')') return say_syntax(in, ", or )");
    }
    if (array->dim_count == 0) {
        return fl_reason_set(in->why, FL_ERR_FORMAT,
                             "%s: is a single number, not an array",
                             fl_stream_path(in->stream));
    }
    in->has_shape = true;
    return FL_OK;
}

static fl_err read_entry(cursor *in)
{
    char key[WORD_CAP];
    FL_TRY(read_string(key, in));
    if (!accept(in, ':')) return say_syntax(in, ":");
    if (strcmp(key, "descr") == 0) return read_descr(in);
    if (strcmp(key, "fortran_order") == 0) return read_order(in);
    if (strcmp(key, "shape") == 0) return read_shape(in);
    return say_syntax(in, "descr, fortran_order or shape before this");
}

static fl_err read_dictionary(cursor *in)
{
    if (!accept(in, '{')) return say_syntax(in, "{");
    while (!accept(in, '}')) {
        FL_TRY(read_entry(in));
        if (!accept(in, ',') && *in->at != '}') return say_syntax(in, ", or }");
    }
    skip_space(in);
    if (*in->at) return say_syntax(in, "nothing more");
    if (!in->has_descr || !in->has_order || !in->has_shape) {
        return say_syntax(in, "descr, fortran_order and shape before this");
    }
    return FL_OK;
}

// Reads what comes before the text: its length.
static fl_err read_prefix(size_t *text_len, fl_stream *stream, fl_reason *why)
{
    uint8_t prefix[PREFIX_LEN], len[4] = {0};
    FL_TRY(fl_stream_fill(prefix, sizeof prefix, stream, why));
    const uint8_t major = prefix[6], minor = prefix[7];
    if (memcmp(prefix, "\x93NUMPY", MAGIC_LEN) != 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: byte 0: does not begin like a .npy file "
                             "(an .npz is an archive of them: unzip it)",
                             fl_stream_path(stream));
    }
    if (major < 1 || major > 3 || minor != 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: byte 6: version %u.%u of .npy; 1.0, 2.0 "
                             "and 3.0 are known",
                             fl_stream_path(stream), major, minor);
    }
    FL_TRY(fl_stream_fill(len, major == 1 ? 2 : 4, stream, why));
    *text_len = len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 |
                (size_t)len[3] << 24;
    if (*text_len > TEXT_LEN_MAX) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: byte 8: a header of %zu bytes; at most %d "
                             "are possible",
                             fl_stream_path(stream), *text_len, TEXT_LEN_MAX);
    }
    return FL_OK;
}

static fl_err read_header(fl_array *array, fl_stream *stream, fl_reason *why)
{
    char text[TEXT_LEN_MAX + 1];
    size_t len = 0;
    FL_TRY(read_prefix(&len, stream, why));
    FL_TRY(fl_stream_fill(text, len, stream, why));
    text[len] = '\0';
    cursor in = {.at = text,
                 .start = text,
                 .stream = stream,
                 .why = why,
                 .array = array};
    if (strlen(text) != len) return say_syntax(&in, "no zero bytes");
    array->big_endian = false;
    return read_dictionary(&in);
}

static bool claims(const char *path, bool is_folder)
{
    return !is_folder && fl_loader_has_ending(path, ".npy");
}

static fl_err load(fl_dataset *dataset, const fl_source *source, fl_reason *why)
{
    return fl_array_load_pair(dataset, source, read_header, "npy", why);
}

static fl_err load_inputs(fl_dataset *dataset, const fl_source *source,
                          fl_reason *why)
{
    return fl_array_load_values(dataset, source->place, read_header, source,
                                why);
}

const fl_loader fl_loader_npy = {"npy", claims, load, claims, load_inputs};
