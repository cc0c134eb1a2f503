/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/matrix.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum {
    ROLES = 4,
    NEAR = 8,      // how many neighbours are not zero
    FULLNESS = 7,  // of a row or column, against the tensor's
    SIZES = 4,     // of the neighbours
    SIGNS = 9,     // of the neighbours: left and above, three each
    PRIOR = 8,     // a row or column is as full as the tensor at first
};

// What is known of numbers of one role.
typedef struct {
    fl_chance zero[NEAR][FULLNESS][FULLNESS];
    fl_chance sign[SIGNS];
    fl_number size[SIZES];
} knowledge;

typedef struct {
    int32_t above;   // the number in the row above
    uint32_t count;  // of non-zeros so far
} column;

struct fl_matrix {
    knowledge roles[ROLES];
    knowledge *now;
    size_t column_count, at;  // at: the next number's column
    uint64_t row;             // the next number's row
    uint64_t row_nonzeros;
    uint64_t seen, nonzeros;  // of the tensor
    int32_t left, further_left, above_left;
    column columns[];
};

/* ---- life ---- */

static void init(knowledge *role)
{
    fl_chance_init(role->zero[0][0], NEAR * FULLNESS * (size_t)FULLNESS);
    fl_chance_init(role->sign, SIGNS);
    for (int i = 0; i < SIZES; i++) {
        fl_number_init(&role->size[i]);
    }
}

fl_err fl_matrix_new(fl_matrix **result, size_t column_cap)
{
    size_t len;
    FL_TRY(fl_size_mul(&len, column_cap, sizeof(column)));
    FL_TRY(fl_size_add(&len, len, sizeof(fl_matrix)));
    fl_matrix *matrix = malloc(len);
    if (!matrix) return FL_ERR_MEMORY;
    for (int i = 0; i < ROLES; i++) {
        init(&matrix->roles[i]);
    }
    *result = matrix;
    return FL_OK;
}

void fl_matrix_free(fl_matrix *matrix)
{
    free(matrix);
}

void fl_matrix_start(fl_matrix *matrix, unsigned role, size_t column_count)
{
    matrix->now = &matrix->roles[role];
    matrix->column_count = column_count;
    matrix->at = 0;
    matrix->row = matrix->row_nonzeros = 0;
    matrix->seen = matrix->nonzeros = 0;
    matrix->left = matrix->further_left = matrix->above_left = 0;
    memset(matrix->columns, 0, column_count * sizeof(column));
}

/* ---- context ---- */

// How full `count` of `seen` is beside the tensor's `all_count` of `all_seen`.
static unsigned fullness(uint64_t count, uint64_t seen, uint64_t all_count,
                         uint64_t all_seen)
{
    // count / seen against all, each with PRIOR more that are as all are.
    const uint64_t part = count * (all_seen + 1) + PRIOR * (all_count + 1);
    const uint64_t whole = (seen + PRIOR) * (all_count + 1);
    unsigned class = 0;
    class += 4 * part > whole;
    class += 2 * part > whole;
    class += 4 * part > 3 * whole;
    class += 3 * part > 4 * whole;
    class += part > 2 * whole;
    class += part > 4 * whole;
    return class;
}

static uint32_t size_of(int32_t value)
{
    return value < 0 ? 0 - (uint32_t)value : (uint32_t)value;
}

static unsigned near(const fl_matrix *matrix)
{
    const size_t next = matrix->at + 1;
    const bool has_right = next < matrix->column_count;
    const int32_t above_right = has_right ? matrix->columns[next].above : 0;
    return 2U * (matrix->left != 0) +
           2U * (matrix->columns[matrix->at].above != 0) +
           (matrix->further_left != 0) + (matrix->above_left != 0) +
           (above_right != 0);
}

static unsigned sign_class(int32_t value)
{
    return value == 0 ? 0 : value > 0 ? 1 : 2;
}

static unsigned size_class(const fl_matrix *matrix)
{
    const uint32_t sum =
        size_of(matrix->left) + size_of(matrix->columns[matrix->at].above);
    return (sum > 2) + (sum > 6) + (sum > 16);
}

/* ---- numbers ---- */

static int32_t code(const fl_matrix *matrix, fl_coder *coder, int32_t value)
{
    const column *here = &matrix->columns[matrix->at];
    knowledge *now = matrix->now;
    const unsigned row = fullness(matrix->row_nonzeros, matrix->at,
                                  matrix->nonzeros, matrix->seen);
    const unsigned down =
        fullness(here->count, matrix->row, matrix->nonzeros, matrix->seen);
    if (!fl_coder_bit(coder, &now->zero[near(matrix)][row][down], value != 0)) {
        return 0;
    }
    const unsigned signs =
        3 * sign_class(matrix->left) + sign_class(here->above);
    const bool negative = fl_coder_bit(coder, &now->sign[signs], value < 0);
    const uint32_t size =
        1 + fl_coder_number(coder, &now->size[size_class(matrix)],
                            size_of(value) - 1);
    return negative ? -(int32_t)size : (int32_t)size;
}

int32_t fl_matrix_code(fl_matrix *matrix, fl_coder *coder, int32_t value)
{
    value = code(matrix, coder, value);
    column *here = &matrix->columns[matrix->at];
    matrix->further_left = matrix->left;
    matrix->left = value;
    matrix->above_left = here->above;
    here->above = value;
    here->count += value != 0;
    matrix->row_nonzeros += value != 0;
    matrix->nonzeros += value != 0;
    matrix->seen++;
    if (++matrix->at == matrix->column_count) {
        matrix->at = 0;
        matrix->row++;
        matrix->row_nonzeros = 0;
        matrix->left = matrix->further_left = matrix->above_left = 0;
    }
    return value;
}
