"""An S3 server in memory that answers as a test scripts it: for what MinIO cannot play (key services, storage classes, policies
that deny one action, quotas, stale listings, roles of machines), from the exchanges in Amazon's API reference. Signatures
are not checked."""

import email.utils
import hashlib
import json
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
QUERIES = {"versioning": ("s3:GetBucketVersioning", "<VersioningConfiguration/>"),
           "encryption": ("s3:GetEncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError"),
           "object-lock": ("s3:GetBucketObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"),
           "lifecycle": ("s3:GetLifecycleConfiguration", "NoSuchLifecycleConfiguration"),
           "replication": ("s3:GetReplicationConfiguration", "ReplicationConfigurationNotFoundError")}


class Refusal(Exception):
    """What a script raises to answer with an error of S3."""

    def __init__(self, status, code, message="by the script", more="", html=None):
        super().__init__(code)
        self.status, self.kind = status, "text/html" if html else "application/xml"
        self.body = (html or f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>").encode()


class Tunnel:
    """An HTTP proxy: whatever host a CONNECT asks for, it is led to `server`. `asked`: the hosts."""

    def __init__(self, server):
        self.asked = []
        tunnel, port = self, int(server.endpoint.rsplit(":", 1)[1])

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self):
                tunnel.asked.append(self.path)
                self.send_response_only(200)
                self.end_headers()
                with socket.create_connection(("127.0.0.1", port)) as there:
                    other = {self.connection: there, there: self.connection}
                    while True:
                        for each in select.select(list(other), [], [])[0]:
                            data = each.recv(65536)
                            if not data:
                                self.close_connection = True
                                return
                            other[each].sendall(data)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ScriptedS3:
    """`objects`: key to (bytes, headers of the PUT). `before(action, key, headers)` may raise a Refusal; headers[":method"] is the
    method. `answers` maps a bucket's query ("versioning") to XML or a Refusal; `listing(keys)` changes what a listing shows,
    `listed(xml)` how it says so; `is_heard(action, key)`: false closes the connection instead of answering what was done;
    `cuts(method, data)`: half of the answer, without its length; `looks_first`: so many that create one object at
    once all succeed; `page`: keys in a page of a listing; `signs_answers`: with the header by which a store is known;
    `condition` and `prefix` are the headers of a PUT that
    creates if absent, and of what is signed. `credentials()` is what the services of containers, instances and accounts give, as (key, secret, token, expiration)."""

    def __init__(self, bucket="bucket", tls=None):
        self.bucket, self.objects, self.requests, self.lock = bucket, {}, [], threading.RLock()
        self.before = lambda action, key, headers: None
        self.listing = lambda keys: keys
        self.listed = lambda xml: xml
        self.cuts = lambda method, data: False
        self.looks_first, self.looking = 0, {}
        self.condition, self.prefix = {"if-none-match": "*"}, "x-amz-"
        self.is_heard = lambda action, key: True
        self.answers, self.page, self.signs_answers = {}, 0, True
        self.date = lambda: time.time()
        self.credentials = lambda: ("scripted", "scripted", "token", "2099-01-01T00:00:00Z")
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                url = urlsplit(self.path)
                query = parse_qs(url.query, keep_blank_values=True)
                path = unquote(url.path).lstrip("/")
                if self.headers["host"].startswith(server.bucket + "."):
                    path = f"{server.bucket}/{path}"
                parts = path.split("/", 1)
                key = parts[1] if len(parts) > 1 else ""
                headers = {name.lower(): value for name, value in self.headers.items()} | {":method": self.command}
                try:
                    with server.lock:
                        answer = server.handle(self.command, parts[0], key, query, headers, body)
                        if key and not server.is_heard(ACTIONS[self.command], key):
                            self.close_connection = True
                        else:
                            self.answer(*answer)
                except Refusal as refusal:
                    self.answer(refusal.status, {"content-type": refusal.kind}, refusal.body)

            def answer(self, status, headers, data):
                self.send_response_only(status)
                if server.signs_answers:
                    self.send_header("x-amz-request-id", "scripted")
                self.send_header("date", email.utils.formatdate(server.date(), usegmt=True))
                if server.cuts(self.command, data):
                    headers, data = {**headers, "connection": "close"}, data[:len(data) // 2]
                    headers.pop("content-length", None)
                else:
                    headers.setdefault("content-length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_one

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def environment(self):
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "scripted", "AWS_SECRET_ACCESS_KEY": "scripted",
                "AWS_REGION": "eu-west-1"}

    def handle(self, method, bucket, key, query, headers, body):
        if bucket in ("", "creds", "latest"):
            return self.gives_credentials(method, bucket + "/" + key, parse_qs(body.decode()) if method == "POST" else query, headers)
        if bucket != self.bucket:
            raise Refusal(404, "NoSuchBucket")
        if not key:
            return self.of_bucket(query, headers)
        action = ACTIONS[method]
        self.requests.append((action, key, headers))
        self.before(action, key, headers)
        if method == "PUT":
            is_there = self.condition.items() <= headers.items() and key in self.objects
            if self.looks_first:
                self.look(key)
            if is_there:
                raise Refusal(412, "PreconditionFailed")
            if hashlib.sha256(body).hexdigest() != headers.get(f"{self.prefix}content-sha256"):
                raise Refusal(400, "XAmzContentSHA256Mismatch")
            self.objects[key] = (body, headers, self.date())
            return 200, {}, b""
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        if key not in self.objects:
            raise Refusal(404, "NoSuchKey")
        data, put, created = self.objects[key]
        out = {"last-modified": email.utils.formatdate(created, usegmt=True), "content-length": str(len(data))}
        if "range" in headers and method == "GET":
            first, last = (int(each) for each in headers["range"].removeprefix("bytes=").split("-"))
            if first >= len(data):
                raise Refusal(416, "InvalidRange")
            data = data[first:last + 1]
            return 206, {"last-modified": out["last-modified"],
                         "content-range": f"bytes {first}-{first + len(data) - 1}/{len(self.objects[key][0])}"}, data
        if "x-amz-checksum-sha256" in put:
            out["x-amz-checksum-sha256"] = put["x-amz-checksum-sha256"]
        return 200, out, data

    def look(self, key):
        """Lets go of the lock until so many look at this key at the same time, or none comes for a while."""
        self.looking[key] = self.looking.get(key, 0) + 1
        for _ in range(100):
            if self.looking[key] >= self.looks_first:
                break
            self.lock.release()
            time.sleep(0.01)
            self.lock.acquire()

    def gives_credentials(self, method, path, query, headers):
        """The services of a container (/creds), an instance (version 2: with a token) and STS."""
        self.requests.append(("credentials", path, headers))
        if method == "POST" and query.get("Action") == ["AssumeRoleWithWebIdentity"]:
            if query["WebIdentityToken"] != ["of the pod"]:
                raise Refusal(400, "InvalidIdentityToken")
            key, secret, token, until = self.credentials()
            return 200, {"content-type": "text/xml"}, (
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
                f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}"
                f"</SessionToken><Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                "</AssumeRoleWithWebIdentityResponse>").encode()
        if path == "latest/api/token" and method == "PUT":
            return 200, {}, b"of the instance"
        if path.startswith("latest/") and headers.get("x-aws-ec2-metadata-token") != "of the instance":
            raise Refusal(401, "Unauthorized")
        if path == "latest/meta-data/iam/security-credentials/":
            return 200, {}, b"backup-role"
        if path in ("creds/", "latest/meta-data/iam/security-credentials/backup-role"):
            key, secret, token, until = self.credentials()
            return 200, {"content-type": "application/json"}, json.dumps(
                {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": until}).encode()
        raise Refusal(404, "NotFound")

    def of_bucket(self, query, headers):
        for name, (action, nothing) in QUERIES.items():
            if name in query:
                self.requests.append((action, "", headers))
                self.before(action, "", headers)
                answer = self.answers.get(name, nothing)
                if isinstance(answer, Refusal):
                    raise answer
                if not answer.startswith("<"):
                    raise Refusal(404, answer)
                return 200, {"content-type": "application/xml"}, answer.encode()
        self.requests.append(("s3:ListBucket", query.get("prefix", [""])[0], headers))
        self.before("s3:ListBucket", query.get("prefix", [""])[0], headers)
        prefix = query.get("prefix", [""])[0]
        keys = self.listing(sorted(key for key in self.objects if key.startswith(prefix)))
        begin = int(query.get("continuation-token", ["0"])[0])
        end = begin + (self.page or len(keys))
        more = end < len(keys)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key][0]) if key in self.objects else 0}</Size>"
            f"<LastModified>2026-03-01T00:00:00.000Z</LastModified></Contents>" for key in keys[begin:end])
        return 200, {"content-type": "application/xml"}, self.listed(
            f"<ListBucketResult><Name>{self.bucket}</Name><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{f'<NextContinuationToken>{end}</NextContinuationToken>' if more else ''}{contents}"
            "</ListBucketResult>").encode()
