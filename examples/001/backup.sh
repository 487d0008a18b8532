#!/usr/bin/env bash
# Plan 001, "Automated Backups": the daily one, also "Incremental Backup": only what changed is stored.
set -euo pipefail
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
export MONGO_URL=${MONGO_URL:-mongodb://localhost:27017} DB_NAME=${DB_NAME:-omnify_cloud}
"$holdfast" backup mongodb
