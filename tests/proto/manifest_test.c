/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/random.h"
#include "proto/proto.h"
#include "tests/test.h"

static uint8_t hashes[FL_PROTO_CHUNKS_MAX * FL_PROTO_HASH_BYTES];
static uint8_t encoded[FL_PROTO_FRAME_MAX];
static size_t encoded_len;
static fl_arena arena;

static int start(void **state)
{
    (void)state;
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < sizeof hashes; i++) {
        hashes[i] = (uint8_t)fl_random_u32(&random);
    }
    fl_arena_init(&arena, 1 << 20);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    fl_arena_fini(&arena);
    return 0;
}

static fl_manifest of_size(uint64_t size)
{
    return (fl_manifest){
        .kind = FL_OBJECT_UPDATE,
        .round = 12,
        .size = size,
        .chunk_bytes = FL_PROTO_CHUNK_BYTES,
        .chunk_count = fl_manifest_chunk_count(size),
        .chunk_hashes = hashes,
    };
}

static void encode(const fl_manifest *manifest)
{
    assert_ok(
        fl_manifest_encode(encoded, sizeof encoded, &encoded_len, manifest));
}

static fl_err decode(fl_manifest *manifest, fl_reason *why)
{
    fl_arena_reset(&arena);
    return fl_manifest_decode(manifest, &arena, encoded, encoded_len, why);
}

TEST(manifest_counts_chunks)
{
    assert_int_equal(fl_manifest_chunk_count(1), 1);
    assert_int_equal(fl_manifest_chunk_count(65535), 1);
    assert_int_equal(fl_manifest_chunk_count(65536), 1);
    assert_int_equal(fl_manifest_chunk_count(65537), 2);
    assert_int_equal(fl_manifest_chunk_count(FL_PROTO_OBJECT_BYTES_MAX),
                     FL_PROTO_CHUNKS_MAX);
    assert_int_equal(fl_manifest_chunk_count(UINT64_MAX), UINT32_MAX);
}

TEST(manifest_roundtrips_at_every_border)
{
    const uint64_t sizes[] = {1,
                              65535,
                              65536,
                              65537,
                              3 * 65536,
                              FL_PROTO_OBJECT_BYTES_MAX - 1,
                              FL_PROTO_OBJECT_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned kind = 1; kind <= 7; kind++) {
            fl_manifest manifest = of_size(sizes[i]);
            manifest.kind = (fl_object_kind)kind;
            manifest.round = i % 2 ? UINT32_MAX : 0;
            encode(&manifest);
            assert_true(encoded_len <= fl_manifest_bound(manifest.chunk_count));

            fl_manifest decoded;
            assert_ok(decode(&decoded, NULL));
            assert_int_equal(decoded.kind, manifest.kind);
            assert_int_equal(decoded.round, manifest.round);
            assert_int_equal(decoded.size, manifest.size);
            assert_int_equal(decoded.chunk_bytes, FL_PROTO_CHUNK_BYTES);
            assert_int_equal(decoded.chunk_count, manifest.chunk_count);
            assert_memory_equal(decoded.chunk_hashes, hashes,
                                (size_t)decoded.chunk_count * 32);
        }
    }
}

TEST(manifest_bound_stays_small_for_any_count)
{
    assert_int_equal(fl_manifest_bound(UINT32_MAX),
                     fl_manifest_bound(FL_PROTO_CHUNKS_MAX));
    assert_true(fl_manifest_bound(FL_PROTO_CHUNKS_MAX) < FL_PROTO_FRAME_MAX);
}

TEST(manifest_needs_exactly_the_room_it_takes)
{
    const fl_manifest manifest = of_size(100000);
    encode(&manifest);
    const size_t needed = encoded_len;
    assert_ok(fl_manifest_encode(encoded, needed, &encoded_len, &manifest));
    for (size_t cap = 0; cap < needed; cap++) {
        assert_err(fl_manifest_encode(encoded, cap, &encoded_len, &manifest),
                   FL_ERR_SPACE);
    }
}

