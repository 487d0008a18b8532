"""Backups, prunes, checks and restores at the same time: none waits, none harms another."""

import os
import signal
import threading

from harness import SCALE, Case, contents, main, noise, wait_until


class Together(Case):
    def setUp(self):
        super().setUp()
        self.init()

    def tree(self, name, seed, files=12, size=400_000):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for i in range(files):
            (folder / f"{i:03}").write_bytes(noise((name, seed, i), size))
        return contents(folder)

    def end_well(self, child):
        out, err = child.communicate(timeout=300)
        self.assertEqual(child.returncode, 0, (out + err).decode("utf-8", "replace"))
        return out.decode("utf-8", "replace")

    def assert_whole(self, snapshot, name, expected):
        out = self.folder / f"out-{snapshot[:8]}"
        self.restore(f"{snapshot}:{self.folder / name}", out)
        self.assertEqual(contents(out), expected)

    def test_two_backups_and_a_prune_at_the_same_time(self):
        kept = {}
        for round in range(3 * SCALE):
            one, two = self.tree("one", round), self.tree("two", round)
            backups = [self.start("-q", "backup", f"files:{self.folder}/{name}") for name in ("one", "two")]
            prune = self.start("prune")
            check = self.start("check", "--read-data")
            ids = [self.end_well(child).strip() for child in backups]
            self.end_well(prune)
            self.end_well(check)
            kept = {ids[0]: ("one", one), ids[1]: ("two", two)}
            forget = self.start("forget", "--keep-last", "1", "--yes")
            again = self.start("prune")
            third = self.start("-q", "backup", f"files:{self.folder}/one", "--host", "another")
            for child in (forget, again, third):
                self.end_well(child)
        self.holdfast("prune")
        self.holdfast("prune")
        self.assertEqual(self.check("--read-data")["errors"], [])
        for snapshot, (name, expected) in kept.items():
            self.assert_whole(snapshot, name, expected)

    def test_what_is_deduplicated_against_garbage_survives_its_collection(self):
        # The chunks of "one" become garbage at the very time when another backup wants them again.
        for round in range(4 * SCALE):
            expected = self.tree("one", round)
            first = self.holdfast("-q", "backup", f"files:{self.folder}/one", "--host", f"a{round}").text.strip()
            backup = self.start("-q", "backup", f"files:{self.folder}/one", "--host", f"b{round}")
            forget = self.start("forget", first, "--allow-last", "--yes")
            self.end_well(forget)
            prune = self.start("prune")
            snapshot = self.end_well(backup).strip()
            self.end_well(prune)
            self.holdfast("prune")
            self.assert_whole(snapshot, "one", expected)
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_prune_does_not_wait_for_a_backup_and_says_what_is_pending(self):
        self.tree("old", 1)
        snapshot = self.backup(f"files:{self.folder}/old")[0]["snapshot"]
        read, write = os.pipe()
        slow = self.start("backup", "command:slow", "-", stdin=read)
        os.close(read)
        entries = len(self.objects("log"))
        wait_until(lambda: len(self.objects("log")) > entries, "the slow backup is open")
        self.holdfast("forget", snapshot, "--allow-last")
        pending = self.holdfast("prune", "--json").lines()[-1]
        self.assertGreater(pending["packs"]["pending"], 0)
        self.assertEqual(pending["packs"]["deleted"], 0)
        self.assertTrue(pending["waiting_for"])
        os.write(write, b"the end")
        os.close(write)
        self.end_well(slow)
        done = self.holdfast("prune", "--json").lines()[-1]
        self.assertGreater(done["packs"]["deleted"], 0)
        self.assertEqual(self.holdfast("dump", "latest").out, b"the end")

    def test_unlock_fences_a_session_whose_writer_then_ends_with_11(self):
        read, write = os.pipe()
        slow = self.start("backup", "command:slow", "-", stdin=read)
        os.close(read)
        entries = len(self.objects("log"))
        wait_until(lambda: len(self.objects("log")) > entries, "the slow backup is open")
        key = self.holdfast("key", "list", "--json").document()["keys"][0]["id"]
        self.holdfast("unlock", key)
        os.write(write, b"too late")
        os.close(write)
        out, err = slow.communicate(timeout=300)
        self.assertEqual(slow.returncode, 11, (out + err).decode())
        self.assertEqual(self.snapshots(), [])
        self.holdfast("backup", "command:slow", "--", "echo", "again")

    def test_a_dead_session_of_this_machine_keeps_nobody_waiting(self):
        self.tree("old", 1)
        snapshot = self.backup(f"files:{self.folder}/old")[0]["snapshot"]
        read, write = os.pipe()
        slow = self.start("backup", "command:slow", "-", stdin=read)
        os.close(read)
        entries = len(self.objects("log"))
        wait_until(lambda: len(self.objects("log")) > entries, "the slow backup is open")
        slow.send_signal(signal.SIGKILL)
        slow.wait()
        os.close(write)
        self.holdfast("forget", snapshot, "--allow-last")
        done = self.holdfast("prune", "--json").lines()[-1]
        self.assertGreater(done["packs"]["deleted"], 0)
        self.assertEqual(done["waiting_for"], [])

    def test_of_many_that_init_at_once_one_succeeds(self):
        for round in range(2 * SCALE):
            place = self.folder / f"repo{round}"
            children = [self.start("-r", place, "init") for _ in range(6)]
            codes = sorted(child.wait() for child in children)
            self.assertEqual(codes, [0, 1, 1, 1, 1, 1])
            self.holdfast("-r", place, "snapshots")

    def test_many_backups_of_one_key_take_lanes_of_their_own(self):
        trees = {f"t{i}": self.tree(f"t{i}", 0, files=3) for i in range(6)}
        children = {name: self.start("-q", "backup", f"files:{self.folder}/{name}") for name in trees}
        for name, child in children.items():
            self.assert_whole(self.end_well(child).strip(), name, trees[name])
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_restores_and_looks_while_others_prune(self):
        expected = self.tree("one", 0)
        snapshot = self.backup(f"files:{self.folder}/one")[0]["snapshot"]
        for i in range(3):
            self.tree("two", i)
            self.backup(f"files:{self.folder}/two", "--host", f"h{i}")
        self.holdfast("forget", "--keep-last", "1", "--yes")
        failures = []

        def look():
            try:
                self.assert_whole(snapshot, "one", expected)
                self.holdfast("ls", snapshot)
            except AssertionError as error:
                failures.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(2):
            self.holdfast("prune", "--max-unused", "0")
        thread.join()
        self.assertEqual(failures, [])


if __name__ == "__main__":
    main()
