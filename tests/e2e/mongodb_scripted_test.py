"""MongoDB, what only members of a real set say: played by a scripted server (tests/servers/scripted_mongo.py)."""

import pathlib
import random
import re
import struct
import subprocess
import sys
import threading
import time

from harness import Case, main, wait_until

SERVERS = pathlib.Path(__file__).resolve().parents[1] / "servers"
sys.path.insert(0, str(SERVERS))

from mongo_server import mongo_server  # noqa: E402
from mongo_wire import Date, Int64, NotUtf8, Raw, Timestamp, Uuid, decode, encode, object_id  # noqa: E402
from scripted_mongo import Collection, ScriptedMongo, StoringMongo, error, oplog_entry  # noqa: E402


def odd_documents():
    """What a document may be, though few are."""
    deep = {"end": 1}
    for _ in range(90):
        deep = {"d": deep}
    return [{"_id": 1, "a.b": 1, "$c": 2, "": 3}, {"_id": 2, "text": NotUtf8(b"\xff\xfe")}, {"_id": 3, b"\xff": 1},
            {"_id": 4, "deep": deep}, {"_id": 5, "large": b"x" * ((16 << 20) - 64)}, {"_id": 6, "in": {"$set": {"": {"x.y": 1}}}}]


def every_kind():
    """A database of each kind of collection that there is."""
    out = {"odd": Collection(odd_documents(), options={"validator": {"a": {"$exists": True}}, "validationLevel": "moderate",
                                                       "collation": {"locale": "de", "strength": 2}}),
           "points": Collection(kind="timeseries", options={"timeseries": {"timeField": "at", "granularity": "seconds"},
                                                            "expireAfterSeconds": Int64(3600)}),
           "system.buckets.points": Collection([{"_id": object_id(), "control": {"version": 1}, "data": {}}]),
           "system.views": Collection([{"_id": "shop.paid"}]),
           "paid": Collection(kind="view", options={"viewOn": "orders", "pipeline": [{"$match": {"gone": {"$x": 1}}}]}),
           "log": Collection([{"_id": 9 - i} for i in range(5)], options={"capped": True, "size": 4096, "max": 10}),
           "tree": Collection([{"_id": 1}], options={"clusteredIndex": {"v": 2, "key": {"_id": 1}, "name": "by _id", "unique": True}}),
           "ttl": Collection([{"_id": 1, "x": 1}], indexes=[{"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60,
                                                             "partialFilterExpression": {"x": 1}}])}
    out["tree"].indexes = [{**out["tree"].options["clusteredIndex"], "clustered": True}]
    return out


class Scripted(Case):
    def setUp(self):
        super().setUp()
        self.init()

    def server(self, databases, kind=ScriptedMongo, **options):
        server = kind(databases, **options)
        self.addCleanup(server.close)
        return server

    def nothing_is_committed(self):
        self.assertEqual(self.snapshots(), [])

    def shop(self, count=250):
        return {"shop": {"orders": Collection([{"_id": i, "text": "x" * 50} for i in range(count)])},
                "local": {"oplog.rs": Collection([oplog_entry(i, "n", "", {"msg": "periodic noop"}) for i in range(1, 6)])}}


class Members(Scripted):
    def test_everything_of_a_set_is_captured_at_one_cluster_time(self):
        databases = self.shop()
        databases["shop"].update(every_kind())
        del databases["shop"]["log"]  # servers give no snapshot reads of it
        databases["admin"] = {"system.users": Collection([{"_id": "admin.me", "user": "me", "db": "admin"}]),
                              "system.roles": Collection([{"_id": "shop.r", "role": "r", "db": "shop"}])}
        server = self.server(databases)
        self.backup(server.url())
        self.restore("latest", self.folder / "out")
        out = self.folder / "out"
        self.assertEqual((out / "shop/odd").read_bytes(), b"".join(encode(each) for each in odd_documents()))
        self.assertEqual((out / "shop/points").read_bytes(), databases["shop"]["system.buckets.points"].documents[0])
        self.assertFalse((out / "shop/paid").exists())
        self.assertIn(b"viewOn", (out / "shop.metadata.bson").read_bytes())
        self.assertIn(b"expireAfterSeconds", (out / "shop.metadata.bson").read_bytes())
        self.assertIn(b"admin.me", (out / "users.bson").read_bytes())
        self.assertIn(b"shop.r", (out / "roles.bson").read_bytes())
        reads = [each for each in server.commands if each.get("find") in ("orders", "odd") and "limit" not in each]
        self.assertEqual(len(reads), 2)
        for each in reads:
            self.assertIn("atClusterTime", each["readConcern"])

    def test_a_capped_collection_is_captured_by_the_oplog(self):
        databases = self.shop()
        databases["shop"].update(every_kind())
        server = self.server(databases)
        self.backup(server.url("shop"))
        self.restore("latest", self.folder / "out")
        self.assertEqual((self.folder / "out/shop/log").read_bytes(), b"".join(databases["shop"]["log"].documents))
        self.assertEqual((self.folder / "out/shop/orders").read_bytes(), b"".join(databases["shop"]["orders"].documents))
        self.assertTrue((self.folder / "out/~oplog/entries.bson").exists())
        self.fails(15, "backup", server.url("shop"), "--consistency", "snapshot", says="shop.log is capped", hints="consistency: oplog")
        self.backup(server.url("shop"), "--consistency", "snapshot", "--exclude", "shop/log")

    def test_the_oplog_of_the_capture_is_stored_with_it(self):
        databases = self.shop()
        server = self.server(databases)

        def write_meanwhile(verb, document):
            if document.get("find") == "orders" and len(databases["local"]["oplog.rs"].documents) == 5:
                databases["local"]["oplog.rs"] = Collection(
                    [oplog_entry(i, "n", "", {}) for i in range(1, 6)] +
                    [oplog_entry(6, "i", "shop.orders", {"_id": 999}), oplog_entry(7, "i", "elsewhere.x", {"_id": 1})])

        server.faults.append(write_meanwhile)
        self.backup(server.url("shop"), "--consistency", "oplog")
        self.restore("latest", self.folder / "out")
        self.assertEqual((self.folder / "out/~oplog/entries.bson").read_bytes(),
                         encode(oplog_entry(6, "i", "shop.orders", {"_id": 999})))

    def test_what_an_election_can_take_back_is_not_read(self):
        databases = self.shop()
        databases["shop"]["log"] = Collection([{"_id": 1}], options={"capped": True, "size": 4096})
        server = self.server(databases)
        self.backup(server.url("shop"), "--range-size", "4K")
        reads = [each for each in server.commands if each.get("find") in ("orders", "log") and each.get("limit") is None]
        self.assertGreater(len(reads), 3)
        for each in reads:
            self.assertEqual(each.get("readConcern"), {"level": "majority"}, each)
        server.commands.clear()
        self.holdfast("follow", server.url("shop"), "--name", "shop", "--once")
        tails = [each for each in server.commands if each.get("find") == "oplog.rs" and each.get("tailable")]
        self.assertGreater(len(tails), 0)
        for each in tails:
            self.assertEqual(each.get("readConcern"), {"level": "majority"}, each)

    def test_a_capture_over_which_an_election_took_changes_back_is_void(self):
        databases = self.shop()
        server = self.server(databases)
        oplog = lambda last, term: Collection([*(oplog_entry(i, "n", "", {}) for i in range(1, 6)),
                                               oplog_entry(last, "n", "", {}, term=term)])

        def elect(verb, document):
            if document.get("find") == "orders":
                databases["local"]["oplog.rs"] = oplog(6, 1)
            elif verb == "find" and document["find"] == "oplog.rs" and "sort" in document:
                if "readConcern" in document and len(databases["local"]["oplog.rs"].documents) == 6:
                    # Of the same time stamp or a later one, and a term later.
                    databases["local"]["oplog.rs"] = oplog(number, 2)

        server.faults.append(elect)
        for number in (6, 7):
            databases["local"]["oplog.rs"] = oplog(5, 1)
            self.fails(15, "backup", server.url("shop"), "--consistency", "oplog", says="election took changes back while", hints="Try again")
        self.nothing_is_committed()

    def test_a_capture_that_the_oplog_has_left_behind_is_void(self):
        databases = self.shop()
        server = self.server(databases)

        def roll(verb, document):
            if document.get("find") == "orders":
                databases["local"]["oplog.rs"] = Collection([oplog_entry(i, "n", "", {}) for i in range(50, 55)])

        server.faults.append(roll)
        self.fails(15, "backup", server.url("shop"), "--consistency", "oplog", says="oplog rolled over", hints="larger")
        self.nothing_is_committed()


    def renaming(self, when):
        """A server whose collection `orders` gets another name as soon as `when` says so of a command."""
        databases = self.shop()
        orders = databases["shop"]["orders"]
        orders.uuid = b"orders of uuid 1"
        server = self.server(databases)

        def rename(verb, document):
            if "orders" in databases["shop"] and when(server, document):
                databases["shop"]["renamed"] = databases["shop"].pop("orders")
                databases["local"]["oplog.rs"] = Collection(
                    [oplog_entry(i, "n", "", {}) for i in range(1, 6)] +
                    [oplog_entry(6, "c", "shop.$cmd", {"renameCollection": "shop.orders", "to": "shop.renamed"}, ui=orders.uuid)])

        server.faults.append(rename)
        return server

    def test_a_collection_that_is_renamed_while_it_is_read_is_not_captured_empty(self):
        server = self.renaming(lambda server, document: document.get("find") == "orders")
        self.fails(15, "backup", server.url("shop"), "--consistency", "oplog", says="shop.orders was renamed to shop.renamed while",
                   hints="Try again")
        self.nothing_is_committed()
        self.backup(server.url("shop"), "--consistency", "oplog")
        self.restore("latest", self.folder / "out")
        self.assertEqual((self.folder / "out/shop/renamed").read_bytes().count(b"text"), 250)

    def test_a_collection_that_is_renamed_after_it_was_read_comes_back_under_its_new_name(self):
        read = lambda server: any(each.get("listCollections") and each.get("filter", {}).get("name") == "orders"
                                  for each in server.commands)
        server = self.renaming(lambda server, document: document.get("find") == "oplog.rs" and read(server))
        self.backup(server.url("shop"), "--consistency", "oplog")
        other = mongo_server("second")
        other.clear()
        self.restore("latest", other.url())
        self.assertEqual(other.mongo.collections("shop"), ["renamed"])
        self.assertEqual(len(other.mongo.find("shop", "renamed")), 250)

    def test_what_is_made_while_collections_are_listed_is_captured(self):
        for consistency in ("oplog", "snapshot"):
            databases = self.shop()
            server = self.server(databases)

            def make(verb, document):
                if verb == "collStats" and "made" not in databases["shop"]:
                    databases["shop"]["made"] = Collection([{"_id": 1}, {"_id": 2}])
                    databases["local"]["oplog.rs"] = Collection(
                        [oplog_entry(i, "n", "", {}) for i in range(1, 6)] +
                        [oplog_entry(6, "c", "shop.$cmd", {"create": "made"}),
                         oplog_entry(7, "i", "shop.made", {"_id": 1}), oplog_entry(8, "i", "shop.made", {"_id": 2})])

            server.faults.append(make)
            self.backup(server.url("shop"), "--consistency", consistency, "--name", consistency)
            other = mongo_server("second")
            other.clear()
            self.restore("latest", other.url(), "--source", consistency)
            self.assertEqual(other.mongo.find("shop", "made"), [{"_id": 1}, {"_id": 2}], consistency)
            self.assertEqual(len(other.mongo.find("shop", "orders")), 250)

    def test_a_transaction_that_began_too_early_voids_the_capture(self):
        databases = self.shop()
        server = self.server(databases)

        def commit(verb, document):
            if document.get("find") == "orders":
                databases["local"]["oplog.rs"] = Collection(
                    [oplog_entry(i, "n", "", {}) for i in range(1, 6)] +
                    [oplog_entry(6, "c", "admin.$cmd", {"applyOps": []}, lsid={"id": 1}, txnNumber=Int64(1),
                                 prevOpTime={"ts": Timestamp(5), "t": Int64(1)})])

        server.faults.append(commit)
        self.fails(15, "backup", server.url("shop"), "--consistency", "oplog", says="transaction began before", hints="Try again")
        self.nothing_is_committed()


