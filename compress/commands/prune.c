/*
 * fedge-compress prune: a network without its least important channels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "compress/model/keep.h"
#include "compress/pruning.h"
#include "compress/training.h"

static const char USAGE[] =
    "usage: fedge-compress prune MODEL --dataset SPEC --out FILE "
    "[OPTION]...\n"
    "       fedge-compress prune MODEL --list\n\n"
    "Removes whole channels, and with them the rows and columns of every layer "
    "that knows\nof them: tensors shrink, and the result is a smaller network "
    "that runs, trains and\nexports like any other. Channels that matter "
    "little for what they cost go first;\nthen the rest is trained to recover. "
    "Ctrl-C during that keeps what was learned.\n\n"
    "  fedge-compress prune r8.onnx --dataset fashion-mnist --remove 0.3 --out "
    "small.onnx\n"
    "  fedge-compress prune r8.onnx --dataset fashion-mnist --cost latency "
    "--epochs 3 \\\n"
    "                       --teacher r8.onnx --out small.onnx\n"
    "  fedge-compress prune r8.onnx --list\n"
    "  fedge-compress prune r8.onnx --keep 'conv1:0-7,12' --epochs 0 --out "
    "small.onnx\n\n"
    "Of groups of one name the second is NAME#2, as --list says.\n"
    "Without a dataset only --keep and --importance magnitude work, with "
    "--epochs 0.\n\n";

typedef struct {
    const fl_tool *tool;
    fl_pruning_choices choices;
    fl_training training;
    fl_model *dense, *pruned;
    fl_channels *channels;  // of the dense model
    bool *keep;             // which of them stay
    uint32_t *rows;         // to measure importance on
    bool is_stopped;
} pruning;

/* ---- groups ---- */

static fl_err list_json(const fl_channels *channels, fl_reason *why)
{
    char name[FL_KEEP_NAME_CAP];
    fl_json *json = fl_json_new();
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        fl_json *item = fl_json_new();
        fl_keep_name(name, channels, i);
        fl_json_text_set(item, "name", name);
        fl_json_count_set(item, "channels", group.count);
        fl_json_count_set(item, "channel_parameters", group.param_count);
        fl_json_count_set(item, "channel_macs", group.mac_count);
        fl_json_object_add(json, "groups", item);
    }
    return fl_tool_print_json(json, why);
}

static void list_table(const fl_channels *channels)
{
    char name[FL_KEEP_NAME_CAP];
    printf("%-32s %9s %20s %14s\n", "group", "channels", "parameters a channel",
           "kMAC a channel");
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        fl_keep_name(name, channels, i);
        printf("%-32s %9u %20zu %14.2f\n", name, group.count, group.param_count,
               (double)group.mac_count / 1e3);
    }
}

static fl_err list(const fl_tool *tool, fl_reason *why)
{
    fl_model *model = NULL;
    fl_channels *channels = NULL;
    fl_err err = fl_tool_read_float(&model, tool->word, why);
    if (!err) err = fl_channels_new(&channels, model, why);
    if (!err && tool->is_json) err = list_json(channels, why);
    if (!err && !tool->is_json) list_table(channels);
    fl_channels_free(channels);
    fl_model_free(model);
    return err;
}

/* ---- removing ---- */

static fl_err keep_listed(pruning *p, fl_reason *why)
{
    const fl_err err = fl_keep_read(p->keep, p->channels, p->tool->keep, why);
    if (err) return fl_reason_prefix(why, err, "--keep");
    return fl_model_shrink(&p->pruned, NULL, p->dense, p->channels, p->keep,
                           why);
}

static fl_err remove_least(pruning *p, fl_reason *why)
{
    const fl_tool *tool = p->tool;
    const fl_dataset *train = p->training.train;
    fl_slim_options options = {
        .importance = p->choices.importance,
        .data = {.dataset = train, .stop = &fl_tool_stop},
        .choosing = {.cost = p->choices.cost,
                     .remove = tool->remove,
                     .multiple = (uint32_t)tool->multiple,
                     .keep_min = tool->keep_min},
    };
    if (train) {
        const uint32_t all = fl_dataset_row_count(train);
        FL_TRY(fl_pruning_rows(&p->rows, train, tool, why));
        options.data.rows = p->rows;
        options.data.row_count =
            tool->row_count < all ? (size_t)tool->row_count : all;
    }
    FL_TRY(fl_slim_model(&p->pruned, p->keep, p->dense, &options, why));
    if (p->pruned) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "nothing can be removed: --remove is 0, or no group "
                         "has two bundles of --multiple %llu channels that "
                         "--keep-min leaves free",
                         (unsigned long long)tool->multiple);
}

