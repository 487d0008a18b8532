"""What every end-to-end test uses: a folder of its own, the program as a user runs it, trees compared to the last bit.

A test file is run by itself (`python3 files_test.py`), prints failures only, and writes its results in JUnit form to
$HOLDFAST_RESULTS/<file>.xml. The program is $HOLDFAST; loops run $HOLDFAST_SCALE times as long.
"""

import atexit
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import xml.etree.ElementTree as xml
from urllib.parse import quote

PROGRAM = os.environ.get("HOLDFAST") or str(pathlib.Path(__file__).resolve().parents[2] / "build/dev/holdfast")
SCALE = int(os.environ.get("HOLDFAST_SCALE", "1"))
TIMEOUT = 180
TEST_LIMIT = 400 * SCALE
ZEROS = bytes(1 << 20)


class Overdue(BaseException):
    """A test that hangs is a failure that names itself, never a run without an end."""


def limit_tests():
    """Each test ends within TEST_LIMIT seconds, with what it waited for in the trace."""
    def ring(number, frame):
        signal.alarm(60)  # what cleans up may hang, too
        raise Overdue(f"the test has not ended within {TEST_LIMIT} s")

    signal.signal(signal.SIGALRM, ring)


class Result:
    """How a run of the program ended."""

    def __init__(self, args, code, out, err, seconds):
        self.args_given, self.code, self.out, self.err, self.seconds = args, code, out, err, seconds

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    @property
    def errors(self):
        return self.err.decode("utf-8", "replace")

    def lines(self):
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.text.splitlines()]

    def document(self):
        return json.loads(self.text)

    def error(self):
        """The error that --json puts on standard error."""
        found = [json.loads(line) for line in self.errors.splitlines() if line.startswith('{"type":"error"')]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} errors in {self.errors!r}")
        return found[0]

    def __str__(self):
        return f"holdfast {' '.join(map(str, self.args_given))}\nexit {self.code}\n{self.text}{self.errors}"


class Contents(dict):
    """Bytes by name, of which a test that fails prints what tells them apart: comparing megabytes for print takes minutes."""

    def __repr__(self):
        return repr(sorted((name, len(data), hashlib.sha256(data).hexdigest()[:12]) for name, data in self.items()))


def contents(folder):
    """The files that lie in a folder, by name."""
    return Contents((p.name, p.read_bytes()) for p in pathlib.Path(folder).iterdir())


def fill_tree(tree, seed):
    """Twelve files, of which every fourth is another with another seed."""
    for i in range(12):
        (tree / f"{i:02}").write_bytes(noise((seed if i % 4 == 0 else 0, i), 150_000 if i % 3 else 900))


class OrdinaryUser:
    """This user, or when that is root, one who may do less."""

    id = 65534

    def give(self, folder):
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{self.id}:{self.id}", folder], check=True)

    def become(self):
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(self.id)
            os.setuid(self.id)


def no_file_above(size):
    """For the child only: files end at this size, as on a disk that is full."""
    def before():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return before


def state_below(home):
    return str(pathlib.Path(home) / ".local/state")


