#!/usr/bin/env python3
"""The nightly run: what an idle daemon of many sources costs, and how soon a full ledger answers.

Prints a line for each measurement beside its aim, and with --markdown a table for doc/benchmarks.md.

    bench/nightly.py --holdfast build/release/holdfast
"""

import argparse
import os
import pathlib
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time

SOURCES = 500
RUNS = 100_000
SNAPSHOTS = 100


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder, self.found = options, folder, []
        self.environment = {**os.environ, "HOLDFAST_CONFIG": str(folder / "holdfast.yaml"), "HOLDFAST_KEY_FILE": str(folder / "key"),
                            "XDG_STATE_HOME": str(folder / "state")}
        (folder / "key").write_bytes(os.urandom(32))
        (folder / "tree").mkdir()
        (folder / "tree" / "file").write_text("content")
        self.ledger = folder / "ledger.db"
        (folder / "holdfast.yaml").write_text(
            f"version: 1\nrepositories:\n  main: {{url: {folder}/repo}}\nsources:\n" +
            "".join(f"  tree-{i}: {{kind: files, paths: [{folder}/tree]}}\n" for i in range(SOURCES)) + "jobs:\n" +
            "".join(f'  nightly-{i}: {{sources: [tree-{i}], schedule: "{i % 60} 2 1 1 *"}}\n' for i in range(SOURCES)) +
            f'service: {{ledger: "sqlite:{self.ledger}"}}\n')

    def run(self, *args):
        return subprocess.run([self.options.holdfast, *args], env=self.environment, check=True, capture_output=True)

    def note(self, what, found, most):
        self.found.append((what, found, most))
        print(f"  {what:52} {found:8.3g} (at most {most:g})", flush=True)

    def measure(self):
        self.run("-r", "main", "init")
        for _ in range(SNAPSHOTS):
            self.run("run", "nightly-0")
        self.idle()
        self.fill()
        for words in (["runs"], ["runs", "--job", "nightly-7"], ["jobs"], ["report", "inventory"]):
            times = []
            for _ in range(5):
                began = time.monotonic()
                self.run(*words)
                times.append(time.monotonic() - began)
            self.note(f"`{' '.join(words)}`, {RUNS:,} runs, s", statistics.median(times), 0.3)

    def idle(self):
        daemon = subprocess.Popen([self.options.holdfast, "serve"], env=self.environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        while "serving" not in daemon.stderr.readline():
            pass
        time.sleep(2)
        used = self.processor(daemon.pid)
        time.sleep(self.options.seconds)
        used = self.processor(daemon.pid) - used
        status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        self.note(f"idle daemon, {SOURCES} sources and jobs, MB", int(status.split("VmHWM:")[1].split()[0]) / 1024, 100)
        self.note("idle daemon, share of a core", used / self.options.seconds, 0.01)

    @staticmethod
    def processor(pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fill(self):
        """Runs of all jobs, made of those that ran, spread over the past."""
        with sqlite3.connect(self.ledger) as ledger:
            (first, *rest), = ledger.execute("SELECT * FROM runs ORDER BY due LIMIT 1")
            columns = [each[1] for each in ledger.execute("PRAGMA table_info(runs)")]
            row = dict(zip(columns, (first, *rest)))
            outcome = list(ledger.execute("SELECT * FROM outcomes WHERE run = ?", (first,)).fetchone())
            marks = ",".join("?" * len(columns))
            for i in range(RUNS - SNAPSHOTS):
                back = (i + 1) * 60_000_000_000
                run = {**row, "id": f"{i:016x}", "job": f"nightly-{i % SOURCES}", "due": row["due"] - back,
                       "started": row["started"] - back, "ended": row["ended"] - back, "start_at": row["start_at"] - back}
                ledger.execute(f"INSERT INTO runs VALUES ({marks})", [run[each] for each in columns])
                ledger.execute(f"INSERT INTO outcomes VALUES ({','.join('?' * len(outcome))})",
                               [run["id"], *outcome[1:2], f"tree-{i % SOURCES}", *outcome[3:]])

    def report(self):
        lines = ["| the nightly run | found | at most |", "|---|---|---|"]
        lines += [f"| {what} | {found:.3g} | {most:g} |" for what, found, most in self.found]
        print("\n".join(lines))
        if self.options.markdown:
            self.options.markdown.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holdfast", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=30, help="how long the idle daemon is watched")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    options.holdfast = options.holdfast.resolve()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=options.folder) as folder:
        bench = Bench(options, pathlib.Path(folder))
        bench.measure()
        bench.report()


if __name__ == "__main__":
    main()
