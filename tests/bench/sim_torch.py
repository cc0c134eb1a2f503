#!/usr/bin/python3
"""The peer of sim_bench.sh: the same federation as a plain PyTorch loop, one
thread, channels_last, all pictures turned into floats beforehand.

SPDX-License-Identifier: Apache-2.0
"""
import time

import federation
import numpy as np

ROUNDS = 10

data = federation.load()
random = np.random.default_rng(1)
parts = np.split(random.permutation(60000), 100)
cohorts = [random.choice(100, 10, replace=False) for _ in range(ROUNDS)]
model = federation.lenet()
start = time.process_time()
for cohort in cohorts:
    federation.run_round(model, data, [parts[c] for c in cohort])
    federation.evaluate(model, data)
took = time.process_time() - start
print("sim_samples_per_cpu_s", ROUNDS * 10 * 600 / took, "1/s")
