"""MongoDB, what only members of a real set say: played by a scripted server (tests/servers/scripted_mongo.py)."""

import pathlib
import sys

from harness import Case, main

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

from mongo_wire import NotUtf8, encode, object_id  # noqa: E402
from scripted_mongo import Collection, ScriptedMongo, error, oplog_entry  # noqa: E402


class Scripted(Case):
    def setUp(self):
        super().setUp()
        self.init()

    def server(self, databases, **options):
        server = ScriptedMongo(databases, **options)
        self.addCleanup(server.close)
        return server

    def nothing_is_committed(self):
        self.assertEqual(self.snapshots(), [])

    def shop(self, count=250):
        return {"shop": {"orders": Collection([{"_id": i, "text": "x" * 50} for i in range(count)])},
                "local": {"oplog.rs": Collection([oplog_entry(i, "n", "", {"msg": "periodic noop"}) for i in range(1, 6)])}}


class Members(Scripted):
    def test_everything_of_a_set_is_captured_at_one_cluster_time(self):
        deep = {"end": 1}
        for _ in range(90):
            deep = {"d": deep}
        odd = [{"_id": 1, "a.b": 1, "$c": 2, "": 3}, {"_id": 2, "text": NotUtf8(b"\xff\xfe")}, {"_id": 3, b"\xff": 1},
               {"_id": 4, "deep": deep}, {"_id": 5, "large": b"x" * ((16 << 20) - 64)}]
        databases = self.shop()
        databases["shop"].update({
            "odd": Collection(odd, options={"validator": {"a": {"$exists": True}}, "collation": {"locale": "de", "strength": 2}}),
            "points": Collection(kind="timeseries", options={"timeseries": {"timeField": "at", "granularity": "seconds"}}),
            "system.buckets.points": Collection([{"_id": object_id(), "control": {"version": 1}, "data": {}}]),
            "system.views": Collection([{"_id": "shop.paid"}]),
            "paid": Collection(kind="view", options={"viewOn": "orders", "pipeline": [{"$match": {"gone": {"$x": 1}}}]}),
            "ttl": Collection(indexes=[{"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60,
                                        "partialFilterExpression": {"x": 1}}])})
        databases["admin"] = {"system.users": Collection([{"_id": "admin.me", "user": "me", "db": "admin"}]),
                              "system.roles": Collection([{"_id": "shop.r", "role": "r", "db": "shop"}])}
        server = self.server(databases)
        self.backup(server.url())
        self.restore("latest", self.folder / "out")
        out = self.folder / "out"
        self.assertEqual((out / "shop/odd").read_bytes(), b"".join(encode(each) for each in odd))
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

    def test_a_capture_that_the_oplog_has_left_behind_is_void(self):
        databases = self.shop()
        server = self.server(databases)

        def roll(verb, document):
            if document.get("find") == "orders":
                databases["local"]["oplog.rs"] = Collection([oplog_entry(i, "n", "", {}) for i in range(50, 55)])

        server.faults.append(roll)
        self.fails(15, "backup", server.url("shop"), "--consistency", "oplog", says="oplog rolled over", hints="larger")
        self.nothing_is_committed()


class Refusals(Scripted):
    def fault(self, server, wanted, reply):
        server.faults.append(lambda verb, document: reply if wanted(verb, document) else None)

    def test_a_missing_role_is_told(self):
        server = self.server(self.shop())
        self.fault(server, lambda verb, document: document.get("find") == "orders",
                   error(13, "Unauthorized", "not authorized on shop to execute command { find: \"orders\" }"))
        self.fails(15, "backup", server.url("shop"), says="not authorized on shop", hints="`backup`")
        self.nothing_is_committed()

    def test_users_that_may_not_be_read_are_left_out_with_a_warning(self):
        server = self.server(self.shop())
        self.fault(server, lambda verb, document: document.get("find") == "system.users",
                   error(13, "Unauthorized", "not authorized on admin to execute command"))
        result = self.holdfast("backup", server.url("shop"))
        self.assertIn("users and roles are not captured", result.errors)

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

    def test_a_sharded_cluster_is_refused(self):
        server = self.server(self.shop(), hello={"msg": "isdbgrid", "setName": None})
        self.fails(15, "backup", server.url("shop"), says="sharded cluster", hints="each shard")

    def test_what_is_no_answer_of_a_server(self):
        server = self.server({"shop": {"orders": Collection([{"_id": 1}])}})
        self.fault(server, lambda verb, document: document.get("find") == "orders",
                   {"cursor": {"id": 0, "ns": "shop.orders", "firstBatch": [1, "x"]}, "ok": 1.0})
        self.fails(15, "backup", server.url("shop"), "--consistency", "none", says="no documents")
        self.nothing_is_committed()


if __name__ == "__main__":
    main()
