#!/usr/bin/env python3
"""The nightly run: what an idle daemon of many sources costs, and how soon a full ledger answers.

Prints a line for each measurement beside its aim, and with --markdown a table for doc/benchmarks.md.

    bench/nightly.py --holdfast build/release/holdfast
"""

import signal
import sqlite3
import statistics
import subprocess
import time

from common import AT_MOST, Bench, arguments, main, peak, processor

SOURCES = 500
RUNS = 100_000
SNAPSHOTS = 100


class Nightly(Bench):
    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.environment["HOLDFAST_CONFIG"] = str(folder / "holdfast.yaml")
        del self.environment["HOLDFAST_REPO"]
        (folder / "tree").mkdir()
        (folder / "tree" / "file").write_text("content")
        self.ledger = folder / "ledger.db"
        (folder / "holdfast.yaml").write_text(
            f"version: 1\nrepositories:\n  main: {{url: {folder}/repo}}\nsources:\n" +
            "".join(f"  tree-{i}: {{kind: files, paths: [{folder}/tree]}}\n" for i in range(SOURCES)) + "jobs:\n" +
            "".join(f'  nightly-{i}: {{sources: [tree-{i}], schedule: "{i % 60} 2 1 1 *"}}\n' for i in range(SOURCES)) +
            f'service: {{ledger: "sqlite:{self.ledger}"}}\n')

    def ask(self, *args):
        return subprocess.run([self.options.holdfast, *args], env=self.environment, check=True, capture_output=True)

    def note(self, what, found, most):
        self.aim(what, found, AT_MOST, most)
        print(f"  {what:52} {found:8.3g} (at most {most:g})", flush=True)

    def run(self):
        self.ask("-r", "main", "init")
        for _ in range(SNAPSHOTS):
            self.ask("run", "nightly-0")
        self.idle()
        self.fill()
        for words in (["runs"], ["runs", "--job", "nightly-7"], ["jobs"], ["report", "inventory"]):
            times = []
            for _ in range(5):
                began = time.monotonic()
                self.ask(*words)
                times.append(time.monotonic() - began)
            self.note(f"`{' '.join(words)}`, {RUNS:,} runs, s", statistics.median(times), 0.3)

    def idle(self):
        daemon = subprocess.Popen([self.options.holdfast, "serve"], env=self.environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        while "serving" not in daemon.stderr.readline():
            pass
        time.sleep(2)
        used = processor(daemon.pid)
        time.sleep(self.options.seconds)
        used = processor(daemon.pid) - used
        memory = peak(daemon.pid)
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        self.note(f"idle daemon, {SOURCES} sources and jobs, MB", memory, 100)
        self.note("idle daemon, share of a core", used / self.options.seconds, 0.01)

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

    def judge(self):
        """Each aim is added as it is measured."""


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="how long the idle daemon is watched")
    main(Nightly, parser)
