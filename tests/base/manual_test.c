/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manual.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

static uint64_t rounds;
static double share, rate;
static const char *data, *out;
static bool is_private;

static const fl_option OPTIONS[] = {
    {"train", "rounds", FL_OPTION_COUNT, &rounds, 1, 1000, "N",
     "rounds to train"},
    {"train", "share", FL_OPTION_NUMBER, &share, 0.5, 1, "X",
     "of what there is; without it all"},
    {"train", "rate", FL_OPTION_NUMBER, &rate, 0, 1, "X", "step size"},
    {"data", "folder", FL_OPTION_TEXT, &data, 0, 0, "DIR",
     "where the client's rows are: [here] or \\\\there"},
    {"data", "private", FL_OPTION_FLAG, &is_private, 0, 0, NULL,
     "keep the rows at home"},
    {NULL, "out", FL_OPTION_TEXT, &out, 0, 0, "FILE", "write there"},
};
static const fl_option OWN[] = {
    {"show", "long", FL_OPTION_FLAG, &is_private, 0, 0, NULL, "all of it"}};

enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

static const char USAGE[] = "usage: fedge-test run [OPTION]...\n"
                            "       fedge-test show FILE\n"
                            "            [--long]\n\n"
                            "run     .begins\n"
                            "        at once\n\n"
                            "Says 'all' of it.\n\n"
                            "At home:\n\n"
                            "  fedge-test run --rounds 3\n\n";

static const fl_command COMMANDS[] = {
    {.name = "run"},
    {.name = "show",
     .usage = "usage: fedge-test show FILE [--long]\n\nShows it.\n\n",
     .options = OWN,
     .option_count = 1},
};
static const fl_manual_entry VARIABLES[] = {{"NO_COLOR", "no colours"}, {0}};
static const fl_manual_entry FILES[] = {{"/var/lib/test", "its work"}, {0}};

static const fl_program PROGRAM = {
    .name = "fedge-test",
    .summary = "test what it says",
    .config_path = "/etc/fedge/test.conf",
    .usage = USAGE,
    .options = OPTIONS,
    .option_count = OPTION_COUNT,
    .commands = COMMANDS,
    .command_count = 2,
    .variables = VARIABLES,
    .files = FILES,
};

static char said[20000];

static int set_up(void **state)
{
    (void)state;
    rounds = 100;
    share = -1;
    rate = 0.1;
    data = "/srv/rows";
    is_private = true;
    return setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
}

static void say(void (*print)(FILE *, const fl_program *),
                const fl_program *program)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    print(file, program);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = 0;
    fclose(file);
}

#define assert_said(text)     assert_non_null(strstr(said, text))
#define assert_not_said(text) assert_null(strstr(said, text))

TEST(manual_has_a_page_with_all_sections)
{
    say(fl_manual_page, &PROGRAM);
    assert_said(".TH FEDGE\\-TEST 1 \"2023-11-14\" \"fedge ");
    assert_said(".SH NAME\nfedge\\-test \\- test what it says\n");
    assert_said(".SH \"SYNOPSIS\"\n\\fBfedge\\-test\\fP run [OPTION]...\n.br\n"
                "\\fBfedge\\-test\\fP show FILE\n[\\-\\-long]\n");
    assert_said(".SH \"OPTIONS\"\n.SS \"[train]\"\n.TP\n"
                "\\fB\\-\\-rounds\\fP \\fIN\\fP\n"
                "rounds to train (1 to 1000, default 100)\n");
    assert_said("\\fB\\-\\-share\\fP \\fIX\\fP\n"
                "of what there is; without it all (0.5 to 1)\n");
    assert_said("such as FEDGE_TRAIN_ROUNDS=N for \\-\\-rounds");
    assert_said("\\fBNO_COLOR\\fP\nno colours\n");
    assert_said("\\fB/etc/fedge/test.conf.d/*.conf\\fP\n");
    assert_said("\\fB/var/lib/test\\fP\nits work\n");
    assert_said("\\fB78\\fP\n");
    assert_said("\\fBfedge\\-client\\fP(1),\n");
}

TEST(manual_has_no_date_that_nobody_said)
{
    unsetenv("SOURCE_DATE_EPOCH");
    say(fl_manual_page, &PROGRAM);
    assert_said(".TH FEDGE\\-TEST 1 \"\" ");
}

