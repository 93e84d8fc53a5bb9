#!/bin/sh
# A program for Daypass's `command` targets (docs/providers/command.md): keeps lists of users, one login a line, as
# pam_listfile(8), cron.allow and many daemons read them.
#
#   server.yaml:  programs: {user-list: {path: /opt/daypass/user-list.sh, args: [/var/lib/user-lists]}}
#   policy:       connectors: [{name: lists, kind: command, config: {program: user-list}}]
#                 roles: {operator: {list: operators}}         # keeps /var/lib/user-lists/operators
#
# A list is an ordinary file: what somebody writes into it by hand stays. Between the two marks is what Daypass keeps; it is
# made from `.daypass/KEY`, one small file for each opening: the installation, the list, the login.
#
# POSIX shell with sed, grep and flock(1) of util-linux; no jq: Daypass writes each question on one line, its fields in a
# fixed order, and keys and logins of plain characters, so that one regular expression takes a question apart.

set -u
umask 022
export LC_ALL=C

answer() { printf '{"version":1,%s}\n' "$1"; exit 0; }
fail() { answer "\"result\":\"error\",\"error\":\"$1\",\"detail\":\"$2\""; }

dir=${1:?the folder of the lists is the first argument}
[ -d "$dir" ] || fail unavailable 'the folder of the lists is not there'
state=$dir/.daypass
mkdir -p "$state" || fail unavailable 'the folder of the lists cannot be written'

# --- The question, taken apart. What does not look exactly like this is refused.

IFS= read -r line || [ -n "$line" ] || fail bug 'there is no question'
part() { printf '%s\n' "$line" | sed -n "s/$1/\\1/p"; }
who='"installation":"[0-9a-z]*"'
verb=$(part "^{\"version\":1,\"verb\":\"\([a-z]*\)\",$who[,}].*\$")
lead="^{\"version\":1,\"verb\":\"$verb\""
installation=$(part "$lead,\"installation\":\"\([0-9a-z]*\)\"[,}].*\$")
key=$(part "$lead,$who,\"key\":\"\([0-9a-z][0-9a-z_-]*\)\"[,}].*\$")
[ -n "$verb" ] && [ -n "$installation" ] || fail bug 'this is no question in version 1'
[ "$verb" = list ] || [ -n "$key" ] || fail bug 'the question has no key'

# One at a time. The lock goes with the process, however it ends.
exec 9>"$state/.lock" || fail unavailable 'the lock cannot be opened'
flock 9 || fail unavailable 'the lock is not to be had'

# --- What is kept.

mine() { [ "$(sed -n 1p "$state/$1" 2>/dev/null)" = "$installation" ]; }
begin='# Daypass keeps the lines from here'
end='# Daypass keeps the lines to here'

# What stands in a list by hand: all but our part of it.
by_hand() { [ ! -e "$dir/$1" ] || sed "/^$begin\$/,/^$end\$/d" "$dir/$1"; }

# Our part of a list, as the openings say.
wanted() {
    for file in "$state"/*; do
        [ -f "$file" ] && [ "$(sed -n 2p "$file")" = "$1" ] && sed -n 3p "$file"
    done | grep . | sort -u
}

# Our part of a list, as it stands in it.
standing() { [ ! -e "$dir/$1" ] || sed -n "/^$begin\$/,/^$end\$/p" "$dir/$1" | grep -v '^# Daypass '; }

# Whether the login of an opening stands in its list: the list is what counts, not what we remember of it. One whose end was
# cut short has no login any more, and perhaps still stands there.
there() {
    login=$(sed -n 3p "$state/$1")
    [ -z "$login" ] || standing "$(sed -n 2p "$state/$1")" | grep -qxF -e "$login"
}

# Whether somebody stands between the marks of a list whom no opening wants: what was known of theirs is lost.
strays() { standing "$1" | grep -qvxF -e "$(wanted "$1")"; }

# The lists that may be meant: the one of the role, or all of them where the question names none.
every_list() {
    for file in "$dir"/*; do
        [ -f "$file" ] && { [ -z "$list" ] || [ "${file##*/}" = "$list" ]; } && printf '%s\n' "${file##*/}"
    done
}
in_doubt() { every_list | while IFS= read -r one; do if strays "$one"; then printf '%s\n' "$one"; fi; done; }

