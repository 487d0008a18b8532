"""Redis: its own files as a source (append-only files, BGSAVE), followed, captured and imported."""

import itertools
import shutil
import signal
import threading
import time

from harness import SCALE, main, wait_until
from redis_case import Following, Redis, everything, now

AOF = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")


def rewrite(server):
    server.run("BGREWRITEAOF")
    wait_until(lambda: "aof_rewrite_in_progress:0" in server.run("INFO", "persistence")
               and "aof_rewrite_scheduled:0" in server.run("INFO", "persistence"), "the rewrite ends")


class Captured(Redis):
    def test_append_only_files_and_bgsave_give_what_the_server_holds(self):
        for settings in (AOF, (*AOF, "--aof-use-rdb-preamble", "no", "--aof-timestamp-enabled", "yes")):
            source = self.filled(*settings)
            rewrite(source)
            source.send([["SELECT", 2], ["SET", "after the rewrite", "x"], ["EXPIRE", "after the rewrite", 1000]])
            before = sorted(p.name for p in source.data.rglob("*"))
            for method in ("aof", "bgsave"):
                self.backup(source.url(), "--name", f"s{method}{source.port}", "--method", method)
                folder = self.folder / f"{method}{source.port}"
                self.restore("latest", folder, "--source", f"s{method}{source.port}")
                self.assertEqual(self.started_on(folder).digest(), source.digest(), method)
                if method == "aof":
                    self.assertEqual(sorted(p.name for p in source.data.rglob("*")), before)
            source.remove()

    def test_append_only_files_without_the_server(self):
        source = self.filled(*AOF)
        digest = source.digest()
        source.stop()
        config = self.folder / "holdfast.yaml"
        config.write_text(f"version: 1\nsources:\n  s: {{kind: redis, method: aof, data_dir: {source.data}}}\n")
        self.backup("-c", config, "s")
        self.restore("latest", self.folder / "out")
        self.assertEqual(self.started_on(self.folder / "out").digest(), digest)

    def test_files_of_another_server_are_not_taken_for_its_own(self):
        source, other = self.filled(*AOF), self.server(*AOF)
        other.send([["SET", "other's", 1], ["SAVE"]])
        time.sleep(2)
        config = self.folder / "holdfast.yaml"
        config.write_text(f"version: 1\nsources:\n  s: {{kind: redis, url: \"{source.url()}\", method: bgsave, "
                          f"data_dir: {other.data}}}\n")
        self.fails(15, "-c", config, "backup", "s", says=["written before", f"reading {other.data}/dump.rdb"], hints="data_dir")
        config.write_text(config.read_text().replace(str(other.data), str(source.data)))
        self.backup("-c", config, "s")
        # As on another machine, where a server of the same settings runs.
        files, kept = source.data / "appendonlydir", self.folder / "kept"
        files.rename(kept)
        shutil.copytree(other.data / "appendonlydir", files)
        self.fails(15, "backup", source.url(), "--name", "s", "--method", "aof", says="is not the folder of", hints="data_dir")
        shutil.rmtree(files)
        kept.rename(files)
        self.backup(source.url(), "--name", "s", "--method", "aof")

    def test_a_folder_that_is_written_to_and_rewritten_meanwhile_is_its_own(self):
        source = self.filled(*AOF)
        over = threading.Event()

        def write():
            for turn in itertools.count():
                if over.is_set():
                    return
                source.send([["SET", f"k{turn}:{i}", "x" * 100] for i in range(1000)])
                if turn % 5 == 0:
                    source.try_run("BGREWRITEAOF")
        writing = threading.Thread(target=write)
        writing.start()
        try:
            for _ in range(4 * SCALE):
                self.backup(source.url(), "--name", "s", "--method", "aof")
        finally:
            over.set()
            writing.join()

    def test_a_server_without_append_only_files_is_told_so(self):
        source = self.server()
        self.fails(15, "backup", source.url(), "--method", "aof", says="appendonly no", hints="CONFIG SET appendonly yes")
        self.fails(2, "backup", source.url(), "--method", "magic", says="psync, bgsave or aof")
        self.fails(2, "backup", source.url(3), "--method", "aof", says="of all databases")