TEST(manual_shows_tables_as_they_are_and_fills_paragraphs)
{
    say(fl_manual_page, &PROGRAM);
    assert_said(".SH \"DESCRIPTION\"\n.EX\nrun     .begins\n        at once\n"
                ".EE\n.PP\nSays \\(aqall\\(aq of it.\n");
    assert_said(".SH \"EXAMPLES\"\nAt home:\n.PP\n.EX\n"
                "  fedge\\-test run \\-\\-rounds 3\n.EE\n");
}

TEST(manual_gives_a_command_its_own_options)
{
    say(fl_manual_page, &PROGRAM);
    assert_said(".SH \"COMMANDS\"\n.SS \"fedge\\-test show\"\n"
                "\\fBfedge\\-test\\fP show FILE [\\-\\-long]\n.PP\nShows it.\n"
                ".TP\n\\fB\\-\\-long\\fP\n");
    assert_not_said("fedge\\-test run\"");
}

TEST(manual_of_a_tool_knows_no_daemon)
{
    fl_program tool = PROGRAM;
    tool.config_path = NULL;
    tool.files = NULL;
    say(fl_manual_page, &tool);
    assert_not_said("FILES");
    assert_not_said("not running");
    assert_said("\\fB2\\fP\n");
}

TEST(manual_comments_out_all_keys_of_a_file)
{
    say(fl_manual_config, &PROGRAM);
    assert_said("\n[train]\n\n# rounds to train (1 to 1000)\n#rounds = 100\n");
    assert_said("# of what there is; without it all (0.5 to 1)\n# share = X\n");
    assert_said("#private = true\n");
    assert_not_said("write there");
    for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(line[0] == '#' || line[0] == '[');
        assert_true(strlen(line) <= 80);
    }
}

// The file with its first character taken off each key, read over variables
// that hold something else.
TEST(manual_writes_a_file_that_sets_the_defaults)
{
    char path[] = "/tmp/fl_manual_test_XXXXXX", *words[] = {said};
    fl_options *options = NULL;
    fl_asked asked;
    fl_reason why;
    say(fl_manual_config, &PROGRAM);
    for (char *at = said; (at = strstr(at, "\n#")); at++) {
        if (at[2] != ' ' && at[2] != '\n') at[1] = ' ';
    }
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(fl_file_write(path, said, strlen(said), 0600, NULL));
    rounds = 7;
    rate = 0.5;
    data = NULL;
    is_private = false;
    assert_ok(fl_options_read(&options, &asked, OPTIONS, OPTION_COUNT, path, 1,
                              words, &why));
    remove(path);
    assert_int_equal(rounds, 100);
    assert_true(rate == 0.1);
    assert_true(share == -1);
    assert_string_equal(data, "/srv/rows");
    assert_true(is_private);
    fl_options_free(options);
}

TEST(manual_completes_commands_and_options_in_bash)
{
    say(fl_manual_bash, &PROGRAM);
    assert_said("    show)\n        options=\" --long --config --help "
                "--version\"\n");
    assert_said("    *)\n        options=\" --rounds --share ");
    assert_said("compgen -W \"run show\"");
    assert_said("complete -o default -F _fedge_test fedge-test\n");
}

TEST(manual_quotes_what_zsh_would_read)
{
    say(fl_manual_zsh, &PROGRAM);
    assert_said("#compdef fedge-test\n");
    assert_said("compadd run show\n");
    assert_said("'--rounds[rounds to train]:N: '");
    assert_said("'--folder[where the client'\\''s rows are\\: \\[here\\] or "
                "\\\\\\\\there]:DIR:_files'");
}

#define FRESH(test) cmocka_unit_test_setup(test, set_up)

RUN_TESTS(FRESH(manual_has_a_page_with_all_sections),
          FRESH(manual_has_no_date_that_nobody_said),
          FRESH(manual_shows_tables_as_they_are_and_fills_paragraphs),
          FRESH(manual_gives_a_command_its_own_options),
          FRESH(manual_of_a_tool_knows_no_daemon),
          FRESH(manual_comments_out_all_keys_of_a_file),
          FRESH(manual_writes_a_file_that_sets_the_defaults),
          FRESH(manual_completes_commands_and_options_in_bash),
          FRESH(manual_quotes_what_zsh_would_read))
