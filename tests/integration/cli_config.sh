#!/usr/bin/env bash
# pbcopy.yaml on real files and a store, and what else knows the table of options: the example in
# deploy/, the man page, the completion of bash.
set -euo pipefail

pbcopy=${PBCOPY:?} source_dir=${SOURCE_DIR:?}
# shellcheck source=../support/no_clouds.sh
. "$(dirname "$0")/../support/no_clouds.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
command -v jq >/dev/null || {
    echo "SKIP: jq is not installed"
    [[ ${CI:-} == true ]] && exit 1 # nothing may be missing there
    exit 77
}
unset PBCOPY_CONFIG
: >"$scratch/out"
: >"$scratch/err"

fail() {
    echo "FAILED: $*" >&2
    tail -n 30 "$scratch/out" | sed 's/^/  out: /' >&2
    tail -n 30 "$scratch/err" | sed 's/^/  err: /' >&2
    exit 1
}

# run CODE ARGUMENT...: in the folder $here, which may hold a pbcopy.yaml.
here=$scratch/here
mkdir "$here"
run() {
    local wanted=$1 code=0
    shift
    (cd "$here" && "$pbcopy" "$@") >"$scratch/out" 2>"$scratch/err" </dev/null || code=$?
    [[ $code -eq $wanted ]] || fail "pbcopy $*: exit code $code, not $wanted"
}

# told FILTER: jq's filter is true of the JSON on standard output.
told() {
    jq -e "$1" "$scratch/out" >/dev/null || fail "not so: $1"
}

# refused TEXT: standard error holds one error, with TEXT in it.
refused() {
    [[ $(grep -c '^pbcopy: error: ' "$scratch/err") -eq 1 ]] || fail "not one error"
    grep -qF -- "$1" "$scratch/err" || fail "not told: $1"
}

# ---- a backup, a verify and a restore without a word on the command line ----

mkdir -p "$scratch/bucket/chunk" "$scratch/repository" "$scratch/restored" "$scratch/other"
for i in 1 2 3; do echo "object $i" >"$scratch/bucket/chunk/$i"; done
echo "not asked for" >"$scratch/bucket/else"
cat >"$here/pbcopy.yaml" <<END
# A comment.
source: file://$scratch/bucket
repository: file://$scratch/repository
destination: file://$scratch/restored
json: true
parallel: 8
memory: 64M
backup:
  prefix: chunk/
restore:
  prefix: chunk/1
END
run 0 backup
told '.exit_code == 0 and .snapshot.objects == 3'
run 0 snapshots
told '.snapshots | length == 1'
run 0 verify
run 0 show
told '.snapshot.prefix == "chunk/"'
run 0 restore
[[ $(find "$scratch/restored" -type f | wc -l) -eq 1 ]] || fail "restore: not the prefix of the file"
# The command line goes before the file.
run 0 restore --prefix= "file://$scratch/repository" "file://$scratch/other"
[[ $(find "$scratch/other" -type f | wc -l) -eq 3 ]] || fail "restore: not the words of the command line"
run 2 copy
refused "copy: SOURCE is missing"

# ---- which file ----

echo 'parallel: 0' >"$scratch/wrong.yaml"
run 2 verify --config "$scratch/wrong.yaml"
refused "$scratch/wrong.yaml: parallel: "
run 2 verify --config "$scratch/none.yaml"
refused "$scratch/none.yaml"
export PBCOPY_CONFIG=$scratch/wrong.yaml
run 2 verify
refused "$scratch/wrong.yaml: parallel: "
run 0 verify --config pbcopy.yaml
PBCOPY_CONFIG=$scratch/none.yaml
run 2 verify
refused "PBCOPY_CONFIG"
run 0 help verify
run 0 version
PBCOPY_CONFIG=/dev/null
run 2 verify
refused "verify: REPOSITORY is missing"
PBCOPY_CONFIG=
run 0 verify
unset PBCOPY_CONFIG
chmod 666 "$here/pbcopy.yaml"
run 2 verify
refused "pbcopy.yaml: the file can be written by everybody"
run 0 verify --config pbcopy.yaml
chmod 664 "$here/pbcopy.yaml"
[ "$(stat -c %g "$here/pbcopy.yaml")" != 0 ] || chgrp 12 "$here/pbcopy.yaml"
run 2 verify
refused "pbcopy.yaml: the file can be written by its group"
grep -q "HINT: .*chmod go-w" "$scratch/err" || fail "no hint"
chmod 600 "$here/pbcopy.yaml"
mv "$here/pbcopy.yaml" "$scratch/kept.yaml"
mkfifo "$here/pbcopy.yaml"
run 2 verify
refused "pbcopy.yaml: not a file"
rm "$here/pbcopy.yaml"
mv "$scratch/kept.yaml" "$here/pbcopy.yaml"
run 0 verify --config <(cat "$here/pbcopy.yaml")
mkdir "$scratch/folder"
run 2 verify --config "$scratch/folder"
refused "directory"

