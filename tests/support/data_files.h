/*
 * A folder of a test's own, and files put into it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_DATA_FILES_H
#define FL_TESTS_SUPPORT_DATA_FILES_H

#include <stddef.h>
#include <stdint.h>

enum { DATA_PATH_CAP = 256 };

typedef struct {
    char root[DATA_PATH_CAP];
    char path[DATA_PATH_CAP];  // of the file or folder made last
} data_files;

/* Both end the process when the machine does not play along. */
void data_files_init(data_files *files);
void data_files_fini(data_files *files);

/* Makes NAME under the root, and folders above it as needed. */
const char *data_files_put(data_files *files, const char *name,
                           const void *bytes, size_t len);
const char *data_files_put_text(data_files *files, const char *name,
                                const char *text);
const char *data_files_put_gz(data_files *files, const char *name,
                              const void *bytes, size_t len);
const char *data_files_put_folder(data_files *files, const char *name);

/* "FORMAT:ROOT/NAME", and with ",ROOT/SECOND" if there is a second one. */
void data_files_spec(char spec[4 * DATA_PATH_CAP], const data_files *files,
                     const char *format, const char *name, const char *second);

/*
 * An IDX file of bytes: sizes[0..dim_count), then len numbers of `values`.
 * Returns its length; dst needs 4 + 4 * dim_count + len bytes.
 */
size_t data_files_idx(uint8_t *dst, const uint32_t *sizes, unsigned dim_count,
                      const uint8_t *values, size_t len);

/*
 * A PNG of width * height samples of `channels` bytes (1 to 4), and of
 * `bits` each (8 or 16, then samples are pairs of bytes).
 */
const char *data_files_put_png(data_files *files, const char *name,
                               const uint8_t *pixels, uint32_t width,
                               uint32_t height, int channels, int bits);

/* A JPEG of the best quality; channels is 1, 3 or 4 (CMYK). */
const char *data_files_put_jpeg(data_files *files, const char *name,
                                const uint8_t *pixels, uint32_t width,
                                uint32_t height, int channels);

#endif