class Journals(Scripted):
    """Entries that the other test server never writes."""

    ORDERS, MADE, GONE = (f"uuid {i} of sixteen"[:16].encode() for i in range(3))

    def setUp(self):
        super().setUp()
        self.databases = self.shop(8)
        self.databases["shop"]["orders"].uuid = self.ORDERS
        self.set = self.server(self.databases)
        self.number = 5

    def say(self, op, ns, o, **more):
        self.number += 1
        entry = oplog_entry(self.number, op, ns, o, **{"wall": Date(int(time.time() * 1000)), **more})
        self.databases["local"]["oplog.rs"].documents.append(Raw(encode(entry)))

    def command(self, o, uuid, **more):
        self.say("c", "shop.$cmd", o, ui=uuid, **more)

    def follow(self, *args):
        return self.holdfast("follow", self.set.url("shop"), "--name", "shop", "--once", "--json", *args).lines()

    def restore_newest(self, target, *args):
        at = self.holdfast("windows", "--json").document()["windows"][-1]["to"]
        return self.holdfast("restore", "--source", "shop", "--at", at, "--to", target.url(), *args)

    def test_every_kind_of_entry_comes_back(self):
        self.follow()
        mine = {"ui": self.MADE}
        session = lambda number: {"lsid": {"id": 1}, "txnNumber": Int64(number)}
        inner = lambda op, id, **more: {"op": op, "ns": "shop.made", "ui": self.MADE, "o": {"_id": id, **more}}
        self.command({"create": "made", "idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}, self.MADE)
        self.say("i", "shop.made", {"_id": 1, "list": [1, {"x": 1}], "gone": 1}, **mine)
        self.say("u", "shop.made", {"$v": 2, "diff": {"d": {"gone": False}, "i": {"new": 1}, "slist": {"a": True, "s1": {"u": {"x": 2}}}}},
                 o2={"_id": 1}, **mine)
        self.say("c", "admin.$cmd", {"applyOps": [inner("i", 2), inner("i", 3)]}, multiOpType=1, **session(1))
        self.say("c", "admin.$cmd", {"applyOps": [inner("i", 4)], "partialTxn": True}, prevOpTime={"ts": Timestamp(0)}, **session(2))
        self.say("c", "admin.$cmd", {"applyOps": [inner("d", 2), inner("i", 5)]}, prevOpTime={"ts": Timestamp(9)}, **session(2))
        self.say("c", "admin.$cmd", {"applyOps": [inner("i", 6)], "prepare": True}, prevOpTime={"ts": Timestamp(0)}, **session(3))
        self.say("c", "admin.$cmd", {"applyOps": [inner("i", 7)], "prepare": True}, prevOpTime={"ts": Timestamp(0)}, **session(4))
        self.say("c", "admin.$cmd", {"commitTransaction": 1}, prevOpTime={"ts": Timestamp(9)}, **session(3))
        self.say("c", "admin.$cmd", {"abortTransaction": 1}, prevOpTime={"ts": Timestamp(9)}, **session(4))
        index = lambda name: {"v": 2, "key": {name: 1}, "name": name}
        self.command({"createIndexes": "made", **index("x")}, self.MADE)
        self.command({"startIndexBuild": "made", "indexes": [index("y"), index("z")]}, self.MADE)
        self.command({"commitIndexBuild": "made", "indexes": [index("y"), index("z")]}, self.MADE)
        self.command({"dropIndexes": "made", "index": "y"}, self.MADE, o2={"key": {"y": 1}})
        self.command({"create": "gone"}, self.GONE)
        self.say("i", "shop.gone", {"_id": 1}, ui=self.GONE)
        self.command({"renameCollection": "shop.made", "to": "shop.gone", "dropTarget": self.GONE}, self.MADE)
        self.say("i", "shop.gone", {"_id": "late"}, **mine)
        self.command({"renameCollection": "shop.gone", "to": "shop.kept", "stayTemp": False}, self.MADE)
        self.command({"create": "short"}, b"another sixteen.")
        self.command({"drop": "short"}, b"another sixteen.", o2={"numRecords": 0})
        self.say("d", "shop.orders", {"_id": 2}, ui=self.ORDERS)
        self.say("u", "shop.orders", {"$v": 1, "$set": {"deep.er": 1}, "$unset": {"text": True}}, o2={"_id": 3}, ui=self.ORDERS)
        self.say("u", "shop.orders", {"_id": 4, "whole": True}, o2={"_id": 4}, ui=self.ORDERS)
        self.assertEqual(self.follow()[-1]["records"], self.number - 5)
        other = mongo_server("second")
        other.clear()
        self.restore_newest(other)
        self.assertEqual(other.mongo.collections("shop"), ["kept", "orders"])
        self.assertEqual(other.mongo.find("shop", "kept"), [{"_id": 1, "list": [1, {"x": 2}], "new": 1}, *({"_id": i} for i in (3, 4, 5, 6)),
                                                            {"_id": "late"}])
        self.assertEqual(sorted(other.mongo.indexes("shop", "kept")), ["_id_", "x", "z"])
        orders = {each["_id"]: each for each in other.mongo.find("shop", "orders")}
        self.assertEqual(set(orders), {0, 1, 3, 4, 5, 6, 7})
        self.assertEqual((orders[3], orders[4]), ({"_id": 3, "deep": {"er": 1}}, {"_id": 4, "whole": True}))

    def indexes(self, target):
        return [each["name"] for each in target.databases["shop"]["orders"].indexes]

    def test_an_index_that_is_being_built_comes_back_when_it_is_done(self):
        ready, done, aborted = ({"v": 2, "key": {name: 1}, "name": name} for name in ("ready", "done", "aborted"))
        orders = self.databases["shop"]["orders"]
        orders.indexes.append(ready)
        orders.building = [done, aborted]
        self.command({"startIndexBuild": "orders", "indexes": orders.building}, self.ORDERS)
        self.follow()
        target = self.server({}, StoringMongo)
        self.restore("latest", target.url())
        self.assertEqual(self.indexes(target), ["_id_", "ready"])
        self.command({"abortIndexBuild": "orders", "indexes": [aborted], "cause": {"code": 11000}}, self.ORDERS)
        self.command({"commitIndexBuild": "orders", "indexes": [done]}, self.ORDERS)
        self.follow()
        target = self.server({}, StoringMongo)
        self.restore_newest(target)
        self.assertEqual(self.indexes(target), ["_id_", "ready", "done"])

    def test_indexes_of_a_server_that_does_not_tell_which_are_being_built(self):
        self.databases["shop"]["orders"].indexes.append({"v": 2, "key": {"x": 1}, "name": "x"})
        self.set.faults.append(lambda verb, document: error(40415, "Location40415", "BSON field 'listIndexes.includeBuildUUIDs' is an unknown field.")
                               if "includeBuildUUIDs" in document else None)
        self.backup(self.set.url("shop"))
        target = self.server({}, StoringMongo)
        self.restore("latest", target.url())
        self.assertEqual(self.indexes(target), ["_id_", "x"])
        self.set.faults.append(lambda verb, document: error(13, "Unauthorized", "not authorized on shop to execute command { listIndexes: 1 }")
                               if verb == "listIndexes" else None)
        self.fails(15, "backup", self.set.url("shop"), says="not authorized on shop", hints="may not `listIndexes`")

    def changed(self):
        """A window with changes of `orders`, of a collection that it made and of one that it dropped; `still` has none."""
        self.databases["shop"]["still"] = Collection([{"_id": i} for i in range(3)], uuid=b"that stays still")
        self.databases["shop"]["short"] = Collection([{"_id": i} for i in range(3)], uuid=self.GONE)
        self.databases["shop"]["log"] = Collection([{"_id": 1}], options={"capped": True, "size": 4096}, uuid=b"a capped log    ")
        self.follow()
        self.say("d", "shop.orders", {"_id": 2}, ui=self.ORDERS)
        self.say("u", "shop.orders", {"$v": 2, "diff": {"i": {"new": 1}}}, o2={"_id": 3}, ui=self.ORDERS)
        self.say("u", "shop.orders", {"_id": 4, "whole": True}, o2={"_id": 4}, ui=self.ORDERS)
        self.say("i", "shop.orders", {"_id": 99}, ui=self.ORDERS)
        self.command({"create": "made"}, self.MADE)
        self.say("i", "shop.made", {"_id": 1}, ui=self.MADE)
        self.command({"createIndexes": "made", "v": 2, "key": {"x": 1}, "name": "x"}, self.MADE)
        self.command({"drop": "short"}, self.GONE, o2={"numRecords": 3})
        self.follow()

    def compared(self, target, code=0):
        at = self.holdfast("windows", "--json").document()["windows"][-1]["to"]
        lines = self.holdfast("restore", "--source", "shop", "--at", at, "--to", target.url(), "--json", code=code).lines()
        verified = next(each["verified"] for each in lines if "verified" in each)
        by_result = {result: {each["name"] for each in verified["checks"] if each["result"] == result}
                     for result in ("pass", "fail", "not_tested")}
        return verified["result"], by_result

    def test_an_instant_is_compared_with_what_the_journal_makes_of_the_base(self):
        self.changed()
        result, found = self.compared(self.server({}, StoringMongo))
        self.assertEqual((result, found["fail"], found["not_tested"]), ("pass", set(), set()), found)
        self.assertEqual({each for each in found["pass"] if each.endswith(("documents", "content"))},
                         {f"shop/{name} {fact}" for name in ("orders", "still", "made", "log") for fact in ("documents", "content")})
        self.assertIn("shop/made indexes", found["pass"])

    def test_what_an_instant_has_and_nobody_knows_is_not_tested(self):
        self.changed()
        self.say("i", "shop.log", {"_id": 2}, ui=b"a capped log    ")
        self.command({"collMod": "still", "validationLevel": "off"}, b"that stays still")
        self.follow()
        target = self.server({}, StoringMongo)
        target.do_collmod = lambda document: {"ok": 1.0}
        result, found = self.compared(target)
        self.assertEqual((result, found["fail"], found["not_tested"]),
                         ("not_tested", set(), {"shop/log documents", "shop/log content", "shop/still options"}), found)

    def test_a_target_that_differs_from_its_instant_is_found_out(self):
        self.changed()

        class Losing(StoringMongo):
            losing = ""

            def answer(self, document, session):
                if next(iter(document)) == self.losing and document[self.losing] in ("orders", "short"):
                    return {"ok": 1.0, "n": len(document.get("updates", document.get("deletes", []))), "nModified": 0}
                return super().answer(document, session)

        orders = {"shop/orders documents", "shop/orders content"}
        for losing, expected in (("delete", orders), ("update", orders), ("drop", {
                f"shop/short {fact}" for fact in ("documents", "content", "indexes", "options", "type")})):
            target = self.server({}, Losing)
            target.losing = losing
            result, found = self.compared(target, code=13)
            self.assertEqual((result, found["fail"]), ("fail", expected), losing)

        class Meddling(StoringMongo):
            """Somebody else changes a document that the journal leaves alone, once it has changed others."""

            def do_update(self, document):
                reply = super().do_update(document)
                orders = self.databases["shop"]["orders"].documents
                orders[:] = [Raw(encode({"_id": 0, "text": "other"})) if decode(each)["_id"] == 0 else each for each in orders]
                return reply

        result, found = self.compared(self.server({}, Meddling), code=13)
        self.assertEqual((result, found["fail"]), ("fail", {"shop/orders content"}))

    def test_a_collection_that_is_replaced_by_out_is_the_new_one(self):
        self.follow()
        self.command({"create": "tmp.agg_out.1", "temp": True}, self.MADE)
        self.say("i", "shop.tmp.agg_out.1", {"_id": "new"}, ui=self.MADE)
        self.command({"renameCollection": "shop.tmp.agg_out.1", "to": "shop.orders", "dropTarget": self.ORDERS}, self.MADE)
        self.command({"create": "tmp.agg_out.2", "temp": True}, self.GONE)
        self.say("i", "shop.tmp.agg_out.2", {"_id": "not ready"}, ui=self.GONE)
        self.follow()
        other = mongo_server("second")
        other.clear()
        live = [{"_id": 0, "live": True}, {"_id": "live"}]
        for existing, expected in (("missing", [*live, {"_id": "new"}]), ("drop", [{"_id": "new"}])):
            other.clear()
            other.mongo.insert("shop", "orders", *live)
            self.restore_newest(other, "--include", "shop/orders", "--existing", existing)
            self.assertEqual(other.mongo.find("shop", "orders"), expected)
            self.assertEqual(other.mongo.collections("shop"), ["orders"])

    def test_a_collection_that_comes_in_by_a_rename_begins_a_new_window(self):
        self.databases["shop"]["hidden"] = Collection([{"_id": 1}], uuid=self.MADE)
        self.follow("--exclude", "shop/hidden")
        self.say("i", "shop.hidden", {"_id": 2}, ui=self.MADE)
        self.say("i", "elsewhere.x", {"_id": 2}, ui=self.GONE)
        lines = self.follow("--exclude", "shop/hidden")
        self.assertEqual((lines[0]["type"], lines[-1]["records"]), ("continued", 0))
        self.assertIn("7", lines[-1]["reached"]["position"])
        self.databases["shop"]["shown"] = self.databases["shop"].pop("hidden")
        self.say("d", "shop.orders", {"_id": 1}, ui=self.ORDERS)
        self.command({"renameCollection": "shop.hidden", "to": "shop.shown"}, self.MADE)
        began = [each for each in self.follow("--exclude", "shop/hidden") if each["type"] in ("continued", "began")]
        self.assertEqual([each["type"] for each in began], ["continued", "began"])
        self.assertIn("shop.hidden was renamed to shop.shown", began[1]["because"])
        windows = self.holdfast("windows", "--json").document()["windows"]
        self.assertEqual([each["records"] for each in windows], [1, 0])
        other = mongo_server("second")
        other.clear()
        self.restore_newest(other)
        self.assertEqual(other.mongo.find("shop", "shown"), [{"_id": 1}])

    def test_what_the_test_server_cannot_do_is_asked_for_as_servers_take_it(self):
        self.databases["shop"]["log"] = Collection([{"_id": 1}], options={"capped": True, "size": 4096})
        self.follow()
        buckets = b"buckets of p ..."
        series = {"timeField": "at", "metaField": "from", "granularity": "seconds"}
        self.command({"collMod": "orders", "validator": {"x": {"$exists": True}}}, self.ORDERS, o2={})
        self.command({"convertToCapped": "orders", "size": 9999}, self.ORDERS)
        self.command({"emptycapped": "log"}, b"uuid of the log.")
        self.command({"create": "system.buckets.p", "validator": {}, "clusteredIndex": True, "timeseries": series}, buckets)
        self.say("i", "shop.system.views", {"_id": "shop.p", "viewOn": "system.buckets.p", "pipeline": []}, ui=self.GONE)
        self.say("i", "shop.system.buckets.p", {"_id": 1, "data": {}}, ui=buckets)
        self.command({"createIndexes": "system.buckets.p", "v": 2, "name": "i", "key": {"meta": 1, "control.min.at": 1, "control.max.at": 1}},
                     buckets)
        self.say("i", "shop.system.views", {"_id": "shop.paid", "viewOn": "orders", "pipeline": []}, ui=self.GONE)
        self.say("u", "shop.system.views", {"$v": 2, "diff": {"u": {"pipeline": [{"$match": {}}]}}}, o2={"_id": "shop.paid"}, ui=self.GONE)
        self.say("i", "shop.system.views", {"_id": "shop.unpaid", "viewOn": "orders", "pipeline": []}, ui=self.GONE)
        self.say("d", "shop.system.views", {"_id": "shop.unpaid"}, ui=self.GONE)
        self.command({"collMod": "vanished", "validator": {}}, b"of one long gone")
        self.follow()
        target = self.server({})
        for verb in ("create", "insert", "update", "delete", "createindexes", "drop", "collmod", "converttocapped"):
            setattr(target, "do_" + verb, lambda document: {"ok": 1.0, "n": len(document.get("documents", []))})
        self.restore_newest(target, "--no-verify")
        said = [{name: value for name, value in each.items() if name not in ("lsid", "writeConcern") and not name.startswith("$")}
                for each in target.commands]
        of = lambda verb: [each for each in said if next(iter(each)) == verb]
        self.assertEqual(of("collMod"), [{"collMod": "orders", "validator": {"x": {"$exists": True}}}])
        self.assertEqual(of("convertToCapped"), [{"convertToCapped": "orders", "size": 9999}])
        self.assertEqual([each["create"] for each in of("create")], ["log", "orders", "log", "p", "paid"])
        self.assertEqual(of("create")[2], {"create": "log", "capped": True, "size": 4096})
        self.assertEqual(of("create")[3], {"create": "p", "timeseries": series})
        self.assertEqual(of("create")[4], {"create": "paid", "viewOn": "orders", "pipeline": [{"$match": {}}]})
        self.assertEqual([each["updates"] for each in of("update") if each["update"] == "system.buckets.p"],
                         [[{"q": {"_id": 1}, "u": {"_id": 1, "data": {}}, "upsert": True}]])
        self.assertIn({"createIndexes": "p", "indexes": [{"key": {"from": 1, "at": 1}, "name": "i"}]}, of("createIndexes"))


class Ranges(Scripted):
    def documents(self):
        """Of two types: what is a condition on one of them leaves out the other."""
        return [{"_id": i, "text": "n" * (i % 90)} for i in range(1500)] + [{"_id": f"{i:05}", "text": "x" * 70} for i in range(1500)]

    def captured(self, **options):
        server = self.server({"shop": {"orders": Collection(self.documents())}}, **options)
        self.backup(server.url(), "--range-size", "16K")
        self.restore("latest", self.folder / "out")
        self.assertEqual((self.folder / "out/shop/orders").read_bytes(), b"".join(encode(each) for each in self.documents()))
        self.asked = [each for each in server.commands if each.get("find") == "orders" and "limit" in each]
        return [each for each in server.commands if "hint" in each and "limit" not in each]

    def test_a_large_collection_is_read_by_ranges_in_order(self):
        reads = self.captured()
        self.assertGreater(len(reads), 8)
        self.assertEqual({str(each["max"]) for each in reads if "max" in each}, {str(each["min"]) for each in reads if "min" in each})
        for each in reads:
            self.assertIn("atClusterTime", each["readConcern"])

    def test_a_server_that_does_not_know_bounds_is_read_in_one(self):
        self.assertEqual(self.captured(knows_bounds=False), [])
        self.assertEqual([each for each in self.asked if "sort" in each], [], "it may sort the whole collection for each")
        self.assertEqual(len([each for each in self.asked if "hint" in each]), 1)

    def at_once(self, server, verb):
        """How many commands of a kind that read documents were under way at the same time, at most; each of them takes a while."""
        lock, now, most = threading.Lock(), 0, 0

        def slow(said, document):
            nonlocal now, most
            if said != verb or "limit" in document or document.get("find") not in ("a", "b", "orders"):
                return None
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.3)
            with lock:
                now -= 1
            return None

        server.faults.append(slow)
        self.backup(server.url(), "--range-size", "16K")
        return most

    def test_ranges_are_read_at_the_same_time(self):
        self.assertGreater(self.at_once(self.server({"shop": {"orders": Collection(self.documents())}}), "find"), 1)

    def test_collections_are_read_at_the_same_time(self):
        shop = {name: Collection([{"_id": i, "text": "n" * 90} for i in range(900)]) for name in ("a", "b")}
        self.assertEqual(self.at_once(self.server({"shop": shop}, knows_bounds=False), "find"), 2)

    def test_large_documents_are_read_one_collection_at_a_time_and_in_one(self):
        shop = {name: Collection([{"_id": i, "text": "n" * (1 << 20)} for i in range(3)]) for name in ("a", "b")}
        server = self.server({"shop": shop})
        self.assertEqual(self.at_once(server, "find"), 1, "or they would need too much memory")
        self.assertEqual([each for each in server.commands if "hint" in each], [])

    def test_a_range_that_cannot_be_read_ends_the_capture(self):
        server = self.server({"shop": {"orders": Collection(self.documents())}})
        server.faults.append(lambda verb, document: error(43, "CursorNotFound", "cursor id 7 not found") if verb == "getMore" else None)
        self.fails(15, "backup", server.url(), "--range-size", "32K", says="cursor id 7 not found", hints="try again")
        self.nothing_is_committed()


class Identity(Scripted):
    def test_user_password_and_auth_source_by_reference(self):
        server = self.server(self.shop(), users={"me": "secret of me"}, auth_source="people")
        (self.folder / "password").write_text("secret of me\n")
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
sources:
  shop: {{kind: mongodb, host: "env:HOST_OF", port: "env:PORT_OF", user: "env:USER_OF", password: "file:{self.folder}/password",
         auth_source: "exec:printenv DATABASE_OF_USERS", database: shop}}
""")
        environment = {"HOST_OF": "127.0.0.1", "PORT_OF": server.port, "USER_OF": "me", "DATABASE_OF_USERS": "people"}
        self.backup("-c", config, "shop", env=environment)
        for name, wrong in (("USER_OF", "you"), ("DATABASE_OF_USERS", "admin")):
            self.fails(15, "-c", config, "backup", "shop", env={**environment, name: wrong}, says="the user is not let in",
                       hints="auth_source")
        (self.folder / "password").write_text("hush")
        self.assertNotIn("hush", self.fails(15, "-c", config, "backup", "shop", env=environment, says="not let in").errors)
        self.assertEqual(len(self.snapshots()), 1)

    def test_scram(self):
        server = self.server(self.shop(), users={"me": "secret of me"})
        url = f"mongodb://me:secret%20of%20me@{server.host}/shop?authMechanism=SCRAM-SHA-256"
        self.backup(url)
        wrong = self.fails(15, "backup", url.replace("secret%20of", "hush"), says="the user is not let in", hints="password")
        self.assertNotIn("hush", wrong.errors)
        self.fails(15, "backup", url.replace("me:", "nobody:"), says="the user is not let in", hints="auth_source")
        self.fails(15, "backup", server.url("shop"), says="requires authentication", hints="backup")
        self.assertEqual(len(self.snapshots()), 1)

    def certificate(self, name, authority=None):
        """NAME.pem with key and certificate; an authority signs itself."""
        key, out, request = (self.folder / f"{name}{end}" for end in (".key", ".crt", ".csr"))
        run = lambda *argv: subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, cwd=self.folder)
        subject = ["-subj", f"/O=holdfast/CN={name}"]
        if authority is None:
            run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", out, "-days", "2", *subject)
        else:
            run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, *subject)
            (self.folder / "extensions").write_text("subjectAltName = IP:127.0.0.1\n")
            run("x509", "-req", "-in", request, "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial",
                "-out", out, "-days", "2", "-extfile", "extensions")
        both = self.folder / f"{name}.pem"
        both.write_bytes(key.read_bytes() + out.read_bytes())
        return both

    def test_tls_and_x509(self):
        for authority in ("authority", "stranger"):
            self.certificate(authority)
        of_server, mine, other = (self.certificate(*names) for names in
                                  (("server", "authority"), ("me", "authority"), ("nobody", "stranger")))
        server = self.server(self.shop(), tls=(of_server, self.folder / "authority.crt"))
        url = lambda own, authority: (f"mongodb://{server.host}/shop?tls=true&tlsCAFile={self.folder}/{authority}.crt&"
                                      f"tlsCertificateKeyFile={own}&authMechanism=MONGODB-X509")
        self.backup(url(mine, "authority"))
        self.fails(15, "backup", url(mine, "stranger"), says="cannot reach", hints="tlsCAFile")
        self.fails(15, "backup", url(other, "authority"), says="cannot reach", hints="TLS")
        self.fails(15, "backup", server.url("shop"), says="cannot reach", hints="tls=")
        self.assertEqual(len(self.snapshots()), 1)


class Secondaries(Scripted):
    def test_a_secondary_is_read_when_it_is_preferred(self):
        databases = self.shop()
        primary, secondary = self.server({}), self.server(databases)
        hosts = [primary.host, secondary.host]
        primary.hello["hosts"] = hosts
        secondary.hello.update({"hosts": hosts, "primary": primary.host, "ismaster": False, "isWritablePrimary": False, "secondary": True})
        reads = ("find", "aggregate", "listCollections", "listIndexes", "listDatabases", "collStats")
        secondary.faults.append(lambda verb, document: error(13435, "NotPrimaryNoSecondaryOk", "not primary and secondaryOk=false")
                                if verb in reads and document.get("$readPreference", {}).get("mode", "primary") == "primary" else None)
        url = f"mongodb://{primary.host}/shop?replicaSet=rs0"
        self.backup(url + "&readPreference=secondary", "--name", "shop")
        self.restore("latest", self.folder / "out")
        self.assertEqual((self.folder / "out/shop/orders").read_bytes(), b"".join(databases["shop"]["orders"].documents))
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
sources:
  shop: {{kind: mongodb, url: "{url}", read_preference: secondary}}
""")
        self.holdfast("-c", config, "follow", "shop", "--once")
        self.assertEqual(len(self.holdfast("windows", "--json").document()["windows"]), 1)
        self.assertEqual({next(iter(each)) for each in primary.commands} & set(reads), set())


