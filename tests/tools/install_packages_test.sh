#!/bin/sh
# tools/install-packages asks apt for exactly what is missing, as root or with
# sudo, and says what to do where it cannot.
# SPDX-License-Identifier: Apache-2.0
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
mkdir "$tree/bin"
cp "$top/tools/install-packages" "$tree/"
printf '%s\n' '# build: compile' 'build gcc' 'build libpng-dev' \
    'test libpng-dev' 'test libcmocka-dev' 'interop npm node-of-another-kind' \
    >"$tree/packages"
for program in sh awk dirname env cat; do
    ln -s "$(command -v $program)" "$tree/bin/"
done

shim() { printf '#!/bin/sh\n%s\n' "$2" >"$tree/bin/$1"; chmod +x "$tree/bin/$1"; }

# A machine on which gcc is installed, libpng-dev was removed.
machine() {
    rm -f "$tree/bin/sudo" "$tree/bin/node-of-another-kind"
    shim id "echo $1"
    shim dpkg-query 'for last; do :; done
        case $last in gcc) echo "ii " ;; libpng-dev) echo "rc " ;; *) exit 1 ;; esac'
    shim apt-get "echo \"apt-get \$* (\$DEBIAN_FRONTEND)\" >>$tree/calls"
}

# gives STATUS WORDS PURPOSE...: the words are a line of its output or calls.
gives() {
    wanted=$1 words=$2 status=0
    shift 2
    rm -f "$tree/calls"
    PATH=$tree/bin "$tree/install-packages" "$@" >"$tree/out" 2>&1 || status=$?
    touch "$tree/calls"
    if [ $status -ne "$wanted" ] ||
        ! cat "$tree/out" "$tree/calls" | grep -qxF -- "$words"; then
        echo "for $*: not status $wanted and \"$words\" but $status and:"
        cat "$tree/out" "$tree/calls"
        failed=1
    fi
}

apt='apt-get -q -o DPkg::Lock::Timeout=600'
install="$apt install -y --no-install-recommends"
machine 0
gives 0 "$apt update (noninteractive)" build
gives 0 "$install libpng-dev (noninteractive)" build
gives 0 "$install libpng-dev libcmocka-dev (noninteractive)" build test
gives 0 "$install npm (noninteractive)" interop
shim node-of-another-kind 'exit 0'
PATH=$tree/bin "$tree/install-packages" interop >"$tree/out" 2>&1
[ ! -s "$tree/out" ] || { echo 'is not silent'; cat "$tree/out"; failed=1; }

machine 1000
gives 1 'run as root: apt-get install libpng-dev' build
shim sudo "echo sudo >>$tree/calls; exec \"\$@\""
gives 0 sudo build
gives 0 "$install libpng-dev (noninteractive)" build

machine 0
rm "$tree/bin/apt-get"
gives 1 'this is not Debian: install the equivalents of libpng-dev' build
machine 0
shim apt-get 'exit 100'
gives 100 'installing: libpng-dev' build

exit $failed
