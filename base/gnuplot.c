/* SPDX-License-Identifier: Apache-2.0 */
#include "base/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

extern char **environ;

// gnuplot reads the script from `script` and draws to `svg`; -1: not started.
static int run_gnuplot(int script, int svg)
{
    char name[] = "gnuplot", from_stdin[] = "-";
    char *const argv[] = {name, from_stdin, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;
    if (posix_spawn_file_actions_init(&actions)) return -1;
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (posix_spawn_file_actions_adddup2(&actions, script, 0) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, svg, 1) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, null, 2) == 0 &&
        posix_spawnp(&child, "gnuplot", &actions, NULL, argv, environ) == 0) {
        pid_t ended;
        do {
            ended = waitpid(child, &status, 0);
        } while (ended < 0 && errno == EINTR);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (null >= 0) close(null);
    return status;
}

fl_err fl_gnuplot_check(const char *option, fl_reason *why)
{
    FILE *script = tmpfile();
    FILE *svg = tmpfile();
    const bool is_there =
        script && svg && run_gnuplot(fileno(script), fileno(svg)) == 0;
    if (script) fclose(script);
    if (svg) fclose(svg);
    if (is_there) return FL_OK;
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "%s: gnuplot, which draws it, is not installed: "
                         "apt-get install gnuplot-nox",
                         option);
}

/* ---- scripts ---- */

void fl_gnuplot_print_text(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', script);  // gnuplot doubles it
        // A new line would end the command, quotes or not.
        fputc((unsigned char)*text < ' ' ? ' ' : *text, script);
    }
    fputc('\'', script);
}

void fl_gnuplot_print_head(FILE *script, const char *title)
{
    fputs("set terminal svg size 800,480 dynamic background '#ffffff' "
          "font 'sans-serif,14'\n"
          "set title ",
          script);
    fl_gnuplot_print_text(script, title);
    fputs(" noenhanced\n"
          "set grid ytics lc rgb '#dddddd'\n"
          "set tics nomirror\n",
          script);
}

/* ---- to a file ---- */

static fl_err refuse_temporary(const char *path, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s: no temporary file: %s", path,
                         strerror(errno));
}

fl_err fl_gnuplot_begin(FILE **script, const char *path, fl_reason *why)
{
    *script = tmpfile();
    return *script ? FL_OK : refuse_temporary(path, why);
}

static fl_err draw(FILE *script, FILE *svg, const char *path, fl_reason *why)
{
    if (fflush(script) || fseek(script, 0, SEEK_SET)) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s: %s", path,
                             strerror(errno));
    }
    if (run_gnuplot(fileno(script), fileno(svg)) != 0) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: gnuplot could not draw it", path);
    }
    return FL_OK;
}

static fl_err copy_out(FILE *svg, const char *path, fl_reason *why)
{
    fl_err err = FL_ERR_SYSTEM;
    char *bytes = NULL;
    const long len = fseek(svg, 0, SEEK_END) ? -1 : ftell(svg);
    if (len > 0 && fseek(svg, 0, SEEK_SET) == 0) bytes = malloc((size_t)len);
    if (bytes && fread(bytes, 1, (size_t)len, svg) == (size_t)len) {
        err = fl_file_write(path, bytes, (size_t)len, 0644, why);
    } else {
        fl_reason_set(why, err, "%s: gnuplot drew nothing", path);
    }
    free(bytes);
    return err;
}

fl_err fl_gnuplot_finish(FILE *script, const char *path, fl_reason *why)
{
    FILE *svg = tmpfile();
    fl_err err = svg ? FL_OK : refuse_temporary(path, why);
    if (!err) err = draw(script, svg, path, why);
    if (!err) err = copy_out(svg, path, why);
    if (svg) fclose(svg);
    fclose(script);
    return err;
}
