/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/chart.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
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

static void print_series(FILE *script, const fl_chart_point *points,
                         size_t count, int wants_loss)
{
    for (size_t i = 0; i < count; i++) {
        const double value =
            wants_loss ? points[i].loss : 100.0 * points[i].accuracy;
        if (isfinite(value)) {
            fprintf(script, "%u %.6g\n", points[i].round, value);
        }
    }
    fputs("e\n", script);
}

static void print_quoted(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', script);  // gnuplot doubles it
        // A new line would end the command, quotes or not.
        fputc((unsigned char)*text < ' ' ? ' ' : *text, script);
    }
    fputc('\'', script);
}

static bool has_values(const fl_chart_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isfinite(points[i].accuracy)) return true;
    }
    return false;
}

static void print_script(FILE *script, const char *title,
                         const fl_chart_point *points, size_t count)
{
    fputs("set terminal svg size 800,480 dynamic background '#ffffff' "
          "font 'sans-serif,14'\n"
          "set title ",
          script);
    print_quoted(script, title);
    fputs(" noenhanced\n"
          "set grid ytics lc rgb '#dddddd'\n"
          "set border 11\nset tics nomirror\nset key bottom right\n"
          "set xlabel 'round'\n"
          "set ylabel 'accuracy on held-out data, %'\n"
          "set y2label 'loss'\nset y2tics\nset yrange [0:100]\n"
          "set y2range [0:*]\n",
          script);
    // Without a value gnuplot has no range to draw, and refuses.
    if (!has_values(points, count)) {
        fputs("set xrange [0:1]\nset y2range [0:1]\n", script);
    }
    fputs("plot '-' with lines lw 2 lc rgb '#1f6fb4' title 'accuracy', "
          "'-' axes x1y2 with lines lw 2 lc rgb '#d97706' title 'loss'\n",
          script);
    print_series(script, points, count, 0);
    print_series(script, points, count, 1);
}

static fl_err draw(FILE *script, FILE *svg, const char *path, fl_reason *why)
{
    if (fflush(script) || fseek(script, 0, SEEK_SET)) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s: %s", path,
                             strerror(errno));
    }
    if (run_gnuplot(fileno(script), fileno(svg)) != 0) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: gnuplot could not draw the curve", path);
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

fl_err fl_chart_check(fl_reason *why)
{
    FILE *script = tmpfile();
    FILE *svg = tmpfile();
    const bool is_there =
        script && svg && run_gnuplot(fileno(script), fileno(svg)) == 0;
    if (script) fclose(script);
    if (svg) fclose(svg);
    if (is_there) return FL_OK;
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "--plot needs gnuplot: apt-get install gnuplot-nox");
}

fl_err fl_chart_write(const char *path, const char *title,
                      const fl_chart_point *points, size_t count,
                      fl_reason *why)
{
    FILE *script = tmpfile();
    FILE *svg = tmpfile();
    fl_err err;
    if (!script || !svg) {
        err = fl_reason_set(why, FL_ERR_SYSTEM, "%s: no temporary file: %s",
                            path, strerror(errno));
    } else {
        print_script(script, title, points, count);
        err = draw(script, svg, path, why);
        if (!err) err = copy_out(svg, path, why);
    }
    if (script) fclose(script);
    if (svg) fclose(svg);
    return err;
}
