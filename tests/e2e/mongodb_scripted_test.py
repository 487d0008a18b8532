"""MongoDB, what only members of a real set say: played by a scripted server (tests/servers/scripted_mongo.py)."""

import pathlib
import subprocess
import sys

from harness import Case, main, wait_until

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


class Ranges(Scripted):
    def documents(self):
        """Of two types: what is a condition on one of them leaves out the other."""
        return [{"_id": i, "text": "n" * (i % 90)} for i in range(1500)] + [{"_id": f"{i:05}", "text": "x" * 70} for i in range(1500)]

    def captured(self, **options):
        server = self.server({"shop": {"orders": Collection(self.documents())}}, **options)
        self.backup(server.url(), "--range-size", "16K")
        self.restore("latest", self.folder / "out")
        self.assertEqual((self.folder / "out/shop/orders").read_bytes(), b"".join(encode(each) for each in self.documents()))
        return [each for each in server.commands if "hint" in each and "limit" not in each]

    def test_a_large_collection_is_read_by_ranges_in_order(self):
        reads = self.captured()
        self.assertGreater(len(reads), 8)
        self.assertEqual({str(each["max"]) for each in reads if "max" in each}, {str(each["min"]) for each in reads if "min" in each})
        for each in reads:
            self.assertIn("atClusterTime", each["readConcern"])

    def test_a_server_that_does_not_know_bounds_is_read_in_one(self):
        self.assertEqual(self.captured(knows_bounds=False), [])

    def test_a_range_that_cannot_be_read_ends_the_capture(self):
        server = self.server({"shop": {"orders": Collection(self.documents())}})
        server.faults.append(lambda verb, document: error(43, "CursorNotFound", "cursor id 7 not found") if verb == "getMore" else None)
        self.fails(15, "backup", server.url(), "--range-size", "32K", says="cursor id 7 not found", hints="try again")
        self.nothing_is_committed()


class Identity(Scripted):
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

    def test_expiring_documents_stay_while_they_are_restored(self):
        databases = self.shop()
        databases["shop"]["orders"].indexes.append({"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60})
        self.backup(self.server(databases).url("shop"), "--name", "expiring")
        self.target.do_getparameter = lambda document: ({"ttlMonitorEnabled": True, "ok": 1.0} if "ttlMonitorEnabled" in document
                                                        else error(59, "CommandNotFound", "none"))
        self.target.do_setparameter = lambda document: {"was": True, "ok": 1.0}
        restore = ("restore", "latest", "--source", "expiring", "--to", self.target.url(), "--no-verify")
        self.holdfast(*restore)
        verbs = [(next(iter(each)), each.get("ttlMonitorEnabled")) for each in self.target.commands]
        steps = [each for each in verbs if each[0] in ("setParameter", "insert", "createIndexes")]
        self.assertEqual((steps[0], steps[-1]), (("setParameter", False), ("setParameter", True)), steps)
        self.target.do_setparameter = lambda document: error(13, "Unauthorized", "not authorized")
        self.assertIn("hostManager", self.holdfast(*restore).errors)


class Refusals(Scripted):
    def fault(self, server, wanted, reply):
        server.faults.append(lambda verb, document: reply if wanted(verb, document) else None)

    def test_a_missing_role_is_told(self):
        server = self.server(self.shop())
        self.fault(server, lambda verb, document: document.get("find") == "orders",
                   error(13, "Unauthorized", "not authorized on shop to execute command { find: \"orders\" }"))
        self.fails(15, "backup", server.url("shop"), says="not authorized on shop", hints=["may not `find` on `shop`", "`backup`"])
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
