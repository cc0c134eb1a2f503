#!/bin/sh
# fedge-keys as a person uses it: an authority, boards, a list, a board that is
# lost. When this fails, boards are not enrolled, or others are.
# SPDX-License-Identifier: Apache-2.0
set -eu
B=${B:-build/release}
. tests/e2e/lib.sh
make_scratch
readonly FAILED=1 USAGE=2 REFUSED=77 CONFIG=78
case $B in /*) bin=$B ;; *) bin=$PWD/$B ;; esac
keys() { "$bin/fedge-keys" "$@"; }
cd "$scratch"
enrol() { keys sign "$@" --authority authority.key --list boards.list; }
revoke() { keys revoke "$@" --authority authority.key --list boards.list; }

# ---- an authority
public=$(keys authority --out authority.key)
[ ${#public} -eq 64 ] || fail "authority prints $public"
[ "$(stat -c %a authority.key)" = 600 ] || fail "others may read the key"
cp authority.key copy.key
expect_exit $FAILED keys authority --out authority.key
expect_said "authority.key" "never overwritten"
cmp authority.key copy.key || fail "the key was overwritten"
[ "$(keys show authority.key --json | json_values public_key)" = "$public" ] ||
    fail "show names another key"
keys show authority.key | grep -q "public key  $public" || fail "show"
sed 1d authority.key >seed
! keys show authority.key | grep -qf seed ||
    fail "show tells the secret"

# ---- three boards print cards; the same card every time
for board in attic cellar kitchen; do
    keys device --state "$board" --name "$board" >"$board.card"
    keys device --state "$board" --name "$board" | cmp - "$board.card" ||
        fail "$board has another card now"
    [ "$(stat -c %a "$board/identity.key")" = 600 ] || fail "mode of the key"
done
keys device --state attic | grep -q ' device-[0-9a-f]\{12\}$' ||
    fail "no name from the key"
sed 1d attic/identity.key >seed
! grep -qf seed attic.card ||
    fail "a card tells the secret"
keys show attic.card | grep -q ' attic$' || fail "show of a card"

# ---- enrolled, one from a file and two from standard input
enrol attic.card >said
grep -q "^enrolled attic " said || fail "sign says: $(cat said)"
grep -q "^boards.list: serial 1, 1 device, hash " said || fail "$(cat said)"
cat cellar.card kitchen.card | enrol - >said
[ "$(grep -c ^enrolled said)" = 2 ] || fail "sign - says: $(cat said)"
grep -q "^boards.list: serial 2, 3 devices, hash " said || fail "$(cat said)"
[ "$(keys show boards.list --json | json_values device_count)" = 3 ] ||
    fail "the list: $(keys show boards.list)"
[ "$(keys show boards.list --json | json_values authority)" = "$public" ] ||
    fail "signed by somebody else"
[ "$(stat -c %a boards.list)" = 644 ] || fail "the list is no secret"

# ---- the same again changes nothing; a new name does
cp boards.list before
enrol attic.card | grep -q "nothing to change, serial 2" || fail "again"
cmp boards.list before || fail "the list has changed"
keys device --state attic --name loft | enrol - >said
grep -q "^renamed attic to loft" said || fail "rename says: $(cat said)"

# ---- revoked, by name and by key
revoke cellar >said
grep -q "^revoked cellar " said || fail "revoke says: $(cat said)"
key=$(keys show kitchen.card | cut -d' ' -f1)
revoke "$key" | grep -q "serial 5, 1 device," || fail "by key"
! keys show boards.list | grep -q "cellar\|kitchen" || fail "still in the list"

# ---- a list that was lost goes on above the serial that boards know
mv boards.list lost
enrol attic.card --serial 6 |
    grep -q "serial 6, 1 device," || fail "--serial"

# ---- what people get wrong
# refused CODE COMMAND...: and the list stays as it is.
refused() {
    cp boards.list before
    expect_exit "$@"
    cmp boards.list before || fail "a refused command changed the list"
}
expect_exit $USAGE keys
expect_said "name a command" authority
expect_exit $USAGE keys authority
expect_said "--out KEY"
expect_exit $USAGE keys device
expect_said "--state DIR"
expect_exit $USAGE keys device --state attic --name "My Board"
expect_said "--name My Board" "a-z"
expect_exit $USAGE keys sign --authority authority.key --list boards.list
expect_said "needs a CARDFILE" "keys sign --help"
expect_exit $USAGE keys sign attic.card --list boards.list
expect_said "--authority KEY"
refused $CONFIG enrol none.card
expect_said "none.card"
refused $CONFIG enrol /dev/null
expect_said "no card" "fedge-keys device"
refused $CONFIG keys sign attic.card --authority none.key --list boards.list
expect_said "none.key"
[ ! -e none.key ] || fail "sign made an authority"

# Bytes that were changed, cut, or put together from two cards.
tr 0-9 1-90 <kitchen.card >changed.card
refused $REFUSED enrol changed.card
expect_said "changed.card: line 1" "not signed by its identity"
cat kitchen.card changed.card >two.card
refused $REFUSED enrol two.card
expect_said "two.card: line 2"
head -c 200 kitchen.card >cut.card
refused $CONFIG enrol cut.card
expect_said "cut.card: line 1" "cut off"
keys device --state cellar --name attic >twin.card
refused $CONFIG enrol twin.card
expect_said "twin.card: line 1" "called attic" "--name"
refused $CONFIG revoke cellar
expect_said cellar "fedge-keys show boards.list"

# Another authority, a list that was changed, a key that others may read.
keys authority --out other.key >/dev/null
refused $REFUSED keys sign kitchen.card --authority other.key --list boards.list
expect_said "boards.list" "$public"
sed 's/ attic$/ cellar/' boards.list >forged.list
expect_exit $REFUSED keys show forged.list
expect_said "forged.list: line 5" "signature"
expect_exit $REFUSED keys sign kitchen.card --authority authority.key \
    --list forged.list
expect_said "forged.list: line 5"
chmod 644 authority.key
refused $REFUSED enrol kitchen.card
expect_said "chmod 600 authority.key"
chmod 600 authority.key
expect_exit $CONFIG keys show none.list
expect_said "none.list"

# ---- many at once end with every board in the list
pids=''
for number in 1 2 3 4 5 6; do
    keys device --state "many-$number" --name "many-$number" >"$number.card"
    {
        until enrol "$number.card" >/dev/null 2>&1; do sleep 0.05; done
    } &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
[ "$(keys show boards.list | grep -c ' many-')" = 6 ] ||
    fail "lost one: $(keys show boards.list)"
[ "$(keys show boards.list --json | json_values serial)" = 12 ] ||
    fail "a serial was given twice"
