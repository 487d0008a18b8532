#!/usr/bin/env python3
"""holdfast, restic and kopia in one run on the same MinIO, near, far, and far behind a connection's window.

    bench/peers.sh restic kopia
    bench/s3.py --holdfast build/release/holdfast                       # a tree of 2.2 GB, a file of 5 GB
    bench/s3.py --holdfast build/release/holdfast --scale 0.02          # the same of 1/50 of the size: does it run?
    bench/s3.py --holdfast … --what tree --links 0.03 --rounds 1
    bench/s3.py --holdfast … --links 0.03/64                            # of an answer 64 KiB a round trip and connection
    bench/s3.py --holdfast … --what opening                             # a million chunks, by a machine that has no cache

In a round each operation is run by one tool after the other, in an order that rotates; ratios are medians of those within the
rounds. Everything is new in each round: bucket, homes, caches. `--tree FOLDER` takes a tree that is there instead of one that
is made: text and programs in files of 40 KB. What is restored is compared with what was backed up.
"""

import http.client
import itertools
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/e2e"))

from bench import Holdfast, Kopia, Restic, Run, compare, empty, measure_tree, warm  # noqa: E402
from common import AT_LEAST, AT_MOST, Bench, arguments, main, use_memory  # noqa: E402
from s3 import PASSWORD, USER, Minio  # noqa: E402

TREE_BYTES, FILE_BYTES = 2_200_000_000, 5_000_000_000
FILE_SIZE = 40_000
BUCKET = "bench"
RANGE, READERS = 4 << 20, 16
# Times as fast as the fastest peer: without delay and with it (issue 8).
AIMS = {"first": (1.3, 1.3), "nothing": (1.3, 1.5), "restore": (1.5, 3.0)}
MEMORY = 200
# How a machine without any cache opens a repository of so many chunks (issue 8).
CHUNKS, SNAPSHOTS = 1_000_000, 30
OPENING_SECONDS, OPENING_REQUESTS, OPENING_BYTES = 2.0, 20, 3
PROGRAMS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "holdfast-bench/bin"


