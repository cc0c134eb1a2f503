#!/usr/bin/env bash
# What the programs say about themselves is whole: manual pages without a
# warning that name every command and option, completion that offers exactly
# these, configuration files that change nothing, with all keys set too.
# SPDX-License-Identifier: Apache-2.0
set -eu
. tests/e2e/lib.sh
make_scratch
cd "$scratch"
export SOURCE_DATE_EPOCH=1700000000
programs=$(cd "$OLDPWD/$B" && pwd)

# commands PROGRAM: as its completion offers them; none: an empty line.
commands() {
    sed -n 's/.*COMPREPLY < <(compgen -W "\([a-z][^$"]*\)".*/\1/p' "$1.bash"
}

# options PROGRAM [COMMAND]: what --help lists, sorted.
options() {
    "$programs/$1" ${2:+"$2"} --help | sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p' | sort
}

# completed PROGRAM WORD...: what bash offers for the last word, sorted.
completed() {
    program=$1
    bash -c '. "./$1.bash"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "_${1//-/_}"
        printf "%s\n" "${COMPREPLY[@]}"' complete "$@" | sort
}

# same WHAT A B
same() {
    [ "$2" = "$3" ] || fail "$1: $(diff <(echo "$2") <(echo "$3"))"
}

for program in fedge-client fedge-aggregator fedge-sim fedge-compress fedge-keys; do
    for form in man bash zsh; do
        "$programs/$program" --help=$form >"$program.$form"
    done
    mandoc -Tlint -W warning "$program.man" || fail "the page of $program"
    mandoc -Tascii "$program.man" | sed 's/.\x08//g' >"$program.txt"
    if command -v zsh >/dev/null; then
        zsh -n "$program.zsh" || fail "zsh on $program"
    fi
    for section in NAME SYNOPSIS DESCRIPTION OPTIONS ENVIRONMENT 'EXIT STATUS' \
        EXAMPLES 'SEE ALSO'; do
        grep -qx "$section" "$program.txt" || fail "no $section of $program"
    done

    all=$(commands "$program")
    same "$program, commands" "$(completed "$program" '')" \
        "$(echo "$all" | tr ' ' '\n' | sort)"
    for command in ${all:-''}; do
        grep -qw -e "$command" "$program.txt" || fail "no $program $command"
        listed=$(options "$program" "$command")
        same "$program $command" "$listed" \
            "$(completed "$program" "$command" --)"
        for option in $listed; do
            grep -qE -e "^ +$option( |$)" "$program.txt" ||
                fail "no $option in the page of $program"
        done
    done
done

# With a file of defaults status finds that nothing has been at work here, which
# is another complaint than one about a key.
for who in client aggregator; do
    "$programs/fedge-$who" --help=conf >$who.conf
    sed 's/^#\([a-z]\)/\1/' $who.conf >$who-set.conf
    grep -qx "#state = /var/lib/fedge-$who" $who.conf ||
        fail "$who.conf knows no state folder"
    [ "$(grep -c '^[a-z]' $who-set.conf)" -gt 20 ] || fail "keys of $who.conf"
    ! grep '^[a-z]' $who.conf || fail "$who.conf sets something"
    for file in $who.conf $who-set.conf; do
        expect_exit 1 "$programs/fedge-$who" status --config "$file" \
            --state "$scratch/$who"
    done
    echo 'rownds = 3' >>$who-set.conf
    expect_exit 78 "$programs/fedge-$who" status --config $who-set.conf \
        --state "$scratch/$who"
done
expect_exit 2 "$programs/fedge-keys" --help=conf
expect_exit 2 "$programs/fedge-client" status --help=html
expect_said 'not man, bash, zsh or conf'
