#!/usr/bin/env python3
"""Compares holdfast with restic, kopia, Borg and rustic on the trees of trees.sh. See README.md.

A round takes one tree through all operations with all tools: every operation is run by one tool after the other, in an
order that rotates from round to round, so that the runs that are compared lie beside each other in time. What is reported
are medians over the rounds, and as ratio the median of the ratios within the rounds.
"""

import argparse
import fcntl
import json
import os
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

from common import use_memory

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

TREES = ["source", "pgdata", "libs", "million"]
PEERS = ["restic", "kopia", "borg", "rustic"]
OPS = ["first", "nothing", "changed", "restore", "check", "prune"]
# As a tree is taken through them: unchanged is what comes after the change, so that of the three snapshots the first holds
# what no other does, and forgetting it gives the collection something to free.
SEQUENCE = ["first", "changed", "nothing", "restore", "check", "prune"]
TITLES = {
    "first": "first backup",
    "nothing": "nothing changed",
    "changed": "changed",
    "restore": "restore",
    "check": "full check",
    "prune": "forget + prune",
}
NEEDS = {"nothing": [], "changed": [], "restore": [], "check": [], "prune": ["nothing", "changed"]}

# The gate of issue 3: how many times as fast as the fastest peer.
GATE = {"first": 1.3, "nothing": 1.5, "changed": 1.5, "restore": 1.5, "check": 1.0, "prune": 1.0}
GATE_PEAK_MB = 200.0
GATE_SIZE = 1.05
# Where the fastest peer takes under 0.3 s, under 0.15 s is enough.
SHORT_PEER, SHORT_SELF = 0.3, 0.15

PASSWORD = "benchmark"


class BenchError(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- running ------------------------------------------------------------------------------------------------------------
class Run:
    """What commands took, one after the other: seconds, CPU seconds, highest peak of memory."""

    def __init__(self):
        self.wall = 0.0
        self.cpu = 0.0
        self.peak = 0.0

    def record(self):
        return {"wall": round(self.wall, 4), "cpu": round(self.cpu, 4), "peak_mb": round(self.peak, 2)}


def execute(argv, env, cwd, log, timeout, run=None, ok=(0,)):
    """Runs argv to its end; rusage of wait4 holds the process and everything that it waited for.

    Linux counts into ru_maxrss what the process had before its exec, so a peak under what Python takes (14 MB) reads as that.
    """
    with open(log, "ab") as out:
        out.write(("\n$ " + " ".join(argv) + "\n").encode())
        out.flush()
        start = time.monotonic()
        child = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGKILL))
        signal.alarm(timeout)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            raise
        finally:
            signal.alarm(0)
        wall = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in ok:
        with open(log, "rb") as f:
            tail = f.read()[-1500:].decode(errors="replace").strip().splitlines()[-6:]
        raise BenchError(f"{' '.join(argv[:4])} … ended with {child.returncode}:\n    " + "\n    ".join(tail))
    if run is not None:
        run.wall += wall
        run.cpu += usage.ru_utime + usage.ru_stime
        run.peak = max(run.peak, usage.ru_maxrss * 1024 / 1e6)


