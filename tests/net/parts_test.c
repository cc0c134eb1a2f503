/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include <stdlib.h>

#include "base/random.h"
#include "net/net.h"

/* Not a hash to trust, but one that notices any single changed byte. */
static void toy_hash(uint8_t hash[FL_PARTS_HASH_BYTES], const void *src,
                     size_t src_len)
{
    const uint8_t *bytes = src;
    uint64_t lanes[4] = {1, 2, 3, src_len};
    for (size_t i = 0; i < src_len; i++) {
        uint64_t *lane = &lanes[i % 4];
        *lane = (*lane ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    memcpy(hash, lanes, FL_PARTS_HASH_BYTES);
}

static unsigned hash_calls;

static void counted_hash(uint8_t hash[FL_PARTS_HASH_BYTES], const void *src,
                         size_t src_len)
{
    hash_calls++;
    toy_hash(hash, src, src_len);
}

typedef struct {
    uint8_t bytes[1000];
    uint8_t hashes[1000 * FL_PARTS_HASH_BYTES];
    size_t size;
    uint32_t chunk_bytes;
    fl_parts *parts;
} fixture;

static void set_up(fixture *f, size_t size, uint32_t chunk_bytes,
                   fl_random *random)
{
    f->size = size;
    f->chunk_bytes = chunk_bytes;
    for (size_t i = 0; i < size; i++)
        f->bytes[i] = (uint8_t)fl_random_u32(random);
    uint8_t *hash = f->hashes;
    for (size_t at = 0; at < size; at += chunk_bytes) {
        const size_t len = size - at < chunk_bytes ? size - at : chunk_bytes;
        toy_hash(hash, f->bytes + at, len);
        hash += FL_PARTS_HASH_BYTES;
    }
    assert_ok(
        fl_parts_new(&f->parts, size, chunk_bytes, f->hashes, sizeof f->bytes));
}

static fl_err put(fixture *f, uint32_t i)
{
    return fl_parts_put(f->parts, i, f->bytes + (size_t)i * f->chunk_bytes,
                        fl_parts_chunk_len(f->parts, i), toy_hash);
}

static fl_random seeded(uint64_t id)
{
    fl_random random;
    fl_random_init(&random, 11, FL_RANDOM_TEST, id);
    return random;
}

TEST(parts_counts_chunks)
{
    uint32_t count = 0;
    assert_ok(fl_parts_count(&count, 1, 65536));
    assert_int_equal(count, 1);
    assert_ok(fl_parts_count(&count, 65536, 65536));
    assert_int_equal(count, 1);
    assert_ok(fl_parts_count(&count, 65537, 65536));
    assert_int_equal(count, 2);
    assert_ok(fl_parts_count(&count, UINT32_MAX, 1));
    assert_err(fl_parts_count(&count, UINT32_MAX + UINT64_C(1), 1),
               FL_ERR_LIMIT);
    assert_err(fl_parts_count(&count, UINT64_MAX, 1), FL_ERR_LIMIT);
    assert_err(fl_parts_count(&count, 0, 65536), FL_ERR_RANGE);
    assert_err(fl_parts_count(&count, 1, 0), FL_ERR_RANGE);
}

TEST(parts_refuses_sizes_before_it_reads_or_allocates)
{
    fl_parts *parts = NULL;
    // No hashes are given: looking at them would crash.
    assert_err(fl_parts_new(&parts, 1001, 10, NULL, 1000), FL_ERR_LIMIT);
    assert_err(fl_parts_new(&parts, UINT64_MAX, 1, NULL, UINT64_MAX),
               FL_ERR_LIMIT);
    assert_err(fl_parts_new(&parts, 0, 10, NULL, 1000), FL_ERR_RANGE);
    assert_err(fl_parts_new(&parts, 10, 0, NULL, 1000), FL_ERR_RANGE);
    assert_null(parts);
    fl_parts_free(NULL);
}

TEST(parts_gives_the_object_whatever_the_order_of_its_chunks)
{
    for (uint64_t run = 0; run < 300; run++) {
        fl_random random = seeded(run);
        fixture f;
        set_up(&f, 1 + fl_random_below(&random, 1000),
               1 + fl_random_below(&random, 100), &random);
        uint32_t order[1000];
        const uint32_t count = f.parts->chunk_count;
        for (uint32_t i = 0; i < count; i++)
            order[i] = i;
        fl_random_shuffle(&random, order, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_false(fl_parts_is_complete(f.parts));
            assert_int_equal(f.parts->received_count, i);
            assert_ok(put(&f, order[i]));
            assert_ok(put(&f, order[fl_random_below(&random, i + 1)]));
        }
        assert_true(fl_parts_is_complete(f.parts));
        uint8_t *bytes;
        size_t len;
        assert_ok(fl_parts_take(f.parts, &bytes, &len));
        assert_int_equal(len, f.size);
        assert_memory_equal(bytes, f.bytes, len);
        free(bytes);
        fl_parts_free(f.parts);
    }
}

TEST(parts_in_one_room_put_the_same_object_together)
{
    fl_random random = seeded(1);
    fixture f;
    fl_parts *other;
    uint8_t room[95], *bytes = NULL;
    size_t len;
    set_up(&f, sizeof room, 10, &random);
    assert_ok(fl_parts_new(&other, f.size, 10, f.hashes, f.size));
    fl_parts_share(f.parts, room);
    fl_parts_share(other, room);
    for (uint32_t i = 0; i < 5; i++)
        assert_ok(put(&f, i));
    // What the one has the other has not, though it is in the room.
    assert_int_equal(fl_parts_next_missing(other, 0), 0);
    assert_err(fl_parts_put(other, 5, f.bytes, 10, toy_hash), FL_ERR_AUTH);
    for (uint32_t i = 0; i < other->chunk_count; i++)
        assert_ok(fl_parts_put(other, i, f.bytes + (size_t)10 * i,
                               fl_parts_chunk_len(other, i), toy_hash));
    assert_true(fl_parts_is_complete(other));
    assert_memory_equal(room, f.bytes, sizeof room);
    assert_err(fl_parts_take(other, &bytes, &len), FL_ERR_STATE);
    fl_parts_free(other);
    for (uint32_t i = 5; i < f.parts->chunk_count; i++)
        assert_ok(put(&f, i));
    assert_true(fl_parts_is_complete(f.parts));
    assert_memory_equal(f.parts->buffer, f.bytes, sizeof room);
    fl_parts_free(f.parts);
}

TEST(parts_hash_all_gives_what_the_receiver_checks)
{
    for (uint32_t size = 1; size <= 41; size++) {
        fl_random random = seeded(size);
        fixture f;
        set_up(&f, size, 10, &random);
        uint8_t hashes[6 * FL_PARTS_HASH_BYTES];
        const size_t len = f.parts->chunk_count * FL_PARTS_HASH_BYTES;
        memset(hashes, 0xee, sizeof hashes);
        fl_parts_hash_all(hashes, f.bytes, size, 10, toy_hash);
        assert_memory_equal(hashes, f.hashes, len);
        for (size_t i = len; i < sizeof hashes; i++)
            assert_int_equal(hashes[i], 0xee);  // not one chunk more
        fl_parts_free(f.parts);
    }
}

TEST(parts_refuses_a_wrong_chunk_and_changes_nothing)
{
    fl_random random = seeded(0);
    fixture f;
    set_up(&f, 95, 10, &random);
    assert_err(fl_parts_put(f.parts, 10, f.bytes, 10, toy_hash), FL_ERR_RANGE);
    assert_err(fl_parts_put(f.parts, UINT32_MAX, f.bytes, 10, toy_hash),
               FL_ERR_RANGE);
    assert_err(fl_parts_put(f.parts, 0, f.bytes, 9, toy_hash), FL_ERR_FORMAT);
    assert_err(fl_parts_put(f.parts, 0, f.bytes, 11, toy_hash), FL_ERR_FORMAT);
    // The last one has five bytes.
    assert_int_equal(fl_parts_chunk_len(f.parts, 9), 5);
    assert_err(fl_parts_put(f.parts, 9, f.bytes + 90, 10, toy_hash),
               FL_ERR_FORMAT);
    // Another chunk's bytes, and one flipped bit.
    assert_err(fl_parts_put(f.parts, 0, f.bytes + 10, 10, toy_hash),
               FL_ERR_AUTH);
    f.bytes[7] ^= 0x10;
    assert_err(put(&f, 0), FL_ERR_AUTH);
    f.bytes[7] ^= 0x10;
    assert_int_equal(f.parts->received_count, 0);
    assert_false(fl_parts_has(f.parts, 0));
    assert_ok(put(&f, 0));
    assert_true(fl_parts_has(f.parts, 0));
    fl_parts_free(f.parts);
}

TEST(parts_does_not_look_at_a_chunk_that_is_there)
{
    fl_random random = seeded(0);
    fixture f;
    set_up(&f, 20, 10, &random);
    hash_calls = 0;
    assert_ok(fl_parts_put(f.parts, 1, f.bytes + 10, 10, counted_hash));
    const uint8_t junk[3] = {0};
    assert_ok(fl_parts_put(f.parts, 1, junk, sizeof junk, counted_hash));
    assert_int_equal(hash_calls, 1);
    assert_int_equal(f.parts->received_count, 1);
    assert_ok(put(&f, 0));
    uint8_t *bytes;
    size_t len;
    assert_ok(fl_parts_take(f.parts, &bytes, &len));
    assert_memory_equal(bytes, f.bytes, 20);
    free(bytes);
    fl_parts_free(f.parts);
}

TEST(parts_hands_over_once_and_only_when_complete)
{
    fl_random random = seeded(0);
    fixture f;
    set_up(&f, 20, 10, &random);
    uint8_t *bytes;
    size_t len;
    assert_ok(put(&f, 0));
    assert_err(fl_parts_take(f.parts, &bytes, &len), FL_ERR_STATE);
    assert_ok(put(&f, 1));
    assert_ok(fl_parts_take(f.parts, &bytes, &len));
    free(bytes);
    assert_err(fl_parts_take(f.parts, &bytes, &len), FL_ERR_STATE);
    assert_ok(put(&f, 1));  // still known to be there
    fl_parts_free(f.parts);
}

TEST(parts_finds_the_next_missing_chunk)
{
    fl_random random = seeded(0);
    fixture f;
    set_up(&f, 1000, 10, &random);
    assert_int_equal(fl_parts_next_missing(f.parts, 0), 0);
    assert_int_equal(fl_parts_next_missing(f.parts, 99), 99);
    assert_int_equal(fl_parts_next_missing(f.parts, 100), 100);
    assert_int_equal(fl_parts_next_missing(f.parts, UINT32_MAX), 100);
    for (uint32_t i = 0; i < 100; i++) {
        if (i != 41 && i != 97) assert_ok(put(&f, i));
    }
    assert_int_equal(fl_parts_next_missing(f.parts, 0), 41);
    assert_int_equal(fl_parts_next_missing(f.parts, 41), 41);
    assert_int_equal(fl_parts_next_missing(f.parts, 42), 97);
    assert_int_equal(fl_parts_next_missing(f.parts, 98), 100);
    assert_ok(put(&f, 41));
    assert_ok(put(&f, 97));
    assert_int_equal(fl_parts_next_missing(f.parts, 0), 100);
    fl_parts_free(f.parts);
}

TEST(parts_bitmap_goes_there_and_back)
{
    for (uint32_t count = 1; count <= 100; count++) {
        fl_random random = seeded(count);
        fixture f;
        set_up(&f, count * 10, 10, &random);
        for (uint32_t i = 0; i < count; i++) {
            if (fl_random_below(&random, 2)) assert_ok(put(&f, i));
        }
        uint8_t sent[13], got[13];
        const size_t len = fl_parts_bitmap_bytes(count);
        assert_err(fl_parts_bitmap_encode(sent, len - 1, f.parts),
                   FL_ERR_SPACE);
        assert_ok(fl_parts_bitmap_encode(sent, len, f.parts));
        assert_ok(fl_parts_bitmap_decode(got, count, sent, len));
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(fl_parts_bitmap_has(got, i),
                             fl_parts_has(f.parts, i));
            assert_int_equal(fl_parts_bitmap_next_zero(got, count, i),
                             fl_parts_next_missing(f.parts, i));
        }
        fl_parts_free(f.parts);
    }
}

TEST(parts_bitmap_has_one_form)
{
    const uint8_t full[2] = {0xff, 0x01};
    uint8_t got[2];
    assert_ok(fl_parts_bitmap_decode(got, 9, full, 2));
    assert_int_equal(fl_parts_bitmap_next_zero(got, 9, 0), 9);
    assert_err(fl_parts_bitmap_decode(got, 9, full, 1), FL_ERR_FORMAT);
    assert_err(fl_parts_bitmap_decode(got, 8, full, 2), FL_ERR_FORMAT);
    assert_err(fl_parts_bitmap_decode(got, 0, full, 1), FL_ERR_FORMAT);
    for (unsigned bit = 1; bit < 8; bit++) {
        const uint8_t padded[2] = {0xff, (uint8_t)(1U | 1U << bit)};
        assert_err(fl_parts_bitmap_decode(got, 9, padded, 2), FL_ERR_FORMAT);
    }
    assert_ok(fl_parts_bitmap_decode(got, 0, NULL, 0));
}

RUN_TESTS(
    cmocka_unit_test(parts_counts_chunks),
    cmocka_unit_test(parts_refuses_sizes_before_it_reads_or_allocates),
    cmocka_unit_test(parts_gives_the_object_whatever_the_order_of_its_chunks),
    cmocka_unit_test(parts_in_one_room_put_the_same_object_together),
    cmocka_unit_test(parts_hash_all_gives_what_the_receiver_checks),
    cmocka_unit_test(parts_refuses_a_wrong_chunk_and_changes_nothing),
    cmocka_unit_test(parts_does_not_look_at_a_chunk_that_is_there),
    cmocka_unit_test(parts_hands_over_once_and_only_when_complete),
    cmocka_unit_test(parts_finds_the_next_missing_chunk),
    cmocka_unit_test(parts_bitmap_goes_there_and_back),
    cmocka_unit_test(parts_bitmap_has_one_form))
