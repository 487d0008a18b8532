#!/usr/bin/env bash
# Plan 003, "Verify backup script": weekly, a random backup. In the plan: download, gunzip, createdb test_restore_db, psql,
# SELECT count(*) FROM users, dropdb. Here it is restored into a throwaway server that nobody can reach, every table is compared
# with what was counted when it was backed up, the plan's query is one of the checks, and the result is signed.
set -euo pipefail
export POSTGRES_PORT=${POSTGRES_PORT:-5432}
export HOLDFAST_CONFIG=${HOLDFAST_CONFIG:-$(dirname "$(readlink -f "$0")")/holdfast.yaml}

"${HOLDFAST:-holdfast}" prove --source eazepay-postgres --random --level V4
