#!/usr/bin/env bash
# Runs every end-to-end test against the program named by HOLDFAST (default: build/dev/holdfast); prints failures only.
# HOLDFAST_RESULTS: a folder for result files in JUnit form. HOLDFAST_SCALE: loops are so many times longer. With
# arguments, only those files: tests/e2e/run.sh files_test.py
set -uo pipefail
cd "$(dirname "$0")" || exit 1
export HOLDFAST=${HOLDFAST:-$(cd ../.. && pwd)/build/dev/holdfast}
export HOLDFAST_RESULTS=${HOLDFAST_RESULTS:-}
if [ ! -x "$HOLDFAST" ]; then
    echo "ERROR: there is no program $HOLDFAST" >&2
    exit 1
fi
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(*_test.py)
# The longest first, so that the last one running is short.
printf '%s\n' "${tests[@]}" | xargs -P "${JOBS:-$(nproc)}" -I{} python3 {} 2>&1
