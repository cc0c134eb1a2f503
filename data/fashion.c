/*
 * Fashion-MNIST (Xiao, Rasul, Vollgraf 2017) as Debian packages it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>
#include <sys/stat.h>

#include "data/loader.h"

static const char *const FOLDER = "/usr/share/datasets/fashion-mnist";

static const char *const CLASSES[] = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot",
};

static bool claims(const char *path, bool is_folder)
{
    (void)path;
    (void)is_folder;
    return false;
}

fl_err fl_fashion_load_folder(fl_dataset *dataset, const char *folder,
                              const fl_source *source, fl_reason *why)
{
    struct stat status;
    if (stat(folder, &status) != 0) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "fashion-mnist: %s is not there; "
                             "apt-get install dataset-fashion-mnist",
                             folder);
    }
    FL_TRY(fl_idx_load_folder(dataset, folder, source, why));
    const uint32_t count = sizeof CLASSES / sizeof *CLASSES;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number;
        FL_TRY(fl_names_add(&dataset->class_names, &number, CLASSES[i],
                            strlen(CLASSES[i])));
    }
    if (dataset->class_count < count) dataset->class_count = count;
    return FL_OK;
}

static fl_err load(fl_dataset *dataset, const fl_source *source, fl_reason *why)
{
    return fl_fashion_load_folder(dataset, FOLDER, source, why);
}

const fl_loader fl_loader_fashion = {"fashion-mnist", claims, load, NULL, NULL};
