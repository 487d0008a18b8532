"""A MongoDB server that plays what real ones send and the other test server cannot: members of a set with reads at one
cluster time, ranges of an index, an oplog that is tailed, time series, views, users, missing roles, cursors that end; SCRAM,
x509 and TLS.

Databases are {name: {collection: Collection}}; `faults` are functions (command, document) -> error reply or None.
"""

import base64
import bisect
import hashlib
import hmac
import os
import socket
import ssl
import struct
import threading
import time

from mongo_wire import (OP_MSG, OP_QUERY, OP_REPLY, Date, Int64, ObjectId, Raw, Timestamp, decode, encode, message,
                        read_message)

CLUSTER_TIME = Timestamp(1_700_000_000 << 32 | 5)


class Collection:
    def __init__(self, documents=(), kind="collection", options=None, indexes=None):
        self.documents = [Raw(each) if isinstance(each, bytes) else Raw(encode(each)) for each in documents]
        self.kind, self.options = kind, options or {}
        self.indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}] + (indexes or [])
        self.ids = None

    def place(self, bound):
        """Where in the order of the index on _id a value stands: numbers before texts."""
        key = lambda value: (isinstance(value, str), value)
        if self.ids is None:
            self.ids = [key(decode(each)["_id"]) for each in self.documents]
        return bisect.bisect_left(self.ids, key(bound["_id"]))


def error(code, name, text):
    return {"ok": 0.0, "errmsg": text, "code": code, "codeName": name}


class Scram:
    """The server's side of one SCRAM-SHA-256 conversation."""

    def __init__(self, users, payload):
        self.first = payload.decode().split(",", 2)[2]
        fields = dict(each.split("=", 1) for each in self.first.split(","))
        self.password = users.get(fields["n"])
        salt = os.urandom(28)  # as servers have it, and drivers demand
        self.reply = f"r={fields['r']}{os.urandom(9).hex()},s={base64.b64encode(salt).decode()},i=4096"
        self.salted = hashlib.pbkdf2_hmac("sha256", (self.password or "").encode(), salt, 4096)

    def finish(self, payload):
        """What proves the server; None when the client did not prove that it knows the password."""
        without_proof, proof = payload.decode().rsplit(",p=", 1)
        sign = lambda key, text: hmac.digest(key, text.encode(), "sha256")
        said = f"{self.first},{self.reply},{without_proof}"
        client_key = sign(self.salted, "Client Key")
        signature = sign(hashlib.sha256(client_key).digest(), said)
        expected = bytes(a ^ b for a, b in zip(client_key, signature))
        if self.password is None or base64.b64decode(proof) != expected:
            return None
        return "v=" + base64.b64encode(sign(sign(self.salted, "Server Key"), said)).decode()


