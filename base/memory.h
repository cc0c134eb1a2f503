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

/* Now, what small blocks have left: others on a board need it. Takes a walk
 * over the heap, so after large pieces of work only. */
void fl_memory_trim(void);

#endif
