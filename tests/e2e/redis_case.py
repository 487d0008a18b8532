"""What the tests of Redis share: servers, keys of all types, and following."""

import contextlib
import datetime
import json
import random
import socket
import subprocess
import threading

from harness import Case, RedisServer, wait_until


def everything(seed=1, keys=300):
    """Commands that make keys of all types, small and large, with and without expiry."""
    rng = random.Random(seed)
    yield ["SELECT", 0]
    yield ["SET", b"binary\x00\xff\r\n", bytes(range(256))]
    yield ["SET", "empty", ""]
    yield ["SET", "number", 12345]
    yield ["SET", "negative", -7]
    yield ["SET", "wide", -2 ** 62]
    yield ["SET", "compressible", "abc" * 20000]
    yield ["SET", "large", rng.randbytes(3 << 20)]
    yield ["SET", "with/slash", "x"]
    yield ["SET", "expires", "later", "EX", 100000]
    yield ["SETBIT", "bits", 100000, 1]
    yield ["PFADD", "hll", *range(50)]
    yield ["RPUSH", "list", *range(10)]
    yield ["RPUSH", "long list", *[rng.randbytes(rng.randrange(200)) for _ in range(500)]]
    yield ["RPUSH", "list of large", rng.randbytes(20000), "small"]
    yield ["SADD", "ints", *range(-50, 50), 2 ** 40]
    yield ["SADD", "small set", "a", "b", 7]
    yield ["SADD", "large set", *[rng.randbytes(12) for _ in range(1000)]]
    yield ["HSET", "small hash", "a", 1, "b", "two", 3, "-5"]
    yield ["HSET", "large hash", *[rng.randbytes(10) for _ in range(1000)]]
    yield ["ZADD", "small zset", "1.5", "a", "-inf", "b", "3", "c", "1e300", "d"]
    yield ["ZADD", "large zset", *sum(([rng.random(), rng.randbytes(8)] for _ in range(500)), [])]
    for i in range(250):
        yield ["XADD", "stream", f"{i + 1}-{i}", "field", f"value {i}", "other" if i % 3 else "field2", i]
    yield ["XDEL", "stream", "5-4", "100-99"]
    yield ["XGROUP", "CREATE", "stream", "readers", "0"]
    yield ["XREADGROUP", "GROUP", "readers", "one", "COUNT", 20, "STREAMS", "stream", ">"]
    yield ["XREADGROUP", "GROUP", "readers", "two", "COUNT", 3, "STREAMS", "stream", ">"]
    yield ["XACK", "stream", "readers", "1-0"]
    yield ["XGROUP", "CREATE", "new stream", "g", "$", "MKSTREAM"]
    yield ["GEOADD", "geo", 13.36, 38.11, "Palermo"]
    yield ["SELECT", 3]
    for i in range(keys):
        yield ["SET", f"key:{i}", rng.randbytes(rng.randrange(300))]
    yield ["SELECT", 11]
    yield ["SET", "in eleven", 1]
    yield ["FUNCTION", "LOAD", "REPLACE", "#!lua name=lib\nredis.register_function('f', function() return 1 end)"]


class Redis(Case):
    def setUp(self):
        super().setUp()
        self.init()

    def server(self, *settings, **options):
        out = RedisServer(*settings, **options)
        self.addCleanup(out.remove)
        return out

    def filled(self, *settings, **options):
        out = self.server(*settings)
        out.send(everything(**options))
        return out

    def started_on(self, folder, *settings):
        """A server on what a restore made."""
        return self.server("--appendonly", "yes", *settings, data=folder)


class Proxy:
    """Before a server: can leave replicas in the dark, where nothing comes and nothing ends, and take nobody else."""

    def __init__(self, case, port):
        self.port_behind, self.is_dark, self.connections = port, False, []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        case.addCleanup(self.listening.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            if self.is_dark:
                client.close()
                continue
            state = {"dark": False, "replica": False, "ends": (client, socket.create_connection(("127.0.0.1", self.port_behind)))}
            self.connections.append(state)
            for ends in (state["ends"], state["ends"][::-1]):
                threading.Thread(target=self.forward, args=(state, *ends), daemon=True).start()

    def forward(self, state, source, target):
        try:
            while data := source.recv(65536):
                state["replica"] = state["replica"] or b"PSYNC" in data
                if not state["dark"]:
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def darken(self):
        self.is_dark = True
        for state in self.connections:
            state["dark"] = state["replica"]
            for end in () if state["replica"] else state["ends"]:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


class Scripted:
    """Answers commands by their first word, and says of others that it does not know them."""

    def __init__(self, case, answers):
        self.answers = answers
        self.listening = socket.create_server(("127.0.0.1", 0))
        case.addCleanup(self.listening.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self):
        return f"redis://127.0.0.1:{self.listening.getsockname()[1]}"

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rb") as lines, contextlib.suppress(OSError, ValueError):
            while head := lines.readline():
                words = []
                for _ in range(int(head[1:])):
                    words.append(lines.read(int(lines.readline()[1:]) + 2)[:-2])
                text = self.answers.get(words[0])
                client.sendall(b"-ERR unknown command\r\n" if text is None else b"$%d\r\n%s\r\n" % (len(text), text.encode()))


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Following(Redis):
    def follow(self, source, *args):
        child = self.start("follow", source.url(), "--name", "s", "--flush", "200ms", *args, stderr=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
        return child

    def told(self, source, *args):
        """A follower that says how far it has come, and where it says so."""
        log = self.folder / "told"
        with log.open("wb") as out:
            child = self.start("follow", source, "--name", "s", "--flush", "200ms", "--json", *args, stderr=subprocess.DEVNULL,
                               stdout=out)
        return child, log

    @staticmethod
    def reached(log):
        lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return max((line["reached"]["time"] for line in lines if line["type"] in ("idle", "stored")), default="")

    def window(self):
        said = self.run_program("windows", "s", "--json")
        if said.code == 1 and "there is no journal of s" in said.text + said.errors:
            return None  # its follower has only begun
        self.assertEqual(said.code, 0, str(said))
        windows = said.document()["windows"]
        return windows[-1] if windows else None

    def wait_for(self, time):
        wait_until(lambda: (self.window() or {}).get("to", "") > time, f"the journal reaches {time}", 60)

    def wait_for_tick(self, server, time):
        """Of an idle server the journal says something once a minute only."""
        def reached():
            server.run("INCR", "tick", database=3)
            return (self.window() or {}).get("to", "") > time
        wait_until(reached, f"the journal reaches {time}", 60)

    def restored(self, at, name):
        folder = self.folder / name
        result = self.holdfast("restore", "--source", "s", "--at", at, "--to", folder, "--json")
        self.assertEqual(result.lines()[-1]["verified"]["result"], "pass", str(result))
        return self.started_on(folder), result
