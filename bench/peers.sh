#!/usr/bin/env bash
# Installs the tools that `make bench` compares with, at pinned versions, into
# ${XDG_CACHE_HOME:-~/.cache}/holdfast-bench/. Borg comes from the distribution's package (Debian 12: 1.2.4).
# Safe to run again: what is there in the pinned version stays. Prints what it has.
#
#   bench/peers.sh            all of them
#   bench/peers.sh restic     only the named ones
#   bench/peers.sh --list     install nothing, print what is there
set -euo pipefail

RESTIC_VERSION=0.18.1
KOPIA_VERSION=0.21.1
RUSTIC_VERSION=0.11.4
BORG_SERIES=1.2

root="${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-bench"
bin="$root/bin"
log="$root/log"
jobs="${BENCH_BUILD_JOBS:-1}"
mkdir -p "$bin" "$log"

say() { printf '%s\n' "$*" >&2; }
gentle() { nice -n 19 "$@"; }
stamp_is() { [ -x "$bin/$1" ] && [ "$(cat "$root/$1.version" 2>/dev/null)" = "$2" ]; }

# quiet NAME CMD...: run with output in a log, shown only when it fails.
quiet() {
  local name="$1"; shift
  if ! "$@" >"$log/$name.log" 2>&1; then
    say "peers: $name failed; the end of $log/$name.log:"
    tail -n 20 "$log/$name.log" >&2
    return 1
  fi
}

need() {
  command -v "$1" >/dev/null && return 0
  say "peers: '$1' is missing; $2"
  return 1
}

# Built in the module's own source tree, so with the versions and sums of its own go.mod and go.sum, as its authors release
# it. (`go install pkg@version` would also ask for the list of all versions, which not every module proxy gives.)
go_tool() { # NAME MODULE PACKAGE VERSION [LDFLAGS]
  stamp_is "$1" "$4" && return 0
  need go "install Go (1.24 or newer), or leave this tool out with bench.py --tools" || return 1
  say "peers: building $1 $4"
  local dir src="$root/build-$1"
  dir="$(go mod download -json "$2@v$4" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')"
  [ -d "$dir" ] || { say "peers: the module proxy does not give $2@v$4"; return 1; }
  rm -rf "$src"
  cp -r "$dir" "$src"
  chmod -R u+w "$src"
  (cd "$src" && GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 quiet "$1" gentle go build -p "$jobs" -trimpath \
    -ldflags "-s -w ${5:-}" -o "$bin/$1" "$3") || return 1
  rm -rf "$src"
  printf '%s\n' "$4" >"$root/$1.version"
}

get_restic() { go_tool restic github.com/restic/restic ./cmd/restic "$RESTIC_VERSION"; }
get_kopia() {
  go_tool kopia github.com/kopia/kopia . "$KOPIA_VERSION" "-X github.com/kopia/kopia/repo.BuildVersion=$KOPIA_VERSION"
}

get_rustic() {
  stamp_is rustic "$RUSTIC_VERSION" && return 0
  need cargo "install Rust (1.91 or newer), or leave this tool out with bench.py --tools" || return 1
  say "peers: building rustic $RUSTIC_VERSION (about ten minutes on one core)"
  # Without the terminal interface, WebDAV, jq and metrics: they have no part in what is measured.
  quiet rustic gentle cargo install rustic-rs --version "$RUSTIC_VERSION" --locked --no-default-features \
    --root "$root" --target-dir "$root/build-rustic" -j "$jobs" || return 1
  rm -rf "$root/build-rustic"
  printf '%s\n' "$RUSTIC_VERSION" >"$root/rustic.version"
}

get_borg() {
  if ! command -v borg >/dev/null; then
    need apt-get "install Borg $BORG_SERIES by hand" || return 1
    local as=()
    if [ "$(id -u)" != 0 ]; then
      need sudo "run as root once: apt-get install borgbackup" || return 1
      as=(sudo)
    fi
    say "peers: installing borgbackup from the distribution"
    quiet borg "${as[@]}" apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 borgbackup || return 1
  fi
  case "$(borg --version)" in
    "borg $BORG_SERIES."*) ;;
    *) say "peers: warning: $(borg --version), the figures of issue 3 are of $BORG_SERIES" ;;
  esac
  ln -sfn "$(command -v borg)" "$bin/borg"
}

show() {
  printf '%-8s %-12s %s\n' tool version path
  local t v
  for t in restic kopia borg rustic; do
    v=missing
    if [ -x "$bin/$t" ]; then
      case "$t" in
        restic) v="$("$bin/restic" version | awk '{print $2}')" ;;
        kopia) v="$("$bin/kopia" --version 2>/dev/null | awk '{print $1}')" ;;
        borg) v="$("$bin/borg" --version | awk '{print $2}')" ;;
        rustic) v="$("$bin/rustic" --version | awk '{print $2}')" ;;
      esac
    fi
    printf '%-8s %-12s %s\n' "$t" "${v#v}" "$bin/$t"
  done
}

bad=0
if [ "${1:-}" != --list ]; then
  [ $# -gt 0 ] || set -- restic kopia borg rustic
  exec 9>"$root/peers.lock"
  flock 9
  for t in "$@"; do
    case "$t" in
      restic | kopia | borg | rustic) "get_$t" || bad=1 ;;
      *) say "peers: no tool '$t'; there are restic kopia borg rustic"; exit 2 ;;
    esac
  done
fi
show
exit $bad
