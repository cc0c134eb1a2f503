/*
 * Updates to few bytes (codec.h), models on their way down (grid.h, patch.h,
 * ranges.h), and what a smaller model can do without (importance.h, prune.h).
 * docs/compression.md explains how the first two fit together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_COMPRESS_H
#define FL_COMPRESS_COMPRESS_H

#include "compress/model/grid.h"
#include "compress/model/importance.h"
#include "compress/model/latency.h"
#include "compress/model/patch.h"
#include "compress/model/prune.h"
#include "compress/model/ranges.h"
#include "compress/update/codec.h"

#endif