class Elections(Scripted):
    def setUp(self):
        super().setUp()
        self.databases = self.shop()
        self.set = self.server(self.databases)

    def oplog(self, *entries):
        self.databases["local"]["oplog.rs"] = Collection(entries)

    def insert(self, number, id, term=1, **more):
        return oplog_entry(number, "i", "shop.orders", {"_id": id}, term=term, **more)

    def follow(self):
        return self.holdfast("follow", self.set.url("shop"), "--name", "shop", "--once", "--json").lines()

    def windows(self):
        return self.holdfast("windows", "--json").document()["windows"]

    def test_a_new_term_goes_on_in_the_same_window(self):
        self.oplog(self.insert(5, "a"))
        self.follow()
        self.oplog(self.insert(5, "a"), self.insert(6, "b", term=2))
        lines = self.follow()
        self.assertEqual((lines[0]["type"], lines[-1]["records"]), ("continued", 1))
        self.assertIn("term 2", lines[-1]["reached"]["position"])
        self.assertEqual(len(self.windows()), 1)

    def test_a_change_that_was_taken_back_between_two_processes_begins_a_new_window(self):
        self.oplog(self.insert(5, "a"), self.insert(6, "b"))
        self.follow()
        # Of the same time stamp, and by the clock of the new primary even earlier.
        self.oplog(self.insert(5, "a"), {**self.insert(6, "c", term=2), "wall": self.insert(5, "a")["wall"]})
        lines = self.follow()
        self.assertEqual(lines[0]["type"], "began")
        self.assertIn("taken back by an election", lines[0]["because"])
        self.assertEqual(len(self.windows()), 2)

    def test_a_change_that_is_gone_begins_a_new_window(self):
        self.oplog(self.insert(5, "a"), self.insert(6, "b"))
        self.follow()
        self.oplog(self.insert(5, "a"), self.insert(7, "c", term=2))
        self.assertIn("taken back by an election", self.follow()[0]["because"])

    def test_an_oplog_that_rolled_over_begins_a_new_window(self):
        self.follow()
        self.oplog(*[self.insert(i, f"{i}") for i in range(50, 55)])
        self.assertIn("begins later", self.follow()[0]["because"])
        self.assertEqual(len(self.windows()), 2)

    def test_elections_while_it_is_followed(self):
        self.oplog(self.insert(5, "a"))
        child = self.start("follow", self.set.url("shop"), "--name", "shop", "--flush", "200ms")
        wait_until(lambda: len(self.windows()) == 1, "it has a window")
        # The cursor ends; the next primary has all that was followed, and more.
        self.oplog(self.insert(5, "a"), self.insert(6, "b", term=2))
        self.set.cursors.clear()
        wait_until(lambda: self.windows()[0]["records"] == 1, "it goes on")
        self.assertEqual(len(self.windows()), 1)
        # The next one has not.
        self.oplog(self.insert(5, "a"), self.insert(6, "c", term=3))
        self.set.cursors.clear()
        wait_until(lambda: len(self.windows()) == 2, "a new window with a base of its own")
        child.terminate()
        _, err = child.communicate()
        self.assertIn(b"an election took changes back", err)


    def test_a_new_primary_that_does_not_know_yet_what_most_have_is_waited_for(self):
        self.oplog(self.insert(5, "a"))
        child = self.start("follow", self.set.url("shop"), "--name", "shop", "--flush", "200ms")
        wait_until(lambda: len(self.windows()) == 1, "it has a window")
        asked = []

        def lag(verb, document):
            if verb == "find" and document.get("tailable") and len(asked) < 3:
                asked.append(document)
                return {"cursor": {"id": Int64(0), "ns": "local.oplog.rs", "firstBatch": []}, "ok": 1.0}

        self.set.faults.append(lag)
        self.set.cursors.clear()
        wait_until(lambda: asked, "it asks again")
        self.oplog(self.insert(5, "a"), self.insert(6, "b", term=2))
        wait_until(lambda: self.windows()[0]["records"] == 1, "it goes on")
        child.terminate()
        _, err = child.communicate()
        self.assertEqual(len(asked), 3)
        self.assertNotIn(b"not in the oplog any more", err)
        self.assertEqual(len(self.windows()), 1)


