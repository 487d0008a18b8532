"""A MongoDB server that plays what real ones send and the other test server cannot: members of a set with reads at one
cluster time, ranges of an index, an oplog that is tailed, time series, views, users, missing roles, cursors that end; SCRAM,
x509 and TLS. StoringMongo also takes what is written, as the bytes that came.

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

from mongo_wire import (OP_MSG, OP_QUERY, OP_REPLY, Command, Date, Int64, Raw, Timestamp, Uuid, decode, elements, encode,
                        message, part, read_message)

CLUSTER_TIME = Timestamp(1_700_000_000 << 32 | 5)


class Collection:
    def __init__(self, documents=(), kind="collection", options=None, indexes=None, uuid=None):
        self.documents = [Raw(each) if isinstance(each, bytes) else Raw(encode(each)) for each in documents]
        self.kind, self.options, self.uuid = kind, options or {}, uuid
        self.indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}] + (indexes or [])
        self.building = []  # indexes
        self.ids = None

    def place(self, bound):
        """Where in the order of the index on _id a value stands: numbers before texts, and null before both."""
        if bound["_id"] is None:
            return 0
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
    """`users` {name: password} of the database `auth_source`, by SCRAM-SHA-256; `tls` (certificate and key, authority): clients show a certificate, and are
    who it says."""

    FREE = {"hello", "ismaster", "saslstart", "saslcontinue", "authenticate", "ping", "endsessions"}

    def __init__(self, databases, hello=None, batch=100, users=None, tls=None, knows_bounds=True, auth_source="admin",
                 listener=None):
        self.databases, self.batch, self.users, self.knows_bounds = databases, batch, users, knows_bounds
        self.auth_source = auth_source
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(tls[0])
            self.tls.load_verify_locations(tls[1])
            self.tls.verify_mode = ssl.CERT_REQUIRED
        self.faults, self.commands, self.cursors = [], [], {}
        self.listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1] if listener is None else 0
        self.hello = {"ismaster": True, "isWritablePrimary": True, "setName": "rs0", "setVersion": 1, "primary": self.host,
                      "hosts": [self.host], "me": self.host, "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48000000,
                      "maxWriteBatchSize": 100000, "localTime": Date(1_700_000_000_000), "minWireVersion": 0,
                      "maxWireVersion": 17, "logicalSessionTimeoutMinutes": 30, "ok": 1.0, **(hello or {})}
        self.hello = {name: value for name, value in self.hello.items() if value is not None}
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
                    document = Command(decode(body, 5))
                    document.raw = body[5:]
                    reply = self.answer(document, session)
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
        if document["$db"] != self.auth_source:
            return error(18, "AuthenticationFailed", "Authentication failed.")
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

    def do_hello(self, document):
        return {**self.hello, "saslSupportedMechs": ["SCRAM-SHA-256"]} if "saslSupportedMechs" in document else self.hello

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
                            "info": {"readOnly": each.kind == "view", **({"uuid": each.uuid} if each.uuid else {})}})
        return self.cursor(document, out)

    def do_listindexes(self, document):
        here = self.databases[document["$db"]][document["listIndexes"]]
        building = here.building
        if document.get("includeBuildUUIDs"):
            building = [{"spec": each, "buildUUID": Uuid(os.urandom(16))} for each in building]
        return self.cursor(document, here.indexes + building)

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
        if is_snapshot and collection.options.get("capped"):
            return error(246, "SnapshotUnavailable", "Reading from capped collection with readConcern snapshot is not supported")
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


class StoringMongo(ScriptedMongo):
    """Keeps what is written, as mongod would after a restore; `switches` are its parameters."""

    def __init__(self, databases=None, **options):
        self.lock = threading.RLock()
        self.switches = {"ttlMonitorEnabled": True}
        self.says_pattern = True  # of the index that refuses a duplicate; servers before 4.4 do not
        super().__init__({} if databases is None else databases, **options)

    def answer(self, document, session):
        with self.lock:
            return super().answer(document, session)

    def collection(self, document, name):
        return self.databases.setdefault(document["$db"], {}).setdefault(name, Collection())

    def do_create(self, document):
        name, here = document["create"], self.databases.setdefault(document["$db"], {})
        if name in here:
            return error(48, "NamespaceExists", f"Collection already exists. NS: {document['$db']}.{name}")
        options = {each: value for each, value in document.items() if each not in ("create", "lsid", "writeConcern") and each[0] != "$"}
        kind = "view" if "viewOn" in options else "timeseries" if "timeseries" in options else "collection"
        here[name] = Collection(kind=kind, options=options)
        if "clusteredIndex" in options:
            here[name].indexes = [{**options["clusteredIndex"], "clustered": True}]
        if kind == "timeseries":
            here["system.buckets." + name] = Collection()
        return {"ok": 1.0}

    def do_drop(self, document):
        if self.databases.get(document["$db"], {}).pop(document["drop"], None) is None:
            return error(26, "NamespaceNotFound", "ns not found")
        return {"ok": 1.0}

    def do_dropdatabase(self, document):
        self.databases.pop(document["$db"], None)
        return {"ok": 1.0}

    def do_renamecollection(self, document):
        (old, old_name), (new, new_name) = (document[each].split(".", 1) for each in ("renameCollection", "to"))
        if new_name in self.databases.get(new, {}):
            return error(48, "NamespaceExists", "target namespace exists")
        self.databases.setdefault(new, {})[new_name] = self.databases[old].pop(old_name)
        return {"ok": 1.0}

    def do_createindexes(self, document):
        here = self.collection(document, document["createIndexes"])
        here.indexes += [{"v": 2, **each} for each in document["indexes"]]
        return {"ok": 1.0}

    def places(self, collection):
        return {part(each, "_id"): place for place, each in enumerate(collection.documents)}

    def duplicate(self, ns, number, index):
        where = f"E11000 duplicate key error collection: {ns} index: {index['name']} dup key: {{ }}"
        return {"index": number, "code": 11000, "errmsg": where, **({"keyPattern": index["key"]} if self.says_pattern else {})}

    def do_insert(self, document):
        here, refused, added = self.collection(document, document["insert"]), [], 0
        places = self.places(here)
        ns = f"{document['$db']}.{document['insert']}"
        taken = [(index, {tuple(part(each, name) for name in index["key"]) for each in here.documents})
                 for index in here.indexes if index.get("unique") and not index.get("clustered")]
        for number, (_, _, raw) in enumerate(elements(part(document.raw, "documents"))):
            id = part(bytes(raw), "_id")
            values = [tuple(part(bytes(raw), name) for name in index["key"]) for index, _ in taken]
            conflicts = [index for (index, known), value in zip(taken, values) if value in known]
            if id in places:
                conflicts.insert(0, {"key": {"_id": 1}, "name": "_id_"})
            if conflicts:
                refused.append(self.duplicate(ns, number, conflicts[0]))
                if document.get("ordered", True):
                    break
                continue
            places[id] = len(here.documents)
            here.documents.append(Raw(raw))
            added += 1
            for (_, known), value in zip(taken, values):
                known.add(value)
        return {"n": added, "ok": 1.0, **({"writeErrors": refused} if refused else {})}

    def do_update(self, document):
        here, upserted, modified = self.collection(document, document["update"]), [], 0
        places = self.places(here)
        for number, (_, update, raw) in enumerate(elements(part(document.raw, "updates"))):
            is_pipeline = isinstance(update["u"], list)
            if not is_pipeline and any(name.startswith("$") for name in update["u"]):
                return error(9, "FailedToParse", "Unknown modifier")
            whole = part(bytes(raw), *(("u", "0", "$replaceWith", "$literal") if is_pipeline else ("u",)))
            place = places.get(part(bytes(raw), "q", "_id"))
            if place is None:
                places[part(whole, "_id")] = len(here.documents)
                here.documents.append(Raw(whole))
                upserted.append({"index": number, "_id": update["q"]["_id"]})
            else:
                modified += here.documents[place] != whole
                here.documents[place] = Raw(whole)
        return {"n": len(document["updates"]), "nModified": modified, "ok": 1.0, **({"upserted": upserted} if upserted else {})}

    def do_delete(self, document):
        here = self.collection(document, document["delete"])
        gone = {part(bytes(raw), "q", "_id") for _, _, raw in elements(part(document.raw, "deletes"))}
        here.documents = [each for each in here.documents if part(each, "_id") not in gone]
        return {"n": len(gone), "ok": 1.0}

    def do_find(self, document):
        wanted = document.get("filter", {}).get("_id")
        if wanted is None:
            return super().do_find(document)
        ids = wanted["$in"] if isinstance(wanted, dict) and "$in" in wanted else [wanted]
        return self.cursor(document, [each for each in self.collection(document, document["find"]).documents
                                      if decode(each)["_id"] in ids])

    def do_getparameter(self, document):
        found = {name: value for name, value in self.switches.items() if name in document}
        return {**found, "ok": 1.0} if found else error(72, "InvalidOptions", "no option found to get")

    def do_setparameter(self, document):
        name = next(each for each in self.switches if each in document)
        was, self.switches[name] = self.switches[name], document[name]
        return {"was": was, "ok": 1.0}


def oplog_entry(number, op, ns, o, term=1, **more):
    return {"op": op, "ns": ns, "ts": Timestamp(1_700_000_000 << 32 | number), "t": Int64(term), "v": Int64(2),
            "wall": Date(1_700_000_000_000 + number), "o": o, **more}
