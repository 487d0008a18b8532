#!/usr/bin/env bash
# Plan 000, "MongoDB Restore": restore-mongodb.sh [SNAPSHOT] [--target-env=staging] [--at=TIME]. Without SNAPSHOT the newest one.
# What is restored is compared with what was captured. STAGING_MONGO_URL is the server of the staging environment.
set -euo pipefail
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
snapshot=latest
target=${MONGO_URL:-mongodb://admin@localhost:27017/?authSource=admin}
options=(--existing drop --into-source)
at=()
for argument in "$@"; do
    case $argument in
        --target-env=staging) target=${STAGING_MONGO_URL:?names the staging server} options=(--existing drop) ;;
        --target-env=*) echo "there is no environment ${argument#*=}" >&2 && exit 2 ;;
        --at=*) at=(--at "${argument#*=}") snapshot= ;;
        *) snapshot=$argument ;;
    esac
done
# With a time, the snapshot before it is looked for.
"$holdfast" restore ${snapshot:+"$snapshot"} "${at[@]}" --source mongodb --to "$target" "${options[@]}"
