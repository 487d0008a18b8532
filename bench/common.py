"""What the benchmarks of sources share: a command measured, a repository of its own, aims, the page for doc/benchmarks.md."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

WORDS = ("the order was sent to customer and then came back from store with note about price size color number street "
         "city first last again never always small large red green blue open closed paid").split()
AT_MOST, AT_LEAST = "at most", "at least"
FREE_MEMORY = 768 << 20
INODES_AVOIDED = 300  # seconds


def size(text):
    factor = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1].upper())
    return int(float(text[:-1]) * factor) if factor else int(text)


def processor(pid):
    """Seconds of processor that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(pid):
    """The most memory that a process has had, in MB."""
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


class Measured:
    """A command: seconds until all is on the disk, seconds of processor with its children, the most memory of itself alone."""

    def __init__(self, argv, environment):
        os.sync()
        began = time.monotonic()
        child = subprocess.Popen([str(word) for word in argv], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.memory = 0
        watcher = threading.Thread(target=self.watch, args=(child.pid,))
        watcher.start()
        said = []
        reader = threading.Thread(target=lambda: said.append(child.stderr.read()))
        reader.start()
        self.out = child.stdout.read()
        reader.join()
        watcher.join()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        os.sync()
        self.seconds = time.monotonic() - began
        self.processor = usage.ru_utime + usage.ru_stime
        if child.returncode != 0:
            sys.exit(f"{argv}: exit {child.returncode}\n{self.out.decode()[-2000:]}{said[0].decode()[-2000:]}")

    def watch(self, pid):
        # One that has ended, not yet waited for, has no memory any more.
        while True:
            try:
                self.memory = max(self.memory, peak(pid))
            except (IndexError, OSError):
                return
            time.sleep(0.02)


class Bench:
    """Rows of measurements and aims. A benchmark derives from it, measures in run() and adds its aims in judge()."""

    title = ""

    def __init__(self, options, folder):
        self.options, self.folder, self.rows, self.bytes, self.aims = options, folder, {}, {}, []
        self.environment = {**os.environ, "HOLDFAST_REPO": str(folder / "repo"), "HOLDFAST_KEY_FILE": str(folder / "key"),
                            "XDG_STATE_HOME": str(folder / "state"), "HOLDFAST_SANDBOX": str(folder / "sandboxes"),
                            "TMPDIR": str(folder)}
        (folder / "key").write_bytes(os.urandom(32))

    def close(self):
        """Ends servers."""

    def fresh_repository(self):
        shutil.rmtree(self.folder / "repo", ignore_errors=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        subprocess.run([self.options.holdfast, "init"], env=self.environment, check=True, capture_output=True)

    def timed(self, name, argv, bytes, environment=None):
        measured = Measured(argv, environment or self.environment)
        self.add(name, bytes, measured.seconds, measured.processor, measured.memory)
        return measured.out

    def add(self, name, bytes, seconds, processor, memory=0.0):
        self.rows.setdefault(name, []).append((seconds, processor, memory))
        self.bytes[name] = bytes
        print(f"  {name:38} {seconds:8.2f} s {processor:8.2f} s of processor {bytes / 1e6 / seconds:8.0f} MB/s {memory:6.0f} MB",
              flush=True)

    def holdfast(self, name, bytes, *args):
        out = self.timed(name, [self.options.holdfast, *args, "--json"], bytes).decode()
        return json.loads(out.splitlines()[-1]) if out else {}

    def median(self, name, which=0):
        return statistics.median(each[which] for each in self.rows[name])

    def ratio(self, a, b):
        return self.median(a) / self.median(b)

    def memory(self):
        """The most of any holdfast."""
        return max(each[2] for name, rows in self.rows.items() if name.startswith("holdfast") for each in rows)

    def aim(self, name, found, which, limit):
        self.aims.append((name, found, which, limit))

    def report(self):
        """Whether all aims are met."""
        lines = []
        if self.rows:
            lines += [f"| {self.title} | seconds | of processor | MB/s | memory |", "|---|---|---|---|---|"]
        for name, rows in self.rows.items():
            memory = max(each[2] for each in rows)
            lines.append(f"| {name} | {self.median(name):.2f} | {self.median(name, 1):.2f} | "
                         f"{self.bytes[name] / 1e6 / self.median(name):.0f} | {f'{memory:.0f} MB' if memory else ''} |")
        lines += ["", "| aim | found | due | |", "|---|---|---|---|"]
        missed = 0
        for name, found, which, limit in self.aims:
            is_met = found <= limit if which == AT_MOST else found >= limit
            missed += not is_met
            lines.append(f"| {name} | {found:.3g} | {which} {limit:g} | {'met' if is_met else 'MISSED'} |")
        lines.append(f"\nLoad of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
        text = "\n".join(lines).lstrip("\n") + "\n"
        print(text)
        if self.options.markdown:
            self.options.markdown.write_text(text)
        return missed == 0


def arguments(doc, rounds=3):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holdfast", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--gate", action="store_true", help="exit with 1 when an aim is missed")
    return parser


def use_memory(folder):
    """Fills free memory with the page cache of a hole. A virtual machine gives what is free back to its host and pays when it takes
    it again: whoever writes first would. What is cached of a hole is given up first, without any such price."""
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemFree:")) - FREE_MEMORY
    hole = pathlib.Path(folder) / "hole"
    with open(hole, "ab") as file:
        at = file.tell()
        os.truncate(hole, at + max(0, free))
    # In a process of its own: what this one has had at most its children would be said to have had, too.
    child = os.fork() if free > 0 else None
    if child == 0:
        try:
            with open(hole, "rb", buffering=0) as file:
                file.seek(at)
                while file.read(1 << 22):
                    pass
        finally:
            os._exit(0)
    if child:
        os.waitpid(child, 0)


def await_inodes(mark):
    """ext4 avoids inodes that were freed within minutes, which makes restores after a run's end up to five times as slow."""
    left = INODES_AVOIDED + (mark.stat().st_mtime if mark.exists() else 0) - time.time()
    if left > 0:
        print(f"waiting {left:.0f} s, as an earlier run has just removed its files", flush=True)
        time.sleep(left)


def main(bench_type, parser):
    options = parser.parse_args()
    options.holdfast = options.holdfast.resolve()
    mark = options.folder / "holdfast-bench-removed"
    await_inodes(mark)
    try:
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=options.folder) as name:
            folder = pathlib.Path(name)
            folder.chmod(0o755)
            use_memory(folder)
            bench = bench_type(options, folder)
            try:
                bench.run()
            finally:
                bench.close()
            bench.judge()
            met = bench.report()
    finally:
        mark.touch()
    sys.exit(0 if met or not options.gate else 1)
