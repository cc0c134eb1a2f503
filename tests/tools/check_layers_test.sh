#!/bin/sh
# tools/check-layers accepts a clean tree and refuses each kind of violation,
# planted one at a time.
# SPDX-License-Identifier: Apache-2.0
set -eu
check=$(cd "$(dirname "$0")/../.." && pwd)/tools/check-layers
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

plant() { mkdir -p "$tree/$(dirname "$1")"; printf '%b\n' "$2" >"$tree/$1"; }

block() { plant docs/architecture.md "# Drawing\n\n\`\`\`layers\n$1\n\`\`\`"; }

# A tree in which everything that is allowed happens once.
clean_tree() {
    rm -rf "$tree"
    mkdir -p "$tree"
    block 'base:\nmodel:  base\nsecure: base\nproto:  base\nnet: proto base'
    plant base/queue.c '#include "base/queue.h"\n#include <pthread.h>\n\nstatic pthread_mutex_t gate;'
    plant base/queue.h '#include <stddef.h>'
    plant model/model.h '#include "base/queue.h"'
    plant model/ops/conv.c '#include <cblas.h>\n# include "model/graph.h"\n#include "model/ops/ops.h"'
    plant model/onnx/write.c '#include "model/onnx/onnx.pb-c.h"'
    plant secure/secure.c '#include <sodium.h>'
    plant proto/proto.c '#include "proto/fedge.pb-c.h"'
    plant net/tcp.c '#include <nng/nng.h>\n#include "proto/proto.h"'
    plant tests/net/tcp_test.c '#include <sodium.h>\n#include "model/graph.h"'
    # These only look like violations.
    plant secure/seal.c '/* see #include <nng/nng.h> */\nint own_mtx_count;'
}

accepts() {
    if ! "$check" "$tree" >"$tree.out" 2>&1; then
        echo "refuses $1:"; cat "$tree.out"; failed=1
    fi
}

# refuses WHAT WORDS: exit status 1 and a line that holds the words.
refuses() {
    status=0
    "$check" "$tree" >"$tree.out" 2>&1 || status=$?
    if [ $status -eq 0 ] || ! grep -qF -- "$2" "$tree.out"; then
        echo "does not refuse $1 with \"$2\":"; cat "$tree.out"; failed=1
    fi
    rm -f "$tree.out"
}

# breaks WHAT FILE CONTENT WORDS: the clean tree and this one file.
breaks() {
    clean_tree
    plant "$2" "$3"
    refuses "$1" "$4"
}

clean_tree
accepts 'a clean tree without git'
git -C "$tree" init -q
accepts 'a clean tree that git does not track yet'
git -C "$tree" add -A
accepts 'a clean tree that git tracks'
plant model/late.c '#include "secure/secure.h"'
refuses 'a file that git does not track yet' \
    'model/late.c:1: model may not include secure'
git -C "$tree" add -A
refuses 'a file that git tracks' 'model/late.c:1: model may not include secure'
rm "$tree/model/late.c"
accepts 'a tracked file that was removed'
printf 'model/late.c\n' >"$tree/.gitignore"
plant model/late.c '#include "secure/secure.h"'
git -C "$tree" rm -q --cached model/late.c
accepts 'a broken file that git ignores'

breaks 'an arrow that is not drawn' secure/a.c '#include "model/model.h"' \
    'secure/a.c:1: secure may not include model'
breaks 'an arrow against the drawing' base/a.h '\n#include "net/net.h"' \
    'base/a.h:2: base may not include net'
breaks 'an arrow written with <>' secure/a.c '#include <model/model.h>' \
    'secure may not include model'
breaks 'a private header' net/a.c '  #  include "proto/wire.h"' \
    'net/a.c:1: proto/wire.h is private to proto'
breaks 'a detour' net/a.c '#include "net/../secure/secure.h"' \
    'write the path from the top'
breaks 'a name without its folder' net/a.c '#include "frame.h"' \
    'frame.h is in no folder'
breaks 'an include by macro' net/a.c '#include HEADER' 'include without a name'

breaks 'NNG outside net/' model/a.c '#include <nng/nng.h>' \
    'nng/nng.h belongs to net'
breaks 'libsodium outside secure/' net/a.c '#include <sodium.h>' \
    'sodium.h belongs to secure'
for pair in zstd.h=compress cblas.h=model openblas_config.h=model \
    lapacke.h=model sqlite3.h=aggregator microhttpd.h=aggregator ini.h=base jansson.h=base \
    png.h=data jpeglib.h=data jerror.h=data csv.h=data zlib.h=data; do
    breaks "${pair%=*} outside its folder" secure/a.h \
        "#include <${pair%=*}>" "${pair%=*} belongs to ${pair#*=}"
done
breaks 'protobuf-c outside proto/ and model/' net/a.c \
    '#include <protobuf-c/protobuf-c.h>' 'belongs to model,proto'
breaks 'the generated messages outside proto/' net/a.c \
    '#include "proto/fedge.pb-c.h"' 'proto/fedge.pb-c.h belongs to proto'
breaks 'the generated ONNX outside model/' proto/a.c \
    '#include "model/onnx/onnx.pb-c.h"' 'belongs to model'

breaks 'a pthread mutex' net/a.c 'int x;\npthread_mutex_t gate;' \
    'net/a.c:2: mutexes live in base/queue.c and base/pool.c'
breaks 'a C11 mutex' base/log.c 'static mtx_t gate;' 'mutexes live in'
breaks 'an NNG mutex' net/a.c 'nng_mtx_lock(gate);' 'mutexes live in'

breaks 'a folder without a line' extra/a.c 'int x;' \
    'extra is not in the layers block'
breaks 'a file outside of every folder' a.c 'int x;' 'outside of every folder'

clean_tree; plant docs/architecture.md '# Nothing drawn'
refuses 'a missing block' 'no layers block'
clean_tree; block ''
refuses 'an empty line in the block' 'not "folder: folders"'
clean_tree; plant docs/architecture.md '```layers\n```'
refuses 'an empty block' 'is empty'
clean_tree; block 'base\nmodel: base'
refuses 'a line without a colon' 'not "folder: folders"'
clean_tree; block 'base:\nmodel: base\nbase:'
refuses 'a folder with two lines' 'base has two lines'
clean_tree; block 'base: model\nmodel: base'
refuses 'a cycle' 'model has no line above this one'
clean_tree; cat "$tree/docs/architecture.md" "$tree/docs/architecture.md" \
    >"$tree/twice"; mv "$tree/twice" "$tree/docs/architecture.md"
refuses 'two blocks' 'a second layers block'
clean_tree; rm "$tree/docs/architecture.md"
refuses 'a missing drawing' 'docs/architecture.md'

exit $failed
