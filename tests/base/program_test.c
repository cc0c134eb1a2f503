/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/test.h"

// What one run of a program gives: its exit code and what it prints.
static struct {
    int code;
    char out[4000], err[1000];
} ran;

static const char *log_level;
static uint64_t rounds;
static const uint64_t *served;  // the settings that a command was given
static int calls;

static int serve(const void *settings, fl_reason *why)
{
    (void)why;
    served = settings;
    calls++;
    fl_log(FL_LOG_INFO, "served", NULL);
    return FL_EXIT_OK;
}

static int give_up(const void *settings, fl_reason *why)
{
    (void)settings;
    (void)!fl_reason_set(why, FL_ERR_SYSTEM, "the port is taken");
    return FL_EXIT_FAILED;
}

static int ask_in_vain(const void *settings, fl_reason *why)
{
    (void)settings;
    (void)why;
    return FL_EXIT_NOT_RUNNING;
}

static const char *letter, *shown;
static bool is_long;

static int show(const void *settings, fl_reason *why)
{
    (void)settings;
    (void)why;
    shown = letter;
    return FL_EXIT_OK;
}

static const fl_option SHOW_OPTIONS[] = {
    {NULL, "long", FL_OPTION_FLAG, &is_long, 0, 0, NULL, "all of it"}};

static const fl_command COMMANDS[] = {
    {.name = "serve", .run = serve},
    {.name = "fail", .run = give_up},
    {.name = "ask", .run = ask_in_vain},
    {.name = "show",
     .run = show,
     .usage = "usage: fedge-test show FILE [OPTION]...\n\n",
     .options = SHOW_OPTIONS,
     .option_count = 1,
     .operand = "FILE",
     .word = &letter},
};
static const fl_command ONLY[] = {{.run = serve}};

static fl_program make_program(void)
{
    static fl_option table[2];
    table[0] = (fl_option){"test", "rounds", FL_OPTION_COUNT, &rounds, 0,
                           9,      "N",      "how often"};
    table[1] = (fl_option){
        "test", "log-level", FL_OPTION_TEXT, &log_level,
        0,      0,           "LEVEL",        "error, warn, info or debug"};
    return (fl_program){
        .name = "fedge-test",
        .summary = "test",
        .usage = "usage: fedge-test serve [OPTION]...\n\n",
        .options = table,
        .option_count = 2,
        .commands = COMMANDS,
        .command_count = 4,
        .log_level = &log_level,
        .settings = &rounds,
    };
}

static int reset(void **state)
{
    (void)state;
    memset(&ran, 0, sizeof ran);
    log_level = "warn";
    rounds = 3;
    served = NULL;
    calls = 0;
    letter = shown = NULL;
    is_long = false;
    return 0;
}

static void read_back(char *dst, size_t dst_cap, FILE *file)
{
    rewind(file);
    dst[fread(dst, 1, dst_cap - 1, file)] = 0;
    fclose(file);
}

// Splits the line at its blanks. Standard output and standard error go to
// files meanwhile.
static void run(const fl_program *program, const char *line)
{
    static char words[200];
    char *argv[9];
    int argc = 0;
    snprintf(words, sizeof words, "%s %s", program->name, line);
    for (char *at = strtok(words, " "); at; at = strtok(NULL, " "))
        argv[argc++] = at;
    argv[argc] = NULL;

    FILE *out = tmpfile();
    FILE *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    fflush(stdout);
    const int old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    ran.code = fl_program_main(program, argc, argv);
    fflush(stdout);
    dup2(old_out, STDOUT_FILENO);
    dup2(old_err, STDERR_FILENO);
    close(old_out);
    close(old_err);
    read_back(ran.out, sizeof ran.out, out);
    read_back(ran.err, sizeof ran.err, err);
}

static void run_line(const char *line)
{
    const fl_program program = make_program();
    run(&program, line);
}

static void assert_complaint(const char *word)
{
    assert_memory_equal(ran.err, "fedge-test: ", 12);
    assert_non_null(strstr(ran.err, word));
    assert_ptr_equal(strchr(ran.err, '\n'), ran.err + strlen(ran.err) - 1);
    assert_string_equal(ran.out, "");
    assert_int_equal(calls, 0);
}

TEST(program_runs_the_command_that_is_named)
{
    run_line("serve --rounds 7");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_int_equal(calls, 1);
    assert_ptr_equal(served, &rounds);
    assert_int_equal(rounds, 7);
}

TEST(program_is_silent_when_all_went_well)
{
    run_line("serve");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_string_equal(ran.out, "");
    assert_string_equal(ran.err, "");
}

TEST(program_logs_from_the_level_that_is_asked_for)
{
    run_line("serve --log-level info");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_non_null(strstr(ran.err, "event=served"));
}

TEST(program_says_why_a_command_failed)
{
    run_line("fail");
    assert_int_equal(ran.code, FL_EXIT_FAILED);
    assert_string_equal(ran.err, "fedge-test: the port is taken\n");
}

TEST(program_passes_an_exit_code_on_without_a_sentence)
{
    run_line("ask");
    assert_int_equal(ran.code, FL_EXIT_NOT_RUNNING);
    assert_string_equal(ran.err, "");
}