static void assert_range(const fl_manifest *manifest)
{
    assert_err(
        fl_manifest_encode(encoded, sizeof encoded, &encoded_len, manifest),
        FL_ERR_RANGE);
}

TEST(manifest_out_of_range_is_not_encoded)
{
    fl_manifest manifest = of_size(100000);
    manifest.kind = (fl_object_kind)0;
    assert_range(&manifest);
    manifest.kind = (fl_object_kind)8;
    assert_range(&manifest);
    manifest = of_size(0);
    assert_range(&manifest);
    manifest = of_size(FL_PROTO_OBJECT_BYTES_MAX + UINT64_C(1));
    assert_range(&manifest);
    manifest = of_size(100000);
    manifest.chunk_bytes = 65535;
    assert_range(&manifest);
    manifest = of_size(100000);
    manifest.chunk_count = 1;
    assert_range(&manifest);
    manifest.chunk_count = 3;
    assert_range(&manifest);
}

// Bytes as a person writes them, and what is wrong with them.
static void assert_refused(const uint8_t *bytes, size_t len, const char *word)
{
    memcpy(encoded, bytes, len);
    encoded_len = len;
    fl_manifest manifest;
    fl_reason why = {""};
    assert_err(decode(&manifest, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "manifest");
    assert_reason_names(why, word);
    assert_err(decode(&manifest, NULL), FL_ERR_FORMAT);
}

#define REFUSED(word, ...)                         \
    assert_refused((const uint8_t[]){__VA_ARGS__}, \
                   sizeof((const uint8_t[]){__VA_ARGS__}), word)

// kind 1, round 1, size 1, chunk_bytes 65536, one hash: the pieces.
#define KIND   0x08, 1
#define ROUND  0x10, 1
#define SIZE   0x18, 1
#define CHUNK  0x20, 0x80, 0x80, 4
#define EIGHT  1, 2, 3, 4, 5, 6, 7, 8
#define HASH   EIGHT, EIGHT, EIGHT, EIGHT
#define HASHES 0x2a, 32, HASH

TEST(manifest_written_by_hand_is_read)
{
    const uint8_t bytes[] = {KIND, ROUND, SIZE, CHUNK, HASHES};
    memcpy(encoded, bytes, sizeof bytes);
    encoded_len = sizeof bytes;
    fl_manifest manifest;
    assert_ok(decode(&manifest, NULL));
    assert_int_equal(manifest.kind, FL_OBJECT_MODEL);
    assert_int_equal(manifest.chunk_count, 1);
}

TEST(manifest_out_of_range_is_refused)
{
    REFUSED("kind", ROUND, SIZE, CHUNK, HASHES);
    REFUSED("kind", 0x08, 8, ROUND, SIZE, CHUNK, HASHES);
    REFUSED("size", KIND, ROUND, CHUNK, HASHES);
    REFUSED("size", KIND, ROUND, 0x18, 0x81, 0x80, 0x80, 0xa0, 1, CHUNK,
            HASHES);
    REFUSED("chunk_bytes", KIND, ROUND, SIZE, HASHES);
    REFUSED("chunk_bytes", KIND, ROUND, SIZE, 0x20, 0x81, 0x80, 4, HASHES);
    REFUSED("one hash for each", KIND, ROUND, SIZE, CHUNK);
    REFUSED("one hash for each", KIND, ROUND, SIZE, CHUNK, 0x2a, 64, HASH,
            HASH);
    REFUSED("multiple of 32", KIND, ROUND, SIZE, CHUNK, 0x2a, 33, HASH, 1);
    REFUSED("multiple of 32", KIND, ROUND, SIZE, CHUNK, 0x2a, 8, EIGHT);
}

TEST(manifest_in_another_encoding_is_refused)
{
    // Fields in another order, twice, unknown; zeros; long varints.
    REFUSED("one encoding", ROUND, KIND, SIZE, CHUNK, HASHES);
    REFUSED("one encoding", KIND, ROUND, SIZE, HASHES, CHUNK);
    REFUSED("one encoding", KIND, KIND, ROUND, SIZE, CHUNK, HASHES);
    REFUSED("one encoding", KIND, ROUND, SIZE, CHUNK, HASHES, HASHES);
    REFUSED("one encoding", KIND, ROUND, SIZE, CHUNK, HASHES, 0x30, 1);
    REFUSED("one encoding", KIND, 0x10, 0, SIZE, CHUNK, HASHES);
    REFUSED("one encoding", KIND, 0x10, 0x81, 0, SIZE, CHUNK, HASHES);
    REFUSED("one encoding", KIND, ROUND, SIZE, CHUNK, 0x2a, 0xa0, 0, HASH);
    REFUSED("one encoding", 0x88, 0, 1, ROUND, SIZE, CHUNK, HASHES);
}

TEST(manifest_that_is_no_protobuf_is_refused)
{
    REFUSED("protobuf", 0xff);
    REFUSED("protobuf", KIND, ROUND, SIZE, CHUNK, HASHES, 0xff);
    assert_refused((const uint8_t *)"", 0, "kind");
}

TEST(manifest_that_is_too_long_is_not_parsed)
{
    encoded_len = fl_manifest_bound(FL_PROTO_CHUNKS_MAX) + 1;
    fl_manifest manifest;
    fl_reason why = {""};
    assert_err(decode(&manifest, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "more than any");
    assert_int_equal(arena.used, 0);
}

TEST(manifest_cut_at_any_byte_is_refused)
{
    const fl_manifest manifest = of_size(200000);
    encode(&manifest);
    for (size_t len = 0; len < encoded_len; len++) {
        uint8_t *copy = malloc(len + (len == 0));
        assert_non_null(copy);
        memcpy(copy, encoded, len);
        fl_manifest decoded;
        fl_arena_reset(&arena);
        assert_err(fl_manifest_decode(&decoded, &arena, copy, len, NULL),
                   FL_ERR_FORMAT);
        free(copy);
    }
}

TEST(manifest_with_any_bit_flipped_is_refused_or_another_one)
{
    const fl_manifest manifest = of_size(100000);
    encode(&manifest);
    static uint8_t again[256];
    for (size_t bit = 0; bit < 8 * encoded_len; bit++) {
        encoded[bit / 8] ^= (uint8_t)(1u << bit % 8);
        fl_manifest decoded;
        const fl_err err = decode(&decoded, NULL);
        if (!err) {
            size_t again_len;
            assert_ok(
                fl_manifest_encode(again, sizeof again, &again_len, &decoded));
            assert_int_equal(again_len, encoded_len);
            assert_memory_equal(again, encoded, again_len);
        } else {
            assert_int_equal(err, FL_ERR_FORMAT);
        }
        encoded[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(manifest_stays_within_the_memory_it_is_given)
{
    const fl_manifest manifest = of_size(FL_PROTO_OBJECT_BYTES_MAX);
    encode(&manifest);
    fl_arena small;
    fl_manifest decoded;
    fl_arena_init(&small, FL_PROTO_CHUNKS_MAX * FL_PROTO_HASH_BYTES);
    assert_err(fl_manifest_decode(&decoded, &small, encoded, encoded_len, NULL),
               FL_ERR_MEMORY);
    fl_arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_counts_chunks),
        cmocka_unit_test(manifest_roundtrips_at_every_border),
        cmocka_unit_test(manifest_bound_stays_small_for_any_count),
        cmocka_unit_test(manifest_needs_exactly_the_room_it_takes),
        cmocka_unit_test(manifest_out_of_range_is_not_encoded),
        cmocka_unit_test(manifest_written_by_hand_is_read),
        cmocka_unit_test(manifest_out_of_range_is_refused),
        cmocka_unit_test(manifest_in_another_encoding_is_refused),
        cmocka_unit_test(manifest_that_is_no_protobuf_is_refused),
        cmocka_unit_test(manifest_that_is_too_long_is_not_parsed),
        cmocka_unit_test(manifest_cut_at_any_byte_is_refused),
        cmocka_unit_test(
            manifest_with_any_bit_flipped_is_refused_or_another_one),
        cmocka_unit_test(manifest_stays_within_the_memory_it_is_given),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
