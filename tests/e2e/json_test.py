"""What --json prints has the shapes that scripts rely on (design section 8)."""

import base64
import os
import re

from harness import Case, main, noise

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


class Shapes(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        (self.tree / "a").write_bytes(noise("a", 10_000))
        (self.tree / "sub").mkdir()
        (self.tree / "sub/b").write_bytes(b"b")
        os.symlink("a", self.tree / "link")
        with open(os.fsencode(self.tree) + b"/bytes \xff", "wb"):
            pass
        self.init()

    def test_init_and_version(self):
        made = self.holdfast("-r", self.folder / "other", "init", "--json").lines()[-1]
        self.assertEqual(made["schema"], "holdfast.init/1")
        self.assertTrue(self.holdfast("version", "--json").document()["schema"].startswith("holdfast.version/"))

    def test_backup(self):
        lines = self.holdfast("backup", f"files:{self.tree}", "command:x", "--json", code=2)
        lines = self.holdfast("backup", f"files:{self.tree}", "--json", "--tag", "a=b").lines()
        snapshot, summary = lines
        self.assertEqual(snapshot["type"], "snapshot")
        self.assertEqual(set(snapshot["items"]), {"new", "changed", "unchanged", "failed"})
        self.assertEqual(set(snapshot["bytes"]), {"logical", "read", "added", "stored"})
        self.assertRegex(snapshot["snapshot"], "^[0-9a-f]{64}$")
        self.assertTrue(snapshot["source"].startswith(f"files:{self.tree}@"))
        self.assertIsInstance(snapshot["seconds"], (int, float))
        self.assertEqual(summary["type"], "summary")
        self.assertEqual(summary["schema"], "holdfast.backup/1")
        self.assertEqual(summary["snapshots"], [snapshot["snapshot"]])
        self.assertEqual(summary["items"], snapshot["items"])
        self.assertEqual(summary["bytes"], snapshot["bytes"])

    def test_snapshots(self):
        made = self.backup(f"files:{self.tree}", "--tag", "a=b", "--host", "somewhere")[0]
        document = self.holdfast("snapshots", "--json").document()
        self.assertEqual(document["schema"], "holdfast.snapshots/1")
        one = document["snapshots"][0]
        self.assertEqual(one["id"], made["snapshot"])
        self.assertRegex(one["time"], TIME)
        self.assertEqual(one["source"], made["source"])
        self.assertEqual(one["kind"], "files")
        self.assertEqual(one["host"], "somewhere")
        self.assertEqual(one["tags"], {"a": "b"})
        self.assertEqual(set(one["bytes"]), {"logical", "added", "stored"})
        self.assertIn("point", one)
        self.assertIn("proof", one)
        self.assertGreaterEqual(one["items"], 6)

    def test_ls_find_and_diff(self):
        first = self.backup(f"files:{self.tree}")[0]["snapshot"]
        (self.tree / "a").write_bytes(b"changed")
        (self.tree / "sub/b").unlink()
        (self.tree / "new").write_bytes(b"new")
        os.chmod(self.tree / "sub", 0o700)
        second = self.backup(f"files:{self.tree}")[0]["snapshot"]

        document = self.holdfast("ls", f"{first}:{self.tree}", "--json")
        items = items_of(document)
        by_path = {item["path"]: item for item in items}
        a = by_path[f"{self.tree}/a"]
        self.assertEqual((a["type"], a["size"], a["uid"], a["gid"]), ("file", 10_000, os.geteuid(), os.getegid()))
        self.assertRegex(a["mtime"], TIME)
        self.assertIn("mode", a)
        odd = [item for item in items if "path_b64" in item]
        self.assertEqual(base64.b64decode(odd[0]["path_b64"]), os.fsencode(self.tree) + b"/bytes \xff")
        self.assertIn("\ufffd", odd[0]["path"])

        found = items_of(self.holdfast("find", "b", first, "--json"))
        self.assertEqual([item["path"] for item in found], [f"{self.tree}/sub/b"])

        changes = {(c["path"], c["change"]) for c in items_of(self.holdfast("diff", first, second, "--json"))}
        self.assertTrue({(f"{self.tree}/a", "content"), (f"{self.tree}/sub/b", "removed"), (f"{self.tree}/new", "added"),
                         (f"{self.tree}/sub", "metadata")} <= changes, changes)
        self.assertEqual(items_of(self.holdfast("diff", first, first, "--json")), [])

    def test_restore_check_stats(self):
        made = self.backup(f"files:{self.tree}")[0]
        summary = self.restore("latest", self.folder / "out").lines()[-1]
        self.assertEqual(summary["type"], "summary")
        self.assertEqual(summary["schema"], "holdfast.restore/1")
        self.assertEqual(summary["snapshot"], made["snapshot"])
        self.assertTrue({"seconds", "items", "bytes", "reached"} <= set(summary))
        check = self.check("--read-data")
        self.assertEqual(check["schema"], "holdfast.check/1")
        self.assertEqual(check["snapshots"], 1)
        self.assertTrue({"snapshots", "packs", "chunks", "bytes", "errors"} <= set(check))
        stats = self.holdfast("stats", "--json").document()
        self.assertEqual(stats["schema"], "holdfast.stats/1")
        self.assertTrue({"snapshots", "packs", "chunks", "bytes"} <= set(stats))
        self.assertEqual(set(stats["bytes"]), {"logical", "unique", "stored"})

    def test_check_names_objects_kinds_and_effects(self):
        self.backup(f"files:{self.tree}")
        os.remove(self.objects("data")[0])
        result = self.holdfast("check", "--json", code=13)
        errors = result.lines()[-1]["errors"]
        self.assertTrue(all(set(e) == {"object", "kind", "effect"} for e in errors) and errors)
        self.assertEqual(result.error()["exit"], 13)


def items_of(result):
    """The items of a listing, be it one document or lines."""
    lines = result.lines()
    if len(lines) == 1 and any(isinstance(v, list) for v in lines[0].values()):
        return next(v for v in lines[0].values() if isinstance(v, list))
    return [line for line in lines if "path" in line]


if __name__ == "__main__":
    main()
