#!/usr/bin/env bash
# Plan 000, "MongoDB Restore": restore-mongodb.sh [FILE.tar.gz | SNAPSHOT] [--target-env=staging] [--at=TIME]. Without either the
# newest snapshot. A file of mongodump becomes a snapshot of the source `mongodb-files`, of the time in its name. What is restored
# is compared with what was captured. STAGING_MONGO_URL is the server of the staging environment.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
snapshot=latest
source=mongodb
. ./server.sh
target=$MONGO_URL
options=(--existing drop --into-source)
at=()
file=
for argument in "$@"; do
    case $argument in
        --target-env=staging) target=${STAGING_MONGO_URL:?names the staging server} options=(--existing drop) ;;
        --target-env=*) echo "there is no environment ${argument#*=}" >&2 && exit 2 ;;
        --at=*) at=(--at "${argument#*=}") snapshot= ;;
        /*.tar.gz) file=$argument ;;
        *.tar.gz) file=$here/$argument ;;
        *) snapshot=$argument ;;
    esac
done
if [ -n "$file" ]; then
    source=mongodb-files time=()
    if [[ ${file##*/} =~ ([0-9]{4})([0-9]{2})([0-9]{2})-([0-9]{2})([0-9]{2})([0-9]{2}) ]]; then
        part=("${BASH_REMATCH[@]}")
        time=(--time "${part[1]}-${part[2]}-${part[3]}T${part[4]}:${part[5]}:${part[6]}Z")
    fi
    snapshot=$("$holdfast" --quiet import "$file" --source "$source" "${time[@]}")
fi
# With a time, the snapshot before it is looked for.
"$holdfast" restore ${snapshot:+"$snapshot"} "${at[@]}" --source "$source" --to "$target" "${options[@]}"
