// On how many of Fashion-MNIST's 10,000 test pictures ONNX Runtime, with all
// its optimisations, answers as fedge does; and how often each is right.
//
//   node agreement.js MODEL.onnx PREDICTIONS.csv
//
// SPDX-License-Identifier: Apache-2.0
'use strict';
const fs = require('node:fs');
const { answers } = require('./answers.js');

async function main(path, predictions) {
  const lines = fs.readFileSync(predictions, 'utf8').trim().split('\n').slice(1);
  const ours = lines.map((line) => line.split(',').map(Number));
  const theirs = await answers(path);
  let same = 0;
  let right = 0;
  let rightOfOurs = 0;
  for (const [row, label, answer] of ours) {
    if (theirs[row] === answer) same++;
    if (theirs[row] === label) right++;
    if (answer === label) rightOfOurs++;
  }
  const share = (count) => (count / ours.length).toFixed(4);
  console.log(`${share(same)} ${share(right)} ${share(rightOfOurs)}`);
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
