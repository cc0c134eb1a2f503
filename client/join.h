/*
 * Joining a federation: makes this device's key, asks the aggregator to enrol
 * it, and writes down whom to trust and where to find it, so that
 * `fedge-client run` needs no more.
 *
 * The machine of client.h does the talking; nothing is written before the
 * aggregator has proved the key that was named and has said yes, or not yet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_JOIN_H
#define FL_CLIENT_JOIN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/options.h"
#include "base/reason.h"

typedef struct {
    const char *address;     // tcp://HOST:PORT or HOST:PORT
    const char *state;       // folder
    const char *pin;         // 64 hexadecimal digits; NULL: of the folder
    const char *authority;   // likewise; NULL: of the folder, or the first
    const char *token;       // "-": from standard input; NULL: none
    const char *token_file;  // or from there; or NULL
    const char *name;        // wanted; NULL: any
    double wait_s;           // for an answer
    bool is_json;
} fl_join_options;

/*
 * Returns an exit code: FL_EXIT_OK when it is enrolled or waits to be,
 * FL_EXIT_REFUSED, FL_EXIT_TEMPORARY when nobody has answered, FL_EXIT_USAGE,
 * FL_EXIT_CONFIG, FL_EXIT_FAILED; *why says why.
 */
int fl_join_run(FILE *out, const fl_join_options *options, fl_reason *why);

/*
 * Takes the secret of --token out of the command line, where every user of this
 * machine can read it; the option still has its value. Call it first of all.
 */
void fl_join_hide_token(int argc, char **argv);

#endif
