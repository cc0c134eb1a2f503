/* SPDX-License-Identifier: Apache-2.0 */
#include "client/installer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/disk.h"

static void run(fl_job *job)
{
    fl_installer *installer = (fl_installer *)(void *)job;
    if (installer->gate && !fl_gate_pass(installer->gate, &installer->stop)) {
        installer->err = fl_reason_set(&installer->why, FL_ERR_CANCELLED,
                                       "stopped on request");
        return;
    }
    installer->err =
        fl_install_try(&installer->verdict, &installer->bytes, &installer->len,
                       &installer->install, &installer->why);
}

// What cannot be read is as good as nothing; it is said, though.
static void load_installed(fl_installer *installer, const char *folder)
{
    fl_state_installed record;
    fl_reason why;
    const fl_err err = fl_state_installed_load(
        &record, &installer->installed, &installer->install.installed_len,
        folder, &why);
    if (err && err != FL_ERR_NOT_FOUND) fl_disk_report(err, "int8", &why);
    installer->install.installed = installer->installed;
    const fl_err previous_err = fl_state_previous_load(
        &installer->previous, &installer->install.previous_len, folder, &why);
    if (previous_err && previous_err != FL_ERR_NOT_FOUND) {
        fl_disk_report(previous_err, "int8_previous", &why);
    }
    installer->install.previous = installer->previous;
}

void fl_installer_begin(fl_installer *installer, const char *folder,
                        const fl_client_effect *effect,
                        const fl_local_data *data, double max_drop)
{
    *installer = (fl_installer){
        .job = {.run = run},
        .install = {.data = *data,
                    .holdout = effect->plan->holdout,
                    .max_drop = max_drop},
        .record = {.round = effect->plan->round},
    };
    installer->install.data.stop = &installer->stop;
    memcpy(installer->record.model, effect->plan->model, FL_HASH_BYTES);
    memcpy(installer->record.ranges, effect->plan->ranges, FL_HASH_BYTES);
    load_installed(installer, folder);
}

void fl_installer_finish(fl_installer *installer, fl_state *state,
                         fl_client_event *event)
{
    const fl_client_verdict *verdict = &installer->verdict;
    if (!installer->err && verdict->is_accepted) {
        installer->record.row_count = verdict->row_count;
        installer->record.correct_count = verdict->correct_count;
        installer->record.wall_ms = fl_clock_wall_ms();
        installer->err =
            fl_state_installed_save(state, &installer->record, installer->bytes,
                                    installer->len, &installer->why);
    }
    *event = (fl_client_event){.kind = FL_CLIENT_INSTALLED,
                               .verdict = verdict,
                               .err = installer->err,
                               .why = installer->why.text};
}

void fl_installer_fini(fl_installer *installer)
{
    free(installer->installed);
    free(installer->previous);
    free(installer->bytes);
    *installer = (fl_installer){.err = FL_OK};
}
