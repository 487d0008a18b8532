"""A full disk ends a run with its own exit status, loses nothing, and the next run goes on."""

import os
import subprocess

from harness import Case, contents, main, no_file_above, noise


class Space(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        (self.tree / "kept").write_bytes(noise("kept", 50_000))

    def mounted(self, size):
        """A small file system of its own; nothing where mounting is not allowed."""
        place = self.folder / "mount"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False)
        return place if done.returncode == 0 else None

    def assert_whole(self, snapshot, expected):
        out = self.folder / f"out{len(os.listdir(self.folder))}"
        self.restore(f"{snapshot}:{self.tree}", out)
        self.assertEqual(contents(out), expected)

    def test_repository_on_a_full_disk(self):
        self.init()
        first, before = self.backup(f"files:{self.tree}")[0]["snapshot"], contents(self.tree)
        (self.tree / "large").write_bytes(noise("large", 5_000_000))
        for size in (0, 1000, 60_000, 1_000_000):
            result = self.run_program("backup", f"files:{self.tree}", before=no_file_above(size))
            self.assertEqual(result.code, 18, str(result))
            self.assertIn("hint:", result.errors)
            self.assertEqual([s["id"] for s in self.snapshots()], [first])
            self.assertEqual(self.check("--read-data")["errors"], [])
        self.assert_whole(first, before)
        second = self.backup(f"files:{self.tree}")[0]["snapshot"]
        self.assert_whole(second, contents(self.tree))
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_repository_on_a_small_file_system(self):
        place = self.mounted("6m")
        if place is None:
            # Not allowed to mount here: the limit of the other test stands for it.
            return self.test_repository_on_a_full_disk()
        self.repo = place / "repo"
        self.environment["HOLDFAST_REPO"] = str(self.repo)
        self.init()
        first, before = self.backup(f"files:{self.tree}")[0]["snapshot"], contents(self.tree)
        (self.tree / "large").write_bytes(noise("large", 20_000_000))
        self.fails(18, "backup", f"files:{self.tree}", says="no space", hints="room")
        self.assertEqual([s["id"] for s in self.snapshots()], [first])
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.assert_whole(first, before)
        self.holdfast("forget", "--keep-last", "1")
        self.holdfast("prune")
        subprocess.run(["mount", "-o", "remount,size=60m", str(place)], check=True)
        self.backup(f"files:{self.tree}")
        self.assert_whole("latest", contents(self.tree))

    def test_restore_target_on_a_full_disk(self):
        self.init()
        (self.tree / "large").write_bytes(noise("large", 3_000_000))
        self.backup(f"files:{self.tree}")
        place = self.mounted("2m")
        out = (place or self.folder) / "out"
        limit = None if place else no_file_above(1_000_000)
        result = self.run_program("restore", f"latest:{self.tree}", "--to", out, before=limit)
        self.assertEqual(result.code, 18 if place else 3, str(result))
        if place:
            subprocess.run(["mount", "-o", "remount,size=20m", str(place)], check=True)
        self.restore(f"latest:{self.tree}", out, *([] if place else ["--in-place"]))
        self.assertEqual(contents(out), contents(self.tree))

    def test_copy_to_a_full_disk(self):
        self.init()
        (self.tree / "large").write_bytes(noise("large", 3_000_000))
        snapshot = self.backup(f"files:{self.tree}")[0]["snapshot"]
        other = self.folder / "other"
        self.holdfast("-r", other, "init")
        argv = ["copy", "--to", other, "--to-key-file", self.key]
        self.assertEqual(self.run_program(*argv, before=no_file_above(500_000)).code, 18)
        self.holdfast(*argv)
        self.environment["HOLDFAST_REPO"] = str(other)
        self.assert_whole(snapshot, contents(self.tree))
        self.assertEqual(self.check("--read-data")["errors"], [])


if __name__ == "__main__":
    main()