TEST(program_refuses_an_unknown_command)
{
    run_line("server");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("server is not a command; see --help");
}

TEST(program_asks_for_a_command_when_none_is_named)
{
    run_line("");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("--help");
    run_line("--rounds 1");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("--help");
}

TEST(program_without_commands_takes_options_alone)
{
    fl_program program = make_program();
    program.commands = ONLY;
    program.command_count = 1;
    run(&program, "--rounds 4");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_int_equal(calls, 1);
    assert_int_equal(rounds, 4);
    calls = 0;
    run(&program, "serve");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("serve");
}

TEST(program_refuses_bad_usage)
{
    run_line("serve --rounds 10");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("--rounds");
    run_line("serve --round 1");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("--round");
    run_line("serve --log-level loud");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("--log-level loud");
}

TEST(program_tells_a_bad_configuration_from_bad_usage)
{
    setenv("FEDGE_TEST_ROUNDS", "many", 1);
    run_line("serve");
    unsetenv("FEDGE_TEST_ROUNDS");
    assert_int_equal(ran.code, FL_EXIT_CONFIG);
    assert_complaint("FEDGE_TEST_ROUNDS");

    char path[] = "/tmp/fl_program_test_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[test]\nround = 1\n", 17), 17);
    close(fd);
    char line[80];
    snprintf(line, sizeof line, "serve --config %s", path);
    run_line(line);
    unlink(path);
    assert_int_equal(ran.code, FL_EXIT_CONFIG);
    assert_complaint(":2");
}

TEST(program_answers_help_and_version_with_or_without_a_command)
{
    run_line("--help");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_memory_equal(ran.out, "usage: fedge-test", 17);
    assert_non_null(strstr(ran.out, "--rounds"));
    assert_string_equal(ran.err, "");
    run_line("fail --help");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_memory_equal(ran.out, "usage: fedge-test", 17);
    run_line("--version");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_string_equal(ran.out, "fedge-test " FL_VERSION "\n");
    assert_string_equal(ran.err, "");
    assert_int_equal(calls, 0);
}

TEST(program_gives_a_command_its_word_and_its_own_options)
{
    run_line("show letter.txt --long");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_string_equal(shown, "letter.txt");
    assert_true(is_long);
    run_line("show - --long");  // standard input
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_string_equal(shown, "-");
    run_line("show letter.txt --rounds 1");  // the program's, not show's
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("--rounds");
}

TEST(program_asks_for_the_word_that_a_command_needs)
{
    run_line("show --long");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("show needs a FILE");
    assert_null(shown);
    run_line("show one two");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("two");
    run_line("serve letter.txt");  // takes none
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_complaint("letter.txt");
}

TEST(program_answers_the_help_of_a_command)
{
    run_line("show --help");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_memory_equal(ran.out, "usage: fedge-test show FILE", 27);
    assert_non_null(strstr(ran.out, "--long"));
    assert_null(strstr(ran.out, "--rounds"));
}

#define AFRESH(test) cmocka_unit_test_setup(test, reset)

TEST(program_has_its_state_where_systemd_says)
{
    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
    assert_string_equal(fl_program_state("/var/lib/x"), "/var/lib/x");
    assert_int_equal(setenv("STATE_DIRECTORY", "/srv/x", 1), 0);
    assert_string_equal(fl_program_state("/var/lib/x"), "/srv/x");
    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

TEST(program_tells_itself_in_other_forms)
{
    const fl_program program = make_program();
    run(&program, "show --help=man");
    assert_int_equal(ran.code, FL_EXIT_OK);
    assert_non_null(strstr(ran.out, ".TH FEDGE"));
    run(&program, "--help=bash");
    assert_non_null(strstr(ran.out, "complete -o default"));
    run(&program, "--help=zsh");
    assert_non_null(strstr(ran.out, "#compdef"));
    run(&program, "--help=conf");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_non_null(strstr(ran.err, "no configuration file"));
    run(&program, "show --help=html");
    assert_int_equal(ran.code, FL_EXIT_USAGE);
    assert_non_null(strstr(ran.err, "not man, bash, zsh or conf"));
}

RUN_TESTS(AFRESH(program_runs_the_command_that_is_named),
          AFRESH(program_is_silent_when_all_went_well),
          AFRESH(program_logs_from_the_level_that_is_asked_for),
          AFRESH(program_says_why_a_command_failed),
          AFRESH(program_passes_an_exit_code_on_without_a_sentence),
          AFRESH(program_refuses_an_unknown_command),
          AFRESH(program_asks_for_a_command_when_none_is_named),
          AFRESH(program_without_commands_takes_options_alone),
          AFRESH(program_refuses_bad_usage),
          AFRESH(program_tells_a_bad_configuration_from_bad_usage),
          AFRESH(program_answers_help_and_version_with_or_without_a_command),
          AFRESH(program_gives_a_command_its_word_and_its_own_options),
          AFRESH(program_asks_for_the_word_that_a_command_needs),
          AFRESH(program_answers_the_help_of_a_command),
          AFRESH(program_has_its_state_where_systemd_says),
          AFRESH(program_tells_itself_in_other_forms))
