#!/bin/sh
# ONNX Runtime computes from what fedge writes what fedge computes itself:
# every network of tests/vectors/onnx, read and written again, and every
# built-in architecture, within 1e-5 of the largest number.
#
#   tests/e2e/onnxruntime_networks.sh            those
#   tests/e2e/onnxruntime_networks.sh FILE...    models of yours as well
#
# Needs make interop's rewrite program and what tools/install-onnxruntime needs.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
tree=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# One in training mode, which is refused.
find "$tree/tests/vectors/onnx" -name '*.onnx' ! -name cnn-training.onnx \
    -exec "$B/tests/e2e/onnxruntime/rewrite" "$scratch" "$@" {} +
"$tree/tools/install-onnxruntime"
NODE_PATH=$tree/build/onnxruntime/node_modules \
    node "$tree/tests/e2e/onnxruntime/compare.js" "$scratch"