class InBucket:
    """A tool whose repository is below a prefix of the bucket."""

    def place(self, port, prefix):
        self.port, self.prefix = port, prefix
        return self

    def environment(self):
        return {**super().environment(), "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD,
                "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


class S3Holdfast(InBucket, Holdfast):
    def place(self, port, prefix):
        super().place(port, prefix)
        self.repo = f"s3://{BUCKET}/{prefix}"
        return self

    def environment(self):
        return {**super().environment(), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}


class S3Restic(InBucket, Restic):
    def environment(self):
        return {**super().environment(), "RESTIC_REPOSITORY": f"s3:http://127.0.0.1:{self.port}/{BUCKET}/{self.prefix}"}


class S3Kopia(InBucket, Kopia):
    def init(self):
        self.call("repository", "create", "s3", "--bucket", BUCKET, "--endpoint", f"127.0.0.1:{self.port}",
                  "--prefix", self.prefix + "/", "--disable-tls", "--access-key", USER, "--secret-access-key", PASSWORD,
                  "--no-persist-credentials")


class Link:
    """The way to the server: "SECONDS" that a round trip takes longer, "SECONDS/KIB" with a window for each connection's answers."""

    def __init__(self, words):
        seconds, _, kib = words.partition("/")
        self.seconds, self.window = float(seconds), int(kib or 0) << 10
        self.name = f"{self.seconds * 1000:.0f} ms" + (f", window of {kib} KiB" if kib else "")

    def begin(self, port):
        self.child, self.port = None, port
        if self.seconds > 0:
            window = [str(self.window)] if self.window else []
            self.child = subprocess.Popen([sys.executable, HERE / "delay.py", str(port), str(self.seconds), *window],
                                          stdout=subprocess.PIPE)
            self.port = int(self.child.stdout.readline())

    def close(self):
        if self.child:
            self.child.terminate()
            self.child.wait()


def make_tree(folder, size, seed=1):
    """Like sources and programs: words that repeat, bytes that do not."""
    chance = random.Random(seed)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz_", k=chance.randint(2, 11))) for _ in range(4000)]
    for number in range(max(1, size // FILE_SIZE)):
        path = folder / f"{number % 97:02}" / f"{number:06}"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = b" ".join(chance.choices(words, k=FILE_SIZE // 12))
        path.write_bytes((text + chance.randbytes(FILE_SIZE))[:FILE_SIZE])


def make_file(path, size):
    path.parent.mkdir(parents=True)
    chance = random.Random(5)
    letters = (b"ACGT\n" * 52)[:256]
    with open(path, "wb") as file:
        while size > 0:
            noise = chance.randbytes(1 << 22)
            piece = noise if chance.random() < 0.5 else noise[:1 << 20].translate(letters) * 4
            size -= file.write(piece[:size])


class S3(Bench):
    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.what = options.what.split(",")
        self.minio = Minio()
        self.links = [Link(each) for each in options.links.split(",")]
        for each in self.links:
            each.begin(self.minio.port)
        self.ratios = {}
        self.openings = {}
        self.numbers = itertools.count()

    def close(self):
        for each in self.links:
            each.close()
        self.minio.stop()

    def fresh_bucket(self):
        shutil.rmtree(self.minio.folder / "data" / BUCKET, ignore_errors=True)
        self.minio.make_bucket(BUCKET)

    def tools(self):
        makers = {"holdfast": (S3Holdfast, self.options.holdfast), "restic": (S3Restic, PROGRAMS / "restic"),
                  "kopia": (S3Kopia, PROGRAMS / "kopia")}
        return [make(str(program), str(self.folder / name), 7200) for name, (make, program) in makers.items()
                if name in self.options.tools.split(",")]

    def run(self):
        scale = self.options.scale
        if "tree" in self.what:
            tree = self.options.tree
            if tree is None:
                tree = self.folder / "tree"
                make_tree(tree, int(TREE_BYTES * scale))
            self.compare("tree", tree)
        if "file" in self.what:
            make_file(self.folder / "large" / "file", int(FILE_BYTES * scale))
            self.compare("5 GB file" if scale == 1 else "large file", self.folder / "large")
            shutil.rmtree(self.folder / "large")

        if "opening" in self.what:
            self.opening(int(CHUNKS * scale))

    def opening(self, chunks):
        """`snapshots` reads what every command reads that opens a repository; `backup` of what is known opens and writes."""
        self.fresh_bucket()
        tool = self.tools()[0].place(self.minio.port, "many")
        tool.prepare()
        tree = self.folder / "small"
        make_tree(tree, 1_000_000)
        for _ in range(SNAPSHOTS):
            tool.backup(str(tree), Run(), "known")
        subprocess.run([self.options.holdfast.with_name("hf_many_chunks"), f"http://127.0.0.1:{self.minio.port}",
                        f"{BUCKET}/many", f"{tool.base}/key", str(chunks)], env=tool.environment(), check=True)
        # Every backup makes the logs behind the checkpoint longer, until the next prune.
        for command, args in (("snapshots", []), ("backup", [f"files:{tree}"])):
            for link in self.links:
                tool.place(link.port, "many")
                for _ in range(self.options.rounds):
                    shutil.rmtree(tool.home)
                    os.makedirs(tool.home)
                    run = Run()
                    tool.call("-r", tool.repo, command, *args, run=run)
                    asked = json.loads(tool.output("-r", tool.repo, "stats", "--requests", "--json"))["commands"][command]
                    name = f"holdfast {command} without a cache, {link.name}"
                    self.add(name, asked["bytes"]["received"], run.wall, run.cpu, run.peak)
                    print(f"    {asked}")
                    if command == "snapshots":
                        self.openings[name] = (asked["requests"], asked["bytes"]["received"] / chunks, link)

    def compare(self, what, tree):
        _, size = measure_tree(tree)
        for link in self.links:
            for number in range(self.options.rounds):
                self.fresh_bucket()
                tools = [tool.place(link.port, tool.name) for tool in self.tools()]
                for tool in tools:
                    tool.prepare()
                tools = tools[number % len(tools):] + tools[:number % len(tools)]
                for op in ("first", "nothing", "restore"):
                    self.one(what, tree, size, link, op, tools)
                if any(tool.name == "holdfast" for tool in tools):
                    self.plain_reads(what, link)

    def one(self, what, tree, size, link, op, tools):
        seconds = {}
        for tool in tools:
            use_memory(self.folder)
            if op != "restore":
                warm(tree)
            os.sync()
            run, target = Run(), self.folder / f"restored-{next(self.numbers)}"
            if op == "restore":
                tool.restore(str(target), run)
                compare(str(tree), str(target))
                empty(target)
            else:
                tool.backup(str(tree), run, op)
            seconds[tool.name] = run.wall
            self.add(f"{tool.name} {what} {op}, {link.name}", size, run.wall, run.cpu, run.peak)
        peers = [each for name, each in seconds.items() if name != "holdfast"]
        if "holdfast" in seconds and peers:
            self.ratios.setdefault((what, op, link), []).append(min(peers) / seconds["holdfast"])

    def plain_reads(self, what, link):
        """Every pack of contents, in ranges, by READERS connections: what a restore at the best can reach."""
        lengths = {key: self.length(key) for key in self.minio.keys(BUCKET, "holdfast/data/")}
        work = [(key, at, min(RANGE, length - at)) for key, length in lengths.items() for at in range(0, length, RANGE)]
        lock = threading.Lock()

        def read():
            connection = http.client.HTTPConnection("127.0.0.1", link.port, timeout=60)
            while True:
                with lock:
                    if not work:
                        return connection.close()
                    key, at, count = work.pop()
                self.minio.request("GET", f"/{BUCKET}/{key}", headers={"range": f"bytes={at}-{at + count - 1}"}, link=connection)

        began, used = time.monotonic(), time.process_time()
        readers = [threading.Thread(target=read) for _ in range(READERS)]
        for each in readers:
            each.start()
        for each in readers:
            each.join()
        self.add(f"plain reads of the packs, {what}, {link.name}", sum(lengths.values()), time.monotonic() - began,
                 time.process_time() - used)

    def length(self, key):
        return int(self.minio.head(BUCKET, key)["content-length"])

    def judge(self):
        for (what, op, link), ratios in self.ratios.items():
            self.aim(f"{what}, {op}, {link.name}: times as fast as the fastest peer", statistics.median(ratios),
                     AT_LEAST, AIMS[op][link.seconds > 0])
        for what in ("tree", "5 GB file", "large file"):
            for link in self.links:
                reads = f"plain reads of the packs, {what}, {link.name}"
                restore = f"holdfast {what} restore, {link.name}"
                if link.seconds > 0 and reads in self.rows and restore in self.rows:
                    self.aim(f"{what}, restore, {link.name}: share of plain reads", self.ratio(reads, restore),
                             AT_LEAST, 0.8)
        for name, (requests, bytes_each, link) in self.openings.items():
            self.aim(f"{name}: requests", requests, AT_MOST, OPENING_REQUESTS)
            self.aim(f"{name}: bytes a chunk", bytes_each, AT_MOST, OPENING_BYTES)
            if link.seconds > 0:
                self.aim(f"{name}: seconds", self.median(name), AT_MOST, OPENING_SECONDS)
        if any(name.startswith("holdfast") for name in self.rows):
            self.aim("memory of holdfast, MB", self.memory(), AT_MOST, MEMORY)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--what", default="tree,file", help="of tree, file, opening")
    parser.add_argument("--links", default="0,0.03,0.03/64",
                        help="ways to the server: seconds that a round trip takes longer, or /KIB with it that a connection carries "
                             "of an answer in one")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes")
    parser.add_argument("--tree", type=pathlib.Path, help="a tree that is there")
    parser.add_argument("--tools", default="holdfast,restic,kopia")
    main(S3, parser)
