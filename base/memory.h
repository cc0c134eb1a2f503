/*
 * How this process deals with the memory that it has freed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_MEMORY_H
#define FL_BASE_MEMORY_H

/*
 * For a program that runs for months beside others: what was large goes back to
 * the operating system as soon as it is freed, and threads share two heaps.
 * Call before there are threads. Does nothing where the C library is not glibc.
 */
void fl_memory_give_back(void);

#endif
