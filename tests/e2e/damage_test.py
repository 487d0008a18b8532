"""Whatever happens to an object of the repository, it is found or does no harm, and no wrong byte is ever restored."""

import os
import random
import shutil

from harness import SCALE, Case, contents, main, noise

KINDS = ("config", "keys", "data", "meta", "state", "log", "index", "notes", "gc")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 0x10
    rewrite(path, bytes(data))


def rewrite(path, data):
    os.chmod(path, 0o600)
    path.write_bytes(data)


class Damage(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.random = random.Random(7)

    def build(self):
        """Two snapshots, one more that was forgotten, a collection."""
        self.init()
        self.tree.mkdir()
        (self.tree / "large").write_bytes(noise("large", 3_000_000))
        for i in range(30):
            (self.tree / f"small {i}").write_bytes(noise(i, 100 * i))
        self.keep("1")
        (self.tree / "large").write_bytes(noise("large", 1_000_000) + b"changed" + noise("new", 2_000_000))
        self.keep("2")
        gone = self.folder / "gone"
        gone.mkdir()
        (gone / "x").write_bytes(noise("gone", 500_000))
        self.backup(f"files:{gone}")
        self.holdfast("forget", "--keep-last", "1", "--allow-last", "--source", f"files:{gone}")
        forgotten = self.backup(f"files:{gone}")[0]["snapshot"]
        self.holdfast("forget", forgotten, "--allow-last", "--yes")
        self.holdfast("prune")
        self.assertTrue(self.objects("gc"), "there is a collection")

    def keep(self, name):
        """Backs the tree up and remembers what it held."""
        snapshot = self.backup(f"files:{self.tree}")[0]["snapshot"]
        self.expected = getattr(self, "expected", {})
        self.newest = self.expected[snapshot] = contents(self.tree)

    def fresh_client(self):
        """A machine that has never seen the repository, so that nothing but the repository itself can tell."""
        home = self.folder / f"home{self.random.random()}"
        home.mkdir()
        return {"HOME": str(home)}

    def assert_found_or_harmless(self, what):
        env = self.fresh_client()
        checked = self.run_program("check", "--read-data", "--json", env=env)
        self.assertIn(checked.code, (0, 10, 12, 13), f"{what}: {checked}")
        if checked.code == 13 and '"errors"' in checked.text:
            self.assertTrue(checked.lines()[-1]["errors"])
        whole = 0
        for snapshot, files in self.expected.items():
            out = self.folder / f"out{self.random.random()}"
            restored = self.run_program("restore", f"{snapshot}:{self.tree}", "--to", out, env=env)
            self.assertNotIn(restored.code, (-6, -11), f"{what}: {restored}")
            found = {p.name: p.read_bytes() for p in out.iterdir() if p.name != ".holdfast-restore"} if out.exists() else {}
            for name, content in found.items():
                self.assertEqual(content == files.get(name), True, f"{what}: wrong bytes in {name}, exit {restored.code}")
            if restored.code == 0:
                self.assertEqual(sorted(found), sorted(files), what)
                whole += 1
            shutil.rmtree(out, ignore_errors=True)
        self.assert_backed_up_or_refused(what, env)
        if checked.code == 0:
            self.assertEqual(whole, len(self.expected), f"{what}: the check found nothing, yet a restore failed")
        return checked.code

    def assert_backed_up_or_refused(self, what, env):
        """A backup of today gives a snapshot that restores, or says why there is none; what it did is undone."""
        before = self.folder / f"before{self.random.random()}"
        shutil.copytree(self.repo, before)
        done = self.run_program("backup", f"files:{self.tree}", "--json", env=env)
        allowed = (0, 10, 11, 12, 13, 17) if not what.startswith(("state/", "index/", "data/", "notes/")) else (0,)
        self.assertIn(done.code, allowed, f"{what}: {done}")
        if done.code == 0:
            snapshot = next(line for line in done.lines() if line["type"] == "snapshot")["snapshot"]
            out = self.folder / f"out{self.random.random()}"
            restored = self.run_program("restore", f"{snapshot}:{self.tree}", "--to", out, env=env)
            found = {p.name: p.read_bytes() for p in out.iterdir() if p.name != ".holdfast-restore"} if out.exists() else {}
            if what.startswith(("state/", "index/")):
                self.assertEqual((restored.code, found), (0, self.newest), f"{what}: {restored}")
            else:
                self.assertEqual([name for name in found if found[name] != self.newest[name]], [], what)
            shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(self.repo)
        before.rename(self.repo)

    def damage_each(self, kind):
        self.build()
        objects = self.objects(kind)
        self.assertTrue(objects, f"there are objects of kind {kind}")
        codes = []
        for path in objects:
            original = path.read_bytes()
            name = str(path.relative_to(self.repo))
            for _ in range(SCALE):
                at = self.random.randrange(len(original))
                flip(path, at)
                code = self.assert_found_or_harmless(f"{name} with byte {at} flipped")
                self.assertNotEqual(code, 0, f"{name} with byte {at} flipped: not found")
                rewrite(path, original)
            for size in {0, len(original) // 2, len(original) - 1}:
                rewrite(path, original[:size])
                code = self.assert_found_or_harmless(f"{name} cut to {size} bytes")
                self.assertNotEqual(code, 0, f"{name} cut to {size} bytes: not found")
            others = [other for other in objects if other != path]
            if others:
                rewrite(path, self.random.choice(others).read_bytes())
                code = self.assert_found_or_harmless(f"{name} exchanged for another")
                self.assertNotEqual(code, 0, f"{name} exchanged for another: not found")
            os.remove(path)
            codes.append(self.assert_found_or_harmless(f"{name} missing"))
            path.write_bytes(original)
        self.assertEqual(self.check("--read-data")["errors"], [])
        return codes

    def test_config(self):
        self.assertEqual(self.damage_each("config"), [10])

    def test_keys(self):
        self.assertEqual(self.damage_each("keys"), [12])

    def test_data(self):
        self.assertEqual(set(self.damage_each("data")), {13})

    def test_meta(self):
        self.assertEqual(set(self.damage_each("meta")), {13})

    def test_state(self):
        self.assertEqual(set(self.damage_each("state")), {13})

    def test_index(self):
        self.assertEqual(set(self.damage_each("index")), {13})

    def test_log(self):
        self.damage_each("log")

    def test_notes(self):
        self.damage_each("notes")

    def test_gc(self):
        self.damage_each("gc")

    def test_the_effect_of_damage_is_named(self):
        self.build()
        snapshot = list(self.expected)[-1]
        packs = self.objects("data")
        for path in packs:
            os.remove(path)
        summary = self.check(code=13)
        self.assertEqual({e["object"] for e in summary["errors"]}, {f"data/{p.name}" for p in packs})
        self.assertEqual({e["kind"] for e in summary["errors"]}, {"missing"})
        text = " ".join(e["effect"] for e in summary["errors"])
        self.assertIn(snapshot[:8], text)
        self.assertIn(f"{self.tree}/large", text)
        self.assertIn("items cannot be restored", text)

    def test_what_is_not_damaged_is_restored(self):
        self.build()
        largest = max(self.objects("data"), key=lambda p: p.stat().st_size)
        flip(largest, 1_000_000)
        out = self.folder / "out"
        snapshot = list(self.expected)[0]
        self.fails(13, "restore", f"{snapshot}:{self.tree}", "--to", out, says="could not be restored", hints="check --read-data")
        files = {p.name: p.read_bytes() for p in out.iterdir() if p.name != ".holdfast-restore"}
        self.assertEqual(sorted(files), sorted(set(self.expected[snapshot]) - {"large"}))
        for name, content in files.items():
            self.assertEqual(content, self.expected[snapshot][name])

    def test_what_is_damaged_in_the_repository_does_not_cost_the_live_file(self):
        self.build()
        snapshot, files = list(self.expected.items())[0]
        self.restore(f"{snapshot}:{self.tree}", self.tree, "--in-place")
        flip(max(self.objects("data"), key=lambda p: p.stat().st_size), 1_000_000)
        os.link(self.tree / "large", self.folder / "another name")
        for way in ("--in-place", "--overwrite"):
            for touched in (False, True):
                with self.subTest(way=way, touched=touched):
                    if touched:
                        os.utime(self.tree / "large", (1, 1))
                    self.fails(13, "restore", f"{snapshot}:{self.tree}", "--to", self.tree, way, "--yes", says="could not be restored")
                    self.assertEqual(contents(self.tree), files)
        os.unlink(self.folder / "another name")
        told = self.fails(13, "restore", f"{snapshot}:{self.tree}", "--to", self.tree, "--in-place")
        self.assertIn("stays, 0 of its bytes were overwritten", told.text + told.errors)
        self.assertEqual(contents(self.tree), files)

    def test_a_copy_brings_back_what_is_damaged(self):
        self.build()
        copy = self.folder / "copy"
        password = {"HOLDFAST_TO_PASSWORD": "copy", "HOLDFAST_FROM_PASSWORD": "copy"}
        self.holdfast("-r", copy, "init", env={"HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD": "copy"})
        self.holdfast("copy", "--to", copy, env=password)
        for number, pack in enumerate(self.objects("data") + self.objects("meta")):
            pack.unlink() if number % 2 else flip(pack, pack.stat().st_size // 2)
        self.fails(13, "check", "--read-data", says="damaged", hints="repair --from")
        dry = self.holdfast("repair", "--from", copy, "--read-data", "--dry-run", "--json", env=password).document()
        self.assertGreater(dry["chunks"], 3)
        self.assertEqual((len(dry["failed"]), len(dry["absent"])), (0, 0))
        done = self.holdfast("repair", "--from", copy, "--read-data", "--json", env=password).document()
        self.assertEqual(done["chunks"], dry["chunks"])
        for turn in ("repaired", "pruned"):
            for snapshot, files in self.expected.items():
                out = self.folder / f"{turn}-{snapshot[:8]}"
                self.holdfast("restore", f"{snapshot}:{self.tree}", "--to", out)
                self.assertEqual(contents(out), files)
            self.holdfast("prune")
        self.fails(2, "repair", "--from", self.repo, says="same repository", env={"HOLDFAST_FROM_KEY_FILE": str(self.key)})

    def test_a_repair_that_leaves_damage_does_not_say_that_it_is_done(self):
        self.build()
        copy = self.folder / "copy"
        password = {"HOLDFAST_TO_PASSWORD": "copy", "HOLDFAST_FROM_PASSWORD": "copy"}
        self.holdfast("-r", copy, "init", env={"HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD": "copy"})
        self.holdfast("copy", "--to", copy, env=password)
        self.holdfast("repair", "--from", copy, env=password)
        note = self.objects("notes")[0]
        whole = note.read_bytes()
        flip(note, len(whole) - 1)
        self.fails(13, "repair", "--from", copy, env=password, says="1 object is damaged yet", hints="check")
        note.write_bytes(whole)
        (self.tree / "small 0").write_bytes(noise("not in the copy", 900_000))
        self.keep("3")
        for pack in self.objects("data"):
            pack.unlink()
        done = self.fails(13, "repair", "--from", copy, env=password, says="could not be repaired whole")
        self.assertIn("it needs what is damaged", done.text)

    def test_backing_up_again_heals_what_the_source_still_has(self):
        self.build()
        for kind in ("data", "meta"):
            with self.subTest(kind=kind):
                os.remove(max(self.objects(kind), key=lambda p: p.stat().st_size))
                self.check(code=13)
                self.keep("after the damage")
                newest = list(self.expected)[-1]
                out = self.folder / f"out {kind}"
                self.restore(f"{newest}:{self.tree}", out)
                self.assertEqual(contents(out), self.expected[newest])

    def test_a_store_that_was_rolled_back_is_refused(self):
        self.build()
        copy = self.folder / "copy"
        shutil.copytree(self.repo, copy)
        self.backup(f"files:{self.tree}")
        shutil.move(self.repo, self.folder / "newer")
        shutil.move(copy, self.repo)
        for verb in (["snapshots"], ["check"], ["backup", f"files:{self.tree}"], ["restore", "latest", "--to", self.folder / "out"]):
            self.fails(13, *verb, says=["rolled_back", "this machine has seen"], hints="rolled back or replaced")
        shutil.rmtree(self.repo)
        shutil.move(self.folder / "newer", self.repo)
        self.holdfast("snapshots")

    def test_the_last_entry_of_a_log_is_missed_by_who_has_seen_it(self):
        self.build()
        os.remove(max(self.objects("log"), key=lambda p: p.stat().st_mtime_ns))
        self.fails(13, "snapshots", says="this machine has seen")

    def test_another_repository_in_its_place_is_not_taken_for_it(self):
        self.build()
        other = self.folder / "other"
        self.holdfast("-r", other, "init")
        for name in ("log", "index", "notes"):
            shutil.rmtree(self.repo / name, ignore_errors=True)
            shutil.copytree(other / name, self.repo / name) if (other / name).exists() else None
        self.assertIn(self.run_program("snapshots", env=self.fresh_client()).code, (0, 13))
        self.assertEqual(self.run_program("snapshots").code, 13)

    def test_a_pack_of_nobody_is_no_damage(self):
        self.build()
        orphan = self.objects("data")[0].parent / ("0" * 64)
        orphan = self.repo / "data" / "00" / ("0" * 64)
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"of a backup that died")
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_part_of_the_data_is_read_a_bit_more_each_time(self):
        self.init()
        self.tree.mkdir()
        for i in range(6):
            (self.tree / "f").write_bytes(noise(i, 400_000))
            self.backup(f"files:{self.tree}")
        packs = self.objects("data")
        flip(packs[-1], 200_000)
        runs = [self.run_program("check", "--read-data=25%", "--json") for _ in range(4)]
        self.assertIn(13, [run.code for run in runs], "four quarters are all of it")
        for run in runs:
            self.assertLess(run.document()["bytes"], 1_300_000)


if __name__ == "__main__":
    main()
