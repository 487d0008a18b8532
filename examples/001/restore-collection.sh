#!/usr/bin/env bash
# Plan 001, "Partial Restore (Collection Level)": restore-collection.sh [COLLECTION] [SNAPSHOT]. Documents that are gone come back,
# others stay as they are.
set -euo pipefail
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
export MONGO_URL=${MONGO_URL:-mongodb://localhost:27017} DB_NAME=${DB_NAME:-omnify_cloud}
"$holdfast" restore "${2:-latest}" --source mongodb --include "$DB_NAME/${1:-campaigns}" --to "$MONGO_URL" --existing missing --into-source
