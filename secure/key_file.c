/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/owner.h"

#define FIRST_LINE "fedge identity 1\n"

enum {
    FIRST_LINE_LEN = sizeof FIRST_LINE - 1,
    DIGIT_COUNT = 2 * FL_SEED_BYTES,
};

_Static_assert(FL_KEY_FILE_BYTES == FIRST_LINE_LEN + DIGIT_COUNT + 1,
               "two lines");

void fl_key_file_encode(char dst[FL_KEY_FILE_BYTES],
                        const uint8_t seed[FL_SEED_BYTES])
{
    char digits[DIGIT_COUNT + 1];
    fl_hex_encode(digits, sizeof digits, seed, FL_SEED_BYTES);
    memcpy(dst, FIRST_LINE, FIRST_LINE_LEN);
    memcpy(dst + FIRST_LINE_LEN, digits, DIGIT_COUNT);
    dst[FL_KEY_FILE_BYTES - 1] = '\n';
    fl_secret_wipe(digits, sizeof digits);
}

fl_err fl_key_file_decode(uint8_t seed[FL_SEED_BYTES], const char *src,
                          size_t src_len, fl_reason *why)
{
    fl_secret_wipe(seed, FL_SEED_BYTES);
    if (src_len < FIRST_LINE_LEN ||
        memcmp(src, FIRST_LINE, FIRST_LINE_LEN) != 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "line 1: not \"fedge identity 1\"");
    }
    if (src_len != FL_KEY_FILE_BYTES) {
        return fl_reason_set(
            why, FL_ERR_FORMAT, "a key file has %d bytes, this one has %s",
            FL_KEY_FILE_BYTES, src_len < FL_KEY_FILE_BYTES ? "fewer" : "more");
    }
    if (src[FL_KEY_FILE_BYTES - 1] != '\n') {
        return fl_reason_set(why, FL_ERR_FORMAT, "line 2: no end of line");
    }

    char digits[DIGIT_COUNT + 1];
    memcpy(digits, src + FIRST_LINE_LEN, DIGIT_COUNT);
    digits[DIGIT_COUNT] = 0;
    const fl_err err = fl_hex_decode(seed, FL_SEED_BYTES, digits);
    fl_secret_wipe(digits, sizeof digits);
    if (err) {
        fl_secret_wipe(seed, FL_SEED_BYTES);
        return fl_reason_set(why, err, "line 2: not %d hexadecimal digits",
                             DIGIT_COUNT);
    }
    return FL_OK;
}

static fl_err refuse_read(fl_reason *why, const char *path)
{
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s: cannot be read: %s; the file must belong to the "
                         "user that runs this program",
                         path, strerror(errno));
}

static fl_err refuse_make(fl_reason *why, const char *path)
{
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s: cannot be made: %s; its folder must exist, have "
                         "room and be writable for the user that runs this "
                         "program",
                         path, strerror(errno));
}

// All bytes up to dst_cap; *len is less at the end of the file.
static fl_err read_all(int file, char *dst, size_t dst_cap, size_t *len)
{
    for (*len = 0; *len < dst_cap;) {
        const ssize_t got = read(file, dst + *len, dst_cap - *len);
        if (got == 0) break;
        if (got < 0 && errno != EINTR) return FL_ERR_SYSTEM;
        if (got > 0) *len += (size_t)got;
    }
    return FL_OK;
}

static fl_err write_all(int file, const char *src, size_t src_len)
{
    for (size_t done = 0; done < src_len;) {
        const ssize_t put = write(file, src + done, src_len - done);
        if (put < 0 && errno != EINTR) return FL_ERR_SYSTEM;
        if (put > 0) done += (size_t)put;
    }
    return FL_OK;
}

static fl_err check_is_private(int file, const char *path, fl_reason *why)
{
    struct stat status;
    if (fstat(file, &status) != 0) return refuse_read(why, path);
    if (!S_ISREG(status.st_mode)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: not a file; name the file of the key", path);
    }
    if (status.st_mode & (S_IRWXG | S_IRWXO)) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "%s: mode %04o lets others at the secret key; "
                             "run: chmod 600 %s",
                             path, (unsigned)status.st_mode & 07777U, path);
    }
    return FL_OK;
}

