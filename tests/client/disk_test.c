/* SPDX-License-Identifier: Apache-2.0 */
#include "client/disk.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "client/client_core.h"
#include "tests/support/host.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { CHUNK = FL_PROTO_CHUNK_BYTES, LEN = 2 * CHUNK + 100 };

static char folder[FL_SCRATCH_CAP], logged[2000];
static fl_disk disk;

static void note(void *self, fl_log_level level, const char *line)
{
    (void)self, (void)level;
    snprintf(logged, sizeof logged, "%s", line);
}

static int set_up(void **state)
{
    (void)state;
    fl_log_start(FL_LOG_WARN, note, NULL);
    logged[0] = 0;
    assert_ok(fl_secure_start());
    assert_true(fl_scratch_make(folder));
    disk = (fl_disk){.state = NULL};
    assert_ok(fl_state_open(&disk.state, folder, NULL));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_state_close(disk.state);
    fl_scratch_remove(folder);
    fl_log_start(FL_LOG_WARN, NULL, NULL);
    return 0;
}

static void make_model(fl_parcel *model, uint8_t number)
{
    uint8_t *bytes = malloc(LEN);
    assert_non_null(bytes);
    memset(bytes, number, LEN);
    fl_parcel_wrap(model, FL_OBJECT_MODEL, number, bytes, LEN);
}

static void begin(const fl_parcel *model)
{
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_BEGIN,
                                          .object = model->name,
                                          .bytes = model->manifest,
                                          .len = model->manifest_len});
}

static void keep(const fl_parcel *model)
{
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_KEEP,
                                          .object = model->name,
                                          .bytes = model->bytes,
                                          .len = model->len});
}

static void put(const fl_parcel *model, uint32_t index)
{
    const size_t at = (size_t)index * CHUNK;
    const size_t len = model->len - at < CHUNK ? model->len - at : CHUNK;
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_PUT,
                                          .object = model->name,
                                          .index = index,
                                          .bytes = model->bytes + at,
                                          .len = len});
}

static fl_client_event find(const fl_parcel *model, bool takes_base)
{
    fl_client_event found, none;
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_FIND,
                                          .object = model->name,
                                          .takes_base = takes_base});
    assert_true(fl_disk_answer(&disk, &found));
    assert_int_equal(found.kind, FL_CLIENT_FOUND);
    assert_false(fl_disk_answer(&disk, &none));
    return found;
}

static void assert_nothing(const fl_client_event *found)
{
    assert_null(found->model);
    assert_null(found->parts);
    assert_null(found->base);
}

TEST(disk_finds_what_was_kept_at_once)
{
    fl_parcel model;
    make_model(&model, 1);
    fl_client_event found = find(&model, true);
    assert_nothing(&found);
    begin(&model);
    keep(&model);
    found = find(&model, true);
    assert_int_equal(found.model_len, LEN);
    assert_memory_equal(found.model, model.bytes, LEN);
    assert_null(found.base);
    free(found.model);
    fl_parcel_fini(&model);
    assert_string_equal(logged, "");
}

TEST(disk_finds_what_was_put_chunk_by_chunk)
{
    fl_parcel model;
    make_model(&model, 1);
    begin(&model);
    put(&model, 2);
    fl_client_event found = find(&model, false);
    assert_null(found.model);
    assert_true(fl_parts_has(found.parts, 2));
    assert_int_equal(found.parts->received_count, 1);
    fl_parts_free(found.parts);
    put(&model, 0);
    put(&model, 1);
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_END,
                                          .object = model.name});
    found = find(&model, false);
    assert_memory_equal(found.model, model.bytes, LEN);
    free(found.model);
    fl_parcel_fini(&model);
}

TEST(disk_finds_another_model_where_one_will_do)
{
    fl_parcel first, second;
    make_model(&first, 1);
    make_model(&second, 2);
    begin(&first);
    keep(&first);
    fl_client_event found = find(&second, false);
    assert_nothing(&found);
    found = find(&second, true);
    assert_null(found.model);
    assert_int_equal(found.base_len, LEN);
    assert_memory_equal(found.base, first.bytes, LEN);
    assert_memory_equal(found.base_name, first.name, FL_HASH_BYTES);
    free(found.base);

    begin(&second);  // half of what is wanted is worth more
    found = find(&second, true);
    assert_non_null(found.parts);
    assert_null(found.base);
    fl_parts_free(found.parts);
    fl_parcel_fini(&first);
    fl_parcel_fini(&second);
}

