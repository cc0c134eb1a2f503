/* SPDX-License-Identifier: Apache-2.0 */
// nftw(3) belongs to X/Open.
#define _XOPEN_SOURCE 700
#include "tests/support/data_files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

static void demand(int holds, const char *what)
{
    if (holds) return;
    perror(what);
    abort();
}

void data_files_init(data_files *files)
{
    const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(files->root, sizeof files->root, "%s/fedge-data-XXXXXX", root);
    demand(mkdtemp(files->root) != NULL, "mkdtemp");
}

static int remove_one(const char *path, const struct stat *status, int kind,
                      struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void data_files_fini(data_files *files)
{
    enum { OPEN_FOLDERS = 8 };
    demand(nftw(files->root, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) ==
               0,
           "nftw");
}

static void make_path(data_files *files, const char *name)
{
    const int len =
        snprintf(files->path, sizeof files->path, "%s/%s", files->root, name);
    demand(len > 0 && (size_t)len < sizeof files->path, "snprintf");
    for (char *at = files->path + strlen(files->root) + 1;
         (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        mkdir(files->path, 0700);
    }
}

const char *data_files_put(data_files *files, const char *name,
                           const void *bytes, size_t len)
{
    make_path(files, name);
    FILE *file = fopen(files->path, "wb");
    demand(file != NULL, files->path);
    demand(fwrite(bytes, 1, len, file) == len, "fwrite");
    demand(fclose(file) == 0, "fclose");
    return files->path;
}

const char *data_files_put_text(data_files *files, const char *name,
                                const char *text)
{
    return data_files_put(files, name, text, strlen(text));
}

const char *data_files_put_gz(data_files *files, const char *name,
                              const void *bytes, size_t len)
{
    make_path(files, name);
    gzFile file = gzopen(files->path, "wb");
    demand(file != NULL, files->path);
    demand(gzwrite(file, bytes, (unsigned)len) == (int)len, "gzwrite");
    demand(gzclose(file) == Z_OK, "gzclose");
    return files->path;
}

const char *data_files_put_folder(data_files *files, const char *name)
{
    make_path(files, name);
    mkdir(files->path, 0700);
    return files->path;
}

void data_files_spec(char spec[4 * DATA_PATH_CAP], const data_files *files,
                     const char *format, const char *name, const char *second)
{
    const int len = snprintf(spec, (size_t)4 * DATA_PATH_CAP, "%s:%s/%s",
                             format, files->root, name);
    if (second) {
        snprintf(spec + len, (size_t)4 * DATA_PATH_CAP - (size_t)len, ",%s/%s",
                 files->root, second);
    }
}

size_t data_files_idx(uint8_t *dst, const uint32_t *sizes, unsigned dim_count,
                      const uint8_t *values, size_t len)
{
    uint8_t *at = dst;
    *at++ = 0;
    *at++ = 0;
    *at++ = 0x08;
    *at++ = (uint8_t)dim_count;
    for (unsigned i = 0; i < dim_count; i++) {
        for (int shift = 24; shift >= 0; shift -= 8) {
            *at++ = (uint8_t)(sizes[i] >> shift);
        }
    }
    memcpy(at, values, len);
    return (size_t)(at - dst) + len;
}
