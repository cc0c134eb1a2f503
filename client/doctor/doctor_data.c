/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "client/doctor/finding.h"
#include "client/feed/stock.h"
#include "model/model.h"

/* ---- the model ---- */

static bool is_whole_object(const char *name)
{
    return strspn(name, "0123456789abcdef") == 2 * (size_t)FL_HASH_BYTES &&
           name[2 * (size_t)FL_HASH_BYTES] == 0;
}

// One that is no model is an enrolment list.
static fl_model *read_model(const char *path)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_model *model = NULL;
    if (fl_file_read(&bytes, &len, path, FL_MODEL_BYTES_MAX, NULL)) return NULL;
    if (fl_model_decode(&model, bytes, len, NULL)) model = NULL;
    free(bytes);
    return model;
}

static void take_newer(fl_model **model, time_t *newest, const char *path)
{
    struct stat found;
    if (stat(path, &found) || found.st_mtime < *newest) return;
    fl_model *other = read_model(path);
    if (!other) return;
    fl_model_free(*model);
    *model = other;
    *newest = found.st_mtime;
}

// The newest model that was downloaded; NULL: none.
static fl_model *find_model(const char *state)
{
    char folder[PATH_MAX], path[PATH_MAX];
    fl_model *model = NULL;
    time_t newest = 0;
    if (fl_path_join(folder, sizeof folder, state, "objects")) return NULL;
    DIR *objects = opendir(folder);
    if (!objects) return NULL;
    const struct dirent *entry;
    while ((entry = readdir(objects))) {
        if (is_whole_object(entry->d_name) &&
            !fl_path_join(path, sizeof path, folder, entry->d_name)) {
            take_newer(&model, &newest, path);
        }
    }
    closedir(objects);
    return model;
}

/* ---- both together ---- */

static void compare(fl_findings *all, const fl_dataset *data,
                    const fl_model *model)
{
    const fl_shape a = fl_dataset_shape(data), b = fl_model_input(model);
    const uint32_t classes = fl_dataset_class_count(data);
    const uint32_t outputs = fl_model_class_count(model);
    if (a.height != b.height || a.width != b.width ||
        a.channels != b.channels) {
        fl_finding_add(all, FL_FINDING_ERROR, "model",
                       "give it data of that shape (--resize HxW for pictures)",
                       "the data has rows of %ux%ux%u, the model takes "
                       "%ux%ux%u",
                       a.height, a.width, a.channels, b.height, b.width,
                       b.channels);
    } else if (classes > outputs) {
        fl_finding_add(all, FL_FINDING_ERROR, "labels",
                       "take out the rows of classes that the federation does "
                       "not know",
                       "the data has %u classes, the model %u", classes,
                       outputs);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "labels", NULL,
                       "%u classes of the %u that the model knows", classes,
                       outputs);
    }
}

void fl_finding_trainer(fl_findings *all)
{
    const fl_service_options *o = all->options;
    fl_external external;
    fl_reason why;
    if (!o->trainer.command) return;
    if (fl_external_init(&external, &o->trainer, o->state, o->data.dataset,
                         &why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "trainer",
                       "correct --trainer-command, or leave it out", "%s",
                       why.text);
        return;
    }
    fl_finding_add(all, FL_FINDING_OK, "trainer", NULL, "%s trains",
                   external.argv.words[0]);
    fl_external_fini(&external);
}

static void check_shared(fl_findings *all, const fl_model *model)
{
    const fl_service_options *o = all->options;
    const fl_data_options options = fl_data_settings_options(&o->data, o->seed);
    fl_dataset *data = NULL;
    fl_reason why;
    if (fl_dataset_open(&data, FL_DATA_TRAIN, &options, &why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "data",
                       "correct --dataset, or the file", "%s", why.text);
        return;
    }
    fl_finding_add(all, FL_FINDING_OK, "data", NULL, "%u rows",
                   fl_dataset_row_count(data));
    if (model) compare(all, data, model);
    fl_dataset_free(data);
}

/* ---- the device's own data ---- */

static void add_skipped(fl_findings *all, const fl_skips *skips)
{
    char first[FL_SKIPS_TEXT_CAP];
    if (skips->count == 0) return;
    fl_skips_list(first, skips);
    fl_finding_add(all, FL_FINDING_WARNING, "skipped data",
                   "repair or remove what is named; it keeps nothing else from "
                   "being used",
                   "%u files or lines: %s", skips->count, first);
}

static void add_stock(fl_findings *all, const fl_stock *stock,
                      const fl_model *model)
{
    fl_reason why;
    fl_finding_add(all, FL_FINDING_OK, "data", NULL, "%u rows of %u",
                   stock->row_count, stock->record_count);
    if (!model) return;
    if (fl_stock_check(stock, model, &why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "model",
                       "the sentence has it; what the classes were called so "
                       "far is in the file classes of the state folder",
                       "%s", why.text);
    } else {
        compare(all, stock->dataset, model);
    }
}

static void check_own(fl_findings *all, const fl_model *model)
{
    fl_stock stock;
    fl_skips skips;
    fl_reason why;
    fl_skips_begin_quietly(&skips);
    const fl_err err =
        fl_stock_load_own(&stock, all->options, 0, &skips, NULL, &why);
    fl_skips_end(&skips);
    if (err == FL_ERR_NOT_FOUND) {
        fl_finding_add(all, FL_FINDING_WARNING, "data",
                       "put data there, or correct --data; the client runs, "
                       "but is not chosen",
                       "%s", why.text);
    } else if (err) {
        fl_finding_add(all, FL_FINDING_ERROR, "data",
                       "correct --data, or the file", "%s", why.text);
    } else {
        add_stock(all, &stock, model);
    }
    add_skipped(all, &skips);
    fl_skips_fini(&skips);
    fl_stock_fini(&stock);
}

void fl_finding_data(fl_findings *all)
{
    fl_model *model = find_model(all->options->state);
    if (all->options->own_data) {
        check_own(all, model);
    } else {
        check_shared(all, model);
    }
    fl_model_free(model);
}
