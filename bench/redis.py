#!/usr/bin/env python3
"""Redis: capture, second capture and restore against redis-cli --rdb and the server's own load, in one run on one server.

Keys are strings and hashes of about 500 bytes, text that compresses as prose does and random bytes by halves. Everything is on
the disk of --folder. Then the stream is followed while redis-benchmark writes as fast as the server takes it: what is exposed is
measured by WAIT, which is answered when a write is safe in the repository. Prints a line for each measurement and the ratios
that the aims are about, and with --markdown a table for doc/benchmarks.md.

    bench/redis.py --holdfast build/release/holdfast --bytes 2G
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

WORDS = ("the order was sent to customer and then came back from store with note about price size color number street "
         "city first last again never always small large red green blue open closed paid").split()
VALUE_BYTES = 500
KEYS_AT_ONCE = 5000


def size(text):
    factor = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1].upper())
    return int(float(text[:-1]) * factor) if factor else int(text)


def command(*words):
    parts = [each if isinstance(each, bytes) else str(each).encode() for each in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Server:
    def __init__(self, folder, *settings):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        began = time.monotonic()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--loglevel",
             "warning", "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "256mb", *settings],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while self.run("PING") != "PONG":
            if self.process.poll() is not None:
                sys.exit("redis-server does not start")
            time.sleep(0.02)
        self.seconds_to_load = time.monotonic() - began

    def processor(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def run(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *map(str, words)], capture_output=True, text=True,
                              check=False).stdout.strip()

    def field(self, section, name):
        return self.run("INFO", section).split(name + ":")[1].split()[0]

    def pipe(self, pieces):
        child = subprocess.Popen(["redis-cli", "-p", str(self.port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for piece in pieces:
            child.stdin.write(piece)
        out = child.communicate()[0]
        if b"errors: 0" not in out:
            sys.exit(out.decode())

    def url(self):
        return f"redis://127.0.0.1:{self.port}"


class Values:
    """Values of about 500 bytes, cut out of two pools."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.prose = " ".join(self.rng.choices(WORDS, k=1_000_000)).encode()
        self.noise = self.rng.randbytes(4_000_000)

    def set(self, number):
        pool = self.prose if number % 2 else self.noise
        at, length = self.rng.randrange(len(pool) - 1000), self.rng.randrange(VALUE_BYTES // 2, VALUE_BYTES * 3 // 2)
        if number % 8:
            return command("SET", f"user:{number}", b"%d %s" % (self.rng.randrange(1 << 60), pool[at:at + length]))
        return command("HSET", f"cart:{number}", "name", number, "at", self.rng.randrange(1 << 40), "note",
                       pool[at:at + length])

    def commands(self, numbers):
        numbers = list(numbers)
        for begin in range(0, len(numbers), KEYS_AT_ONCE):
            yield b"".join(self.set(each) for each in numbers[begin:begin + KEYS_AT_ONCE])


def measure(argv, environment):
    """Seconds until it is on the disk, seconds of processor, and the most memory that it had."""
    os.sync()
    began = time.monotonic()
    child = subprocess.Popen([str(word) for word in argv], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    os.sync()
    if child.returncode != 0:
        sys.exit(f"{argv}: exit {child.returncode}\n{out.decode()[-2000:]}{err.decode()[-2000:]}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder, self.rows, self.processor, self.memory = options, folder, {}, {}, {}
        self.environment = {**os.environ, "HOLDFAST_REPO": str(folder / "repo"), "HOLDFAST_KEY_FILE": str(folder / "key"),
                            "XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder)}
        (folder / "key").write_bytes(os.urandom(32))
        self.server = Server(folder / "source")
        self.values = Values(1)
        self.keys = options.bytes // VALUE_BYTES

    def note(self, name, seconds, processor, memory):
        self.rows.setdefault(name, []).append(seconds)
        self.processor.setdefault(name, []).append(processor)
        self.memory[name] = max(self.memory.get(name, 0), memory)
        print(f"  {name:36} {seconds:8.2f} s {processor:8.2f} s of processor {memory:8.0f} MB", flush=True)

    def timed(self, name, *argv):
        seconds, processor, memory, out = measure(argv, self.environment)
        self.note(name, seconds, processor, memory)
        return out

    def holdfast(self, name, *args):
        return json.loads(self.timed(name, self.options.holdfast, *args, "--json").decode().splitlines()[-1])

    def fresh_repository(self):
        shutil.rmtree(self.folder / "repo", ignore_errors=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        subprocess.run([self.options.holdfast, "init"], env=self.environment, check=True, capture_output=True)

    def run(self):
        self.server.pipe(self.values.commands(range(self.keys)))
        dump = self.folder / "dumped" / "dump.rdb"
        dump.parent.mkdir()
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds}")
            self.timed("redis-cli --rdb", "redis-cli", "-p", self.server.port, "--rdb", dump)
            self.bytes = dump.stat().st_size
            self.fresh_repository()
            first = self.holdfast("holdfast backup", "backup", self.server.url(), "--name", "cache")
            self.holdfast("holdfast backup, nothing changed", "backup", self.server.url(), "--name", "cache")
            self.restore(dump)
            if number == 0:
                changed = random.Random(2).sample(range(self.keys), self.keys // 100)
                self.server.pipe(self.values.commands(changed))
                second = self.holdfast("holdfast backup, 1 % changed", "backup", self.server.url(), "--name", "cache")
                self.share = second["bytes"]["stored"] / first["bytes"]["stored"]
        self.follow()

    def restore(self, dump):
        loaded = Server(dump.parent)
        self.note("the server loads its own RDB", loaded.seconds_to_load, loaded.processor(), 0)
        loaded.stop()
        folder = self.folder / "restored"
        shutil.rmtree(folder, ignore_errors=True)
        self.holdfast("holdfast restore, folder", "restore", "latest", "--to", folder, "--no-verify", "--no-sync")
        shutil.rmtree(folder)
        target = Server(self.folder / "target")
        self.holdfast("holdfast restore, server", "restore", "latest", "--to", target.url(), "--no-verify")
        target.stop()

    def follow(self):
        self.fresh_repository()
        argv = [str(each) for each in (self.options.holdfast, "follow", self.server.url(), "--name", "cache", "--flush", "1s",
                                       "--json")]
        follower = subprocess.Popen(argv, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while self.server.run("WAIT", 1, 1000) != "1":
            if follower.poll() is not None:
                sys.exit(follower.stderr.read().decode())
        syncs = self.server.field("stats", "sync_full")
        began = int(self.server.field("replication", "master_repl_offset"))
        load = subprocess.Popen(["redis-benchmark", "-p", str(self.server.port), "-P", "16", "-t", "set", "-d", "100", "-r",
                                 "1000000", "-n", "1000000000", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.exposed, end = [], time.monotonic() + self.options.follow_seconds
        peak = 0
        while time.monotonic() < end:
            asked = time.monotonic()
            # SET and WAIT on one connection.
            done = subprocess.run(["redis-cli", "-p", str(self.server.port)], input="SET canary 1\nWAIT 1 30000\n",
                                  capture_output=True, text=True, check=True).stdout.split()
            self.exposed.append(time.monotonic() - asked if done[-1] == "1" else float("inf"))
            status = pathlib.Path(f"/proc/{follower.pid}/status").read_text()
            peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
            time.sleep(0.1)
        load.kill()
        load.wait()
        self.stream = (int(self.server.field("replication", "master_repl_offset")) - began) / self.options.follow_seconds
        self.was_dropped = self.server.field("stats", "sync_full") != syncs
        self.memory["holdfast follow"] = peak
        follower.send_signal(signal.SIGTERM)
        follower.wait()
        print(f"  followed {self.stream / 1e6:.0f} MB/s for {self.options.follow_seconds} s: exposed at most "
              f"{max(self.exposed):.2f} s, {peak:.0f} MB, dropped: {self.was_dropped}", flush=True)

    def median(self, name):
        return statistics.median(self.rows[name])

    def report(self):
        ratio = lambda a, b: self.median(a) / self.median(b)
        aims = [("capture / redis-cli --rdb", ratio("holdfast backup", "redis-cli --rdb"), 1.0),
                ("second capture after 1 %, stored / first", self.share, 0.03),
                ("restore into a folder / the server's load",
                 ratio("holdfast restore, folder", "the server loads its own RDB"), 1.0),
                ("restore into a server / its own load", ratio("holdfast restore, server", "the server loads its own RDB"), 1.0),
                ("most memory of holdfast, MB", max(v for k, v in self.memory.items() if k.startswith("holdfast")), 150),
                (f"most exposed while {self.stream / 1e6:.0f} MB/s are followed, s", max(self.exposed), 3),
                ("times dropped meanwhile", int(self.was_dropped), 0)]
        lines = [f"| Redis, RDB of {self.bytes / 1e9:.2f} GB | seconds | of processor | MB/s | memory |", "|---|---|---|---|---|"]
        for name in self.rows:
            memory = f"{self.memory[name]:.0f} MB" if self.memory[name] else ""
            lines.append(f"| {name} | {self.median(name):.1f} | {statistics.median(self.processor[name]):.1f} | "
                         f"{self.bytes / 1e6 / self.median(name):.0f} | {memory} |")
        lines += ["", "| aim | found | at most |", "|---|---|---|"]
        for name, found, most in aims:
            lines.append(f"| {name} | {found:.3g} | {most:g} |")
        print("\n".join(lines))
        if self.options.markdown:
            self.options.markdown.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holdfast", type=pathlib.Path, required=True)
    parser.add_argument("--bytes", type=size, default=size("2G"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--follow-seconds", type=int, default=30)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    options.holdfast = options.holdfast.resolve()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=options.folder) as folder:
        bench = Bench(options, pathlib.Path(folder))
        try:
            bench.run()
            bench.report()
        finally:
            bench.server.stop()


if __name__ == "__main__":
    main()
