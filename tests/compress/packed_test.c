/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "tests/support/gridded.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { FILE_AT = 4, FILE_CAP = 1 << 26 };

static fl_bytes packed_of(const fl_gridded *w)
{
    fl_bytes packed = {NULL, 0};
    const size_t cap = fl_packed_bound(w->model);
    packed.at = malloc(cap);
    assert_non_null(packed.at);
    assert_ok(fl_packed_encode(packed.at, cap, &packed.len, w->model, w->grid,
                               w->to));
    return packed;
}

static fl_err unpack(fl_bytes *made, size_t cap, fl_bytes packed,
                     fl_reason *why)
{
    *made = (fl_bytes){NULL, 0};
    return fl_packed_decode(&made->at, &made->len, cap, packed.at, packed.len,
                            why);
}

// What comes out is the file, to the last byte. Returns the packed length.
static size_t assert_round_trip(fl_gridded *w)
{
    fl_bytes made;
    fl_reason why = {""};
    const fl_bytes packed = packed_of(w);
    const fl_bytes expected = fl_gridded_file(w, w->to);
    if (unpack(&made, expected.len, packed, &why)) fail_msg("%s", why.text);
    assert_int_equal(made.len, expected.len);
    assert_memory_equal(made.at, expected.at, made.len);
    free(made.at);
    free(expected.at);
    free(packed.at);
    return packed.len;
}

static void assert_refused(fl_bytes packed, size_t cap, fl_err err,
                           const char *word)
{
    fl_bytes made;
    fl_reason why = {""};
    assert_err(unpack(&made, cap, packed, &why), err);
    assert_null(made.at);
    assert_reason_names(why, word);
}

/* ---- round trips ---- */

TEST(packed_gives_back_every_built_in_model)
{
    for (size_t k = 0; fl_model_name(k); k++) {
        if (strncmp(fl_model_name(k), "resnet", 6) == 0 &&
            strcmp(fl_model_name(k), "resnet8") != 0) {
            continue;  // seconds
        }
        fl_gridded w =
            fl_gridded_new(fl_gridded_zoo(fl_model_name(k), 3), NULL);
        fl_gridded_wander(&w, 0.05, k);
        (void)assert_round_trip(&w);
        fl_gridded_free(&w);
    }
}

static void check_imported(fl_model *model)
{
    fl_gridded w = fl_gridded_new(model, NULL);
    (void)assert_round_trip(&w);
    fl_gridded_free(&w);
}

TEST(packed_gives_back_imported_models)
{
    assert_true(fl_gridded_each_import(check_imported) > 20);
}

// A new model is the hardest: its weights are as random as they get.
TEST(packed_lenet_is_a_seventh_of_its_floats)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    const size_t len = assert_round_trip(&w);
    assert_in_range(len, 1, w.count * sizeof(float) / 7);
    fl_gridded_free(&w);
}

/* ---- refusals ---- */

TEST(packed_needs_the_room_that_it_asks_for)
{
    size_t len;
    fl_gridded w = fl_gridded_new(fl_gridded_tiny(), NULL);
    const size_t cap = fl_packed_bound(w.model);
    uint8_t *dst = malloc(cap);
    assert_non_null(dst);
    assert_err(fl_packed_encode(dst, cap - 1, &len, w.model, w.grid, w.to),
               FL_ERR_SPACE);
    free(dst);
    fl_gridded_free(&w);
}

TEST(packed_refuses_what_is_cut_off_or_too_long)
{
    fl_bytes made;
    fl_gridded w = fl_gridded_new(fl_gridded_tiny(), NULL);
    for (size_t i = 0; i < w.count; i++) {
        fl_gridded_move(&w, i, (int32_t)i - 5);
    }
    const fl_bytes packed = packed_of(&w);
    for (size_t len = 0; len < packed.len; len++) {
        fl_reason why = {""};
        assert_err(unpack(&made, FILE_CAP, (fl_bytes){packed.at, len}, &why),
                   FL_ERR_FORMAT);
        assert_null(made.at);
        assert_true(why.text[0] != '\0');
    }
    fl_bytes longer = {calloc(packed.len + 1, 1), packed.len + 1};
    assert_non_null(longer.at);
    memcpy(longer.at, packed.at, packed.len);
    assert_refused(longer, FILE_CAP, FL_ERR_FORMAT, "too long");
    free(longer.at);
    free(packed.at);
    fl_gridded_free(&w);
}

TEST(packed_refuses_a_model_larger_than_expected)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    const fl_bytes packed = packed_of(&w);
    assert_refused(packed, w.base.len - 1, FL_ERR_LIMIT, "at most 3");
    free(packed.at);
    fl_gridded_free(&w);
}

// A packed model whose first part is this frame, and a patch of nothing.
static fl_bytes around(const uint8_t *frame, size_t frame_len)
{
    static const uint8_t patch[12];
    fl_bytes packed = {NULL, FILE_AT + frame_len + sizeof patch};
    packed.at = malloc(packed.len);
    assert_non_null(packed.at);
    fl_bytes_put_u32(packed.at, (uint32_t)frame_len);
    memcpy(packed.at + FILE_AT, frame, frame_len);
    memcpy(packed.at + FILE_AT + frame_len, patch, sizeof patch);
    return packed;
}

static void assert_frame_refused(const uint8_t *frame, size_t frame_len,
                                 size_t cap, fl_err err, const char *word)
{
    const fl_bytes packed = around(frame, frame_len);
    assert_refused(packed, cap, err, word);
    free(packed.at);
}

