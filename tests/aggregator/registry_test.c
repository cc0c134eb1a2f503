/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/registry.h"

#include <stdlib.h>

#include "aggregator/joining/tokens.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { NOW = 1000000, LATER = 2000000 };

static data_files files;
static char folder[DATA_PATH_CAP];
static fl_reason why;
static fl_store *store;

static int set_up(void **state)
{
    (void)state;
    assert_ok(fl_secure_start());
    data_files_init(&files);
    assert_true(snprintf(folder, sizeof folder, "%.200s/state", files.root) >
                0);
    assert_ok(fl_store_open_beside(&store, folder, &why));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_store_close(store);
    data_files_fini(&files);
    return 0;
}

static fl_device make_device(uint8_t seed, const char *name)
{
    fl_device device;
    fl_identity identity;
    fl_identity_init(&identity, (const uint8_t[FL_SEED_BYTES]){seed});
    fl_device_init(&device, &identity, name);
    return device;
}

static fl_token make_token(uint8_t number, uint32_t use_cap, const char *name)
{
    fl_token token = {.id = number, .secret = {number}};
    fl_token_record record = {.id = number,
                              .made_ms = NOW,
                              .expires_ms = NOW + 1000,
                              .use_cap = use_cap};
    snprintf(record.name, sizeof record.name, "%s", name);
    fl_token_hash(record.hash, &token);
    assert_ok(fl_tokens_add(store, &record, NOW, &why));
    return token;
}

static fl_standing ask(uint8_t seed, const fl_token *token, const char *name,
                       fl_join_mode mode)
{
    bool changed;
    fl_standing standing;
    fl_join join = {.has_token = token != NULL};
    const fl_device device = make_device(seed, "client");
    if (token) join.token = *token;
    snprintf(join.name, sizeof join.name, "%s", name);
    assert_ok(fl_registry_join(store, &standing, &changed, mode, &device, &join,
                               NOW, &why));
    assert_int_equal(changed, standing.state != FL_STANDING_REFUSED);
    return standing;
}

static fl_registry_entry find(const char *who)
{
    fl_registry_entry entry;
    assert_ok(fl_registry_find(store, &entry, who, &why));
    return entry;
}

static void read_use(void *self, const fl_token_record *record)
{
    ((uint32_t *)self)[record->id] = record->use_count;
}

TEST(registry_enrols_by_token_and_counts_its_use)
{
    uint32_t uses[8] = {0};
    const fl_token token = make_token(3, 2, "");
    const fl_standing standing = ask(1, &token, "kitchen", FL_JOIN_TOKEN);
    assert_int_equal(standing.state, FL_STANDING_ENROLLED);
    assert_string_equal(standing.name, "kitchen");
    assert_int_equal(ask(2, &token, "", FL_JOIN_TOKEN).state,
                     FL_STANDING_ENROLLED);
    assert_int_equal(ask(4, &token, "", FL_JOIN_TOKEN).cause,
                     FL_CAUSE_TOKEN_USED);
    assert_ok(fl_tokens_each(store, read_use, uses, &why));
    assert_int_equal(uses[3], 2);
    const fl_registry_entry entry = find("kitchen");
    assert_int_equal(entry.registration.state, FL_REGISTRATION_ENROLLED);
    assert_int_equal(entry.since_ms, NOW);
    assert_int_equal(entry.token, 3);
}

