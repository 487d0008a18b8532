"""Retention, space, copies and keys."""

import os
import shutil

from harness import Case, contents, main, noise


class Keep(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        self.init()

    def put(self, seed, size=600_000):
        (self.tree / "file").write_bytes(noise(seed, size))
        (self.tree / f"only {seed}").write_bytes(noise((seed, "only"), 2000))
        return contents(self.tree)

    def assert_whole(self, snapshot, expected):
        out = self.folder / f"out{len(os.listdir(self.folder))}"
        self.restore(f"{snapshot}:{self.tree}", out)
        self.assertEqual(contents(out), expected)

    def test_forget_and_prune_give_space_back_and_keep_the_rest(self):
        kept = {}
        for i in range(6):
            content = self.put(i)
            kept[self.backup(f"files:{self.tree}")[0]["snapshot"]] = content
        size = sum(p.stat().st_size for p in self.objects())
        dry = self.holdfast("forget", "--keep-last", "2", "--dry-run", "--json").lines()[-1]
        self.assertEqual(dry["schema"], "holdfast.forget/1")
        self.assertEqual(len(dry["remove"]), 4)
        self.assertEqual(len(self.snapshots()), 6)
        done = self.holdfast("forget", "--keep-last", "2", "--json").lines()[-1]
        self.assertEqual(done["remove"], dry["remove"])
        for each in done["keep"]:
            self.assertTrue(each["reasons"], each)
        would = self.holdfast("prune", "--dry-run", "--json").lines()[-1]
        self.assertEqual(would["schema"], "holdfast.prune/1")
        self.assertGreater(would["bytes"]["freed"], 1_500_000)
        self.assertEqual(sum(p.stat().st_size for p in self.objects("data")) > 3_000_000, True)
        freed = self.holdfast("prune", "--json").lines()[-1]
        self.assertGreater(freed["packs"]["deleted"], 0)
        self.assertLess(sum(p.stat().st_size for p in self.objects()), size / 2)
        left = [s["id"] for s in self.snapshots()]
        self.assertEqual(left, list(kept)[-2:])
        for snapshot in left:
            self.assert_whole(snapshot, kept[snapshot])
        self.assertEqual(self.check("--read-data")["errors"], [])
        again = self.holdfast("prune", "--json").lines()[-1]
        self.assertEqual(again["packs"]["deleted"], 0)
        self.backup(f"files:{self.tree}")
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_keep_option_that_is_no_rule_is_refused(self):
        config = self.folder / "holdfast.yaml"
        config.write_text(f"version: 1\nsources:\n  tree: {{kind: files, paths: [{self.tree}]}}\n"
                          "jobs:\n  nightly: {sources: [tree], retention: {last: 1}}\n")
        for i in range(3):
            self.put(i)
            self.backup("tree", "-c", config)
        for option, number in (("--keep-last-good", "3"), ("--keep-last-good", "1"), ("--keep-daily", "0")):
            self.fails(2, "forget", option, number, "-c", config, says=f"{option} alone", hints="--keep-daily 30")
            self.fails(2, "forget", option, number, "--simulate", "1y", "-c", config, says=f"{option} alone")
            self.fails(2, "forget", self.snapshots()[0]["id"], option, number, says="do not go together")
        self.assertEqual(len(self.snapshots()), 3)
        self.holdfast("forget", "--keep-last-good", "2", "--keep-last", "2", "-c", config)
        self.assertEqual(len(self.snapshots()), 2)
        self.holdfast("forget", "-c", config)
        self.assertEqual(len(self.snapshots()), 1)

    def test_packs_that_are_mostly_unused_are_written_anew(self):
        for i in range(4):
            (self.tree / f"part{i}").write_bytes(noise(("part", i), 500_000))
        first = self.backup(f"files:{self.tree}")[0]["snapshot"]
        for i in range(3):
            (self.tree / f"part{i}").unlink()
        content = contents(self.tree)
        second = self.backup(f"files:{self.tree}")[0]["snapshot"]
        self.holdfast("forget", first)
        done = self.holdfast("prune", "--max-unused", "0", "--json").lines()[-1]
        self.assertGreater(done["packs"]["rewritten"], 0)
        self.assertLess(sum(p.stat().st_size for p in self.objects("data")), 700_000)
        self.assert_whole(second, content)
        self.assertEqual(self.check("--read-data")["errors"], [])
        unchanged = self.backup(f"files:{self.tree}")[0]
        self.assertEqual(unchanged["bytes"]["read"], 0, "a collection does not make anything look changed")

    def test_copy_to_another_repository(self):
        contents = {}
        for i in range(3):
            content = self.put(i)
            contents[self.backup(f"files:{self.tree}", "--tag", f"number={i}")[0]["snapshot"]] = content
        other = self.folder / "other"
        environment = {"HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD": "another"}
        self.holdfast("-r", other, "init", env=environment)
        last = list(contents)[-1]
        argv = ["copy", "--to", other, "--json"]
        to = {"HOLDFAST_TO_PASSWORD": "another"}
        dry = self.holdfast(*argv, "--dry-run", env=to).lines()[-1]
        self.assertEqual(len(dry["snapshots"]), 3)
        one = self.holdfast("copy", last, "--to", other, "--json", env=to).lines()[-1]
        self.assertEqual(one["snapshots"], [last])
        rest = self.holdfast(*argv, env=to).lines()
        self.assertEqual(rest[-1]["schema"], "holdfast.copy/1")
        self.assertEqual(sorted(rest[-1]["snapshots"]), sorted(set(contents) - {last}))
        again = self.holdfast(*argv, env=to).lines()[-1]
        self.assertEqual(again["snapshots"], [])
        self.assertEqual(again["bytes"]["added"], 0)

        mine = self.snapshots()
        shutil.rmtree(self.repo)  # the origin is lost
        self.environment.update({"HOLDFAST_REPO": str(other), "HOLDFAST_PASSWORD": "another"})
        del self.environment["HOLDFAST_KEY_FILE"]
        theirs = {s["id"]: s for s in self.snapshots()}
        for snapshot in mine:
            copied = theirs[snapshot["id"]]
            for field in ("time", "source", "kind", "host", "tags", "items"):
                self.assertEqual(copied[field], snapshot[field])
            self.assert_whole(snapshot["id"], contents[snapshot["id"]])
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.fails(2, "copy", "--to", other, env={"HOLDFAST_TO_PASSWORD": "another"}, says="same repository")

    def test_what_is_held_stays_until_it_is_released(self):
        ids = []
        for i in range(3):
            self.put(i)
            ids.append(self.backup(f"files:{self.tree}")[0]["snapshot"])
        self.holdfast("hold", ids[0], ids[1], "--name", "incident-42")
        self.assertEqual(self.holdfast("hold", ids[0], "--name", "incident-42", "--json").lines()[-1]["count"], 0)
        self.holdfast("hold", ids[0])
        self.assertEqual({s["id"]: s["holds"] for s in self.snapshots()},
                         {ids[0]: ["incident-42", "by hand"], ids[1]: ["incident-42"], ids[2]: []})
        self.assertIn("held", self.holdfast("snapshots").text)
        self.holdfast("forget", "--keep-last", "1")
        self.assertEqual(len(self.snapshots()), 3)
        self.fails(14, "forget", ids[1], says="is held: incident-42", hints="holdfast release")
        self.fails(1, "release", ids[0], ids[2], says="has no hold")
        self.fails(1, "release", ids[1], "--name", "incident", hints="incident-42")
        self.holdfast("release", ids[0], "--name", "incident-42")
        self.holdfast("release", ids[1])
        self.holdfast("forget", "--keep-last", "1")
        self.assertEqual([s["id"] for s in self.snapshots()], [ids[0], ids[2]])
        self.holdfast("release", ids[0])
        self.holdfast("forget", "--keep-last", "1")
        self.assertEqual([s["id"] for s in self.snapshots()], [ids[2]])

    def test_keys_are_added_removed_and_changed(self):
        content = self.put(1)
        snapshot = self.backup(f"files:{self.tree}")[0]["snapshot"]
        second = self.folder / "second key"
        second.write_bytes(noise("key", 64))
        listed = self.holdfast("key", "list", "--json").document()["keys"]
        self.assertEqual(len(listed), 1)
        self.holdfast("key", "add", "--label", "second", "--new-key-file", second)
        listed = self.holdfast("key", "list", "--json").document()["keys"]
        self.assertEqual(len(listed), 2)
        self.holdfast("--key-file", second, "backup", f"files:{self.tree}")
        first = [k for k in listed if k["label"] != "second"][0]
        self.holdfast("--key-file", second, "key", "remove", first["id"], "--yes")
        self.fails(12, "snapshots")
        self.environment["HOLDFAST_KEY_FILE"] = str(second)
        self.assert_whole(snapshot, content)
        self.assertNotEqual(self.run_program("key", "remove", [k for k in listed if k["label"] == "second"][0]["id"], "--yes").code, 0)
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_retention_by_time_uses_when_a_snapshot_was_received(self):
        for i in range(3):
            self.put(i)
            self.backup(f"files:{self.tree}", "--tag", "keep=yes" if i == 0 else "keep=no")
        plan = self.holdfast("forget", "--keep-daily", "1", "--keep-tag", "keep=yes", "--dry-run", "--json").lines()[-1]
        self.assertEqual(len(plan["keep"]), 2)
        self.assertEqual(len(plan["remove"]), 1)


if __name__ == "__main__":
    main()
