#!/bin/sh
# A trainer for tests of the client: trainer.sh MODE [FOLDER]. It learns nothing;
# "same" gives back what it was given, the others do what no trainer should.
# SPDX-License-Identifier: Apache-2.0
read -r task || exit 9
export LC_ALL=C

say_done() {
    echo '{"version":1,"type":"done","examples":10,"loss":0.5,"accuracy":0.5}'
}
say_progress() {
    echo "{\"version\":1,\"type\":\"progress\",\"step\":$1,\"steps\":$2}"
}
copy() {
    cp model.safetensors trained.safetensors
}
# put_at PLACE BYTES: in the result.
put_at() {
    # shellcheck disable=SC2059  # the bytes are in octal
    printf "$2" | dd of=trained.safetensors bs=1 seek="$1" conv=notrunc 2>/dev/null
}
# put_last BYTES: instead of the last number.
put_last() {
    put_at $(($(wc -c <trained.safetensors) - 4)) "$1"
}
# place_of TENSOR: where the data of one whose name ends so begins.
place_of() {
    header=$(od -An -tu4 -N4 model.safetensors)
    begin=$(head -c $((8 + header)) model.safetensors | tr '}' '\n' |
        sed -n 's/.*'"$1"'":.*"data_offsets":\[\([0-9]*\),.*/\1/p' | tail -n 1)
    echo $((8 + header + begin))
}

case ${1-same} in
same) say_progress 1 2 && say_progress 2 2 && copy && say_done ;;
slow)
    for step in 1 2 3 4 5 6 7 8 9 10; do
        say_progress $step 10
        echo beat >>"$2/beats"
        sleep 0.1
    done
    copy && say_done
    ;;
look)  # what it has of the client's
    echo "$task" >&2
    env | sort >&2
    for fd in /proc/self/fd/*; do echo "fd ${fd##*/}"; done >&2
    pwd >&2
    ls -A >&2
    grep -c : /proc/net/dev | sed 's/^/interfaces /' >&2
    copy && say_done
    ;;
lingers) copy && say_done && sleep 600 ;;
hang)
    sleep 60 &
    echo $! >"$2/grandchild"
    trap '' TERM
    sleep 60
    ;;
exits) echo "Traceback: no CUDA" >&2 && exit 3 ;;
crashes) kill -SEGV $$ ;;
says_why) echo '{"version":1,"type":"failed","why":"no CUDA here"}' ;;
garbage) echo 'Epoch 1: loss 0.5' ;;
version) echo '{"version":2,"type":"done"}' ;;
not_a_number)
    copy
    echo '{"version":1,"type":"done","examples":10,"loss":NaN,"accuracy":0.5}'
    ;;
greedy)
    copy
    echo '{"version":1,"type":"done","examples":1000000,"loss":1,"accuracy":1}'
    ;;
endless_line) tr '\0' 'x' </dev/zero ;;
flood) yes '{"version":1,"type":"progress","step":1,"steps":2}' ;;
chatter) yes "hello" | head -n 5000 >&2 && copy && say_done ;;
nothing) say_done ;;
empty) : >trained.safetensors && say_done ;;
statistics) copy && put_at "$(place_of running_mean)" '\000\000\300\177' && say_done ;;
variance) copy && put_at "$(place_of running_var)" '\000\000\200\277' && say_done ;;  # -1
nan) copy && put_last '\000\000\300\177' && say_done ;;
far) copy && put_last '\312\362\111\161' && say_done ;;  # 1e30
truncated)
    size=$(wc -c <model.safetensors)
    head -c $((size - 4)) model.safetensors >trained.safetensors
    say_done
    ;;
long) copy && echo more >>trained.safetensors && say_done ;;
huge) copy && truncate -s 1G trained.safetensors && say_done ;;
shape)
    sed '0,/"shape":\[\([0-9]*\),\([0-9]*\)/s//"shape":[\2,\1/' \
        model.safetensors >trained.safetensors
    say_done
    ;;
name) sed '0,/weight"/s//weighs"/' model.safetensors >trained.safetensors && say_done ;;
link) cp model.safetensors other && ln -s other trained.safetensors && say_done ;;
pipe) mkfifo trained.safetensors && say_done ;;
folder) mkdir -p trained.safetensors/inner && chmod 0 trained.safetensors && say_done ;;
memory)
    head -c 300000000 /dev/zero | tail -c 200000000 | wc -c >&2
    copy && say_done
    ;;
*) echo "no mode $1" >&2 && exit 9 ;;
esac
