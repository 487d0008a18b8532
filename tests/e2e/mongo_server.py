"""A MongoDB server for tests: mongod as a replica set of one when it is on PATH, else FerretDB on SQLite with its oplog.

WHICH says which one ran; what only one of them can is asked for by IS_MONGOD.
"""

import atexit
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from harness import free_port

SERVERS = pathlib.Path(__file__).resolve().parents[1] / "servers"
sys.path.insert(0, str(SERVERS))

from mongo_wire import Int64, Mongo, ServerError  # noqa: E402

IS_MONGOD = shutil.which("mongod") is not None
WHICH = "mongod" if IS_MONGOD else "FerretDB"


def server_program():
    if IS_MONGOD:
        return shutil.which("mongod")
    built = subprocess.run([SERVERS / "build.sh", "ferretdb"], stdout=subprocess.PIPE, check=True)
    return built.stdout.decode().strip()


class MongoServer:
    def __init__(self, oplog=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-mongo-"))
        self.oplog = oplog
        self.port = free_port()
        self.process = None
        self.is_set = False  # a set of one, which needs a moment to elect itself
        atexit.register(self.remove)
        self.start()
        self.begin_history()

    def begin_history(self):
        if self.oplog:
            self.initiate() if IS_MONGOD else self.begin_oplog()

    def initiate(self):
        self.mongo.command("admin", {"replSetInitiate": {"_id": "rs0", "members": [
            {"_id": 0, "host": f"127.0.0.1:{self.port}"}]}})
        self.is_set = True
        self.wait_for_primary()

    def wait_for_primary(self):
        for _ in range(600):
            if self.mongo.command("admin", {"hello": 1}).get("isWritablePrimary"):
                return
            time.sleep(0.1)
        raise AssertionError("the set has no primary")

    def lose_oplog(self):
        """Its history is gone; a member of a set does not let its oplog be dropped, so its data go with it."""
        if not IS_MONGOD:
            self.mongo.command("local", {"drop": "oplog.rs"})
            self.mongo.command("local", {"create": "oplog.rs", "capped": True, "size": Int64(256 << 20)})
            return
        self.stop()
        self.begin_anew()
        self.initiate()

    def begin_oplog(self):
        self.mongo.command("local", {"create": "oplog.rs", "capped": True, "size": Int64(256 << 20)})
        self.mongo.insert("holdfast_first", "write", {"_id": 1})
        self.mongo.command("holdfast_first", {"dropDatabase": 1})

    def start(self):
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        argv = [server_program(), "--dbpath", data, "--port", str(self.port), "--bind_ip", "127.0.0.1"]
        if IS_MONGOD and self.oplog:
            argv += ["--replSet", "rs0", "--oplogSize", "256"]
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/")
        for _ in range(600):
            try:
                self.mongo = Mongo(self.port)
                self.mongo.command("admin", {"ping": 1})
                if self.is_set:
                    self.wait_for_primary()
                return
            except (OSError, ServerError):
                time.sleep(0.05)
            if self.process.poll() is not None:
                break
        raise AssertionError((self.folder / "log").read_text(errors="replace"))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        self.mongo.close()
        self.log.close()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database="", **options):
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"mongodb://127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def clear(self):
        """Empty for the next test. A server that does not answer any more is started anew, which is said: it is not what is
        tested, and would take all tests after this one with it."""
        try:
            self.drop_databases()
        except (OSError, ServerError) as error:
            log = (self.folder / "log").read_text(errors="replace")[-2000:]
            print(f"the test server {WHICH} is started anew: {error!r}, exit status {self.process.poll()}\n{log}")
            self.stop()
            self.begin_anew()
            self.begin_history()

    def begin_anew(self):
        shutil.rmtree(self.folder / "data")
        self.is_set = False
        self.start()

    def drop_databases(self):
        for name in self.mongo.databases():
            if name not in ("admin", "config", "local"):
                self.mongo.command(name, {"dropDatabase": 1})
        self.renew_oplog()

    def renew_oplog(self):
        if self.oplog and not IS_MONGOD:  # it reads its oplog from the beginning each time that it is asked
            self.mongo.command("local", {"drop": "oplog.rs"})
            self.begin_oplog()


_servers = {}


def mongo_server(name="first", **options):
    if name not in _servers:
        _servers[name] = MongoServer(**options)
    return _servers[name]