# Somebody who edits a list by hand may lose a mark; what is theirs could not be told from what is ours then.
marked() {
    [ ! -e "$dir/$1" ] && return
    begins=$(grep -cxF -e "$begin" "$dir/$1")
    [ "$begins" = "$(grep -cxF -e "$end" "$dir/$1")" ] && [ "$begins" -le 1 ] || return
    [ "$begins" = 0 ] || sed -n "/^$begin\$/,\$p" "$dir/$1" | grep -qxF -e "$end"
}

# Puts a text in the place of a file, whole or not at all.
put() { cat >"$state/.new" && mv "$state/.new" "$1"; }

write_list() {
    marked "$1" || fail conflict "the marks in the list $1 are broken; restore them by hand"
    logins=$(wanted "$1")
    {
        by_hand "$1" | grep ''
        if [ -n "$logins" ]; then printf '%s\n' "$begin" "$logins" "$end"; fi
    } | put "$dir/$1" || fail unavailable 'the list cannot be written'
}

# Takes the login of an opening out of its list. The opening is forgotten later, if at all: what a crash leaves in between,
# with a list but no login, is found again by its key.
close_opening() {
    printf '%s\n%s\n\n' "$installation" "$1" | put "$state/$key" || fail unavailable 'the opening cannot be closed'
    write_list "$1"
}

# --- The four verbs.

list=$(part '^.*"role":{"name":"[^"]*","config":{"list":"\([a-z][a-z0-9-]\{0,39\}\)"}},"secrets":{[^{}]*}}$')
case $verb in
provision)
    holder=$(part "$lead,$who,\"key\":\"$key\",\"holder\":\"\([0-9A-Za-z%][0-9A-Za-z._@+%-]*\)\",\"until\":.*\$")
    [ -n "$holder" ] || fail bug 'the question has no holder'
    [ -n "$list" ] || fail misconfigured 'a role is {list: NAME}, and a name has small letters, digits and hyphens'
    before=$list
    if [ -e "$state/$key" ]; then
        mine "$key" || fail already-standing 'somebody else made what has this key'
        before=$(sed -n 2p "$state/$key")
    elif by_hand "$list" | grep -qxF -e "$holder"; then
        # Who is in the list anyway would still be in it afterwards.
        fail already-standing "$holder is in the list by hand"
    fi
    [ "$before" = "$list" ] || close_opening "$before"
    printf '%s\n%s\n%s\n' "$installation" "$list" "$holder" | put "$state/$key" ||
        fail unavailable 'the opening cannot be written down'
    write_list "$list"
    answer '"result":"done"'
    ;;
revoke)
    if mine "$key"; then
        list=$(sed -n 2p "$state/$key")
        close_opening "$list"
        rm -f "$state/$key" || fail unavailable 'the opening cannot be forgotten'
    fi
    # Also what is not remembered: whoever stands between the marks for no opening goes.
    in_doubt >"$state/.doubt" || fail unavailable 'the lists cannot be read'
    while IFS= read -r one; do write_list "$one"; done <"$state/.doubt"
    answer '"result":"done"'
    ;;
inspect)
    if ! mine "$key"; then
        # Nothing is known under this key. Who stands there without an opening may be its holder.
        [ -z "$(in_doubt)" ] || answer '"result":"unknown"'
        answer '"result":"absent"'
    fi
    if there "$key"; then answer '"result":"present"'; fi
    answer '"result":"absent"'
    ;;
list)
    # Whom somebody took out of a list by hand is not in the answer: so Daypass learns of it, and ends the grant.
    keys=
    for file in "$state"/*; do
        [ -f "$file" ] && mine "${file##*/}" && there "${file##*/}" && keys="$keys${keys:+,}\"${file##*/}\""
    done
    answer "\"result\":\"keys\",\"keys\":[$keys]"
    ;;
*)
    fail bug 'there is no such verb'
    ;;
esac
