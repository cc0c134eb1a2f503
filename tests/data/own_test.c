/*
 * Data of one device: what is bad, half written, unknown, or too much.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "data/data.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { SIDE = 3, PIXELS = SIDE * SIDE, TOLD_CAP = 2000, PICTURES = 24 };

static data_files files;
static char root[DATA_PATH_CAP];
static fl_dataset *dataset;
static fl_own_options own;
static fl_reason why;
static char told[TOLD_CAP];
static uint32_t told_count;

static int set_up(void **state)
{
    (void)state;
    data_files_init(&files);
    strcpy(root, data_files_put_folder(&files, "drop"));
    own = (fl_own_options){.separator = ','};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_dataset_free(dataset);
    dataset = NULL;
    data_files_fini(&files);
    return 0;
}

static void tell(void *self, const char *what)
{
    (void)self;
    const size_t len = strlen(told);
    told_count++;
    snprintf(told + len, sizeof told - len, "%s\n", what);
}

static fl_err load(const char *spec)
{
    const fl_data_skip skip = {.tell = tell};
    const fl_data_options options = {.spec = spec, .skip = &skip};
    fl_dataset_free(dataset);
    dataset = NULL;
    told[0] = '\0';
    told_count = 0;
    why.text[0] = '\0';
    return fl_dataset_open_own(&dataset, &options, &own, &why);
}

static void assert_loads(const char *spec, uint32_t rows, uint32_t skipped)
{
    const fl_err err = load(spec);
    if (err) fail_msg("%s: %s", spec, why.text);
    if (told_count != skipped) fail_msg("told %u: %s", told_count, told);
    assert_int_equal(fl_dataset_row_count(dataset), rows);
}

static void assert_told(const char *word)
{
    if (!strstr(told, word)) fail_msg("nobody was told \"%s\": %s", word, told);
}

static const char *put_picture(const char *name, uint8_t shade)
{
    char path[DATA_PATH_CAP];
    uint8_t pixels[PIXELS];
    memset(pixels, shade, sizeof pixels);
    snprintf(path, sizeof path, "drop/%s", name);
    return data_files_put_png(&files, path, pixels, SIDE, SIDE, 1, 8);
}

static const char *put_table(const char *text)
{
    return data_files_put_text(&files, "t.csv", text);
}

static void cut_file(const char *path, long len)
{
    assert_int_equal(truncate(path, len), 0);
}

/* ---- pictures ---- */

TEST(own_pictures_are_all_there_and_bad_ones_are_named)
{
    put_picture("cat/1.png", 1);
    put_picture("cat/2.png", 2);
    put_picture("dog/1.png", 3);
    cut_file(put_picture("dog/2.png", 4), 40);
    data_files_put_text(&files, "drop/dog/3.jpg", "no picture");
    assert_loads(root, 3, 2);
    assert_told("dog/2.png: damaged PNG");
    assert_told("dog/3.jpg: is neither PNG nor JPEG");
    assert_int_equal(fl_dataset_record_count(dataset), 5);
    const uint32_t labels[] = {0, 0, 1};
    assert_memory_equal(fl_dataset_labels(dataset), labels, sizeof labels);
}

TEST(own_pictures_are_tried_again)
{
    put_picture("cat/1.png", 1);
    cut_file(put_picture("cat/2.png", 2), 40);
    assert_loads(root, 1, 1);
    put_picture("cat/2.png", 2);
    assert_loads(root, 2, 0);
}

TEST(own_pictures_have_the_size_of_most)
{
    const uint8_t wide[PIXELS * 2] = {0};
    data_files_put_png(&files, "drop/a/0.png", wide, SIDE * 2, SIDE, 1, 8);
    put_picture("a/1.png", 1);
    put_picture("b/2.png", 2);
    assert_loads(root, 2, 1);
    assert_int_equal(fl_dataset_shape(dataset).width, SIDE);
    assert_told("a/0.png: is 6x3");
}