// An update and a residual, given to one machine and taken from the next.
TEST(disk_gives_a_machine_back_what_it_saved)
{
    const fl_client_options options = fl_host_options();
    static fl_host host;
    fl_host_init(&host, &options);
    host.chunks = 1;
    fl_plan plan = fl_host_plan(&host, 3);
    fl_result result = fl_host_result(1);
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_SAVE_UPDATE,
                                          .plan = &plan,
                                          .result = &result});
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_SAVE_RESIDUAL,
                                          .bytes = result.update,
                                          .len = result.update_len});
    fl_result_fini(&result);
    fl_disk_restore(&disk, host.client);
    assert_int_equal(host.client->residual.len, host.client->kept.update_len);
    fl_host_join(&host);
    fl_host_mail_plan(&host, &plan);
    assert_int_equal(host.counts[FL_CLIENT_TRAIN], 0);
    assert_non_null(fl_host_take(&host, FL_MESSAGE_OPEN));
    host.disk = malloc(1);  // where the host thinks that the update is
    fl_host_fini(&host);

    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_DROP_UPDATE});
    assert_string_equal(logged, "");
}

TEST(disk_burns_the_number_of_a_session)
{
    const fl_client_past past = {
        .number = 5, .enrolment_serial = 2, .has_holdout = true, .holdout = 10};
    fl_client_event burned;
    fl_disk_do(&disk,
               &(fl_client_effect){.kind = FL_CLIENT_BURN, .past = &past});
    assert_true(fl_disk_answer(&disk, &burned));
    assert_int_equal(burned.kind, FL_CLIENT_BURNED);
    assert_ok(burned.err);
    assert_false(fl_disk_answer(&disk, &burned));
    fl_state_session session;
    assert_ok(fl_state_session_get(disk.state, &session, NULL));
    assert_int_equal(session.number, 5);
    assert_true(session.has_holdout);
    assert_int_equal(session.holdout, 10);
    const fl_client_past before = {.number = 4, .enrolment_serial = 2};
    fl_disk_do(&disk,
               &(fl_client_effect){.kind = FL_CLIENT_BURN, .past = &before});
    assert_true(fl_disk_answer(&disk, &burned));
    assert_err(burned.err, FL_ERR_STATE);
    assert_non_null(strstr(burned.why, "session 4"));
}

// The client goes on, and does not say so twice.
TEST(disk_warns_of_what_it_cannot_keep)
{
    fl_parcel model;
    char path[FL_SCRATCH_CAP + 20];
    make_model(&model, 1);
    assert_ok(fl_path_join(path, sizeof path, folder, "residual.tmp"));
    assert_int_equal(mkdir(path, 0700), 0);
    fl_disk_do(&disk, &(fl_client_effect){.kind = FL_CLIENT_SAVE_RESIDUAL,
                                          .bytes = model.bytes,
                                          .len = 8});
    assert_non_null(strstr(logged, "event=not_saved what=residual"));
    logged[0] = 0;
    keep(&model);  // what was not begun
    put(&model, 0);
    assert_string_equal(logged, "");
    assert_int_equal(rmdir(path), 0);
    fl_parcel_fini(&model);
}

TEST(disk_warns_of_what_is_damaged)
{
    char path[FL_SCRATCH_CAP + 20];
    assert_ok(fl_path_join(path, sizeof path, folder, "residual"));
    assert_ok(fl_file_write(path, "junk", 4, 0600, NULL));
    fl_disk_restore(&disk, NULL);
    assert_non_null(strstr(logged, "what=residual"));
}

#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(WITH_DISK(disk_finds_what_was_kept_at_once),
          WITH_DISK(disk_finds_what_was_put_chunk_by_chunk),
          WITH_DISK(disk_finds_another_model_where_one_will_do),
          WITH_DISK(disk_gives_a_machine_back_what_it_saved),
          WITH_DISK(disk_burns_the_number_of_a_session),
          WITH_DISK(disk_warns_of_what_it_cannot_keep),
          WITH_DISK(disk_warns_of_what_is_damaged))
