#!/bin/sh
# What the INT8 kernels are on arm64, cross-compiled as a release: their bytes
# of code, and how many of their instructions do the work they are made for:
# sdot (Cortex-A76 and younger) and smlal (every arm64).
# SPDX-License-Identifier: Apache-2.0
set -eu
triple=aarch64-linux-gnu
out=build/bench/arm64
mkdir -p "$out"
rm -f "$out"/*.o
for source in model/int8/*.c; do
    # The x86 kernels are empty here.
    "$triple-gcc" -std=c11 -O2 -ffp-contract=off -D_POSIX_C_SOURCE=200809L \
        -I. -Ibuild/gen -c -o "$out/$(basename "$source" .c).o" "$source"
done

"$triple-size" "$out"/*.o |
    awk 'NR > 1 { text += $1 } END { print "arm64_text_bytes", text, "B" }'
# A line of code is: address, bytes, instruction, operands.
"$triple-objdump" -d "$out"/*.o | awk -F'\t' '
    NF >= 3 { all++ }
    $3 ~ /^sdot/ { sdot++ }
    $3 ~ /^smlal/ { smlal++ }
    END {
        print "arm64_instruction_count", all + 0, "instructions"
        print "arm64_sdot_count", sdot + 0, "instructions"
        print "arm64_smlal_count", smlal + 0, "instructions"
    }'
