/*
 * fedge-compress: models on one machine: make, train, quantise, measure.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdlib.h>

#include "compress/tool.h"

static void on_signal(int signal_number)
{
    // The second one does not wait: this run is over at once.
    if (atomic_exchange(&fl_tool_stop, true)) _Exit(128 + signal_number);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static const char USAGE[] =
    "usage: fedge-compress COMMAND [WORD] [OPTION]...\n\n"
    "Makes, trains, quantises and measures a model on this machine. Models "
    "are ONNX\nfiles.\n\n"
    "  new NAME        a built-in architecture with fresh parameters\n"
    "  train MODEL     trains it on a dataset\n"
    "  evaluate MODEL  accuracy and loss on the dataset's test part\n"
    "  quantize MODEL  float32 to INT8, to a mix, or stored in fewer bits\n"
    "  qat MODEL       INT8, trained on with the rounding in it\n"
    "  convert MODEL   the same model in another form of file\n"
    "  prune MODEL     without its least important channels\n"
    "  hqp MODEL       pruned and INT8, as small as a guard lets it get\n"
    "  factorize MODEL large layers as products of thin ones\n"
    "  sparsify MODEL  weights become zero, the file packs the better\n"
    "  distill TEACHER a small model learns what a large one answers\n"
    "  advise MODEL    tries all of that, and says what suits a device\n"
    "  bench MODEL     latency, throughput and memory, layer by layer\n"
    "  inspect MODEL   layers, shapes, parameters, operations\n\n"
    "  fedge-compress new resnet8 --dataset fashion-mnist --out r8.onnx\n"
    "  fedge-compress train r8.onnx --dataset fashion-mnist --epochs 2 "
    "--out r8.onnx\n"
    "  fedge-compress quantize r8.onnx --dataset fashion-mnist --out "
    "r8-int8.onnx\n"
    "  fedge-compress bench r8-int8.onnx\n\n"
    "fedge-compress COMMAND --help says more.\n";

int main(int argc, char **argv)
{
    fl_tool tool = FL_TOOL_DEFAULTS;
    static const char *log_level = "error";
    const fl_command commands[] = {
        fl_new_command(&tool),       fl_train_command(&tool),
        fl_evaluate_command(&tool),  fl_quantize_command(&tool),
        fl_qat_command(&tool),       fl_convert_command(&tool),
        fl_prune_command(&tool),     fl_hqp_command(&tool),
        fl_factorize_command(&tool), fl_sparsify_command(&tool),
        fl_distill_command(&tool),   fl_advise_command(&tool),
        fl_bench_command(&tool),     fl_inspect_command(&tool),
    };
    const fl_program program = {
        .name = "fedge-compress",
        .summary = "make, train, shrink and measure a model",
        .usage = USAGE,
        .commands = commands,
        .command_count = sizeof commands / sizeof *commands,
        .log_level = &log_level,
        .settings = &tool,
    };
    catch_signals();
    return fl_program_main(&program, argc, argv);
}
