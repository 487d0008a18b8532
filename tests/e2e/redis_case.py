"""What the tests of Redis share: servers, keys of all types, and following."""

import datetime
import random
import subprocess

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


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Following(Redis):
    def follow(self, source, *args):
        child = self.start("follow", source.url(), "--name", "s", "--flush", "200ms", *args, stderr=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
        return child

    def window(self):
        windows = self.holdfast("windows", "s", "--json").document()["windows"]
        return windows[-1] if windows else None

    def wait_for(self, time):
        wait_until(lambda: (self.window() or {}).get("to", "") > time, f"the journal reaches {time}", 60)

    def restored(self, at, name):
        folder = self.folder / name
        result = self.holdfast("restore", "--source", "s", "--at", at, "--to", folder, "--json")
        return self.started_on(folder), result
