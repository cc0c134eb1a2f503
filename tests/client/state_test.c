/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { CHUNK = FL_PROTO_CHUNK_BYTES, CHUNK_COUNT = 3, TAIL = 100 };
enum { OBJECT_LEN = 2 * CHUNK + TAIL, UPDATE_LEN = 5000 };

static char folder[FL_SCRATCH_CAP];
static fl_reason why;

static int make_folder(void **state)
{
    (void)state;
    why = (fl_reason){""};
    assert_ok(fl_secure_start());
    return fl_scratch_make(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    fl_scratch_remove(folder);
    return 0;
}

static const char *inside(const char *name)
{
    static char path[PATH_MAX];
    assert_ok(fl_path_join(path, sizeof path, folder, name));
    return path;
}

static fl_state *open_state(void)
{
    fl_state *kept = NULL;
    assert_ok(fl_state_open(&kept, folder, &why));
    return kept;
}

// One that has nothing to complain of.
static fl_state *open_clean(void)
{
    fl_state *kept = open_state();
    assert_string_equal(fl_state_warning(kept), "");
    return kept;
}

static void refuse_state(fl_err err, const char *word)
{
    fl_state *kept = NULL;
    assert_err(fl_state_open(&kept, folder, &why), err);
    assert_reason_names(why, word);
    assert_null(kept);
}

static void put_file(const char *name, const char *text)
{
    assert_ok(fl_file_write(inside(name), text, strlen(text), 0600, &why));
}

static bool is_there(const char *name)
{
    return access(inside(name), F_OK) == 0;
}

// Turns one bit round.
static void damage(const char *path, off_t at)
{
    uint8_t byte;
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* ---- an object for every number ---- */

typedef struct {
    uint8_t bytes[OBJECT_LEN];
    uint8_t manifest[512];
    size_t manifest_len;
    uint8_t name[FL_HASH_BYTES];
} object;

static void make_object_of_kind(object *made, uint32_t number,
                                fl_object_kind kind)
{
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, number);
    for (size_t i = 0; i < OBJECT_LEN; i++)
        made->bytes[i] = (uint8_t)fl_random_u32(&random);

    uint8_t hashes[CHUNK_COUNT * FL_HASH_BYTES];
    fl_hash(hashes, made->bytes, CHUNK);
    fl_hash(hashes + FL_HASH_BYTES, made->bytes + CHUNK, CHUNK);
    fl_hash(hashes + 2 * FL_HASH_BYTES, made->bytes + 2 * CHUNK, TAIL);
    const fl_manifest manifest = {
        .kind = kind,
        .round = number + 1,
        .size = OBJECT_LEN,
        .chunk_bytes = CHUNK,
        .chunk_count = CHUNK_COUNT,
        .chunk_hashes = hashes,
    };
    assert_ok(fl_manifest_encode(made->manifest, sizeof made->manifest,
                                 &made->manifest_len, &manifest));
    fl_hash(made->name, made->manifest, made->manifest_len);
}

static void make_object(object *made, uint32_t number)
{
    make_object_of_kind(made, number, FL_OBJECT_MODEL);
}

static void object_path(char path[PATH_MAX], const object *of,
                        const char *ending)
{
    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, of->name, FL_HASH_BYTES);
    snprintf(path, PATH_MAX, "%s/objects/%s%s", folder, digits, ending);
}

static fl_err begin(fl_state *kept, const object *of)
{
    return fl_state_object_begin(kept, of->name, of->manifest, of->manifest_len,
                                 &why);
}

static fl_err put(fl_state *kept, const object *of, uint32_t index)
{
    const size_t len = index == CHUNK_COUNT - 1 ? TAIL : CHUNK;
    return fl_state_object_put(kept, of->name, index,
                               of->bytes + (size_t)index * CHUNK, len, &why);
}

static void download(fl_state *kept, const object *of)
{
    assert_ok(begin(kept, of));
    for (uint32_t i = 0; i < CHUNK_COUNT; i++)
        assert_ok(put(kept, of, i));
    assert_ok(fl_state_object_finish(kept, of->name, &why));
}

// Loads it: exactly the chunks of `expected` (bit i: chunk i) are there.
static void assert_chunks(fl_state *kept, const object *of, unsigned expected)
{
    fl_state_object found;
    assert_ok(fl_state_object_load(kept, &found, of->name, &why));
    assert_int_equal(found.manifest_len, of->manifest_len);
    assert_memory_equal(found.manifest, of->manifest, of->manifest_len);
    assert_int_equal(found.len, OBJECT_LEN);
    assert_int_equal(found.chunk_count, CHUNK_COUNT);
    assert_int_equal(found.bitmap_len, 1);
    assert_int_equal(found.bitmap[0], expected);
    static const uint8_t zeros[CHUNK];
    uint32_t missing_count = 0;
    for (unsigned i = 0; i < CHUNK_COUNT; i++) {
        const size_t at = i * CHUNK, len = i == CHUNK_COUNT - 1 ? TAIL : CHUNK;
        const bool is_missing = !(expected >> i & 1);
        assert_memory_equal(found.bytes + at,
                            is_missing ? zeros : of->bytes + at, len);
        missing_count += is_missing;
    }
    assert_int_equal(found.missing_count, missing_count);
    fl_state_object_fini(&found);
}

static void refuse_object(fl_state *kept, const object *of, fl_err err)
{
    fl_state_object found;
    assert_err(fl_state_object_load(kept, &found, of->name, &why), err);
    assert_string_not_equal(why.text, "");
}

/* ---- opening ---- */

