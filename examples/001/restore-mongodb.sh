#!/usr/bin/env bash
# Plan 001, "Full Database Restore": restore-mongodb.sh [FILE.tar.gz | SNAPSHOT]. A file of mongodump becomes a snapshot of the
# source `mongodb-files`, of the day in its name. What is there is dropped; afterwards everything is counted and compared. STOP and
# START are commands that stop and start the application.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
export MONGO_URL=${MONGO_URL:-mongodb://localhost:27017} DB_NAME=${DB_NAME:-omnify_cloud}
snapshot=${1:-latest}
source=mongodb
case $snapshot in
    *.tar.gz)
        file=$snapshot source=mongodb-files time=()
        [[ $file = /* ]] || file=$here/$file
        if [[ ${file##*/} =~ [0-9]{4}-[0-9]{2}-[0-9]{2} ]]; then time=(--time "${BASH_REMATCH[0]}T00:00:00Z"); fi
        snapshot=$("$holdfast" --quiet import "$file" --source "$source" "${time[@]}")
        ;;
esac
${STOP:-docker compose -f ops/docker/docker-compose.prod.yml stop backend}
"$holdfast" restore "$snapshot" --source "$source" --to "${MONGO_URL%/}/$DB_NAME" --existing drop --into-source
${START:-docker compose -f ops/docker/docker-compose.prod.yml start backend}
