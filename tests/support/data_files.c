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

#include <jpeglib.h>
#include <png.h>

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

const char *data_files_put_png(data_files *files, const char *name,
                               const uint8_t *pixels, uint32_t width,
                               uint32_t height, int channels, int bits)
{
    static const int colours[] = {0, PNG_COLOR_TYPE_GRAY,
                                  PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                  PNG_COLOR_TYPE_RGBA};
    make_path(files, name);
    FILE *file = fopen(files->path, "wb");
    demand(file != NULL, files->path);
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, width, height, bits, colours[channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    const size_t row_len = (size_t)width * (size_t)(channels * bits / 8);
    for (uint32_t y = 0; y < height; y++) {
        png_write_row(png, pixels + y * row_len);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    demand(fclose(file) == 0, "fclose");
    return files->path;
}

const char *data_files_put_jpeg(data_files *files, const char *name,
                                const uint8_t *pixels, uint32_t width,
                                uint32_t height, int channels)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    make_path(files, name);
    FILE *file = fopen(files->path, "wb");
    demand(file != NULL, files->path);
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_stdio_dest(&info, file);
    info.image_width = width;
    info.image_height = height;
    info.input_components = channels;
    info.in_color_space = channels == 1   ? JCS_GRAYSCALE
                          : channels == 3 ? JCS_RGB
                                          : JCS_CMYK;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 100, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < height) {
        uint8_t row[DATA_PATH_CAP];
        const size_t row_len = (size_t)width * (size_t)channels;
        demand(row_len <= sizeof row, "a row");
        memcpy(row, pixels + info.next_scanline * row_len, row_len);
        JSAMPROW rows = row;
        jpeg_write_scanlines(&info, &rows, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    demand(fclose(file) == 0, "fclose");
    return files->path;
}
