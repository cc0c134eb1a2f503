/*
 * Updates to few bytes (codec.h), and models on their way down (grid.h,
 * patch.h). docs/compression.md explains how it all fits together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_COMPRESS_H
#define FL_COMPRESS_COMPRESS_H

#include "compress/model/grid.h"
#include "compress/model/patch.h"
#include "compress/update/codec.h"

#endif
