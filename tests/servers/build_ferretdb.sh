#!/usr/bin/env bash
# Prints the path of the tests' MongoDB wire server (FerretDB on SQLite), which it builds when it is not there yet: once
# for each version, in ${XDG_CACHE_HOME:-~/.cache}/holdfast-test-servers, also when several ask at once.
set -euo pipefail
cd "$(dirname "$0")/ferretdb"
version=$(cat go.mod go.sum main.go | sha256sum | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-test-servers
program=$cache/ferretdb-$version
mkdir -p "$cache"
exec 9> "$cache/ferretdb.lock"
flock 9
if [ ! -x "$program" ]; then
    PATH=$PATH:/usr/local/go/bin
    command -v go > /dev/null || { echo "build_ferretdb.sh: Go is needed to build the test server (package golang)" >&2; exit 1; }
    echo "building FerretDB, once; this takes some minutes" >&2
    CGO_ENABLED=0 nice go build -p 2 -trimpath -ldflags "-s -w" -o "$program.new" . >&2
    mv "$program.new" "$program"
fi
echo "$program"
