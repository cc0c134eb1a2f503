/* SPDX-License-Identifier: Apache-2.0 */
#include "data/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

// Deflate spends at least two bits on 258 bytes (RFC 1951), a ratio of 1032.
enum { DEFLATE_RATIO_MAX = 1032, BUFFER_LEN = 1 << 17, SCRATCH_LEN = 4096 };

// gzread counts in int.
static const size_t READ_MAX = (size_t)1 << 30;

struct fl_stream {
    const char *path;
    gzFile file;
    uint64_t file_len;
    uint64_t offset;
};

static fl_err open_regular(int *fd, uint64_t *len, const char *path,
                           fl_reason *why)
{
    struct stat status;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        const int cause = errno;
        return fl_reason_set(why,
                             cause == ENOENT || cause == ENOTDIR
                                 ? FL_ERR_NOT_FOUND
                                 : FL_ERR_SYSTEM,
                             "%s: %s", path, strerror(cause));
    }
    if (fstat(*fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(*fd);
        return fl_reason_set(why, FL_ERR_RANGE, "%s: is not a file", path);
    }
    *len = (uint64_t)status.st_size;
    return FL_OK;
}

fl_err fl_stream_open(fl_stream **stream, const char *path, fl_reason *why)
{
    int fd = -1;
    uint64_t file_len = 0;
    FL_TRY(open_regular(&fd, &file_len, path, why));
    fl_stream *opened = malloc(sizeof *opened);
    gzFile file = gzdopen(fd, "rb");
    if (!opened || !file) {
        if (file) {
            gzclose_r(file);
        } else {
            close(fd);
        }
        free(opened);
        return fl_reason_set(why, FL_ERR_MEMORY, "%s: out of memory", path);
    }
    gzbuffer(file, BUFFER_LEN);
    *opened = (fl_stream){.path = path, .file = file, .file_len = file_len};
    *stream = opened;
    return FL_OK;
}

void fl_stream_close(fl_stream *stream)
{
    if (!stream) return;
    gzclose_r(stream->file);
    free(stream);
}

const char *fl_stream_path(const fl_stream *stream)
{
    return stream->path;
}

uint64_t fl_stream_offset(const fl_stream *stream)
{
    return stream->offset;
}

uint64_t fl_stream_left_max(const fl_stream *stream)
{
    const uint64_t ratio = gzdirect(stream->file) ? 1 : DEFLATE_RATIO_MAX;
    const uint64_t most = stream->file_len > UINT64_MAX / ratio
                              ? UINT64_MAX
                              : stream->file_len * ratio;
    return most > stream->offset ? most - stream->offset : 0;
}

fl_err fl_stream_read(size_t *got, void *dst, size_t len, fl_stream *stream,
                      fl_reason *why)
{
    char *to = dst;
    size_t done = 0;
    while (done < len) {
        const size_t left = len - done;
        const unsigned wish = (unsigned)(left < READ_MAX ? left : READ_MAX);
        const int count = gzread(stream->file, to + done, wish);
        if (count > 0) {
            done += (size_t)count;
            stream->offset += (uint64_t)count;
            continue;
        }
        // A cut gzip file reads as a short one; only gzerror tells.
        int cause = Z_OK;
        (void)gzerror(stream->file, &cause);
        if (cause == Z_ERRNO) {
            return fl_reason_set(why, FL_ERR_SYSTEM, "%s: %s", stream->path,
                                 strerror(errno));
        }
        if (cause != Z_OK && cause != Z_STREAM_END) {
            return fl_reason_set(
                why, FL_ERR_FORMAT,
                "%s: the gzip data is %s after %" PRIu64
                " unpacked bytes; copy or download the file again",
                stream->path, cause == Z_BUF_ERROR ? "cut short" : "damaged",
                stream->offset);
        }
        break;
    }
    *got = done;
    return FL_OK;
}

fl_err fl_stream_fill(void *dst, size_t len, fl_stream *stream, fl_reason *why)
{
    size_t got = 0;
    FL_TRY(fl_stream_read(&got, dst, len, stream, why));
    if (got == len) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: ends at byte %" PRIu64
                         ", %zu bytes too early; copy or download it again",
                         stream->path, stream->offset, len - got);
}

fl_err fl_stream_skip(size_t len, fl_stream *stream, fl_reason *why)
{
    char scratch[SCRATCH_LEN];
    while (len > 0) {
        const size_t part = len < sizeof scratch ? len : sizeof scratch;
        FL_TRY(fl_stream_fill(scratch, part, stream, why));
        len -= part;
    }
    return FL_OK;
}

fl_err fl_stream_finish(fl_stream *stream, fl_reason *why)
{
    const uint64_t end = stream->offset;
    size_t got = 0;
    char extra;
    FL_TRY(fl_stream_read(&got, &extra, 1, stream, why));
    if (got == 0) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: the data ends at byte %" PRIu64
                         " by its header, but the file goes on",
                         stream->path, end);
}
