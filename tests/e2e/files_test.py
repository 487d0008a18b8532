"""Files come back as they were: whole, in part, in place, and after an interrupted restore."""

import os
import pathlib
import signal

import nasty
from harness import SCALE, Case, contents, differences, main, noise, rsync, wait_until


class Files(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.out = self.folder / "out"
        self.init()

    def whole(self, snapshot="latest"):
        return f"{snapshot}:{self.tree}"

    def test_a_limit_of_the_bandwidth_is_kept(self):
        tree = self.folder / "noise"
        tree.mkdir()
        (tree / "file").write_bytes(noise("bandwidth", 3_000_000))
        limited = self.holdfast("--limit-upload", "1M", "backup", f"files:{tree}")
        self.assertGreater(limited.seconds, 1)  # the least: what is sent first waits for nobody
        self.fails(2, "--limit-upload", "fast", "snapshots", says="bytes a second", hints="20M")
        out = self.folder / "limited"
        self.holdfast("--limit-download", "1M", "restore", f"latest:{tree}", "--to", out)
        self.assertEqual((out / "file").read_bytes(), (tree / "file").read_bytes())

    def test_as_much_is_compressed_as_the_user_says(self):
        self.tree.mkdir()
        for number in range(20):
            lines = (b"%d: request %d of day %d\n" % (i, i * i % 7919, number) for i in range(9_000))
            (self.tree / str(number)).write_bytes(b"".join(lines))
        size = sum(path.stat().st_size for path in self.tree.iterdir())
        config = self.folder / "holdfast.yaml"
        stored = {}
        for how in ("off", "fast", "balanced", "small"):
            repo = self.folder / how
            config.write_text(f"version: 1\nrepositories: {{main: {{url: {repo}, compression: {how}}}}}\n")
            by_config = {"HOLDFAST_REPO": "main", "HOLDFAST_CONFIG": str(config)}
            self.holdfast("init", env=by_config)
            saved = self.backup(f"files:{self.tree}", env=by_config)[0]
            stored[how] = saved["bytes"]["stored"]
            again = self.backup(f"files:{self.tree}", "--reread", "--compression", "small", env=by_config)[0]
            self.assertLess(again["bytes"]["stored"], size / 20, "what is there already is not stored once more")
            out = self.folder / f"out-{how}"
            self.holdfast("restore", f"latest:{self.tree}", "--to", out, env=by_config)
            self.assertEqual(contents(out), contents(self.tree))
            self.holdfast("check", "--read-data", env=by_config)
        self.assertGreater(stored["off"], size)
        self.assertLess(stored["fast"], size / 2)
        self.assertLess(stored["small"], stored["fast"])
        config.write_text(f"version: 1\nrepositories: {{main: {{url: {repo}, compression: zip}}}}\n")
        self.fails(2, "--config", config, "config", "check", says="`compression` of repository `main` is not known: `zip`",
                   hints="off, fast, balanced, small")
        self.fails(2, "--compression", "9", "snapshots", says="--compression is one of off, fast, balanced, small, not `9`")

    def test_a_nasty_tree_comes_back_as_it_was(self):
        nasty.make(self.tree)
        nasty.make_deep(self.tree / "names")
        first = self.backup(f"files:{self.tree}")[0]
        self.assertEqual(first["items"]["failed"], 0)
        self.restore(self.whole(), self.out)
        self.assertEqual(differences(self.tree, self.out), [])

    def test_rsync_finds_nothing_between_a_nasty_tree_and_its_restore(self):
        nasty.make(self.tree)
        self.backup(f"files:{self.tree}")
        self.restore("latest", self.out)
        below = self.out / str(self.tree).lstrip("/")
        self.assertEqual(rsync(self.tree, below), "")
        self.restore(self.whole(), self.folder / "contents")
        self.assertEqual(rsync(self.tree, self.folder / "contents"), "")

    def test_a_folder_of_very_many_entries(self):
        """A million at scale 20."""
        count = 50_000 * SCALE
        self.tree.mkdir()
        for number in range(count):
            # In no order that any folder keeps them in, a few with content and a few as links to another.
            name = self.tree / f"{number * 7919 % count:x}-entry"
            if number % 1000 == 1:
                os.link(last, name)
            else:
                with open(name, "wb") as file:
                    if number % 500 == 0:
                        file.write(b"%d" % number)
            last = name
        first = self.backup(f"files:{self.tree}")[0]
        self.assertGreaterEqual(first["items"]["new"], count)
        gone = self.tree / f"{3 * 7919 % count:x}-entry"
        gone.unlink()
        (self.tree / "one more").touch()
        second = self.backup(f"files:{self.tree}")[0]
        self.assertEqual(second["bytes"]["read"], 0)
        changed = self.holdfast("diff", first["snapshot"], second["snapshot"]).text.splitlines()
        self.assertEqual([line for line in changed if line.endswith((gone.name, "one more"))],
                         [f"- {gone}", f"+ {self.tree}/one more"], changed)
        self.restore(self.whole(), self.out)
        self.assertEqual(rsync(self.tree, self.out), "")

    def test_what_did_not_change_is_not_read_again(self):
        nasty.make(self.tree)
        first = self.backup(f"files:{self.tree}")[0]
        second = self.backup(f"files:{self.tree}")[0]
        self.assertEqual(second["bytes"]["read"], 0)
        self.assertEqual(second["items"]["new"], 0)
        # Above the tree lies a folder in which other tests work; a change of its time rewrites one leaf.
        changed = self.holdfast("diff", first["snapshot"], second["snapshot"]).text.strip().splitlines()
        self.assertTrue(all(str(self.tree).startswith(line.split(" ", 1)[1] + "/") for line in changed), changed)
        if not changed:
            self.assertEqual(second["bytes"]["added"], 0)
        self.assertEqual(second["items"]["unchanged"], first["items"]["new"] - len(changed))
        self.restore(self.whole(second["snapshot"]), self.out)
        self.assert_same_tree(self.tree, self.out)

    def test_every_snapshot_keeps_its_own_state_of_a_tree_that_changes(self):
        nasty.make(self.tree)
        first = self.backup(f"files:{self.tree}")[0]
        self.restore(self.whole(first["snapshot"]), self.folder / "before")
        nasty.change(self.tree)
        second = self.backup(f"files:{self.tree}")[0]
        self.assertLess(second["bytes"]["added"], first["bytes"]["added"] / 3)
        self.restore(self.whole(second["snapshot"]), self.out)
        self.assert_same_tree(self.tree, self.out)
        self.restore(self.whole(first["snapshot"]), self.folder / "again")
        self.assert_same_tree(self.folder / "before", self.folder / "again")
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_part_is_restored_by_path_and_by_glob(self):
        nasty.make(self.tree)
        self.backup(f"files:{self.tree}")
        self.restore(f"latest:{self.tree}/contents", self.out)
        self.assert_same_tree(self.tree / "contents", self.out)

        one = self.folder / "one"
        self.restore(f"latest:{self.tree}/contents/large", one)
        self.assertEqual(os.listdir(one), ["large"])
        self.assertEqual((one / "large").read_bytes(), (self.tree / "contents/large").read_bytes())

        some = self.folder / "some"
        self.restore(self.whole(), some, "--include", f"{self.tree}/**/noise-*", "--exclude", "noise-5*")
        found = sorted(p.name for p in some.rglob("*") if p.is_file())
        self.assertEqual(found, sorted(p.name for p in (self.tree / "contents").glob("noise-[!5]*")))
        self.assertEqual((some / "contents").stat().st_mode, (self.tree / "contents").stat().st_mode)

        hard = self.folder / "hard"
        self.restore(self.whole(), hard, "--include", "**/third", "--include", f"{self.tree}/links/second")
        self.assertEqual((hard / "links/second").read_bytes(), (self.tree / "links/first").read_bytes())
        self.assertEqual((hard / "links/second").stat().st_ino, (hard / "links/elsewhere/third").stat().st_ino)

        self.fails(1, "restore", "latest", "--to", self.folder / "none", "--include", "no such thing", says="matches")
        self.restore(self.whole(), self.folder / "none")
        self.assert_same_tree(self.tree, self.folder / "none")

    def test_in_place_writes_only_what_differs(self):
        nasty.make(self.tree)
        self.backup(f"files:{self.tree}")
        self.restore(self.whole(), self.out)
        untouched = (self.out / "contents/noise-65536").stat()
        nasty.change(self.out)
        (self.out / "contents/of others").write_bytes(b"not of the snapshot")
        done = self.restore(self.whole(), self.out, "--in-place", code=3).lines()
        self.assertEqual(len([line for line in done if line["type"] == "finding"]), 2, "a file and a folder are in the way")
        self.assertGreater(done[-1]["unchanged"], 1000)
        self.assertGreater(done[-1]["written"], 10)
        os.remove(self.out / "links/to first")
        os.rmdir(self.out / "names/*")
        self.restore(self.whole(), self.out, "--in-place")
        after = (self.out / "contents/noise-65536").stat()
        self.assertEqual((after.st_ino, after.st_ctime_ns), (untouched.st_ino, untouched.st_ctime_ns))
        self.assertEqual((self.out / "contents/of others").read_bytes(), b"not of the snapshot")
        left = [line for line in differences(self.tree, self.out) if "should not be" not in line and "mtime" not in line]
        self.assertEqual(left, [])

        self.restore(self.whole(), self.out, "--in-place", "--delete", "--yes")
        self.assert_same_tree(self.tree, self.out)
        again = self.restore(self.whole(), self.out, "--in-place").lines()[-1]
        self.assertEqual(again["written"], 0)

    def test_what_a_selection_leaves_out_is_not_deleted(self):
        for name in ("a/file", "a/x.log", "b/file", "b/deep/y.log", "top.log"):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_bytes(name.encode())
        self.backup(f"files:{self.tree}")

        def rest():
            return sorted(str(p.relative_to(self.tree)) for p in self.tree.rglob("*") if p.is_file())

        whole = rest()
        extra = ("a/new", "a/new.log", "new/deep/new", "new/deep/new.log")
        for args, gone in (
            (["latest", "--include", f"{self.tree}/a"], ["a/new", "a/new.log"]),
            (["latest", "--include", "*.log"], ["a/new.log"]),
            (["latest", "--include", f"{self.tree}/a", "--exclude", "*.log"], ["a/new"]),
            (["latest", "--exclude", "*.log"], ["a/new", "new/deep/new"]),
            ([self.whole(), "--to", self.tree, "--include", f"{self.tree}/a"], ["a/new", "a/new.log"]),
            ([self.whole(), "--to", self.tree, "--exclude", "*.log"], ["a/new", "new/deep/new"]),
            ([f"latest:{self.tree}/a", "--to", self.tree / "a", "--exclude", "*.log"], ["a/new"]),
            ([f"latest:{self.tree}/a/file", "--to", self.tree / "a"], []),
            ([self.whole(), "--to", self.tree], list(extra)),
        ):
            with self.subTest(args=args):
                for name in extra:
                    (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                    (self.tree / name).write_bytes(b"extra")
                self.holdfast("restore", *args, "--in-place", "--delete", "--dry-run", "--yes")
                self.assertEqual(rest(), sorted({*whole, *extra}))
                self.holdfast("restore", *args, "--in-place", "--delete", "--yes")
                self.assertEqual(rest(), sorted({*whole, *extra} - set(gone)))

    def test_what_the_backup_left_out_is_not_deleted(self):
        ordinary = self.ordinary_user()
        sizes = {"a/kept": 10, "a/x.tmp": 10, "large/big": 200_000, "unreadable/file": 10, "closed/file": 10, "other/file": 10}
        for name, size in sizes.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_bytes(bytes(size))
        (self.tree / "unreadable/file").chmod(0)
        (self.tree / "closed").chmod(0)
        ordinary.give(self.folder)
        options = ["--exclude", "*.tmp", "--exclude-larger", "100K"]
        self.backup(f"files:{self.tree}", *options, code=3, before=ordinary.become)
        (self.tree / "large/big").write_bytes(bytes(300_000))  # so that the folder is as it was
        self.backup(f"files:{self.tree}", *options, code=3, before=ordinary.become)
        for name in ("new", "large/new", "unreadable/new", "other/new"):
            (self.tree / name).write_bytes(b"new")
        self.restore(self.whole(), self.tree, "--in-place", "--delete", "--yes")
        (self.tree / "closed").chmod(0o700)
        found = {str(p.relative_to(self.tree)) for p in self.tree.rglob("*") if p.is_file()}
        self.assertEqual(found, set(sizes))

    def test_in_place_puts_files_back_where_they_were(self):
        self.tree.mkdir()
        (self.tree / "kept").write_bytes(b"kept")
        (self.tree / "lost").write_bytes(b"lost")
        self.backup(f"files:{self.tree}")
        (self.tree / "lost").unlink()
        (self.tree / "kept").write_bytes(b"overwritten")
        self.holdfast("restore", "latest", "--in-place")
        self.assertEqual((self.tree / "lost").read_bytes(), b"lost")
        self.assertEqual((self.tree / "kept").read_bytes(), b"kept")

    def test_overwrite_replaces_what_is_in_the_way(self):
        self.tree.mkdir()
        (self.tree / "file").write_bytes(b"a file")
        (self.tree / "folder").mkdir()
        (self.tree / "folder/inside").write_bytes(b"inside")
        os.symlink("file", self.tree / "link")
        self.backup(f"files:{self.tree}")
        self.out.mkdir()
        (self.out / "file").mkdir()
        (self.out / "file/below").write_bytes(b"in the way")
        (self.out / "folder").write_bytes(b"a file in the way")
        (self.out / "link").write_bytes(b"no link")
        self.fails(16, "restore", self.whole(), "--to", self.out, says="not empty", hints=["--in-place", "--overwrite"])
        self.assertEqual((self.out / "folder").read_bytes(), b"a file in the way")
        self.restore(self.whole(), self.out, "--overwrite", "--yes")
        self.assert_same_tree(self.tree, self.out)

    def test_a_dry_run_and_a_plan_write_nothing(self):
        nasty.make(self.tree)
        dry = self.backup(f"files:{self.tree}", "--dry-run")[0]
        self.assertIsNone(dry["snapshot"])
        self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.objects("data"), [])
        first = self.backup(f"files:{self.tree}")[0]
        self.assertEqual(dry["items"], first["items"])
        self.assertEqual(dry["bytes"]["logical"], first["bytes"]["logical"])
        self.restore(self.whole(), self.out, "--dry-run")
        self.assertFalse(self.out.exists())
        plan = self.restore(self.whole(), self.out, "--plan").document()
        self.assertFalse(self.out.exists())
        self.assertGreater(plan["items"], 1500)
        self.assertGreater(plan["bytes_to_read"], 9_000_000)

    def test_an_interrupted_restore_is_taken_up_again(self):
        self.tree.mkdir()
        for i in range(60):
            (self.tree / f"{i:03}").write_bytes(noise(i, 1_000_000))
        first = self.backup(f"files:{self.tree}")[0]["snapshot"]
        (self.tree / "000").write_bytes(b"changed")
        second = self.backup(f"files:{self.tree}")[0]["snapshot"]
        for files in range(1, 1 + 3 * SCALE):
            target = self.folder / f"out{files}"
            child = self.start("restore", self.whole(first), "--to", target)
            wait_until(lambda: child.poll() is not None or (target.is_dir() and len(os.listdir(target)) > 5 * files % 50),
                       "the restore writes files")
            child.send_signal(signal.SIGKILL)
            child.wait()
            if child.returncode == 0:
                continue
            self.fails(16, "restore", self.whole(second), "--to", target)
            self.fails(16, "restore", first, "--to", target, says="unfinished restore")
            self.fails(16, "restore", self.whole(first), "--exclude", "03*", "--to", target, hints="Finish that restore")
            self.restore(self.whole(first), target)
            self.assertEqual(sorted(os.listdir(target)), sorted(os.listdir(self.tree)))
            for i in range(60):
                self.assertEqual((target / f"{i:03}").read_bytes(), noise(i, 1_000_000))

    def test_ctrl_c_ends_cleanly(self):
        self.tree.mkdir()
        for i in range(60):
            (self.tree / f"{i:03}").write_bytes(noise(i, 1_000_000))
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            entries = len(self.objects("log"))
            child = self.start("backup", f"files:{self.tree}")
            wait_until(lambda: child.poll() is not None or len(self.objects("log")) > entries, "the backup begins")
            child.send_signal(number)
            child.wait()
            self.assertIn(child.returncode, (0, code))
        self.backup(f"files:{self.tree}")
        self.restore(self.whole(), self.out)
        self.assert_same_tree(self.tree, self.out)

    def test_what_cannot_be_read_is_told_and_the_rest_is_kept(self):
        # Root reads everything, so the tree is changed while it is read instead.
        self.tree.mkdir()
        (self.tree / "good").write_bytes(b"good")
        if os.geteuid() != 0:
            (self.tree / "bad").write_bytes(b"bad")
            (self.tree / "bad").chmod(0)
            snapshot = self.backup(f"files:{self.tree}", code=3)[0]
            self.assertEqual(snapshot["items"]["failed"], 1)
        missing = self.folder / "missing"
        lines = self.backup(f"files:{self.tree}", f"files:{missing}", code=15)
        self.assertEqual(len(lines), 1)
        self.restore(self.whole(), self.out)
        self.assertEqual((self.out / "good").read_bytes(), b"good")

    def test_a_file_that_cannot_be_read_ends_no_backup(self):
        self.tree.mkdir()
        (self.tree / "good").write_bytes(b"good")
        # Its bytes begin where no memory is: the kernel says that there is an input/output error.
        config = self.folder / "holdfast.yaml"
        config.write_text(f"version: 1\nsources:\n  all: {{kind: files, paths: [{self.tree}, /proc/self/mem]}}\n")
        lines = self.holdfast("--config", config, "backup", "all", "--json", code=3).lines()
        self.assertEqual([line["path"] for line in lines if line["type"] == "finding"], ["/proc/self/mem"])
        self.restore(self.whole(), self.out)
        self.assertEqual((self.out / "good").read_bytes(), b"good")
        self.assertNotIn("/proc/self/mem", self.holdfast("ls", "latest", "--recursive").text)

    def test_an_exclude_of_a_restore_is_one_of_a_backup(self):
        for name in ("app/node_modules/x", "app/a", "node_modules/y", "app/etc/ssh/z", "app/etc/k"):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_bytes(name.encode())
        self.backup(f"files:{self.tree}")

        def restored(*args):
            out = self.folder / f"out{len(list(self.folder.iterdir()))}"
            self.restore(self.whole(), out, *args)
            return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}

        self.assertEqual(restored("--exclude", "node_modules", "--exclude", "etc/ssh"), {"app/a", "app/etc/k"})
        self.assertEqual(restored("--exclude", "app/**/z", "--exclude", "node_modules/**"), {"app/a", "app/etc/k"})
        self.assertEqual(restored("--include", "etc/ssh"), {"app/etc/ssh/z"})
        self.assertEqual(restored("--include", "node_modules"), {"app/node_modules/x", "node_modules/y"})
        (self.tree / "app/node_modules/new").write_bytes(b"new")
        (self.tree / "app/new").write_bytes(b"new")
        self.restore(self.whole(), self.tree, "--in-place", "--delete", "--yes", "--exclude", "node_modules")
        self.assertTrue((self.tree / "app/node_modules/new").exists())
        self.assertFalse((self.tree / "app/new").exists())

    def test_a_selection_with_delete_removes_nothing_that_it_restored(self):
        for name in ("a/img/x", "img/y", "a/other"):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_bytes(name.encode())
        self.backup(f"files:{self.tree}")
        (self.tree / "a/img/new").write_bytes(b"new")
        self.holdfast("restore", "latest", "--in-place", "--delete", "--yes", "--include", "**/img")
        found = {str(p.relative_to(self.tree)) for p in self.tree.rglob("*") if p.is_file()}
        self.assertEqual(found, {"a/img/x", "img/y", "a/other"})

    def test_nothing_differs_only_where_there_is_something(self):
        (self.tree / "sub").mkdir(parents=True)
        self.backup(f"files:{self.tree}")
        self.assertEqual(self.holdfast("diff", "latest", "latest", self.tree / "sub").text.strip(), "")
        self.fails(1, "diff", "latest", "latest", self.tree / "sup", says="has no", hints="find")

    def test_excludes_leave_out_what_they_name(self):
        self.tree.mkdir()
        for name in ("keep.txt", "a.tmp", "sub/b.tmp", "sub/keep", "cache/CACHEDIR.TAG", "cache/x", "tagged/.nobackup", "tagged/y"):
            path = self.tree / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55" if path.name == "CACHEDIR.TAG" else b"x")
        (self.tree / "large").write_bytes(bytes(200_000))
        (self.folder / "list").write_text("# a comment\n**/sub/keep\n")
        self.backup(f"files:{self.tree}", "--exclude", "*.tmp", "--exclude-from", self.folder / "list", "--exclude-caches",
                    "--exclude-if-present", ".nobackup", "--exclude-larger", "100K")
        self.restore(self.whole(), self.out)
        found = {str(p.relative_to(self.out)) for p in self.out.rglob("*") if p.is_file()}
        self.assertTrue({"keep.txt", "cache/CACHEDIR.TAG"} >= found - {"tagged/.nobackup"}, found)
        self.assertIn("keep.txt", found)

    def test_several_paths_and_relative_ones(self):
        nasty.make(self.tree)
        snapshot = self.backup(f"files:{pathlib.Path(self.tree).name}/links", cwd=self.folder)[0]
        self.assertIn(str(self.tree / "links"), snapshot["source"])
        self.restore(f"latest:{self.tree}/links", self.out)
        self.assert_same_tree(self.tree / "links", self.out)


if __name__ == "__main__":
    main()
