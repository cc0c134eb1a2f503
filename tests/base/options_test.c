/* SPDX-License-Identifier: Apache-2.0 */
#include "base/options.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "tests/test.h"

static struct {
    bool json, is_private;
    uint64_t rounds, local_epochs, seed;
    double rate;
    const char *data, *out;
} set;

static const fl_option TABLE[] = {
    {NULL, "json", FL_OPTION_FLAG, &set.json, 0, 0, NULL,
     "print one JSON object"},
    {NULL, "out", FL_OPTION_TEXT, &set.out, 0, 0, "FILE",
     "write the model to FILE"},
    {"train", "rounds", FL_OPTION_COUNT, &set.rounds, 1, 1000, "N",
     "rounds to train"},
    {"train", "local-epochs", FL_OPTION_COUNT, &set.local_epochs, 1, 50, "N",
     "passes over the rows of a client in every round; more of them need "
     "fewer rounds, but let the clients drift apart"},
    {"train", "learning-rate", FL_OPTION_NUMBER, &set.rate, 0, 10, "RATE",
     "step size"},
    {"train", "seed", FL_OPTION_COUNT, &set.seed, 0, 0x1p64, "N",
     "names the run"},
    {"data", "folder", FL_OPTION_TEXT, &set.data, 0, 0, "FOLDER",
     "where the rows are"},
    {"data", "private", FL_OPTION_FLAG, &set.is_private, 0, 0, NULL,
     "keep the rows at home"},
};

enum { TABLE_LEN = sizeof TABLE / sizeof *TABLE };

static char folder[64], config[PATH_MAX];
static fl_options *options;
static fl_asked asked;
static fl_reason why;

