#!/usr/bin/env bash
# Plan 004, scripts/backup-validation.sh, its PostgreSQL part: weekly; restores, checks, reports.
set -euo pipefail
export POSTGRES_PORT=${POSTGRES_PORT:-5432}
export HOLDFAST_CONFIG=${HOLDFAST_CONFIG:-$(dirname "$(readlink -f "$0")")/holdfast.yaml}
holdfast=${HOLDFAST:-holdfast}

status=0
"$holdfast" check --read-data > /dev/null && "$holdfast" prove --source postgres > /dev/null || status=$?
result=PASS
[ "$status" -eq 3 ] && result="NOT TESTED"
[ "$status" -ne 0 ] && [ "$status" -ne 3 ] && result=FAIL
cat << END
Backup Validation Report
========================
Date: $(date -u '+%Y-%m-%d %H:%M:%S')
Validation Namespace: sandbox

Summary:
- PostgreSQL Backup: $result
END
exit "$status"