class Imported(Redis):
    def test_folders_and_files_of_old_servers(self):
        source = self.filled(*AOF)
        rewrite(source)
        source.send([["SET", "later", "x"]])
        digest = source.digest()
        source.stop()
        self.holdfast("import", source.data, "--source", "folder", "--time", "2024-01-31")
        # As servers before 7 wrote it: an RDB, then commands.
        old = self.folder / "old.aof"
        parts = sorted(source.data.glob("appendonlydir/*.rdb")) + sorted(source.data.glob("appendonlydir/*.incr.aof"))
        old.write_bytes(b"".join(part.read_bytes() for part in parts))
        self.holdfast("import", old, "--source", "file", "--time", "2024-01-31")
        for name in ("folder", "file"):
            self.restore("latest", self.folder / name, "--source", name)
            self.assertEqual(self.started_on(self.folder / name).digest(), digest, name)

    def test_a_database_is_in_buckets_however_it_came(self):
        """What a bucket has is in memory as a whole."""
        source = self.filled(*AOF)
        rewrite(source)
        source.run("SAVE")
        source.run("ACL", "SETUSER", "less", "on", ">pw", "+psync", "+replconf", "+ping")
        self.holdfast("import", source.data / "dump.rdb", "--source", "rdb", "--time", "2024-01-31")
        self.holdfast("import", source.data, "--source", "folder", "--time", "2024-01-31")
        self.backup(source.url(), "--name", "aof", "--method", "aof")
        self.backup(f"redis://less:pw@127.0.0.1:{source.port}", "--name", "less")
        for name in ("rdb", "folder", "aof", "less"):
            buckets = self.holdfast("ls", f"{name}:3").text.splitlines()
            self.assertGreater(len(buckets), 1, name)
            self.restore("latest", self.folder / name, "--source", name)
            self.assertEqual(self.started_on(self.folder / name).digest(), source.digest(), name)

    def test_what_is_cut_or_damaged_is_refused(self):
        source = self.filled(*AOF)
        source.stop()
        wrong_length = (b"$8\r\nnegative", b"$7\r\nnegative")
        for number, harm in enumerate((lambda b: b[:-5], lambda b: b.replace(*wrong_length))):
            copy = self.folder / f"copy{number}"
            shutil.copytree(source.data, copy)
            file = next(copy.glob("appendonlydir/*.incr.aof"))
            file.write_bytes(harm(file.read_bytes()))
            self.fails(15, "import", copy, "--source", "s", hints="redis-check-aof")
        copy = self.folder / "odd"
        shutil.copytree(source.data, copy)
        manifest = next(copy.glob("appendonlydir/*.manifest"))
        manifest.write_text(manifest.read_text().replace("file appendonly", "file ../appendonly"))
        self.fails(15, "import", copy, "--source", "s", says="makes no sense")
        self.assertEqual(self.snapshots(), [])

    def test_a_folder_that_lacks_a_file_is_refused(self):
        source = self.filled(*AOF)
        rewrite(source)
        source.send([["SET", "later", "x"]])
        for lost in ("*.incr.aof", "*.base.rdb"):
            copy = self.folder / f"without {lost[2:6]}"
            shutil.copytree(source.data, copy)
            next(copy.glob(f"appendonlydir/{lost}")).unlink()
            config = self.folder / "holdfast.yaml"
            config.write_text(f"version: 1\nsources:\n  s: {{kind: redis, method: aof, data_dir: \"{copy}\"}}\n")
            said = {"says": f"{lost[1:]}: no such file or directory, which the manifest names", "hints": "All files"}
            self.fails(15, "import", copy, "--source", "s", **said)
            self.fails(15, "-c", config, "backup", "s", **said)
        self.assertEqual(self.snapshots(), [])


