/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/packing.h"

#include "tests/test.h"

fl_dense_codec fl_packing_codec(const fl_plan *plan)
{
    return (fl_dense_codec){.param_count = (size_t)plan->param_count,
                            .field_max = plan->field_max,
                            .weight_max = plan->weight_max,
                            .clip = plan->value_clip};
}

fl_fields fl_packing_fields(const fl_plan *plan)
{
    const fl_dense_codec codec = fl_packing_codec(plan);
    fl_fields fields;
    assert_ok(fl_fields_init(&fields, fl_dense_field_count(&codec),
                             (uint64_t)plan->client_cap * plan->field_max + 1,
                             plan->client_cap, plan->field_max));
    return fields;
}
