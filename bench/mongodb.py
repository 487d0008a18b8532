#!/usr/bin/env python3
"""MongoDB: capture against a bare raw-BSON read by the Python driver, capture at full speed, replay, memory, in one run.

The real server is mongod when it is on PATH, else FerretDB (tests/servers). What a slow server hides is measured on a
scripted one that plays batches made beforehand. The Python driver is installed into --folder. Prints a line for each
measurement, the ratios that the aims are about, and with --markdown a table for doc/benchmarks.md.

    bench/mongodb.py --holdfast build/release/holdfast --bytes 1G
    bench/mongodb.py --holdfast build/release/holdfast --only replay       # in less than three minutes
"""

import json
import pathlib
import random
import socket
import struct
import subprocess
import sys
import time

from common import AT_LEAST, AT_MOST, WORDS, Bench, arguments, main, size

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/servers")]

from mongo_server import WHICH, MongoServer  # noqa: E402
from mongo_wire import OP_MSG, Int64, Raw, Timestamp, encode, message, read_message, decode  # noqa: E402
from scripted_mongo import Collection, ScriptedMongo  # noqa: E402

DRIVER = "pymongo==4.10.1"
READ = """
import sys
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
client = MongoClient(sys.argv[1], document_class=RawBSONDocument)
total = 0
for name in client.bank.list_collection_names():
    for batch in client.bank[name].find_raw_batches({}, sort=[("_id", 1)], batch_size=10000):
        total += len(batch)
print(total)
"""
BATCH_BYTES = 3 << 20  # what holdfast asks for
DOCUMENT_BYTES = 1000
UPDATES_MAX = 40


def documents(count, seed=1):
    """Prose, numbers and an id of eight random bytes each, about a kilobyte."""
    chance = random.Random(seed)
    for i in range(count):
        yield {"_id": f"order {i:012}", "token": chance.randbytes(8).hex(), "amount": chance.random(), "count": i,
               "note": " ".join(chance.choices(WORDS, k=160))}


