// Runs every NAME.onnx of a folder in ONNX Runtime with all its optimisations
// and compares with what NAME.json says it gives: no number may be off by
// more than 1e-5 of the largest.
//
//   node compare.js FOLDER
//
// SPDX-License-Identifier: Apache-2.0
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const ort = require('onnxruntime-node');

const OFF_MAX = 1e-5;

async function offOf(folder, name) {
  const expected = JSON.parse(
    fs.readFileSync(path.join(folder, `${name}.json`), 'utf8'));
  const session = await ort.InferenceSession.create(
    path.join(folder, `${name}.onnx`), { graphOptimizationLevel: 'all' });
  const x = Float32Array.from(expected.input);
  const input = new ort.Tensor('float32', x, expected.dims);
  const { logits } = await session.run({ input });
  if (logits.data.length !== expected.logits.length) return Infinity;
  let off = 0;
  let largest = 0;
  for (let i = 0; i < logits.data.length; i++) {
    const difference = Math.abs(logits.data[i] - expected.logits[i]);
    off = difference <= off ? off : difference;  // NaN is not <=
    largest = Math.max(largest, Math.abs(expected.logits[i]));
  }
  return off / largest;
}

async function main(folder) {
  const names = fs.readdirSync(folder)
    .filter((file) => file.endsWith('.onnx'))
    .map((file) => path.basename(file, '.onnx'));
  let failed = 0;
  for (const name of names) {
    const off = await offOf(folder, name);
    const agrees = off <= OFF_MAX;
    if (!agrees) failed++;
    console.log(`${agrees ? 'agrees' : 'DIFFERS'} ${name} ${off.toExponential(1)}`);
  }
  console.log(`${names.length - failed} passed, ${failed} failed`);
  if (failed || names.length === 0) process.exit(1);
}

main(process.argv[2]).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
