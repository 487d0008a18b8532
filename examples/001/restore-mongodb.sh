#!/usr/bin/env bash
# Plan 001, "Full Database Restore": restore-mongodb.sh [SNAPSHOT]. What is there is dropped; afterwards everything is counted and
# compared. STOP and START are commands that stop and start the application.
set -euo pipefail
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
export MONGO_URL=${MONGO_URL:-mongodb://localhost:27017} DB_NAME=${DB_NAME:-omnify_cloud}
${STOP:-docker compose -f ops/docker/docker-compose.prod.yml stop backend}
"$holdfast" restore "${1:-latest}" --source mongodb --to "${MONGO_URL%/}/$DB_NAME" --existing drop --into-source
${START:-docker compose -f ops/docker/docker-compose.prod.yml start backend}
