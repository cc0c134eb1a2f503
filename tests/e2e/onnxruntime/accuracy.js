// Prints the accuracy of an ONNX model on Fashion-MNIST's 10,000 test
// pictures, computed by ONNX Runtime with all its optimisations.
//
//   node accuracy.js MODEL.onnx
//
// SPDX-License-Identifier: Apache-2.0
'use strict';
const { answers, labels } = require('./answers.js');

async function main(path) {
  const expected = labels();
  const found = await answers(path);
  const correct = found.filter((answer, i) => answer === expected[i]).length;
  console.log((correct / found.length).toFixed(6));
}

main(process.argv[2]).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