TEST(registry_finds_by_name_id_and_key)
{
    char id[FL_DEVICE_ID_CAP], key[FL_HEX_CAP];
    fl_registry_entry entry;
    const fl_device device = make_device(1, "kitchen");
    (void)ask(1, NULL, "kitchen", FL_JOIN_OPEN);
    fl_device_id(id, device.identity);
    fl_hex_encode(key, sizeof key, device.identity, FL_KEY_BYTES);
    entry = find(id);
    assert_memory_equal(&entry.registration.device, &device, sizeof device);
    entry = find(key);
    assert_memory_equal(&entry.registration.device, &device, sizeof device);
    id[0] = (char)(id[0] - 'a' + 'A');
    entry = find(id);
    assert_memory_equal(&entry.registration.device, &device, sizeof device);
    assert_err(fl_registry_find(store, &entry, "cellar", &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "cellar");
}

TEST(registry_gives_a_name_to_one_device_only)
{
    char id[FL_DEVICE_ID_CAP];
    const fl_token named = make_token(3, 1, "cellar");
    (void)ask(1, NULL, "kitchen", FL_JOIN_OPEN);
    assert_int_equal(ask(2, NULL, "kitchen", FL_JOIN_OPEN).cause,
                     FL_CAUSE_NAME_TAKEN);
    // The operator's word goes before the device's.
    assert_string_equal(ask(2, &named, "attic", FL_JOIN_TOKEN).name, "cellar");
    const fl_device second = find("cellar").registration.device;
    assert_err(fl_registry_rename(store, second.identity, "kitchen", &why),
               FL_ERR_RANGE);
    assert_err(fl_registry_rename(store, second.identity, "My Board", &why),
               FL_ERR_RANGE);
    fl_device_id(id, find("kitchen").registration.device.identity);
    assert_err(fl_registry_rename(store, second.identity, id, &why),
               FL_ERR_RANGE);
    assert_ok(fl_registry_rename(store, second.identity, "attic", &why));
    assert_memory_equal(find("attic").registration.device.identity,
                        second.identity, FL_KEY_BYTES);
}

TEST(registry_approves_and_revokes)
{
    assert_int_equal(ask(1, NULL, "shed", FL_JOIN_APPROVE).state,
                     FL_STANDING_PENDING);
    const fl_device device = find("shed").registration.device;
    assert_ok(fl_registry_set_state(store, device.identity,
                                    FL_REGISTRATION_ENROLLED, LATER, &why));
    assert_int_equal(find("shed").since_ms, LATER);
    assert_ok(fl_registry_set_state(store, device.identity,
                                    FL_REGISTRATION_REVOKED, LATER, &why));
    bool changed;
    fl_standing standing;
    const fl_join join = {.has_token = false};
    assert_ok(fl_registry_join(store, &standing, &changed, FL_JOIN_OPEN,
                               &device, &join, NOW, &why));
    assert_int_equal(standing.cause, FL_CAUSE_REVOKED);
    assert_false(changed);
}

TEST(registry_refuses_a_token_that_was_revoked_or_never_made)
{
    fl_token token = make_token(3, 1, "");
    assert_err(fl_tokens_revoke(store, 4, &why), FL_ERR_NOT_FOUND);
    assert_ok(fl_tokens_revoke(store, 3, &why));
    assert_int_equal(ask(1, &token, "", FL_JOIN_TOKEN).cause,
                     FL_CAUSE_TOKEN_REVOKED);
    token.id = 5;
    assert_int_equal(ask(1, &token, "", FL_JOIN_TOKEN).cause,
                     FL_CAUSE_TOKEN_WRONG);
}

static void follow(fl_device *devices, uint32_t count, int64_t now_ms)
{
    uint8_t *bytes;
    size_t len;
    fl_identity authority;
    fl_enrolment *list = NULL;
    fl_identity_init(&authority, (const uint8_t[FL_SEED_BYTES]){99});
    assert_ok(
        fl_enrolment_encode(&bytes, &len, &authority, 1, devices, count, &why));
    assert_ok(fl_enrolment_decode(&list, bytes, len, &why));
    assert_ok(fl_registry_follow(store, list, now_ms, &why));
    fl_enrolment_free(list);
    free(bytes);
}

TEST(registry_follows_a_list_whose_names_have_been_swapped)
{
    fl_device before[] = {make_device(1, "a"), make_device(2, "b"),
                          make_device(3, "c")};
    fl_device after[] = {make_device(1, "b"), make_device(2, "a")};
    follow(before, 3, NOW);
    follow(after, 2, LATER);
    assert_memory_equal(find("a").registration.device.identity,
                        make_device(2, "a").identity, FL_KEY_BYTES);
    assert_memory_equal(find("b").registration.device.identity,
                        make_device(1, "b").identity, FL_KEY_BYTES);
    assert_int_equal(find("a").since_ms, NOW);
    // Who is not in it any more waits for the authority.
    assert_int_equal(find("c").registration.state, FL_REGISTRATION_PENDING);
    assert_int_equal(find("c").since_ms, LATER);
    follow(before, 3, LATER);
    assert_int_equal(find("c").registration.state, FL_REGISTRATION_ENROLLED);
}

TEST(registry_is_shared_with_another_connection_that_notices)
{
    fl_store *other = NULL;
    int64_t before, after;
    assert_ok(fl_store_open_beside(&other, folder, &why));
    assert_ok(fl_registry_version(other, &before, &why));
    (void)ask(1, NULL, "kitchen", FL_JOIN_OPEN);
    assert_ok(fl_registry_version(other, &after, &why));
    assert_int_not_equal(before, after);
    fl_registry_entry entry;
    assert_ok(fl_registry_find(other, &entry, "kitchen", &why));
    char noted[16];
    assert_err(fl_registry_get_note(other, noted, sizeof noted, "join", &why),
               FL_ERR_NOT_FOUND);
    assert_ok(fl_registry_set_note(store, "join", "token", &why));
    assert_ok(fl_registry_get_note(other, noted, sizeof noted, "join", &why));
    assert_string_equal(noted, "token");
    fl_store_close(other);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(IN_FOLDER(registry_enrols_by_token_and_counts_its_use),
          IN_FOLDER(registry_finds_by_name_id_and_key),
          IN_FOLDER(registry_gives_a_name_to_one_device_only),
          IN_FOLDER(registry_approves_and_revokes),
          IN_FOLDER(registry_refuses_a_token_that_was_revoked_or_never_made),
          IN_FOLDER(registry_follows_a_list_whose_names_have_been_swapped),
          IN_FOLDER(registry_is_shared_with_another_connection_that_notices))