TEST(own_pictures_are_files)
{
    char path[DATA_PATH_CAP + 16];
    put_picture("cat/1.png", 1);
    snprintf(path, sizeof path, "%s/cat/pipe.png", root);
    assert_int_equal(mkfifo(path, 0600), 0);  // to open it would wait for ever
    snprintf(path, sizeof path, "%s/cat/zero.png", root);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_loads(root, 1, 2);
    assert_told("cat/pipe.png: is not a file");
    assert_told("cat/zero.png: is not a file");
}

TEST(own_pictures_out_of_place_are_named)
{
    put_picture("cat/1.png", 1);
    put_picture("cat/old/1.png", 1);
    put_picture("stray.png", 1);
    put_picture(".hidden/1.png", 1);
    data_files_put_text(&files, "drop/cat/notes.txt", "no picture");
    assert_loads(root, 1, 2);
    assert_told("cat/old: is a folder; pictures in it are too deep");
    assert_told("stray.png: is in no class's folder");
    assert_int_equal(fl_dataset_class_count(dataset), 1);
}

TEST(own_pictures_may_be_links)
{
    char link[DATA_PATH_CAP];
    put_picture("cat/1.png", 1);
    snprintf(link, sizeof link, "%.200s/dog", root);
    assert_int_equal(symlink("cat", link), 0);
    snprintf(link, sizeof link, "%.200s/cat/gone.png", root);
    assert_int_equal(symlink("nowhere", link), 0);
    // The second folder is a class of its own; each has the dead link.
    assert_loads(root, 2, 2);
    assert_told("gone.png");
}

TEST(own_folders_that_are_numbers_are_the_classes)
{
    const char *const names[] = {"2/a.png", "10/a.png", "0/a.png"};
    for (uint8_t i = 0; i < 3; i++)
        put_picture(names[i], i);
    assert_loads(root, 3, 0);
    const uint32_t labels[] = {0, 10, 2};  // folders are in byte order
    assert_memory_equal(fl_dataset_labels(dataset), labels, sizeof labels);
    assert_int_equal(fl_dataset_class_count(dataset), 11);
    assert_null(fl_dataset_class_name(dataset, 0));
}

TEST(own_folders_without_anything_good_are_no_data)
{
    assert_err(load(root), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "has no rows");
    data_files_put_folder(&files, "drop/cat");
    assert_err(load(root), FL_ERR_NOT_FOUND);
    data_files_put_text(&files, "drop/cat/1.png", "x");
    assert_err(load(root), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "none of the 1 pictures can be read");
}

TEST(own_pictures_stop_when_asked_to)
{
    atomic_bool stop = true;
    put_picture("cat/1.png", 1);
    own.stop = &stop;
    assert_err(load(root), FL_ERR_CANCELLED);
}

/* ---- tables ---- */

TEST(own_table_leaves_the_line_that_is_being_written)
{
    assert_loads(put_table("a,label\n1,x\n2,y\n3,"), 2, 0);
    assert_loads(put_table("a,label\n1,x\n2,y\n3,x"), 2, 0);
    assert_loads(put_table("a,label\n1,x\n2,y\n\"3"), 2, 0);
    assert_loads(put_table("a,label\n1,x\n2,y\nz,x"), 2, 0);
    assert_loads(put_table("a,label\n1,x\n2,y\n3,x\n"), 3, 0);
    assert_err(load(put_table("a,lab")), FL_ERR_NOT_FOUND);
    assert_err(load(put_table("a,label\n1,x")), FL_ERR_NOT_FOUND);
}

TEST(own_table_passes_over_bad_lines)
{
    assert_loads(put_table("a,label\n1,x\nnan,y\n3\n4,\n5,y\n6,x,7\n8,x\n"), 3,
                 4);
    assert_told("line 3, column 'a': value 'nan'");
    assert_told("line 4: 1 values");
    assert_told("line 5, column 'label': value '' is empty");
    assert_told("line 7: 3 values");
    assert_int_equal(fl_dataset_record_count(dataset), 7);
    float x[3];
    fl_dataset_read(x, dataset, (uint32_t[]){0, 1, 2}, 3);
    assert_true(x[0] == 1.0F && x[1] == 5.0F && x[2] == 8.0F);
}

