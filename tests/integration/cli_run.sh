#!/usr/bin/env bash
# What commands print and how they end, on a store: JSON, text, findings, signals, full disks.
set -euo pipefail

pbcopy=${PBCOPY:?} origin=${ORIGIN:?}
# shellcheck source=../support/no_clouds.sh
. "$(dirname "$0")/../support/no_clouds.sh"
scratch=$(mktemp -d)
server=
clean_up() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap clean_up EXIT
command -v jq >/dev/null && command -v curl >/dev/null || {
    echo "SKIP: jq and curl are not installed"
    [[ ${CI:-} == true ]] && exit 1 # nothing may be missing there
    exit 77
}

unset http_proxy all_proxy
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
: >"$scratch/out"
: >"$scratch/err"

fail() {
    echo "FAILED: $*" >&2
    tail -n 30 "$scratch/out" | sed 's/^/  out: /' >&2
    tail -n 30 "$scratch/err" | sed 's/^/  err: /' >&2
    exit 1
}

# run CODE ARGUMENT...
run() {
    local wanted=$1 code=0
    shift
    "$pbcopy" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || code=$?
    [[ $code -eq $wanted ]] || fail "pbcopy $*: exit code $code, not $wanted"
}

# told FILTER: the JSON document on standard output is one, and jq's filter is true of it.
told() {
    [[ $(jq -s length "$scratch/out") -eq 1 ]] || fail "not one JSON document"
    jq -e "$1" "$scratch/out" >/dev/null || fail "not so: $1"
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local tries=$(($1 * 10))
    shift
    for ((; tries > 0; tries--)); do
        "$@" && return
        sleep 0.1
    done
    fail "waited in vain: $*"
}

"$origin" --port 0 --port-file "$scratch/port" --fill source:500:1000:chunk --bucket backup \
    --bucket restored --bucket interrupted >"$scratch/origin.log" 2>&1 &
server=$!
wait_for 30 test -s "$scratch/port"
base="http://127.0.0.1:$(<"$scratch/port")"
source="s3://source?endpoint=$base" backup="s3://backup?endpoint=$base"
restored="s3://restored?endpoint=$base"

run 7 snapshots "$backup"
run 0 backup "$source" "$backup" --dry-run --json
told '.command == "backup" and .dry_run and .snapshot.copied_objects == 500 and .exit_code == 0'
run 0 backup "$source" "$backup" --json
told '.snapshot.objects == 500 and .snapshot.bytes == 500000 and .error == null and
    (.snapshot.id | test("^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}$")) and (.notes | length) == 1'
id=$(jq -r .snapshot.id "$scratch/out")
run 0 backup "$source" "$backup"
grep -q '^  unchanged 500, 488 KiB$' "$scratch/out" || fail "text of a backup"
run 0 backup "$source" "$backup" --quiet
[[ ! -s $scratch/out && ! -s $scratch/err ]] || fail "--quiet is not"

run 0 snapshots "$backup" --json
told '(.snapshots | length) == 3 and .snapshots[0].id == "'"$id"'" and
    all(.snapshots[]; .state == "complete")'
run 0 snapshots "$backup"
[[ $(wc -l <"$scratch/out") -eq 5 ]] || fail "not a line a snapshot, below its source"

run 0 show "$backup" --json
told '.snapshot.objects == 500 and (.snapshot.parts | length) > 0'
run 0 show "$backup" --snapshot "$id"
grep -q "^snapshot    $id\$" "$scratch/out" || fail "text of show"
run 0 show "$backup" --records
[[ $(jq -s 'length == 500 and all(.[]; .at == "'"$id"'")' "$scratch/out") == true ]] ||
    fail "records"
run 7 show "$backup" --snapshot 20000101T000000Z-0000 --json
told '.exit_code == 7 and .error.kind == "not_found" and .snapshot == null'

run 0 verify "$backup"
grep -q '^looked at   500 of 500 objects$' "$scratch/out" || fail "text of verify"
run 0 verify "$backup" --read --json
told '.proven_key == 500 and .unproven == 0 and .findings_total == 0 and .bytes_read == 500000'

