"""Snapshots as a read-only folder."""

import concurrent.futures
import contextlib
import os
import random
import signal
import subprocess

import nasty
from harness import Case, main, noise, postgres_server, wait_until

HAS_FUSE = os.path.exists("/dev/fuse") and os.geteuid() == 0


class Mounting(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.mounted = self.folder / "mounted"
        self.mounted.mkdir()
        self.init()

    def mount(self, *args):
        child = self.start("mount", self.mounted, *args)
        wait_until(lambda: os.path.ismount(self.mounted) or child.poll() is not None, "the mount")
        self.assertIsNone(child.poll(), "the mount ended by itself")
        self.addCleanup(subprocess.run, ["umount", "-l", self.mounted], stderr=subprocess.DEVNULL)
        return child

    def end_of(self, child):
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
        self.assertEqual(child.returncode, 0, said.decode())
        self.assertFalse(os.path.ismount(self.mounted))

    def same(self, expected, found):
        """Contents, modes, owners, times, links and devices; a mount has no hard links and hides ACLs."""
        done = subprocess.run(["rsync", "-rlptgoDn", "--checksum", "--delete", "--itemize-changes", f"{expected}/", f"{found}/"],
                              capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("", ""))


class Refusals(Mounting):
    def test_a_folder_that_is_not_there_or_not_empty_is_refused(self):
        self.backup("command:x", "--", "echo", "x")
        self.fails(2, "mount", self.folder / "nowhere", says="is not a folder", hints="mkdir")
        (self.mounted / "file").write_text("x")
        self.fails(2, "mount", self.mounted, says="not empty")


class WithFuse(Mounting):
    def test_a_nasty_tree_looks_as_it_was(self):
        nasty.make(self.tree)
        self.backup(f"files:{self.tree}")
        child = self.mount(f"latest:{self.tree}")
        self.same(self.tree, self.mounted)
        with self.assertRaises(OSError):
            (self.mounted / "new").write_text("no")
        self.end_of(child)

    def test_all_snapshots_are_there_by_id_by_source_and_time(self):
        self.tree.mkdir()
        (self.tree / "large").write_bytes(noise("large", 20_000_000))
        first = self.backup(f"files:{self.tree}")[0]["snapshot"]
        (self.tree / "large").write_bytes(noise("other", 3_000_000))
        self.backup(f"files:{self.tree}")
        self.backup("command:dumped", "--", "cat", self.tree / "large")
        child = self.mount()
        below = str(self.tree).lstrip("/")
        self.assertEqual((self.mounted / "ids" / first[:16] / below / "large").read_bytes(), noise("large", 20_000_000))
        self.assertEqual((self.mounted / "latest" / "dumped").read_bytes(), noise("other", 3_000_000))
        sources = sorted(os.listdir(self.mounted / "sources"))
        self.assertEqual([s.split("@")[0] for s in sources], ["command:dumped", f"files:{str(self.tree).replace('/', '%2F')}"])
        self.same(self.tree, self.mounted / "sources" / sources[1] / "latest" / below)
        with open(self.mounted / "ids" / first[:16] / below / "large", "rb") as file:  # any bytes in any order
            for at in (19_999_000, 0, 7_000_001, 6_999_999):
                file.seek(at)
                self.assertEqual(file.read(5000), noise("large", 20_000_000)[at:at + 5000])
        self.end_of(child)

    def test_the_latest_is_the_newest_and_not_what_came_last(self):
        server = postgres_server("first")
        self.folder.chmod(0o755)  # for the sandbox
        self.environment["HOLDFAST_SANDBOX"] = str(self.folder / "sandboxes")
        server.sql("CREATE DATABASE old")
        self.addCleanup(server.sql, "DROP DATABASE old")
        dump = self.folder / "old.sql"
        dump.write_bytes(server.run("pg_dump", "old"))
        for time in ("2026-02-28T00:00:00Z", "2024-01-31T00:00:00Z"):
            self.holdfast("import", dump, "--source", "old", "--time", time)
        newest = max(self.snapshots(), key=lambda each: each["time"])["id"]
        child = self.mount()
        self.assertEqual(os.readlink(self.mounted / "latest"), f"ids/{newest[:16]}")
        self.assertEqual(os.readlink(self.mounted / "sources" / "old" / "latest"), f"../../ids/{newest[:16]}")
        self.end_of(child)

    def test_it_ends_while_files_are_open_and_read(self):
        self.tree.mkdir()
        (self.tree / "large").write_bytes(noise("large", 8_000_000))
        self.backup(f"files:{self.tree}")
        for _ in range(5):
            child = self.mount(f"latest:{self.tree}")
            opened = os.open(self.mounted / "large", os.O_RDONLY)
            self.assertEqual(os.pread(opened, 5000, 0), noise("large", 8_000_000)[:5000])
            self.end_of(child)
            with self.assertRaises(OSError):
                os.pread(opened, 5000, 7_000_000)
            with contextlib.suppress(OSError):
                os.close(opened)

    def test_many_read_at_once_in_any_order_more_than_is_kept_in_memory(self):
        self.tree.mkdir()
        files = [self.tree / str(number) for number in range(4)]
        for file in files:
            file.write_bytes(noise(file.name, 24_000_000))
        self.backup(f"files:{self.tree}")
        child = self.mount(f"latest:{self.tree}")

        def read(seed):
            """Runs of a file, from here and there: its begin twice, as whoever reads a header first does."""
            file = files[seed % len(files)]
            expected = file.read_bytes()
            places = [0, *random.Random(seed).sample(range(0, len(expected), 1_000_000), 12), 0]
            with open(self.mounted / file.name, "rb") as opened:
                for at in places:
                    opened.seek(at)
                    if opened.read(2_500_000) != expected[at:at + 2_500_000]:
                        return f"{file.name} at {at}"
            return ""

        with concurrent.futures.ThreadPoolExecutor(8) as readers:
            self.assertEqual(list(readers.map(read, range(8))), [""] * 8)
        self.same(self.tree, self.mounted)
        self.end_of(child)

    def test_a_database_is_there_as_its_dump_files(self):
        server, other = postgres_server("first"), postgres_server("second")
        server.sql("CREATE DATABASE mounted")
        self.addCleanup(server.sql, "DROP DATABASE mounted")
        server.sql("CREATE TABLE t AS SELECT i AS id, md5(i::text) AS text FROM generate_series(1, 50000) i; "
                   "CREATE INDEX ON t (id)", "mounted")
        self.backup(server.url("mounted"))
        server.sql("UPDATE t SET text = 'changed' WHERE id % 100 = 0", "mounted")
        self.backup(server.url("mounted"))
        child = self.mount("latest")
        other.sql("CREATE DATABASE mounted")
        self.addCleanup(other.sql, "DROP DATABASE mounted")
        other.run("pg_restore", "-d", "mounted", str(self.mounted / "mounted/archive.dump"))
        other.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", "mounted", "-f", str(self.mounted / "mounted/public/t"))
        self.assertEqual(other.dump("mounted"), server.dump("mounted"))
        self.end_of(child)

    def test_what_is_damaged_is_an_error_and_the_rest_is_there(self):
        self.tree.mkdir()
        (self.tree / "one").write_bytes(noise("one", 3_000_000))
        self.backup(f"files:{self.tree}")
        (self.tree / "two").write_bytes(noise("two", 3_000_000))
        before = set(self.objects("data"))
        self.backup(f"files:{self.tree}")
        for name in set(self.objects("data")) - before:
            path = self.repo / name
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.chmod(0o600)
            path.write_bytes(data)
        child = self.mount(f"latest:{self.tree}")
        self.assertEqual((self.mounted / "one").read_bytes(), noise("one", 3_000_000))
        with self.assertRaises(OSError):
            (self.mounted / "two").read_bytes()
        self.end_of(child)


class WithoutFuse(Mounting):
    def test_without_fuse_it_says_what_is_missing(self):
        self.backup("command:x", "--", "echo", "x")
        self.fails(1, "mount", self.mounted, says="cannot mount", hints="/dev/fuse")


# A machine has it or not: either way something is tested.
if HAS_FUSE:
    del WithoutFuse
else:
    del WithFuse

if __name__ == "__main__":
    main()
