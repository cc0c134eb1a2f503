/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/page.h"

// The assembler takes a file in as it is, which C alone cannot do. Paths count
// from the top of the tree, where make runs; the Makefile knows that this file
// depends on them.
#define EMBED(name, path)                                           \
    __asm__(".section .rodata\n"                                    \
            ".balign 16\n" #name "_bytes:\n"                        \
            ".incbin \"aggregator/web/" path "\"\n" #name "_end:\n" \
            ".byte 0\n"                                             \
            ".previous\n");                                         \
    extern const unsigned char name##_bytes[], name##_end[]

EMBED(page_html, "dashboard.html");
EMBED(page_css, "dashboard.css");
EMBED(page_js, "dashboard.js");
EMBED(page_charts, "charts.js");
EMBED(page_icon, "icon.svg");
EMBED(page_uplot_js, "uplot/uPlot.iife.min.js");
EMBED(page_uplot_css, "uplot/uPlot.min.css");
EMBED(page_uplot_licence, "uplot/LICENSE");

#define HTML "text/html; charset=utf-8"
#define CSS  "text/css; charset=utf-8"
#define JS   "text/javascript; charset=utf-8"

static const fl_page_file files[] = {
    {"/", HTML, page_html_bytes, page_html_end},
    {"/dashboard.css", CSS, page_css_bytes, page_css_end},
    {"/dashboard.js", JS, page_js_bytes, page_js_end},
    {"/charts.js", JS, page_charts_bytes, page_charts_end},
    {"/icon.svg", "image/svg+xml", page_icon_bytes, page_icon_end},
    {"/uplot.js", JS, page_uplot_js_bytes, page_uplot_js_end},
    {"/uplot.css", CSS, page_uplot_css_bytes, page_uplot_css_end},
    {"/uplot-licence.txt", "text/plain; charset=utf-8",
     page_uplot_licence_bytes, page_uplot_licence_end},
};

const fl_page_file *fl_page_files(size_t *count)
{
    *count = sizeof files / sizeof *files;
    return files;
}