class Clocks(Scripted):
    """A primary whose clock is ahead, and is set back."""

    def setUp(self):
        super().setUp()
        self.databases = self.shop(8)
        self.set = self.server(self.databases)
        self.entries = [oplog_entry(5, "n", "", {"msg": "periodic noop"})]
        self.follow()
        self.began = int(time.time() * 1000)

    def say(self, number, milliseconds, id):
        self.entries.append(oplog_entry(number, "i", "shop.orders", {"_id": id}, wall=Date(self.began + milliseconds)))
        self.databases["shop"]["orders"].documents.append(Raw(encode({"_id": id})))

    def follow(self):
        self.databases["local"]["oplog.rs"] = Collection(self.entries)
        return self.holdfast("follow", self.set.url("shop"), "--name", "shop", "--once", "--json").lines()

    def windows(self):
        return self.holdfast("windows", "--json").document()["windows"]

    def restored(self, milliseconds):
        at = self.began + milliseconds
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03}Z"
        target = self.server({}, StoringMongo)
        self.holdfast("restore", "--source", "shop", "--at", at, "--to", target.url(), "--no-verify")
        ids = {decode(each)["_id"] for each in target.databases["shop"]["orders"].documents}
        return {each for each in ids if isinstance(each, str)}

    def test_set_back_it_ends_the_window(self):
        self.say(6, 10, "before")
        self.say(7, 3_600_000, "ahead")
        self.follow()
        self.say(8, 20, "set back")
        began = [each for each in self.follow() if each["type"] in ("continued", "began")]
        self.assertEqual([each["type"] for each in began], ["began"])
        self.assertIn("clock was set back by 3600 s", began[0]["because"])
        self.assertEqual(len(self.windows()), 2)
        self.say(9, 2000, "later")
        self.assertEqual(self.follow()[0]["type"], "continued")
        self.assertEqual(self.restored(15), {"before"})
        self.assertEqual(self.restored(1000), {"before", "ahead", "set back"})
        self.assertEqual(self.restored(2000), {"before", "ahead", "set back", "later"})

    def test_set_back_while_it_is_followed(self):
        self.say(6, 3_600_000, "ahead")
        self.say(7, 20, "set back")
        began = [each for each in self.follow() if each["type"] in ("continued", "began")]
        self.assertEqual([each["type"] for each in began], ["continued", "began"])
        self.assertIn("clock was set back by 3600 s", began[1]["because"])
        self.assertEqual([each["records"] for each in self.windows()], [1, 0])

    def test_what_is_dated_a_little_before_belongs_to_the_same_window(self):
        self.say(6, 1000, "before")
        self.say(7, 0, "a little back")
        self.assertEqual([each["type"] for each in self.follow() if each["type"] in ("continued", "began")], ["continued"])
        self.assertEqual(self.restored(1000), {"before", "a little back"})


