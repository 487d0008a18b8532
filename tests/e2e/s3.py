"""A real S3 server for tests, and a proxy before it that makes the network and the store as bad as a test wants."""

import http.client
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import free_port

USER, PASSWORD = "holdfast-tests", "holdfast-tests-secret"


class Minio:
    """MinIO on a free port of the loopback; `stop()` ends it."""

    def __init__(self):
        build = pathlib.Path(__file__).resolve().parents[1] / "servers/build.sh"
        program = subprocess.run([build, "minio"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-minio-"))
        self.port, console = free_port(), free_port()
        self.log = open(self.folder / ".log", "wb")
        self.process = subprocess.Popen(
            [program, "server", "--quiet", "--address", f"127.0.0.1:{self.port}", "--console-address",
             f"127.0.0.1:{console}", self.folder / "data"], stdout=self.log, stderr=self.log,
            env=dict(os.environ, MINIO_ROOT_USER=USER, MINIO_ROOT_PASSWORD=PASSWORD))
        self.console = f"http://127.0.0.1:{console}"
        self.endpoint = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 60
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("MinIO did not start: " + (self.folder / ".log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def is_ready(self):
        try:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            link.request("GET", "/")  # 503 until it is ready, then denied without a signature
            return link.getresponse().status == 403
        except OSError:
            return False

    def make_bucket(self, name):
        (self.folder / "data" / name).mkdir()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, endpoint=None):
        return {"AWS_ENDPOINT_URL": endpoint or self.endpoint, "AWS_ACCESS_KEY_ID": USER,
                "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_REGION": "us-east-1"}


class Proxy:
    """Passes requests on, except for what `faults(method, path)` says: a status to answer with, "cut" to end the answer
    in its middle, "lost" to pass the request on and say nothing, "flip" to change a byte of the answer, or None."""

    def __init__(self, minio, faults=lambda method, path: None, delay=0.0):
        self.faults, self.delay, self.requests, self.lock = faults, delay, [], threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                with proxy.lock:
                    proxy.requests.append((self.command, self.path))
                    fault = proxy.faults(self.command, self.path)
                time.sleep(proxy.delay)
                if isinstance(fault, int):
                    code = {503: "SlowDown", 500: "InternalError", 403: "AccessDenied"}.get(fault, "Other")
                    return self.answer(fault, {"content-type": "application/xml"},
                                       f"<Error><Code>{code}</Code><Message>by the proxy</Message></Error>".encode())
                link = http.client.HTTPConnection("127.0.0.1", minio.port, timeout=60)
                link.request(self.command, self.path, body, dict(self.headers))
                reply = link.getresponse()
                data = reply.read()
                headers = {k.lower(): v for k, v in reply.getheaders()}
                link.close()
                if fault == "lost":
                    return self.hang_up()
                if fault == "flip" and data:
                    at = len(data) // 2
                    data = data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1:]
                self.answer(reply.status, headers, data, cut=fault == "cut")

            def answer(self, status, headers, data, cut=False):
                headers.pop("transfer-encoding", None)
                headers.pop("connection", None)
                if self.command != "HEAD":
                    headers["content-length"] = str(len(data))
                self.send_response(status)
                for name, value in headers.items():
                    if name not in ("date", "server"):
                        self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data[:len(data) // 2] if cut else data)
                if cut:
                    self.hang_up()

            def hang_up(self):
                self.close_connection = True
                try:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_one

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def one_in(number, *kinds, seed=1):
    """Every number-th request, by chance, fails in one of these ways."""
    chance = random.Random(seed)
    return lambda method, path: chance.choice(kinds) if chance.randrange(number) == 0 else None
