/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/office.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

// An aggregator that has run here knows best; the options are for before.
static fl_err find_mode(fl_office *office, fl_reason *why)
{
    char noted[16];
    const fl_office_options *options = office->options;
    const fl_err err =
        fl_registry_get_note(office->store, noted, sizeof noted, "join", NULL);
    if (err || options->join || options->enrolment) {
        return fl_join_mode_parse(&office->mode, options->join,
                                  options->enrolment != NULL, why);
    }
    return fl_join_mode_parse(&office->mode, noted, strcmp(noted, "list") == 0,
                              why);
}

static fl_err find_address(fl_office *office, fl_reason *why)
{
    const fl_office_options *options = office->options;
    if (!options->address &&
        !fl_registry_get_note(office->store, office->address,
                              sizeof office->address, "address", NULL)) {
        return FL_OK;
    }
    return fl_meeting_find(office->address,
                           &(fl_meeting_place){.address = options->address,
                                               .listen = options->listen},
                           why);
}

// Who mistypes --state is told so, instead of being shown an empty folder that
// has just been made.
static fl_err check_is_there(const char *folder, fl_reason *why)
{
    fl_store *store = NULL;
    const fl_err err = fl_store_open(&store, folder, true, why);
    fl_store_close(store);
    return err == FL_ERR_NOT_FOUND ? err : FL_OK;
}

fl_err fl_office_open(fl_office *office, const fl_office_options *options,
                      bool may_make, fl_reason *why)
{
    *office = (fl_office){.options = options};
    if (fl_secure_start()) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "libsodium cannot start");
    }
    if (!may_make) FL_TRY(check_is_there(options->state, why));
    office->is_running = fl_store_is_running(options->state);
    FL_TRY(fl_store_open_beside(&office->store, options->state, why));
    FL_TRY(find_mode(office, why));
    return find_address(office, why);
}

void fl_office_close(fl_office *office)
{
    fl_store_close(office->store);
    *office = (fl_office){.store = NULL};
}

void fl_office_time(char dst[FL_OFFICE_TIME_CAP], int64_t wall_ms)
{
    struct tm parts;
    const time_t seconds = (time_t)(wall_ms / 1000);
    if (wall_ms == 0 || !gmtime_r(&seconds, &parts) ||
        strftime(dst, FL_OFFICE_TIME_CAP, "%Y-%m-%d %H:%M", &parts) == 0) {
        snprintf(dst, FL_OFFICE_TIME_CAP, "never");
    }
}

fl_err fl_office_print(FILE *out, fl_json *line, fl_reason *why)
{
    char *text = NULL;
    const fl_err err = fl_json_text(&text, line);
    if (err) {
        (void)!fl_reason_set(why, err, "no memory for what there is to say");
    } else {
        fprintf(out, "%s\n", text);
    }
    free(text);
    fl_json_free(line);
    return err;
}
