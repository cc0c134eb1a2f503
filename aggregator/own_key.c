/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/own_key.h"

#include <limits.h>
#include <unistd.h>

#include "base/file.h"

static void count_client(void *self, const fl_client_record *client)
{
    size_t *count = self;
    (void)client;
    ++*count;
}

// Clients have pinned the key: with a new one they would all stay away.
static fl_err check_not_lost(fl_store *store, const char *path, fl_reason *why)
{
    size_t count = 0;
    if (access(path, F_OK) == 0) return FL_OK;
    FL_TRY(fl_store_each_client(store, count_client, &count, why));
    if (count == 0) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: missing, and %zu clients trust no other key; "
                         "restore it from a backup, or move the state folder "
                         "away to start anew",
                         path, count);
}

fl_err fl_own_key_open(fl_identity *identity, fl_store *store,
                       const char *folder, fl_reason *why)
{
    char path[PATH_MAX];
    if (fl_path_join(path, sizeof path, folder, "identity.key")) {
        return fl_reason_set(why, FL_ERR_RANGE, "--state: too long a path");
    }
    FL_TRY(check_not_lost(store, path, why));
    return fl_identity_open(identity, path, why);
}
