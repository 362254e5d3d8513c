#!/usr/bin/env bash
# Checks that the #include lines of a source tree keep the dependency rule of ARCHITECTURE.md: rooms look
# down, never up, and each library has one home. Usage: includes.sh ROOT
# Before ROOT is judged, trees with one wrong line each prove that the check still sees it.
set -euo pipefail

# Longest folder first: a file belongs to the first room that its path begins with.
rooms=(copier/http copier/store copier/transfer copier/shard base manifest cluster snapshot cli
    bench/origin)

# The project's own headers that a room may include, beside its own.
declare -A below=(
    [base]=""
    [manifest]="base"
    [copier/http]="base"
    [copier/store]="base copier/http"
    [copier/transfer]="base copier/http copier/store"
    [copier/shard]="base copier/http copier/store copier/transfer"
    [cluster]="base manifest"
    [snapshot]="base manifest copier/http copier/store copier/transfer copier/shard cluster"
    [cli]="base manifest copier/http copier/store copier/transfer copier/shard cluster snapshot"
    [bench/origin]="base"
)

# Each answers in a variable of its own name: a subshell for each of 3,000 lines would take half a minute.
room_of() {
    for room_of in "${rooms[@]}"; do
        [[ $1 != "$room_of"/* ]] || return 0
    done
    room_of=
}

# forbidden FILE HEADER: why this library's header may not be included there, or nothing.
forbidden() {
    forbidden=
    case $2 in
    curl/*) [[ $1 == copier/http/* ]] || forbidden="libcurl belongs to copier/http" ;;
    libxml/*)
        [[ $1 =~ ^copier/store/((s3|gcs|azure)/|credentials/aws_sts_answer) ]] ||
            forbidden="libxml2 belongs to the drivers' parsers and to what STS answers"
        ;;
    zstd*.h)
        [[ $1 == manifest/* || $1 == cluster/process/sealing* ]] || forbidden="zstd belongs to manifest"
        ;;
    cluster/* | manifest/*)
        [[ $1 != cluster/pachyderm/layout.* || $2 == cluster/kubernetes/object.h ||
            $2 == cluster/pachyderm/layout.h ]] ||
            forbidden="layout is asked by all of cluster, and asks kubernetes/object alone"
        ;;
    uv.h | uv/* | sys/socket.h | netdb.h | netinet/* | arpa/*)
        [[ $1 != base/* && $1 != manifest/* ]] || forbidden="no loop and no network in base and manifest"
        ;;
    esac
}

# check ROOT: prints what breaks the rule; fails where something does.
check() {
    local root=$1 failed=0 file line header room target reason
    while IFS=: read -r file line header; do
        room_of "$file"
        room=$room_of
        [[ -n $room ]] || continue
        forbidden "$file" "$header"
        reason=$forbidden
        room_of "$header"
        target=$room_of
        [[ -z $target || $target == "$room" || " ${below[$room]} " == *" $target "* ]] ||
            reason="$room may not include $target"
        # "../" would go round the rule, which reads paths from the root.
        [[ $header != *..* ]] || reason="headers are named from the root of the tree"
        if [[ -n $reason ]]; then
            echo "$file:$line: $header: $reason"
            failed=1
        fi
    done < <(cd "$root" && find base copier manifest cluster snapshot cli bench -name '*.[ch]' \
        -exec grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]' {} + 2>/dev/null |
        sed -E 's/^([^:]+:[0-9]+):[^<"]*[<"]([^>"]*)[>"].*/\1:\2/')
    return $failed
}

# Judges a tree of one file with one include line. expect RESULT FILE HEADER
expect() {
    local tree="$scratch/tree" result=good
    rm -rf "$tree"
    mkdir -p "$tree/$(dirname "$2")"
    printf '#include <stdio.h>\n#  include "%s"\n' "$3" >"$tree/$2"
    check "$tree" >/dev/null || result=bad
    if [[ $result != "$1" ]]; then
        echo "includes.sh is broken: $2 including $3 is found $result, not $1"
        exit 1
    fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

expect bad base/error.c manifest/record.h
expect bad base/error.c uv.h
expect bad base/error.h sys/socket.h
expect bad manifest/part.c netdb.h
expect bad manifest/part.c copier/http/http.h
expect bad copier/http/http.h copier/store/store.h
expect bad copier/store/file/file.c libxml/parser.h
expect bad copier/store/credentials/aws_sso.c libxml/parser.h
expect bad copier/store/s3/s3.c curl/curl.h
expect bad copier/store/s3/s3.c zstd.h
expect bad copier/store/store.c manifest/part.h
expect bad copier/transfer/transfer.c copier/shard/shard.h
expect bad copier/shard/shard.c snapshot/backup.h
expect bad snapshot/backup.c cli/options.h
expect bad cli/main.c curl/multi.h
expect bad cli/main.c ../base/error.h
expect bad bench/origin/main.c copier/http/http.h
expect bad cluster/pachyderm/layout.c cluster/kubernetes/kubectl.h
expect bad cluster/pachyderm/layout.h manifest/cluster_record.h
expect good base/error.c base/codec.h
expect good copier/http/http.c curl/curl.h
expect good copier/store/s3/xml.c libxml/xmlreader.h
expect good copier/store/credentials/aws_sts_answer.c libxml/parser.h
expect good copier/shard/shard.c copier/store/store.h
expect good manifest/part.c zstd.h
expect good cluster/pachyderm/layout.c cluster/kubernetes/object.h
expect good cluster/kubernetes/capture.c cluster/pachyderm/layout.h
expect good snapshot/backup.c manifest/part.h
expect good bench/origin/main.c uv.h

root=${1:?the root of the tree}
[[ -d $root/base ]] || { echo "includes.sh: $root holds no base/"; exit 1; }
check "$root"
