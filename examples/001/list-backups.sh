#!/usr/bin/env bash
# Plan 001, scenario 1, "List available backups".
set -euo pipefail
cd "$(dirname "$0")"
"${HOLDFAST:-holdfast}" snapshots --source mongodb
