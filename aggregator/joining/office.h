/*
 * What fedge-aggregator's commands about tokens and clients share: the state
 * folder, beside an aggregator that runs there or without one, and what is
 * known of that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_OFFICE_H
#define FL_AGGREGATOR_JOINING_OFFICE_H

#include <stdio.h>

#include "aggregator/joining/meeting.h"
#include "aggregator/joining/registry.h"
#include "base/json.h"

/* As the command line and the configuration say; texts may be NULL. */
typedef struct {
    const char *state, *listen, *address, *join, *enrolment;
    const char *ttl, *name, *revoke;  // of tokens
    uint64_t uses;
    bool lists_tokens, is_json;
} fl_office_options;

typedef struct {
    const fl_office_options *options;
    fl_store *store;
    fl_join_mode mode;  // of the aggregator that ran last, else of the options
    char address[FL_MEETING_CAP];
    bool is_running;
} fl_office;

/* Errors of fl_store_open_beside and fl_join_mode_parse; FL_ERR_NOT_FOUND:
 * there is no such state, and none is to be made. fl_office_close, also after
 * an error. */
FL_CHECK fl_err fl_office_open(fl_office *office,
                               const fl_office_options *options, bool may_make,
                               fl_reason *why);

/* Accepts one that is all zeros. */
void fl_office_close(fl_office *office);

enum { FL_OFFICE_TIME_CAP = 32 };

/* "2026-11-22 18:09" in UTC; "never" for 0. */
void fl_office_time(char dst[FL_OFFICE_TIME_CAP], int64_t wall_ms);

/* Prints one line and frees it. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_office_print(FILE *out, fl_json *line, fl_reason *why);

/* ---- the commands ---- */

/*
 * Makes a token and prints the line that uses it, or lists tokens, or revokes
 * one. Errors as above and of the registry; FL_ERR_RANGE: --ttl, --name.
 */
FL_CHECK fl_err fl_office_token(FILE *out, const fl_office_options *options,
                                fl_reason *why);

/*
 * words[0]: list, approve, revoke or rename; behind it whom. FL_ERR_STATE: the
 * words do not fit (a usage error).
 */
FL_CHECK fl_err fl_office_clients(FILE *out, const fl_office_options *options,
                                  char *const *words, size_t word_count,
                                  fl_reason *why);

#endif