TEST(own_table_goes_on_behind_a_quote_out_of_place)
{
    assert_loads(put_table("a,label\n1,x\n\"2\"2,y\n3,y\n"), 2, 1);
    assert_told("line 3: a quote is out of place");
    assert_int_equal(fl_dataset_record_count(dataset), 3);
}

TEST(own_table_names_a_quote_that_stays_open)
{
    assert_loads(put_table("a,label\n1,x\n2,\"y\n3,x\n4,y\n5,x\n"), 1, 1);
    assert_told("line 3: a quote is not closed; nothing behind");
    assert_loads(put_table("a,label\n1,x\n2,\"y"), 1, 0);
}

// A class is not made of what a power cut has left of a line.
TEST(own_table_takes_no_class_from_a_bad_line)
{
    assert_loads(put_table("a,label\n1,fern\n2,fe3,reed\n4,reed\n"), 2, 1);
    assert_int_equal(fl_dataset_class_count(dataset), 2);
    assert_string_equal(fl_dataset_class_name(dataset, 0), "fern");
    assert_string_equal(fl_dataset_class_name(dataset, 1), "reed");
}

TEST(own_table_stays_with_numbers_when_one_label_is_mistyped)
{
    assert_loads(put_table("a,label\n1,0\n2,3\n3,x7\n4,1\n5,x7\n"), 3, 1);
    assert_told("class 'x7': 2 rows; the others are called by numbers");
    assert_int_equal(fl_dataset_class_count(dataset), 4);
    const uint32_t labels[] = {0, 3, 1};
    assert_memory_equal(fl_dataset_labels(dataset), labels, sizeof labels);
}

TEST(own_table_with_a_wrong_header_is_refused)
{
    assert_err(load(put_table("1,2\n3,4\n")), FL_ERR_FORMAT);
    assert_err(load(put_table("a;b\n1;2\n")), FL_ERR_FORMAT);
}

/* ---- classes that are known ---- */

TEST(own_classes_have_the_numbers_of_those_that_are_known)
{
    own.classes = "bird,dog,cat";
    put_picture("cat/1.png", 1);
    put_picture("dog/1.png", 2);
    put_picture("emu/1.png", 3);
    put_picture("emu/2.png", 4);
    assert_loads(root, 2, 1);
    assert_told("class 'emu': 2 rows; it is none of the classes");
    const uint32_t labels[] = {2, 1};
    assert_memory_equal(fl_dataset_labels(dataset), labels, sizeof labels);
    assert_int_equal(fl_dataset_class_count(dataset), 3);
    assert_string_equal(fl_dataset_class_name(dataset, 0), "bird");
    own.classes = "bird,";
    assert_err(load(root), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "no row is of a class that is known");
}

/* ---- more than there is room for ---- */

static const char *put_numbers(uint32_t count)
{
    static char text[20000];
    int len = sprintf(text, "a,label\n");
    for (uint32_t i = 0; i < count; i++)
        len += sprintf(text + len, "%u,%u\n", i, i % 3);
    return put_table(text);
}

// Which of the numbers from put_numbers are there.
static void find_numbers(bool found[1000])
{
    memset(found, 0, 1000 * sizeof *found);
    for (uint32_t row = 0; row < fl_dataset_row_count(dataset); row++) {
        float x;
        fl_dataset_read(&x, dataset, &row, 1);
        assert_int_equal(fl_dataset_labels(dataset)[row], (uint32_t)x % 3);
        found[(uint32_t)x] = true;
    }
}

TEST(own_sample_only_loses_rows_that_were_there_while_more_come)
{
    bool before[1000], now[1000];
    own.row_cap = 100;
    for (uint32_t count = 90; count <= 1000; count += 70) {
        assert_ok(load(put_numbers(count)));
        assert_in_range(fl_dataset_row_count(dataset), 25, 100);
        assert_int_equal(fl_dataset_record_count(dataset), count);
        assert_int_equal(fl_dataset_class_count(dataset), 3);
        find_numbers(now);
        for (uint32_t i = 0; count > 90 && i < count - 70; i++)
            assert_true(before[i] || !now[i]);
        memcpy(before, now, sizeof now);
    }
}

