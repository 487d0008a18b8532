#!/usr/bin/env bash
# Plan 003 left dumps called postgres_backup_20260301_020000.sql.gz. Each becomes a snapshot of its own time, so that what was
# kept until now keeps its worth:  import-old-dumps.sh FOLDER
set -euo pipefail
export POSTGRES_PORT=${POSTGRES_PORT:-5432}
export HOLDFAST_CONFIG=${HOLDFAST_CONFIG:-$(dirname "$(readlink -f "$0")")/holdfast.yaml}

for dump in "${1:?a folder of dumps}"/postgres_backup_*.sql.gz; do
    [[ $(basename "$dump") =~ ^postgres_backup_(....)(..)(..)_(..)(..)(..)\.sql\.gz$ ]] || continue
    m=("${BASH_REMATCH[@]}")
    "${HOLDFAST:-holdfast}" import "$dump" --source eazepay-postgres \
        --time "${m[1]}-${m[2]}-${m[3]}T${m[4]}:${m[5]}:${m[6]}Z"
done