// FL_ERR_NOT_FOUND: no such file; no reason is given then.
static fl_err read_seed(uint8_t seed[FL_SEED_BYTES], const char *path,
                        fl_reason *why)
{
    // Non-blocking, so that a pipe in this place is refused, not waited for.
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 && errno == ENOENT) return FL_ERR_NOT_FOUND;
    if (file < 0) return refuse_read(why, path);

    // One byte of room shows that a file is too long. Read without stdio: its
    // buffers could not be wiped.
    char bytes[FL_KEY_FILE_BYTES + 1];
    size_t len;
    fl_err err = check_is_private(file, path, why);
    if (err) goto out;
    err = read_all(file, bytes, sizeof bytes, &len);
    if (err) {
        refuse_read(why, path);
        goto out;
    }
    err = fl_key_file_decode(seed, bytes, len, why);
    if (err) {
        fl_reason_prefix(why, err,
                         "%s (restore it from a copy, or remove it to become "
                         "a new identity)",
                         path);
    }

out:
    fl_secret_wipe(bytes, sizeof bytes);
    close(file);
    return err;
}

static fl_err write_random_seed(int file)
{
    uint8_t seed[FL_SEED_BYTES];
    char bytes[FL_KEY_FILE_BYTES];
    fl_secret_random(seed, sizeof seed);
    fl_key_file_encode(bytes, seed);
    fl_err err = write_all(file, bytes, sizeof bytes);
    if (!err && fsync(file) != 0) err = FL_ERR_SYSTEM;
    fl_secret_wipe(seed, sizeof seed);
    fl_secret_wipe(bytes, sizeof bytes);
    return err;
}

static fl_err sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    if (len >= sizeof folder) return FL_ERR_SYSTEM;  // mkstemp(3) was longer
    memcpy(folder, path, len);
    folder[len] = 0;

    const int file = open(len ? folder : ".", O_RDONLY | O_CLOEXEC);
    if (file < 0) return FL_ERR_SYSTEM;
    const fl_err err = fsync(file) == 0 ? FL_OK : FL_ERR_SYSTEM;
    close(file);
    return err;
}

/*
 * link(2), unlike rename(2), never replaces: of several processes that get
 * here together one places its seed, the others find it there: FL_ERR_STATE.
 */
static fl_err place_file(const char *from, const char *path)
{
    const bool is_ours = link(from, path) == 0;
    if (!is_ours && errno != EEXIST) return FL_ERR_SYSTEM;
    FL_TRY(sync_folder_of(path));
    return is_ours ? FL_OK : FL_ERR_STATE;
}

fl_err fl_key_file_make(const char *path, fl_reason *why)
{
    char temporary[PATH_MAX];
    const int len =
        snprintf(temporary, sizeof temporary, "%s.new-XXXXXX", path);
    if (len < 0 || (size_t)len >= sizeof temporary) {
        errno = ENAMETOOLONG;
        return refuse_make(why, path);
    }
    const int file = mkstemp(temporary);  // mode 0600
    if (file < 0) return refuse_make(why, path);
    fl_owner_follow(file, temporary);

    fl_err err = write_random_seed(file);
    if (!err) err = place_file(temporary, path);
    if (err == FL_ERR_STATE) {
        fl_reason_set(why, err,
                      "%s: is there already and is never overwritten; name "
                      "another file",
                      path);
    } else if (err) {
        refuse_make(why, path);
    }
    unlink(temporary);
    close(file);
    return err;
}

fl_err fl_key_file_read(uint8_t seed[FL_SEED_BYTES], const char *path,
                        fl_reason *why)
{
    const fl_err err = read_seed(seed, path, why);
    if (err != FL_ERR_NOT_FOUND) return err;
    return fl_reason_set(why, err, "%s: no such key file", path);
}

fl_err fl_key_file_open(uint8_t seed[FL_SEED_BYTES], const char *path,
                        fl_reason *why)
{
    fl_err err = read_seed(seed, path, why);
    if (err != FL_ERR_NOT_FOUND) return err;
    fl_reason made = {""};
    err = fl_key_file_make(path, &made);
    if (err && err != FL_ERR_STATE) {
        return fl_reason_set(why, err, "%s", made.text);
    }
    err = read_seed(seed, path, why);
    if (err != FL_ERR_NOT_FOUND) return err;
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s: vanished as soon as it was made", path);
}