class FullSpeed(ScriptedMongo):
    """Collections `parts` of batches that were encoded beforehand; the client's batch size is passed over."""

    def __init__(self, parts):
        self.parts = parts
        super().__init__({"bank": {name: Collection() for name in parts}, "local": {"oplog.rs": Collection([
            {"op": "n", "ns": "", "ts": Timestamp(1_700_000_000 << 32 | 5), "t": Int64(1), "o": {}}])}})

    def serve(self, connection):
        at = {}
        with connection:
            try:
                while True:
                    request, code, body = read_message(connection)
                    document = decode(body, body.index(b"\0", 4) + 9 if code != OP_MSG else 5)
                    verb = next(iter(document))
                    name = document.get("collection") if verb == "getMore" else document.get("find")
                    if name in self.parts and "limit" not in document:
                        at[name] = 0 if verb == "find" else at[name] + 1
                        first, more = self.parts[name][at[name]]
                        self.play(connection, request, first if verb == "find" else more)
                        continue
                    reply = encode(self.answer(document, {}))
                    if code == OP_MSG:
                        connection.sendall(message(1, request, OP_MSG, b"\0\0\0\0\0" + reply))
                    else:
                        connection.sendall(message(1, request, 1, struct.pack("<iqii", 8, 0, 0, 1) + reply))
            except (ConnectionError, OSError, IndexError):
                return

    def play(self, connection, request, reply):
        """What was encoded goes out as it lies there: copies of it would cost as much as the server's other work."""
        head = b"\0\0\0\0\0"
        connection.sendall(struct.pack("<iiii", 16 + len(head) + len(reply), 1, request, OP_MSG) + head, socket.MSG_MORE)
        connection.sendall(reply)

    def do_collstats(self, document):
        total = sum(len(first) for first, _ in self.parts.get(document["collStats"], []))
        return {"count": total // DOCUMENT_BYTES, "size": Int64(total), "ok": 1.0}


def batches(collection, encoded):
    """The replies to find and to getMore, of each batch."""
    out, batch, held = [], [], 0
    pieces = []
    for each in encoded:
        batch.append(Raw(each))
        held += len(each)
        if held >= BATCH_BYTES:
            pieces.append(batch)
            batch, held = [], 0
    if batch:
        pieces.append(batch)
    for number, piece in enumerate(pieces):
        id = Int64(0 if number + 1 == len(pieces) else 7)
        reply = lambda which: encode({"cursor": {"id": id, "ns": f"bank.{collection}", which: piece,
                                                 "atClusterTime": Timestamp(1_700_000_000 << 32 | 5)}, "ok": 1.0})
        out.append((reply("firstBatch"), reply("nextBatch")))
    return out


class MongoDB(Bench):
    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.title = f"MongoDB ({WHICH}; scripted: {options.bytes / 1e6:.0f} MB)"
        self.servers = []

    def close(self):
        for server in self.servers:
            server.remove()

    def wants(self, part):
        return not self.options.only or part in self.options.only

    def run(self):
        if self.wants("speed"):
            self.at_full_speed()
        if self.wants("server") or self.wants("replay"):
            self.servers = [MongoServer(), MongoServer()]
        if self.wants("server"):
            self.on_a_server(self.servers[0])
        if self.wants("replay"):
            self.replay(*self.servers)

    def at_full_speed(self):
        count = self.options.bytes // DOCUMENT_BYTES
        encoded = [encode(each) for each in documents(count)]
        half = len(encoded) // 2
        parts = {"a": encoded[:half], "b": encoded[half:]}
        total = sum(map(len, encoded))
        servers = FullSpeed({name: batches(name, part) for name, part in parts.items()})
        for each in parts:
            for i in range(0, len(parts[each]), 100):
                changed = decode(parts[each][i])
                changed["count"] = -1
                parts[each][i] = encode(changed)
        changed = FullSpeed({name: batches(name, part) for name, part in parts.items()})
        url = servers.url("bank")
        for _ in range(self.options.rounds):
            self.fresh_repository()
            first = self.holdfast("holdfast backup, all of it new", total, "backup", url, "--name", "bank")
            self.holdfast("holdfast backup, all of it known", total, "backup", url, "--name", "bank")
        # The memory is by the source's place: the same address serves what changed.
        servers.parts = changed.parts
        second = self.holdfast("holdfast backup, 1 % changed", total, "backup", url, "--name", "bank")
        self.share = second["bytes"]["stored"] / first["bytes"]["stored"]

    def on_a_server(self, server):
        count = self.options.server_bytes // DOCUMENT_BYTES
        total = 0
        for name in ("a", "b"):
            batch = []
            for each in documents(count // 2, name):
                batch.append(each)
                total += len(encode(each))
                if len(batch) == 500:
                    server.mongo.insert("bank", name, *batch)
                    batch = []
            if batch:
                server.mongo.insert("bank", name, *batch)
        server.renew_oplog()
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", self.folder / "driver", DRIVER], check=True)
        self.environment["PYTHONPATH"] = str(self.folder / "driver")
        for _ in range(self.options.rounds):
            self.fresh_repository()
            self.timed("bare read by the driver", [sys.executable, "-c", READ, server.url()], total)
            self.holdfast("holdfast backup of a server", total, "backup", server.url("bank"), "--name", "bank")

    def replay(self, server, other):
        self.fresh_repository()
        server.clear()
        operations = self.options.operations
        keys = max(operations // 10, 1)  # so that as much of them falls together, however many there are
        # FerretDB, which has 100 connections to a database, never answers to commands of more updates, all at once, than these.
        place = lambda key: (f"c{key // UPDATES_MAX}", key)
        for first in range(0, keys, UPDATES_MAX):
            server.mongo.insert("replay", place(first)[0],
                                *[{"_id": i, "n": 0} for i in range(first, min(first + UPDATES_MAX, keys))])
        follow = [self.options.holdfast, "follow", server.url("replay"), "--name", "replay", "--once", "--quiet"]
        subprocess.run(follow, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        chance = random.Random(7)
        began = time.monotonic()
        for i in range(operations):
            server.mongo.set("replay", *place(chance.randrange(keys)), n=i)
        self.one_by_one = time.monotonic() - began
        began = time.monotonic()
        subprocess.run(follow, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        print(f"  {operations} operations written in {self.one_by_one:.2f} s, followed in {time.monotonic() - began:.2f} s", flush=True)
        restore = ["restore", "latest", "--source", "replay", "--to", other.url(), "--existing", "drop", "--no-verify"]
        base = self.holdfast("holdfast restore of the base", 1, *restore)["seconds"]
        windows = subprocess.run([self.options.holdfast, "windows", "--json"], env=self.environment, check=True, capture_output=True)
        restore[1:2] = ["--at", json.loads(windows.stdout)["windows"][-1]["to"]]
        whole = self.holdfast("holdfast restore and replay", 1, *restore)["seconds"]
        self.replayed = max(whole - base, 0.001)
        print(f"  {operations} operations: one a command {self.one_by_one:.2f} s, replayed {self.replayed:.2f} s")

    def judge(self):
        rate = lambda name: self.bytes[name] / 1e6 / self.median(name)
        if self.wants("speed"):
            self.aim("capture, all of it new, MB/s", rate("holdfast backup, all of it new"), AT_LEAST, 300)
            self.aim("capture, all of it known, MB/s", rate("holdfast backup, all of it known"), AT_LEAST, 700)
            self.aim("capture with 1 % changed, stored / first", self.share, AT_MOST, 0.03)
        if self.wants("server"):
            self.aim("capture / bare read by the driver", self.ratio("holdfast backup of a server", "bare read by the driver"), AT_MOST, 1)
        if self.wants("replay"):
            self.aim("one operation a command / replay", self.one_by_one / self.replayed, AT_LEAST, 10)
        self.aim("most memory of holdfast, MB", self.memory(), AT_MOST, 200)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--bytes", type=size, default=size("1G"), help="on the scripted server")
    parser.add_argument("--server-bytes", type=size, default=size("100M"), help="on the real one")
    parser.add_argument("--operations", type=int, default=5000, help="that are replayed")
    parser.add_argument("--only", action="append", choices=("speed", "server", "replay"), help="parts of it (default: all)")
    main(MongoDB, parser)
