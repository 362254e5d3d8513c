#!/usr/bin/env bash
# The command line without a store: pages, refusals, exit codes, streams.
set -euo pipefail

pbcopy=${PBCOPY:?}
# shellcheck source=../support/no_clouds.sh
. "$(dirname "$0")/../support/no_clouds.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
command -v jq >/dev/null || {
    echo "SKIP: jq is not installed"
    [[ ${CI:-} == true ]] && exit 1 # nothing may be missing there
    exit 77
}

fail() {
    echo "FAILED: $*" >&2
    sed 's/^/  out: /' "$scratch/out" >&2
    sed 's/^/  err: /' "$scratch/err" >&2
    exit 1
}

# run CODE ARGUMENT...: runs pbcopy, which must end with CODE; its output is in $scratch.
run() {
    local wanted=$1 code=0
    shift
    "$pbcopy" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || code=$?
    [[ $code -eq $wanted ]] || fail "pbcopy $*: exit code $code, not $wanted"
}

# error_lines N: standard error holds N lines, exactly one of them the error.
error_lines() {
    [[ $(wc -l <"$scratch/err") -eq $1 ]] || fail "not $1 lines of errors"
    [[ $(grep -c '^pbcopy: error: ' "$scratch/err") -eq 1 ]] || fail "not one error"
}

for arguments in help "help help" --help -h "help --help"; do
    run 0 $arguments
    [[ -s $scratch/out && ! -s $scratch/err ]] || fail "pbcopy $arguments"
done
for command in backup restore verify snapshots show copy; do
    run 0 help $command
    for part in "pbcopy $command" URLs Options 'Environment variables' AWS_ACCESS_KEY_ID \
        'Exit codes' Examples; do
        grep -qF -- "$part" "$scratch/out" || fail "help $command does not tell: $part"
    done
    mv "$scratch/out" "$scratch/page"
    run 0 $command --help
    cmp -s "$scratch/page" "$scratch/out" || fail "$command --help is another page"
done
for command in init doctor suspend resume connect; do
    run 0 help $command
    for part in "pbcopy $command" Options --config PBCOPY_CONFIG 'Exit codes' Examples; do
        grep -qF -- "$part" "$scratch/out" || fail "help $command does not tell: $part"
    done
done
for command in backup restore; do
    run 0 help $command
    for part in 'Options of a whole cluster' --kubernetes KUBECONFIG PGPASSWORD; do
        grep -qF -- "$part" "$scratch/out" || fail "help $command does not tell: $part"
    done
done
run 0 version
[[ $(<"$scratch/out") =~ ^pbcopy\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "version"
run 0 --version

run 2
error_lines 2
run 2 bakup a b
error_lines 2
grep -q 'HINT: did you mean `pbcopy backup`?' "$scratch/err" || fail "no did-you-mean"
run 2 help bakup
error_lines 2
run 2 backup s3://a
error_lines 2
run 2 backup s3://a s3://b --parallel 0
error_lines 1
run 2 verify s3://a --overwrite
error_lines 2
run 2 backup nonsense s3://b
error_lines 2
run 2 verify 's3://user:secret@bucket'
grep -q secret "$scratch/err" && fail "a secret is repeated"
run 2 snapshots s3://a --ca-bundle "$scratch/none.pem"
error_lines 1

# A key or an argument never makes a second line, nor moves the cursor.
run 2 $'bak\nup\e[2J' a b
error_lines 2
grep -q $'\e' "$scratch/err" && fail "an escape sequence came through"

# Errors are told in JSON too, and still on standard error.
for arguments in "backup --json" "backup a b --loops=x --json" "verify nonsense --json"; do
    run 2 $arguments
    jq -e '.exit_code == 2 and .error.kind == "usage" and (.error.message | length) > 0 and
        (.findings | type) == "array"' "$scratch/out" >/dev/null || fail "JSON of $arguments"
    grep -q '^pbcopy: error: ' "$scratch/err" || fail "no error of $arguments"
done

# Output that cannot be written is a failure, whatever was done.
if [[ -w /dev/full ]]; then
    for arguments in help version "help backup"; do
        code=0
        "$pbcopy" $arguments >/dev/full 2>"$scratch/err" || code=$?
        [[ $code -eq 1 ]] || fail "$arguments on a full disk: exit code $code"
        error_lines 1
        grep -q 'No space left' "$scratch/err" || fail "the reason is missing"
    done
fi
code=0
"$pbcopy" version >&- 2>"$scratch/err" || code=$?
[[ $code -eq 1 ]] || fail "closed standard output: exit code $code"
error_lines 1

echo "ok"
