/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

const char *fl_err_text(fl_err err)
{
    switch (err) {
#define FL_ERR_CASE(name, value, text) \
    case name: return text;
        FL_ERR_LIST(FL_ERR_CASE)
#undef FL_ERR_CASE
    }
    return "unknown error code";
}
