"""BSON and MongoDB's wire protocol as far as tests need them: a client, and what a scripted server is made of."""

import itertools
import os
import socket
import struct


class ObjectId(bytes):
    """Twelve bytes."""


class Timestamp(int):
    """Seconds << 32 | increment."""


class Date(int):
    """Milliseconds since 1970."""


class Raw(bytes):
    """A whole document as its bytes."""


class Int64(int):
    """A number that is to be eight bytes long."""


class NotUtf8(bytes):
    """A text whose bytes are no UTF-8."""


class Uuid(bytes):
    """Sixteen bytes, binary of subtype 4."""


class Command(dict):
    """What was asked, and its bytes."""

    raw = b""


_next = itertools.count(1)


def object_id():
    return ObjectId(struct.pack(">IQ", 0x65000000, os.getpid() << 32 | next(_next)))


def encode(document):
    if isinstance(document, Raw):
        return bytes(document)
    items = enumerate(document) if isinstance(document, list) else document.items()
    body = b"".join(element(str(name) if not isinstance(name, bytes) else name, value) for name, value in items)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def element(name, value):
    name = (name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name) + b"\0"
    if value is None:
        return b"\x0a" + name
    if isinstance(value, bool):
        return b"\x08" + name + (b"\1" if value else b"\0")
    if isinstance(value, Timestamp):
        return b"\x11" + name + struct.pack("<Q", value)
    if isinstance(value, Date):
        return b"\x09" + name + struct.pack("<q", value)
    if isinstance(value, Int64):
        return b"\x12" + name + struct.pack("<q", value)
    if isinstance(value, int):
        return b"\x10" + name + struct.pack("<i", value) if -2**31 <= value < 2**31 else b"\x12" + name + struct.pack("<q", value)
    if isinstance(value, float):
        return b"\x01" + name + struct.pack("<d", value)
    if isinstance(value, (str, NotUtf8)):
        data = (value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)) + b"\0"
        return b"\x02" + name + struct.pack("<i", len(data)) + data
    if isinstance(value, ObjectId):
        return b"\x07" + name + bytes(value)
    if isinstance(value, Raw):
        return b"\x03" + name + bytes(value)
    if isinstance(value, bytes):
        subtype = b"\4" if isinstance(value, Uuid) else b"\0"
        return b"\x05" + name + struct.pack("<i", len(value)) + subtype + value
    if isinstance(value, list):
        return b"\x04" + name + encode(value)
    if isinstance(value, dict):
        return b"\x03" + name + encode(value)
    raise TypeError(f"no BSON for {value!r}")


def decode(data, at=0):
    return {name: value for name, value, _ in elements(data, at)}


def elements(data, at=0):
    """(name, value, bytes of the value) of each."""
    size = struct.unpack_from("<i", data, at)[0]
    end = at + size - 1
    at += 4
    while at < end:
        kind = data[at]
        zero = data.index(b"\0", at + 1)
        name = data[at + 1:zero].decode("utf-8", "surrogateescape")
        value, end_of_value = value_at(kind, data, zero + 1)
        yield name, value, memoryview(data)[zero + 1:end_of_value]
        at = end_of_value


def part(data, *path):
    """The bytes of a value within a document."""
    for wanted in path:
        data = next(bytes(raw) for name, _, raw in elements(data) if name == wanted)
    return data


def value_at(kind, data, at):
    if kind == 1:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind in (2, 13, 14):
        size = struct.unpack_from("<i", data, at)[0]
        return data[at + 4:at + 3 + size].decode("utf-8", "surrogateescape"), at + 4 + size
    if kind in (3, 4):
        size = struct.unpack_from("<i", data, at)[0]
        inside = decode(data, at)
        return (list(inside.values()) if kind == 4 else inside), at + size
    if kind == 5:
        size = struct.unpack_from("<i", data, at)[0]
        value = data[at + 5:at + 5 + size]
        return Uuid(value) if data[at + 4] == 4 else value, at + 5 + size
    if kind == 7:
        return ObjectId(data[at:at + 12]), at + 12
    if kind == 8:
        return data[at] != 0, at + 1
    if kind == 9:
        return Date(struct.unpack_from("<q", data, at)[0]), at + 8
    if kind in (10, 6):
        return None, at
    if kind == 16:
        return struct.unpack_from("<i", data, at)[0], at + 4
    if kind == 17:
        return Timestamp(struct.unpack_from("<Q", data, at)[0]), at + 8
    if kind == 18:
        return Int64(struct.unpack_from("<q", data, at)[0]), at + 8
    raise ValueError(f"BSON type {kind}")


def receive(connection, count):
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise ConnectionError("the connection was closed")
        data += piece
    return bytes(data)


def read_message(connection):
    """(request id, operation code, body)"""
    size, request, _, code = struct.unpack("<iiii", receive(connection, 16))
    return request, code, receive(connection, size - 16)


def message(request, response_to, code, body):
    return struct.pack("<iiii", 16 + len(body), request, response_to, code) + body


OP_MSG, OP_QUERY, OP_REPLY = 2013, 2004, 1


class ServerError(Exception):
    def __init__(self, reply):
        super().__init__(reply.get("errmsg", str(reply)))
        self.reply = reply


class Mongo:
    """One connection, commands in, replies out."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=120)

    def close(self):
        self.connection.close()

    def command(self, database, document):
        body = struct.pack("<I", 0) + b"\0" + encode({**document, "$db": database})
        self.connection.sendall(message(next(_next), 0, OP_MSG, body))
        reply = decode(read_message(self.connection)[2], 5)
        if not reply.get("ok"):
            raise ServerError(reply)
        if reply.get("writeErrors"):
            raise ServerError(reply["writeErrors"][0])
        return reply

    def documents(self, database, command):
        reply = self.command(database, command)["cursor"]
        out = list(reply["firstBatch"])
        while reply["id"]:
            reply = self.command(database, {"getMore": Int64(reply["id"]), "collection": reply["ns"].split(".", 1)[1]})["cursor"]
            out += reply["nextBatch"]
        return out

    def insert(self, database, collection, *documents):
        for at in range(0, len(documents), 500):
            self.command(database, {"insert": collection, "documents": list(documents[at:at + 500])})

    def find(self, database, collection, **filter):
        return self.documents(database, {"find": collection, "filter": filter, "sort": {"_id": 1}, "batchSize": 10000})

    def set(self, database, collection, id, **fields):
        self.command(database, {"update": collection, "updates": [{"q": {"_id": id}, "u": {"$set": fields}}]})

    def delete(self, database, collection, *ids):
        self.command(database, {"delete": collection, "deletes": [{"q": {"_id": id}, "limit": 1} for id in ids]})

    def databases(self):
        return [each["name"] for each in self.command("admin", {"listDatabases": 1, "nameOnly": True})["databases"]]

    def collections(self, database):
        return sorted(each["name"] for each in self.documents(database, {"listCollections": 1}))

    def indexes(self, database, collection):
        return {each["name"]: each for each in self.documents(database, {"listIndexes": collection})}

    def content(self, database):
        """All of a database, to be compared."""
        return {name: {repr(each["_id"]): each for each in self.find(database, name)} for name in self.collections(database)}
