#!/bin/sh
# tools/sysroot downloads with an apt of its own, from Debian's sources alone,
# unpacks to one tree that can be linked against, does nothing when nothing has
# changed, and says what is wrong when it cannot. apt is planted here.
# SPDX-License-Identifier: Apache-2.0
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
export TREE="$tree" PATH="$tree/bin:$PATH"
failed=0
root=$tree/build/sysroot/arm64 apt=$tree/build/sysroot/arm64.apt
mkdir -p "$tree/bin" "$tree/tools"
cp "$top/tools/sysroot" "$tree/tools/"

# Keeps what it is asked; makes a package of what is in $TREE/contents.
cat >"$tree/bin/apt-get" <<'END_APT'
#!/bin/sh
echo "$*" >>"$TREE/calls"
case $* in
indextargets*) cat "$TREE/sources" ;;
*"$(cat "$TREE/refused" 2>/dev/null || echo nothing)"*)
    echo "E: no such package"
    exit 100
    ;;
*--download-only*)
    mkdir -p "$TREE/package/DEBIAN"
    printf '%s\n' 'Package: one' 'Version: 1' 'Architecture: arm64' \
        'Maintainer: nobody' 'Description: planted' >"$TREE/package/DEBIAN/control"
    dpkg-deb --build "$TREE/package" \
        "$TREE/build/sysroot/arm64.apt/archives/one_1_arm64.deb" >/dev/null
    ;;
esac
END_APT
chmod +x "$tree/bin/apt-get"

no() { echo "$*"; failed=1; }
sysroot() { (cd / && "$tree/tools/sysroot" arm64 >"$tree/said" 2>&1); }
plant() { mkdir -p "$tree/package/$(dirname "$1")"; echo "$1" >"$tree/package/$1"; }

printf '%s\n' '# a list' 'build gcc' 'build libone-dev' 'test libtwo-dev' \
    'bench libthree-dev' >"$tree/tools/packages"
plant lib/aarch64/libone.so.1
plant usr/lib/aarch64/openblas-serial/libblas.so.3
plant usr/include/aarch64/openblas-serial/cblas.h
plant usr/share/doc/one/copyright
mkdir -p "$tree/package/usr/lib/aarch64"
ln -s /lib/aarch64/libone.so.1 "$tree/package/usr/lib/aarch64/libone.so"

: >"$tree/sources"
! sysroot || no "it works without sources"
grep -q 'run apt-get update' "$tree/said" || no "no remedy: $(cat "$tree/said")"
echo 'http://mirror.test/ bookworm main' >"$tree/sources"

echo libtwo-dev >"$tree/refused"
! sysroot || no "it works without a package"
grep -q 'no such package' "$tree/said" || no "no reason: $(cat "$tree/said")"
[ ! -e "$root" ] || no "a sysroot without its packages"
rm "$tree/refused"

sysroot || no "it does not work: $(cat "$tree/said")"
grep -q 'install -y --download-only libone-dev libtwo-dev$' "$tree/calls" ||
    no "other packages: $(cat "$tree/calls")"
grep -q '^deb \[arch=arm64 signed-by=.*\] http://mirror.test/ bookworm main$' \
    "$apt/sources.list" || no "other sources: $(cat "$apt/sources.list")"
for folder in 'Dir::State' 'Dir::State::status' 'Dir::Cache::archives'; do
    grep -q "^$folder \"$apt" "$apt/apt.conf" || no "$folder is the machine's"
done
[ -L "$root/lib" ] || no "lib is a folder beside usr/lib"
for file in lib/aarch64/libone.so.1 usr/lib/aarch64/libone.so \
    usr/lib/aarch64/libblas.so.3 usr/include/aarch64/cblas.h; do
    [ -f "$root/$file" ] || no "no $file, or a link that leads nowhere"
done
[ ! -e "$root/usr/share/doc" ] || no "documentation takes room"
[ -z "$(find "$root" -type l -lname '/*')" ] || no "links lead out of it"

: >"$tree/calls"
sysroot || no "not a second time"
[ ! -s "$tree/calls" ] || no "made again, though nothing has changed"
[ ! -s "$tree/said" ] || no "not silent: $(cat "$tree/said")"
echo 'build libfour-dev' >>"$tree/tools/packages"
: >"$apt/archives/old_1_arm64.deb"  # of the list before; no package at all
sysroot || no "not with a new list: $(cat "$tree/said")"
grep -q libfour-dev "$tree/calls" || no "the new list is not seen"

echo update >"$tree/refused"
echo 'build libfive-dev' >>"$tree/tools/packages"
! sysroot || no "it works without an index"
[ -f "$root/lib/aarch64/libone.so.1" ] || no "what was there is gone"
exit $failed
