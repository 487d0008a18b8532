#!/usr/bin/env bash
# Plan 004, scripts/backup-validation.sh: weekly; restores every component into a sandbox, checks it, reports. What cannot be
# tested is NOT TESTED and never PASS; the exit status is 0 only when all passed.
set -euo pipefail
export HOLDFAST_CONFIG=${HOLDFAST_CONFIG:-$(dirname "$(readlink -f "$0")")/holdfast.yaml}
holdfast=${HOLDFAST:-holdfast}

"$holdfast" run backup-validation || true # what failed is in the report
"$holdfast" report proof
