#!/usr/bin/env bash
# Plan 001, "Partial Restore (Collection Level)": restore-collection.sh [COLLECTION | FOLDER/COLLECTION.bson] [SNAPSHOT]. A file of
# mongodump becomes, with what lies beside it, a snapshot of the source `mongodb-files`, of the day in its folder's name. Documents that
# are gone come back, others stay as they are.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")"
holdfast=${HOLDFAST:-holdfast}
export MONGO_URL=${MONGO_URL:-mongodb://localhost:27017} DB_NAME=${DB_NAME:-omnify_cloud}
collection=${1:-campaigns}
snapshot=${2:-latest}
source=mongodb
case $collection in
    *.bson)
        folder=$(dirname "$collection") source=mongodb-files time=()
        collection=$(basename "$collection" .bson)
        [[ $folder = /* ]] || folder=$here/$folder
        if [[ ${folder##*/} =~ [0-9]{4}-[0-9]{2}-[0-9]{2} ]]; then time=(--time "${BASH_REMATCH[0]}T00:00:00Z"); fi
        snapshot=$("$holdfast" --quiet import "$folder" --source "$source" --database "$DB_NAME" "${time[@]}")
        ;;
esac
"$holdfast" restore "$snapshot" --source "$source" --include "$DB_NAME/$collection" --to "$MONGO_URL" --existing missing --into-source
