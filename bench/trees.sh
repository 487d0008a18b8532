#!/usr/bin/env bash
# Makes the trees that the benchmarks run on, from packages and a throwaway PostgreSQL, in
# ${HOLDFAST_BENCH_DIR:-/var/tmp/holdfast-bench}/trees/$BENCH_SCALE/. Each is made once and reused; a `.tree` line beside it
# says what it was made of. Nothing is installed.
#
#   bench/trees.sh [source] [libs] [pgdata] [million]     default: all of them
#   bench/trees.sh --list                                 what is there
#   BENCH_SCALE=small                                     about a twentieth of the size, for a smoke run
set -euo pipefail
export LC_ALL=C

root="${HOLDFAST_BENCH_DIR:-/var/tmp/holdfast-bench}"
scale="${BENCH_SCALE:-full}"
case "$scale" in full | small) ;; *) echo "trees: BENCH_SCALE is full or small" >&2; exit 2 ;; esac
mkdir -p "$root/trees/$scale"
root="$(cd "$root" && pwd -P)"
trees="$root/trees/$scale"

say() { printf 'trees: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
need() { command -v "$1" >/dev/null || die "'$1' is missing; $2"; }

# --- source: several versions of big Go modules --------------------------------------------------------------------------
# Versions beside each other give the duplication of a real folder of checkouts.
if [ "$scale" = full ]; then
  modules=(
    k8s.io/kubernetes@v1.33.0 k8s.io/kubernetes@v1.34.0 k8s.io/kubernetes@v1.34.4
    github.com/aws/aws-sdk-go@v1.55.7 github.com/aws/aws-sdk-go@v1.55.8
    google.golang.org/api@v0.249.0 google.golang.org/api@v0.250.0
    github.com/Azure/azure-sdk-for-go@v68.0.0+incompatible
  )
else
  modules=(k8s.io/kubernetes@v1.34.0 github.com/hashicorp/terraform@v1.13.0)
fi

make_source() { # DIR
  need go "install Go, or leave the tree out"
  local m dir name
  for m in "${modules[@]}"; do
    say "source: $m"
    dir="$(GOFLAGS="" go mod download -json "$m" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')"
    [ -d "$dir" ] || die "the module proxy does not give $m"
    name="${m##*/}"
    cp -r "$dir" "$1/$name"
  done
  chmod -R u+w "$1"
  printf '%s ' "${modules[@]}" >"$1.what"
}

# --- libs: libraries and programs of the distribution -----------------------------------------------------------------
if [ "$scale" = full ]; then
  debs=(firefox-esr openjdk-17-jre-headless libboost1.74-dev libllvm16 libreoffice-core libllvm15 libwebkit2gtk-4.1-0
    python3-scipy libclang-cpp14 libicu72 python3-numpy)
else
  debs=(libicu72 python3-numpy)
fi

make_libs() { # DIR
  need apt-get "on another system than Debian put about 1.2 GB of libraries and programs into $trees/libs by hand"
  need dpkg-deb "as for apt-get"
  local d="$root/debs" p f
  mkdir -p "$d"
  [ "$(id -u)" != 0 ] || chmod 777 "$d" # apt fetches as its own user
  : >"$1.what"
  for p in "${debs[@]}"; do
    f="$(find "$d" -name "${p}_*.deb" | head -n 1)"
    if [ -z "$f" ]; then
      (cd "$d" && apt-get download -q "$p" >/dev/null) || die "apt-get download $p failed; run apt-get update first"
      f="$(find "$d" -name "${p}_*.deb" | head -n 1)"
    fi
    say "libs: $(basename "$f" .deb)"
    dpkg-deb -x "$f" "$1"
    printf '%s ' "$(basename "$f" .deb)" >>"$1.what"
  done
}

# --- pgdata: a PostgreSQL data folder, before and after 50,000 transactions --------------------------------------------
pg_find() { # the folder with PostgreSQL's own programs: Debian's wrappers on PATH want a configured cluster
  local p
  p="$(readlink -f "$(command -v initdb || true)")"
  [ -n "$p" ] || p="$(find /usr/lib/postgresql/*/bin -name initdb 2>/dev/null | sort -V | tail -n 1)"
  [ -n "$p" ] || die "PostgreSQL is missing; install postgresql-15"
  dirname "$p"
}

# PostgreSQL refuses to run as root: then the server runs as `postgres` or `nobody`.
as_pg() {
  if [ -z "$pg_user" ]; then "$@"; else setpriv --reuid="$pg_user" --regid="$(id -g "$pg_user")" --clear-groups "$@"; fi
}

pg_start() { # DIR
  as_pg "$pg_ctl" -D "$1" -w -s -l "$pg_sock/log" -o "-c listen_addresses='' -c unix_socket_directories='$pg_sock' -c fsync=off" \
    start || { cat "$pg_sock/log" >&2; die "PostgreSQL does not start"; }
  pg_running="$1"
}
pg_stop() { # DIR
  as_pg "$pg_ctl" -D "$1" -w -s -m fast stop
  pg_running=
}

make_pgdata() { # DIR; makes DIR and the one beside it, whose name ends in -after
  local after="${1%.part}-after.part" size=100 transactions=50000
  [ "$scale" = full ] || { size=5; transactions=2500; }
  pg_user=; pg_running=
  if [ "$(id -u)" = 0 ]; then
    pg_user=nobody
    if id postgres >/dev/null 2>&1; then pg_user=postgres; fi
  fi
  local bin initdb pgbench
  bin="$(pg_find)"; initdb="$bin/initdb"; pgbench="$bin/pgbench"; pg_ctl="$bin/pg_ctl"
  pg_sock="$(mktemp -d /tmp/hfbench.XXXXXX)"
  trap '[ -z "$pg_running" ] || pg_stop "$pg_running"; rm -rf "$pg_sock"' EXIT
  [ -z "$pg_user" ] || chown "$pg_user" "$pg_sock" "$1"
  chmod 700 "$1"
  as_pg test -w "$1" || die "user $pg_user cannot reach $1; set HOLDFAST_BENCH_DIR to a place that everyone may enter"

  say "pgdata: $("$bin/postgres" --version), pgbench scale $size"
  (cd / && as_pg "$initdb" -D "$1" -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null)
  # Few WAL segments are kept, so that the folder is mostly tables and indexes, as that of a settled server is.
  printf 'max_wal_size = 128MB\nmin_wal_size = 80MB\n' | as_pg tee -a "$1/postgresql.conf" >/dev/null
  pg_start "$1"
  (cd / && as_pg "$pgbench" -h "$pg_sock" -U postgres -i -q -s "$size" postgres 2>&1 | tail -n 1 >&2)
  pg_stop "$1"

  rm -rf "$after"
  cp -a --reflink=auto "$1" "$after"
  say "pgdata: $transactions transactions"
  pg_start "$after"
  (cd / && as_pg "$pgbench" -h "$pg_sock" -U postgres -n -c 2 -t $((transactions / 2)) --random-seed=7 postgres >"$pg_sock/out" 2>&1) ||
    { cat "$pg_sock/out" >&2; die "pgbench failed"; }
  pg_stop "$after"
  rm -rf "$pg_sock"
  trap - EXIT
  printf '%s, pgbench -i -s %s, then %s transactions ' "$("$bin/postgres" --version)" "$size" "$transactions" >"$1.what"
  rm -rf "$trees/pgdata-after"
  mv "$after" "$trees/pgdata-after"
}

# --- million: files of 1 KB ---------------------------------------------------------------------------------------------
make_million() { # DIR
  need python3 "install Python 3"
  local folders=1000
  [ "$scale" = full ] || folders=50
  say "million: $folders folders of 1,000 files"
  python3 - "$1" "$folders" <<'PY'
import os, random, sys
root, folders = sys.argv[1], int(sys.argv[2])
rng = random.Random(20)
letters = "etaoinshrdlucmfwypvbgk"
words = ["".join(rng.choices(letters, k=rng.randint(2, 11))) for _ in range(20000)]
for d in range(folders):
    folder = f"{root}/{d:04d}"
    os.mkdir(folder)
    dir_fd = os.open(folder, os.O_RDONLY)
    for f in range(1000):
        text = f"{d:04d}/{f:04d} " + " ".join(rng.choices(words, k=150))
        fd = os.open(f"{f:04d}.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=dir_fd)
        os.write(fd, text[:1023].ljust(1023, ".").encode() + b"\n")
        os.close(fd)
    os.close(dir_fd)
PY
  printf '%s folders of 1,000 files of 1,024 bytes of made-up words ' "$folders" >"$1.what"
}

# ------------------------------------------------------------------------------------------------------------------------
show() {
  printf '%-14s %10s %10s  %s\n' tree files MB "made of"
  local t
  for t in source libs pgdata pgdata-after million; do
    if [ -f "$trees/${t%-after}.tree" ] && [ -d "$trees/$t" ]; then
      printf '%-14s %10s %10s  %s\n' "$t" "$(find "$trees/$t" -type f | wc -l)" \
        "$(find "$trees/$t" -type f -printf '%s\n' | awk '{s += $1} END {printf "%.0f", s / 1e6}')" "$(cat "$trees/${t%-after}.tree")"
    fi
  done
  printf 'in %s\n' "$trees"
}

if [ "${1:-}" != --list ]; then
  [ $# -gt 0 ] || set -- source libs pgdata million
  exec 9>"$root/trees.lock"
  flock 9
  for t in "$@"; do
    case "$t" in source | libs | pgdata | million) ;; *) say "no tree '$t'; there are source libs pgdata million"; exit 2 ;; esac
    [ ! -f "$trees/$t.tree" ] || continue
    part="$trees/$t.part"
    rm -rf "$part" "${trees:?}/$t"
    mkdir "$part"
    "make_$t" "$part"
    mv "$part" "$trees/$t"
    mv "$part.what" "$trees/$t.tree"
  done
fi
show