static fl_err remove_channels(pruning *p, fl_reason *why)
{
    FL_TRY(fl_channels_new(&p->channels, p->dense, why));
    p->keep = calloc(fl_channels_count(p->channels) + 1, sizeof *p->keep);
    if (!p->keep) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for channels");
    }
    return p->tool->keep ? keep_listed(p, why) : remove_least(p, why);
}

/* ---- what has become of it ---- */

// What has one channel left may be no group any more, so the mask tells.
static void show_groups(const pruning *p)
{
    char name[FL_KEEP_NAME_CAP];
    printf("%-32s %9s %9s\n", "group", "channels", "kept");
    for (uint32_t i = 0; i < fl_channels_group_count(p->channels); i++) {
        const fl_channel_group group = fl_channels_group(p->channels, i);
        uint32_t kept = 0;
        for (uint32_t c = 0; c < group.count; c++) {
            kept += p->keep[group.first + c];
        }
        fl_keep_name(name, p->channels, i);
        printf("%-32s %9u %9u\n", name, group.count, kept);
    }
    putchar('\n');
}

static fl_err report(pruning *p, fl_reason *why)
{
    fl_pruning_row rows[2] = {
        {.name = "dense float32", .key = "dense", .model = p->dense},
        {.name = "pruned", .key = "pruned", .model = p->pruned},
    };
    FL_TRY(fl_pruning_measure(rows, 2, &p->training, why));
    if (p->tool->is_json) {
        return fl_tool_print_json(fl_pruning_json(rows, 2), why);
    }
    show_groups(p);
    fl_pruning_print(rows, 2);
    return FL_OK;
}

/* ---- the run ---- */

static fl_err open_all(pruning *p, fl_reason *why)
{
    const fl_tool *tool = p->tool;
    FL_TRY(fl_file_check(tool->out, why));
    FL_TRY(fl_tool_read_float(&p->dense, tool->word, why));
    if (!tool->data.dataset) return FL_OK;
    return fl_training_open(&p->training, why);
}

static fl_err prune(pruning *p, fl_reason *why)
{
    FL_TRY(open_all(p, why));
    FL_TRY(remove_channels(p, why));
    FL_TRY(fl_training_recover(&p->training, p->pruned, &p->is_stopped, why));
    FL_TRY(fl_tool_write(p->pruned, p->tool->out, why));
    if (p->is_stopped) {
        return fl_reason_set(why, FL_ERR_CANCELLED,
                             "stopped: %s is pruned, but has not recovered",
                             p->tool->out);
    }
    return p->tool->is_quiet ? FL_OK : report(p, why);
}

static fl_err check(pruning *p, fl_reason *why)
{
    const fl_tool *tool = p->tool;
    FL_TRY(fl_pruning_read(&p->choices, tool, why));
    FL_TRY(fl_training_init(&p->training, tool, tool->prune_lr, why));
    const bool needs_data =
        tool->epochs > 0 ||
        !(tool->keep || p->choices.importance == FL_IMPORTANCE_MAGNITUDE);
    if (needs_data || !tool->out) return fl_tool_needs_data("prune", tool, why);
    return FL_OK;
}

static int run(const void *settings, fl_reason *why)
{
    const fl_tool *tool = settings;
    pruning p = {.tool = tool};
    if (tool->is_list) return fl_program_exit(list(tool, why));
    if (check(&p, why)) return FL_EXIT_USAGE;
    const fl_err err = prune(&p, why);
    free(p.rows);
    free(p.keep);
    fl_channels_free(p.channels);
    fl_training_close(&p.training);
    fl_model_free(p.pruned);
    fl_model_free(p.dense);
    return fl_program_exit(err);
}

fl_command fl_prune_command(fl_tool *tool)
{
    const fl_option own[] = {
        {"pruning", "remove", FL_OPTION_NUMBER, &tool->remove, 0, 0.99, "X",
         "share of the cost that is to go"},
        {"pruning", "keep", FL_OPTION_TEXT, &tool->keep, 0, 0, "LISTS",
         "channels to keep, instead of choosing them: GROUP:0-7,12;GROUP:..."},
        {"pruning", "list", FL_OPTION_FLAG, &tool->is_list, 0, 0, NULL,
         "print the groups of channels and leave"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "picks the rows, and their order"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the pruned model, ONNX"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress line and no result"},
    };
    enum { OWN = sizeof own / sizeof *own };
    static fl_option table[FL_DATA_SETTINGS_DATASET + FL_PRUNING_OPTIONS +
                           FL_TRAINING_OPTIONS + OWN];
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_pruning_list(table, count, tool);
    count = fl_training_list(table, count, tool, &tool->prune_lr);
    return (fl_command){
        .name = "prune",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, OWN),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
