/*
 * What client and trainer say to each other; the lines of docs/trainer.md are
 * what is said.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client/trainer/talk.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "client/trainer/argv.h"
#include "client/trainer/lines.h"
#include "tests/test.h"

static fl_talk_report report;
static fl_reason why;

static fl_err decode(const char *line)
{
    return fl_talk_decode(&report, line, strlen(line), &why);
}

// The task that docs/trainer.md shows.
static char *example(void)
{
    static const fl_plan plan = {.round = 12,
                                 .local_epochs = 2,
                                 .batch = 32,
                                 .lr = 0.125F,
                                 .momentum = 0.5F,
                                 .schedule_factor = 1};
    const fl_talk_task task = {.plan = &plan,
                               .seed = 6912017394206141,
                               .seconds = 270,
                               .threads = 4,
                               .row_count = 600,
                               .class_count = 10,
                               .input = {28, 28, 1},
                               .dataset = "fashion-mnist"};
    char *line = NULL;
    assert_ok(fl_talk_encode(&line, &task));
    return line;
}

/* ---- the document ---- */

// The lines of a block ```WORD, as one.
static char *block(char *text, const char *word)
{
    char fence[32];
    snprintf(fence, sizeof fence, "\n```%s\n", word);
    char *begin = strstr(text, fence);
    assert_non_null(begin);
    begin += strlen(fence);
    char *end = strstr(begin, "```");
    assert_non_null(end);
    *end = 0;
    return begin;
}

static char *read_document(void)
{
    uint8_t *text = NULL;
    size_t len;
    assert_ok(fl_file_read(&text, &len, "docs/trainer.md", 1 << 20, &why));
    return (char *)text;
}

TEST(talk_of_the_document_is_the_task)
{
    char *text = read_document(), *line = example();
    char *shown = block(text, "task");
    char *to = shown;
    for (const char *from = shown; *from; from++) {
        if (*from != '\n') *to++ = *from;
    }
    *to = 0;
    assert_string_equal(shown, line);
    free(text);
    free(line);
}