class ScriptedMongo:
    """`users` {name: password} by SCRAM-SHA-256; `tls` (certificate and key, authority): clients show a certificate, and are
    who it says."""

    FREE = {"hello", "ismaster", "saslstart", "saslcontinue", "authenticate", "ping", "endsessions"}

    def __init__(self, databases, hello=None, batch=100, users=None, tls=None, knows_bounds=True):
        self.databases, self.batch, self.users, self.knows_bounds = databases, batch, users, knows_bounds
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(tls[0])
            self.tls.load_verify_locations(tls[1])
            self.tls.verify_mode = ssl.CERT_REQUIRED
        self.faults, self.commands, self.cursors = [], [], {}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.hello = {"ismaster": True, "isWritablePrimary": True, "setName": "rs0", "setVersion": 1, "primary": self.host,
                      "hosts": [self.host], "me": self.host, "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48000000,
                      "maxWriteBatchSize": 100000, "localTime": Date(1_700_000_000_000), "minWireVersion": 0,
                      "maxWireVersion": 17, "logicalSessionTimeoutMinutes": 30, "ok": 1.0, **(hello or {})}
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def url(self, database=""):
        return f"mongodb://{self.host}/{database}"

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        session = {}
        with connection:
            try:
                if self.tls:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                while True:
                    request, code, body = read_message(connection)
                    if code == OP_QUERY:
                        document = decode(body, body.index(b"\0", 4) + 9)
                        reply = struct.pack("<iqii", 8, 0, 0, 1) + encode(self.answer(document, session))
                        connection.sendall(message(1, request, OP_REPLY, reply))
                        continue
                    flags = struct.unpack_from("<I", body)[0]
                    reply = self.answer(decode(body, 5), session)
                    if reply is None:
                        return
                    if not flags & 2:
                        connection.sendall(message(1, request, OP_MSG, struct.pack("<I", 0) + b"\0" + encode(reply)))
            except (ConnectionError, OSError):
                return

    def answer(self, document, session):
        verb = next(iter(document))
        if verb.lower() not in self.FREE and (self.users or self.tls) and "user" not in session:
            return error(13, "Unauthorized", f"command {verb} requires authentication")
        if verb in ("saslStart", "saslContinue", "authenticate"):
            return getattr(self, "do_" + verb.lower())(document, session)
        self.commands.append(document)
        for fault in self.faults:
            reply = fault(verb, document)
            if reply is not None:
                return None if reply == "hang up" else reply
        method = getattr(self, "do_" + verb.lower(), None)
        if method is None:
            return error(59, "CommandNotFound", f"no such command: '{verb}'")
        return method(document)

    def cursor(self, document, documents, extra=None):
        ns = f"{document['$db']}.{document.get('find', '$cmd.' + next(iter(document)))}"
        size = min(document.get("batchSize", self.batch), self.batch)
        if document.get("limit"):
            documents = documents[:document["limit"]]
        id = 0
        if len(documents) > size and not document.get("singleBatch"):
            id = len(self.cursors) + 1
            self.cursors[id] = (ns, documents[size:])
        return {"cursor": {"id": Int64(id), "ns": ns, "firstBatch": documents[:size], **(extra or {})}, "ok": 1.0}

    def do_saslstart(self, document, session):
        session["scram"] = Scram(self.users, document["payload"])
        return {"conversationId": 1, "done": False, "payload": session["scram"].reply.encode(), "ok": 1.0}

    def do_saslcontinue(self, document, session):
        proof = session["scram"].finish(document["payload"])
        if proof is None:
            return error(18, "AuthenticationFailed", "Authentication failed.")
        session["user"] = True
        return {"conversationId": 1, "done": True, "payload": proof.encode(), "ok": 1.0}

    def do_authenticate(self, document, session):
        if not self.tls or document["mechanism"] != "MONGODB-X509":
            return error(18, "AuthenticationFailed", "Authentication failed.")
        session["user"] = True  # TLS has looked at the certificate
        return {"ok": 1.0}

    def do_hello(self, _):
        return self.hello

    do_ismaster = do_hello

    def do_ping(self, _):
        return {"ok": 1.0}

    do_endsessions = do_killcursors = do_ping

    def do_buildinfo(self, _):
        return {"version": "6.0.12", "ok": 1.0}

    def do_listdatabases(self, _):
        return {"databases": [{"name": name} for name in self.databases], "ok": 1.0}

    def do_listcollections(self, document):
        wanted = document.get("filter", {}).get("name")
        out = []
        for number, (name, each) in enumerate(self.databases.get(document["$db"], {}).items()):
            if wanted in (None, name):
                out.append({"name": name, "type": each.kind, "options": each.options,
                            "info": {"readOnly": each.kind == "view"}})
        return self.cursor(document, out)

    def do_listindexes(self, document):
        return self.cursor(document, self.databases[document["$db"]][document["listIndexes"]].indexes)

    def do_collstats(self, document):
        documents = self.databases[document["$db"]].get(document["collStats"], Collection()).documents
        return {"count": len(documents), "size": sum(map(len, documents)), "ok": 1.0}

    def do_find(self, document):
        collection = self.databases.get(document["$db"], {}).get(document["find"], Collection())
        if document.get("tailable"):
            return self.tail(document)
        found = collection.documents
        if self.knows_bounds and ("min" in document or "max" in document):
            begin = collection.place(document["min"]) if "min" in document else 0
            end = collection.place(document["max"]) if "max" in document else len(found)
            found = found[begin:end]
        found = found[document.get("skip", 0):]
        if document.get("projection") == {"_id": 1}:
            found = [encode({"_id": decode(each)["_id"]}) for each in found[:document.get("limit") or None]]
            found = [Raw(each) for each in found]
        range = document.get("filter", {}).get("ts", {})
        if range:
            found = [each for each in found if range.get("$gte", 0) <= decode(each)["ts"] <= range.get("$lte", 1 << 64)]
        if document.get("sort", {}).get("$natural") == -1:
            found = found[::-1]
        is_snapshot = document.get("readConcern", {}).get("level") == "snapshot"
        return self.cursor(document, found, {"atClusterTime": self.cluster_time()} if is_snapshot else None)

    def cluster_time(self):
        oplog = self.databases.get("local", {}).get("oplog.rs")
        return decode(oplog.documents[-1])["ts"] if oplog and oplog.documents else CLUSTER_TIME

    def oplog_behind(self, least):
        return [each for each in self.databases["local"]["oplog.rs"].documents if decode(each)["ts"] >= least]

    def tail(self, document):
        found = self.oplog_behind(document["filter"]["ts"]["$gte"])[:document["batchSize"]]
        id = len(self.cursors) + 1
        self.cursors[id] = ("local.oplog.rs", decode(found[-1])["ts"] + 1 if found else 0)
        return {"cursor": {"id": Int64(id), "ns": "local.oplog.rs", "firstBatch": found}, "ok": 1.0}

    def more_of_the_tail(self, document, least):
        deadline = time.monotonic() + document.get("maxTimeMS", 1000) / 1000
        while not (found := self.oplog_behind(least)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if found:
            self.cursors[document["getMore"]] = ("local.oplog.rs", decode(found[-1])["ts"] + 1)
        return {"cursor": {"id": Int64(document["getMore"]), "ns": "local.oplog.rs", "nextBatch": found}, "ok": 1.0}

    def do_getmore(self, document):
        if document["getMore"] not in self.cursors:
            return error(43, "CursorNotFound", f"cursor id {document['getMore']} not found")
        ns, left = self.cursors[document["getMore"]]
        if isinstance(left, int):
            return self.more_of_the_tail(document, left)
        size = min(document.get("batchSize", self.batch), self.batch)
        self.cursors[document["getMore"]] = (ns, left[size:])
        more = len(left) > size
        return {"cursor": {"id": Int64(document["getMore"] if more else 0), "ns": ns, "nextBatch": left[:size]}, "ok": 1.0}


def oplog_entry(number, op, ns, o, term=1, **more):
    return {"op": op, "ns": ns, "ts": Timestamp(1_700_000_000 << 32 | number), "t": Int64(term), "v": Int64(2),
            "wall": Date(1_700_000_000_000 + number), "o": o, **more}