TEST(own_rows_fit_into_the_bytes_they_may_take)
{
    own.byte_cap = 20 * (4 + 16);
    assert_ok(load(put_numbers(500)));
    assert_in_range(fl_dataset_row_count(dataset), 4, 20);
    own.byte_cap = 10;
    assert_err(load(put_numbers(500)), FL_ERR_LIMIT);
    assert_reason_names(why, "one row takes 20 bytes");
}

TEST(own_sample_of_pictures_and_arrays)
{
    char name[32], spec[4 * DATA_PATH_CAP];
    uint8_t bytes[600], labels[PICTURES], values[PICTURES * 2];
    for (uint8_t i = 0; i < PICTURES; i++) {
        snprintf(name, sizeof name, "cat/%u.png", i);
        put_picture(name, i);
        labels[i] = values[2 * i] = values[2 * i + 1] = i;
    }
    own.row_cap = 10;
    assert_ok(load(root));
    assert_in_range(fl_dataset_row_count(dataset), 2, 10);
    const uint32_t sizes[] = {PICTURES, 2};
    data_files_put(&files, "i", bytes,
                   data_files_idx(bytes, sizes, 2, values, sizeof values));
    data_files_put(&files, "l", bytes,
                   data_files_idx(bytes, sizes, 1, labels, sizeof labels));
    data_files_spec(spec, &files, "idx", "i", "l");
    assert_ok(load(spec));
    const uint32_t count = fl_dataset_row_count(dataset);
    assert_in_range(count, 2, 10);
    for (uint32_t row = 0; row < count; row++) {
        float x[2];
        fl_dataset_read(x, dataset, &row, 1);
        assert_int_equal(lrintf(x[1] * 255.0F),
                         fl_dataset_labels(dataset)[row]);
    }
}

/* ---- any order of coming ---- */

static void put_numbered(uint32_t i)
{
    char name[32];
    snprintf(name, sizeof name, "%s/%u.png", i % 2 ? "odd" : "even", i);
    put_picture(name, (uint8_t)(5 * i));
}

TEST(own_rows_do_not_depend_on_the_order_in_which_files_come)
{
    uint64_t expected[PICTURES], digests[PICTURES];
    uint32_t order[PICTURES], labels[PICTURES];
    fl_random random;
    fl_random_init(&random, 5, FL_RANDOM_TEST, 0);
    own.row_cap = PICTURES / 2;
    for (uint32_t i = 0; i < PICTURES; i++) {
        order[i] = i;
        put_numbered(i);
    }
    assert_ok(load(root));
    const uint32_t count = fl_dataset_row_count(dataset);
    fl_dataset_digest_rows(expected, dataset, 7);
    memcpy(labels, fl_dataset_labels(dataset), count * sizeof *labels);
    for (int trial = 0; trial < 5; trial++) {
        char command[DATA_PATH_CAP + 32];
        snprintf(command, sizeof command, "rm -r '%s'", root);
        assert_int_equal(system(command), 0);
        fl_random_shuffle(&random, order, PICTURES);
        for (uint32_t i = 0; i < PICTURES; i++) {
            put_numbered(order[i]);
            if (i % 7 == 6) assert_int_equal(load(root) == FL_OK, 1);
        }
        assert_ok(load(root));
        assert_int_equal(fl_dataset_row_count(dataset), count);
        fl_dataset_digest_rows(digests, dataset, 7);
        assert_memory_equal(digests, expected, count * sizeof *digests);
        assert_memory_equal(fl_dataset_labels(dataset), labels,
                            count * sizeof *labels);
    }
}

TEST(own_digests_are_those_of_values_and_key)
{
    uint64_t digests[3], others[3];
    assert_loads(put_table("a,label\n1,x\n2,y\n1,y\n"), 3, 0);
    fl_dataset_digest_rows(digests, dataset, 1);
    assert_true(digests[0] == digests[2] && digests[0] != digests[1]);
    fl_dataset_digest_rows(others, dataset, 2);
    assert_true(others[0] == others[2] && others[0] != digests[0]);
}

/* ---- whether anything has changed ---- */

