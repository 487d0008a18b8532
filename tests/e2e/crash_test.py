"""Killed at any moment, the repository stays whole, and the next run goes on."""

import os
import signal
import time

import nasty
from harness import SCALE, Case, contents, main, noise, wait_until


class Crash(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.out = self.folder / "out"
        self.init()

    def assert_whole(self, snapshot, expected, name):
        out = self.folder / f"out-{name}"
        self.restore(f"{snapshot}:{self.tree}", out)
        self.assertEqual(contents(out), expected)

    def fill(self, seed, files=20, size=700_000):
        self.tree.mkdir(exist_ok=True)
        for i in range(files):
            (self.tree / f"{i:03}").write_bytes(noise((seed, i), size))
        return contents(self.tree)

    def kill_after(self, seconds, *args):
        """Starts the program and kills it; true when it was not done yet."""
        child = self.start(*args)
        deadline = time.monotonic() + seconds
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        return child.returncode == -signal.SIGKILL

    def test_kill_in_mid_backup(self):
        first = self.fill("first")
        took = self.run_program("backup", f"files:{self.tree}", "--dry-run").seconds + 0.05
        snapshots = {self.backup(f"files:{self.tree}")[0]["snapshot"]: first}
        killed = 0
        for round in range(10 * SCALE):
            content = self.fill(round)
            killed += self.kill_after(took * 1.5 * (round % 10) / 9, "backup", f"files:{self.tree}")
            if round % 3 == 0:
                self.assertEqual(self.check("--read-data")["errors"], [])
            listed = {s["id"] for s in self.snapshots()}
            new = listed - set(snapshots)
            self.assertLessEqual(len(new), 1)
            for snapshot in new:
                snapshots[snapshot] = content
            self.assertTrue(set(snapshots) <= listed)
        self.assertGreater(killed, 2)
        last = self.backup(f"files:{self.tree}")[0]["snapshot"]
        snapshots[last] = content
        self.assertEqual(self.check("--read-data")["errors"], [])
        for number, (snapshot, expected) in enumerate(snapshots.items()):
            self.assert_whole(snapshot, expected, number)
        # What the dead left is garbage, and given back.
        self.holdfast("forget", "--keep-last", "1")
        self.holdfast("prune")
        self.holdfast("prune")
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.assert_whole(last, content, "after prune")

    def test_a_killed_first_backup_does_not_begin_anew(self):
        content = self.fill("big", files=200, size=300_000)
        child = self.start("backup", f"files:{self.tree}")
        wait_until(lambda: child.poll() is not None or len(self.objects("data")) >= 2, "packs are uploaded")
        child.send_signal(signal.SIGKILL)
        child.wait()
        self.holdfast("backup", f"files:{self.tree}")
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.assert_whole("latest", content, "resumed")

    def test_kill_in_mid_prune(self):
        killed = 0
        for round in range(6 * SCALE):
            self.fill((round, "a"))
            self.backup(f"files:{self.tree}", "--host", f"host{round}")
            content = self.fill((round, "b"))
            (self.tree / "000").write_bytes(noise((round, "a", 0), 700_000))
            last = self.backup(f"files:{self.tree}", "--host", f"host{round}")[0]["snapshot"]
            content = contents(self.tree)
            self.holdfast("forget", "--keep-last", "1")
            killed += self.kill_after(0.01 + 0.05 * (round % 6), "prune")
            self.assertEqual(self.check("--read-data")["errors"], [])
            self.assert_whole(last, content, round)
            self.backup(f"files:{self.tree}", "--host", f"host{round}")
            self.holdfast("prune")
            self.assertEqual(self.check("--read-data")["errors"], [])
            self.assert_whole(last, content, f"{round}-pruned")
        self.assertGreater(killed, 0)

    def test_kill_in_mid_restore_leaves_the_source_alone(self):
        nasty.make(self.tree)
        self.backup(f"files:{self.tree}")
        self.kill_after(0.1, "restore", f"latest:{self.tree}", "--to", self.out)
        self.restore(f"latest:{self.tree}", self.out)
        self.assert_same_tree(self.tree, self.out)

    def test_init_killed_or_repeated_makes_one_repository_or_none(self):
        for round in range(4 * SCALE):
            place = self.folder / f"repo{round}"
            self.kill_after(0.01 * round, "-r", place, "init")
            again = self.run_program("-r", place, "init")
            if again.code != 0:
                usable = self.run_program("-r", place, "snapshots")
                self.assertIn(usable.code, (0, 12, 13), str(usable))
            else:
                self.holdfast("-r", place, "snapshots")


if __name__ == "__main__":
    main()
