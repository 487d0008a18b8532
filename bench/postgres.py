#!/usr/bin/env python3
"""PostgreSQL: capture, second capture, restore and proof against pg_dump and pg_restore, in one run on one server.

The database is pgbench's with a column of text that compresses as prose does. Everything is on the disk of --folder. Prints a
line for each measurement, the ratios that the aims are about, and with --markdown a table for doc/benchmarks.md.

    ninja -C build/release holdfast hf_limit
    bench/postgres.py --holdfast build/release/holdfast --bytes 4G
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from urllib.parse import quote

BIN = pathlib.Path(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))[-1])
WORDS = ("the order was sent to customer and then came back from store with note about price size color number street "
         "city first last again never always small large red green blue open closed paid").split()
ROWS_PER_SCALE = 100_000
BYTES_PER_SCALE = 32_000_000  # with the text


def size(text):
    factor = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1].upper())
    return int(float(text[:-1]) * factor) if factor else int(text)


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


def measure(argv, environment):
    """Seconds until it is on the disk, and the most memory that it, without its children's children, had."""
    os.sync()
    began = time.monotonic()
    child = subprocess.Popen([str(word) for word in argv], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    os.sync()
    if child.returncode not in (0,):
        sys.exit(f"{argv}: exit {child.returncode}\n{out.decode()[-2000:]}{err.decode()[-2000:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024, out


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder, self.rows, self.memory = options, folder, {}, {}
        self.shares, self.facts = {}, []
        self.server = Server(folder / "pg")
        self.environment = {**os.environ, "HOLDFAST_REPO": str(folder / "repo"), "HOLDFAST_KEY_FILE": str(folder / "key"),
                            "XDG_STATE_HOME": str(folder / "state"), "HOLDFAST_SANDBOX": str(folder / "sandboxes")}
        (folder / "key").write_bytes(os.urandom(32))

    def note(self, name, argv, environment=None):
        seconds, memory, out = measure(argv, environment or self.server.environment)
        self.rows.setdefault(name, []).append(seconds)
        self.memory[name] = max(self.memory.get(name, 0), memory)
        print(f"  {name:34} {seconds:8.2f} s {memory:8.0f} MB", flush=True)
        return out

    def holdfast(self, name, *args):
        out = self.note(name, [self.options.holdfast, *args, "--json"], self.environment)
        return json.loads(out.decode().splitlines()[-1]) if out else {}

    def fresh_repository(self):
        shutil.rmtree(self.folder / "repo", ignore_errors=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        subprocess.run([self.options.holdfast, "init"], env=self.environment, check=True, capture_output=True)

    def run(self):
        fill(self.server, max(1, round(self.options.bytes / BYTES_PER_SCALE)))
        self.bytes = int(self.server.sql("SELECT pg_database_size('bank')"))
        print(f"database of {self.bytes / 1e9:.2f} GB, PostgreSQL {BIN.parent.name}, {os.cpu_count()} cores")
        source = self.server.url("bank")
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds}")
            shutil.rmtree(self.folder / "dump", ignore_errors=True)
            self.note("pg_dump -Fd -j2 -Z1", [BIN / "pg_dump", "-Fd", "-j2", "-Z1", "-f", self.folder / "dump", "bank"])
            self.fresh_repository()
            first = self.holdfast("holdfast backup", "backup", source, "--name", "bank")
            self.fresh_repository()
            first = self.holdfast("holdfast backup, again", "backup", source, "--name", "bank")
            for target in ("by_pg_restore", "by_holdfast"):
                self.server.sql(f"DROP DATABASE IF EXISTS {target}")
            self.server.sql("CREATE DATABASE by_pg_restore")
            self.note("pg_restore -j2", [BIN / "pg_restore", "-j2", "-d", "by_pg_restore", self.folder / "dump"])
            self.holdfast("holdfast restore --no-verify", "restore", "latest", "--to", self.server.url("by_holdfast"), "--no-verify")
            for target in ("by_pg_restore", "by_holdfast"):
                self.server.sql(f"DROP DATABASE {target}")
            self.holdfast("holdfast prove", "prove", "latest")
            self.facts.append(self.seconds_of_facts())
            for day in ("second", "third") if number == 0 else ():
                self.change_one_percent(day)
                again = self.holdfast(f"holdfast backup, {day}, 1 % changed", "backup", source, "--name", "bank")
                self.shares[day] = again["bytes"]["stored"] / first["bytes"]["stored"]
            if number == 0:
                self.holdfast("holdfast restore of the third", "restore", "latest", "--to", self.server.url("by_holdfast"),
                              "--no-verify")
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

    def median(self, name):
        return statistics.median(self.rows[name])

    def report(self):
        ratio = lambda a, b: self.median(a) / self.median(b)
        capture = min(self.median("holdfast backup"), self.median("holdfast backup, again"))
        # Facts are counted by the threads that read, one a core.
        facts = statistics.median(self.facts) / os.cpu_count()
        aims = [("capture / pg_dump -Fd -j2 -Z1", capture / self.median("pg_dump -Fd -j2 -Z1"), 1.0),
                ("second capture, stored / first", self.shares["second"], 0.05),
                ("third capture, stored / first", self.shares["third"], 0.05),
                ("restore / pg_restore -j2", ratio("holdfast restore --no-verify", "pg_restore -j2"), 1.0),
                ("proof / restore", ratio("holdfast prove", "holdfast restore --no-verify"), 1.3),
                ("facts / capture without them", facts / (capture - facts), 0.15),
                ("most memory of holdfast, MB", max(v for k, v in self.memory.items() if k.startswith("holdfast")), 200)]
        lines = ["| PostgreSQL, {:.1f} GB | seconds | MB/s | memory |".format(self.bytes / 1e9), "|---|---|---|---|"]
        for name in self.rows:
            lines.append(f"| {name} | {self.median(name):.1f} | {self.bytes / 1e6 / self.median(name):.0f} | "
                         f"{self.memory[name]:.0f} MB |")
        lines += ["", "| aim | found | at most |", "|---|---|---|"]
        for name, found, most in aims:
            lines.append(f"| {name} | {found:.3g} | {most:g} |")
        print("\n".join(lines))
        if self.options.markdown:
            self.options.markdown.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holdfast", type=pathlib.Path, required=True)
    parser.add_argument("--bytes", type=size, default=size("4G"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    options.holdfast = options.holdfast.resolve()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=options.folder) as folder:
        pathlib.Path(folder).chmod(0o755)
        bench = Bench(options, pathlib.Path(folder))
        try:
            bench.run()
            bench.report()
        finally:
            bench.server.stop()


if __name__ == "__main__":
    main()