static int set_up(void **state)
{
    (void)state;
    memset(&set, 0, sizeof set);
    set.rounds = 100;
    set.local_epochs = 3;
    set.rate = 0.01;
    set.data = "/usr/share/rows";
    set.is_private = true;
    why.text[0] = 0;
    options = NULL;
    strcpy(folder, "/tmp/fl_options_test_XXXXXX");
    if (!mkdtemp(folder)) return -1;
    return fl_path_join(config, sizeof config, folder, "a.conf") ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    fl_options_free(options);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void write_config(const char *name, const char *text)
{
    char path[PATH_MAX];
    assert_ok(fl_path_join(path, sizeof path, folder, name));
    assert_ok(fl_file_write(path, text, strlen(text), 0644, NULL));
}

static fl_err read_words(const char *config_path, char *const *words)
{
    int count = 0;
    while (words[count])
        count++;
    fl_options_free(options);
    return fl_options_read(&options, &asked, TABLE, TABLE_LEN, config_path,
                           count, words, &why);
}

#define READ(...) \
    read_words(config, (char *const[]){(char[]){"fedge"}, __VA_ARGS__ NULL})
#define WORD(text) ((char[]){text})

TEST(options_keeps_the_defaults)
{
    assert_ok(READ());
    assert_int_equal(asked, FL_ASKED_NOTHING);
    assert_int_equal(set.rounds, 100);
    assert_string_equal(set.data, "/usr/share/rows");
    assert_null(set.out);
    assert_true(set.is_private);
}

TEST(options_reads_flags_with_and_without_equals)
{
    assert_ok(READ(WORD("--rounds"), WORD("7"), WORD("--learning-rate=2.5e-3"),
                   WORD("--json"), WORD("--out"), WORD("--x y"),
                   WORD("--private=false"), ));
    assert_int_equal(set.rounds, 7);
    assert_true(set.rate > 0.00249 && set.rate < 0.00251);
    assert_true(set.json);
    assert_string_equal(set.out, "--x y");
    assert_false(set.is_private);
}

TEST(options_lets_the_last_flag_win)
{
    assert_ok(READ(WORD("--rounds=7"), WORD("--out=a"), WORD("--rounds=8"),
                   WORD("--out="), ));
    assert_int_equal(set.rounds, 8);
    assert_string_equal(set.out, "");
}

TEST(options_reads_a_file)
{
    write_config("a.conf", "\xef\xbb\xbf# comment\r\n"
                           "[train]\r\n"
                           "rounds = 12 ; as in the paper\n"
                           "\n"
                           "   local-epochs: 4\n"
                           "\tseed = 18446744073709551615\n"
                           "[data]\n"
                           "private = false\n"
                           "folder = /a b/c#d");
    assert_ok(READ());
    assert_int_equal(set.rounds, 12);
    assert_int_equal(set.local_epochs, 4);
    assert_int_equal(set.seed, UINT64_MAX);
    assert_false(set.is_private);
    assert_string_equal(set.data, "/a b/c#d");
}

TEST(options_follows_its_order_of_precedence)
{
    char drop_ins[PATH_MAX];
    assert_ok(fl_path_join(drop_ins, sizeof drop_ins, folder, "a.conf.d"));
    assert_ok(fl_folder_make(drop_ins, 0755, NULL));
    write_config("a.conf",
                 "[train]\nrounds=1\nlocal-epochs=1\nlearning-rate=1\nseed=1");
    write_config("a.conf.d/20.conf", "[train]\nlocal-epochs=20\nseed=20");
    write_config("a.conf.d/10.conf", "[train]\nlocal-epochs=10");
    write_config("a.conf.d/30.conf~", "[no such section]\nx=1");
    write_config("a.conf.d/.conf", "[no such section]\nx=1");
    setenv("FEDGE_TRAIN_SEED", "30", 1);
    setenv("FEDGE_TRAIN_LEARNING_RATE", "3", 1);
    const fl_err err = READ(WORD("--learning-rate"), WORD("4"), );
    unsetenv("FEDGE_TRAIN_SEED");
    unsetenv("FEDGE_TRAIN_LEARNING_RATE");
    assert_ok(err);
    assert_int_equal(set.rounds, 1);
    assert_int_equal(set.local_epochs, 20);
    assert_int_equal(set.seed, 30);
    assert_true(set.rate > 3.99);
}

TEST(options_reads_another_file_when_told)
{
    write_config("a.conf", "[train]\nrounds=1");
    write_config("b.conf", "[train]\nseed=5");
    char word[PATH_MAX + 10];
    snprintf(word, sizeof word, "--config=%s/b.conf", folder);
    assert_ok(READ(word, ));
    assert_int_equal(set.rounds, 100);
    assert_int_equal(set.seed, 5);
    assert_ok(read_words(NULL, (char *const[]){WORD("fedge"), word, NULL}));
}

TEST(options_refuses_a_named_file_that_is_missing)
{
    assert_err(READ(WORD("--config"), WORD("/none/such"), ), FL_ERR_FORMAT);
    assert_reason_names(why, "/none/such: no such file");
}

TEST(options_does_not_wait_for_a_pipe_in_place_of_a_file)
{
    char pipe[PATH_MAX];
    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_err(READ(WORD("--config"), pipe, ), FL_ERR_FORMAT);
    assert_reason_names(why, "pipe: is not a file");
    assert_int_equal(unlink(pipe), 0);
}

TEST(options_refuses_an_unknown_flag_and_names_the_nearest)
{
    assert_err(READ(WORD("--local-epoch"), WORD("3"), ), FL_ERR_RANGE);
    assert_reason_names(why, "--local-epochs");
    assert_err(READ(WORD("--hlep"), ), FL_ERR_RANGE);
    assert_reason_names(why, "did you mean --help?");
    assert_err(READ(WORD("--utterly-different=3"), ), FL_ERR_RANGE);
    assert_reason_names(why, "see --help");
}

TEST(options_refuses_words_that_are_no_options)
{
    char *const words[] = {WORD("word"), WORD("-j"), WORD("--"), WORD("-"),
                           WORD("")};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_err(READ(words[i], ), FL_ERR_RANGE);
        assert_reason_names(why, words[i]);
    }
}

TEST(options_refuses_a_flag_without_its_value)
{
    assert_err(READ(WORD("--rounds"), ), FL_ERR_RANGE);
    assert_reason_names(why, "--rounds N");
}

static void assert_refused(const char *key, const char *text)
{
    char word[200];
    snprintf(word, sizeof word, "--%s=%s", key, text);
    assert_err(READ(word, ), FL_ERR_RANGE);
    assert_reason_names(why, key);
    assert_int_equal(set.rounds, 100);
    assert_int_equal(set.seed, 0);
    assert_true(set.rate > 0.009 && set.rate < 0.011);
}

