/* SPDX-License-Identifier: Apache-2.0 */
#include "data/data.h"

#include <assert.h>
#include <string.h>

size_t fl_data_settings_list(fl_option *table, size_t count,
                             fl_data_settings *settings)
{
    const fl_option options[FL_DATA_SETTINGS_COUNT] = {
        {"data", "dataset", FL_OPTION_TEXT, &settings->dataset, 0, 0, "SPEC",
         "fashion-mnist, csv:FILE, idx:DIR, npy:X,Y, images:DIR, or a path"},
        {"data", "test", FL_OPTION_TEXT, &settings->test, 0, 0, "SPEC",
         "held-out data, when the dataset brings none; otherwise a tenth of "
         "its rows is held out"},
        {"data", "label-column", FL_OPTION_TEXT, &settings->label_column, 0, 0,
         "NAME", "CSV: the column to predict (\"label\", else the last)"},
        {"data", "group-column", FL_OPTION_TEXT, &settings->group_column, 0, 0,
         "NAME", "CSV: whose rows they are, for --partition column"},
        {"data", "resize", FL_OPTION_TEXT, &settings->resize, 0, 0, "HxW",
         "read pictures at this size, bilinear"},
        {"data", "partition", FL_OPTION_TEXT, &settings->partition, 0, 0, "HOW",
         "how rows are dealt to clients: iid, dirichlet:ALPHA, shards:N or "
         "column, each with :CLIENTS behind it if you like"},
        {"data", "samples", FL_OPTION_COUNT, &settings->sample_count, 0,
         1 << 20, "N", "rows of each client; 0: as many as there are"},
    };
    assert(count <= FL_DATA_SETTINGS_COUNT);
    memcpy(table, options, count * sizeof *options);
    return count;
}

fl_data_options fl_data_settings_options(const fl_data_settings *settings,
                                         uint64_t seed)
{
    return (fl_data_options){
        .spec = settings->dataset,
        .test_spec = settings->test,
        .label_column = settings->label_column,
        .group_column = settings->group_column,
        .resize = settings->resize,
        .seed = seed,
    };
}

fl_err fl_data_settings_deal(fl_partition **partition,
                             const fl_data_settings *settings,
                             const fl_dataset *train, uint32_t client_count,
                             uint64_t seed, fl_reason *why)
{
    fl_partition_options options = {
        .sample_count = (uint32_t)settings->sample_count,
        .seed = seed,
    };
    FL_TRY(fl_partition_parse(&options, settings->partition, why));
    // A column has as many clients as it has groups, unless the text says.
    if (options.client_count == 0 && options.kind != FL_PARTITION_COLUMN) {
        options.client_count = client_count;
    }
    return fl_partition_new(partition, train, &options, why);
}
