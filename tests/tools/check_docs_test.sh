#!/bin/sh
# tools/check-docs accepts documents that agree with the code and refuses each
# kind of drift, planted one at a time.
# SPDX-License-Identifier: Apache-2.0
set -eu
check=$(cd "$(dirname "$0")/../.." && pwd)/tools/check-docs
tree=$(mktemp -d)
trap 'rm -rf "$tree" "$tree.out"' EXIT
failed=0

plant() { mkdir -p "$tree/$(dirname "$1")"; printf '%b\n' "$2" >"$tree/$1"; }

clean_tree() {
    rm -rf "$tree"
    plant Makefile 'test:\n\ttrue'
    plant docs/architecture.md \
        '# Drawing\n\n```layers\nbase:\nlater: base\n```\n\n`later/` comes later.'
    plant docs/use.md 'Call `fl_round_add`, or any of `fl_round_*`; see
`base/round.c`, `base/*.c`, [the drawing](architecture.md#drawing),
[more](https://example.org/no/such) and `text/html`; run `make test`.'
    plant docs/decisions/0001-old.md 'We had `fl_gone` in `base/gone.c`.'
    plant README.md 'Read [use](docs/use.md), then `build/release/fedge`.'
    plant base/round.c 'int fl_round_add(void) { return 1; }'
    plant tests/base/round_test.c 'TEST(round_adds)\n{\n}'
    plant docs/threat-model.md 'Shown by `tests/base/round_test.c: round_adds`, and
by what we know as `tests/base/round_test.c:
round_adds`.\n\n| `bad_proof` | no |'
    plant secure/session.h '    X(NONE, "none", "") \\\n    X(PROOF, "bad_proof", "")'
    plant base/private.h 'int fl_private_call(int x);'
    plant base/base.h '/* Adds. */\nint fl_round_add(void);\nint fl_round_sub(void);

/*\n * Long.\n */\nFL_CHECK fl_err\nfl_round_open(int x);

int fl_round_count(const fl_round *round);'
}

accepts() {
    if ! "$check" "$tree" >"$tree.out" 2>&1; then
        echo "refuses $1:"; cat "$tree.out"; failed=1
    fi
}

# breaks WHAT FILE CONTENT WORDS: the clean tree and this one file.
breaks() {
    clean_tree
    plant "$2" "$3"
    status=0
    "$check" "$tree" >"$tree.out" 2>&1 || status=$?
    if [ $status -eq 0 ] || ! grep -qF -- "$4" "$tree.out"; then
        echo "does not refuse $1 with \"$4\":"; cat "$tree.out"; failed=1
    fi
}

clean_tree
accepts 'a tree whose documents are true'
breaks 'a silent function' base/base.h \
    '/* Adds. */\nint fl_round_add(void);\n\nint fl_round_sub(int x);' \
    'base/base.h:4: fl_round_sub has no comment before it'
breaks 'a silent function that can fail' base/base.h \
    'FL_CHECK fl_err fl_round_end(const fl_round *round);' \
    'base/base.h:1: fl_round_end has no comment before it'
breaks 'a heading taken for a comment' base/base.h \
    '/* ---- adding ---- */\n\nint fl_round_sub(int x);' \
    'base/base.h:3: fl_round_sub has no comment before it'
breaks 'a name that is gone' docs/use.md '\nCall fl_round_gone.' \
    'docs/use.md:2: there is no fl_round_gone'
breaks 'a pattern of names that are gone' docs/use.md 'See `fl_gone_*`.' \
    'there is no fl_gone_*'
breaks 'a name that is gone, in the README' README.md '`fl_gone`' \
    'README.md:1: there is no fl_gone'
breaks 'a file that is gone' docs/use.md 'See `base/gone.c`.' \
    'docs/use.md:1: there is no base/gone.c'
breaks 'a file of a room that is not there yet' docs/use.md 'See `later/a.c`.' \
    'there is no later/a.c'
breaks 'a link to nowhere' docs/use.md '[see](gone.md#part)' \
    'docs/use.md:1: there is no gone.md'
breaks 'a make target that is gone' CONTRIBUTING.md 'Run `make gone`.' \
    'CONTRIBUTING.md:1: there is no make gone'
breaks 'a test that is gone' docs/use.md '`tests/base/round_test.c: round_subs`' \
    'docs/use.md:1: there is no test round_subs in tests/base/round_test.c'
breaks 'a test in a file that is gone' docs/use.md \
    '`tests/base/gone_test.c: round_adds`' \
    'there is no test round_adds in tests/base/gone_test.c'
breaks 'a test that is gone, on two lines' docs/use.md \
    'See\n`tests/base/round_test.c:\n  round_subs`.' \
    'docs/use.md:3: there is no test round_subs in tests/base/round_test.c'
breaks 'a refusal without an explanation' secure/session.h \
    '    X(SELF, "self_altered", "")' \
    'docs/threat-model.md: self_altered is not explained'

exit $failed
