#!/usr/bin/env bash
# Prints the path of a server of the tests that Debian does not have, and builds it when it is not there yet: once for each
# version, in ${XDG_CACHE_HOME:-~/.cache}/holdfast-test-servers, also when several ask at once. NAME is a folder beside this
# file: ferretdb speaks MongoDB's wire protocol, minio S3, kube-apiserver Kubernetes' API (with etcd behind it).
#
#     tests/servers/build.sh NAME
set -euo pipefail
name=$1
cd "$(dirname "$0")/$name"
version=$(cat go.mod go.sum main.go | sha256sum | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-test-servers
program=$cache/$name-$version
mkdir -p "$cache"
exec 9> "$cache/$name.lock"
flock 9
if [ ! -x "$program" ]; then
    PATH=$PATH:/usr/local/go/bin
    command -v go > /dev/null || { echo "build.sh: Go is needed to build the test server $name (package golang)" >&2; exit 1; }
    echo "building $name, once; this takes some minutes" >&2
    CGO_ENABLED=0 nice go build -p 2 -trimpath -ldflags "-s -w" -o "$program.new" . >&2
    mv "$program.new" "$program"
fi
echo "$program"
