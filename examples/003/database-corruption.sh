#!/usr/bin/env bash
# Plan 003, "Scenario 1: Database Corruption": stop, find the latest good backup, restore beside, verify, switch, start. One
# command with one record; when anything fails nothing was switched, and the application is started again.
#   STOP_APP, START_APP: the plan's feature flag or load balancer.  HEALTH_CHECK: ./scripts/health-check.sh
set -euo pipefail
export POSTGRES_PORT=${POSTGRES_PORT:-5432}
export HOLDFAST_CONFIG=${HOLDFAST_CONFIG:-$(dirname "$(readlink -f "$0")")/holdfast.yaml}

# How much is wrong, before anything is touched.
"${HOLDFAST:-holdfast}" diff good live --source eazepay-postgres || echo "the database cannot be compared any more"

"${HOLDFAST:-holdfast}" restore good --source eazepay-postgres \
    --to "postgres://$POSTGRES_USER@${POSTGRES_HOST//\//%2F}:$POSTGRES_PORT/$POSTGRES_DB" \
    --beside "${POSTGRES_DB}_restored" --existing drop --swap --end-sessions \
    --hook-before "${STOP_APP:-true}" --hook-after "${START_APP:-true}" --hook-after "${HEALTH_CHECK:-true}" \
    --hook-failure "${START_APP:-true}"
# The corrupt one stays as ${POSTGRES_DB}_before_<time>; `holdfast restore --unswap --to …` goes back to it.