run 0 restore "$backup" "$restored" --json
told '.written_objects == 500 and .present_objects == 0'
run 0 restore "$backup" "$restored" --json
told '.written_objects == 0 and .present_objects == 500'
run 0 copy "$source" "$restored" --dry-run --json
told '.copied_objects == 0 and .unchanged_objects == 500 and .extra_objects == 0'
curl -sSf -X PUT --data-binary "other" "$base/restored/$("$pbcopy" show "$backup" --records |
    sed -n 7p | jq -r .key)"
run 1 restore "$backup" "$restored" --json
told '.differing_objects == 1 and .findings[0].finding == "differs" and .error.kind == "failed"'
grep -q '^differs: chunk/' "$scratch/err" || fail "the finding is not told"
run 0 restore "$backup" "$restored" --overwrite --quiet

# A damaged repository: a name a line, on standard output; the error on standard error.
key=$("$pbcopy" show "$backup" --records | sed -n 3p | jq -r .key)
curl -sSf -X DELETE "$base/backup/data/$id/$key"
run 3 verify "$backup"
grep -q "^missing: $key: " "$scratch/out" || fail "the finding is not named"
[[ $(grep -c '^pbcopy: error: ' "$scratch/err") -eq 1 ]] || fail "not one error"
run 3 verify "$backup" --json
told '.exit_code == 3 and .error.kind == "damaged" and .findings_total == 1 and
    .findings == [{finding: "missing", key: "'"$key"'", text: .findings[0].text}]'
run 3 verify "$backup" --read --quiet
[[ $(wc -l <"$scratch/out") -eq 1 ]] || fail "--quiet shows findings, and nothing else"

# A full disk, or a reader that is gone, is no success.
if [[ -w /dev/full ]]; then
    for arguments in "snapshots" "show" "show --records" "show --json"; do
        code=0
        "$pbcopy" $arguments "$backup" >/dev/full 2>"$scratch/err" || code=$?
        [[ $code -eq 1 ]] || fail "$arguments on a full disk: exit code $code"
        [[ $(grep -c '^pbcopy: error: cannot write' "$scratch/err") -eq 1 ]] || fail "$arguments"
    done
fi

# Whatever programs and servers say is harmless on the terminal.
mkdir "$scratch/programs"
printf '#!/bin/sh\nprintf "sort\\033[2J\\033]0;owned\\007 9.1\\n"\n' >"$scratch/programs/sort"
chmod 755 "$scratch/programs/sort"
PATH="$scratch/programs:$PATH" "$pbcopy" doctor --namespace none --kubeconfig /nowhere \
    >"$scratch/out" 2>/dev/null || true
grep -qF 'ok      sort: sort?[2J?]0;owned? 9.1' "$scratch/out" || fail "doctor"
! grep -q '[[:cntrl:]]' "$scratch/out" || fail "control characters from doctor"

# Signals: told, 130, and no snapshot; run again, it goes on. Copies hang until told otherwise.
interrupted="s3://interrupted?endpoint=$base"
faults() { curl -sSf -X PUT --data-binary "$1" "$base/?origin-faults"; }
# The first copy is the question of a repository that is made, whether its store makes any.
copies_began() { curl -sSf "$base/?origin-statistics" | grep -qE '"CopyObject": *[1-9][0-9]'; }
for signal in INT TERM; do
    faults "fault stall operation=CopyObject key=data/"
    code=0
    curl -sSf -X PUT "$base/?origin-statistics"
    "$pbcopy" backup "$source" "$interrupted" --json >"$scratch/out" 2>"$scratch/err" &
    run=$!
    wait_for 30 copies_began
    kill -"$signal" "$run"
    wait "$run" || code=$?
    [[ $code -eq 130 ]] || fail "SIG$signal: exit code $code"
    told '.exit_code == 130 and .error.kind == "cancelled"'
    faults ""
    run 0 snapshots "$interrupted" --json
    told '[.snapshots[].state] == ["unfinished"]'
done
run 0 backup "$source" "$interrupted" --quiet
run 0 verify "$interrupted" --read --quiet

echo "ok"
