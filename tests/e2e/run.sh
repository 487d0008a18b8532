#!/usr/bin/env bash
# Runs every end-to-end test against the program named by HOLDFAST (default: build/dev/holdfast); prints failures only.
# HOLDFAST_RESULTS: a folder for result files in JUnit form. HOLDFAST_SCALE: loops are so many times longer. With
# arguments, only those files: tests/e2e/run.sh files_test.py
set -uo pipefail
shopt -s extglob
cd "$(dirname "$0")" || exit 1
export HOLDFAST=${HOLDFAST:-$(cd ../.. && pwd)/build/dev/holdfast}
export HOLDFAST_RESULTS=${HOLDFAST_RESULTS:-}
if [ ! -x "$HOLDFAST" ]; then
    echo "ERROR: there is no program $HOLDFAST" >&2
    exit 1
fi
tests=("$@")
# The daemon's first, which mostly waits for the minute, and then the largest, so that the last one running is short.
[ ${#tests[@]} -gt 0 ] || mapfile -t tests < <(echo serve_test.py; ls -S -- !(serve)_test.py)
limit=$((1800 * ${HOLDFAST_SCALE:-1}))  # seconds for a file: the harness limits each test, this what is outside of them
printf '%s\n' "${tests[@]}" |
    xargs -P "$((${JOBS:-$(nproc)} + 1))" -I{} timeout --verbose -k 20 "$limit" python3 {} 2>&1
