#!/usr/bin/env bash
# Plan 004, "PostgreSQL (Primary Database)": daily at 2:00 UTC, custom format and SQL dump, gzip level 9, kept 30 days.
#   BACKUP_DIR: where the two files go, for whoever uses pg_restore and psql by hand
set -euo pipefail
export POSTGRES_PORT=${POSTGRES_PORT:-5432}
export HOLDFAST_CONFIG=${HOLDFAST_CONFIG:-$(dirname "$(readlink -f "$0")")/holdfast.yaml}
holdfast=${HOLDFAST:-holdfast}
stamp=$(date -u +%Y%m%d_%H%M%S)

"$holdfast" backup postgres
if [ -n "${BACKUP_DIR:-}" ]; then
    "$holdfast" export "latest:$POSTGRES_DB" --source postgres --as custom --to "$BACKUP_DIR/postgres_$stamp.dump"
    "$holdfast" export "latest:$POSTGRES_DB" --source postgres --as sql --gzip=9 --to "$BACKUP_DIR/postgres_$stamp.sql.gz"
fi
"$holdfast" forget --source postgres
