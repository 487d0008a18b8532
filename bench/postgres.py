#!/usr/bin/env python3
"""PostgreSQL: capture, second capture, restore and proof against pg_dump and pg_restore, in one run on one server.

The database is pgbench's with a column of text that compresses as prose does. Everything is on the disk of --folder. Prints a
line for each measurement, the ratios that the aims are about, and with --markdown a table for doc/benchmarks.md.

    ninja -C build/release holdfast hf_limit
    bench/postgres.py --holdfast build/release/holdfast --bytes 4G
"""

import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import time
from urllib.parse import quote

from common import AT_MOST, WORDS, Bench, arguments, main, size

BIN = pathlib.Path(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))[-1])
ROWS_PER_SCALE = 100_000
BYTES_PER_SCALE = 32_000_000  # with the text


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.prefix = []
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {**os.environ, "PGHOST": str(folder), "PGPORT": str(self.port), "PGUSER": "postgres"}
        subprocess.run([*self.prefix, BIN / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync"],
                       check=True, capture_output=True, cwd="/")
        # As a server in use is: what is written is on the disk when it says so.
        settings = {"listen_addresses": "", "port": self.port, "unix_socket_directories": folder, "shared_buffers": "256MB",
                    "max_wal_size": "4GB", "wal_level": "minimal", "max_wal_senders": 0, "maintenance_work_mem": "256MB"}
        argv = [*self.prefix, BIN / "postgres", "-D", folder / "data"]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/")
        while subprocess.run([BIN / "pg_isready", "-q"], env=self.environment, check=False).returncode != 0:
            if self.process.poll() is not None:
                sys.exit((folder / "log").read_text())
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def run(self, program, *args):
        subprocess.run([BIN / program, *map(str, args)], env=self.environment, check=True, capture_output=True)

    def sql(self, text, database="postgres"):
        return subprocess.run([BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text], check=True,
                              env=self.environment, capture_output=True, text=True).stdout.strip()

    def url(self, database=""):
        return f"postgres://postgres@{quote(str(self.folder), safe='')}:{self.port}/{database}"


def fill(server, scale):
    server.sql("CREATE DATABASE bank")
    server.run("pgbench", "-i", "-q", "-s", scale, "bank")
    words = ",".join(f"'{word}'" for word in WORDS)
    # Ten to forty words for each account, other ones in each.
    server.sql(f"""CREATE TABLE notes (id bigint PRIMARY KEY, account int, written timestamptz, note text);
        INSERT INTO notes SELECT i, 1 + (i * 7919) % {scale * ROWS_PER_SCALE}, '2026-01-01'::timestamptz + i * interval '1 s',
          (SELECT string_agg((ARRAY[{words}])[1 + (abs(hashint8(i * 41 + n)) % {len(WORDS)})], ' ')
           FROM generate_series(1, 10 + (i % 31)::int) n)
        FROM generate_series(1, {scale * ROWS_PER_SCALE}::bigint) i""", "bank")
    server.sql("VACUUM ANALYZE", "bank")


class Postgres(Bench):
    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.shares, self.facts = {}, []
        self.server = Server(folder / "pg")

    def close(self):
        self.server.stop()

    def postgres(self, name, *argv):
        self.timed(name, argv, self.size, self.server.environment)

    def own(self, name, *args):
        return self.holdfast(name, self.size, *args)

    def run(self):
        fill(self.server, max(1, round(self.options.bytes / BYTES_PER_SCALE)))
        self.size = int(self.server.sql("SELECT pg_database_size('bank')"))
        self.title = f"PostgreSQL {BIN.parent.name}, {self.size / 1e9:.1f} GB"
        print(self.title)
        source = self.server.url("bank")
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds}")
            shutil.rmtree(self.folder / "dump", ignore_errors=True)
            self.postgres("pg_dump -Fd -j2 -Z1", BIN / "pg_dump", "-Fd", "-j2", "-Z1", "-f", self.folder / "dump", "bank")
            self.fresh_repository()
            first = self.own("holdfast backup", "backup", source, "--name", "bank")
            for pair in range(self.options.restores):
                # Neither always has what the other one left of the disk.
                self.restore_by_both(holdfast_first=(number + pair) % 2 == 1)
            # As everybody runs it: it ends with a look at all that was restored. pg_restore has no such end.
            self.own("holdfast restore", "restore", "latest", "--to", self.server.url("by_holdfast"))
            self.server.sql("DROP DATABASE by_holdfast")
            self.own("holdfast prove", "prove", "latest")
            self.facts.append(self.seconds_of_facts())
            for day in ("second", "third") if number == 0 else ():
                self.change_one_percent(day)
                again = self.own(f"holdfast backup, {day}, 1 % changed", "backup", source, "--name", "bank")
                self.shares[day] = again["bytes"]["stored"] / first["bytes"]["stored"]
            if number == 0:
                self.own("holdfast restore of the third", "restore", "latest", "--to", self.server.url("by_holdfast"), "--no-verify")
                self.server.sql("DROP DATABASE by_holdfast")

    def restore_by_both(self, holdfast_first):
        both = [self.restore_by_pg_restore, self.restore_by_holdfast]
        for restore in reversed(both) if holdfast_first else both:
            restore()

    def restore_by_pg_restore(self):
        self.server.sql("CREATE DATABASE by_pg_restore")
        self.postgres("pg_restore -j2", BIN / "pg_restore", "-j2", "-d", "by_pg_restore", self.folder / "dump")
        self.server.sql("DROP DATABASE by_pg_restore")

    def restore_by_holdfast(self):
        self.own("holdfast restore --no-verify", "restore", "latest", "--to", self.server.url("by_holdfast"), "--no-verify")
        self.server.sql("DROP DATABASE by_holdfast")

    def change_one_percent(self, day):
        """Spread over the whole tables."""
        remainder = {"second": 17, "third": 71}[day]
        self.server.sql(f"UPDATE notes SET note = note || ' changed' WHERE id % 100 = {remainder}; "
                        f"UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 100 = {remainder}", "bank")

    def seconds_of_facts(self):
        """CPU seconds of counting and hashing all rows, measured alone."""
        limit = self.options.holdfast.with_name("hf_limit")
        if not limit.exists():
            sys.exit(f"{limit} is missing: build its target, hf_limit")
        seconds = 0.0
        for table in ("notes", "pgbench_accounts"):
            with subprocess.Popen([BIN / "psql", "-Xq", "-d", "bank", "-c", f"COPY {table} TO STDOUT"],
                                  env=self.server.environment, stdout=subprocess.PIPE) as rows:
                found = subprocess.run([limit, "--facts"], stdin=rows.stdout, check=True, capture_output=True, text=True)
            seconds += json.loads(found.stdout)["seconds"]
        return seconds

    def judge(self):
        # Facts are counted by the threads that read, one a core.
        facts = statistics.median(self.facts) / os.cpu_count()
        self.aim("capture / pg_dump -Fd -j2 -Z1", self.ratio("holdfast backup", "pg_dump -Fd -j2 -Z1"), AT_MOST, 1)
        for day, share in self.shares.items():
            self.aim(f"{day} capture, stored / first", share, AT_MOST, 0.05)
        self.aim("restore / pg_restore -j2", self.ratio("holdfast restore --no-verify", "pg_restore -j2"), AT_MOST, 1)
        self.aim("proof / restore", self.ratio("holdfast prove", "holdfast restore"), AT_MOST, 1.3)
        self.aim("facts / capture without them", facts / (self.median("holdfast backup") - facts), AT_MOST, 0.15)
        self.aim("most memory of holdfast, MB", self.memory(), AT_MOST, 200)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--bytes", type=size, default=size("4G"))
    parser.add_argument("--restores", type=int, default=1, help="by each of the two, in a round: a disk that others use needs more")
    main(Postgres, parser)
