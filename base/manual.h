/*
 * What a program says about itself besides --help, all of it from the tables
 * that the program runs with: a manual page, completion for shells.
 *
 * The page takes its text from the usage of the program and its commands: the
 * blocks between blank lines. The first one is the synopsis, one that begins
 * with two blanks and the program's name is an example (with the line before
 * it, when that ends with a colon), one with indented lines or columns stands
 * as it is, all others are paragraphs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_MANUAL_H
#define FL_BASE_MANUAL_H

#include <stdio.h>

#include "base/program.h"

/*
 * --help=man: a page in man(7) with every command and option. Its date is
 * $SOURCE_DATE_EPOCH; without it there is none.
 */
void fl_manual_page(FILE *out, const fl_program *program);

/* --help=bash, --help=zsh: commands and their options; else file names. */
void fl_manual_bash(FILE *out, const fl_program *program);
void fl_manual_zsh(FILE *out, const fl_program *program);

/* --help=conf: the program's configuration file, all commented out. */
void fl_manual_config(FILE *out, const fl_program *program);

#endif
