/* SPDX-License-Identifier: Apache-2.0 */
#include "client/doctor/doctor.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "client/board/traffic.h"
#include "client/doctor/finding.h"
#include "client/state/state.h"
#include "client/state/state_address.h"

enum { SCHEMA = 1, OTHERS = 077 };

void fl_finding_add(fl_findings *findings, fl_severity severity,
                    const char *name, const char *remedy, const char *format,
                    ...)
{
    char text[FL_REASON_CAP];
    va_list args;
    if (findings->count == FL_FINDINGS_MAX) return;
    fl_finding *f = &findings->findings[findings->count++];
    *f = (fl_finding){.severity = severity, .name = name, .remedy = remedy};
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)!fl_reason_set(&f->text, FL_OK, "%s", text);
}

/* ---- configuration, state folder, keys ---- */

// Who has joined has it in the state folder.
static void find_no_aggregator(fl_findings *all)
{
    char address[FL_ADDRESS_CAP];
    fl_reason why = {""};
    const fl_err err = fl_state_address_get(address, all->options->state, &why);
    fl_finding_add(
        all, FL_FINDING_ERROR, "configuration",
        "join one with fedge-client join, or say --aggregator "
        "tcp://ADDRESS:PORT",
        "%s", err == FL_ERR_NOT_FOUND ? "no aggregator is named" : why.text);
}

static void check_configuration(fl_findings *all)
{
    fl_eligibility_options rules;
    fl_metered metered;
    fl_reason why;
    const fl_service_options *o = all->options;
    if (!o->aggregator) {
        find_no_aggregator(all);
    } else if (fl_rules_read(&rules, &metered, &o->rules, &why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "configuration",
                       "correct it in section [eligibility]", "%s", why.text);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "configuration", NULL,
                       "it reads well; the aggregator is %s", o->aggregator);
    }
}

static void check_writable(fl_findings *all)
{
    char path[PATH_MAX];
    fl_reason why;
    const char *folder = all->options->state;
    if (fl_path_join(path, sizeof path, folder, "probe")) return;
    if (fl_file_check(path, &why)) {
        fl_finding_add(all, FL_FINDING_ERROR, "state folder",
                       "run this as the client's user; make room on a full "
                       "disk; a card that fails or has become read-only is "
                       "named in the kernel's log",
                       "%s", why.text);
        return;
    }
    const bool is_running = fl_state_is_running(folder);
    fl_finding_add(all, FL_FINDING_OK, "state folder", NULL,
                   "%s: can be written, %s", folder,
                   is_running ? "a client runs there" : "no client runs");
}

static bool check_folder(fl_findings *all)
{
    struct stat found;
    const char *folder = all->options->state;
    if (stat(folder, &found)) {
        fl_finding_add(all, FL_FINDING_WARNING, "state folder",
                       "the first run makes it", "%s: %s", folder,
                       strerror(errno));
        return false;
    }
    if (found.st_mode & OTHERS) {
        fl_finding_add(all, FL_FINDING_WARNING, "state folder",
                       "chmod 700 the folder",
                       "%s: other users may look into it", folder);
    }
    check_writable(all);
    return true;
}

static void check_key(fl_findings *all)
{
    char path[PATH_MAX];
    struct stat found;
    if (fl_path_join(path, sizeof path, all->options->state, "identity.key")) {
        return;
    }
    if (stat(path, &found)) {
        fl_finding_add(all, FL_FINDING_WARNING, "key", "the first run makes it",
                       "%s: %s", path, strerror(errno));
    } else if (found.st_mode & OTHERS) {
        fl_finding_add(all, FL_FINDING_ERROR, "key",
                       "chmod 600 the file; if others may have read it, make a "
                       "new identity and revoke this one",
                       "%s: mode %03o, other users may read it", path,
                       (unsigned)found.st_mode & 0777);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "key", NULL,
                       "%s: for its owner alone", path);
    }
}

static void check_traffic(fl_findings *all)
{
    uint64_t bytes;
    fl_reason why;
    if (fl_traffic_peek(&bytes, all->options->state, &why)) {
        fl_finding_add(all, FL_FINDING_WARNING, "bytes of the month",
                       "delete the file, or use the newer version", "%s",
                       why.text);
    } else {
        fl_finding_add(all, FL_FINDING_OK, "bytes of the month", NULL,
                       "%.1f MB", (double)bytes / 1e6);
    }
}

/* ---- the report ---- */

static const char *const WORDS[] = {"ok", "warning", "error"};

static void print_line(FILE *out, const fl_finding *f)
{
    fprintf(out, "%-8s %-18s %s\n", WORDS[f->severity], f->name, f->text.text);
    if (f->remedy && f->severity != FL_FINDING_OK) {
        fprintf(out, "%-27s remedy: %s\n", "", f->remedy);
    }
}

static fl_json *item_of(const fl_finding *f)
{
    fl_json *item = fl_json_new();
    fl_json_text_set(item, "name", f->name);
    fl_json_text_set(item, "severity", WORDS[f->severity]);
    fl_json_text_set(item, "text", f->text.text);
    if (f->remedy) fl_json_text_set(item, "remedy", f->remedy);
    return item;
}

static fl_err print_json(FILE *out, const fl_findings *all,
                         const unsigned counts[3], fl_reason *why)
{
    char *text = NULL;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "check");
    fl_json_count_set(line, "schema", SCHEMA);
    fl_json_count_set(line, "errors", counts[FL_FINDING_ERROR]);
    fl_json_count_set(line, "warnings", counts[FL_FINDING_WARNING]);
    for (size_t i = 0; i < all->count; i++) {
        fl_json_object_add(line, "findings", item_of(&all->findings[i]));
    }
    fl_json_text_set(line, "version", FL_VERSION);
    const fl_err err = fl_json_text(&text, line);
    if (err) {
        (void)!fl_reason_set(why, err, "no memory for the report");
    } else {
        fprintf(out, "%s\n", text);
    }
    free(text);
    fl_json_free(line);
    return err;
}

fl_err fl_doctor_run(FILE *out, const fl_service_options *options, bool is_json,
                     bool *has_errors, fl_reason *why)
{
    unsigned counts[3] = {0};
    fl_findings *all = calloc(1, sizeof *all);
    if (!all) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    all->options = options;
    check_configuration(all);
    if (check_folder(all)) {
        check_key(all);
        check_traffic(all);
    }
    fl_finding_link(all);
    fl_finding_board(all);
    fl_finding_sensors(all);
    fl_finding_trainer(all);
    fl_finding_data(all);

    for (size_t i = 0; i < all->count; i++) {
        counts[all->findings[i].severity]++;
        if (!is_json) print_line(out, &all->findings[i]);
    }
    fl_err err = FL_OK;
    if (is_json) {
        err = print_json(out, all, counts, why);
    } else {
        fprintf(out, "%u errors, %u warnings\n", counts[FL_FINDING_ERROR],
                counts[FL_FINDING_WARNING]);
    }
    *has_errors = counts[FL_FINDING_ERROR] > 0;
    free(all);
    return err;
}
