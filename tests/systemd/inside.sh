#!/bin/sh
# What boot_test.sh does in the container, as root of a machine that has booted.
# SPDX-License-Identifier: Apache-2.0
set -eu
passed=0 began=$(date +%s)

ok() {
    passed=$((passed + 1))
    echo "ok      $*, $(($(date +%s) - began)) s"
}
fail() {
    echo "FAILED  $*"
    systemctl --no-pager status 'fedge-*' || :
    journalctl --no-pager -n 60 -o short-monotonic -u 'fedge-*'
    echo "$passed passed, 1 failed"
    exit 1
}

# wait_until SECONDS COMMAND...: tries ten times a second.
wait_until() {
    tries=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
property() {
    systemctl show -P "$2" "$1"
}
says() { # UNIT REGEX: its line in systemctl status
    property "$1" StatusText | grep -q "$2"
}
journal() { # UNIT OPTION...
    unit=$1
    shift
    journalctl --no-pager -q -o cat -u "$unit" "$@"
}
journal_has() { # UNIT REGEX
    journalctl --sync
    journal "$1" | grep -q -e "$2"
}
rounds_done() {
    fedge-aggregator status --json | sed -n 's/.*"round":\([0-9]*\).*/\1/p' |
        tail -n 1
}
has_rounds() {
    [ "$(rounds_done)" -ge "$1" ]
}
drop_in() { # UNIT: its text is on standard input
    mkdir -p "/etc/systemd/system/$1.service.d"
    cat >"/etc/systemd/system/$1.service.d/test.conf"
    systemctl daemon-reload
}
configure() { # PROGRAM NAME: a file of PROGRAM.conf.d
    mkdir -p "/etc/fedge/$1.conf.d"
    cat >"/etc/fedge/$1.conf.d/$2.conf"
}

# 1. The aggregator is up when systemctl returns, as nobody in particular.
systemctl start fedge-aggregator || fail "the aggregator does not start"
pid=$(property fedge-aggregator MainPID)
[ "$(stat -c %u "/proc/$pid")" -ge 61184 ] || fail "not a dynamic user"
wait_until 5 says fedge-aggregator 'round 0 of 1000000' ||
    fail "no status: $(property fedge-aggregator StatusText)"
ok "the aggregator is ready"

# 2. A client that has joined nothing is left alone.
systemctl start fedge-stranger && fail "a stranger starts"
[ "$(property fedge-stranger ExecMainStatus)" = 77 ] || fail "not 77"
[ "$(property fedge-stranger Result)" = exit-code ] || fail "it is restarted"
sleep 1
[ "$(property fedge-stranger NRestarts)" = 0 ] || fail "it is restarted"
journal_has fedge-stranger 'has joined no federation' || fail "it does not say"
[ "$(journal fedge-stranger -p err | grep -c 'has joined no')" = 1 ] ||
    fail "the last sentence is no error: $(journal fedge-stranger -p err)"
ok "a client that has not joined ends with 77 and stays so"

# 3. docs/keys.md: the line that token prints, as it is.
sh -c "$(fedge-aggregator token)" || fail "the printed line does not work"
$(fedge-aggregator token) --config /etc/fedge/two.conf || fail "two does not join"
systemctl start fedge-client fedge-two || fail "a client does not start"
wait_until 20 has_rounds 2 || fail "no round is finished"
owner=$(stat -c %u /var/lib/private/fedge-client)
[ "$owner" -ge 61184 ] || fail "the state is not the service's"
[ -z "$(find /var/lib/private/fedge-client ! -uid "$owner")" ] || fail "not all"
ok "two clients have joined by the printed line and finish rounds"

# 4. A good configuration is taken over, a bad one is not.
pid=$(property fedge-client MainPID)
configure client quiet <<-CONF
	[eligibility]
	quiet-hours = 00:00-24:00
CONF
systemctl reload fedge-client || fail "reload"
wait_until 10 journal_has fedge-client \
    'event=reloaded changed=quiet-hours' ||
    fail "it does not reload"
wait_until 10 says fedge-client 'resting: quiet_hours' ||
    fail "not resting: $(property fedge-client StatusText)"
ok "a reload is taken over"

configure client zz-bad <<-CONF
	[eligibility]
	quiet-hours = 10:00-11:00
	max-temprature = 60
CONF
systemctl reload fedge-client && fail "it seems to be taken over"
journal_has fedge-client 'zz-bad.conf:3: unknown key' || fail "where is it bad?"
kill -HUP "$pid" # past the command that looks at it first
wait_until 10 journal_has fedge-client 'event=reload_failed' || fail "no error"
journal fedge-client -p err | grep 'event=reload_failed' |
    grep -q 'zz-bad.conf:3: unknown key' || fail "no line in the error"
[ "$(property fedge-client MainPID)" = "$pid" ] || fail "it was started anew"
says fedge-client 'resting: quiet_hours' || fail "half of it was taken"
ok "a bad file changes nothing, and is named in an error"

rm /etc/fedge/client.conf.d/*
configure client slice <<-CONF
	[data]
	slice = 1
CONF
systemctl reload fedge-client
wait_until 10 journal_has fedge-client 'event=needs_restart options=slice' ||
    fail "it does not say what needs a restart"
rm /etc/fedge/client.conf.d/*
fedge-client reload || fail "fedge-client reload"
before=$(rounds_done)
wait_until 20 has_rounds $((before + 1)) || fail "it does not work any more"
[ "$(property fedge-client MainPID)" = "$pid" ] || fail "it was started anew"
ok "fedge-client reload is the same"

# 5. Stopped in the middle of a round, both leave politely; nothing is lost.
configure aggregator slow <<-CONF
	[train]
	local-epochs = 65536
CONF
systemctl reload fedge-aggregator || fail "reload"
wait_until 20 journal_has fedge-aggregator 'event=settings_taken' ||
    fail "the aggregator takes nothing over"
wait_until 20 says fedge-client 'round [0-9]*, training' ||
    fail "no training: $(property fedge-client StatusText)"
sleep 1
says fedge-aggregator 'training: 0 of 2 updates, 2 clients' ||
    fail "$(property fedge-aggregator StatusText)"
before=$(rounds_done)
systemctl stop fedge-client
[ "$(property fedge-client Result)" = success ] || fail "the client was killed"
[ "$(property fedge-client ExecMainStatus)" = 0 ] || fail "not with 0"
systemctl stop fedge-aggregator
[ "$(property fedge-aggregator Result)" = success ] || fail "it was killed"
[ "$(property fedge-aggregator ExecMainStatus)" = 0 ] || fail "not with 0"
rm /etc/fedge/aggregator.conf.d/*
systemctl start fedge-aggregator fedge-client
[ "$(rounds_done)" = "$before" ] || fail "$before rounds, now $(rounds_done)"
wait_until 60 has_rounds $((before + 1)) || fail "it does not go on"
ok "stopped in mid-round both save what they have, and go on"

# 6. What hangs is started again, also when it is in the middle of a training.
drop_in fedge-two <<-UNIT
	[Service]
	WatchdogSec=2s
	RestartSec=500ms
UNIT
systemctl restart fedge-two
pid=$(property fedge-two MainPID)
sleep 4
[ "$(property fedge-two MainPID)" = "$pid" ] || fail "killed without reason"
kill -STOP "$pid"
is_another() {
    [ "$(property fedge-two ActiveState)" = active ] &&
        [ "$(property fedge-two MainPID)" != "$pid" ]
}
wait_until 20 is_another || fail "a hung client stays so"
[ "$(property fedge-two NRestarts)" = 1 ] || fail "restarted for another reason"
ok "a hung client is started again"

# 7. What root does to the state beside the service does not lock it out.
systemctl stop fedge-two
$(fedge-aggregator token) --config /etc/fedge/two.conf >/dev/null || fail "join"
owner=$(stat -c %u /var/lib/private/fedge-two)
[ -z "$(find /var/lib/private/fedge-two ! -uid "$owner")" ] ||
    fail "$(find /var/lib/private/fedge-two ! -uid "$owner") is root's"
systemctl start fedge-two || fail "it cannot read its state any more"
ok "joining again as root leaves the state to the service"

# 8. A configuration that cannot be: code 78, and no second try.
configure client bad <<-CONF
	[client]
	min-survivors = few
CONF
systemctl restart fedge-client && fail "it starts"
sleep 1
[ "$(property fedge-client ExecMainStatus)" = 78 ] || fail "not 78"
[ "$(property fedge-client ActiveState)" = failed ] || fail "it is started again"
rm /etc/fedge/client.conf.d/*
systemctl start fedge-client || fail "it does not start"
ok "a configuration that cannot be ends with 78 and stays so"

# 9. A trainer of the owner's starts behind all that, also without a network.
systemctl stop fedge-client
drop_in fedge-client <<-UNIT
	[Service]
	RestrictNamespaces=user net
UNIT
configure client trainer <<-CONF
	[trainer]
	trainer-command = /bin/false
	trainer-memory = 300
	trainer-offline = true
CONF
systemctl start fedge-client || fail "it does not start with a trainer"
wait_until 20 journal_has fedge-client 'the trainer: it ended with exit code 1' ||
    fail "the trainer is not even started"
rm /etc/fedge/client.conf.d/* /etc/systemd/system/fedge-client.service.d/test.conf
ok "a trainer is started, without a network"

# 10. The journal knows what is an error, and needs no time of ours.
journalctl --sync
for unit in fedge-client fedge-aggregator fedge-two; do
    journal $unit -p info | grep -e '^<[0-9]' -e '^20[0-9][0-9]-' &&
        fail "a line begins with what the journal knows"
    journal $unit _TRANSPORT=stdout -p err |
        grep -v -e event=reload_failed -e "bad.conf:[23]: " -e event=training_failed &&
        fail "that is no error"
done
journal fedge-aggregator PRIORITY=6 | grep -q event=round_closed || fail "no info"
journal fedge-client PRIORITY=4 | grep -q event=needs_restart || fail "no warning"
ok "the journal has every line's level"

echo "$passed passed, 0 failed"
