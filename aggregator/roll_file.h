/*
 * Where an aggregator has its enrolment list from.
 *
 *   --enrolment FILE        a list that an authority elsewhere has signed
 *   STATE/enrolment.list    or its own, of everybody who came, signed with
 *   STATE/authority.key     the authority's key, which is then here
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_ROLL_FILE_H
#define FL_AGGREGATOR_ROLL_FILE_H

#include "secure/secure.h"

typedef struct {
    fl_identity authority;
    bool holds_authority;  // anybody is let in
    uint8_t *list;         // NULL: none yet
    size_t list_len;
} fl_roll_file;

/*
 * Reads the list `path`, or with NULL the folder's own (none yet is fine) and
 * its authority's key, which is made when missing. fl_roll_file_fini.
 * FL_ERR_NOT_FOUND, FL_ERR_LIMIT, FL_ERR_SYSTEM; errors of fl_identity_open.
 */
FL_CHECK fl_err fl_roll_file_open(fl_roll_file *file, const char *folder,
                                  const char *path, fl_reason *why);

/* Wipes. Accepts one that is all zeros. */
void fl_roll_file_fini(fl_roll_file *file);

/* Replaces the folder's own list. Errors of fl_file_write. */
FL_CHECK fl_err fl_roll_file_save(const char *folder, const uint8_t *list,
                                  size_t list_len, fl_reason *why);

#endif