TEST(state_makes_its_folder_and_counts_starts)
{
    strcat(folder, "/a");
    fl_state *kept = open_clean();
    struct stat about;
    assert_int_equal(stat(folder, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);
    assert_int_equal(fl_state_start_count(kept), 1);
    fl_state_close(kept);
    kept = open_clean();
    assert_int_equal(fl_state_start_count(kept), 2);
    fl_state_close(kept);
    fl_state_close(NULL);
    *strrchr(folder, '/') = 0;
}

TEST(state_refuses_a_second_client)
{
    assert_false(fl_state_is_running(folder));
    assert_false(fl_state_is_running("/nowhere"));
    fl_state *kept = open_clean();
    assert_true(fl_state_is_running(folder));
    refuse_state(FL_ERR_STATE, "/lock");
    fl_state_close(kept);
    assert_false(fl_state_is_running(folder));
    kept = open_clean();
    assert_int_equal(fl_state_start_count(kept), 2);  // refused: not counted
    fl_state_close(kept);
}

TEST(state_never_gives_a_start_twice_when_the_count_is_damaged)
{
    fl_state_close(open_clean());
    damage(inside("starts"), 8);
    fl_state *kept = open_state();
    assert_non_null(strstr(fl_state_warning(kept), "starts"));
    const uint32_t count = fl_state_start_count(kept);
    assert_true(count > 1u << 30);
    fl_state_close(kept);
    kept = open_clean();
    assert_int_equal(fl_state_start_count(kept), count + 1);
    fl_state_close(kept);

    put_file("starts", "");
    kept = open_state();
    assert_int_not_equal(fl_state_start_count(kept), count);
    assert_true(fl_state_start_count(kept) > 1u << 30);
    fl_state_close(kept);
}

TEST(state_refuses_a_folder_it_cannot_write)
{
    char parent[FL_SCRATCH_CAP];
    strcpy(parent, folder);
    put_file("file", "");
    strcat(folder, "/file/state");  // root may write anywhere but here
    refuse_state(FL_ERR_SYSTEM, "/file");
    strcpy(folder, "/proc/fedge");
    refuse_state(FL_ERR_SYSTEM, "/proc/fedge");
    strcpy(folder, parent);
}

TEST(state_refuses_a_name_that_is_too_long)
{
    char name[PATH_MAX];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    fl_state *kept = NULL;
    char *text = NULL;
    assert_err(fl_state_open(&kept, name, &why), FL_ERR_SYSTEM);
    assert_err(fl_state_status_read(&text, name, &why), FL_ERR_SYSTEM);
    assert_false(fl_state_is_running(name));
}

/* ---- aggregator ---- */

TEST(state_pins_one_aggregator_for_life)
{
    uint8_t key[FL_KEY_BYTES], other[FL_KEY_BYTES], found[FL_KEY_BYTES];
    memset(key, 0xab, sizeof key);
    memset(other, 0xcd, sizeof other);
    fl_state *kept = open_clean();
    assert_err(fl_state_pin_get(kept, found, &why), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "aggregator.pub");
    assert_ok(fl_state_pin_set(kept, key, &why));
    assert_ok(fl_state_pin_set(kept, key, &why));
    assert_err(fl_state_pin_set(kept, other, &why), FL_ERR_STATE);
    assert_reason_names(why, "abababab");
    assert_reason_names(why, "cdcdcdcd");
    assert_reason_names(why, "aggregator.pub");
    fl_state_close(kept);

    kept = open_clean();
    assert_ok(fl_state_pin_get(kept, found, &why));
    assert_memory_equal(found, key, sizeof key);
    fl_state_close(kept);
}

TEST(state_pins_one_authority_beside_the_aggregator)
{
    uint8_t key[FL_KEY_BYTES], other[FL_KEY_BYTES], found[FL_KEY_BYTES];
    memset(key, 0xab, sizeof key);
    memset(other, 0xcd, sizeof other);
    fl_state *kept = open_clean();
    assert_ok(fl_state_pin_set(kept, other, &why));
    assert_err(fl_state_authority_get(kept, found, &why), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "authority.pub");
    assert_reason_names(why, "no authority");
    assert_ok(fl_state_authority_set(kept, key, &why));
    assert_ok(fl_state_authority_set(kept, key, &why));
    assert_err(fl_state_authority_set(kept, other, &why), FL_ERR_STATE);
    assert_reason_names(why, "pins the authority abababab");
    assert_reason_names(why, "cdcdcdcd");
    fl_state_close(kept);

    kept = open_clean();
    assert_ok(fl_state_authority_get(kept, found, &why));
    assert_memory_equal(found, key, sizeof key);
    assert_ok(fl_state_pin_get(kept, found, &why));
    assert_memory_equal(found, other, sizeof other);
    put_file("authority.pub", "abab\n");
    assert_err(fl_state_authority_get(kept, found, &why), FL_ERR_FORMAT);
    assert_err(fl_state_authority_set(kept, key, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "authority.pub");
    fl_state_close(kept);
}

TEST(state_never_trusts_a_damaged_pin_nor_forgets_it)
{
    uint8_t key[FL_KEY_BYTES] = {0}, found[FL_KEY_BYTES];
    char text[400];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    const char *const damaged[] = {"", "\n", "abab\n", "not a key", text};
    fl_state *kept = open_clean();
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put_file("aggregator.pub", damaged[i]);
        assert_err(fl_state_pin_get(kept, found, &why), FL_ERR_FORMAT);
        assert_reason_names(why, "aggregator.pub");
        assert_err(fl_state_pin_set(kept, key, &why), FL_ERR_FORMAT);
        assert_true(is_there("aggregator.pub"));
    }
    fl_state_close(kept);
}

TEST(state_takes_a_pin_that_a_person_has_written)
{
    uint8_t found[FL_KEY_BYTES], key[FL_KEY_BYTES];
    memset(key, 0xab, sizeof key);
    char text[2 * FL_KEY_BYTES + 1];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = i % 2 ? 'B' : 'A';
    text[sizeof text - 1] = 0;
    put_file("aggregator.pub", text);
    fl_state *kept = open_clean();
    assert_ok(fl_state_pin_get(kept, found, &why));
    assert_memory_equal(found, key, sizeof key);
    fl_state_close(kept);
}

static fl_state_update make_update(uint32_t number, uint8_t bytes[UPDATE_LEN])
{
    fl_random random;
    fl_random_init(&random, 2, FL_RANDOM_TEST, number);
    for (size_t i = 0; i < UPDATE_LEN; i++)
        bytes[i] = (uint8_t)fl_random_u32(&random);
    fl_state_update update = {
        .round = number,
        .sample_count = UINT64_MAX,
        .correct_count = number,
        .loss_sum_micro = INT64_MAX,
        .bytes = bytes,
        .len = UPDATE_LEN,
    };
    memset(update.recipe, (int)(number & 0xff), sizeof update.recipe);
    return update;
}

static void save_update(fl_state *kept, uint32_t number)
{
    uint8_t bytes[UPDATE_LEN];
    const fl_state_update update = make_update(number, bytes);
    assert_ok(fl_state_update_save(kept, &update, &why));
}

static void assert_update(fl_state *kept, uint32_t number)
{
    uint8_t bytes[UPDATE_LEN];
    const fl_state_update expected = make_update(number, bytes);
    fl_state_update found;
    assert_ok(fl_state_update_load(kept, &found, &why));
    assert_int_equal(found.round, expected.round);
    assert_memory_equal(found.recipe, expected.recipe, FL_HASH_BYTES);
    assert_int_equal(found.sample_count, expected.sample_count);
    assert_int_equal(found.correct_count, expected.correct_count);
    assert_int_equal(found.loss_sum_micro, expected.loss_sum_micro);
    assert_int_equal(found.len, UPDATE_LEN);
    assert_memory_equal(found.bytes, bytes, UPDATE_LEN);
    free(found.bytes);
}

static void refuse_update(fl_state *kept, fl_err err)
{
    fl_state_update found;
    assert_err(fl_state_update_load(kept, &found, &why), err);
    assert_string_not_equal(why.text, "");
}

TEST(state_forgets_the_update_with_a_new_pin)
{
    const uint8_t key[FL_KEY_BYTES] = {1}, other[FL_KEY_BYTES] = {2};
    fl_state *kept = open_clean();
    assert_ok(fl_state_pin_set(kept, key, &why));
    save_update(kept, 1);
    assert_ok(fl_state_pin_set(kept, key, &why));  // the same: all stays
    assert_update(kept, 1);
    assert_int_equal(unlink(inside("aggregator.pub")), 0);
    assert_ok(fl_state_pin_set(kept, other, &why));
    refuse_update(kept, FL_ERR_NOT_FOUND);
    fl_state_close(kept);
}

/* ---- sessions ---- */

static fl_state_session make_session(uint64_t number, uint64_t serial)
{
    fl_state_session session = {.number = number, .enrolment_serial = serial};
    memset(session.enrolment_hash, (int)(serial & 0xff), FL_HASH_BYTES);
    return session;
}

static fl_err set_session(fl_state *kept, uint64_t number, uint64_t serial)
{
    const fl_state_session session = make_session(number, serial);
    return fl_state_session_set(kept, &session, &why);
}

static void assert_session(const fl_state *kept, uint64_t number,
                           uint64_t serial)
{
    const fl_state_session expected = make_session(number, serial);
    fl_state_session found;
    assert_ok(fl_state_session_get(kept, &found, &why));
    assert_int_equal(found.number, expected.number);
    assert_int_equal(found.enrolment_serial, expected.enrolment_serial);
    assert_memory_equal(found.enrolment_hash, expected.enrolment_hash,
                        FL_HASH_BYTES);
}

TEST(state_remembers_the_last_session_and_list)
{
    fl_state *kept = open_clean();
    assert_session(kept, 0, 0);
    assert_false(is_there("session"));
    assert_ok(set_session(kept, 0, 3));  // a list before the first session
    assert_ok(set_session(kept, UINT64_MAX - 1, 3));
    fl_state_close(kept);
    kept = open_clean();
    assert_session(kept, UINT64_MAX - 1, 3);
    assert_ok(set_session(kept, UINT64_MAX, UINT64_MAX));
    assert_session(kept, UINT64_MAX, UINT64_MAX);
    fl_state_close(kept);
}

// A client whose disk is full can still take part: the number has its place.
TEST(state_writes_a_session_in_its_place_when_there_is_no_room)
{
    fl_state *kept = open_clean();
    assert_ok(set_session(kept, 7, 5));
    assert_int_equal(mkdir(inside("session.tmp"), 0700), 0);  // no new file
    assert_ok(set_session(kept, 8, 5));
    assert_session(kept, 8, 5);
    assert_int_equal(rmdir(inside("session.tmp")), 0);
    fl_state_close(kept);
    kept = open_state();
    assert_session(kept, 8, 5);
    fl_state_close(kept);
}

TEST(state_refuses_a_session_or_list_that_goes_back)
{
    fl_state *kept = open_clean();
    assert_ok(set_session(kept, 7, 5));
    assert_err(set_session(kept, 6, 5), FL_ERR_STATE);
    assert_reason_names(why, "session 6");
    assert_err(set_session(kept, 6, 6), FL_ERR_STATE);
    assert_err(set_session(kept, 7, 4), FL_ERR_STATE);
    assert_reason_names(why, "list 4");
    assert_err(set_session(kept, 8, 4), FL_ERR_STATE);
    fl_state_session other = make_session(8, 5);
    other.enrolment_hash[31] ^= 1;
    assert_err(fl_state_session_set(kept, &other, &why), FL_ERR_STATE);
    assert_reason_names(why, "another enrolment list with serial 5");
    assert_session(kept, 7, 5);
    assert_ok(set_session(kept, 7, 5));  // the same is no step back
    fl_state_close(kept);
}

static fl_err set_holdout(fl_state *kept, uint64_t number, bool has_holdout,
                          uint32_t holdout)
{
    fl_state_session session = make_session(number, 5);
    session.has_holdout = has_holdout;
    session.holdout = holdout;
    return fl_state_session_set(kept, &session, &why);
}

static void assert_holdout(const fl_state *kept, bool has_holdout,
                           uint32_t holdout)
{
    fl_state_session found;
    assert_ok(fl_state_session_get(kept, &found, &why));
    assert_int_equal(found.has_holdout, has_holdout);
    assert_int_equal(found.holdout, holdout);
}

TEST(state_keeps_one_holdout_for_life)
{
    const uint8_t key[FL_KEY_BYTES] = {1};
    const uint32_t holdouts[] = {0, 2, 1 << 16};
    for (size_t i = 0; i < 3; i++) {
        fl_state *kept = open_clean();
        (void)unlink(inside("session"));
        (void)unlink(inside("authority.pub"));
        (void)unlink(inside("aggregator.pub"));
        assert_ok(set_session(kept, 6, 5));
        assert_holdout(kept, false, 0);
        assert_ok(set_holdout(kept, 7, true, holdouts[i]));
        assert_err(set_holdout(kept, 8, true, 3), FL_ERR_STATE);
        assert_reason_names(why, "cannot become 3");
        assert_err(set_holdout(kept, 8, false, 0), FL_ERR_STATE);
        fl_state_close(kept);
        kept = open_clean();
        assert_holdout(kept, true, holdouts[i]);
        assert_session(kept, 7, 5);
        assert_ok(fl_state_authority_set(kept, key, &why));
        assert_holdout(kept, true, holdouts[i]);  // the aggregator's
        assert_ok(fl_state_pin_set(kept, key, &why));
        assert_holdout(kept, false, 0);
        fl_state_close(kept);
    }
}

// A file of the kind before: its number still counts.
TEST(state_reads_a_session_that_names_no_holdout)
{
    uint8_t file[8 + 8 + 8 + 2 * FL_HASH_BYTES] = "FEDGEse1";
    fl_state *kept = open_clean();
    file[8] = 7;
    file[16] = 5;
    memset(file + 24, 5, FL_HASH_BYTES);
    fl_hash(file + 56, file, 56);
    assert_ok(fl_file_write(inside("session"), file, sizeof file, 0600, NULL));
    assert_session(kept, 7, 5);
    assert_holdout(kept, false, 0);
    assert_ok(set_holdout(kept, 8, true, 10));
    assert_holdout(kept, true, 10);
    damage(inside("session"), 8);
    fl_state_session found;
    assert_err(fl_state_session_get(kept, &found, &why), FL_ERR_FORMAT);
    fl_state_close(kept);
}

TEST(state_never_takes_a_damaged_session_for_none)
{
    enum { SESSION_LEN = 96 };
    const uint8_t key[FL_KEY_BYTES] = {1};
    fl_state_session found;
    fl_state *kept = open_clean();
    for (off_t at = 0; at < SESSION_LEN; at += 3) {
        assert_int_equal(unlink(inside("session")) == 0, at > 0);
        assert_ok(set_session(kept, 7, 5));
        damage(inside("session"), at);
        why = (fl_reason){""};
        assert_err(fl_state_session_get(kept, &found, &why), FL_ERR_FORMAT);
        assert_reason_names(why, "session: damaged");
        assert_reason_names(why, "delete it together with update");
        assert_err(set_session(kept, 8, 6), FL_ERR_FORMAT);
        assert_true(is_there("session"));
    }
    assert_err(fl_state_pin_set(kept, key, &why), FL_ERR_FORMAT);
    assert_err(fl_state_authority_set(kept, key, &why), FL_ERR_FORMAT);
    for (off_t len = 0; len < SESSION_LEN; len += 8) {
        assert_int_equal(unlink(inside("session")), 0);
        assert_ok(set_session(kept, 7, 5));
        assert_int_equal(truncate(inside("session"), len), 0);
        assert_err(fl_state_session_get(kept, &found, &why), FL_ERR_FORMAT);
    }
    fl_state_close(kept);
    kept = open_clean();  // stays as it is
    assert_err(fl_state_session_get(kept, &found, &why), FL_ERR_FORMAT);
    fl_state_close(kept);
}

TEST(state_never_loads_an_update_whose_masked_form_may_be_out)
{
    fl_state *kept = open_clean();
    save_update(kept, 1);
    assert_ok(set_session(kept, 0, 5));  // only a list
    assert_update(kept, 1);
    assert_ok(set_session(kept, 1, 5));
    fl_state_close(kept);  // before it is dropped
    kept = open_clean();
    refuse_update(kept, FL_ERR_NOT_FOUND);
    assert_reason_names(why, "session 1");
    assert_false(is_there("update.bytes"));

    save_update(kept, 2);
    assert_update(kept, 2);
    assert_ok(set_session(kept, 2, 5));
    refuse_update(kept, FL_ERR_NOT_FOUND);
    fl_state_close(kept);
}

TEST(state_trusts_no_update_beside_a_damaged_session)
{
    fl_state *kept = open_clean();
    assert_ok(set_session(kept, 1, 1));
    save_update(kept, 1);
    damage(inside("session"), 8);
    refuse_update(kept, FL_ERR_FORMAT);
    assert_false(is_there("update.bytes"));
    uint8_t bytes[UPDATE_LEN];
    const fl_state_update update = make_update(1, bytes);
    assert_err(fl_state_update_save(kept, &update, &why), FL_ERR_FORMAT);
    assert_false(is_there("update.bytes"));
    fl_state_close(kept);
}

TEST(state_counts_sessions_anew_with_a_new_aggregator)
{
    const uint8_t key[FL_KEY_BYTES] = {1}, other[FL_KEY_BYTES] = {2};
    fl_state *kept = open_clean();
    assert_ok(fl_state_pin_set(kept, key, &why));
    assert_false(is_there("session"));
    assert_ok(set_session(kept, 7, 5));
    assert_ok(fl_state_pin_set(kept, key, &why));
    assert_session(kept, 7, 5);
    assert_int_equal(unlink(inside("aggregator.pub")), 0);
    assert_ok(fl_state_pin_set(kept, other, &why));
    assert_session(kept, 0, 5);  // of the same authority still
    fl_state_close(kept);
}

TEST(state_takes_any_list_of_a_new_authority)
{
    const uint8_t key[FL_KEY_BYTES] = {1}, other[FL_KEY_BYTES] = {2};
    fl_state *kept = open_clean();
    assert_ok(fl_state_authority_set(kept, key, &why));
    assert_ok(set_session(kept, 7, 5));
    assert_ok(fl_state_authority_set(kept, key, &why));
    assert_session(kept, 7, 5);
    assert_int_equal(unlink(inside("authority.pub")), 0);
    assert_ok(fl_state_authority_set(kept, other, &why));
    assert_session(kept, 7, 0);  // of the same aggregator still
    assert_ok(set_session(kept, 7, 1));
    fl_state_close(kept);
}

/* ---- objects ---- */

TEST(state_gives_back_an_object_that_was_downloaded)
{
    static object a;
    make_object(&a, 0);
    fl_state *kept = open_clean();
    refuse_object(kept, &a, FL_ERR_NOT_FOUND);
    download(kept, &a);
    assert_chunks(kept, &a, 7);
    fl_state_close(kept);
    kept = open_clean();
    assert_chunks(kept, &a, 7);
    fl_state_close(kept);
}

TEST(state_resumes_a_download_where_it_was)
{
    static object a;
    make_object(&a, 0);
    fl_state *kept = open_clean();
    assert_ok(begin(kept, &a));
    assert_ok(put(kept, &a, 2));
    fl_state_close(kept);
    kept = open_clean();
    assert_chunks(kept, &a, 4);
    assert_ok(put(kept, &a, 0));
    assert_chunks(kept, &a, 5);  // in the same run, too
    assert_err(fl_state_object_finish(kept, a.name, &why), FL_ERR_STATE);
    assert_reason_names(why, "1 chunk");
    assert_ok(put(kept, &a, 1));
    assert_ok(put(kept, &a, 1));
    assert_ok(fl_state_object_finish(kept, a.name, &why));
    assert_chunks(kept, &a, 7);
    fl_state_close(kept);
}

TEST(state_finishes_a_download_that_was_cut_before_its_end)
{
    static object a;
    make_object(&a, 0);
    char path[PATH_MAX];
    fl_state *kept = open_clean();
    assert_ok(begin(kept, &a));
    for (uint32_t i = 0; i < CHUNK_COUNT; i++)
        assert_ok(put(kept, &a, i));
    fl_state_close(kept);
    kept = open_clean();
    assert_chunks(kept, &a, 7);
    object_path(path, &a, "");
    assert_int_equal(access(path, F_OK), 0);
    fl_state_close(kept);
}

TEST(state_refuses_a_download_that_makes_no_sense)
{
    static object a, b;
    make_object(&a, 0);
    make_object(&b, 1);
    const uint8_t junk[] = "junk";
    uint8_t junk_name[FL_HASH_BYTES];
    fl_hash(junk_name, junk, sizeof junk);
    fl_state *kept = open_clean();

    assert_err(put(kept, &a, 0), FL_ERR_STATE);
    assert_err(fl_state_object_finish(kept, a.name, &why), FL_ERR_STATE);
    assert_err(
        fl_state_object_begin(kept, a.name, b.manifest, b.manifest_len, &why),
        FL_ERR_RANGE);
    assert_err(fl_state_object_begin(kept, junk_name, junk, sizeof junk, &why),
               FL_ERR_RANGE);
    assert_int_equal(fl_scratch_count(inside("objects")), 0);

    assert_ok(begin(kept, &a));
    assert_err(begin(kept, &a), FL_ERR_STATE);
    assert_err(put(kept, &b, 0), FL_ERR_STATE);
    assert_err(put(kept, &a, 3), FL_ERR_RANGE);
    assert_err(fl_state_object_put(kept, a.name, 2, a.bytes, CHUNK, &why),
               FL_ERR_RANGE);
    assert_err(fl_state_object_put(kept, a.name, 0, a.bytes, TAIL, &why),
               FL_ERR_RANGE);
    assert_chunks(kept, &a, 0);
    fl_state_close(kept);
}

TEST(state_keeps_the_newest_objects_and_one_download)
{
    static object objects[6];
    for (uint32_t i = 0; i < 6; i++)
        make_object(&objects[i], i);
    fl_state *kept = open_clean();
    for (uint32_t i = 0; i < 4; i++) {
        download(kept, &objects[i]);
        fl_state_close(kept);  // age is not a matter of one run
        kept = open_clean();
    }
    refuse_object(kept, &objects[0], FL_ERR_NOT_FOUND);
    assert_ok(begin(kept, &objects[4]));
    for (uint32_t i = 1; i < 4; i++)
        assert_chunks(kept, &objects[i], 7);
    assert_ok(put(kept, &objects[4], 0));
    assert_ok(begin(kept, &objects[5]));  // instead of 4
    refuse_object(kept, &objects[4], FL_ERR_NOT_FOUND);
    assert_chunks(kept, &objects[1], 7);
    assert_int_equal(fl_scratch_count(inside("objects")), 8);
    fl_state_close(kept);
}

TEST(state_keeps_the_newest_objects_after_a_crash_in_finish)
{
    static object objects[5];
    char part[PATH_MAX], path[PATH_MAX];
    fl_state *kept = open_clean();
    for (uint32_t i = 0; i < 5; i++) {
        make_object(&objects[i], i);
        if (i < 4) download(kept, &objects[i]);  // of one run
    }
    refuse_object(kept, &objects[0], FL_ERR_NOT_FOUND);
    assert_int_equal(fl_scratch_count(inside("objects")), 6);
    assert_ok(begin(kept, &objects[4]));
    for (uint32_t i = 0; i < CHUNK_COUNT; i++)
        assert_ok(put(kept, &objects[4], i));
    fl_state_close(kept);
    object_path(part, &objects[4], ".part");
    object_path(path, &objects[4], "");
    assert_int_equal(rename(part, path), 0);  // and then the power was cut

    kept = open_clean();
    refuse_object(kept, &objects[1], FL_ERR_NOT_FOUND);
    for (uint32_t i = 2; i < 5; i++)
        assert_chunks(kept, &objects[i], 7);
    assert_int_equal(fl_scratch_count(inside("objects")), 6);
    fl_state_close(kept);
}

TEST(state_keeps_the_one_object_of_its_kind)
{
    static object rare, models[6];
    make_object_of_kind(&rare, 100, FL_OBJECT_UPDATE);
    fl_state *kept = open_clean();
    download(kept, &rare);
    for (uint32_t i = 0; i < 6; i++) {
        make_object(&models[i], i);
        download(kept, &models[i]);
        if (i % 2) continue;  // kinds are not a matter of one run
        fl_state_close(kept);
        kept = open_clean();
    }
    assert_chunks(kept, &rare, 7);
    refuse_object(kept, &models[3], FL_ERR_NOT_FOUND);
    assert_chunks(kept, &models[4], 7);
    assert_chunks(kept, &models[5], 7);
    assert_int_equal(fl_scratch_count(inside("objects")), 6);
    fl_state_close(kept);
}

TEST(state_downloads_only_what_is_damaged_again)
{
    static object a, b;
    char path[PATH_MAX];
    make_object(&a, 0);
    make_object(&b, 1);
    fl_state *kept = open_clean();
    download(kept, &a);
    assert_ok(begin(kept, &b));
    fl_state_close(kept);
    object_path(path, &a, "");
    damage(path, CHUNK + 5);

    kept = open_clean();
    assert_chunks(kept, &a, 5);  // now it is the download, and b is not
    refuse_object(kept, &b, FL_ERR_NOT_FOUND);
    assert_ok(put(kept, &a, 1));
    assert_ok(fl_state_object_finish(kept, a.name, &why));
    assert_chunks(kept, &a, 7);
    fl_state_close(kept);
}

TEST(state_notices_every_damage_to_a_partial_download)
{
    static object a;
    char path[PATH_MAX];
    make_object(&a, 0);
    object_path(path, &a, ".part");
    fl_state *kept = open_clean();
    assert_ok(begin(kept, &a));
    assert_ok(put(kept, &a, 0));
    assert_ok(put(kept, &a, 2));
    fl_state_close(kept);

    kept = open_clean();
    damage(path, 2 * CHUNK);
    assert_chunks(kept, &a, 1);
    fl_state_close(kept);
    kept = open_clean();
    assert_int_equal(truncate(path, CHUNK), 0);
    assert_chunks(kept, &a, 1);
    fl_state_close(kept);
    assert_int_equal(truncate(path, 10 * CHUNK), 0);
    kept = open_clean();
    assert_chunks(kept, &a, 1);
    assert_int_equal(truncate(path, 0), 0);
    assert_chunks(kept, &a, 0);
    for (uint32_t i = 0; i < CHUNK_COUNT; i++)
        assert_ok(put(kept, &a, i));
    assert_ok(fl_state_object_finish(kept, a.name, &why));
    assert_chunks(kept, &a, 7);
    fl_state_close(kept);
}

TEST(state_forgets_an_object_whose_manifest_is_damaged)
{
    static object a;
    char path[PATH_MAX];
    make_object(&a, 0);
    fl_state *kept = open_clean();
    download(kept, &a);
    object_path(path, &a, ".map");
    damage(path, 60);
    refuse_object(kept, &a, FL_ERR_FORMAT);
    assert_reason_names(why, ".map");
    refuse_object(kept, &a, FL_ERR_NOT_FOUND);  // reported once
    assert_int_equal(fl_scratch_count(inside("objects")), 0);
    download(kept, &a);
    fl_state_close(kept);

    damage(path, 60);
    kept = open_state();
    assert_non_null(strstr(fl_state_warning(kept), ".map"));
    refuse_object(kept, &a, FL_ERR_NOT_FOUND);
    assert_int_equal(fl_scratch_count(inside("objects")), 0);
    fl_state_close(kept);
    fl_state_close(open_clean());
}

TEST(state_forgets_an_object_under_a_wrong_name)
{
    static object a, b;
    char path[PATH_MAX], other[PATH_MAX];
    make_object(&a, 0);
    make_object(&b, 1);
    fl_state *kept = open_clean();
    download(kept, &a);
    fl_state_close(kept);
    const char *const endings[] = {"", ".map"};
    for (size_t i = 0; i < 2; i++) {
        object_path(path, &a, endings[i]);
        object_path(other, &b, endings[i]);
        assert_int_equal(rename(path, other), 0);
    }
    kept = open_state();
    assert_non_null(strstr(fl_state_warning(kept), ".map"));
    refuse_object(kept, &b, FL_ERR_NOT_FOUND);
    fl_state_close(kept);
}

TEST(state_forgets_an_object_that_somebody_deleted)
{
    static object a;
    char path[PATH_MAX];
    make_object(&a, 0);
    fl_state *kept = open_clean();
    download(kept, &a);
    object_path(path, &a, "");
    assert_int_equal(unlink(path), 0);
    refuse_object(kept, &a, FL_ERR_NOT_FOUND);
    download(kept, &a);
    fl_state_close(kept);
    assert_int_equal(unlink(path), 0);
    kept = open_clean();
    refuse_object(kept, &a, FL_ERR_NOT_FOUND);
    assert_int_equal(fl_scratch_count(inside("objects")), 0);
    fl_state_close(kept);
}

TEST(state_tidies_up_and_leaves_junk_alone)
{
    static object a, b;
    char path[PATH_MAX];
    make_object(&a, 0);
    make_object(&b, 1);
    fl_state *kept = open_clean();
    download(kept, &a);
    fl_state_close(kept);
    const char *const endings[] = {"", ".part", ".map.tmp"};
    for (size_t i = 0; i < 3; i++) {
        object_path(path, &b, endings[i]);  // no map says what they are
        assert_ok(fl_file_write(path, "x", 1, 0600, &why));
    }
    object_path(path, &a, ".part");
    assert_ok(fl_file_write(path, "x", 1, 0600, &why));
    const char *const junk[] = {"objects/README", "objects/ab.map", "junk",
                                "objects/0123.part"};
    for (size_t i = 0; i < 4; i++)
        put_file(junk[i], "x");

    kept = open_clean();
    assert_int_equal(fl_scratch_count(inside("objects")), 2 + 3);
    for (size_t i = 0; i < 4; i++)
        assert_true(is_there(junk[i]));
    assert_chunks(kept, &a, 7);
    fl_state_close(kept);
}

/* ---- update ---- */

TEST(state_keeps_an_update_until_it_is_dropped)
{
    fl_state *kept = open_clean();
    refuse_update(kept, FL_ERR_NOT_FOUND);
    save_update(kept, 1);
    save_update(kept, 2);
    fl_state_close(kept);
    kept = open_clean();
    assert_update(kept, 2);
    assert_ok(fl_state_update_drop(kept, &why));
    refuse_update(kept, FL_ERR_NOT_FOUND);
    assert_ok(fl_state_update_drop(kept, &why));
    assert_false(is_there("update.bytes"));
    fl_state_close(kept);
}

TEST(state_never_trusts_a_damaged_update)
{
    fl_state *kept = open_clean();
    for (off_t at = 0; at < 140; at += 11) {  // all over the header
        save_update(kept, 1);
        damage(inside("update"), at);
        refuse_update(kept, FL_ERR_FORMAT);
        refuse_update(kept, FL_ERR_NOT_FOUND);
        assert_false(is_there("update.bytes"));
    }
    save_update(kept, 1);
    damage(inside("update.bytes"), UPDATE_LEN - 1);
    refuse_update(kept, FL_ERR_FORMAT);
    refuse_update(kept, FL_ERR_NOT_FOUND);
    save_update(kept, 1);
    assert_int_equal(truncate(inside("update.bytes"), 0), 0);
    refuse_update(kept, FL_ERR_FORMAT);
    save_update(kept, 1);
    assert_int_equal(unlink(inside("update.bytes")), 0);
    refuse_update(kept, FL_ERR_FORMAT);
    save_update(kept, 1);
    assert_int_equal(truncate(inside("update"), 100), 0);
    refuse_update(kept, FL_ERR_FORMAT);
    fl_state_close(kept);
}

TEST(state_refuses_an_update_that_is_too_long)
{
    fl_state *kept = open_clean();
    save_update(kept, 1);
    uint8_t bytes[UPDATE_LEN];
    fl_state_update update = make_update(2, bytes);
    update.len = (size_t)FL_PROTO_OBJECT_BYTES_MAX + 1;
    assert_err(fl_state_update_save(kept, &update, &why), FL_ERR_RANGE);
    refuse_update(kept, FL_ERR_NOT_FOUND);
    fl_state_close(kept);
}

/* ---- the newest model ---- */

static void assert_newest(fl_state *kept, const object *of)
{
    fl_state_object found;
    uint8_t name[FL_HASH_BYTES] = {0};
    assert_ok(fl_state_model_load(kept, &found, name, &why));
    assert_memory_equal(name, of->name, FL_HASH_BYTES);
    assert_int_equal(found.len, OBJECT_LEN);
    assert_memory_equal(found.bytes, of->bytes, OBJECT_LEN);
    fl_state_object_fini(&found);
}

static void refuse_newest(fl_state *kept, fl_err err, const char *word)
{
    fl_state_object found;
    uint8_t name[FL_HASH_BYTES];
    assert_err(fl_state_model_load(kept, &found, name, &why), err);
    assert_reason_names(why, word);
}

TEST(state_finds_the_model_that_was_begun_last)
{
    static object a, b, list;
    make_object(&a, 0);
    make_object(&b, 1);
    make_object_of_kind(&list, 2, FL_OBJECT_ENROLMENT);
    fl_state *kept = open_clean();
    refuse_newest(kept, FL_ERR_NOT_FOUND, "no model");
    download(kept, &b);
    assert_newest(kept, &b);
    download(kept, &a);
    download(kept, &list);
    assert_newest(kept, &a);
    fl_state_close(kept);
    kept = open_clean();
    assert_newest(kept, &a);
    fl_state_close(kept);
}

TEST(state_finds_no_model_that_is_being_downloaded)
{
    static object a, b;
    make_object(&a, 0);
    make_object(&b, 1);
    fl_state *kept = open_clean();
    assert_ok(begin(kept, &b));
    refuse_newest(kept, FL_ERR_NOT_FOUND, "no model");
    for (uint32_t i = 0; i < CHUNK_COUNT; i++)
        assert_ok(put(kept, &b, i));
    assert_ok(fl_state_object_finish(kept, b.name, &why));
    assert_ok(begin(kept, &a));
    assert_newest(kept, &b);
    assert_ok(put(kept, &a, 0));  // goes on all the same
    assert_chunks(kept, &a, 1);
    fl_state_close(kept);
}

TEST(state_gives_up_a_newest_model_that_is_damaged)
{
    static object a, b;
    char path[PATH_MAX];
    make_object(&a, 0);
    make_object(&b, 1);
    fl_state *kept = open_clean();
    for (int i = 0; i < 3; i++) {
        const char *const endings[] = {"", "", ".map"};
        if (i == 0) download(kept, &a);
        download(kept, &b);
        object_path(path, &b, endings[i]);
        if (i == 0) damage(path, CHUNK + 5);
        if (i == 1) assert_int_equal(unlink(path), 0);
        if (i == 2) damage(path, 20);
        refuse_newest(kept, i == 1 ? FL_ERR_NOT_FOUND : FL_ERR_FORMAT,
                      i == 1 ? "no such file" : "damaged");
        refuse_object(kept, &b, FL_ERR_NOT_FOUND);
        assert_newest(kept, &a);
    }
    fl_state_close(kept);
}

// A client names the model that it holds: one of another federation is nothing
// that this aggregator should hear of.
TEST(state_forgets_the_models_with_the_aggregator)
{
    const uint8_t key[FL_KEY_BYTES] = {1}, other[FL_KEY_BYTES] = {2};
    static object a, b;
    char path[PATH_MAX];
    make_object(&a, 0);
    make_object(&b, 1);
    fl_state *kept = open_clean();
    assert_ok(fl_state_pin_set(kept, key, &why));
    download(kept, &a);
    assert_ok(begin(kept, &b));
    assert_ok(fl_state_pin_set(kept, key, &why));
    assert_newest(kept, &a);
    assert_int_equal(unlink(inside("aggregator.pub")), 0);
    assert_ok(fl_state_pin_set(kept, other, &why));
    refuse_newest(kept, FL_ERR_NOT_FOUND, "no model");
    refuse_object(kept, &b, FL_ERR_NOT_FOUND);
    object_path(path, &a, "");
    assert_int_not_equal(access(path, F_OK), 0);
    download(kept, &b);
    assert_newest(kept, &b);
    fl_state_close(kept);
}

/* ---- residual ---- */

static void assert_residual(fl_state *kept, const char *text)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_ok(fl_state_residual_load(kept, &bytes, &len, &why));
    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
    free(bytes);
}

