#!/usr/bin/env bash
# Plan 000, "Manual Backup": backup-mongodb.sh. Also what its CronJob runs at 02:00: a backup, 30 days of them kept.
# MONGODB_PASSWORD is the plan's (server.sh).
set -euo pipefail
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
. ./server.sh
"$holdfast" backup mongodb
"$holdfast" forget --source mongodb --prune
