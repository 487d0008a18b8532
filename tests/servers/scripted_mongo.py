"""A MongoDB server that plays what real ones send and the other test server cannot: members of a set with reads at one
cluster time, time series, views, users, missing roles, cursors that end.

Databases are {name: {collection: Collection}}; `faults` are functions (command, document) -> error reply or None.
"""

import socket
import struct
import threading

from mongo_wire import (OP_MSG, OP_QUERY, OP_REPLY, Date, Int64, ObjectId, Raw, Timestamp, decode, encode, message,
                        read_message)

CLUSTER_TIME = Timestamp(1_700_000_000 << 32 | 5)


class Collection:
    def __init__(self, documents=(), kind="collection", options=None, indexes=None):
        self.documents = [Raw(each) if isinstance(each, bytes) else Raw(encode(each)) for each in documents]
        self.kind, self.options = kind, options or {}
        self.indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}] + (indexes or [])


def error(code, name, text):
    return {"ok": 0.0, "errmsg": text, "code": code, "codeName": name}


class ScriptedMongo:
    def __init__(self, databases, hello=None, batch=100):
        self.databases, self.batch = databases, batch
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
        with connection:
            try:
                while True:
                    request, code, body = read_message(connection)
                    if code == OP_QUERY:
                        document = decode(body, body.index(b"\0", 4) + 9)
                        reply = struct.pack("<iqii", 8, 0, 0, 1) + encode(self.answer(document))
                        connection.sendall(message(1, request, OP_REPLY, reply))
                        continue
                    flags = struct.unpack_from("<I", body)[0]
                    reply = self.answer(decode(body, 5))
                    if reply is None:
                        return
                    if not flags & 2:
                        connection.sendall(message(1, request, OP_MSG, struct.pack("<I", 0) + b"\0" + encode(reply)))
            except (ConnectionError, OSError):
                return

    def answer(self, document):
        verb = next(iter(document))
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
        found = self.databases.get(document["$db"], {}).get(document["find"], Collection()).documents
        range = document.get("filter", {}).get("ts", {})
        if range:
            found = [each for each in found if range.get("$gte", 0) <= decode(each)["ts"] <= range.get("$lte", 1 << 64)]
        if document.get("sort", {}).get("$natural") == -1:
            found = found[::-1]
        is_snapshot = document.get("readConcern", {}).get("level") == "snapshot"
        return self.cursor(document, found, {"atClusterTime": CLUSTER_TIME} if is_snapshot else None)

    def do_getmore(self, document):
        ns, left = self.cursors[document["getMore"]]
        size = min(document.get("batchSize", self.batch), self.batch)
        self.cursors[document["getMore"]] = (ns, left[size:])
        more = len(left) > size
        return {"cursor": {"id": Int64(document["getMore"] if more else 0), "ns": ns, "nextBatch": left[:size]}, "ok": 1.0}


def oplog_entry(number, op, ns, o, **more):
    return {"op": op, "ns": ns, "ts": Timestamp(1_700_000_000 << 32 | number), "t": Int64(1), "v": Int64(2),
            "wall": Date(1_700_000_000_000 + number), "o": o, **more}
