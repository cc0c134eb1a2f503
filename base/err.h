/*
 * Error codes shared by every module.
 *
 * A function that can fail returns fl_err and nothing else; results go out
 * through pointers. FL_OK is 0, so `if (err)` reads as "if it failed".
 * Values appear in logs and on the wire: append, never renumber.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_ERR_H
#define FL_BASE_ERR_H

#define FL_ERR_LIST(X)                                         \
    X(FL_OK, 0, "success")                                     \
    X(FL_ERR_MEMORY, 1, "out of memory")                       \
    X(FL_ERR_SPACE, 2, "output buffer too small")              \
    X(FL_ERR_RANGE, 3, "value outside its documented range")   \
    X(FL_ERR_FORMAT, 4, "bytes do not follow the format")      \
    X(FL_ERR_AUTH, 5, "authentication failed")                 \
    X(FL_ERR_STATE, 6, "not allowed in this state")            \
    X(FL_ERR_TIMEOUT, 7, "deadline passed")                    \
    X(FL_ERR_CLOSED, 8, "peer or object is closed")            \
    X(FL_ERR_SYSTEM, 9, "operating system call failed")        \
    X(FL_ERR_UNSUPPORTED, 10, "not supported by this version") \
    X(FL_ERR_NOT_FOUND, 11, "no such thing")                   \
    X(FL_ERR_LIMIT, 12, "would exceed a documented maximum")   \
    X(FL_ERR_CANCELLED, 13, "stopped on request")              \
    X(FL_ERR_STALE, 14, "belongs to a round that is over")

typedef enum {
#define FL_ERR_ENUM(name, value, text) name = (value),
    FL_ERR_LIST(FL_ERR_ENUM)
#undef FL_ERR_ENUM
} fl_err;

/* Marks functions whose result must be used. */
#define FL_CHECK __attribute__((warn_unused_result))

/* Passes a failure up. Only for functions that own nothing yet. */
#define FL_TRY(expr)                         \
    do {                                     \
        fl_err fl_try_err_ = (expr);         \
        if (fl_try_err_) return fl_try_err_; \
    } while (0)

/* Text for logs; a static string, never NULL. */
const char *fl_err_text(fl_err err);

#endif