class Followed(Following):
    def test_every_instant_across_rewrites_and_restarts(self):
        source = self.server(*AOF)
        source.send(everything())
        child = self.follow(source, "--method", "aof")
        wait_until(lambda: self.snapshots(), "the base is there")
        self.assertIn("connected_slaves:0", source.run("INFO", "replication"))
        instants = []
        for turn in range(8 * SCALE):
            source.send([["SELECT", turn % 3], ["MULTI"], *[["SET", f"t{turn}:{i}", i] for i in range(200)],
                         ["INCR", "count"], ["EXEC"]])
            if turn == 2:
                rewrite(source)
            if turn == 4:
                child.send_signal(signal.SIGKILL)
                child.wait()
                rewrite(source)
                child = self.follow(source, "--method", "aof", "--take-over")
            if turn == 6:
                source.stop()
                source.start()
            digest = source.digest()
            time.sleep(0.3)
            instants.append((now(), digest))
            time.sleep(0.3)
            source.run("INCR", "tick")  # of an idle server the journal says something once a minute only
            self.wait_for(instants[-1][0])
        end = now()
        source.run("INCR", "tick")
        self.wait_for(end)
        child.send_signal(signal.SIGTERM)
        child.wait()
        windows = self.holdfast("windows", "s", "--json").document()["windows"]
        for number, (instant, digest) in enumerate(instants):
            if not any(each["from"] < instant < each["to"] for each in windows):
                continue
            server, _ = self.restored(instant, f"at{number}")
            self.assertEqual(server.digest(), digest, (number, windows))
            server.remove()
        self.assertLessEqual(len(windows), 2)  # one file is gone when it is rewritten while nobody looks
        server, _ = self.restored(self.window()["to"], "last")
        self.assertEqual(server.digest(), source.digest())
        self.check("--read-data")

    def test_the_database_that_was_selected_before_the_base(self):
        source = self.server(*AOF)
        source.run("SET", "a", 1, database=3)
        self.holdfast("follow", source.url(), "--name", "s", "--once", "--method", "aof")
        for name in "bc":  # the second time it goes on without having seen a SELECT, and from a later base
            source.run("SET", name, 1, database=3)
            self.holdfast("follow", source.url(), "--name", "s", "--once", "--method", "aof")
            server, _ = self.restored(self.window()["to"], name)
            self.assertEqual(server.digest(), source.digest())
            self.backup(source.url(), "--name", "s", "--method", "aof")
        self.assertEqual(len(self.holdfast("windows", "s", "--json").document()["windows"]), 1)

    def test_a_server_that_was_off_for_a_while_begins_a_window(self):
        source = self.server(*AOF)
        source.run("SET", "a", 1)
        child, log = self.told(source.url(), "--method", "aof")
        switched = ""
        for turn in range(3):
            wait_until(lambda: (self.window() or {}).get("from", "") > switched, "the base is there")
            source.run("SET", f"before{turn}", 1)
            source.send([["CONFIG", "SET", "appendonly", "no"], ["SET", f"off{turn}", 1], ["CONFIG", "SET", "appendonly", "yes"]])
            switched = now()
            source.run("SET", f"after{turn}", 1)
        wait_until(lambda: (self.window() or {}).get("from", "") > switched, "the base is there")
        end = now()
        wait_until(lambda: self.reached(log) > end, "an idle server is seen")
        source.run("CONFIG", "SET", "appendonly", "no")
        off = now()
        source.run("SET", "dark", 1)
        time.sleep(7)
        self.assertLess(self.reached(log), off)
        child.send_signal(signal.SIGTERM)
        child.wait()
        source.run("DEL", "dark")
        windows = self.holdfast("windows", "s", "--json").document()["windows"]
        self.assertGreaterEqual(len(windows), 4)
        server, _ = self.restored(windows[-1]["to"], "last")
        self.assertEqual(server.digest(), source.digest())

    def test_other_files_in_the_same_folder_begin_a_window(self):
        source = self.server(*AOF)
        source.send([["SET", f"a{i}", i] for i in range(10)])
        self.holdfast("follow", source.url(), "--name", "s", "--once", "--method", "aof")
        source.stop()
        for path in source.data.glob("appendonlydir/*"):
            path.unlink()
        source.start()
        source.send([["SET", f"b{i}", i] for i in range(100)])
        self.holdfast("follow", source.url(), "--name", "s", "--once", "--method", "aof")
        windows = self.holdfast("windows", "s", "--json").document()["windows"]
        self.assertIn("another one", windows[-1]["because"])
        server, _ = self.restored(windows[-1]["to"], "last")
        self.assertEqual(server.digest(), source.digest())

    def test_once_goes_on_where_it_ended_and_other_files_begin_a_window(self):
        source = self.server(*AOF)
        source.send([["SET", "a", 1]])
        self.holdfast("follow", source.url(), "--name", "s", "--once", "--method", "aof")
        source.send([["SET", "b", 1]])
        self.holdfast("follow", source.url(), "--name", "s", "--once", "--method", "aof")
        self.assertEqual(len(self.holdfast("windows", "s", "--json").document()["windows"]), 1)
        server, _ = self.restored(self.window()["to"], "both")
        self.assertEqual(server.digest(), source.digest())
        source.stop()
        shutil.rmtree(source.data / "appendonlydir")
        source.start()
        source.send([["SET", "c", 1]])
        self.holdfast("follow", source.url(), "--name", "s", "--once", "--method", "aof")
        windows = self.holdfast("windows", "s", "--json").document()["windows"]
        self.assertEqual(len(windows), 2)
        self.assertIn("another one", windows[-1]["because"])


if __name__ == "__main__":
    main()
