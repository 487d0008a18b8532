#!/usr/bin/env python3
"""Redis: capture, second capture and restore against redis-cli --rdb and the server's own load, in one run on one server.

Keys are strings and hashes of about 500 bytes, text that compresses as prose does and random bytes by halves. Everything is on
the disk of --folder. Then the stream is followed while redis-benchmark writes as fast as the server takes it: what is exposed is
measured by WAIT, which is answered when a write is safe in the repository. Prints a line for each measurement and the ratios
that the aims are about, and with --markdown a table for doc/benchmarks.md.

    bench/redis.py --holdfast build/release/holdfast --bytes 2G
"""

import random
import shutil
import signal
import socket
import subprocess
import sys
import time

from common import AT_MOST, WORDS, Bench, arguments, main, peak, processor, size

VALUE_BYTES = 500
KEYS_AT_ONCE = 5000


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


class Redis(Bench):
    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.server = Server(folder / "source")
        self.values = Values(1)
        self.keys = options.bytes // VALUE_BYTES

    def close(self):
        self.server.stop()

    def own(self, name, *args):
        return self.holdfast(name, self.size, *args)

    def run(self):
        self.server.pipe(self.values.commands(range(self.keys)))
        dump = self.folder / "dumped" / "dump.rdb"
        dump.parent.mkdir()
        self.server.run("SAVE")
        self.size = (self.folder / "source" / "dump.rdb").stat().st_size
        self.title = f"Redis, RDB of {self.size / 1e9:.2f} GB"
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds}")
            self.timed("redis-cli --rdb", ["redis-cli", "-p", self.server.port, "--rdb", dump], self.size)
            self.fresh_repository()
            first = self.own("holdfast backup", "backup", self.server.url(), "--name", "cache")
            self.own("holdfast backup, nothing changed", "backup", self.server.url(), "--name", "cache")
            self.restore(dump)
            if number == 0:
                changed = random.Random(2).sample(range(self.keys), self.keys // 100)
                self.server.pipe(self.values.commands(changed))
                second = self.own("holdfast backup, 1 % changed", "backup", self.server.url(), "--name", "cache")
                self.share = second["bytes"]["stored"] / first["bytes"]["stored"]
        self.follow()

    def restore(self, dump):
        loaded = Server(dump.parent)
        self.add("the server loads its own RDB", self.size, loaded.seconds_to_load, processor(loaded.process.pid))
        loaded.stop()
        folder = self.folder / "restored"
        shutil.rmtree(folder, ignore_errors=True)
        self.own("holdfast restore, folder", "restore", "latest", "--to", folder, "--no-verify", "--no-sync")
        shutil.rmtree(folder)
        target = Server(self.folder / "target")
        self.own("holdfast restore, server", "restore", "latest", "--to", target.url(), "--no-verify")
        target.stop()

    def follow(self):
        self.fresh_repository()
        argv = [str(each) for each in (self.options.holdfast, "follow", self.server.url(), "--name", "cache", "--flush", "1s",
                                       "--json")]
        follower = subprocess.Popen(argv, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        began = time.monotonic()
        while self.exposed_now(1000) == float("inf"):  # until its base is stored nothing is
            if follower.poll() is not None:
                sys.exit(follower.stderr.read().decode())
        print(f"  the base is stored after {time.monotonic() - began:.1f} s", flush=True)
        syncs = self.server.field("stats", "sync_full")
        began = int(self.server.field("replication", "master_repl_offset"))
        load = subprocess.Popen(["redis-benchmark", "-p", str(self.server.port), "-P", "16", "-t", "set", "-d", "100", "-r",
                                 "1000000", "-n", "1000000000", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.exposed, end = [], time.monotonic() + self.options.follow_seconds
        most = 0
        while time.monotonic() < end:
            self.exposed.append(self.exposed_now(30000))
            most = peak(follower.pid)
            time.sleep(0.1)
        load.kill()
        load.wait()
        self.stream = (int(self.server.field("replication", "master_repl_offset")) - began) / self.options.follow_seconds
        self.was_dropped = self.server.field("stats", "sync_full") != syncs
        self.memory_of_follower = most
        follower.send_signal(signal.SIGTERM)
        follower.wait()
        print(f"  followed {self.stream / 1e6:.0f} MB/s for {self.options.follow_seconds} s: exposed at most "
              f"{max(self.exposed):.2f} s, {most:.0f} MB, dropped: {self.was_dropped}; one after the other: "
              + " ".join(f"{each:.1f}" for each in self.exposed), flush=True)

    def exposed_now(self, patience_ms):
        """Seconds from a write until the server is told that the repository has it."""
        asked = time.monotonic()
        done = subprocess.run(["redis-cli", "-p", str(self.server.port)], input=f"SET canary 1\nWAIT 1 {patience_ms}\n",
                              capture_output=True, text=True, check=True).stdout.split()
        return time.monotonic() - asked if done[-1] == "1" else float("inf")

    def judge(self):
        load = "the server loads its own RDB"
        self.aim("capture / redis-cli --rdb", self.ratio("holdfast backup", "redis-cli --rdb"), AT_MOST, 1)
        self.aim("second capture after 1 %, stored / first", self.share, AT_MOST, 0.03)
        self.aim("restore into a folder / the server's load", self.ratio("holdfast restore, folder", load), AT_MOST, 1)
        self.aim("restore into a server / its own load", self.ratio("holdfast restore, server", load), AT_MOST, 1)
        self.aim("most memory of holdfast, MB", max(self.memory(), self.memory_of_follower), AT_MOST, 150)
        self.aim(f"most exposed while {self.stream / 1e6:.0f} MB/s are followed, s", max(self.exposed), AT_MOST, 3)
        self.aim("times dropped meanwhile", int(self.was_dropped), AT_MOST, 0)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--bytes", type=size, default=size("2G"))
    parser.add_argument("--follow-seconds", type=int, default=30)
    main(Redis, parser)