TEST(options_refuses_what_is_no_whole_number)
{
    const char *const texts[] = {"",
                                 " 1",
                                 "1 ",
                                 "-1",
                                 "+1",
                                 "1.0",
                                 "1e2",
                                 "0x10",
                                 "ten",
                                 "1k",
                                 "18446744073709551616",
                                 "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused("seed", texts[i]);
    assert_refused("rounds", "0");
    assert_refused("rounds", "1001");
    assert_reason_names(why, "1 to 1000");
}

TEST(options_refuses_what_is_no_number)
{
    const char *const texts[] = {"",      "nan", "inf",  "-inf",  "1e999",
                                 "0x1p3", "1,5", "1.5x", " 1",    "1 ",
                                 "1e",    "--1", ".",    "1e-999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused("learning-rate", texts[i]);
    assert_refused("learning-rate", "-0.001");
    assert_refused("learning-rate", "10.001");
    assert_reason_names(why, "0 to 10");
}

TEST(options_refuses_what_is_neither_true_nor_false)
{
    assert_err(READ(WORD("--json=yes"), ), FL_ERR_RANGE);
    assert_reason_names(why, "true or false");
    assert_false(set.json);
}

// The text as a.conf, and what the refusal has to say.
static void assert_config_refused(const char *text, const char *place,
                                  const char *remedy)
{
    write_config("a.conf", text);
    assert_err(READ(), FL_ERR_FORMAT);
    assert_reason_names(why, place);
    assert_reason_names(why, remedy);
}

TEST(options_names_file_and_line_of_a_bad_value)
{
    assert_config_refused("[train]\n\nrounds = many\n", "a.conf:3: rounds",
                          "1 to 1000");
    assert_config_refused("[data]\nprivate = no", "a.conf:2: private",
                          "true or false");
    assert_config_refused("[train]\nrounds = 3 # three", "a.conf:2",
                          "3 # three");
}

TEST(options_names_file_and_line_of_an_unknown_key)
{
    assert_config_refused("[train]\n  rounds=1\n  lokal-epochs=1\n", "a.conf:3",
                          "did you mean \"local-epochs\"?");
    assert_config_refused("[tarin]\nseed=1\n", "a.conf:2", "[train]");
    assert_config_refused("[tarin]\nx=1\n", "a.conf:2",
                          "did you mean \"train\"?");
    assert_config_refused("[data]\nseed=1\n", "a.conf:2", "[train]");
    assert_config_refused("rounds=1\n[train]\n", "a.conf:1", "[train]");
    assert_config_refused("x=1\n[train]\n", "a.conf:1", "[section]");
    assert_config_refused("[train]\nout=x\n", "a.conf:2", "unknown key");
}

TEST(options_names_file_and_line_that_is_no_ini)
{
    assert_config_refused("[train]\nrounds\n", "a.conf:2", "key = value");
    assert_config_refused("[train\nrounds=1\n", "a.conf:1", "[section]");
    assert_config_refused("[train]\nrounds=1\n  and more\n", "a.conf:3",
                          "key = value");
}

TEST(options_refuses_a_line_that_is_too_long)
{
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "[data]\nfolder=", 14);
    assert_config_refused(text, "a.conf:2", "longer than");
    text[4000] = 0;
    write_config("a.conf", text);
    assert_ok(READ());
    assert_int_equal(strlen(set.data), 4000 - 14);
}

TEST(options_refuses_a_file_that_is_no_text)
{
    char path[PATH_MAX];
    assert_ok(fl_path_join(path, sizeof path, folder, "a.conf"));
    assert_ok(fl_file_write(path, "[train]\nrounds=1\n\0x=1", 21, 0644, NULL));
    assert_err(READ(), FL_ERR_FORMAT);
    assert_reason_names(why, "zero byte");

    static char large[(1 << 20) + 1];
    memset(large, '\n', sizeof large);
    assert_ok(fl_file_write(path, large, sizeof large, 0644, NULL));
    assert_err(READ(), FL_ERR_FORMAT);
    assert_reason_names(why, "1048576");
}

TEST(options_names_the_drop_in_that_is_wrong)
{
    char drop_ins[PATH_MAX];
    assert_ok(fl_path_join(drop_ins, sizeof drop_ins, folder, "a.conf.d"));
    assert_ok(fl_folder_make(drop_ins, 0755, NULL));
    write_config("a.conf.d/x.conf", "[train]\nrounds=0");
    assert_err(READ(), FL_ERR_FORMAT);
    assert_reason_names(why, "a.conf.d/x.conf:2");
}

TEST(options_names_the_variable_that_is_wrong)
{
    setenv("FEDGE_TRAIN_LOCAL_EPOCHS", "51", 1);
    const fl_err err = READ();
    unsetenv("FEDGE_TRAIN_LOCAL_EPOCHS");
    assert_err(err, FL_ERR_FORMAT);
    assert_reason_names(why, "FEDGE_TRAIN_LOCAL_EPOCHS");
}

TEST(options_hears_a_call_for_help)
{
    assert_ok(READ(WORD("--help"), ));
    assert_int_equal(asked, FL_ASKED_HELP);
    assert_ok(READ(WORD("--version"), ));
    assert_int_equal(asked, FL_ASKED_VERSION);
    // Even beside mistakes, and without touching a default.
    assert_ok(READ(WORD("--bogus"), WORD("--rounds=5"), WORD("--help"), ));
    assert_int_equal(asked, FL_ASKED_HELP);
    assert_int_equal(set.rounds, 100);
    assert_string_equal(why.text, "");
    // But not where it is the value of something else.
    assert_ok(READ(WORD("--out"), WORD("--help"), ));
    assert_int_equal(asked, FL_ASKED_NOTHING);
    assert_string_equal(set.out, "--help");
}

TEST(options_accepts_no_reason)
{
    assert_err(fl_options_read(&options, &asked, TABLE, TABLE_LEN, NULL, 2,
                               (char *const[]){WORD("a"), WORD("b")}, NULL),
               FL_ERR_RANGE);
    fl_options_free(NULL);
}

TEST(options_teaches_what_there_is)
{
    static char help[4000];
    memset(help, 0, sizeof help);
    FILE *out = tmpfile();
    assert_non_null(out);
    fl_options_help(out, TABLE, TABLE_LEN);
    rewind(out);
    assert_true(fread(help, 1, sizeof help - 1, out) > 0);
    fclose(out);
    for (size_t i = 0; i < TABLE_LEN; i++)
        assert_non_null(strstr(help, TABLE[i].key));
    assert_non_null(strstr(help, "[train]\n  --rounds N   "));
    assert_non_null(strstr(help, "(1 to 1000, default 100)\n"));
    assert_non_null(strstr(help, "(0 to 10, default 0.01)\n"));
    assert_non_null(strstr(help, "(at least 0, default 0)\n"));
    assert_non_null(strstr(help, "(default /usr/share/rows)\n"));
    assert_non_null(strstr(help, "(default on, --private=false)\n"));
    assert_non_null(strstr(help, "--config FILE"));
    assert_non_null(strstr(help, "FEDGE_TRAIN_ROUNDS=N"));
    for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 80);
}