class Commands(Scripted):
    """What becomes of collections as wholes, in the journal."""

    def setUp(self):
        super().setUp()
        self.uuids = {name: Uuid(bytes([number]) * 16) for number, name in enumerate(("orders", "new", "old"), 1)}
        self.databases = {"shop": {name: Collection([{"_id": f"{name} {i}"} for i in range(3)], uuid=uuid)
                                   for name, uuid in self.uuids.items()},
                          "local": {"oplog.rs": Collection([oplog_entry(5, "n", "", {"msg": "periodic noop"})])}}
        self.set = self.server(self.databases)
        self.target = self.server({}, StoringMongo)
        self.follow()
        self.began = int(time.time() * 1000)

    def follow(self):
        self.holdfast("follow", self.set.url("shop"), "--name", "shop", "--once")

    def happens(self, *entries):
        self.databases["local"]["oplog.rs"] = Collection([oplog_entry(5, "n", "", {"msg": "periodic noop"}), *entries])
        self.follow()

    def stamp(self, number):
        """When an entry was made: not before the base."""
        at = self.began + number
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03}Z"

    def command(self, number, o, **more):
        return oplog_entry(number, "c", "shop.$cmd", o, wall=Date(self.began + number), **more)

    def insert(self, number, collection, id, uuid):
        return oplog_entry(number, "i", f"shop.{collection}", {"_id": id}, ui=self.uuids[uuid], wall=Date(self.began + number))

    def restored(self, number, *args):
        """What the target holds as of an entry."""
        self.holdfast("restore", "--source", "shop", "--at", self.stamp(number), "--to", self.target.url(), *args)
        return {name: {decode(each)["_id"] for each in collection.documents}
                for name, collection in self.target.databases.get("shop", {}).items()}

    def test_history_tells_of_what_was_dropped_with_its_position(self):
        self.happens(self.insert(6, "orders", "late", "orders"),
                     self.command(7, {"drop": "orders"}, ui=self.uuids["orders"], o2={"numRecords": 4}),
                     self.command(8, {"renameCollection": "shop.new", "to": "shop.old", "dropTarget": self.uuids["old"]},
                                  ui=self.uuids["new"]),
                     self.command(9, {"drop": "old"}, ui=self.uuids["new"], o2={"numRecords": 3}),
                     self.command(10, {"dropDatabase": 1}))
        *events, last = self.holdfast("history", "shop", "--json").lines()
        at = lambda number: str(1_700_000_000 << 32 | number)
        self.assertEqual([(each["what"], each["item"], each["position"].rsplit(":", 1)[-1], each["count"]) for each in events],
                         [("drop", "shop/orders", at(7), 4), ("drop", "shop/old", at(8), 0), ("drop", "shop/old", at(9), 3),
                          ("drop", "shop", at(10), 0)])
        self.assertEqual([each["time"].rstrip("0Z") for each in events], [self.stamp(number).rstrip("0Z") for number in range(7, 11)])
        self.assertEqual(last["events"], 4)
        self.assertEqual(self.restored(6)["orders"], {"orders 0", "orders 1", "orders 2", "late"})
        self.assertNotIn("orders", self.restored(7, "--existing", "drop"))

    INDEX = {"v": 2, "key": {"at": 1}, "name": "at_1"}

    def expires_since(self, *entries):
        """What the journal makes expire stays until it was compared."""
        self.happens(*entries)
        self.restored(9)
        self.assertEqual([each["ttlMonitorEnabled"] for each in self.target.commands if "setParameter" in each], [False, True])

    def test_an_index_of_the_journal_that_expires_counts_as_such(self):
        self.expires_since(self.command(6, {"createIndexes": "orders", **self.INDEX, "expireAfterSeconds": 60}, ui=self.uuids["orders"]))

    def test_an_index_that_expires_only_since_it_was_changed_counts_as_such(self):
        self.expires_since(self.command(6, {"createIndexes": "orders", **self.INDEX}, ui=self.uuids["orders"]),
                           self.command(7, {"collMod": "orders", "index": {"name": "at_1", "expireAfterSeconds": Int64(60)}},
                                        ui=self.uuids["orders"]))

    def test_a_time_series_of_the_journal_that_expires_counts_as_such(self):
        self.expires_since(self.command(6, {"create": "system.buckets.p", "clusteredIndex": True, "expireAfterSeconds": Int64(60),
                                            "timeseries": {"timeField": "at"}}, ui=Uuid(b"b" * 16)))

    def test_what_was_gone_before_the_snapshot_costs_nothing_of_its_name_at_the_target(self):
        """Entries from before the collections were listed may be of one that was dropped by then."""
        gone = {"ui": Uuid(b"g" * 16)}
        self.happens(oplog_entry(6, "i", "shop.mine", {"_id": "of theirs"}, wall=Date(self.began + 6), **gone),
                     self.command(7, {"drop": "mine"}, o2={"numRecords": 1}, **gone))
        mine = Collection([{"_id": "mine"}])
        self.target.databases["shop"] = {"mine": mine}
        for number in (6, 7):
            self.assertEqual(self.restored(number, "--existing", "drop")["mine"], {"mine"})
            self.assertIs(self.target.databases["shop"]["mine"], mine)

    def test_a_rename_over_a_collection_is_one_at_the_target_too(self):
        self.happens(self.insert(6, "new", "first", "new"),
                     self.command(7, {"renameCollection": "shop.new", "to": "shop.old", "dropTarget": self.uuids["old"]},
                                  ui=self.uuids["new"]),
                     self.insert(8, "old", "second", "new"))
        before = self.restored(6)
        self.assertEqual(before["old"], {"old 0", "old 1", "old 2"})
        self.assertEqual(before["new"], {"new 0", "new 1", "new 2", "first"})
        after = self.restored(8, "--existing", "drop")
        self.assertEqual(after, {"orders": before["orders"], "old": {*before["new"], "second"}})