def ids_by_time(document):
    """The snapshots in any of the tools' JSON lists, oldest first."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            at = node.get("startTime") or node.get("time") or node.get("start")
            if isinstance(node.get("id"), str) and isinstance(at, str):
                found.append((at, node["id"]))
            else:
                for value in node.values():
                    walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    return [i for _, i in sorted(found)]


# --- tools --------------------------------------------------------------------------------------------------------------
class Tool:
    """One tool with one repository and a home of its own, so that no cache or configuration of the user takes part."""

    name = ""
    notes = ""

    def __init__(self, binary, base, timeout):
        self.binary = binary
        self.base = base
        self.repo = f"{base}/repo"
        self.home = f"{base}/home"
        self.log = f"{base}/log"
        self.timeout = timeout

    def environment(self):
        env = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR") if k in os.environ}
        env["HOME"] = self.home
        for what in ("CACHE", "CONFIG", "STATE", "DATA"):
            env[f"XDG_{what}_HOME"] = f"{self.home}/{what.lower()}"
        return env

    def prepare(self):
        shutil.rmtree(self.base, ignore_errors=True)
        os.makedirs(self.home)
        open(self.log, "w").close()
        self.init()

    def call(self, *argv, run=None, cwd=None):
        execute([self.binary, *argv], self.environment(), cwd or self.base, self.log, self.timeout, run)

    def output(self, *argv):
        return subprocess.run(
            [self.binary, *argv], env=self.environment(), cwd=self.base, stdin=subprocess.DEVNULL, check=True, capture_output=True
        ).stdout

    def oldest(self):
        ids = ids_by_time(json.loads(self.output(*self.list_argv)))
        if len(ids) < 2:
            raise BenchError(f"{self.name} lists {len(ids)} snapshots")
        return ids[0]

    def version(self):
        out = subprocess.run([self.binary, *self.version_argv], capture_output=True, text=True, env={**os.environ}).stdout
        found = re.search(r"\d+\.\d+(\.\d+)?[\w.+-]*", out)
        return found.group(0) if found else "?"

    version_argv = ["--version"]
    list_argv = ["snapshots", "--json"]


class Holdfast(Tool):
    name = "holdfast"
    notes = "key file; restore with --no-sync and --no-verify, as no peer syncs or reads back what it restores"
    version_argv = ["version"]
    list_argv = []

    def environment(self):
        return {**super().environment(), "HOLDFAST_KEY_FILE": f"{self.base}/key"}

    def init(self):
        with open(f"{self.base}/key", "wb") as f:
            f.write(os.urandom(32))
        os.chmod(f"{self.base}/key", 0o600)
        self.list_argv = ["-r", self.repo, "snapshots", "--json"]
        self.call("-r", self.repo, "init")

    def backup(self, tree, run, label):
        self.call("-r", self.repo, "backup", f"files:{tree}", run=run)

    def restore(self, target, run):
        self.call("-r", self.repo, "restore", "latest", "--to", target, "--no-sync", "--no-verify", run=run)

    def check(self, run):
        self.call("-r", self.repo, "check", "--read-data", run=run)

    def prune(self, oldest, run):
        self.call("-r", self.repo, "forget", oldest, "--prune", run=run)


class Restic(Tool):
    name = "restic"
    notes = "defaults (zstd, scrypt); password from the environment"
    version_argv = ["version"]

    def environment(self):
        return {
            **super().environment(),
            "RESTIC_REPOSITORY": self.repo,
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": f"{self.home}/cache",
        }

    def init(self):
        self.call("init", "-q")

    def backup(self, tree, run, label):
        self.call("backup", "-q", tree, run=run)

    def restore(self, target, run):
        self.call("restore", "-q", "latest", "--target", target, run=run)

    def check(self, run):
        self.call("check", "-q", "--read-data", run=run)

    def prune(self, oldest, run):
        self.call("forget", "-q", oldest, "--prune", run=run)


class Kopia(Tool):
    name = "kopia"
    notes = (
        "defaults (no compression); connected beforehand, password from the environment; --no-auto-maintenance; "
        "check is `content verify` of all data; maintenance with --safety=none, as else nothing is freed for a day"
    )
    list_argv = ["snapshot", "list", "--json", "--all"]

    def environment(self):
        return {
            **super().environment(),
            "KOPIA_CONFIG_PATH": f"{self.base}/kopia.config",
            "KOPIA_CACHE_DIRECTORY": f"{self.home}/cache",
            "KOPIA_LOG_DIR": f"{self.home}/log",
            "KOPIA_PASSWORD": PASSWORD,
            "KOPIA_CHECK_FOR_UPDATES": "false",
            "KOPIA_BYTES_STRING_BASE_2": "false",
        }

    def init(self):
        os.mkdir(self.repo)
        self.call("repository", "create", "filesystem", "--path", self.repo, "--no-persist-credentials")

    def backup(self, tree, run, label):
        self.call("snapshot", "create", "--no-progress", "--no-auto-maintenance", tree, run=run)

    def restore(self, target, run):
        ids = ids_by_time(json.loads(self.output(*self.list_argv)))
        self.call("restore", "--no-progress", ids[-1], target, run=run)

    def check(self, run):
        self.call("content", "verify", "--no-progress", "--download-percent=100", run=run)

    def prune(self, oldest, run):
        self.call("snapshot", "delete", "--no-auto-maintenance", oldest, "--delete", run=run)
        self.call("maintenance", "run", "--full", "--safety=none", run=run)


class Borg(Tool):
    name = "borg"
    notes = "defaults (lz4), encryption repokey-blake2; passphrase from the environment; prune is delete and compact"

    def environment(self):
        return {
            **super().environment(),
            "BORG_REPO": self.repo,
            "BORG_BASE_DIR": self.home,
            "BORG_PASSPHRASE": PASSWORD,
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def init(self):
        self.call("init", "--encryption", "repokey-blake2")

    def backup(self, tree, run, label):
        self.last = label
        self.call("create", f"::{label}", tree, run=run)

    def restore(self, target, run):
        os.mkdir(target)
        self.call("extract", f"::{self.last}", run=run, cwd=target)

    def oldest(self):
        return "first"

    def check(self, run):
        self.call("check", "--verify-data", run=run)

    def prune(self, oldest, run):
        self.call("delete", f"::{oldest}", run=run)
        self.call("compact", run=run)


class Rustic(Tool):
    name = "rustic"
    notes = "defaults (zstd); master key from a file; prune with --instant-delete, as else it only marks"

    def environment(self):
        return {
            **super().environment(),
            "RUSTIC_REPOSITORY": self.repo,
            "RUSTIC_KEY_FILE": f"{self.base}/key",
            "RUSTIC_CACHE_DIR": f"{self.home}/cache",
            "RUSTIC_NO_PROGRESS": "true",
            "RUSTIC_LOG_LEVEL": "warn",
        }

    def init(self):
        self.call("key", "create", f"{self.base}/key")
        self.call("init")

    def backup(self, tree, run, label):
        self.call("backup", tree, run=run)

    def restore(self, target, run):
        self.call("restore", "latest", target, run=run)

    def check(self, run):
        self.call("check", "--read-data", run=run)

    def prune(self, oldest, run):
        self.call("forget", oldest, "--prune", "--instant-delete", run=run)


TOOLS = {t.name: t for t in (Holdfast, Restic, Kopia, Borg, Rustic)}


# --- trees --------------------------------------------------------------------------------------------------------------
def measure_tree(path):
    """Files and bytes of a tree."""
    files = size = 0
    stack = [path]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for e in entries:
                if e.is_dir(follow_symlinks=False):
                    stack.append(e.path)
                elif e.is_file(follow_symlinks=False):
                    files += 1
                    size += e.stat(follow_symlinks=False).st_size
    return files, size


def warm(path):
    """Reads everything once, so that no tool meets a colder page cache than another."""
    buffer = bytearray(1 << 20)
    for folder, _, names in os.walk(path):
        for n in names:
            p = os.path.join(folder, n)
            if os.path.isfile(p) and not os.path.islink(p):
                with open(p, "rb", buffering=0) as f:
                    while f.readinto(buffer):
                        pass


def mirror(source, target):
    """Makes target equal to source, writing into the files that are there: paths and inodes of the unchanged stay."""
    os.makedirs(target, exist_ok=True)
    subprocess.run(["rsync", "-aH", "--inplace", "--delete", f"{source}/", f"{target}/"], check=True)


def alter(path, seed=3):
    """Changes about 1 % of the files: half get new contents, half only a new mtime; adds and removes one in a thousand."""
    rng = random.Random(seed)
    files = sorted(
        os.path.join(folder, n)
        for folder, _, names in os.walk(path)
        for n in names
        if not os.path.islink(os.path.join(folder, n))
    )
    few = max(3, len(files) // 1000)
    picked = rng.sample(files, max(10, len(files) // 100) + 2 * few)
    for i, p in enumerate(picked[: -2 * few]):
        if i % 2:
            os.utime(p)
            continue
        size = os.path.getsize(p)
        with open(p, "r+b") as f:
            # A line in the middle of text moves what follows; a program of some size is patched in place.
            at = rng.randrange(size + 1)
            f.seek(at)
            if size < 1_000_000:
                rest = f.read()
                f.seek(at)
                f.write(b"\n// changed by the benchmark: %d\n" % rng.getrandbits(64) + rest)
            else:
                f.write(rng.randbytes(min(65536, size - at)))
    for p in picked[-2 * few : -few]:
        os.unlink(p)
    for p in picked[-few:]:
        with open(p, "rb") as f:
            head = f.read(1 << 20)
        with open(p + ".new", "wb") as f:
            f.write(b"// added by the benchmark: %d\n" % rng.getrandbits(64) + head)


class Tree:
    def __init__(self, name, folder, work):
        self.name = name
        self.base = f"{folder}/{name}"
        self.mutable = name != "million"
        self.path = f"{work}/data" if self.mutable else self.base
        self.after = f"{folder}/pgdata-after" if name == "pgdata" else None
        for p in filter(None, (self.base, self.after)):
            if not os.path.isdir(p):
                raise BenchError(f"no tree '{name}'; bench/trees.sh {name} makes it")
        made = f"{folder}/{name}.tree"
        self.what = open(made).read().strip() if os.path.exists(made) else "made by hand"
        self.files, self.size = measure_tree(self.base)

    def reset(self):
        if self.mutable:
            mirror(self.base, self.path)
        warm(self.path)

    def change(self):
        if self.after:
            mirror(self.after, self.path)
        else:
            alter(self.path)


# --- a round ------------------------------------------------------------------------------------------------------------
def make_writable(path):
    subprocess.run(["chmod", "-R", "u+rwX", path], check=False, stderr=subprocess.DEVNULL)


def empty(folder):
    """Gives back the space of a restored tree, but not its inodes: for minutes ext4 searches around those that were just freed,
    and a restore meanwhile takes several times as long, whoever makes it. They go with the bench's folder."""
    make_writable(folder)
    for path, _, names in os.walk(folder):
        for name in names:
            each = os.path.join(path, name)
            if not os.path.islink(each) and os.path.getsize(each) > 0:
                os.truncate(each, 0)


