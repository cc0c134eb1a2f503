/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/data_fuzz.h"

#include <math.h>
#include <stdlib.h>

static data_files own_files;

static void remove_files(void)
{
    data_files_fini(&own_files);
}

data_files *data_fuzz_files(void)
{
    if (!own_files.root[0]) {
        data_files_init(&own_files);
        atexit(remove_files);
    }
    return &own_files;
}

static void demand(int holds)
{
    if (!holds) abort();
}

static void check_rows(const fl_dataset *dataset)
{
    const uint32_t count = fl_dataset_row_count(dataset);
    const size_t size = fl_shape_size(fl_dataset_shape(dataset));
    const uint32_t *labels = fl_dataset_labels(dataset);
    float *x = malloc(size * sizeof *x);
    demand(count > 0 && size > 0 && x);
    for (uint32_t row = 0; row < count; row++) {
        demand(labels[row] < fl_dataset_class_count(dataset));
        fl_dataset_read(x, dataset, &row, 1);
        for (size_t i = 0; i < size; i++) {
            demand(isfinite(x[i]));
        }
    }
    free(x);
}

static void listen(void *self, const char *what)
{
    demand(self && what[0]);
}

// The same, as the data of one device: bad rows are passed over.
static void open_own(const fl_data_options *options)
{
    const fl_data_skip skip = {.tell = listen, .self = &own_files};
    const uint32_t caps[] = {0, 3};
    fl_data_options own_options = *options;
    own_options.skip = &skip;
    for (size_t i = 0; i < 2; i++) {
        const fl_own_options own = {.separator = ',', .row_cap = caps[i]};
        fl_dataset *dataset = NULL;
        fl_reason why = {""};
        if (fl_dataset_open_own(&dataset, &own_options, &own, &why)) {
            demand(why.text[0] && !dataset);
            continue;
        }
        check_rows(dataset);
        demand(caps[i] == 0 || fl_dataset_row_count(dataset) <= caps[i]);
        fl_dataset_free(dataset);
    }
}

void data_fuzz_open(const fl_data_options *options)
{
    open_own(options);
    for (int part = FL_DATA_TRAIN; part <= FL_DATA_TEST; part++) {
        fl_dataset *dataset = NULL;
        fl_reason why = {""};
        if (fl_dataset_open(&dataset, (fl_data_part)part, options, &why)) {
            demand(why.text[0] && !dataset);
            continue;
        }
        check_rows(dataset);
        const uint32_t last = fl_dataset_row_count(dataset) - 1;
        demand(!fl_dataset_keep(dataset, &last, 1));
        check_rows(dataset);
        fl_dataset_free(dataset);
    }
}
