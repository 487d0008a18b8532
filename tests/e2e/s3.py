"""A real S3 server for tests, and a proxy before it that makes the network and the store as bad as a test wants."""

import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from harness import free_port

USER, PASSWORD = "holdfast-tests", "holdfast-tests-secret"


class Authority:
    """A certificate authority of its own, in `folder`; `certificate` is what clients trust."""

    def __init__(self, folder, name="the tests"):
        self.folder, self.certificate, self.key = folder, folder / "authority.crt", folder / "authority.key"
        folder.mkdir(parents=True)
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=authority of {name}",
                     "-keyout", self.key, "-out", self.certificate)

    def openssl(self, *argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, cwd=self.folder)

    def sign_for(self, address, certificate, key):
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a server", "-keyout", key, "-out", "request")
        (self.folder / "extensions").write_text(f"subjectAltName=IP:{address}\n")
        self.openssl("x509", "-req", "-in", "request", "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                     "-days", "2", "-extfile", "extensions", "-out", certificate)


class Minio:
    """MinIO on a free port of the loopback; `stop()` ends it. With `tls` it has a certificate of `self.authority`."""

    def __init__(self, tls=False, certified_for="127.0.0.1", who=(USER, PASSWORD)):
        self.who = who
        build = pathlib.Path(__file__).resolve().parents[1] / "servers/build.sh"
        program = subprocess.run([build, "minio"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-minio-"))
        self.authority, options = None, []
        if tls:
            self.authority = Authority(self.folder / "authority")
            certificates = self.folder / "certificates"
            certificates.mkdir()
            self.authority.sign_for(certified_for, certificates / "public.crt", certificates / "private.key")
            options = ["--certs-dir", certificates]
        self.port, console = free_port(), free_port()
        self.log = open(self.folder / ".log", "wb")
        self.process = subprocess.Popen(
            [program, "server", "--quiet", *options, "--address", f"127.0.0.1:{self.port}", "--console-address",
             f"127.0.0.1:{console}", self.folder / "data"], stdout=self.log, stderr=self.log,
            env=dict(os.environ, MINIO_ROOT_USER=who[0], MINIO_ROOT_PASSWORD=who[1], MINIO_DOMAIN="localhost"))
        self.console = f"http://127.0.0.1:{console}"
        self.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 60
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("MinIO did not start: " + (self.folder / ".log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def is_ready(self):
        try:
            link = self.connect(timeout=5)
            link.request("GET", "/")  # 503 until it is ready, then denied without a signature
            return link.getresponse().status == 403
        except OSError:
            return False

    def connect(self, timeout=30):
        if not self.authority:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        trust = ssl.create_default_context(cafile=self.authority.certificate)
        trust.check_hostname = False
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=trust)

    def request(self, method, path, query=None, body=b"", headers=None, service="s3", who=None, link=None):
        """A signed request, as anybody with these credentials may make it; the answer's body. `link`: a connection to use."""
        return self.exchange(method, path, query, body, headers, service, who, link)[1]

    def exchange(self, method, path, query=None, body=b"", headers=None, service="s3", who=None, link=None):
        """The same: headers and body."""
        who = who or self.who
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        host, scope = f"127.0.0.1:{self.port}", f"{now[:8]}/us-east-1/{service}/aws4_request"
        hashed = hashlib.sha256(body).hexdigest()
        headers = dict(sorted({**(headers or {}), "host": host, "x-amz-content-sha256": hashed, "x-amz-date": now}.items()))
        names = ";".join(headers)
        asked = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted((query or {}).items()))
        canonical = "\n".join([method, quote(path), asked, *[f"{k}:{v}" for k, v in headers.items()], "", names, hashed])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + who[1]).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        own = None if link else self.connect()
        link = link or own
        link.request(method, quote(path) + (f"?{asked}" if asked else ""), body,
                     {**headers, "authorization": f"AWS4-HMAC-SHA256 Credential={who[0]}/{scope}, "
                                 f"SignedHeaders={names}, Signature={signature}"})
        reply = link.getresponse()
        data = reply.read()
        if own:
            own.close()
        assert reply.status in (200, 204, 206), (reply.status, data)
        return {name.lower(): value for name, value in reply.getheaders()}, data

    def make_bucket(self, name):
        (self.folder / "data" / name).mkdir()

    def keep_versions(self, bucket):
        self.request("PUT", f"/{bucket}", {"versioning": ""}, b"<VersioningConfiguration><Status>Enabled</Status>"
                                                             b"</VersioningConfiguration>")

    def head(self, bucket, key):
        return self.exchange("HEAD", f"/{bucket}/{key}")[0]

    def read(self, bucket, key):
        return self.request("GET", f"/{bucket}/{key}")

    def overwrite(self, bucket, key, data):
        """As a thief of the bucket's credentials could, who asks for no condition."""
        self.request("PUT", f"/{bucket}/{key}", body=data)

    def keys(self, bucket, prefix=""):
        text = self.request("GET", f"/{bucket}", {"list-type": "2", "prefix": prefix}).decode()
        return re.findall("<Key>(.*?)</Key>", text)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, endpoint=None):
        trust = {"AWS_CA_BUNDLE": str(self.authority.certificate)} if self.authority else {}
        return {"AWS_ENDPOINT_URL": endpoint or self.endpoint, "AWS_ACCESS_KEY_ID": self.who[0],
                "AWS_SECRET_ACCESS_KEY": self.who[1], "AWS_REGION": "us-east-1", **trust}

    def profile(self, name):
        """For ~/.aws/credentials: all that is to be known of this server."""
        return (f"[{name}]\naws_access_key_id = {self.who[0]}\naws_secret_access_key = {self.who[1]}\nregion = us-east-1\n"
                f"endpoint_url = {self.endpoint}\n"
                + (f"ca_bundle = {self.authority.certificate}\n" if self.authority else ""))


class Proxy:
    """Passes requests on, except for what `faults(method, path)` says: a status to answer with, "cut" to end the answer
    in its middle, "lost" to pass the request on and say nothing, "stall" to say nothing and not hang up either, "flip" to
    change a byte of the answer, or None."""

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
                if fault == "stall":
                    self.connection.settimeout(300)
                    try:
                        self.connection.recv(1)  # until the client has enough of it
                    except OSError:
                        pass
                    return self.hang_up()
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
                    at = random.randrange(len(data))
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
