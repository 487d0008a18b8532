"""MongoDB: databases go out and come back in another server, whole, in part and as of an instant."""

import datetime
import json
import os
import pathlib
import random
import shutil
import subprocess
import tarfile
import time

from harness import PROGRAM, SCALE, Case, main, wait_until
from mongo_server import WHICH, mongo_server, server_program
from mongo_wire import Int64, encode, object_id

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
print(f"MongoDB tests run on {WHICH}")


def orders(count, begin=0):
    return [{"_id": f"order {i:06}", "customer": i % 7, "text": f"text of {i} " * 4, "lines": [{"n": i, "price": i / 8}]}
            for i in range(begin, begin + count)]


class Mongodb(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.server, self.other = mongo_server("first"), mongo_server("second")
        self.server.clear()
        self.other.clear()
        self.mongo, self.there = self.server.mongo, self.other.mongo

    def fill(self, count=60):
        self.mongo.insert("shop", "orders", *orders(count))
        self.mongo.insert("shop", "odd/name.%2F", {"_id": object_id(), "a": None, "b": [1, Int64(2), 2.5, True, b"bytes"]}, {"_id": "", "x": {}})
        self.mongo.command("shop", {"create": "empty"})
        self.mongo.command("shop", {"create": "log", "capped": True, "size": Int64(1 << 20)})
        self.mongo.insert("shop", "log", *[{"_id": 9 - i} for i in range(5)])
        self.mongo.command("shop", {"createIndexes": "orders", "indexes": [
            {"key": {"customer": 1, "text": -1}, "name": "by customer"}, {"key": {"text": 1}, "name": "text", "unique": True}]})

    def configured(self, text="", **source):
        """A configuration whose source `shop` is the first server's database of that name."""
        keys = {"kind": "mongodb", "url": self.server.url("shop"), **source}
        config = self.folder / "holdfast.yaml"
        config.write_text(f"version: 1\nsources:\n  shop: {json.dumps(keys)}\n{text}\n")
        return config

    def restore_newest(self, *args):
        """As of the latest instant of the source's window."""
        at = self.holdfast("windows", "--json").document()["windows"][-1]["to"]
        return self.holdfast("restore", "--source", "shop", "--at", at, "--to", self.other.url(), *args)

    def assert_same(self, database="shop", there=None):
        there = there or database
        self.assertEqual(self.there.content(there), self.mongo.content(database))
        for name in self.mongo.collections(database):
            self.assertEqual(self.there.indexes(there, name), self.mongo.indexes(database, name))


class Whole(Mongodb):
    def test_a_database_comes_back_equal(self):
        self.fill()
        line = self.backup(self.server.url("shop"))[0]
        self.assertIn("mongodb:shop@127.0.0.1", line["source"])
        result = self.restore("latest", self.other.url())
        self.assert_same()
        self.assertEqual(result.lines()[-1]["verified"]["result"], "pass")
        self.assertEqual([each["_id"] for each in self.there.documents("shop", {"find": "log"})], [9, 8, 7, 6, 5])

    def test_all_databases_come_back_and_unchanged_documents_are_stored_once(self):
        noise = random.Random(3)
        documents = [{"_id": f"{i:06}", "data": noise.randbytes(6000)} for i in range(2000)]
        for at in range(0, 2000, 200):
            self.mongo.insert("one", "c", *documents[at:at + 200])
        self.mongo.insert("two-b", "c", {"_id": 1})
        first = self.backup(self.server.url())[0]
        self.assertIn("mongodb:all@", first["source"])
        for i in range(20):
            self.mongo.set("one", "c", f"{i + 1000:06}", data=b"changed")
        second = self.backup(self.server.url())[0]
        self.assertLess(second["bytes"]["added"], first["bytes"]["added"] / 3)
        names = [item.get("path") for item in self.holdfast("ls", "latest", "--json", "--recursive").lines()]
        self.assertIn("one.metadata.bson", names)
        self.restore("latest", self.other.url())
        self.assert_same("one")
        self.assert_same("two-b")

    def test_one_per_cent_of_changed_documents_stores_about_as_much(self):
        noise = random.Random(5)
        self.mongo.insert("one", "c", *[{"_id": i, "data": noise.randbytes(500)} for i in range(1500)])
        url = self.server.url("one")
        first = self.backup(url)[0]["bytes"]["stored"]
        self.assertLess(self.backup(url)[0]["bytes"]["stored"], first / 500)
        for round in range(3):
            for id in range(round, 1500, 100):
                self.mongo.set("one", "c", id, data=noise.randbytes(500))
            self.mongo.delete("one", "c", *range(7 + round, 1500, 500))
            self.mongo.insert("one", "c", *[{"_id": 100000 + 10 * round + i, "data": noise.randbytes(500)} for i in range(5)])
            self.assertLess(self.backup(url)[0]["bytes"]["stored"], first * 0.03)
        self.restore("latest", self.other.url())
        self.assert_same("one")
        self.holdfast("check", "--read-data")
        # Whoever lost the memory reads and stores all, and loses nothing.
        whole = self.holdfast("dump", "latest:one/c").out
        shutil.rmtree(self.home / ".local/state/holdfast/mongodb")
        self.backup(url)
        self.assertEqual(self.holdfast("dump", "latest:one/c").out, whole)

    def test_memory_that_is_damaged_or_of_another_repository_is_not_believed(self):
        self.mongo.insert("one", "c", *orders(600))
        url = self.server.url("one")
        self.backup(url)
        expected = self.holdfast("dump", "latest:one/c").out
        memory, = (self.home / ".local/state/holdfast/mongodb").rglob("*.documents")
        whole = memory.read_bytes()
        for at in (4, 30, 60, len(whole) // 2, len(whole) - 3):
            memory.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
            self.backup(url)
            self.assertEqual(self.holdfast("dump", "latest:one/c").out, expected, at)
        memory.write_bytes(whole[:len(whole) // 2])
        self.backup(url)
        self.assertEqual(self.holdfast("dump", "latest:one/c").out, expected)
        other = {"HOLDFAST_REPO": self.folder / "repo2"}
        self.holdfast("init", env=other)
        self.backup(url, env=other)
        self.assertEqual(self.holdfast("dump", "latest:one/c", env=other).out, expected)

    def test_a_restored_folder_holds_documents_as_they_were(self):
        self.fill(3)
        self.backup(self.server.url("shop"))
        self.restore("latest", self.folder / "out")
        data = (self.folder / "out/shop/orders").read_bytes()
        self.assertEqual(data.count(b"order 00000"), 3)
        self.assertTrue((self.folder / "out/shop/odd%2Fname.%252F").exists())

    def test_a_source_of_the_configuration_takes_references(self):
        self.fill(3)
        config = self.folder / "holdfast.yaml"
        config.write_text("""version: 1
sources:
  shop: {kind: mongodb, host: 127.0.0.1, port: "env:THE_PORT", database: shop, exclude: [shop/log]}
  part: {kind: mongodb, url: "env:THE_URL", databases: ["s*"], collections: ["shop/o*"]}
""")
        environment = {"THE_PORT": str(self.server.port), "THE_URL": self.server.url()}
        self.backup("-c", config, "--all", env=environment)
        names = lambda source: {item["path"] for item in self.holdfast("ls", "latest", "--source", source, "--json", "--recursive").lines()
                                if "path" in item}
        self.assertIn("shop/empty", names("shop"))
        self.assertNotIn("shop/log", names("shop"))
        self.assertIn("shop/orders", names("part"))
        self.assertNotIn("shop/empty", names("part"))

    def test_writes_during_the_capture_are_replayed_to_one_instant(self):
        self.fill(400)
        config = self.configured(server_program=server_program())
        child = self.start("-c", config, "backup", "shop")
        i = 0
        # Both are written together, so they are equal at every instant.
        while child.poll() is None:
            self.mongo.insert("shop", "orders", {"_id": f"new {i}"})
            self.mongo.insert("shop", "zz", {"_id": f"new {i}"})
            self.mongo.delete("shop", "orders", f"order {i:06}")
            i += 1
        self.assertEqual(child.returncode, 0, child.communicate())
        self.assertGreater(i, 2)
        verified = self.restore("latest", self.other.url()).lines()[-1]["verified"]
        proof = self.holdfast("-c", config, "prove", "shop", "--level", "V4", "--json").lines()[-1]
        for compared in (verified, proof):
            self.assertEqual(compared["result"], "pass", json.dumps(compared, indent=1))
            passed = {check["name"] for check in compared["checks"] if check["result"] == "pass"}
            self.assertLessEqual({"shop/orders documents", "shop/orders content", "shop/empty content"}, passed)
        content = self.there.content("shop")
        new = [id for id in content["orders"] if "new" in id]
        self.assertLessEqual(abs(len(new) - len(content.get("zz", {}))), 1)
        gone = 400 - len([id for id in content["orders"] if "order" in id])
        self.assertLessEqual(abs(gone - len(new)), 1)


class Existing(Mongodb):
    def setUp(self):
        super().setUp()
        self.fill(20)
        self.backup(self.server.url("shop"))

    def test_what_is_there_is_left_alone_unless_told(self):
        self.there.insert("shop", "orders", {"_id": "mine"})
        self.fails(16, "restore", "latest", "--to", self.other.url(), says="not empty", hints=["drop", "--beside"])
        self.assertEqual(len(self.there.find("shop", "orders")), 1)
        self.assertEqual(self.there.collections("shop"), ["orders"])
        self.restore("latest", self.other.url(), "--existing", "drop")
        self.assert_same()

    def counts(self, *args):
        """Added, replaced, left of `orders`, as JSON has them."""
        line = self.restore("latest", self.other.url(), *args).lines()[-1]
        one, = [each for each in line["collections"] if each["name"] == "shop.orders"]
        return one["added"], one["replaced"], one["left"]

    def test_every_way_says_how_many(self):
        self.assertEqual(self.counts(), (20, 0, 0))
        self.there.command("shop", {"drop": "orders"})
        self.there.insert("shop", "orders", {"_id": "mine"}, {"_id": "order 000003", "mine": True}, *orders(1, 5))
        text = self.holdfast("restore", "latest", "--to", self.other.url(), "--existing", "missing").text
        self.assertIn("shop.orders: 18 documents added, 0 replaced, 2 left as they were", text)
        self.assertEqual(self.there.find("shop", "orders", _id="order 000003"), [{"_id": "order 000003", "mine": True}])
        self.assertEqual(self.counts("--existing", "missing"), (0, 0, 20))
        self.assertEqual(self.counts("--existing", "replace"), (0, 1, 19))
        self.assertEqual(len(self.there.find("shop", "orders")), 21)
        self.assertEqual(self.counts("--existing", "drop"), (20, 0, 0))
        self.assert_same()
        self.there.insert("shop", "orders", {"_id": "mine"})
        self.there.delete("shop", "orders", "mine")
        self.assert_same()

    def test_one_collection_comes_back_and_under_another_name(self):
        self.restore("latest", self.other.url(), "--include", "shop/orders")
        self.assertEqual(self.there.collections("shop"), ["orders"])
        self.assertEqual(self.there.find("shop", "orders"), self.mongo.find("shop", "orders"))
        self.restore("latest", self.other.url("shop2"))
        self.assert_same("shop", "shop2")
        self.restore("latest", self.other.url(), "--include", "shop/orders", "--rename", "shop/orders:shop/orders_old")
        self.assertEqual(self.there.find("shop", "orders_old"), self.mongo.find("shop", "orders"))

    def test_only_what_a_query_finds_comes_back(self):
        query = json.dumps({"customer": 3, "_id": {"$gt": "order 000005"}})
        wanted = ["order 000010", "order 000017"]
        ids = lambda: [each["_id"] for each in self.there.find("shop", "orders")]
        self.fails(2, "restore", "latest", "--to", self.other.url(), "--query", query, says="--query is for one collection",
                   hints="--include")
        self.fails(2, "restore", "latest", "--to", self.other.url(), "--include", "shop/orders", "--query", "{nonsense")
        self.assertNotIn("shop", self.there.databases())
        self.restore("latest", self.other.url(), "--include", "shop/orders", "--query", query)
        self.assertEqual(ids(), wanted)
        self.assertEqual(self.there.indexes("shop", "orders"), self.mongo.indexes("shop", "orders"))
        self.there.delete("shop", "orders", "order 000010")
        self.there.insert("shop", "orders", {"_id": "mine"})
        self.assertEqual(self.counts("--include", "shop/orders", "--query", query, "--existing", "missing"), (1, 0, 1))
        self.assertEqual(ids(), ["mine", *wanted])
        self.assertEqual(self.there.collections("shop"), ["orders"])

    def test_live_documents_are_compared(self):
        self.mongo.set("shop", "orders", "order 000004", customer=99)
        self.mongo.delete("shop", "orders", "order 000011")
        self.mongo.insert("shop", "orders", {"_id": "new"})
        self.mongo.insert("shop", "later", {"_id": 1})
        lines = self.holdfast("diff", "latest", "live", "--rows", "--json").lines()
        rows = {(each["key"], each["change"]) for each in lines if each["type"] == "row"}
        self.assertEqual(rows, {('_id="order 000004"', "content"), ('_id="order 000011"', "removed"), ('_id="new"', "added")})
        items = {each["path"]: each["change"] for each in lines if each["type"] == "difference"}
        self.assertEqual(items, {"shop/orders": "content", "shop/later": "added"})
        self.restore("latest", self.other.url())
        text = self.holdfast("diff", "latest", "live", "--to", self.other.url("shop"), "--rows").text
        self.assertNotIn("orders", text)

    def test_environments_and_their_guard(self):
        config = self.configured('environments: {staging: {shop: "env:STAGING"}}')
        self.backup("-c", config, "shop")
        restore = ("-c", config, "restore", "latest", "--source", "shop", "--to", "staging")
        self.holdfast(*restore, env={"STAGING": self.other.url()})
        self.assert_same()
        for place in (self.server.url(), self.server.url("other"), self.server.url().replace("127.0.0.1", "localhost")):
            self.fails(16, *restore, "--existing", "drop", env={"STAGING": place}, says="points at what snapshot",
                       hints="environments")
        self.assertEqual(len(self.mongo.find("shop", "orders")), 20)

    def test_the_source_itself_is_not_overwritten_by_mistake(self):
        self.fails(2, "restore", "latest", "--to", self.server.url(), "--existing", "replace", says="was captured",
                   hints="--into-source")
        self.mongo.delete("shop", "orders", "order 000001")
        self.restore("latest", self.server.url(), "--existing", "missing", "--into-source")
        self.assertEqual(len(self.mongo.find("shop", "orders")), 20)

    def test_hooks_run_around_a_restore(self):
        log = self.folder / "log"
        say = f"echo {{}} $HOLDFAST_RESULT $HOLDFAST_SOURCE $HOLDFAST_TARGET >> {log}"
        config = self.configured(hooks={"before": [say.format("before")], "after": [say.format("after")],
                                        "on_failure": [say.format("failed")]})
        self.backup("-c", config, "shop")
        restore = ("-c", config, "restore", "latest", "--source", "shop", "--to", self.other.url())
        self.fails(16, *restore, "--hook-before", "exit 3", says="nothing was written")
        self.assertNotIn("shop", self.there.databases())
        self.holdfast(*restore)
        self.assert_same()
        self.fails(16, *restore, "--hook-after", "exit 4", "--existing", "drop", says="exit status 4")
        target = self.other.url()
        self.assertEqual(log.read_text().splitlines(), [
            f"before pending shop {target}", f"failed target_failed shop {target}",
            f"before pending shop {target}", f"after ok shop {target}",
            f"before pending shop {target}", f"after ok shop {target}", f"failed target_failed shop {target}"])

    def test_a_write_concern_of_the_address_is_taken(self):
        self.mongo.command("shop", {"drop": "odd/name.%2F"})  # as below
        self.there.insert("shop", "orders", {"_id": "in use"})
        self.backup(self.server.url("shop"))
        target = self.other.url("shop", w="majority", journal="true")
        for existing in ("drop", "replace"):
            self.restore("latest", target, "--existing", existing)
            self.assert_same()
        self.restore("latest", target, "--beside", "shop_new", "--swap")
        self.assert_same()

    def test_beside_and_swap_and_back(self):
        self.there.insert("shop", "orders", {"_id": "in use"})
        self.mongo.command("shop", {"drop": "odd/name.%2F"})  # FerretDB cannot name it in a command of another database
        self.backup(self.server.url("shop"))
        self.restore("latest", self.other.url("shop"), "--beside", "shop_new", "--swap")
        self.assert_same()
        self.assertNotIn("shop_new", self.there.databases())
        before = [name for name in self.there.databases() if name.startswith("shop_before_")]
        self.assertEqual(len(before), 1)
        self.holdfast("restore", "--unswap", "--to", self.other.url("shop"))
        self.assertEqual(self.there.find("shop", "orders"), [{"_id": "in use"}])


class Dumps(Mongodb):
    def test_what_was_exported_can_be_imported_and_restored(self):
        self.fill(50)
        self.backup(self.server.url("shop"), "--name", "shop")
        for number, (kind, name) in enumerate((("archive", "shop.archive"), ("archive.gz", "shop.archive.gz"),
                                               ("tar", "shop.tar"), ("tar.gz", "shop.tar.gz"))):
            dump = self.folder / name
            self.holdfast("export", "latest", "--source", "shop", "--as", kind, "--to", dump)
            lines = self.holdfast("import", "--json", dump, "--source", f"old{number}", "--time", "2024-01-31").lines()
            self.assertEqual(lines[-1]["kind"], "mongodb", lines)
            self.restore("latest", self.other.url("shop"), "--source", f"old{number}", "--existing", "drop")
            self.assert_same("shop")

    def test_a_folder_for_mongorestore_and_back(self):
        self.fill(50)
        self.mongo.insert("shop", "n" * 110 + "/" * 43, {"_id": 1})  # in the name of a file longer than may be
        self.backup(self.server.url("shop"), "--name", "shop")
        for number, packed in enumerate((False, True)):
            dump = self.folder / f"dump{number}"
            self.holdfast("export", "latest", "--source", "shop", "--as", "directory", "--to", dump, *(["--gzip"] if packed else []))
            end = ".gz" if packed else ""
            for name in ("orders.bson", "orders.metadata.json", "odd%2Fname.%252F.bson", "empty.bson"):
                self.assertTrue((dump / "shop" / (name + end)).is_file(), name)
            if not packed:
                self.assertEqual((dump / "shop/orders.bson").read_bytes(), self.holdfast("dump", "latest:shop/orders").out)
            self.holdfast("import", dump, "--source", f"old{number}")
            self.restore("latest", self.other.url("shop"), "--source", f"old{number}", "--existing", "drop")
            self.assert_same("shop")
            self.fails(1, "export", "latest", "--source", "shop", "--as", "directory", "--to", dump, says="exists already")

    def test_a_dump_that_lost_the_documents_of_a_collection_is_not_imported(self):
        self.fill(50)
        self.backup(self.server.url("shop"), "--name", "shop")
        dump = self.folder / "dump"
        self.holdfast("export", "latest", "--source", "shop", "--as", "directory", "--to", dump)
        (dump / "shop/orders.bson").unlink()
        self.fails(15, "import", dump, "--source", "old", says="its documents (orders.bson) are not there", hints="use another")
        self.assertEqual(len(self.snapshots()), 1)
        (dump / "shop/orders.bson").touch()
        self.holdfast("import", dump, "--source", "old")

    def test_a_cut_dump_is_not_imported(self):
        self.fill(50)
        self.backup(self.server.url("shop"))
        dump = self.folder / "shop.archive"
        self.holdfast("export", "latest", "--as", "archive", "--to", dump)
        dump.write_bytes(dump.read_bytes()[:-40])
        self.fails(15, "import", dump, "--source", "old")
        self.assertEqual(len(self.holdfast("snapshots", "--json").document()["snapshots"]), 1)


class Proof(Mongodb):
    def test_a_snapshot_is_proved_in_a_server_of_its_own(self):
        self.fill(10)
        config = self.configured(server_program=server_program(),
                                 checks=[{"sql": '{"count": "orders"}', "expect": "10", "database": "shop"}])
        self.backup("-c", config, "shop")
        line = self.holdfast("-c", config, "prove", "shop", "--level", "V4", "--json").lines()[-1]
        self.assertEqual((line["result"], line["level"]), ("pass", "V4"), json.dumps(line, indent=1))
        names = [check["name"] for check in line["checks"]]
        self.assertIn("shop/orders validate", names)
        self.assertIn("shop/orders content", names)
        for level in ("V0", "V1", "V2", "V3"):
            line = self.holdfast("-c", config, "prove", "shop", "--level", level, "--json").lines()[-1]
            self.assertEqual((line["result"], line["level"]), ("pass", level), json.dumps(line, indent=1))

    def test_without_a_server_it_is_not_tested(self):
        self.fill(2)
        self.backup(self.server.url("shop"))
        empty = self.folder / "nothing"
        empty.mkdir()
        result = self.holdfast("prove", "latest", "--level", "V4", "--json", code=3, env={"PATH": empty})
        self.assertIn("mongodb-org-server", result.text)


class Instants(Mongodb):
    def test_random_writes_come_back_as_of_any_instant(self):
        self.mongo.insert("shop", "seed", {"_id": 0})
        config = self.configured()
        self.holdfast("-c", config, "follow", "shop", "--once")
        rng = random.Random(11)
        model, moments, states = {}, [], []
        copy = lambda: {name: dict(documents) for name, documents in model.items()}
        for step in range(10 * SCALE):
            for _ in range(8):
                id, collection = f"k{rng.randrange(12)}", rng.choice(["a", "b"])
                here = model.setdefault(collection, {})
                action = rng.randrange(3)
                if id not in here:
                    here[id] = {"_id": id, "n": rng.randrange(100)}
                    self.mongo.insert("shop", collection, here[id])
                elif action == 0:
                    del here[id]
                    self.mongo.delete("shop", collection, id)
                else:
                    fields = {"n": rng.randrange(100), rng.choice("xyz"): [rng.random(), {"deep": "text"}]}
                    here[id] = {**here[id], **fields}
                    self.mongo.set("shop", collection, id, **fields)
                states.append(copy())
            time.sleep(0.02)
            moments.append((time.time(), copy()))
            time.sleep(0.02)
            if step % 4 == 3:
                self.holdfast("-c", config, "follow", "shop", "--once")
        self.holdfast("-c", config, "follow", "shop", "--once")
        self.assertEqual(self.holdfast("check").code, 0)
        for at, expected in moments + rng.sample(self.in_the_middle(states), 5 * SCALE):
            self.other.clear()
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f"{at % 1:.6f}"[1:] + "Z"
            verified = self.holdfast("-c", config, "restore", "--source", "shop", "--at", stamp, "--to", self.other.url(),
                                     "--json").lines()[-1]["verified"]
            compared = {each["name"] for each in verified["checks"] if each["result"] == "pass"}
            for name in ("a", "b"):
                if name in expected:
                    self.assertLessEqual({f"shop/{name} documents", f"shop/{name} content"}, compared, verified)
            found = self.there.content("shop")
            for name in ("a", "b"):
                self.assertEqual(found.get(name, {}), {repr(id): each for id, each in expected.get(name, {}).items()}, stamp)

    def in_the_middle(self, states):
        """What there was right after an operation, and when that was: by the time of its entry, in milliseconds."""
        entries = [each for each in self.mongo.documents("local", {"find": "oplog.rs", "sort": {"$natural": 1}})
                   if each["ns"] in ("shop.a", "shop.b") and each["op"] != "c"][-len(states):]
        self.assertEqual(len(entries), len(states))
        return list({int(entry["wall"]) / 1000: state for entry, state in zip(entries, states)}.items())

    def test_changes_of_what_the_source_does_not_cover_stay_away(self):
        for database in ("shop", "other"):
            self.mongo.insert(database, "a", {"_id": 1})
        self.mongo.insert("shop", "log", {"_id": 1})
        follow = lambda: self.holdfast("follow", self.server.url("shop"), "--exclude", "shop/log", "--name", "shop", "--once",
                                       "--json").lines()[-1]
        follow()
        for database in ("shop", "other", "third"):
            self.mongo.insert(database, "a", {"_id": 2})  # one by one: some servers write one entry for several
            self.mongo.insert(database, "a", {"_id": 3})
            self.mongo.set(database, "a", 2, n=1)
            self.mongo.delete(database, "a", 1)
        self.mongo.insert("shop", "log", {"_id": 2})
        self.assertEqual(follow()["records"], 4)
        self.there.insert("other", "a", {"_id": 1, "mine": True}, {"_id": 2, "mine": True})
        self.there.insert("shop", "a", {"_id": 9})
        before = self.there.content("other")
        self.restore_newest("--existing", "drop")
        self.assertEqual(self.there.content("other"), before)
        self.assertEqual(self.there.collections("shop"), ["a"])
        self.assertEqual(self.there.find("shop", "a"), self.mongo.find("shop", "a"))
        self.assertNotIn("third", self.there.databases())

    def test_a_journal_that_holds_more_than_the_source_covers_is_not_replayed_beyond_it(self):
        for database in ("shop", "other"):
            self.mongo.insert(database, "a", {"_id": 1})
        follow_all = lambda: self.holdfast("follow", self.server.url(), "--name", "shop", "--once")
        follow_all()
        self.backup(self.server.url("shop"), "--name", "shop")
        for database in ("shop", "other", "third"):
            self.mongo.insert(database, "a", {"_id": 2})
        follow_all()
        self.there.insert("other", "a", {"_id": 2, "mine": True})
        before = self.there.content("other")
        self.restore_newest()
        self.assertEqual(self.there.content("other"), before)
        self.assertNotIn("third", self.there.databases())
        self.assert_same()

    def test_a_merge_as_of_an_instant_leaves_what_is_there(self):
        self.mongo.insert("shop", "a", *[{"_id": i, "n": 0} for i in range(6)])
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        self.mongo.set("shop", "a", 1, n=1)
        self.mongo.set("shop", "a", 2, n=2)
        self.mongo.delete("shop", "a", 5)
        self.mongo.insert("shop", "a", {"_id": 6, "n": 0})
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        # What is live has changed one of them, has one that was gone by then, and a newer one.
        live = [{"_id": 1, "live": True}, {"_id": 5, "live": True}, {"_id": 7, "live": True}]
        self.there.insert("shop", "a", *live)
        result = self.restore_newest("--existing", "missing")
        self.assertIn("shop.a: 5 documents added, 0 replaced, 1 left", result.text)
        expected = {each["_id"]: each for each in [*self.mongo.find("shop", "a"), *live]}
        self.assertEqual({each["_id"]: each for each in self.there.find("shop", "a")}, expected)
        result = self.restore_newest("--existing", "replace")
        self.assertIn("shop.a: 0 documents added, 1 replaced, 5 left", result.text)
        expected[1] = {"_id": 1, "n": 1}
        self.assertEqual({each["_id"]: each for each in self.there.find("shop", "a")}, expected)
        self.assertEqual(self.there.collections("shop"), ["a"])

    def test_a_collection_that_was_made_after_the_base_is_as_it_was_then(self):
        self.mongo.insert("shop", "a", {"_id": 1})
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        self.mongo.insert("shop", "b", {"_id": 1}, {"_id": 2})
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        then = self.mongo.find("shop", "b")
        self.there.insert("shop", "b", {"_id": 1, "mine": True})
        at = self.holdfast("windows", "--json").document()["windows"][-1]["to"]
        restore = ("restore", "--source", "shop", "--at", at, "--to")
        self.fails(16, *restore, self.other.url(), says="made after its snapshot", hints="--existing")
        self.assertEqual(self.there.find("shop", "b"), [{"_id": 1, "mine": True}])
        self.restore_newest("--existing", "missing")
        self.assertEqual(self.there.find("shop", "b"), [{"_id": 1, "mine": True}, {"_id": 2}])
        self.mongo.insert("shop", "b", {"_id": 3})
        self.mongo.set("shop", "b", 1, later=True)
        self.mongo.insert("shop", "a", {"_id": 2})
        self.holdfast(*restore, self.server.url(), "--existing", "drop", "--into-source")
        self.assertEqual(self.mongo.find("shop", "b"), then)
        self.assertEqual(self.mongo.find("shop", "a"), [{"_id": 1}])
        self.assertEqual(self.mongo.collections("shop"), ["a", "b"])

    def test_a_gap_closes_the_window_and_a_new_base_begins(self):
        self.mongo.insert("shop", "a", {"_id": 1})
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        self.server.lose_oplog()
        self.server.mongo.insert("shop", "a", {"_id": 2})
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        self.assertEqual(len(self.snapshots()), 2)
        self.assertEqual(len(self.holdfast("windows", "--json").document()["windows"]), 2)

    def test_retention_keeps_the_base_that_the_window_needs(self):
        self.mongo.insert("shop", "a", {"_id": 1})
        config = self.configured(window="7d")
        verb = lambda *args: self.holdfast("-c", config, *args)
        verb("follow", "shop", "--once")
        self.mongo.insert("shop", "a", {"_id": 2})
        verb("follow", "shop", "--once")
        at = self.holdfast("windows", "--json").document()["windows"][-1]["to"]
        time.sleep(0.02)
        self.mongo.insert("shop", "a", {"_id": 3})
        for _ in range(2):  # two more bases, behind that instant
            verb("backup", "shop")
        verb("follow", "shop", "--once")
        self.assertEqual(len(self.snapshots()), 3)
        verb("forget", "--source", "shop", "--keep-last", "1")
        verb("prune")
        self.assertEqual(len(self.snapshots()), 2)
        verb("restore", "--source", "shop", "--at", at, "--to", self.other.url())
        self.assertEqual([each["_id"] for each in self.there.find("shop", "a")], [1, 2])
        self.holdfast("check", "--read-data")

    def test_history_tells_of_many_deletes(self):
        self.fill(300)
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        before = time.time()
        self.mongo.delete("shop", "orders", *[f"order {i:06}" for i in range(150)])
        after = time.time()
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        found, _ = self.holdfast("history", "shop", "--json").lines()
        self.assertEqual((found["what"], found["item"], found["count"]), ("delete", "shop/orders", 150))
        when = datetime.datetime.fromisoformat(found["time"][:19] + "+00:00").timestamp()
        self.assertTrue(int(before) <= when <= after, (found, before, after))
        self.assertIn(found["position"].rsplit(":", 1)[-1],
                      {str(int(each["ts"])) for each in self.mongo.documents("local", {"find": "oplog.rs"}) if each["op"] == "d"})
        self.assertIn("shop/orders", self.holdfast("history", "shop").text)


    def test_a_canary_tells_up_to_when_a_restore_reaches(self):
        self.mongo.insert("shop", "a", {"_id": 1})
        config = self.configured(canary="200ms")
        said = self.folder / "follow.log"
        child = self.start("-c", config, "follow", "shop", "--flush", "200ms", stdout=subprocess.DEVNULL, stderr=said.open("wb"))
        records = lambda: sum(each["records"] for each in self.holdfast("windows", "--json").document()["windows"])
        wait_until(lambda: records() > 3, lambda: f"canaries are in the journal: {said.read_text()}")
        asked = time.time()
        self.assertLess(self.holdfast("windows", "--json").document()["windows"][-1]["exposed_seconds"], time.time() - asked + 10)
        child.terminate()
        child.wait(60)
        restored = self.restore_newest()
        canary, = self.there.find("shop", "holdfast_canary")
        self.assertIn("the newest canary of shop that came back was written at 20", restored.errors)
        newest, = self.mongo.find("shop", "holdfast_canary")
        self.assertEqual(canary["_id"], "shop")
        self.assertTrue(0 < canary["at"] <= newest["at"], (canary, newest))

    def test_a_query_is_asked_of_the_documents_as_they_were_then(self):
        self.mongo.insert("shop", "a", *[{"_id": i, "state": "open"} for i in range(6)])
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        for i in range(3):
            self.mongo.set("shop", "a", i, state="paid")
        self.holdfast("follow", self.server.url("shop"), "--once", "--name", "shop")
        self.restore_newest("--include", "shop/a", "--query", '{"state": "paid"}')
        self.assertEqual([each["_id"] for each in self.there.find("shop", "a")], [0, 1, 2])
        self.assertEqual(self.there.collections("shop"), ["a"])


class Plans(Mongodb):
    def script(self, name, *args, code=0, cwd=None, **variables):
        environment = {**self.environment, "HOLDFAST": PROGRAM, "MONGO_URL": self.server.url(), "STOP": "true", "START": "true", **variables}
        done = subprocess.run([EXAMPLES / name, *args], env=environment, capture_output=True, text=True, check=False, cwd=cwd)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def test_plan_000_backup_and_staging_restore(self):
        self.mongo.insert("omnify", "campaigns", *orders(20))
        self.script("000/backup-mongodb.sh")
        self.script("000/restore-mongodb.sh", "--target-env=staging", STAGING_MONGO_URL=self.other.url())
        self.assert_same("omnify")
        self.mongo.delete("omnify", "campaigns", "order 000001")
        self.script("000/restore-mongodb.sh")
        self.assert_same("omnify")

    def test_plan_000_names_its_password(self):
        where = lambda **variables: subprocess.run(
            ["bash", "-c", '. "$0"; printf %s "$MONGO_URL"', EXAMPLES / "000/server.sh"], capture_output=True, text=True, check=True,
            env={"PATH": os.environ["PATH"], **variables}).stdout
        self.assertEqual(where(), "mongodb://admin@localhost:27017/?authSource=admin")
        self.assertEqual(where(MONGODB_PASSWORD="p@ss/w:rd %"), "mongodb://admin:p%40ss%2Fw%3Ard%20%25@localhost:27017/?authSource=admin")
        self.assertEqual(where(MONGODB_PASSWORD="x", MONGO_URL="mongodb://other"), "mongodb://other")

    def dumped(self, name, database, collection, *documents):
        """A tar.gz of mongodump's folder, as the plans' scripts made it."""
        folder = self.folder / name.removesuffix(".tar.gz") / database
        folder.mkdir(parents=True)
        (folder / f"{collection}.bson").write_bytes(b"".join(map(encode, documents)))
        (folder / f"{collection}.metadata.json").write_text(json.dumps({
            "options": {}, "indexes": [{"v": 2, "key": {"_id": 1}, "name": "_id_"}], "collectionName": collection, "type": "collection"}))
        with tarfile.open(self.folder / name, "w:gz") as tar:
            tar.add(folder.parent, arcname=folder.parent.name)
        return self.folder / name

    def test_plan_000_restores_its_files(self):
        file = self.dumped("backup-20240101-020000.tar.gz", "omnify", "campaigns", *orders(20))
        self.mongo.insert("omnify", "campaigns", {"_id": "of later"})
        self.script("000/restore-mongodb.sh", file, "--target-env=staging", STAGING_MONGO_URL=self.other.url())
        self.assertEqual(self.there.find("omnify", "campaigns"), orders(20))
        self.assertEqual(len(self.mongo.find("omnify", "campaigns")), 1)
        self.script("000/restore-mongodb.sh", file.name, cwd=self.folder)
        self.assertEqual(self.mongo.find("omnify", "campaigns"), orders(20))
        self.assertEqual({(each["source"], each["time"]) for each in self.snapshots()}, {("mongodb-files", "2024-01-01T02:00:00Z")})
        file.write_bytes(file.read_bytes()[:-200])
        self.script("000/restore-mongodb.sh", file, code=15)
        self.assertEqual(self.mongo.find("omnify", "campaigns"), orders(20))

    def test_plan_001_restores_its_files(self):
        file = self.dumped("backup-2024-01-31.tar.gz", "omnify_cloud", "campaigns", *orders(20))
        self.mongo.insert("omnify_cloud", "campaigns", {"_id": "of later"})
        self.script("001/restore-mongodb.sh", file)
        self.assertEqual(self.mongo.find("omnify_cloud", "campaigns"), orders(20))
        self.assertEqual([(each["source"], each["time"][:10]) for each in self.snapshots()], [("mongodb-files", "2024-01-31")])

    def test_plan_001_restores_a_collection_of_its_folders(self):
        folder = self.folder / "backup-2024-01-31"
        folder.mkdir()
        for name in ("campaigns", "users"):
            (folder / f"{name}.bson").write_bytes(b"".join(map(encode, orders(20))))
        self.mongo.insert("omnify", "campaigns", {"_id": "order 000001", "changed": True}, {"_id": "new"})
        self.script("001/restore-collection.sh", folder / "campaigns.bson", DB_NAME="omnify")
        found = {each["_id"]: each for each in self.mongo.find("omnify", "campaigns")}
        self.assertEqual((len(found), found["order 000001"]["changed"]), (21, True))
        self.assertEqual(self.mongo.collections("omnify"), ["campaigns"])
        self.assertEqual([(each["source"], each["time"][:10]) for each in self.snapshots()], [("mongodb-files", "2024-01-31")])
        self.mongo.command("omnify", {"drop": "campaigns"})
        self.script("001/restore-collection.sh", "backup-2024-01-31/campaigns.bson", DB_NAME="omnify", cwd=self.folder)
        self.assertEqual(self.mongo.find("omnify", "campaigns"), orders(20))

    def test_plan_002_backs_up_what_its_cronjob_names_and_keeps_it_for_its_days(self):
        self.mongo.insert("migratio", "jobs", *orders(5))
        self.script("002/backup.sh", MONGODB_URI=self.server.url(), RETENTION_DAYS="30")
        self.mongo.delete("migratio", "jobs", "order 000001")
        self.script("002/backup.sh", MONGODB_URI=self.server.url(), RETENTION_DAYS="0")
        self.assertEqual([s["source"] for s in self.snapshots()], ["mongodb"])
        self.holdfast("restore", "latest", "--to", self.other.url("migratio"))
        self.assert_same("migratio")

    def test_plan_001_full_and_collection_restore(self):
        self.mongo.insert("omnify_cloud", "campaigns", *orders(20))
        self.mongo.insert("omnify_cloud", "users", {"_id": 1})
        self.script("001/backup.sh")
        self.assertIn("mongodb", self.script("001/list-backups.sh"))
        self.mongo.delete("omnify_cloud", "campaigns", "order 000001", "order 000002")
        self.mongo.insert("omnify_cloud", "campaigns", {"_id": "new"})
        self.script("001/restore-collection.sh")
        self.assertEqual(len(self.mongo.find("omnify_cloud", "campaigns")), 21)
        self.script("001/restore-mongodb.sh")
        self.assertEqual(self.mongo.find("omnify_cloud", "campaigns"), orders(20))


class Followed(Mongodb):
    def test_a_follower_goes_on_through_restarts_of_itself_and_of_the_server(self):
        server = mongo_server("third")
        server.clear()
        mongo = server.mongo
        mongo.insert("shop", "a", {"_id": 0})
        url = server.url("shop")
        for life in range(2):
            self.said = self.folder / f"follow-{life}.log"
            child = self.start("follow", url, "--name", "shop", stdout=subprocess.DEVNULL, stderr=self.said.open("wb"))
            for i in range(10):
                mongo.insert("shop", "a", {"_id": f"{life} {i}"})
                time.sleep(0.05)
            windows = self.wait_until_followed(mongo)
            if life == 1:
                server.stop()
                server.start()
                mongo = server.mongo
                mongo.insert("shop", "a", {"_id": "after the restart"})
                windows = self.wait_until_followed(mongo)
            child.kill() if life == 0 else child.terminate()
            child.wait(60)
        self.assertEqual(len(windows.document()["windows"]), 1, windows.text)
        self.holdfast("restore", "--source", "shop", "--at", windows.document()["windows"][0]["to"], "--to", self.other.url())
        self.assertEqual(self.there.content("shop"), mongo.content("shop"))


    def test_a_server_that_is_killed_right_after_the_start_is_followed_again(self):
        server = mongo_server("third")
        server.clear()
        server.mongo.insert("shop", "a", *orders(500))
        self.said = self.folder / "follow.log"
        child = self.start("follow", server.url("shop"), "--name", "shop", "--flush", "200ms", stdout=subprocess.DEVNULL,
                           stderr=self.said.open("wb"))
        # The base is being taken: its failure is no reason to stop listening.
        wait_until(lambda: "a new window begins" in self.said.read_text(), "it listens")
        for outage in range(2):
            server.stop()
            time.sleep(1.5)
            server.start()
            server.mongo.insert("shop", "a", {"_id": f"after outage {outage}"})
            windows = self.wait_until_followed(server.mongo)
        child.terminate()
        child.wait(60)
        self.assertEqual(windows.document()["windows"][-1]["bases"], 1)
        self.restore_newest()
        self.assertEqual(self.there.content("shop"), server.mongo.content("shop"))

    def wait_until_followed(self, mongo):
        newest = mongo.documents("local", {"find": "oplog.rs", "sort": {"$natural": -1}, "limit": 1})[0]["wall"]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            windows = self.run_program("windows", "--json")
            if windows.code == 0 and any(reaches(each, newest) for each in windows.document()["windows"]):
                return windows
            time.sleep(0.3)
        self.fail(f"{newest} is not reached: {windows.text}; {self.said.read_text()}")


def reaches(window, milliseconds):
    """A window's latest instant is this one or later."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds / 1000)) + f".{milliseconds % 1000:03}"
    return window["to"] >= stamp


class BadInput(Mongodb):
    def test_a_server_that_does_not_answer(self):
        self.fails(15, "backup", "mongodb://127.0.0.1:1/shop?serverSelectionTimeoutMS=300", says="cannot reach", hints="port")
        self.assertEqual(self.snapshots(), [])

    def test_an_address_that_makes_no_sense(self):
        result = self.fails(2, "backup", "mongodb://u:hush@h:99999999/db", says="no address")
        self.assertNotIn("hush", result.errors)
        self.fails(2, "backup", "mongodb:shop", says="is no URL")

    def test_a_database_that_does_not_exist(self):
        self.fails(15, "backup", self.server.url("nothere"), says="there is no database nothere")

    def server_with_oplog(self):
        self.mongo.insert("shop", "a", {"_id": 1})
        return self.server.url("shop")

    def test_a_server_without_oplog(self):
        lone = mongo_server("lone", oplog=False)
        lone.clear()
        lone.mongo.insert("shop", "a", {"_id": 1})
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
service: {{ledger: "sqlite:{self.folder}/ledger.db"}}
sources:
  lone: {{kind: mongodb, url: "{lone.url("shop")}", server_program: "{server_program()}"}}
""")
        result = self.holdfast("-c", config, "backup", "lone")
        self.assertIn("not one instant", result.errors)
        self.assertIn("--replSet", result.errors)
        self.assertEqual(self.snapshots()[0]["point"], {"consistency": "not one instant"})
        self.assertIn("not one instant", self.holdfast("snapshots").text)
        proof = self.holdfast("-c", config, "prove", "lone", "--json").lines()[-1]
        self.assertEqual(proof["result"], "pass")
        self.assertIn("not one instant", proof["remark"])
        self.assertIn("not one instant", proof["coverage"])
        self.assertIn("not one instant", self.holdfast("-c", config, "report", "inventory").text)
        report = self.holdfast("-c", config, "report", "proof", "--json", code=3).document()["summary"][0]
        self.assertEqual((report["component"], report["result"]), ("MongoDB Backup", "PASS"))
        self.assertIn("lone: not one instant", report["remarks"][0])
        text = self.holdfast("-c", config, "report", "proof", code=3).text
        self.assertIn("MongoDB Backup: PASS, with a remark", text)
        self.assertIn("- lone: not one instant", text)
        self.backup(self.server_with_oplog(), "--name", "other")
        self.assertEqual([each["point"] for each in self.snapshots() if each["source"] == "other"], [{}])
        self.fails(15, "follow", lone.url("shop"), "--once", says="no oplog", hints="--replSet")
        self.fails(15, "backup", lone.url("shop"), "--consistency", "oplog", says="no oplog", hints="--replSet")

    def test_a_server_that_goes_away_in_mid_capture(self):
        self.mongo.insert("shop", "a", *orders(3000))
        server = self.server
        child = self.start("backup", self.server.url("shop"))
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline and not list(self.repo.rglob("packs/**/*")):
            time.sleep(0.005)
        server.stop()
        out, err = child.communicate()
        server.start()
        self.mongo = server.mongo
        self.assertIn(child.returncode, (0, 15), err)
        self.assertEqual(len(self.snapshots()), 1 if child.returncode == 0 else 0)
        self.backup(server.url("shop"))


if __name__ == "__main__":
    main()