enum { ZEROS = 1 << 25, FRAME_CAP = 1 << 16 };

static uint8_t frame[FRAME_CAP];

static size_t compress_zeros(size_t count, bool with_size)
{
    uint8_t *zeros = calloc(count, 1);
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    assert_non_null(zeros);
    assert_non_null(ctx);
    (void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, with_size);
    const size_t len = ZSTD_compress2(ctx, frame, sizeof frame, zeros, count);
    assert_false(ZSTD_isError(len));
    ZSTD_freeCCtx(ctx);
    free(zeros);
    return len;
}

TEST(packed_refuses_a_bomb_before_it_takes_memory)
{
    const size_t len = compress_zeros(ZEROS, true);
    assert_frame_refused(frame, len, ZEROS - 1, FL_ERR_LIMIT, "33554432 bytes");
    assert_frame_refused(frame, len, ZEROS, FL_ERR_FORMAT, "");  // no ONNX
}

TEST(packed_refuses_a_frame_that_lies_about_its_size)
{
    // The content size: 4 bytes behind magic and descriptor.
    enum { SIZE_AT = 5 };
    const size_t len = compress_zeros(1 << 20, true);
    assert_int_equal(fl_bytes_get_u32(frame + SIZE_AT), 1 << 20);
    fl_bytes_put_u32(frame + SIZE_AT, (1 << 20) - 1);
    assert_frame_refused(frame, len, FILE_CAP, FL_ERR_FORMAT, "damaged");
    fl_bytes_put_u32(frame + SIZE_AT, (1 << 20) + 1);
    assert_frame_refused(frame, len, FILE_CAP, FL_ERR_FORMAT, "damaged");
    fl_bytes_put_u32(frame + SIZE_AT, UINT32_MAX);
    assert_frame_refused(frame, len, FILE_CAP, FL_ERR_LIMIT, "4294967295");
}

TEST(packed_refuses_anything_but_one_frame_with_its_size)
{
    const size_t unsaid = compress_zeros(1000, false);
    assert_frame_refused(frame, unsaid, FILE_CAP, FL_ERR_FORMAT, "one zstd");
    const size_t len = compress_zeros(1000, true);
    memcpy(frame + len, frame, len);
    assert_frame_refused(frame, 2 * len, FILE_CAP, FL_ERR_FORMAT, "one zstd");
    assert_frame_refused(frame, len - 1, FILE_CAP, FL_ERR_FORMAT, "one zstd");
    assert_frame_refused(frame, 0, FILE_CAP, FL_ERR_FORMAT, "one zstd");
    memset(frame, 0, 100);
    assert_frame_refused(frame, 100, FILE_CAP, FL_ERR_FORMAT, "one zstd");
}

// The frame of one model and the patch of another.
TEST(packed_refuses_a_patch_of_another_model)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    fl_gridded other = fl_gridded_new(fl_gridded_tiny(), NULL);
    const fl_bytes packed = packed_of(&w), tiny = packed_of(&other);
    const size_t at = FILE_AT + fl_bytes_get_u32(packed.at);
    const size_t tiny_at = FILE_AT + fl_bytes_get_u32(tiny.at);
    const fl_bytes mixed = {packed.at, at + tiny.len - tiny_at};
    memcpy(packed.at + at, tiny.at + tiny_at, tiny.len - tiny_at);
    assert_refused(mixed, FILE_CAP, FL_ERR_FORMAT, "15 parameters");
    free(packed.at);
    free(tiny.at);
    fl_gridded_free(&other);
    fl_gridded_free(&w);
}

/* ---- the document, executed ---- */

// Another version of zstd may write another frame; all read this one.
TEST(packed_model_of_the_document_can_be_read)
{
    static const float steps[] = {0.25F, 0.125F};
    fl_gridded w = fl_gridded_new(fl_gridded_tiny(), steps);
    fl_gridded_move(&w, 1, 1);
    fl_gridded_move(&w, 5, 2);
    fl_gridded_move(&w, 9, -1);
    fl_gridded_move(&w, 11, 40);
    fl_gridded_move(&w, 14, -3);
    (void)assert_round_trip(&w);
    fl_bytes packed, made;
    packed.at = fl_vector_read(&packed.len, "docs/format.md", "packed");
    if (!packed.at) fail_msg("docs/format.md has no hex block packed");
    const fl_bytes expected = fl_gridded_file(&w, w.to);
    assert_ok(unpack(&made, FILE_CAP, packed, NULL));
    assert_int_equal(made.len, expected.len);
    assert_memory_equal(made.at, expected.at, made.len);
    free(made.at);
    free(expected.at);
    free(packed.at);
    fl_gridded_free(&w);
}

RUN_TESTS(cmocka_unit_test(packed_gives_back_every_built_in_model),
          cmocka_unit_test(packed_gives_back_imported_models),
          cmocka_unit_test(packed_lenet_is_a_seventh_of_its_floats),
          cmocka_unit_test(packed_needs_the_room_that_it_asks_for),
          cmocka_unit_test(packed_refuses_what_is_cut_off_or_too_long),
          cmocka_unit_test(packed_refuses_a_model_larger_than_expected),
          cmocka_unit_test(packed_refuses_a_bomb_before_it_takes_memory),
          cmocka_unit_test(packed_refuses_a_frame_that_lies_about_its_size),
          cmocka_unit_test(packed_refuses_anything_but_one_frame_with_its_size),
          cmocka_unit_test(packed_refuses_a_patch_of_another_model),
          cmocka_unit_test(packed_model_of_the_document_can_be_read))
