#!/usr/bin/env bash
# Plan 000, "Manual Backup": backup-mongodb.sh. Also what its CronJob runs at 02:00: a backup, 30 days of them kept.
set -euo pipefail
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
export MONGO_URL=${MONGO_URL:-mongodb://admin@localhost:27017/?authSource=admin}
"$holdfast" backup mongodb
"$holdfast" forget --source mongodb --prune
