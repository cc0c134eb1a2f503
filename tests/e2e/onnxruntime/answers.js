// What ONNX Runtime answers, with all its optimisations, to Fashion-MNIST's
// 10,000 test pictures.
//
// SPDX-License-Identifier: Apache-2.0
'use strict';
const fs = require('node:fs');
const zlib = require('node:zlib');
const ort = require('onnxruntime-node');

const FOLDER = '/usr/share/datasets/fashion-mnist';
const BATCH = 500;

// An IDX file of bytes: two zeros, type 8, the number of dimensions, then
// each of them as four bytes.
function readIdx(name) {
  const bytes = zlib.gunzipSync(fs.readFileSync(`${FOLDER}/${name}.gz`));
  const dims = [];
  for (let i = 0; i < bytes[3]; i++) dims.push(bytes.readUInt32BE(4 + 4 * i));
  return { dims, values: bytes.subarray(4 + 4 * dims.length) };
}

function indexOfLargest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}

exports.labels = () => readIdx('t10k-labels-idx1-ubyte').values;

// One class a picture.
exports.answers = async (path) => {
  const images = readIdx('t10k-images-idx3-ubyte');
  const [count, height, width] = images.dims;
  const size = height * width;
  const session = await ort.InferenceSession.create(path, {
    graphOptimizationLevel: 'all',
  });
  const found = [];
  for (let first = 0; first < count; first += BATCH) {
    const rows = Math.min(BATCH, count - first);
    const pixels = images.values.subarray(first * size, (first + rows) * size);
    const x = Float32Array.from(pixels, (pixel) => Math.fround(pixel / 255));
    const input = new ort.Tensor('float32', x, [rows, 1, height, width]);
    const { logits } = await session.run({ input });
    const classes = logits.dims[1];
    for (let i = 0; i < rows; i++) {
      found.push(
        indexOfLargest(logits.data.subarray(i * classes, (i + 1) * classes))
      );
    }
  }
  return found;
};