static uint64_t stamp(void)
{
    uint64_t now = 0;
    assert_ok(fl_own_stamp(&now, root, &own, &why));
    assert_true(now != 0);
    return now;
}

TEST(own_stamp_changes_with_every_file)
{
    put_picture("cat/1.png", 1);
    const uint64_t first = stamp();
    assert_true(stamp() == first);
    data_files_put_folder(&files, "drop/dog");
    const uint64_t second = stamp();
    assert_true(second != first);
    const char *path = put_picture("dog/1.png", 1);
    const uint64_t third = stamp();
    assert_true(third != second);
    cut_file(path, 40);
    assert_true(stamp() != third);
    assert_int_equal(unlink(path), 0);
    assert_true(stamp() == second);
    data_files_put_text(&files, "drop/.hidden", "x");
    assert_true(stamp() == second);
}

TEST(own_stamp_knows_all_formats)
{
    uint64_t first, second;
    char spec[4 * DATA_PATH_CAP];
    data_files_put_text(&files, "x.npy", "x");
    data_files_put_text(&files, "y.npy", "y");
    data_files_spec(spec, &files, "npy", "x.npy", "y.npy");
    assert_ok(fl_own_stamp(&first, spec, &own, &why));
    data_files_put_text(&files, "y.npy", "yy");
    assert_ok(fl_own_stamp(&second, spec, &own, &why));
    assert_true(first != second);
    assert_ok(fl_own_stamp(&first, "fashion-mnist", &own, &why));
    data_files_spec(spec, &files, "csv", "t.csv", NULL);
    assert_err(fl_own_stamp(&first, spec, &own, &why), FL_ERR_NOT_FOUND);
    put_table("a,label\n");
    assert_ok(fl_own_stamp(&first, spec, &own, &why));
}

TEST(own_stamp_refuses_too_many_files_and_bytes)
{
    uint64_t now;
    put_picture("cat/1.png", 1);
    put_picture("cat/2.png", 1);
    own.file_max = 4;  // with the two folders
    stamp();
    own.file_max = 3;
    assert_err(fl_own_stamp(&now, root, &own, &why), FL_ERR_LIMIT);
    assert_reason_names(why, "more than 3 files");
    own.file_max = 0;
    own.file_bytes_max = 100;
    assert_err(fl_own_stamp(&now, root, &own, &why), FL_ERR_LIMIT);
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(
    WITH_FILES(own_pictures_are_all_there_and_bad_ones_are_named),
    WITH_FILES(own_pictures_are_tried_again),
    WITH_FILES(own_pictures_have_the_size_of_most),
    WITH_FILES(own_pictures_are_files),
    WITH_FILES(own_pictures_out_of_place_are_named),
    WITH_FILES(own_pictures_may_be_links),
    WITH_FILES(own_folders_that_are_numbers_are_the_classes),
    WITH_FILES(own_folders_without_anything_good_are_no_data),
    WITH_FILES(own_pictures_stop_when_asked_to),
    WITH_FILES(own_table_leaves_the_line_that_is_being_written),
    WITH_FILES(own_table_passes_over_bad_lines),
    WITH_FILES(own_table_goes_on_behind_a_quote_out_of_place),
    WITH_FILES(own_table_names_a_quote_that_stays_open),
    WITH_FILES(own_table_takes_no_class_from_a_bad_line),
    WITH_FILES(own_table_stays_with_numbers_when_one_label_is_mistyped),
    WITH_FILES(own_table_with_a_wrong_header_is_refused),
    WITH_FILES(own_classes_have_the_numbers_of_those_that_are_known),
    WITH_FILES(own_sample_only_loses_rows_that_were_there_while_more_come),
    WITH_FILES(own_rows_fit_into_the_bytes_they_may_take),
    WITH_FILES(own_sample_of_pictures_and_arrays),
    WITH_FILES(own_rows_do_not_depend_on_the_order_in_which_files_come),
    WITH_FILES(own_digests_are_those_of_values_and_key),
    WITH_FILES(own_stamp_changes_with_every_file),
    WITH_FILES(own_stamp_knows_all_formats),
    WITH_FILES(own_stamp_refuses_too_many_files_and_bytes))