class Case(unittest.TestCase):
    """A test with a folder, a home and a key file of its own."""

    longMessage = True

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-e2e-"))
        self.addCleanup(remove_tree, self.folder)
        self.home = self.folder / "home"
        self.home.mkdir()
        self.key = self.folder / "key"
        self.key.write_bytes(b"a key file of thirty-two bytes or more")
        self.repo = self.folder / "repo"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_STATE_HOME": state_below(self.home),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self.folder),
            "HOLDFAST_REPO": str(self.repo),
            "HOLDFAST_KEY_FILE": str(self.key),
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def environment_with(self, changes):
        out = dict(self.environment)
        if "HOME" in (changes or {}):
            out["XDG_STATE_HOME"] = state_below(changes["HOME"])
        for name, value in (changes or {}).items():
            if value is None:
                out.pop(name, None)
            else:
                out[name] = str(value)
        return out

    def run_program(self, *args, input=None, env=None, cwd=None, before=None, timeout=TIMEOUT):
        environment = self.environment_with(env)
        argv = [PROGRAM] + [os.fspath(arg) if isinstance(arg, os.PathLike) else arg for arg in args]
        began = time.monotonic()
        done = subprocess.run(argv, input=input if input is not None else b"", capture_output=True, env=environment,
                              cwd=cwd or self.folder, preexec_fn=before, timeout=timeout)
        return Result(args, done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def holdfast(self, *args, code=0, **options):
        """Runs the program and expects this exit status."""
        result = self.run_program(*args, **options)
        self.assertEqual(result.code, code, str(result))
        return result

    def fails(self, code, *args, says=(), hints=(), **options):
        """Runs the program, expects it to fail with this status, message and hint; returns the result."""
        result = self.holdfast(*args, code=code, **options)
        plain = " ".join(result.errors.split())
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, plain, str(result))
        for text in [hints] if isinstance(hints, str) else hints:
            hint = plain[plain.find("hint:"):] if "hint:" in plain else ""
            self.assertIn(text, hint, str(result))
        self.assertNotIn("internal", plain.split(":")[1] if ":" in plain else "", str(result))
        return result

    def start(self, *args, env=None, **options):
        """Starts the program and does not wait for it."""
        environment = self.environment_with(env)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen([PROGRAM, *map(str, args)], env=environment, cwd=self.folder, **options)
        self.addCleanup(end, child)
        return child

    @staticmethod
    def ordinary_user():
        """Whom to run the program as, for what root may do and others may not."""
        return OrdinaryUser()

    def init(self):
        return self.holdfast("init")

    def backup(self, *args, code=0, **options):
        """The `snapshot` lines of a backup."""
        lines = self.holdfast("backup", "--json", *args, code=code, **options).lines()
        self.assertEqual(lines[-1]["type"], "summary")
        self.assertEqual(lines[-1]["schema"], "holdfast.backup/1")
        return [line for line in lines if line["type"] == "snapshot"]

    def snapshots(self):
        return self.holdfast("snapshots", "--json").document()["snapshots"]

    def check(self, *args, code=0):
        """The summary of a check."""
        return self.holdfast("check", *args, "--json", code=code).lines()[-1]

    def restore(self, snapshot, target, *args, code=0, **options):
        return self.holdfast("restore", snapshot, "--to", target, *args, "--json", code=code, **options)

    def objects(self, prefix=""):
        """Files of the repository below a prefix, without what is being written."""
        base = self.repo / prefix
        if base.is_file():
            return [base]
        return sorted(p for p in base.rglob("*") if p.is_file() and ".tmp" not in p.parts)

    def assert_same_tree(self, expected, found):
        self.assertEqual(differences(expected, found), [])
        self.assertEqual(rsync(expected, found), "")