TEST(options_names_no_default_that_could_not_be_said)
{
    static char help[4000];
    double share = 0;
    const fl_option table[] = {{NULL, "share", FL_OPTION_NUMBER, &share, 0.25,
                                1, "X", "of what there is"}};
    memset(help, 0, sizeof help);
    FILE *out = tmpfile();
    assert_non_null(out);
    fl_options_help(out, table, 1);
    rewind(out);
    assert_true(fread(help, 1, sizeof help - 1, out) > 0);
    fclose(out);
    assert_non_null(strstr(help, "(0.25 to 1)\n"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(IN_FOLDER(options_keeps_the_defaults),
          IN_FOLDER(options_reads_flags_with_and_without_equals),
          IN_FOLDER(options_lets_the_last_flag_win),
          IN_FOLDER(options_reads_a_file),
          IN_FOLDER(options_follows_its_order_of_precedence),
          IN_FOLDER(options_reads_another_file_when_told),
          IN_FOLDER(options_refuses_a_named_file_that_is_missing),
          IN_FOLDER(options_does_not_wait_for_a_pipe_in_place_of_a_file),
          IN_FOLDER(options_refuses_an_unknown_flag_and_names_the_nearest),
          IN_FOLDER(options_refuses_words_that_are_no_options),
          IN_FOLDER(options_refuses_a_flag_without_its_value),
          IN_FOLDER(options_refuses_what_is_no_whole_number),
          IN_FOLDER(options_refuses_what_is_no_number),
          IN_FOLDER(options_refuses_what_is_neither_true_nor_false),
          IN_FOLDER(options_names_file_and_line_of_a_bad_value),
          IN_FOLDER(options_names_file_and_line_of_an_unknown_key),
          IN_FOLDER(options_names_file_and_line_that_is_no_ini),
          IN_FOLDER(options_refuses_a_line_that_is_too_long),
          IN_FOLDER(options_refuses_a_file_that_is_no_text),
          IN_FOLDER(options_names_the_drop_in_that_is_wrong),
          IN_FOLDER(options_names_the_variable_that_is_wrong),
          IN_FOLDER(options_hears_a_call_for_help),
          IN_FOLDER(options_accepts_no_reason),
          IN_FOLDER(options_teaches_what_there_is),
          IN_FOLDER(options_names_no_default_that_could_not_be_said))
