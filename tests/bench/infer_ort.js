// ONNX Runtime's side of bench-infer: the files that infer_models_bench left
// in build/bench, one example a call, one thread, all optimisations.
//
//   NODE_PATH=build/onnxruntime/node_modules node infer_ort.js NETWORK
//
// JavaScript's promises cost more than a small network, so the package's
// native session is called directly. What such a call costs by itself is
// measured with a network that does nothing, and taken off in the figures
// that end in _without_overhead.
//
// SPDX-License-Identifier: Apache-2.0
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { Tensor } = require('onnxruntime-node');
const { binding } = require(path.join(
  path.dirname(require.resolve('onnxruntime-node')), 'binding.js'));

const WARM_UP_CALLS = 1000;
const CALLS = 5000;
const IMAGE = 28;

// An ONNX file with the one node input -> Identity -> logits.
function encodeIdentity() {
  const varint = (tag, value) => [tag << 3, value];
  const block = (tag, ...parts) => {
    const bytes = parts.flat();
    return [(tag << 3) | 2, bytes.length, ...bytes];
  };
  const text = (tag, string) => block(tag, [...Buffer.from(string)]);
  const dims = [1, 1, IMAGE, IMAGE].map((size) => block(1, varint(1, size)));
  const value = (tag, name) => block(tag, text(1, name),
    block(2, block(1, varint(1, 1), block(2, ...dims))));
  const node = block(1, text(1, 'input'), text(2, 'logits'),
    text(4, 'Identity'));
  const graph = block(7, node, text(2, 'identity'), value(11, 'input'),
    value(12, 'logits'));
  return Buffer.from([...varint(1, 8), ...graph, ...block(8, varint(2, 13))]);
}

function openSession(bytes) {
  const session = new binding.InferenceSession();
  session.loadModel(bytes.buffer, bytes.byteOffset, bytes.byteLength, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  return session;
}

// The median of many calls, after some that warm up caches and compiler.
function measureCallUs(bytes) {
  const session = openSession(bytes);
  const pixels = Float32Array.from({ length: IMAGE * IMAGE },
    (_, i) => (i % 256) / 255);
  const feeds = { input: new Tensor('float32', pixels, [1, 1, IMAGE, IMAGE]) };
  const fetches = { logits: null };
  const tookUs = new Float64Array(CALLS);
  for (let i = -WARM_UP_CALLS; i < CALLS; i++) {
    const start = process.hrtime.bigint();
    session.run(feeds, fetches, {});
    if (i >= 0) tookUs[i] = Number(process.hrtime.bigint() - start) / 1e3;
  }
  return tookUs.sort()[CALLS / 2];
}

function main(network) {
  const overheadUs = measureCallUs(encodeIdentity());
  console.log(`${network}_call_overhead_us ${overheadUs.toFixed(2)} us`);
  for (const [type, ending] of [['fp32', ''], ['int8', '-int8']]) {
    const us = measureCallUs(
      fs.readFileSync(`build/bench/${network}${ending}.onnx`));
    console.log(`${network}_${type}_us ${us.toFixed(2)} us`);
    console.log(`${network}_${type}_us_without_overhead ` +
      `${(us - overheadUs).toFixed(2)} us`);
  }
}

main(process.argv[2]);
