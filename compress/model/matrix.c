/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/matrix.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "compress/model/mixer.h"

enum {
    ROLES = 4,
    NEAR = 8,      // a number: which neighbours are not zero, the next twice
    BALANCES = 7,  // of signs in a row
    SIZES = 8,     // of the last numbers
    PRIOR = 4,     // so many bits a new row or column is thought to have seen
};

// What is known of numbers of one role.
typedef struct {
    fl_chance near[NEAR];  // that a number is not zero
    fl_weights weights;
    fl_chance sign[BALANCES];
    fl_number size[SIZES];
} knowledge;

typedef struct {
    fl_chance chance;  // that a number here is not zero
    int32_t above;     // the number in the row above
} column;

struct fl_matrix {
    fl_mixer mixer;
    knowledge roles[ROLES];
    knowledge *now;
    fl_chance tensor, row;  // that a number is not zero
    size_t column_count, at;
    bool is_first_row;
    int32_t left, further_left, above_left;
    int64_t balance;  // of this row: numbers above 0 less those below
    int32_t recent;   // size of the last numbers, in 16ths
    column columns[];
};

/* ---- life ---- */

static void init(knowledge *role)
{
    fl_chance_init(role->near, NEAR);
    fl_weights_init(&role->weights);
    fl_chance_init(role->sign, BALANCES);
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
    fl_mixer_init(&matrix->mixer);
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

static void start_row(fl_matrix *matrix)
{
    matrix->at = 0;
    matrix->row = (fl_chance){matrix->tensor.one, PRIOR};
    matrix->left = matrix->further_left = matrix->above_left = 0;
    matrix->balance = 0;
}

void fl_matrix_start(fl_matrix *matrix, unsigned role, size_t column_count)
{
    matrix->now = &matrix->roles[role];
    matrix->column_count = column_count;
    matrix->is_first_row = true;
    matrix->recent = 16;
    fl_chance_init(&matrix->tensor, 1);
    start_row(matrix);
    memset(matrix->columns, 0, column_count * sizeof(column));
}

/* ---- context ---- */

static unsigned near(const fl_matrix *matrix)
{
    const column *here = &matrix->columns[matrix->at];
    const bool has_right = matrix->at + 1 < matrix->column_count;
    return 2U * (matrix->left != 0) + 2U * (here->above != 0) +
           (matrix->further_left != 0) + (matrix->above_left != 0) +
           (has_right && here[1].above != 0);
}

static unsigned balance(const fl_matrix *matrix)
{
    const int64_t size =
        matrix->balance < 0 ? -matrix->balance : matrix->balance;
    const unsigned rank = (size > 0) + (size > 2) + (size > 5);
    return matrix->balance < 0 ? BALANCES / 2 - rank : BALANCES / 2 + rank;
}

static unsigned size_class(const fl_matrix *matrix)
{
    static const int32_t bounds[SIZES - 1] = {18, 22, 28, 40, 64, 112, 200};
    unsigned rank = 0;
    while (rank < SIZES - 1 && matrix->recent > bounds[rank]) {
        rank++;
    }
    return rank;
}

// A mean that the last numbers dominate, none of which counts above 64.
static void note_size(fl_matrix *matrix, uint32_t size)
{
    const int32_t counted = size < 64 ? (int32_t)size : 64;
    matrix->recent += (16 * counted - matrix->recent) / 4;
}

/* ---- numbers ---- */

static uint32_t size_of(int32_t value)
{
    return value < 0 ? 0 - (uint32_t)value : (uint32_t)value;
}

static bool code_nonzero(fl_matrix *matrix, fl_coder *coder, bool nonzero)
{
    knowledge *now = matrix->now;
    column *here = &matrix->columns[matrix->at];
    if (matrix->is_first_row) {
        here->chance = (fl_chance){matrix->tensor.one, PRIOR};
    }
    fl_chance *const inputs[FL_MIXER_INPUTS] = {
        &now->near[near(matrix)], &matrix->row, &here->chance, &matrix->tensor};
    return fl_mixer_bit(&matrix->mixer, &now->weights, inputs, coder, nonzero);
}

static int32_t code(fl_matrix *matrix, fl_coder *coder, int32_t value)
{
    knowledge *now = matrix->now;
    if (!code_nonzero(matrix, coder, value != 0)) return 0;
    const bool is_negative =
        fl_coder_bit(coder, &now->sign[balance(matrix)], value < 0);
    const uint32_t size =
        1 + fl_coder_number(coder, &now->size[size_class(matrix)],
                            size_of(value) - 1);
    matrix->balance += is_negative ? -1 : 1;
    note_size(matrix, size);
    return is_negative ? -(int32_t)size : (int32_t)size;
}

int32_t fl_matrix_code(fl_matrix *matrix, fl_coder *coder, int32_t value)
{
    value = code(matrix, coder, value);
    column *here = &matrix->columns[matrix->at];
    matrix->further_left = matrix->left;
    matrix->left = value;
    matrix->above_left = here->above;
    here->above = value;
    if (++matrix->at == matrix->column_count) {
        matrix->is_first_row = false;
        start_row(matrix);
    }
    return value;
}
