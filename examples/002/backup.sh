#!/usr/bin/env bash
# Plan 002, what its CronJob runs daily at 01:00: MONGODB_URI is backed up, what is older than RETENTION_DAYS goes.
set -euo pipefail
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
"$holdfast" backup mongodb
"$holdfast" forget --source mongodb --keep-within "${RETENTION_DAYS:-30}d" --keep-last 1 --prune
