/* SPDX-License-Identifier: Apache-2.0 */
#include "client/feed/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/disk.h"

bool fl_feed_grows(const fl_feed *feed)
{
    return feed->options && feed->options->own_data;
}

/* ---- a look ---- */

// Rows that are gone are not trained on any more; those that cannot be read
// just now are.
static void load(fl_feed *feed, fl_feed_look *look)
{
    fl_skips_begin(&look->skips, &feed->skips);
    fl_err err = fl_stock_load_own(&look->stock, &feed->seen, feed->key,
                                   &look->skips, &feed->stop, &look->trouble);
    fl_skips_end(&look->skips);
    if (!err) {
        err = fl_stock_hold_back(&look->stock, &look->waiting_count,
                                 &feed->stock);
        if (err) fl_reason_set(&look->trouble, err, "%s", fl_err_text(err));
    }
    look->is_fresh = !err || err == FL_ERR_NOT_FOUND;
    look->err = err;
    // What the files are not to blame for may be over next time.
    if (err == FL_ERR_MEMORY || err == FL_ERR_SYSTEM) look->stamp = 0;
}

// The stamp comes first: what changes while it is read is read again later.
static void look_around(fl_feed *feed, fl_feed_look *look)
{
    const fl_own_options own = {.row_cap = 0};
    *look = (fl_feed_look){.waiting_count = feed->waiting_count};
    look->err =
        fl_own_stamp(&look->stamp, feed->seen.own_data, &own, &look->trouble);
    if (!look->err && look->stamp == feed->stamp) {
        look->trouble = feed->trouble;
        return;
    }
    look->waiting_count = 0;
    if (look->err) {
        look->stamp = 0;
        look->is_fresh = look->err == FL_ERR_NOT_FOUND;
        return;
    }
    load(feed, look);
}

static fl_err check_model(const fl_feed *feed, const fl_stock *stock,
                          fl_reason *why)
{
    fl_model *model = NULL;
    FL_TRY(fl_model_decode(&model, feed->model, feed->model_len, why));
    const fl_err err = fl_stock_check(stock, model, why);
    fl_model_free(model);
    return err;
}

static void run(fl_job *job)
{
    fl_feed *feed = (fl_feed *)(void *)job;
    fl_feed_look *look = &feed->next;
    look_around(feed, look);
    if (look->err == FL_ERR_CANCELLED || !feed->model) return;
    look->err = check_model(feed, look->is_fresh ? &look->stock : &feed->stock,
                            &look->why);
}

/* ---- its owner ---- */

void fl_feed_begin(fl_feed *feed, const uint8_t *model, size_t model_len)
{
    feed->seen = *feed->options;
    feed->model = model;
    feed->model_len = model_len;
    feed->job = (fl_job){.run = run, .done = feed->job.done};
    atomic_store(&feed->stop, false);
}

static void report(const fl_feed *feed)
{
    const fl_stock *stock = &feed->stock;
    fl_log(FL_LOG_INFO, "data_loaded",
           "rows=%u records=%u skipped=%u waiting=%u", stock->row_count,
           stock->record_count, feed->skips.count, feed->waiting_count);
}

// Trouble is logged when it comes, or becomes another one.
static void take_trouble(fl_feed *feed, const fl_reason *trouble)
{
    if (trouble->text[0] && strcmp(trouble->text, feed->trouble.text) != 0) {
        fl_log(FL_LOG_WARN, "data_trouble", "rows=%u why=%s",
               feed->stock.row_count, trouble->text);
    }
    feed->trouble = *trouble;
}

static void take_look(fl_feed *feed, fl_feed_look *look, bool is_lent)
{
    const bool has_loaded = look->is_fresh || look->stamp != feed->stamp;
    if (look->is_fresh) {
        if (is_lent) {
            fl_feed_release(feed);
            feed->retired = feed->stock;
        } else {
            fl_stock_fini(&feed->stock);
        }
        feed->stock = look->stock;
    }
    if (has_loaded) {
        fl_skips_fini(&feed->skips);
        feed->skips = look->skips;
        feed->waiting_count = look->waiting_count;
        feed->stamp = look->stamp;
    }
    take_trouble(feed, &look->trouble);
    if (look->is_fresh && feed->stock.row_count > 0) report(feed);
}

fl_err fl_feed_finish(fl_feed *feed, bool is_lent, fl_reason *why)
{
    fl_feed_look *look = &feed->next;
    feed->model = NULL;
    if (look->err == FL_ERR_CANCELLED) {
        fl_stock_fini(&look->stock);
        fl_skips_fini(&look->skips);
        return fl_reason_set(why, look->err, "stopped on request");
    }
    take_look(feed, look, is_lent);
    return look->why.text[0]
               ? fl_reason_set(why, look->err, "%s", look->why.text)
               : FL_OK;
}

void fl_feed_release(fl_feed *feed)
{
    fl_stock_fini(&feed->retired);
}

// 1 is as good as nothing; 0 would be anything.
static size_t memory_left(const fl_feed *feed)
{
    const size_t all = feed->options->rules.memory * 1000000;
    const size_t rows = fl_stock_bytes(&feed->stock);
    if (all == 0) return 0;
    return all > rows ? all - rows : 1;
}

void fl_feed_lend(const fl_feed *feed, fl_local_data *data)
{
    const fl_stock *stock = &feed->stock;
    data->dataset = stock->dataset;
    data->rows = stock->rows;
    data->places = stock->places;
    data->row_count = stock->row_count;
    data->memory_cap = memory_left(feed);
}

void fl_feed_keep_classes(const fl_feed *feed, fl_state *state)
{
    fl_reason why;
    char *text = NULL;
    size_t len = 0;
    const fl_dataset *dataset = feed->stock.dataset;
    FILE *out = open_memstream(&text, &len);
    bool has_names = out != NULL;
    for (uint32_t i = 0; out && i < fl_dataset_class_count(dataset); i++) {
        const char *name = fl_dataset_class_name(dataset, i);
        has_names = has_names && name && !strchr(name, '\n');
        if (has_names) fprintf(out, "%s\n", name);
    }
    if (out && fclose(out) != 0) has_names = false;
    fl_disk_report(fl_state_classes_write(state, has_names ? text : NULL, &why),
                   "classes", &why);
    free(text);
}

/* ---- start and end ---- */

static fl_err open_own(fl_feed *feed, fl_reason *why)
{
    fl_feed_look *look = &feed->next;
    if (feed->options->data.partition) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--partition shares out a --dataset; --data is "
                             "this device's own");
    }
    look_around(feed, look);
    const bool may_come = look->stamp != 0 && (look->err == FL_ERR_NOT_FOUND ||
                                               look->err == FL_ERR_FORMAT);
    if (look->err && !may_come) {
        fl_skips_fini(&look->skips);
        return fl_reason_set(why, look->err, "--data %s", look->trouble.text);
    }
    take_look(feed, look, false);
    return FL_OK;
}

fl_err fl_feed_open(fl_feed *feed, const fl_service_options *options,
                    uint64_t key, fl_reason *why)
{
    *feed = (fl_feed){.options = options, .seen = *options, .key = key};
    if (options->own_data) return open_own(feed, why);
    return fl_stock_load_shared(&feed->stock, options, why);
}

void fl_feed_close(fl_feed *feed)
{
    fl_stock_fini(&feed->stock);
    fl_stock_fini(&feed->retired);
    fl_skips_fini(&feed->skips);
}