def remove(path):
    """Removes a restored tree, also one with folders that may not be written."""
    if os.path.lexists(path):
        make_writable(path)
        subprocess.run(["rm", "-rf", path], check=True)


def compare(tree, target):
    """Whether the tree was restored with the contents that it has; its folder lies somewhere below target."""
    found = target
    for candidate in (target + tree, target):
        if os.path.isdir(candidate):
            found = candidate
            break
    out = subprocess.run(
        ["rsync", "-rlptn", "--checksum", "--delete", "--itemize-changes", f"{tree}/", f"{found}/"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    differs = [line for line in out.splitlines() if not line.startswith(".d")]
    if differs:
        raise BenchError(f"the restored tree differs in {len(differs)} entries, as {differs[0]}")


def one_round(tree, tools, ops, number, options, work):
    """Returns {tool: {op: record}}, with "failed" for what did not work."""
    results = {t.name: {} for t in tools}
    alive = list(tools)
    order = [tools[(i + number) % len(tools)] for i in range(len(tools))]
    tree.reset()
    for t in order:
        t.prepare()
    for op in [o for o in SEQUENCE if o in ops]:
        if op == "changed":
            tree.change()
            # A file changed in the very moment of a backup is rightly read again by the next; that is not what is measured.
            time.sleep(2)
        for t in order:
            if t not in alive:
                continue
            run = Run()
            target = f"{work}/restored-{tree.name}-{number}-{t.name}"
            try:
                oldest = t.oldest() if op == "prune" else None
                use_memory(work)
                if op in ("first", "nothing", "changed"):
                    warm(tree.path)
                os.sync()
                time.sleep(0.05)
                if op in ("first", "nothing", "changed"):
                    t.backup(tree.path, run, op)
                elif op == "restore":
                    t.restore(target, run)
                elif op == "check":
                    t.check(run)
                else:
                    t.prune(oldest, run)
                record = run.record()
                if op in ("first", "prune"):
                    record["repository_mb"] = round(measure_tree(t.repo)[1] / 1e6, 2)
                if op == "restore":
                    want, got = measure_tree(tree.path), measure_tree(target)
                    if want != got:
                        raise BenchError(f"restored {got[0]} files, {got[1]} bytes instead of {want[0]}, {want[1]}")
                    if options.verify:
                        compare(tree.path, target)
            except (BenchError, OSError, ValueError, subprocess.SubprocessError) as e:
                say(f"  {t.name} failed at {op}: {e}")
                record = {"failed": str(e).splitlines()[0]}
                # What is left of this round needs the snapshots.
                if op in ("first", "nothing", "changed"):
                    alive.remove(t)
            results[t.name][op] = record
            if "failed" not in record:
                size = f"  repository {record['repository_mb']:.0f} MB" if "repository_mb" in record else ""
                say(f"  {op:<8} {t.name:<9} {record['wall']:8.2f} s  cpu {record['cpu']:8.2f} s  {record['peak_mb']:6.0f} MB{size}")
            if op == "restore":
                empty(target)
    if not options.keep:
        for t in tools:
            remove(t.base)
    return results


# --- figures ------------------------------------------------------------------------------------------------------------
def series(rounds, tool, op, key):
    return [r[tool][op][key] for r in rounds if key in r.get(tool, {}).get(op, {})]


def median(values):
    return statistics.median(values) if values else None


def paired(rounds, peer, op):
    """How many times as long as holdfast the peer takes: the median of the ratios within the rounds."""
    ratios = []
    for r in rounds:
        a, b = r.get(peer, {}).get(op, {}).get("wall"), r.get("holdfast", {}).get(op, {}).get("wall")
        if a and b:
            ratios.append(a / b)
    return median(ratios)


def gate(rounds, tools, ops):
    """The verdicts of issue 3 for one tree: [(what, pass, why)]."""
    peers = [t for t in tools if t != "holdfast"]
    due = [p for p in PEERS if p != "borg" or ops != ["first", "nothing"]]
    verdicts = []
    for op in ops:
        own = median(series(rounds, "holdfast", op, "wall"))
        title = TITLES[op]
        if own is None or len(series(rounds, "holdfast", op, "wall")) < len(rounds):
            verdicts.append((title, False, "holdfast failed"))
            continue
        times = {p: median(series(rounds, p, op, "wall")) for p in peers}
        times = {p: s for p, s in times.items() if s is not None}
        if times:
            ratios = {p: paired(rounds, p, op) for p in times}
            fastest = min(times, key=times.get)
            worst = min(ratios, key=ratios.get)
            if times[fastest] < SHORT_PEER:
                ok = own < SHORT_SELF or ratios[worst] >= GATE[op]
                why = f"{own:.2f} s, under {SHORT_SELF} s is enough where {fastest} takes {times[fastest]:.2f} s"
            else:
                ok = ratios[worst] >= GATE[op]
                why = f"{ratios[worst]:.2f} times as fast as {worst}, at least {GATE[op]} is due"
            lacking = [p for p in due if p not in times]
            verdicts.append((title, ok, why + (f" (no figures of {', '.join(lacking)})" if lacking else "")))
        else:
            verdicts.append((title, False, "no peer's figures"))
        peak = max(series(rounds, "holdfast", op, "peak_mb"))
        verdicts.append((f"{title}: memory", peak <= GATE_PEAK_MB, f"{peak:.0f} MB at most in any round, {GATE_PEAK_MB:.0f} MB are allowed"))
    own = median(series(rounds, "holdfast", "first", "repository_mb"))
    sizes = {p: median(series(rounds, p, "first", "repository_mb")) for p in peers}
    sizes = {p: s for p, s in sizes.items() if s is not None}
    if own is not None and sizes:
        smallest = min(sizes, key=sizes.get)
        verdicts.append(
            (
                "repository size",
                own <= sizes[smallest] * GATE_SIZE,
                f"{own:.0f} MB, {own / sizes[smallest]:.3f} of {smallest}, at most {GATE_SIZE} is allowed",
            )
        )
    return verdicts


def read_limit(binary, tree):
    """What the stages that cannot be left out take alone, when the program that measures it is there."""
    if not os.access(binary, os.X_OK):
        return {}
    try:
        out = subprocess.run([binary, tree.path], capture_output=True, text=True, check=True, timeout=1800).stdout
        limit = json.loads(out)
    except (OSError, ValueError, subprocess.SubprocessError) as e:
        say(f"  no limit: {e}")
        return {}
    return {op: float(s) for op, s in limit.items() if op in OPS and isinstance(s, (int, float))}


def table(rows):
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = []
    for n, r in enumerate(rows):
        lines.append("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths)) + " |")
        if n == 0:
            lines.append("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def seconds(value):
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def report_tree(data):
    rounds, tools, ops, limit = data["rounds"], data["tools"], data["ops"], data["limit"]
    head = ["seconds (CPU seconds, peak MB)"] + tools
    if limit:
        head.insert(1, "limit")
    rows = [head]
    for op in ops:
        row = [TITLES[op]]
        if limit:
            row.append(seconds(limit[op]) if op in limit else "")
        for t in tools:
            wall = median(series(rounds, t, op, "wall"))
            if wall is None:
                row.append("failed" if any(op in r.get(t, {}) for r in rounds) else "")
                continue
            cpu, peak = median(series(rounds, t, op, "cpu")), median(series(rounds, t, op, "peak_mb"))
            cell = f"{seconds(wall)} ({seconds(cpu)}, {peak:.0f})"
            ratio = paired(rounds, t, op) if t != "holdfast" else None
            if ratio is not None:
                cell += f" ×{ratio:.2f}"
            elif t == "holdfast" and op in limit and limit[op] > 0:
                cell += f" {wall / limit[op]:.2f} of limit"
            row.append(cell)
        rows.append(row)
    for op, title in (("first", "repository MB"), ("prune", "repository MB after prune")):
        if op not in ops:
            continue
        row = [title] + ([""] if limit else [])
        own = median(series(rounds, "holdfast", op, "repository_mb"))
        for t in tools:
            size = median(series(rounds, t, op, "repository_mb"))
            cell = "" if size is None else f"{size:.0f}"
            if size is not None and own and t != "holdfast":
                cell += f" ×{size / own:.2f}"
            row.append(cell)
        rows.append(row)
    text = f"### {data['tree']}: {data['size'] / 1e6:,.0f} MB, {data['files']:,} files\n\nMade of {data['what']}.\n\n{table(rows)}\n"
    if "holdfast" in tools:
        verdicts = data["gate"]
        rows = [["gate", "", ""]] + [[w, "PASS" if ok else "FAIL", why] for w, ok, why in verdicts]
        text += f"\n{table(rows)}\n"
    return text


def machine():
    model = ""
    try:
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def report(result):
    m = result["machine"]
    text = (
        f"Medians of {result['rounds']} paired rounds on {m['cores']} cores ({m['cpu']}), {m['memory_gb']:.0f} GB of memory, "
        f"{m['system']}; page cache warm, `sync` before each run. `×` is how many times as long (or large) as holdfast, "
        f"the median of the ratios within the rounds.\n"
    )
    if result["scale"] != "full":
        text += f"\n**Trees of scale {result['scale']}: a smoke run, not a measurement.**\n"
    text += "\n" + table([["tool", "version", "how it is run"]] + [[t, v["version"], v["notes"]] for t, v in result["tools"].items()]) + "\n"
    for data in result["trees"]:
        text += "\n" + report_tree(data)
    return text


# --- main ---------------------------------------------------------------------------------------------------------------
def words(text, allowed, what):
    chosen = [w for w in text.split(",") if w]
    for w in chosen:
        if w not in allowed:
            raise SystemExit(f"bench: no {what} '{w}'; there are {', '.join(allowed)}")
    return [w for w in allowed if w in chosen]


def parse():
    p = argparse.ArgumentParser(description="Compares holdfast with its peers; see bench/README.md.")
    p.add_argument("--trees", default=",".join(TREES), help="default: %(default)s")
    p.add_argument("--tools", help=f"default: {','.join(TOOLS)}, for `million` without borg")
    p.add_argument("--ops", default=",".join(OPS), help="default: %(default)s; what one needs runs with it")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--json", metavar="OUT", help="every run's figures")
    p.add_argument("--markdown", metavar="OUT", help="the tables, as for doc/benchmarks.md")
    p.add_argument("--holdfast", metavar="PROGRAM", default=os.environ.get("HOLDFAST_BIN", f"{ROOT}/build/release/holdfast"))
    p.add_argument("--limit", metavar="PROGRAM", default=f"{ROOT}/build/release/hf_limit", help="prints the limit of a tree as JSON")
    p.add_argument("--verify", action="store_true", help="compare each restored tree file by file, outside the measured time")
    p.add_argument("--gate", action="store_true", help="exit 1 if the gate of issue 3 is not met")
    p.add_argument("--keep", action="store_true", help="keep repositories and logs of the last round")
    p.add_argument("--timeout", type=int, default=1800, metavar="S", help="of one command")
    p.add_argument("--render", metavar="JSON", help="measure nothing, print the tables of an earlier --json")
    return p.parse_args()


def save(path, text):
    if path:
        with open(path + ".part", "w") as f:
            f.write(text)
        os.replace(path + ".part", path)


def bench(options):
    trees = words(options.trees, TREES, "tree")
    names = words(options.tools or ",".join(TOOLS), list(TOOLS), "tool")
    ops = words(options.ops, OPS, "operation")
    if options.rounds < 1:
        raise SystemExit("bench: --rounds is at least 1")
    if not shutil.which("rsync"):
        raise SystemExit("bench: rsync is missing")
    for op in list(ops):
        ops += [need for need in NEEDS.get(op, []) if need not in ops]
    ops = [op for op in OPS if op in ops or op == "first"]

    scale = os.environ.get("BENCH_SCALE", "full")
    place = os.path.realpath(os.environ.get("HOLDFAST_BENCH_DIR", "/var/tmp/holdfast-bench"))
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    binaries = {p: f"{cache}/holdfast-bench/bin/{p}" for p in PEERS}
    binaries["holdfast"] = os.path.abspath(options.holdfast)
    for n in list(names):
        if not os.access(binaries[n], os.X_OK):
            say(f"bench: {n} is not there ({'build it' if n == 'holdfast' else 'bench/peers.sh installs it'}); going on without it")
            names.remove(n)
    if not names:
        raise SystemExit("bench: no tool is there")

    work = f"{place}/run/{scale}"
    os.makedirs(work, exist_ok=True)
    lock = open(f"{place}/run/lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("bench: another benchmark runs in this folder") from None
    if os.listdir(work):
        say("bench: removing what an earlier run left; ext4 avoids the inodes of it for some minutes, which makes restores slower")
        shutil.rmtree(work)
        os.makedirs(work)
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"bench: warning: the machine is busy (load {load:.1f}); the figures will say so too")

    result = {
        "schema": "holdfast.bench/1",
        "scale": scale,
        "rounds": options.rounds,
        "machine": machine(),
        "load_before": round(load, 2),
        "tools": {n: {"version": TOOLS[n](binaries[n], work, 0).version(), "notes": TOOLS[n].notes} for n in names},
        "trees": [],
    }
    for name in trees:
        tree = Tree(name, f"{place}/trees/{scale}", work)
        here, todo = list(names), list(ops)
        if name == "million":
            todo = [op for op in todo if op in ("first", "nothing")]
            if not options.tools and "borg" in here:
                here.remove("borg")
        tools = [TOOLS[n](binaries[n], f"{work}/{n}", options.timeout) for n in here]
        data = {
            "tree": name,
            "what": tree.what,
            "files": tree.files,
            "size": tree.size,
            "tools": here,
            "ops": todo,
            "limit": {},
            "rounds": [],
            "gate": [],
        }
        result["trees"].append(data)
        try:
            for number in range(options.rounds):
                say(f"{name}, round {number + 1} of {options.rounds}")
                data["rounds"].append(one_round(tree, tools, todo, number, options, work))
                if "holdfast" in here:
                    data["gate"] = gate(data["rounds"], here, todo)
                save(options.json, json.dumps(result, indent=1) + "\n")
            # Beside a tree that is warm and as it was before the change.
            tree.reset()
            data["limit"] = read_limit(options.limit, tree)
        finally:
            if tree.mutable and os.path.isdir(tree.path):
                empty(tree.path)
                os.rename(tree.path, f"{work}/data-of-{name}")
        save(options.json, json.dumps(result, indent=1) + "\n")
        say("\n" + report_tree(data))
    if not options.keep:
        shutil.rmtree(work)
    return result


def main():
    options = parse()
    if options.render:
        with open(options.render) as f:
            result = json.load(f)
    else:
        result = bench(options)
    text = report(result)
    save(options.markdown, text)
    print(text)
    verdicts = [v for data in result["trees"] for v in data["gate"]]
    failed = [f"{data['tree']}: {w}" for data in result["trees"] for w, ok, _ in data["gate"] if not ok]
    if verdicts:
        print(f"Gate: {len(verdicts) - len(failed)} passed, {len(failed)} failed" + (": " + "; ".join(failed) if failed else ""))
    return 1 if options.gate and (failed or not verdicts) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as e:
        raise SystemExit(f"bench: {e}") from None
    except KeyboardInterrupt:
        sys.exit(130)
