/*
 * A team: a few threads that work on one thing in step.
 *
 *   fl_team_run: every member runs the same function, the caller is member 0
 *   fl_team_wait: nobody goes on before everybody has come here
 *
 * For loops so short that handing over jobs would cost more than they do:
 * members wait by looking, and sleep only when that takes long. What a member
 * wrote before it waits, all may read afterwards.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_TEAM_H
#define FL_BASE_TEAM_H

#include "base/err.h"

enum { FL_TEAM_MAX = 64 };

typedef struct fl_team fl_team;

/*
 * A team of `size` members, 1 to FL_TEAM_MAX. The caller owns *team:
 * fl_team_free. FL_ERR_RANGE. FL_ERR_MEMORY. FL_ERR_SYSTEM: a thread could
 * not be started.
 */
FL_CHECK fl_err fl_team_new(fl_team **team, unsigned size);

/* Accepts NULL. */
void fl_team_free(fl_team *team);

unsigned fl_team_size(const fl_team *team);

/* Runs work(member, context) on all members; returns when all have. */
void fl_team_run(fl_team *team, void (*work)(unsigned member, void *context),
                 void *context);

/* Within `work`: waits for all members. All must wait equally often. */
void fl_team_wait(fl_team *team);

#endif
