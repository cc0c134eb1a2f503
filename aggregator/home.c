/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/home.h"

#include <stdlib.h>
#include <string.h>

#include "aggregator/own_key.h"
#include "base/clock.h"

/* ---- open and close ---- */

fl_err fl_home_open(fl_home *home, const fl_home_options *options,
                    fl_reason *why)
{
    fl_join_mode mode;
    const char *folder = options->folder, *list = options->enrolment;
    *home = (fl_home){.options = *options};
    FL_TRY(fl_join_mode_parse(&mode, options->join, list != NULL, why));
    FL_TRY(fl_store_open(&home->store, folder, false, why));
    FL_TRY(fl_own_key_open(&home->identity, home->store, folder, why));
    FL_TRY(fl_roll_file_open(&home->roll, folder, list, why));
    return fl_door_init(&home->door, home->store, mode, list, home->roll.list,
                        home->roll.list_len, why);
}

void fl_home_close(fl_home *home)
{
    fl_door_fini(&home->door);
    fl_roll_file_fini(&home->roll);
    fl_identity_fini(&home->identity);
    fl_store_close(home->store);
    home->store = NULL;
}

/* ---- the model ---- */

static fl_err pin_setting(void *self, const char *key, const char *value,
                          fl_reason *why)
{
    return fl_store_pin_setting(self, key, value, why);
}

static fl_err pin_settings(fl_home *home, fl_reason *why)
{
    return fl_federation_each_setting(home->options.federation, pin_setting,
                                      home->store, why);
}

fl_err fl_home_load(fl_home *home, fl_heritage *heritage,
                    const fl_dataset *test, fl_reason *why)
{
    fl_round_record last;
    uint8_t *bytes = NULL;
    size_t len;
    *heritage = (fl_heritage){.model = NULL};
    fl_err err =
        fl_store_last_round(home->store, &last, &bytes, &len, &heritage->master,
                            &heritage->master_len, why);
    if (err == FL_ERR_NOT_FOUND) {
        heritage->is_first = true;
        return fl_federation_model(home->options.federation, &heritage->model,
                                   test, why);
    }
    if (!err) err = pin_settings(home, why);
    if (!err) err = fl_model_decode(&heritage->model, bytes, len, why);
    if (!err) heritage->rounds_done = last.round;
    free(bytes);
    return err;
}

void fl_heritage_fini(fl_heritage *heritage)
{
    fl_model_free(heritage->model);
    free(heritage->master);
    *heritage = (fl_heritage){.model = NULL};
}

static fl_err save_first(fl_home *home, const fl_aggregator *aggregator,
                         const uint8_t *master, size_t master_len,
                         fl_reason *why)
{
    const fl_model_cost cost = fl_aggregator_cost(aggregator);
    fl_round_record first = {.finished_ms = fl_clock_wall_ms(),
                             .param_count = cost.param_count,
                             .mac_count = cost.mac_count};
    size_t len;
    const uint8_t *bytes = fl_aggregator_model(aggregator, &len);
    FL_TRY(pin_settings(home, why));
    return fl_store_finish_round(home->store, &first, bytes, len, master,
                                 master_len, why);
}

fl_err fl_home_found(fl_home *home, const fl_aggregator *aggregator,
                     fl_reason *why)
{
    const fl_master *master = fl_aggregator_master(aggregator);
    const size_t len = fl_master_bytes(master);
    uint8_t *bytes = malloc(len);
    fl_err err =
        bytes ? fl_master_encode(master, 0, bytes, len) : FL_ERR_MEMORY;
    if (err) {
        (void)!fl_reason_set(why, err, "no memory to save %zu bytes", len);
    } else {
        err = save_first(home, aggregator, bytes, len, why);
    }
    free(bytes);
    return err;
}

/* ---- who may take part ---- */

fl_err fl_home_save_list(const fl_home *home, const uint8_t *list,
                         size_t list_len)
{
    fl_reason why;
    const fl_err err =
        fl_roll_file_save(home->options.folder, list, list_len, &why);
    if (err) {
        fl_log(FL_LOG_ERROR, "not_saved", "what=enrolment why=%s", why.text);
    }
    return err;
}

static bool is_clear(const fl_home *home)
{
    return strcmp(home->options.federation->aggregation, "secure") != 0;
}

bool fl_home_is_guarded(const fl_home *home)
{
    switch (home->door.mode) {
    case FL_JOIN_TOKEN:
    case FL_JOIN_APPROVE: return true;
    case FL_JOIN_LIST: return is_clear(home);  // nobody looks at the list then
    case FL_JOIN_OPEN: break;
    }
    return false;
}

void fl_home_say_trust(const fl_home *home)
{
    if (home->door.mode == FL_JOIN_OPEN) {
        fl_log(FL_LOG_INFO, "open", "meaning=%s",
               "this aggregator enrols whoever comes; without --join open it "
               "takes those who have a token (fedge-aggregator token)");
    }
    if (is_clear(home)) {
        fl_log(FL_LOG_WARN, "clear", "meaning=%s",
               "this aggregator sees every client's update");
    } else if (home->roll.holds_authority) {
        fl_log(FL_LOG_INFO, "holds_authority", "meaning=%s",
               "this aggregator decides who is enrolled; against an "
               "operator who makes up clients, keep the authority elsewhere "
               "(docs/keys.md) and start with --enrolment");
    }
}
