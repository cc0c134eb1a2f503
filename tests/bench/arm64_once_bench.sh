#!/bin/sh
# What the INT8 kernels are on arm64, cross-compiled as a release: their bytes
# of code, and how many of their instructions do the work they are made for:
# sdot (Cortex-A55, A76 and younger) and smlal (every arm64).
# SPDX-License-Identifier: Apache-2.0
set -eu
objects=$(printf 'build/arm64/%s ' model/int8/*.c | sed 's/\.c /.o /g')
tools/sysroot arm64
# shellcheck disable=SC2086  # a list of words on purpose
make -s VARIANT=arm64 $objects >&2
# shellcheck disable=SC2086
tests/arm64/code $objects | awk '
    { text += $2; all += $3; sdot += $4; smlal += $5 }
    END {
        print "arm64_text_bytes", text, "B"
        print "arm64_instruction_count", all, "instructions"
        print "arm64_sdot_count", sdot, "instructions"
        print "arm64_smlal_count", smlal, "instructions"
    }'
