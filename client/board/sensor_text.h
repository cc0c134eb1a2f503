/*
 * What the kernel's small text files say. Private to client/.
 *
 * Pure functions over text that ends in a 0, safe on anything: what does not
 * read as it should is false, and the result is as it was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_SENSOR_TEXT_H
#define FL_CLIENT_SENSOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { FL_SENSOR_WORD_CAP = 32 };

/* One number and nothing else: "48312\n", "-40"; or, in `base` 16, "0x50005".
 */
bool fl_sensor_number(long long *number, const char *text, int base);

/* One word and nothing else but its newline: "cpu-thermal". */
bool fl_sensor_word(char word[FL_SENSOR_WORD_CAP], const char *text);

/* loadavg: the load of the last minute. */
bool fl_sensor_load(double *load, const char *text);

/* pressure: % of the last ten seconds in which some task has waited. */
bool fl_sensor_pressure(double *percent, const char *text);

/* meminfo: MB that are available. */
bool fl_sensor_memory(double *megabytes, const char *text);

/* cpu/online: "0-3,6". */
bool fl_sensor_cpus(unsigned *count, const char *text);

/* net/route: where packets to the rest of the world go. */
bool fl_sensor_route(char name[FL_SENSOR_WORD_CAP], const char *text);

/* uevent: the value behind `key`, which ends in '='. */
bool fl_sensor_value(char word[FL_SENSOR_WORD_CAP], const char *text,
                     const char *key);

#endif
