#!/usr/bin/env bash
# The main job in one run on real data: a PostgreSQL database of 1 GB and a real tree of at least 1 GB are backed up
# twice with changes between, destroyed, restored, compared and proved. Everything happens in one folder, removed at the end
# (HOLDFAST_DEMO_KEEP=1 keeps it). HOLDFAST_DEMO_SCALE is pgbench's scale, 70 is about 1 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
holdfast=$PWD/build/release/holdfast
scale=${HOLDFAST_DEMO_SCALE:-70}
tree_bytes=${HOLDFAST_DEMO_TREE_BYTES:-1000000000}

work=$(mktemp -d "${TMPDIR:-/var/tmp}/holdfast-demo.XXXXXX")
chmod 755 "$work"
server=
daemon=
finish() {
    [ -z "$daemon" ] || { kill "$daemon" 2> /dev/null; wait "$daemon"; } || true
    [ -n "$server" ] && stop_server
    [ "${HOLDFAST_DEMO_KEEP:-0}" = 1 ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
run() { printf '$ %s\n' "${*/$holdfast/holdfast}"; "$@"; }
now() { date +%s.%N; }
declare -a rows
# measure NAME BYTES COMMAND…: runs it and keeps a row for the table.
measure() {
    local name=$1 bytes=$2 from to
    shift 2
    from=$(now)
    "$@"
    to=$(now)
    rows+=("$(awk -v n="$name" -v b="$bytes" -v s="$(echo "$to $from" | awk '{print $1 - $2}')" \
        'BEGIN {printf "%-34s %9.2f GB %8.1f s %9.0f MB/s", n, b / 1e9, s, b / 1e6 / s}')")
}

# ---- a throwaway PostgreSQL, as an unprivileged user, on a socket of its own
pg_bin=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -1)
pg_user=postgres
id "$pg_user" > /dev/null 2>&1 || pg_user=nobody
as_pg() {
    if [ "$(id -u)" -eq 0 ]; then setpriv --reuid "$pg_user" --regid "$(id -g "$pg_user")" --clear-groups env HOME="$work" "$@"; else "$@"; fi
}
start_server() {
    mkdir -p "$work/pg" && [ "$(id -u)" -ne 0 ] || chown "$pg_user" "$work/pg"
    as_pg "$pg_bin/initdb" -D "$work/pg/data" -A trust -U demo --no-sync > "$work/initdb.log"
    as_pg "$pg_bin/pg_ctl" -D "$work/pg/data" -w -s -l "$work/pg/log" \
        -o "-c listen_addresses='' -c unix_socket_directories='$work/pg' -c fsync=off -c max_wal_size=4GB -c maintenance_work_mem=256MB" start
    server=$work/pg/data
}
stop_server() {
    as_pg "$pg_bin/pg_ctl" -D "$server" -s -m immediate stop || true
    server=
}
export PGHOST=$work/pg PGUSER=demo
bank="postgres://demo@${work//\//%2F}%2Fpg/bank"
sql() { "$pg_bin/psql" -X -q -t -A -d "${2:-bank}" -c "$1"; }
# Rows of every table and the sum of a 64-bit hash of each row's text, which does not depend on their order.
table_sums() {
    local table
    for table in pgbench_accounts pgbench_branches pgbench_history pgbench_tellers; do
        sql "select '$table: ' || count(*) || ' rows, ' || coalesce(sum(hashtextextended(t::text, 0)), 0) from $table t"
    done
}

step "Real data in $work"
start_server
"$pg_bin/createdb" bank
"$pg_bin/pgbench" -q -i -s "$scale" bank > "$work/pgbench.log" 2>&1
database_bytes=$(sql "select pg_database_size('bank')")
echo "PostgreSQL $("$pg_bin/psql" --version | awk '{print $3}'), database bank: $(numfmt --to=si "$database_bytes")B"

mkdir "$work/tree"
copied=0
# Whole sub-folders until there is enough; those that are far too much only when the others are not enough.
for most in $((tree_bytes / 5)) "$((1 << 60))"; do
    while IFS= read -r folder; do
        [ "$copied" -ge "$tree_bytes" ] && break
        [ -e "$work/tree$folder" ] && continue
        size=$(du -s -B1 --apparent-size "$folder" | cut -f1)
        [ $((copied + size)) -gt $((tree_bytes + most)) ] && continue
        mkdir -p "$work/tree$(dirname "$folder")"
        cp -a "$folder" "$work/tree$(dirname "$folder")/"
        copied=$((copied + size))
    done < <(find /usr/lib /usr/share /usr/local /usr/include /usr/bin /opt -mindepth 1 -maxdepth 1 -type d 2> /dev/null | sort)
done
files=$(find "$work/tree" -type f | wc -l)
tree_size=$(du -s -B1 --apparent-size "$work/tree" | cut -f1)
echo "a copy of system folders: $files files, $(numfmt --to=si "$tree_size")B"

step "A repository"
head -c 32 /dev/urandom > "$work/key"
export HOLDFAST_REPO=$work/repository HOLDFAST_KEY_FILE=$work/key XDG_STATE_HOME=$work/state
run "$holdfast" init

step "First backup"
measure "first backup, files" "$tree_size" run "$holdfast" backup --name uploads "files:$work/tree"
measure "first backup, database" "$database_bytes" run "$holdfast" backup --name bank "$bank"

step "Changes: 20,000 bank transactions; files added, changed, removed"
"$pg_bin/pgbench" -n -c 4 -j 2 -t 5000 bank > "$work/transactions.log" 2>&1
mapfile -d '' -t headers < <(find "$work/tree" -type f -name '*.h' -print0 | sort -z)
for file in "${headers[@]:0:100}"; do echo changed >> "$file"; done
mapfile -d '' -t scripts < <(find "$work/tree" -type f -name '*.py' -print0 | sort -z)
rm -f "${scripts[@]:0:50}"
for i in $(seq 100); do echo "new $i" > "$work/tree/new-$i"; done

step "Second backup"
measure "second backup, files" "$tree_size" run "$holdfast" backup --name uploads "files:$work/tree"
measure "second backup, database" "$database_bytes" run "$holdfast" backup --name bank "$bank"
measure "third backup, nothing changed" "$tree_size" run "$holdfast" backup --name uploads "files:$work/tree"
run "$holdfast" snapshots

step "What is there, to compare with later"
sums_before=$(table_sums)
(cd "$work/tree" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum) > "$work/witness.sha256"
find "$work/tree" -mindepth 1 -printf '%P %y %m %U %G %T@ %l\n' | sort > "$work/witness.meta"

step "Disaster: the tree is deleted, the database dropped"
rm -rf "$work/tree"
"$pg_bin/dropdb" bank
ls "$work/tree" 2>&1 | sed 's/^/  /' || true
sql "select 1" 2>&1 | sed 's/^/  /' || true

step "Restore"
mkdir "$work/tree"
measure "restore, files" "$tree_size" run "$holdfast" restore "latest:$work/tree" --source uploads --to "$work/tree"
measure "restore, database" "$database_bytes" run "$holdfast" restore latest --source bank --to "$bank"

step "Compare file by file, row by row"
verdict=0
if (cd "$work/tree" && sha256sum --quiet -c "$work/witness.sha256") &&
    diff <(find "$work/tree" -mindepth 1 -printf '%P %y %m %U %G %T@ %l\n' | sort) "$work/witness.meta" > "$work/meta.diff"; then
    echo "files: all $(wc -l < "$work/witness.sha256") equal, with owners, modes and times"
else
    echo "files: DIFFERENT"
    head -20 "$work/meta.diff"
    verdict=1
fi
if [ "$(table_sums)" = "$sums_before" ]; then
    echo "database: all rows equal"
    echo "$sums_before" | sed 's/^/  /'
else
    echo "database: DIFFERENT"
    verdict=1
fi
run "$holdfast" check --read-data

# Its output comes when it is done: it works while MongoDB has its turn.
step "A daemon is started: within a minute its nightly job is due, then the proof in a throwaway server"
export BANK_URL=$bank
due=$(date -u -d "+62 seconds" "+%-M %-H * * *")
cat > "$work/holdfast.yaml" << END
version: 1
repositories: {main: {url: $HOLDFAST_REPO}}
sources: {bank: {kind: postgres, url: "env:BANK_URL"}}
jobs:
  nightly: {sources: [bank], schedule: "$due"}
  proof: {prove: {level: V3}, sources: [bank], after: [nightly]}
service: {ledger: "sqlite:$work/ledger.db"}
END
cat "$work/holdfast.yaml"
HOLDFAST_CONFIG=$work/holdfast.yaml "$holdfast" serve > "$work/daemon.log" 2>&1 &
daemon=$!

if command -v mongod > /dev/null || compgen -G "${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-test-servers/ferretdb-*[0-9a-f]" > /dev/null; then
    step "MongoDB: out, one document in a hundred changed, out again, dropped, back, compared"
    tools/demo_mongodb.py "$holdfast" || verdict=1
fi

step "The nightly run: what the daemon did, then the report"
export HOLDFAST_CONFIG=$work/holdfast.yaml
for _ in $(seq 150); do
    "$holdfast" runs --job proof --json 2> /dev/null | grep -q '"ended":"' && break
    sleep 0.5
done
kill "$daemon"
wait "$daemon" || verdict=1
daemon=
cat "$work/daemon.log"
run "$holdfast" runs
if run "$holdfast" report proof; then :; else [ $? -eq 3 ] || verdict=1; fi

step "Summary"
printf '%-34s %12s %10s %14s\n' "" data time rate
printf '%s\n' "${rows[@]}"
stored=$(du -s -B1 --apparent-size "$HOLDFAST_REPO" | cut -f1)
echo "repository with all snapshots: $(numfmt --to=si "$stored")B"
cat << 'END'

What to type next:
  head -c 32 /dev/urandom > ~/holdfast.key        # keep a copy of it elsewhere: without it nothing comes back
  export HOLDFAST_REPO=/backups HOLDFAST_KEY_FILE=~/holdfast.key
  build/release/holdfast init
  build/release/holdfast backup files:/etc
  build/release/holdfast restore latest --to /tmp/restored
  build/release/holdfast --help
END
exit $verdict
