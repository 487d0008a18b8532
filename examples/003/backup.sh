#!/usr/bin/env bash
# Plan 003, "PostgreSQL Backups": daily at 2:00 UTC, by cron or a timer:  0 2 * * *  backup.sh
# Before a deployment:  backup.sh pre_deployment
set -euo pipefail
export POSTGRES_PORT=${POSTGRES_PORT:-5432}
export HOLDFAST_CONFIG=${HOLDFAST_CONFIG:-$(dirname "$(readlink -f "$0")")/holdfast.yaml}

"${HOLDFAST:-holdfast}" backup eazepay-postgres --tag "why=${1:-daily}"
# By the retention in holdfast.yaml: daily 30 days, weekly 12 weeks, monthly 12 months, yearly 7 years.
"${HOLDFAST:-holdfast}" forget --source eazepay-postgres