# ---- what is refused ----

# A secret is refused by its name, and its value is not repeated.
for name in password database-password secret_access_key AWS_SESSION_TOKEN pgpassword; do
    printf 'repository: s3://a\n%s: hunter2hunter2\n' "$name" >"$here/pbcopy.yaml"
    run 2 verify --json -v
    refused "pbcopy.yaml: $name: secrets are not taken from a configuration"
    cat "$scratch/out" "$scratch/err" | grep -q hunter2 && fail "a secret is repeated"
done
printf 'repositry: s3://a\n' >"$here/pbcopy.yaml"
run 2 verify
refused 'did you mean `repository`?'
printf 'a: &a [x, x]\nb: [*a, *a]\n' >"$here/pbcopy.yaml"
run 2 verify
refused "anchors"
printf '"a\\nb\\e[2J": 1\n' >"$here/pbcopy.yaml"
run 2 verify
[[ $(wc -l <"$scratch/err") -eq 2 ]] || fail "a key made a line"
grep -q $'\e' "$scratch/err" && fail "an escape sequence came through"
head -c 300000 /dev/urandom >"$here/pbcopy.yaml"
run 2 verify
refused "pbcopy.yaml: "
for ((i = 0; i < 120000; i++)); do echo '# nothing'; done >"$here/pbcopy.yaml"
run 2 verify
refused "larger than"

# ---- a cluster ----

echo 'repository: s3://backup' >"$here/pbcopy.yaml"
run 2 backup
refused "backup: SOURCE is missing"
run 2 backup s3://a s3://b --kubernetes native
refused "option --kubernetes is of a whole cluster"
run 2 suspend
refused "suspend: the namespace of Pachyderm is missing"
rm "$here/pbcopy.yaml"

# ---- the example knows the names of the table ----

# What is commented out is right, too: a line with a # and no blank, or three.
sed -E 's/^#([a-z-]+:.*)$/\1/; s/^#(  .*)$/\1/' "$source_dir/deploy/pbcopy.yaml" >"$scratch/all.yaml"
[[ $(grep -cE '^ *[a-z-]+:' "$scratch/all.yaml") -ge 45 ]] || fail "the example lost its lines"
for file in "$source_dir/deploy/pbcopy.yaml" "$scratch/all.yaml"; do
    for command in backup restore; do
        # This is found wrong last, when the file was read to its end.
        run 2 $command a b --config "$file" --dump all
        refused "option --dump is of a whole cluster"
    done
done

# ---- the man page ----

run 0 help man
cp "$scratch/out" "$scratch/pbcopy.1"
for part in NAME SYNOPSIS COMMANDS OPTIONS CONFIGURATION ENVIRONMENT 'EXIT STATUS'; do
    grep -qx ".SH $part" "$scratch/pbcopy.1" || fail "man page: no $part"
done
if command -v groff >/dev/null; then
    groff -mandoc -ww -Tascii -P-cbou "$scratch/pbcopy.1" >"$scratch/out" 2>"$scratch/err"
    [[ ! -s $scratch/err ]] || fail "groff warns of the man page"
    for option in --kubernetes --recipient --limit-bytes --drop-service-account-secrets; do
        grep -qF -- "$option" "$scratch/out" || fail "man page: no $option"
    done
else
    echo "SKIP: groff is not installed: the man page is not formatted"
    [[ ${CI:-} != true ]] || exit 1
fi
if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$scratch/pbcopy.1" >"$scratch/out" 2>&1 || fail "mandoc warns"
fi

# ---- the completion of bash ----

run 0 help completion-bash
cp "$scratch/out" "$scratch/completion"
# complete WORD...: prints what the last word can become.
complete_words() (
    source "$scratch/completion"
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _pbcopy 2>"$scratch/err"
    printf '%s\n' "${COMPREPLY[@]}"
)
# completes WANTED WORD...: exactly to these, joined by blanks.
completes() {
    local wanted=$1 got
    shift
    got=$(complete_words "$@" | LC_ALL=C sort | paste -sd ' ')
    [[ $got == "$wanted" ]] || fail "completion of '$*': '$got', not '$wanted'"
}
cd "$here"
completes "backup" pbcopy ba
completes "restore resume" pbcopy re
completes "--dry-run" pbcopy backup s3://a --dr
completes "--records" pbcopy show --re
completes "native none velero" pbcopy backup --kubernetes ""
completes "native none" pbcopy backup --kubernetes = n
completes "native none velero" pbcopy backup --kubernetes =
completes "crc32c" pbcopy copy --checksum c
completes "" pbcopy backup --parallel ""
completes "backup" pbcopy help ba
completes "completion-bash connect copy" pbcopy help co
completes "--help" pbcopy --h
touch "$here/some file" "$here/some.yaml"
completes "some file some.yaml" pbcopy backup --config som
bash -u -c 'source "$1"; complete -p pbcopy' _ "$scratch/completion" >"$scratch/out" ||
    fail "completion is not registered"

echo "ok"
