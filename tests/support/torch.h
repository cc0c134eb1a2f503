/*
 * The numbers that the scripts in tests/vectors compute with: both sides make
 * them from one integer hash, so that no file has to hold them.
 *
 *     h = i * 0x9E3779B1;  h ^= h >> 15;  h *= 0x85EBCA77;  h ^= h >> 13
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_TORCH_H
#define FL_TESTS_SUPPORT_TORCH_H

#include <stddef.h>
#include <stdint.h>

uint32_t torch_hash(uint32_t i);

/* (hash >> 8) / 2^23 - 1: from -1 to 1. */
float torch_unit(uint32_t i);

/* x[k] = torch_unit(first + k). */
void torch_fill(float *x, size_t count, uint32_t first);

#endif