POSTGRES_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgresServer:
    """A real PostgreSQL server in a folder of its own, on a private socket and a free port of the loopback."""

    def __init__(self, **settings):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-pg-"))
        self.port = free_port()
        self.prefix = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        self.folder.chmod(0o755)
        data = self.folder / "data"
        password = self.folder / "password"
        password.write_text("secret of the superuser\n")
        password.chmod(0o644)
        subprocess.run([*self.prefix, POSTGRES_BIN / "initdb", "--pgdata", data, "--username=postgres", "--no-sync",
                        "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256",
                        f"--pwfile={password}"], check=True, capture_output=True, cwd="/")
        every = {"fsync": "off", "full_page_writes": "off", "listen_addresses": "127.0.0.1", "port": self.port,
                 "unix_socket_directories": self.folder, "max_connections": 50, "shared_buffers": "64MB",
                 "wal_level": "minimal", "max_wal_senders": 0, "autovacuum": "off", "log_min_messages": "fatal"}
        every.update(settings)
        argv = [*self.prefix, POSTGRES_BIN / "postgres", "-D", data]
        for name, value in every.items():
            argv += ["-c", f"{name}={value}"]
        self.argv = argv
        self.log = open(self.folder / "log", "wb")
        atexit.register(self.stop)
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/")
        for _ in range(600):
            if subprocess.run([POSTGRES_BIN / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)],
                              check=False).returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text(errors="replace"))

    def shut_down(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(60)

    def stop(self):
        self.shut_down()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database="", user="postgres", password=None):
        """By way of the socket, where nobody needs a password; with one, by TCP."""
        if password is not None:
            return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{quote(database)}"
        return f"postgres://{user}@{quote(str(self.folder), safe='')}:{self.port}/{quote(database, safe='')}"

    def environment(self):
        return {"PATH": os.environ["PATH"], "PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": "postgres",
                "LC_ALL": "C.UTF-8"}

    def run(self, program, *args, input=None):
        done = subprocess.run([POSTGRES_BIN / program, *args], input=input, capture_output=True,
                              env=self.environment(), check=False)
        if done.returncode != 0:
            raise AssertionError(f"{program} {args}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def sql(self, text, database="postgres"):
        """Runs statements; returns what a query gives, rows as lines, columns with '|'."""
        argv = ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", database]
        return self.run("psql", *argv, input=text.encode()).decode().rstrip("\n")

    def session(self, database="postgres"):
        """A psql that stays: give it statements by its standard input."""
        return subprocess.Popen([POSTGRES_BIN / "psql", "-X", "-q", "-At", "-d", database], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment(), text=True,
                                bufsize=1)

    def databases(self):
        return self.sql("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1").splitlines()

    def dump(self, database, *args):
        """What the independent judge sees: pg_dump as text, without what changes each time."""
        text = self.run("pg_dump", "--create", *args, database).decode()
        lines = [line for line in text.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]
        return lines


class RedisServer:
    """A real redis-server in a folder of its own, on a free port of the loopback and a private socket."""

    def __init__(self, *settings, data=None, wait=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-redis-"))
        self.port = free_port()
        self.socket = self.folder / "redis.sock"
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.data.mkdir(exist_ok=True)
        self.settings = [str(each) for each in settings]
        self.start(wait)
        atexit.register(self.stop)

    def start(self, wait=True):
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket),
                "--dir", str(self.data), "--save", "", "--daemonize", "no", "--enable-debug-command", "local",
                "--repl-diskless-sync-delay", "0", *self.settings]
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        if wait:
            wait_until(lambda: self.process.poll() is not None or self.try_run("PING") == "PONG", "redis-server starts")
            if self.process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text(errors="replace"))

    def stop(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)
        self.log.close()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database=None):
        return f"redis://127.0.0.1:{self.port}" + ("" if database is None else f"/{database}")

    def cli(self, *args):
        return ["redis-cli", "-p", str(self.port), *map(str, args)]

    def try_run(self, *args):
        done = subprocess.run(self.cli(*args), capture_output=True, check=False)
        return done.stdout.decode(errors="replace").rstrip("\n")

    def run(self, *args, input=None, database=0):
        """What redis-cli prints for a command."""
        argv = ["redis-cli", "-p", str(self.port), "-n", str(database), *map(str, args)]
        done = subprocess.run(argv, input=input, capture_output=True, check=True)
        text = done.stdout.decode(errors="replace").rstrip("\n")
        if text.startswith(("ERR", "NOPERM", "WRONGTYPE", "(error)")):
            raise AssertionError(f"{args}: {text}")
        return text

    def send(self, commands):
        """Many commands, each a list of bytes, str or numbers; checks that none fails."""
        out = bytearray()
        for command in commands:
            parts = [each if isinstance(each, bytes) else str(each).encode() for each in command]
            out += b"*%d\r\n" % len(parts)
            for part in parts:
                out += b"$%d\r\n%s\r\n" % (len(part), part)
        done = subprocess.run(["redis-cli", "-p", str(self.port), "--pipe"], input=bytes(out), capture_output=True,
                              check=False)
        if b"errors: 0" not in done.stdout:
            raise AssertionError(done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace"))

    def digest(self):
        """The server's own digest of its whole data, the independent judge."""
        return self.run("DEBUG", "DIGEST")


_servers = {}


def postgres_server(name="first", **settings):
    """One server serves many tests; each makes databases of its own."""
    if name not in _servers:
        _servers[name] = PostgresServer(**settings)
    return _servers[name]


def rsync(expected, found):
    """What rsync would have to do to make `found` equal."""
    argv = ["rsync", "-aHAXn", "--checksum", "--delete", "-i", f"{expected}/", f"{found}/"]
    done = subprocess.run(argv, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def describe(fd, name):
    """All that a restore must bring back of one name in an open folder, besides content."""
    info = os.stat(name, dir_fd=fd, follow_symlinks=False)
    out = {
        "mode": oct(info.st_mode),
        "owner": (info.st_uid, info.st_gid),
        "links": None if stat.S_ISDIR(info.st_mode) else info.st_nlink,
        "mtime": info.st_mtime_ns,
        "device": info.st_rdev if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode) else 0,
        "size": info.st_size if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode) else 0,
    }
    path = f"/proc/self/fd/{fd}/".encode() + name
    out["attributes"] = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
    if stat.S_ISLNK(info.st_mode):
        out["link"] = os.readlink(name, dir_fd=fd)
    return out, info