TEST(talk_of_the_document_is_understood)
{
    char *text = read_document();
    unsigned kinds[3] = {0};
    char *rest = NULL;
    for (char *line = strtok_r(block(text, "reports"), "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        assert_ok(decode(line));
        kinds[report.kind]++;
    }
    assert_true(kinds[FL_TALK_PROGRESS] > 0);
    assert_true(kinds[FL_TALK_DONE] > 0);
    assert_true(kinds[FL_TALK_FAILED] > 0);
    free(text);
}

/* ---- reports ---- */

TEST(talk_reads_reports)
{
    assert_ok(
        decode("{\"version\":1,\"type\":\"progress\",\"step\":3,"
               "\"steps\":40,\"note\":\"what is not known is ignored\"}"));
    assert_int_equal(report.kind, FL_TALK_PROGRESS);
    assert_int_equal(report.step, 3);
    assert_int_equal(report.step_count, 40);
    assert_ok(decode("{\"version\":1,\"type\":\"done\",\"examples\":600,"
                     "\"loss\":1,\"accuracy\":0.25}"));
    assert_int_equal(report.kind, FL_TALK_DONE);
    assert_int_equal(report.example_count, 600);
    assert_true(report.loss >= 1 && report.loss <= 1);
    assert_true(report.accuracy >= 0.25 && report.accuracy <= 0.25);
    assert_ok(decode("{\"version\":1,\"type\":\"failed\",\"why\":\"no GPU\"}"));
    assert_string_equal(report.why.text, "no GPU");
}

#define V1 "{\"version\":1,\"type\":"

TEST(talk_that_is_wrong_is_refused)
{
    static const struct {
        const char *line;
        fl_err err;
        const char *word;
    } cases[] = {
        {"Epoch 1/10", FL_ERR_FORMAT, "no JSON object: Epoch 1/10"},
        {"[1]", FL_ERR_FORMAT, "no JSON object"},
        {"{}", FL_ERR_FORMAT, "without version"},
        {"{\"version\":\"1\"}", FL_ERR_FORMAT, "without version"},
        {"{\"version\":2,\"type\":\"done\"}", FL_ERR_UNSUPPORTED, "version 2"},
        {"{\"version\":1}", FL_ERR_FORMAT, "without type"},
        {V1 "\"hello\"}", FL_ERR_FORMAT, "type \"hello\""},
        {V1 "\"progress\"}", FL_ERR_FORMAT, "step and steps"},
        {V1 "\"progress\",\"step\":-1,\"steps\":3}", FL_ERR_FORMAT, "step"},
        {V1 "\"progress\",\"step\":4,\"steps\":3}", FL_ERR_RANGE, "beyond"},
        {V1 "\"done\"}", FL_ERR_FORMAT, "examples"},
        {V1 "\"done\",\"examples\":1.5}", FL_ERR_FORMAT, "examples"},
        {V1 "\"done\",\"examples\":1}", FL_ERR_FORMAT, "loss and accuracy"},
        {V1 "\"done\",\"examples\":1,\"loss\":null,\"accuracy\":1}",
         FL_ERR_FORMAT, "loss and accuracy"},
        {V1 "\"done\",\"examples\":1,\"loss\":NaN,\"accuracy\":1}",
         FL_ERR_FORMAT, "no JSON object"},
        {V1 "\"done\",\"examples\":1,\"loss\":1e999,\"accuracy\":1}",
         FL_ERR_FORMAT, "no JSON object"},
        {V1 "\"done\",\"examples\":0,\"loss\":1,\"accuracy\":1}", FL_ERR_RANGE,
         "no examples"},
        {V1 "\"done\",\"examples\":1,\"loss\":1,\"accuracy\":1.5}",
         FL_ERR_RANGE, "accuracy 1.5"},
        {V1 "\"failed\"}", FL_ERR_FORMAT, "why"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_err(decode(cases[i].line), cases[i].err);
        assert_reason_names(why, cases[i].word);
    }
}

/* ---- lines ---- */

typedef struct {
    char text[256];
    unsigned count, cut_count;
    size_t last_len;
} heard;

static fl_err hear(void *self, const fl_lines *line)
{
    heard *h = self;
    h->count++;
    h->cut_count += line->is_cut;
    h->last_len = line->len;
    snprintf(h->text, sizeof h->text, "%.200s", line->text);
    return strcmp(line->text, "stop") == 0 ? FL_ERR_STATE : FL_OK;
}

TEST(talk_comes_in_pieces)
{
    static fl_lines lines;
    heard h = {.count = 0};
    assert_ok(fl_lines_add(&lines, "one\ntw", 6, hear, &h));
    assert_int_equal(h.count, 1);
    assert_string_equal(h.text, "one");
    assert_ok(fl_lines_add(&lines, "o\n\nthree", 8, hear, &h));
    assert_int_equal(h.count, 3);
    assert_ok(fl_lines_finish(&lines, hear, &h));
    assert_string_equal(h.text, "three");
    assert_ok(fl_lines_finish(&lines, hear, &h));
    assert_int_equal(h.count, 4);
    assert_err(fl_lines_add(&lines, "a\nstop\nb\n", 9, hear, &h), FL_ERR_STATE);
    assert_string_equal(h.text, "stop");
}

TEST(talk_that_is_too_long_is_cut)
{
    static fl_lines lines;
    static char much[3 * FL_LINES_CAP];
    heard h = {.count = 0};
    memset(much, 'x', sizeof much);
    assert_ok(fl_lines_add(&lines, much, sizeof much, hear, &h));
    assert_ok(fl_lines_add(&lines, much, sizeof much, hear, &h));
    assert_int_equal(h.count, 0);
    assert_ok(fl_lines_add(&lines, "\nshort\n", 7, hear, &h));
    assert_int_equal(h.count, 2);
    assert_int_equal(h.cut_count, 1);
    assert_int_equal(h.last_len, 5);
}

/* ---- command lines ---- */

TEST(talk_begins_with_a_command_line_of_words)
{
    fl_argv argv;
    assert_ok(fl_argv_split(
        &argv, "  /bin/sh   -c \"two words\" x\"y z\"  \"\" ", &why));
    static const char *const words[] = {"/bin/sh", "-c", "two words", "xy z",
                                        ""};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(argv.words[i], words[i]);
    assert_null(argv.words[5]);
    fl_argv_fini(&argv);
    static char many[4 * FL_ARGV_WORDS_MAX] = "/a";
    for (size_t i = 2; i + 1 < sizeof many; i++)
        many[i] = i % 2 ? 'b' : ' ';
    assert_err(fl_argv_split(&argv, many, &why), FL_ERR_RANGE);
    assert_reason_names(why, "more than 64 words");
}

RUN_TESTS(cmocka_unit_test(talk_of_the_document_is_the_task),
          cmocka_unit_test(talk_of_the_document_is_understood),
          cmocka_unit_test(talk_reads_reports),
          cmocka_unit_test(talk_that_is_wrong_is_refused),
          cmocka_unit_test(talk_comes_in_pieces),
          cmocka_unit_test(talk_that_is_too_long_is_cut),
          cmocka_unit_test(talk_begins_with_a_command_line_of_words))