static void refuse_residual(fl_state *kept, fl_err err)
{
    uint8_t *bytes = NULL;
    size_t len;
    assert_err(fl_state_residual_load(kept, &bytes, &len, &why), err);
    assert_reason_names(why, "residual");
    assert_null(bytes);
}

static fl_err save_residual(fl_state *kept, const char *text)
{
    return fl_state_residual_save(kept, (const uint8_t *)text, strlen(text),
                                  &why);
}

TEST(state_keeps_the_last_residual)
{
    struct stat about;
    fl_state *kept = open_clean();
    refuse_residual(kept, FL_ERR_NOT_FOUND);
    assert_ok(save_residual(kept, "the first one"));
    assert_ok(save_residual(kept, "another"));
    fl_state_close(kept);
    kept = open_clean();
    assert_residual(kept, "another");
    assert_residual(kept, "another");
    assert_int_equal(stat(inside("residual"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    fl_state_close(kept);
}

TEST(state_uses_no_damaged_residual)
{
    fl_state *kept = open_clean();
    for (off_t at = 0; at < 44; at += 4) {
        assert_ok(save_residual(kept, "left"));
        damage(inside("residual"), at);
        refuse_residual(kept, FL_ERR_FORMAT);
        assert_false(is_there("residual"));
    }
    fl_state_close(kept);
}

// It has been sent: to add it to another update would send it twice.
TEST(state_keeps_no_residual_when_the_next_one_cannot_be_saved)
{
    fl_state *kept = open_clean();
    assert_ok(save_residual(kept, "left"));
    assert_int_equal(mkdir(inside("residual.tmp"), 0700), 0);  // no new file
    assert_err(save_residual(kept, "next"), FL_ERR_SYSTEM);
    assert_int_equal(rmdir(inside("residual.tmp")), 0);
    refuse_residual(kept, FL_ERR_NOT_FOUND);

    assert_ok(save_residual(kept, "left"));
    const uint8_t byte = 0;
    assert_err(fl_state_residual_save(
                   kept, &byte, (size_t)FL_PROTO_OBJECT_BYTES_MAX + 1, &why),
               FL_ERR_LIMIT);
    assert_reason_names(why, "longer than an object");
    refuse_residual(kept, FL_ERR_NOT_FOUND);
    fl_state_close(kept);
}

TEST(state_forgets_the_residual_with_the_aggregator)
{
    const uint8_t key[FL_KEY_BYTES] = {1}, other[FL_KEY_BYTES] = {2};
    fl_state *kept = open_clean();
    assert_ok(fl_state_pin_set(kept, key, &why));
    assert_ok(save_residual(kept, "left"));
    assert_ok(fl_state_pin_set(kept, key, &why));
    assert_residual(kept, "left");
    assert_int_equal(unlink(inside("aggregator.pub")), 0);
    assert_ok(fl_state_pin_set(kept, other, &why));
    refuse_residual(kept, FL_ERR_NOT_FOUND);
    fl_state_close(kept);
}

/* ---- status ---- */

TEST(state_shows_the_status_beside_a_running_client)
{
    char *text = NULL;
    assert_err(fl_state_status_read(&text, folder, &why), FL_ERR_NOT_FOUND);
    fl_state *kept = open_clean();
    assert_ok(fl_state_status_write(kept, "{\"round\": 1}", &why));
    assert_ok(fl_state_status_read(&text, folder, &why));
    assert_string_equal(text, "{\"round\": 1}");
    free(text);
    assert_ok(fl_state_status_write(kept, "{\"round\": 2}", &why));
    fl_state_close(kept);
    assert_ok(fl_state_status_read(&text, folder, &why));
    assert_string_equal(text, "{\"round\": 2}");
    free(text);
}

TEST(state_does_not_wear_the_disk_with_a_status_that_stays)
{
    struct stat first, second;
    fl_state *kept = open_clean();
    assert_ok(fl_state_status_write(kept, "{}", &why));
    assert_int_equal(stat(inside("status.json"), &first), 0);
    assert_ok(fl_state_status_write(kept, "{}", &why));
    assert_int_equal(stat(inside("status.json"), &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    fl_state_close(kept);
}

TEST(state_limits_the_status)
{
    static char text[FL_STATE_STATUS_MAX + 2];
    char *found = NULL;
    memset(text, 'x', FL_STATE_STATUS_MAX + 1);
    fl_state *kept = open_clean();
    assert_err(fl_state_status_write(kept, text, &why), FL_ERR_LIMIT);
    put_file("status.json", text);
    assert_err(fl_state_status_read(&found, folder, &why), FL_ERR_FORMAT);
    fl_state_close(kept);
}

/* ---- full disks and crashes ---- */

TEST(state_survives_a_full_disk)
{
    if (!fl_scratch_mount(folder, 2 << 20)) skip();
    static object a, b;
    make_object(&a, 0);
    make_object(&b, 1);
    uint8_t bytes[UPDATE_LEN];
    fl_state *kept = open_clean();
    download(kept, &a);
    assert_ok(fl_state_status_write(kept, "old", &why));
    unsigned failed = 0;
    // Room for nothing, for the object, for the object and its map, ...
    for (size_t pages = 0; pages < 40; pages++) {
        assert_true(fl_scratch_fill(folder, pages * 4096));
        const fl_err err = begin(kept, &b);
        if (!err) break;
        assert_err(err, FL_ERR_SYSTEM);
        assert_reason_names(why, "room");
        assert_int_equal(fl_scratch_count(inside("objects")), 2);
        failed++;
    }
    assert_true(failed > 30 && failed < 40);

    assert_true(fl_scratch_fill(folder, 0));
    for (uint32_t i = 0; i < CHUNK_COUNT; i++)
        assert_ok(put(kept, &b, i));  // its room was taken before
    assert_ok(fl_state_object_finish(kept, b.name, &why));
    const fl_state_update update = make_update(1, bytes);
    assert_err(fl_state_update_save(kept, &update, &why), FL_ERR_SYSTEM);
    refuse_update(kept, FL_ERR_NOT_FOUND);
    assert_err(fl_state_status_write(kept, "new", &why), FL_ERR_SYSTEM);
    fl_state_close(kept);
    refuse_state(FL_ERR_SYSTEM, "starts");

    assert_true(fl_scratch_fill(folder, SIZE_MAX));
    kept = open_clean();
    assert_int_equal(fl_state_start_count(kept), 2);
    assert_chunks(kept, &a, 7);
    assert_chunks(kept, &b, 7);
    save_update(kept, 1);
    assert_update(kept, 1);
    fl_state_close(kept);
}

TEST(state_keeps_the_old_values_when_a_write_fails)
{
    const uint8_t key[FL_KEY_BYTES] = {1};
    uint8_t found[FL_KEY_BYTES];
    char *text = NULL;
    fl_state *kept = open_clean();
    assert_true(fl_scratch_limit_files(2));
    const fl_err pin = fl_state_pin_set(kept, key, &why);
    assert_true(fl_scratch_limit_files(SIZE_MAX));
    assert_err(pin, FL_ERR_SYSTEM);
    assert_reason_names(why, "aggregator.pub");
    assert_err(fl_state_pin_get(kept, found, &why), FL_ERR_NOT_FOUND);

    assert_ok(set_session(kept, 1, 1));
    assert_true(fl_scratch_limit_files(2));
    const fl_err session = set_session(kept, 2, 1);
    assert_true(fl_scratch_limit_files(SIZE_MAX));
    assert_err(session, FL_ERR_SYSTEM);
    assert_session(kept, 1, 1);

    assert_ok(fl_state_status_write(kept, "old", &why));
    assert_true(fl_scratch_limit_files(2));
    const fl_err status = fl_state_status_write(kept, "new", &why);
    assert_true(fl_scratch_limit_files(SIZE_MAX));
    assert_err(status, FL_ERR_SYSTEM);
    assert_ok(fl_state_status_read(&text, folder, &why));
    assert_string_equal(text, "old");
    free(text);
    fl_state_close(kept);
}

// The steps of a round, of which a crash may follow any.
enum { STEP_COUNT = CHUNK_COUNT + 4 };

static void do_step(fl_state *kept, const object *of, uint32_t round,
                    unsigned step)
{
    if (step == 0) {
        assert_ok(begin(kept, of));
    } else if (step < 1 + CHUNK_COUNT) {
        assert_ok(put(kept, of, step - 1));
    } else if (step == 1 + CHUNK_COUNT) {
        assert_ok(fl_state_object_finish(kept, of->name, &why));
    } else if (step == 2 + CHUNK_COUNT) {
        save_update(kept, round);
    } else {
        assert_ok(fl_state_update_drop(kept, &why));
    }
}

typedef struct {
    uint32_t round;
    unsigned step;  // STEP_COUNT: rounds until the end
} life;

// Leaves without closing anything after `step`.
static void live_until(void *self, int report)
{
    const life *until = self;
    static object of;
    make_object(&of, until->round);
    fl_state *kept = open_state();
    for (unsigned step = 0; step <= until->step; step++)
        do_step(kept, &of, until->round, step);
    const uint32_t done = fl_state_start_count(kept);
    if (write(report, &done, sizeof done) == sizeof done) pause();
}

static void assert_after_step(fl_state *kept, const object *of, uint32_t round,
                              unsigned step)
{
    const unsigned chunk_count = step < CHUNK_COUNT ? step : CHUNK_COUNT;
    assert_chunks(kept, of, (1u << chunk_count) - 1);
    if (step == 2 + CHUNK_COUNT) {
        assert_update(kept, round);
    } else {
        refuse_update(kept, FL_ERR_NOT_FOUND);
    }
}

TEST(state_is_whole_after_a_crash_at_any_step)
{
    static object of;
    unsigned starts = 0;
    for (uint32_t i = 0; i < STEP_COUNT; i++) {
        life until = {.round = i + 1, .step = i};
        assert_true(fl_scratch_kill(live_until, &until, 0, &starts));
        assert_int_equal(starts, 2 * i + 1);
        make_object(&of, until.round);
        fl_state *kept = open_clean();
        assert_after_step(kept, &of, until.round, i);
        assert_ok(fl_state_update_drop(kept, &why));
        fl_state_close(kept);
        assert_true(fl_scratch_count(inside("objects")) <= 8);
    }
}

// Reports a round when its update was saved.
static void live(void *self, int report)
{
    static object of;
    uint32_t round = *(const uint32_t *)self;
    fl_state *kept = open_state();
    for (;; round++) {
        make_object(&of, round);
        for (unsigned step = 0; step < STEP_COUNT - 1; step++)
            do_step(kept, &of, round, step);
        if (write(report, &round, sizeof round) != sizeof round) _exit(1);
    }
}

// The round of the update that is there, whole; 0: none is.
static uint32_t round_of_update(fl_state *kept)
{
    fl_state_update found = {.bytes = NULL};
    const fl_err err = fl_state_update_load(kept, &found, &why);
    if (err) {
        assert_err(err, FL_ERR_NOT_FOUND);
        return 0;
    }
    free(found.bytes);
    assert_update(kept, found.round);
    return found.round;
}

TEST(state_is_whole_whenever_it_is_killed)
{
    static object of;
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, 0);
    uint32_t next = 1, starts = 0, before = 0, found_count = 0;
    // Fifty deaths; on a slow machine more, of longer lives, until it got
    // somewhere.
    for (unsigned i = 0; i < 50 || next <= 10 || found_count <= 10; i++) {
        const unsigned after_us =
            500 + fl_random_below(&random, 40000 + i * 500);
        assert_true(i < 1000);
        unsigned saved = 0;
        assert_true(fl_scratch_kill(live, &next, after_us, &saved));
        fl_state *kept = open_clean();
        assert_true(fl_state_start_count(kept) > starts);
        starts = fl_state_start_count(kept);

        const uint32_t least = saved ? saved : before;
        const uint32_t most = saved ? saved + 1 : next;
        const uint32_t found = round_of_update(kept);
        assert_true(found == least || found == most || found == 0);
        if (least && !found) {  // only while the next one is being saved
            make_object(&of, most);
            assert_chunks(kept, &of, 7);
        }
        assert_true(fl_scratch_count(inside("objects")) <= 8);
        found_count += found > 0;
        before = found;
        next = most + 1;  // `most` may have been begun
        fl_state_close(kept);
    }
}

// Reports a session when its number is kept.
static void run_sessions(void *self, int report)
{
    uint32_t number = *(const uint32_t *)self;
    fl_state *kept = open_state();
    for (;; number++) {
        save_update(kept, number);
        assert_ok(set_session(kept, number, number));
        if (write(report, &number, sizeof number) != sizeof number) _exit(1);
    }
}

TEST(state_never_forgets_a_session_whenever_it_is_killed)
{
    fl_random random;
    fl_random_init(&random, 5, FL_RANDOM_TEST, 0);
    uint32_t next = 1;
    // Fifty deaths; on a slow machine more, of longer lives, until it got
    // somewhere.
    for (unsigned i = 0; i < 50 || next <= 10; i++) {
        const unsigned after_us =
            500 + fl_random_below(&random, 20000 + i * 500);
        assert_true(i < 1000);
        unsigned reported = next - 1;
        assert_true(fl_scratch_kill(run_sessions, &next, after_us, &reported));
        fl_state *kept = open_clean();
        fl_state_session found;
        assert_ok(fl_state_session_get(kept, &found, &why));
        assert_true(found.number == reported || found.number == reported + 1);
        assert_session(kept, found.number, found.number);
        // An update that is there has not been in a session.
        const uint32_t round = round_of_update(kept);
        assert_true(round == 0 || round == found.number + 1);
        next = (uint32_t)found.number + 1;
        fl_state_close(kept);
    }
}

#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

RUN_TESTS(IN_FOLDER(state_makes_its_folder_and_counts_starts),
          IN_FOLDER(state_refuses_a_second_client),
          IN_FOLDER(state_never_gives_a_start_twice_when_the_count_is_damaged),
          IN_FOLDER(state_refuses_a_folder_it_cannot_write),
          IN_FOLDER(state_refuses_a_name_that_is_too_long),
          IN_FOLDER(state_pins_one_aggregator_for_life),
          IN_FOLDER(state_pins_one_authority_beside_the_aggregator),
          IN_FOLDER(state_never_trusts_a_damaged_pin_nor_forgets_it),
          IN_FOLDER(state_takes_a_pin_that_a_person_has_written),
          IN_FOLDER(state_forgets_the_update_with_a_new_pin),
          IN_FOLDER(state_remembers_the_last_session_and_list),
          IN_FOLDER(state_writes_a_session_in_its_place_when_there_is_no_room),
          IN_FOLDER(state_refuses_a_session_or_list_that_goes_back),
          IN_FOLDER(state_keeps_one_holdout_for_life),
          IN_FOLDER(state_reads_a_session_that_names_no_holdout),
          IN_FOLDER(state_never_takes_a_damaged_session_for_none),
          IN_FOLDER(state_never_loads_an_update_whose_masked_form_may_be_out),
          IN_FOLDER(state_trusts_no_update_beside_a_damaged_session),
          IN_FOLDER(state_counts_sessions_anew_with_a_new_aggregator),
          IN_FOLDER(state_takes_any_list_of_a_new_authority),
          IN_FOLDER(state_gives_back_an_object_that_was_downloaded),
          IN_FOLDER(state_resumes_a_download_where_it_was),
          IN_FOLDER(state_finishes_a_download_that_was_cut_before_its_end),
          IN_FOLDER(state_refuses_a_download_that_makes_no_sense),
          IN_FOLDER(state_keeps_the_newest_objects_and_one_download),
          IN_FOLDER(state_keeps_the_newest_objects_after_a_crash_in_finish),
          IN_FOLDER(state_keeps_the_one_object_of_its_kind),
          IN_FOLDER(state_downloads_only_what_is_damaged_again),
          IN_FOLDER(state_notices_every_damage_to_a_partial_download),
          IN_FOLDER(state_forgets_an_object_whose_manifest_is_damaged),
          IN_FOLDER(state_forgets_an_object_under_a_wrong_name),
          IN_FOLDER(state_forgets_an_object_that_somebody_deleted),
          IN_FOLDER(state_tidies_up_and_leaves_junk_alone),
          IN_FOLDER(state_keeps_an_update_until_it_is_dropped),
          IN_FOLDER(state_never_trusts_a_damaged_update),
          IN_FOLDER(state_refuses_an_update_that_is_too_long),
          IN_FOLDER(state_shows_the_status_beside_a_running_client),
          IN_FOLDER(state_does_not_wear_the_disk_with_a_status_that_stays),
          IN_FOLDER(state_finds_the_model_that_was_begun_last),
          IN_FOLDER(state_finds_no_model_that_is_being_downloaded),
          IN_FOLDER(state_gives_up_a_newest_model_that_is_damaged),
          IN_FOLDER(state_forgets_the_models_with_the_aggregator),
          IN_FOLDER(state_keeps_the_last_residual),
          IN_FOLDER(state_uses_no_damaged_residual),
          IN_FOLDER(state_keeps_no_residual_when_the_next_one_cannot_be_saved),
          IN_FOLDER(state_forgets_the_residual_with_the_aggregator),
          IN_FOLDER(state_limits_the_status),
          IN_FOLDER(state_survives_a_full_disk),
          IN_FOLDER(state_keeps_the_old_values_when_a_write_fails),
          IN_FOLDER(state_is_whole_after_a_crash_at_any_step),
          IN_FOLDER(state_is_whole_whenever_it_is_killed),
          IN_FOLDER(state_never_forgets_a_session_whenever_it_is_killed))