class Busy(Scripted):
    def test_one_run_of_a_follower_makes_a_window_though_others_write_meanwhile(self):
        databases = self.shop()
        server = self.server(databases)

        def write(verb, document):
            if document.get("find") == "orders":
                oplog = databases["local"]["oplog.rs"]
                oplog.documents.append(Raw(encode(oplog_entry(len(oplog.documents) + 1, "i", "shop.orders", {"_id": 900},
                                                              wall=Date(int(time.time() * 1000))))))

        server.faults.append(write)
        self.holdfast("follow", server.url("shop"), "--name", "shop", "--once")
        window, = self.holdfast("windows", "--json").document()["windows"]
        self.assertEqual(window["bases"], 1)
        target = self.server({}, StoringMongo)
        self.holdfast("restore", "--source", "shop", "--at", window["to"], "--to", target.url(), "--no-verify")
        self.assertIn(900, [decode(each)["_id"] for each in target.databases["shop"]["orders"].documents])


class Idle(Scripted):
    def test_a_follower_of_an_idle_set_writes_nothing_but_heartbeats(self):
        databases = self.shop()
        server = self.server(databases)
        began = time.monotonic()
        child = self.start("follow", server.url("shop"), "--name", "shop", "--flush", "200ms")
        windows = lambda: self.holdfast("windows", "--json").document()["windows"]
        wait_until(lambda: len(windows()) == 1, "it has a window")
        before = self.objects()
        oplog = databases["local"]["oplog.rs"]
        for number in range(6, 36):
            oplog.documents.append(Collection([oplog_entry(number, "n", "", {"msg": "periodic noop"})]).documents[0])
            asked = len(server.commands)
            wait_until(lambda: len(server.commands) > asked + 1, "it was read")
        after = self.objects()
        self.assertLessEqual(len(after) - len(before), (time.monotonic() - began) // 60)
        child.terminate()
        child.wait(60)
        # What was not worth a segment of its own is in the last one.
        self.assertIn("22:13:20.035", windows()[0]["to"])


class Archives(Scripted):
    """Mongodump's archive by its published form (mongo-tools, common/archive), written by nothing of ours."""

    END = b"\xff\xff\xff\xff"

    def sum(self, data):
        """CRC-64 of ECMA-182, reflected, bit by bit."""
        value = (1 << 64) - 1
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ (0xC96C5795D7870F42 if value & 1 else 0)
        value ^= (1 << 64) - 1
        return Int64(value - (1 << 64) if value >> 63 else value)

    def head(self, *namespaces):
        out = struct.pack("<I", 0x8199E26D) + encode({"concurrent_collections": 4, "version": "0.1", "server_version": "6.0.12",
                                                      "tool_version": "100.9.4"})
        for database, collection, metadata in namespaces:
            out += encode({"db": database, "collection": collection, "metadata": metadata, "size": 3, "type": "collection" if metadata else ""})
        return out + self.END

    def piece(self, database, collection, *documents):
        head = {"db": database, "collection": collection, "EOF": False, "CRC": Int64(0)}
        return encode(head) + b"".join(map(encode, documents)) + self.END

    def end(self, database, collection, documents):
        head = {"db": database, "collection": collection, "EOF": True, "CRC": self.sum(b"".join(map(encode, documents)))}
        return encode(head) + self.END

    def imported(self, data):
        dump = self.folder / "shop.archive"
        dump.write_bytes(data)
        return self.run_program("import", dump, "--source", "shop", "--time", "2024-01-31")

    def test_collections_that_take_turns_an_empty_one_users_and_the_oplog(self):
        a, b = ([{"_id": i, "of": name} for i in range(4)] for name in "ab")
        entry = oplog_entry(6, "i", "shop.a", {"_id": 99})
        user = {"_id": "shop.me", "user": "me", "db": "shop"}
        metadata = '{"options":{"collation":{"locale":"de"}},"indexes":[{"v":2,"key":{"_id":1},"name":"_id_"},{"v":2,"key":{"of":1},"name":"of_1"}],"uuid":"","collectionName":"a","type":"collection"}'
        whole = (self.head(("shop", "a", metadata), ("shop", "b", '{"options":{},"indexes":[]}'), ("shop", "none", '{"options":{},"indexes":[]}'),
                           ("shop", "$admin.system.users", ""), ("", "oplog", ""))
                 + self.piece("shop", "a", *a[:2]) + self.piece("shop", "b", *b[:1]) + self.piece("shop", "a", *a[2:3])
                 + self.piece("shop", "none") + self.end("shop", "none", []) + self.piece("shop", "b", *b[1:]) + self.end("shop", "b", b)
                 + self.piece("shop", "$admin.system.users", user) + self.piece("shop", "a", *a[3:])
                 + self.end("shop", "$admin.system.users", [user]) + self.end("shop", "a", a)
                 + self.piece("", "oplog", entry) + self.end("", "oplog", [entry]))
        result = self.imported(whole)
        self.assertEqual(result.code, 0, result)
        self.restore("latest", self.folder / "out")
        for name, documents in (("shop/a", a), ("shop/b", b), ("shop/none", []), ("users.bson", [user]), ("~oplog/entries.bson", [entry])):
            self.assertEqual((self.folder / "out" / name).read_bytes(), b"".join(map(encode, documents)), name)
        self.assertEqual({each.name for each in (self.folder / "out/shop").iterdir()}, {"a", "b", "none"})
        target = self.server({}, StoringMongo)
        self.restore("latest", target.url(), "--no-verify")
        self.assertEqual([decode(each)["_id"] for each in target.databases["shop"]["a"].documents], [0, 1, 2, 3, 99])
        self.assertEqual(target.databases["shop"]["a"].options, {"collation": {"locale": "de"}})
        self.assertEqual([each["name"] for each in target.databases["shop"]["a"].indexes], ["_id_", "of_1"])
        # Each piece has to be there, and in its order within its collection.
        for wrong in (whole.replace(self.piece("shop", "a", *a[2:3]), b""), whole.replace(self.end("shop", "a", a), b""),
                      whole.replace(encode(a[1]), encode({**a[1], "of": "z"})), whole[:-4]):
            self.assertEqual(self.imported(wrong).code, 15)
        self.assertEqual(len(self.snapshots()), 1)


class Targets(Scripted):
    """What a server says to a restore."""

    def setUp(self):
        super().setUp()
        self.backup(self.server(self.shop()).url("shop"), "--name", "shop")
        self.target = self.server({})
        for verb in ("create", "insert", "createindexes", "drop"):
            setattr(self.target, "do_" + verb, lambda document: {"ok": 1.0, "n": len(document.get("documents", []))})

    def restoring(self, code, source="shop", **expected):
        return self.fails(code, "restore", "latest", "--source", source, "--to", self.target.url(), "--no-verify", **expected)

    def test_a_full_disk_is_told_as_such(self):
        self.target.do_insert = lambda document: error(14031, "OutOfDiskSpace", "available disk space of 1 bytes is less than required")
        self.restoring(18, says="available disk space")

    def test_what_a_set_does_not_confirm_is_not_restored(self):
        for verb in ("create", "insert"):
            done = getattr(self.target, "do_" + verb)
            setattr(self.target, "do_" + verb, lambda document: {**done(document), "writeConcernError": {
                "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}})
            self.restoring(16, says="waiting for replication timed out", hints="fewer members of the set have confirmed it")
            setattr(self.target, "do_" + verb, done)

    def test_a_missing_privilege_is_named(self):
        self.target.do_insert = lambda document: error(
            13, "Unauthorized", "not authorized on shop to execute command { insert: \"orders\", ordered: false }")
        self.restoring(16, says="not authorized on shop", hints="may not `insert` on `shop`")

    def test_the_same_id_twice_is_refused(self):
        self.target.do_insert = lambda document: {"ok": 1.0, "n": 0, "writeErrors": [
            {"index": 0, "code": 11000, "errmsg": "E11000 duplicate key error collection: shop.orders index: _id_"}]}
        self.restoring(16, says="E11000 duplicate key")

    def test_a_view_that_no_longer_resolves_is_left_out_and_told(self):
        databases = self.shop()
        databases["shop"]["paid"] = Collection(kind="view", options={"viewOn": "gone", "pipeline": [{"$match": {"$x": 1}}]})
        self.backup(self.server(databases).url("shop"), "--name", "with-view")
        self.target.do_create = lambda document: (error(2, "BadValue", "unknown top level operator: $x")
                                                  if "viewOn" in document else {"ok": 1.0})
        self.restoring(3, "with-view", says="the view cannot be made")

    def test_who_may_not_keep_documents_from_expiring_is_told(self):
        databases = self.shop()
        databases["shop"]["orders"].indexes.append({"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60})
        self.backup(self.server(databases).url("shop"), "--name", "expiring")
        self.target.do_setparameter = lambda document: error(13, "Unauthorized", "not authorized")
        result = self.holdfast("restore", "latest", "--source", "expiring", "--to", self.target.url(), "--no-verify")
        self.assertIn("hostManager", result.errors)


class IntoServers(Scripted):
    """What a restore says to a server, and what that then holds."""

    def setUp(self):
        super().setUp()
        self.target = self.server({}, StoringMongo)

    def restore_into(self, *args, at=None, source="shop"):
        when = ("--at", at) if at else ("latest",)
        return self.holdfast("restore", *when, "--source", source, "--to", self.target.url(), *args, "--json").lines()[-1]

    def steps(self, *verbs):
        return [each for each in self.target.commands if next(iter(each)) in verbs]

    def assert_holds(self, databases, *names):
        for name in names:
            database, collection = name.split(".", 1)
            self.assertEqual(sorted(self.target.databases[database][collection].documents),
                             sorted(databases[database][collection].documents), name)

    def captured(self, databases, *args):
        self.backup(self.server(databases).url("shop"), "--name", "shop", *args)
        return databases

    def test_collections_are_made_again_with_all_that_is_said_of_them(self):
        databases = self.shop()
        databases["shop"].update(every_kind())
        self.captured(databases)
        result = self.restore_into()
        self.assertEqual(result["verified"]["result"], "pass", result)
        made = {each["create"]: each for each in self.steps("create")}
        self.assertEqual(set(made), {"orders", "odd", "points", "paid", "log", "tree", "ttl"})
        for name, asked in made.items():
            options = databases["shop"][name].options
            self.assertEqual({option: asked.get(option) for option in options}, options, name)
            self.assertEqual({option for option in asked if option[0] != "$"} - set(options) - {"lsid", "writeConcern"}, {"create"}, name)
        self.assert_holds(databases, *[f"shop.{name}" for name in ("orders", "odd", "system.buckets.points", "log", "tree", "ttl")])
        self.assertEqual(self.target.databases["shop"]["log"].documents, databases["shop"]["log"].documents)
        index, = [each for each in self.steps("createIndexes") if each["createIndexes"] == "ttl"]
        self.assertEqual(index["indexes"], [{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60,
                                             "partialFilterExpression": {"x": 1}}])
        self.assertNotIn("tree", {each["createIndexes"] for each in self.steps("createIndexes")})
        self.assertEqual(self.steps("create", "insert", "createIndexes")[-1]["create"], "paid")

    WRITES = ("create", "insert", "update", "delete", "createIndexes", "drop", "renameCollection")

    def write_concerns(self, options, *args, **kinds):
        """What each write of a restore asks for, and no read does."""
        self.target = self.server({}, StoringMongo, **kinds)
        self.holdfast("restore", "latest", "--source", "shop", "--to", self.target.url() + options, *args)
        reads = [each for each in self.target.commands if next(iter(each)) not in self.WRITES and "writeConcern" in each]
        self.assertEqual(reads, [])
        return {next(iter(each)): each.get("writeConcern") for each in self.steps(*self.WRITES)}

    def test_writes_ask_for_what_the_address_says_else_for_most_of_the_set(self):
        databases = self.shop()
        databases["shop"]["orders"].indexes.append({"v": 2, "key": {"x": 1}, "name": "x"})
        self.captured(databases)
        for options, expected in (("", {"w": "majority"}), ("?w=2&journal=true", {"w": 2, "j": True}),
                                  ("?wtimeoutMS=5000", {"w": "majority", "wtimeout": 5000}), ("?w=0", {"w": "majority"})):
            self.assertEqual(self.write_concerns(options), {verb: expected for verb in ("create", "insert", "createIndexes")}, options)
        alone = {"hello": {"setName": None, "hosts": None, "primary": None}}
        for options, expected in (("", None), ("?w=0", None), ("?journal=true", {"j": True})):
            self.assertEqual(self.write_concerns(options, **alone), {verb: expected for verb in ("create", "insert", "createIndexes")}, options)
        there = self.target.databases
        self.target = self.server(there, StoringMongo)
        self.holdfast("restore", "latest", "--source", "shop", "--to", self.target.url("shop"), "--beside", "shop_new", "--swap", "--no-verify")
        self.assertEqual({each["writeConcern"]["w"] for each in self.steps("renameCollection")}, {"majority"})

    def test_documents_come_back_byte_for_byte_also_over_others(self):
        databases = self.shop(0)
        databases["shop"]["odd"] = Collection(odd_documents())
        self.captured(databases)
        result = self.restore_into()
        self.assertEqual(result["verified"]["result"], "pass", result)
        self.assert_holds(databases, "shop.odd")
        self.target.databases["shop"]["odd"] = Collection([{"_id": i, "other": "x"} for i in range(1, 6)])
        result = self.restore_into("--existing", "replace", "--include", "shop/odd")
        self.assertEqual(result["collections"], [{"name": "shop.odd", "added": 1, "replaced": 5, "left": 0}])
        self.assert_holds(databases, "shop.odd")
        result = self.restore_into("--existing", "replace", "--include", "shop/odd")
        self.assertEqual(result["collections"], [{"name": "shop.odd", "added": 0, "replaced": 0, "left": 6}])

    def test_who_is_kept_out_by_a_unique_index_is_not_counted_as_left(self):
        by_mail = {"v": 2, "key": {"mail": 1}, "name": "mail_1", "unique": True}
        documents = [{"_id": i, "mail": f"mail {i}"} for i in range(6)]
        self.captured({"shop": {"people": Collection(documents, indexes=[by_mail])}})
        there = [{"_id": "other", "mail": "mail 2"}, {"_id": 3, "mail": "mail 3"}, {"_id": "third", "mail": "mail 5"}]
        for says_pattern in (True, False):
            self.target.says_pattern = says_pattern
            self.target.databases["shop"] = {"people": Collection(there, indexes=[by_mail])}
            result = self.fails(3, "restore", "latest", "--source", "shop", "--to", self.target.url(), "--existing", "missing", "--no-verify",
                                says=['{ "_id" : ', "mail_1", "and 1 more"])
            self.assertIn("shop.people: 3 documents added, 0 replaced, 1 left", result.text)
            self.assertEqual([decode(each) for each in self.target.databases["shop"]["people"].documents],
                             there + [documents[i] for i in (0, 1, 4)])

    def test_a_capped_collection_gets_all_that_it_lacks(self):
        capped = {"capped": True, "size": 4096}
        self.captured({"shop": {"log": Collection([{"_id": i} for i in range(9)], options=capped)},
                       "local": self.shop()["local"]})
        self.target.databases["shop"] = {"log": Collection([{"_id": 0}, {"_id": 4}], options=capped)}
        self.restore_into("--existing", "missing")
        self.assertEqual({decode(each)["_id"] for each in self.target.databases["shop"]["log"].documents}, set(range(9)))

    def test_of_a_damaged_collection_no_part_is_left_under_its_name(self):
        noise = random.Random(8)
        databases = self.shop()
        large = [{"_id": i, "data": noise.randbytes(60_000)} for i in range(500)]
        databases["shop"]["large"] = Collection(large[:400])
        self.captured(databases)
        before = set(self.objects("data"))
        databases["shop"]["large"] = Collection(large)
        self.captured(databases)
        # What came last lies in packs of its own: the documents before it are at the target when it is missed.
        pack, = set(self.objects("data")) - before
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)
        self.target.databases["shop"] = {"mine": Collection([{"_id": 1}])}
        self.fails(13, "restore", "latest", "--source", "shop", "--to", self.target.url(), says="could not be restored")
        self.assertEqual(set(self.target.databases["shop"]), {"mine", "orders"})
        self.assertGreater(len([each for each in self.steps("insert") if each["insert"] == "large"]), 0)
        self.assert_holds(databases, "shop.orders")
        mine = [{"_id": "mine"}]
        self.target.databases["shop"]["large"] = Collection(mine)
        self.fails(13, "restore", "latest", "--source", "shop", "--to", self.target.url(), "--existing", "missing", says="could not be restored")
        self.assertEqual(decode(self.target.databases["shop"]["large"].documents[0]), mine[0])

    def test_users_come_back_when_asked_for_and_those_there_stay(self):
        databases = self.shop()
        databases["admin"] = {"system.users": Collection([{"_id": "shop.me", "user": "me", "db": "shop"},
                                                          {"_id": "shop.you", "user": "you", "db": "shop"}]),
                              "system.roles": Collection([{"_id": "shop.r", "role": "r", "db": "shop"}])}
        self.captured(databases)
        self.restore_into()
        self.assertNotIn("admin", self.target.databases)
        mine = {"_id": "shop.me", "user": "me", "db": "shop", "credentials": "of here"}
        self.target.databases["admin"] = {"system.users": Collection([mine])}
        self.restore_into("--existing", "drop", "--with-users")
        self.assertEqual([decode(each) for each in self.target.databases["admin"]["system.users"].documents],
                         [mine, {"_id": "shop.you", "user": "you", "db": "shop"}])
        self.assert_holds(databases, "admin.system.roles")
        for form in ("archive", "tar", "directory"):
            self.holdfast("export", "latest", "--source", "shop", "--as", form, "--to", self.folder / form)
            self.holdfast("import", self.folder / form, "--source", "of " + form)
            self.target.databases.clear()
            self.restore_into("--with-users", source="of " + form)
            self.assert_holds(databases, "admin.system.users", "admin.system.roles", "shop.orders")

    def test_expiring_documents_stay_until_they_were_compared(self):
        databases = self.shop()
        databases["shop"]["orders"].indexes.append({"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60})
        self.captured(databases)
        self.restore_into()
        steps = [(next(iter(each)), each.get("ttlMonitorEnabled")) for each in self.steps("setParameter", "insert", "createIndexes", "find")
                 if each.get("find") in (None, "orders") and "limit" not in each]
        self.assertEqual([steps[0], *steps[-3:]],
                         [("setParameter", False), ("createIndexes", None), ("find", None), ("setParameter", True)], steps)

    def test_a_time_series_that_expires_counts_as_such(self):
        self.captured({"shop": {"points": every_kind()["points"], "system.buckets.points": Collection()}})
        self.restore_into()
        self.assertEqual([each["ttlMonitorEnabled"] for each in self.steps("setParameter")], [False, True])

    def test_what_expired_since_is_in_its_proof(self):
        databases = self.shop()
        databases["shop"]["orders"].indexes.append({"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60})
        self.captured(databases)
        program = self.folder / "mongod"
        wire, scripted = ((SERVERS / name).read_text() for name in ("mongo_wire.py", "scripted_mongo.py"))
        program.write_text("#!/usr/bin/python3\n" + wire + re.sub(r"from mongo_wire import \([^)]*\)\n", "", scripted) + """

class Expiring(StoringMongo):
    def do_find(self, document):
        for each in self.databases.get(document["$db"], {}).values():
            if self.switches["ttlMonitorEnabled"] and any("expireAfterSeconds" in index for index in each.indexes):
                each.documents = []
        return super().do_find(document)

    def do_validate(self, document):
        return {"valid": True, "ok": 1.0}


import sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("--unixSocketPrefix") + 1] + "/mongodb-27017.sock")
listener.listen()
Expiring({}, hello={"setName": None, "hosts": None, "primary": None}, listener=listener).thread.join()
""")
        program.chmod(0o755)
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
sources:
  shop: {{kind: mongodb, url: "{self.server(databases).url("shop")}", server_program: "{program}"}}
""")
        line = self.holdfast("-c", config, "prove", "shop", "--json").lines()[-1]
        self.assertEqual((line["result"], line["level"]), ("pass", "V4"), line)


class Chosen(Scripted):
    """What `databases` and `collections` name has to be there: an empty backup is not a good one."""

    def configured(self, options, server=None):
        server = server or self.server(self.shop())
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
sources:
  shop: {{kind: mongodb, url: "{server.url()}", {options}}}
""")
        return "-c", config

    def test_a_collection_that_is_not_there_is_refused_by_backup_and_follow(self):
        config = self.configured("collections: [shop/ordrs]")
        for verb in (("backup", "shop"), ("follow", "shop", "--once")):
            self.fails(15, *config, *verb, says="there is no collection shop/ordrs", hints="Did you mean `shop/orders`?")
        config = self.configured("collections: [shop/orders, shop/zebra]")
        self.fails(15, *config, "backup", "shop", says="there is no collection shop/zebra", hints="The server has: shop/orders.")
        self.nothing_is_committed()

    def test_globs_may_match_nothing_as_long_as_something_is_chosen(self):
        config = self.configured('databases: [shop, "x*"], collections: [shop/orders, "shop/log_*"]')
        for verb in (("backup", "shop"), ("follow", "shop", "--once")):
            errors = self.holdfast(*config, *verb).errors
            for glob in ("x*", "shop/log_*"):
                self.assertEqual(errors.count(f"nothing matches `{glob}`"), 2 if verb[0] == "follow" else 1, errors)

    def test_nothing_at_all_is_refused(self):
        for options in ('collections: ["shop/log_*"]', "exclude: [shop/orders]", 'databases: [shop], collections: ["other/*"]'):
            config = self.configured(options)
            for verb in (("backup", "shop"), ("follow", "shop", "--once")):
                self.fails(15, *config, *verb, says="no collection is chosen", hints="The server has: shop/orders.")
        self.nothing_is_committed()

    def test_what_was_dropped_since_is_followed_on(self):
        databases = self.shop()
        config = self.configured("collections: [shop/orders]", self.server(databases))
        self.holdfast(*config, "follow", "shop", "--once")
        del databases["shop"]["orders"]
        databases["local"]["oplog.rs"].documents.append(
            Raw(encode(oplog_entry(6, "c", "shop.$cmd", {"drop": "orders"}, o2={"numRecords": 250}))))
        result = self.holdfast(*config, "follow", "shop", "--once", "--json")
        self.assertIn("there is no collection shop/orders", result.errors)
        self.assertEqual(result.lines()[-1]["records"], 1)

    def test_a_canary_needs_a_database_that_is_named(self):
        self.fails(2, *self.configured('databases: ["s*"], canary: 5s'), "follow", "shop", "--once", says="`canary` has no database",
                   hints="Name one of them")
        self.holdfast(*self.configured('databases: ["s*", shop], canary: 5s'), "follow", "shop", "--once")

    def test_all_databases_are_not_those_that_the_user_may_see(self):
        server = self.server(self.shop())

        def see_a_part(verb, document):
            if verb == "listDatabases" and document.get("authorizedDatabases") is False:
                return error(13, "Unauthorized", "not authorized on admin to execute command { listDatabases: 1 }")

        server.faults.append(see_a_part)
        for options in ("", 'databases: ["s*"]'):
            for verb in (("backup", "shop"), ("follow", "shop", "--once")):
                self.fails(15, *self.configured(options, server), *verb, says="may not see which databases there are",
                           hints=["`listDatabases` on the cluster", "name the databases"])
        self.nothing_is_committed()
        self.backup(*self.configured("databases: [shop]", server), "shop")

    def test_a_collection_without_its_database_is_refused(self):
        self.fails(2, *self.configured("collections: [orders]"), "backup", "shop", says="`orders` is of no database",
                   hints="DATABASE/COLLECTION")
        self.holdfast(*self.configured("database: shop, collections: [orders]"), "backup", "shop")


class Refusals(Scripted):
    def fault(self, server, wanted, reply):
        server.faults.append(lambda verb, document: reply if wanted(verb, document) else None)

    def test_a_missing_role_is_told(self):
        server = self.server(self.shop())
        self.fault(server, lambda verb, document: document.get("find") == "orders",
                   error(13, "Unauthorized", "not authorized on shop to execute command { find: \"orders\" }"))
        self.fails(15, "backup", server.url("shop"), says="not authorized on shop", hints=["may not `find` on `shop`", "`backup`"])
        self.nothing_is_committed()

    def test_who_may_not_read_the_oplog_is_told_so(self):
        databases = self.shop()
        databases["shop"]["log"] = Collection([{"_id": 1}], options={"capped": True, "size": 4096})
        for verb in ("listCollections", "find"):
            server = self.server(databases)
            self.fault(server, lambda name, document: name == verb and document["$db"] == "local",
                       error(13, "Unauthorized", f"not authorized on local to execute command {{ {verb}: 1 }}"))
            for args in (("follow", server.url("shop"), "--once"), ("backup", server.url("shop"), "--consistency", "oplog")):
                self.fails(15, *args, says="not authorized on local", hints=[f"may not `{verb}` on `local`", "`backup`"])
            self.nothing_is_committed()
        errors = self.holdfast("backup", server.url("shop")).errors
        self.assertIn("not one instant", errors)
        self.assertIn("The user may not `find` on `local`", errors)
        self.assertNotIn("--replSet", errors)

    def test_users_that_may_not_be_read_are_left_out_with_a_warning(self):
        for code, name in ((8000, "AtlasError"), (13, "Unauthorized")):
            server = self.server(self.shop())
            self.fault(server, lambda verb, document: document.get("find") == "system.users",
                       error(code, name, "not authorized on admin to execute command"))
            result = self.holdfast("backup", server.url("shop"), "--name", "shop")
            self.assertIn("users and roles are not captured", result.errors)
        target = self.server({}, StoringMongo)
        self.restore("latest", target.url())
        self.assertEqual(len(target.databases["shop"]["orders"].documents), 250)
        self.fails(3, "restore", "latest", "--to", target.url(), "--existing", "drop", "--with-users",
                   says="users and roles were not captured: not authorized on admin")

    def test_users_that_cannot_be_read_for_another_reason_end_the_capture(self):
        for reply, says in (("hang up", "the connection to"), (error(11600, "InterruptedAtShutdown", "interrupted at shutdown"), "at shutdown")):
            server = self.server(self.shop())
            self.fault(server, lambda verb, document: document.get("find") == "system.users", reply)
            self.fails(15, "backup", server.url("shop"), says=says)
        self.nothing_is_committed()

    def test_a_cursor_that_was_killed(self):
        server = self.server(self.shop(5000))
        self.fault(server, lambda verb, document: verb == "getMore", error(43, "CursorNotFound", "cursor id 1 not found"))
        self.fails(15, "backup", server.url("shop"), says="cursor id 1 not found", hints="try again")
        self.nothing_is_committed()

    def test_a_server_that_hangs_up_in_mid_capture(self):
        server = self.server(self.shop(5000))
        self.fault(server, lambda verb, document: verb == "getMore", "hang up")
        self.fails(15, "backup", server.url("shop"), says="the connection to", hints="try again")
        self.nothing_is_committed()

    def test_a_snapshot_that_became_too_old(self):
        server = self.server(self.shop(5000))
        self.fault(server, lambda verb, document: verb == "getMore", error(239, "SnapshotTooOld", "Read timestamp is too old"))
        self.fails(15, "backup", server.url("shop"), says="too old", hints="consistency: oplog")
        self.nothing_is_committed()

    def test_a_target_of_an_older_feature_version(self):
        server, other = self.server(self.shop()), self.server({})
        self.backup(server.url("shop"))
        for reply in ({"featureCompatibilityVersion": {"version": "5.0"}, "ok": 1.0}, error(59, "CommandNotFound", "none")):
            self.fault(other, lambda verb, document: verb.lower() == "buildinfo", {"version": "5.0.3", "ok": 1.0})
            self.fault(other, lambda verb, document: verb == "getParameter", reply)
            self.fails(16, "restore", "latest", "--to", other.url(), says=["feature version 5.0", "6.0.12"], hints="--older-server")
            other.faults.clear()
        self.assertNotIn("create", {next(iter(each)) for each in other.commands})

    def test_a_server_that_is_held_at_an_older_feature_version_takes_back_what_it_gave(self):
        held = lambda version: lambda document: ({"featureCompatibilityVersion": {"version": version}, "ok": 1.0}
                                                 if "featureCompatibilityVersion" in document else error(72, "InvalidOptions", "none"))
        server, other = self.server(self.shop()), self.server({}, StoringMongo)
        server.do_getparameter = held("5.0")
        self.backup(server.url("shop"))
        other.do_getparameter = held("4.4")
        self.fails(16, "restore", "latest", "--to", other.url(), says=["feature version 4.4", "5.0 was captured"], hints="--older-server")
        self.assertEqual(other.databases, {})
        for version in ("5.0", "6.0"):
            other.do_getparameter = held(version)
            self.restore("latest", other.url(), "--existing", "drop")
            self.assertEqual(len(other.databases["shop"]["orders"].documents), 250)

    def test_a_sharded_cluster_is_refused(self):
        server = self.server(self.shop(), hello={"msg": "isdbgrid", "setName": None})
        for verb in ("backup", "follow"):
            self.fails(15, verb, server.url("shop"), says="sharded cluster", hints="each shard")

    def test_what_is_no_answer_of_a_server(self):
        server = self.server({"shop": {"orders": Collection([{"_id": 1}])}})
        self.fault(server, lambda verb, document: document.get("find") == "orders",
                   {"cursor": {"id": 0, "ns": "shop.orders", "firstBatch": [1, "x"]}, "ok": 1.0})
        self.fails(15, "backup", server.url("shop"), "--consistency", "none", says="no documents")
        self.nothing_is_committed()


if __name__ == "__main__":
    main()
