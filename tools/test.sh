#!/usr/bin/env bash
# Every test; the last line is "N passed, N failed". Output of builds and tests goes to build/logs; what failed is
# printed. HOLDFAST_SCALE and HOLDFAST_SIM_SCALE make loops longer.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
jobs=${JOBS:-$(nproc)}
logs=build/logs
rm -rf "$logs" && mkdir -p "$logs"
passed=0
failed=0
began=$SECONDS

say() { printf '%-44s %s\n' "$1" "$2"; }
good() { passed=$((passed + ${2:-1})); say "$1" "ok${3:+ ($3)}"; }
bad() { failed=$((failed + ${2:-1})); say "$1" "FAILED"; }

# run NAME COMMAND…: one check that passes when the command exits 0.
run() {
    local name=$1 from=$SECONDS
    shift
    if "$@" > "$logs/${name// /-}.log" 2>&1; then
        good "$name" 1 "$((SECONDS - from)) s"
    else
        bad "$name"
        tail -60 "$logs/${name// /-}.log"
        return 1
    fi
}

# Counts the cases of GoogleTest and e2e result files (JUnit form) below a folder and shows the failed ones.
count() {
    local name=$1 folder=$2 status=$3 log=$4 from=$5
    local out
    out=$(python3 tools/count_results.py "$folder" 2>> "$log")
    local ok=${out%% *} not=${out##* }
    ok=${ok:-0} not=${not:-0}
    if [ "$status" -ne 0 ] && [ "$not" -eq 0 ]; then not=1; fi
    passed=$((passed + ok)) failed=$((failed + not))
    if [ "$not" -eq 0 ]; then
        say "$name" "ok, $ok cases ($((SECONDS - from)) s)"
    else
        say "$name" "FAILED, $not of $((ok + not)) cases"
        grep -E '^\[  FAILED|Failure|^FAIL|Error|ERROR: |WARNING: ThreadSanitizer|runtime error' -A 12 "$log" | head -150
    fi
}

# suite PRESET NAME [ctest arguments]: builds the preset, then runs its tests.
suite() {
    local preset=$1 name=$2
    shift 2
    run "configure $preset" cmake --preset "$preset" || return
    local targets=(all)
    [ "$preset" = tsan ] && targets=(hf_tsan_tests)
    run "build $preset" cmake --build --preset "$preset" -j "$jobs" --target "${targets[@]}" -- --quiet || return
    if [ "$preset" = dev ]; then  # waits for those that are being made
        for server in "${servers[@]}"; do run "test server $server" tests/servers/build.sh "$server" || return; done
    fi
    rm -rf "build/$preset/results" && mkdir -p "build/$preset/results"
    local from=$SECONDS log=$logs/test-$preset.log
    ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --timeout 900 "$@" > "$log" 2>&1
    count "$name" "build/$preset/results" $? "$log" "$from"
}

# Servers that tests need and Debian does not have: made once, while the rest compiles.
servers=(ferretdb minio kube-apiserver)
for server in "${servers[@]}"; do tests/servers/build.sh "$server" > /dev/null 2>&1 & done

run "format" bash -c "git ls-files '*.cpp' '*.h' | xargs clang-format --dry-run -Werror"
run "scripts" bash -c "git ls-files '*.sh' .ci/run | xargs shellcheck -S warning"
suite dev "tests with ASan and UBSan"
suite tsan "tests with TSan" -L tsan
if [ -x build/dev/holdfast ]; then
    from=$SECONDS
    rm -rf build/e2e-results && mkdir -p build/e2e-results
    # What hangs ends as a failure with a name, before whoever called this loses patience.
    HOLDFAST=$PWD/build/dev/holdfast HOLDFAST_RESULTS=$PWD/build/e2e-results \
        timeout --verbose -k 30 $((3000 * ${HOLDFAST_SCALE:-1})) bash tests/e2e/run.sh > "$logs/e2e.log" 2>&1
    count "end to end" build/e2e-results $? "$logs/e2e.log" "$from"
    grep -h '^MongoDB tests run on ' "$logs/e2e.log" | sort -u
fi

echo "logs: $logs; $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
