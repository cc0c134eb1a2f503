/* SPDX-License-Identifier: Apache-2.0 */
#include "base/team.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/pool.h"

/*
 * How a member waits: it looks again and again for up to a millisecond
 * (pausing takes 140 cycles on most x86), since a nap of any length costs
 * more than members usually come apart; then lets others have the CPU; then
 * sleeps, since one that only yields still takes its share from those it
 * waits for.
 */
enum { LOOKS = 16384, YIELDS = 128, NAP_NS = 50000 };

// Who naps that often waits for a pause to end, not for work: a tenth of a
// second and more.
enum { NAPS = 2048, REST_NS = 10 * 1000 * 1000 };

typedef struct {
    fl_job job;  // first: a job is its member
    fl_team *team;
    unsigned number;
} member;

struct fl_team {
    fl_pool *pool;
    unsigned size;
    unsigned looks;       // LOOKS; none with more members than CPUs
    atomic_uint arrived;  // at the meeting that is going on
    atomic_uint meeting;  // its number
    void (*work)(unsigned member, void *context);
    void *context;
    member members[];
};

static void work_as_member(fl_job *job)
{
    const member *m = (const member *)job;
    m->team->work(m->number, m->team->context);
}

// Looking is of use only while the others are running.
static bool has_cpus(unsigned size)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 1 || (unsigned long)cpus >= size;
}

fl_err fl_team_new(fl_team **team, unsigned size)
{
    if (size == 0 || size > FL_TEAM_MAX) return FL_ERR_RANGE;
    fl_team *made = calloc(1, sizeof *made + size * sizeof made->members[0]);
    if (!made) return FL_ERR_MEMORY;
    const fl_err err = fl_pool_new(&made->pool, size - 1);
    if (err) {
        free(made);
        return err;
    }
    made->size = size;
    made->looks = has_cpus(size) ? LOOKS : 0;
    for (unsigned i = 0; i < size; i++) {
        made->members[i] = (member){{.run = work_as_member}, made, i};
    }
    *team = made;
    return FL_OK;
}

void fl_team_free(fl_team *team)
{
    if (!team) return;
    fl_pool_free(team->pool);
    free(team);
}

unsigned fl_team_size(const fl_team *team)
{
    return team->size;
}

void fl_team_run(fl_team *team, void (*work)(unsigned member, void *context),
                 void *context)
{
    team->work = work;
    team->context = context;
    for (unsigned i = 1; i < team->size; i++) {
        fl_pool_submit(team->pool, &team->members[i].job);
    }
    work(0, context);
    for (unsigned i = 1; i < team->size; i++) {
        fl_pool_wait(team->pool, &team->members[i].job);
    }
}

static void pause_a_little(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wait_a_little(const fl_team *team, unsigned times)
{
    if (times < team->looks) {
        pause_a_little();
    } else if (times < team->looks + YIELDS) {
        sched_yield();
    } else {
        const bool is_pause = times >= team->looks + YIELDS + NAPS;
        nanosleep(&(struct timespec){.tv_nsec = is_pause ? REST_NS : NAP_NS},
                  NULL);
    }
}

void fl_team_wait(fl_team *team)
{
    if (team->size == 1) return;
    const unsigned meeting = atomic_load(&team->meeting);
    if (atomic_fetch_add(&team->arrived, 1) + 1 == team->size) {
        atomic_store(&team->arrived, 0);
        atomic_fetch_add(&team->meeting, 1);
        return;
    }
    for (unsigned i = 0; atomic_load(&team->meeting) == meeting; i++) {
        wait_a_little(team, i);
    }
}