def content_of(fd, name):
    """A hash of the bytes, holes as zeros, and how much of the disk they take."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
    try:
        info = os.fstat(file)
        digest, at = hashlib.sha256(), 0
        while at < info.st_size:
            try:
                data = os.lseek(file, at, os.SEEK_DATA)
            except OSError:  # no data any more
                data = info.st_size
            for begin in range(at, data, len(ZEROS)):
                digest.update(ZEROS[:data - begin])
            at = data
            hole = os.lseek(file, at, os.SEEK_HOLE) if at < info.st_size else at
            while at < hole:
                piece = os.pread(file, min(1 << 20, hole - at), at)
                digest.update(piece)
                at += len(piece)
        return digest.hexdigest(), info.st_blocks * 512
    finally:
        os.close(file)


def show(path):
    text = repr(path)
    return text if len(text) < 160 else f"{text[:70]}…{text[-70:]}"


def walk(root):
    """Every name below a folder as (path, folder fd, name); open folder by folder, so paths may be of any length."""
    def inside(fd, path):
        for name in sorted(os.listdir(fd)):
            name = os.fsencode(name)
            yield os.path.join(path, name), fd, name
            if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                try:
                    yield from inside(below, os.path.join(path, name))
                finally:
                    os.close(below)

    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield from inside(top, b"")
    finally:
        os.close(top)


def differences(expected, found, ignore=()):
    """Lines that say where two trees differ in anything that a restore must bring back."""
    out = []
    right = {}
    inodes = {}
    for path, fd, name in walk(found):
        facts, info = describe(fd, name)
        if stat.S_ISREG(info.st_mode):
            facts["content"], facts["stored"] = content_of(fd, name)
        right[path] = facts
        inodes[path] = info.st_ino
    groups = {}
    for path, fd, name in walk(expected):
        facts, info = describe(fd, name)
        if stat.S_ISREG(info.st_mode):
            facts["content"], facts["stored"] = content_of(fd, name)
        other = right.pop(path, None)
        if other is None:
            out.append(f"{show(path)} is missing")
            continue
        if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
            groups.setdefault(info.st_ino, []).append(path)
        # A file with holes must not come back without them.
        stored, other_stored = facts.pop("stored", 0), other.pop("stored", 0)
        if stored * 2 < facts["size"] and other_stored > stored + (1 << 20):
            out.append(f"{show(path)} takes {other_stored} bytes on disk, {stored} before")
        for key in facts:
            if key not in ignore and facts[key] != other.get(key):
                a, b = facts[key], other.get(key)
                out.append(f"{show(path)}: {key} is {b}, was {a}")
    out.extend(f"{show(path)} is there and should not be" for path in right)
    for paths in groups.values():
        if len({inodes.get(path) for path in paths}) != 1:
            out.append(f"{paths!r} are no longer one file")
    return out


def remove_tree(path):
    """As `rm -rf`, also of what has no permissions or is too deep for shutil."""
    subprocess.run(["umount", "-q", *[str(p) for p in pathlib.Path(path).glob("mount*")]], check=False, capture_output=True)
    subprocess.run(["chmod", "-R", "u+rwx", str(path)], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", str(path)], check=False, capture_output=True)
    if os.path.exists(path):
        shutil.rmtree(path, ignore_errors=True)


def end(child):
    if child.poll() is None:
        child.send_signal(signal.SIGKILL)
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream:
            stream.close()


def wait_until(condition, what, seconds=60):
    """Waits for a condition; there is no sleeping where one can be waited for. `what`: text, or a function that makes it."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"this never came true: {what() if callable(what) else what}")
        time.sleep(0.002)


def noise(seed, size):
    """Bytes that do not compress, the same for the same seed."""
    return random.Random(repr(seed)).randbytes(size)


class _Results(unittest.TestResult):
    """Prints failures at once, keeps all for the result file."""

    def __init__(self, file):
        super().__init__()
        self.file, self.cases, self.began = file, [], 0.0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def _keep(self, test, failure=None, tag="failure"):
        case = xml.Element("testcase", classname=f"e2e.{self.file}.{type(test).__name__}",
                           name=getattr(test, "_testMethodName", str(test)), time=f"{time.monotonic() - self.began:.3f}")
        if failure is not None:
            text = "".join(traceback.format_exception(*failure)) if isinstance(failure, tuple) else str(failure)
            # No control characters: they are not XML.
            text = re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd]", "?", text)
            xml.SubElement(case, tag, message=text.splitlines()[-1] if text else "").text = text
            print(f"FAIL {self.file} {case.get('name')}\n{text}", flush=True)
        self.cases.append(case)

    def addSuccess(self, test):
        self._keep(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._keep(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._keep(test, err, "error")

    def addSkip(self, test, reason):
        self._keep(test, f"skipped: {reason}", "skipped")
        super().addFailure(test, (AssertionError, AssertionError(reason), None))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._keep(subtest, err)


def main():
    """Runs the tests of the file that calls it; arguments choose some: `python3 files_test.py restore`."""
    module = sys.modules["__main__"]
    file = pathlib.Path(module.__file__).stem
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    results = _Results(file)
    wanted = sys.argv[1:]
    limit_tests()
    for case in _flat(suite):
        if not wanted or any(word in case.id() for word in wanted):
            run_one(case, results)
    folder = os.environ.get("HOLDFAST_RESULTS")
    if folder:
        root = xml.Element("testsuite", name=f"e2e.{file}", tests=str(len(results.cases)))
        root.extend(results.cases)
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        xml.ElementTree(root).write(os.path.join(folder, f"{file}.xml"), encoding="utf-8")
    sys.exit(0 if results.wasSuccessful() and results.cases else 1)


def run_one(case, results):
    signal.alarm(TEST_LIMIT)
    try:
        case.run(results)
    finally:
        signal.alarm(0)


def _flat(suite):
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _flat(each)
        else:
            yield each
