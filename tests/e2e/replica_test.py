"""Replicas in another region: filled by any key, followed through kills, used when the primary is lost."""

import atexit
import json
import shutil
import signal
import threading

from harness import Case, contents, fill_tree, main, noise
from s3 import Minio, Proxy

minio = Minio()
atexit.register(minio.stop)


class Replica(Case):
    number = 0

    def setUp(self):
        super().setUp()
        Replica.number += 1
        bucket = f"region-{Replica.number}"
        minio.make_bucket(bucket)
        self.replica = f"s3://{bucket}/replica"
        self.environment.update(minio.environment())
        self.init()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        self.contents = {}
        self.back_up(1)

    def back_up(self, seed, name="uploads", **options):
        fill_tree(self.tree, seed)
        snapshot = self.backup(f"files:{self.tree}", "--name", name, **options)[0]["snapshot"]
        self.contents[snapshot] = contents(self.tree)
        return snapshot

    def copy(self, *args, to=None, code=0, **options):
        return self.holdfast("copy", "--to", to or self.replica, *args, "--json", code=code, **options).lines()[-1]

    def assert_restores(self, snapshot, repository=None, *args, **options):
        out = self.folder / f"out-{len(list(self.folder.iterdir()))}"
        where = ["-r", repository] if repository else []
        done = self.holdfast(*where, "restore", f"{snapshot}:{self.tree}", "--to", out, *args, **options)
        self.assertEqual(contents(out), self.contents[snapshot])
        return done

    def ids(self, repository):
        found = self.holdfast("-r", repository, "snapshots", "--json").document()["snapshots"]
        return {each["id"] if "id" in each else each["snapshot"] for each in found}

    def assert_whole(self, repository):
        ids = self.ids(repository)
        for each in ids:
            self.assert_restores(each, repository)
        return ids

    def test_the_primary_is_lost(self):
        self.holdfast("-r", self.replica, "init", "--like", self.repo)
        self.fails(1, "-r", self.replica, "init", "--like", self.repo, says="there is a repository")
        self.assertEqual(self.ids(self.replica), set())
        would = self.copy("--dry-run")
        first = self.copy()
        self.assertEqual(first["how"], "verbatim")
        self.assertEqual((would["snapshots"], would["objects"]), (first["snapshots"], first["objects"]))
        self.assertEqual(set(first["snapshots"]), set(self.contents))
        self.assertGreater(first["lag_seconds"], 0)
        second = self.back_up(2)
        self.assertEqual(self.copy()["snapshots"], [second])
        self.assertEqual(self.copy("--compare")["objects"], {})
        for path in (minio.folder / "data" / self.replica.split("/")[2] / "replica").glob("log/*/*/*"):
            self.assertTrue((self.repo / path.relative_to(path.parents[3])).exists())

        shutil.rmtree(self.repo)
        self.assertEqual(self.assert_whole(self.replica), set(self.contents))
        self.assertEqual(self.holdfast("-r", self.replica, "check", "--read-data", "--json").lines()[-1]["errors"], [])
        self.holdfast("-r", self.replica, "dump", f"{second}:{self.tree}/00")
        for args in (["backup", f"files:{self.tree}"], ["forget", second, "--allow-last", "--yes"], ["prune"],
                     ["unlock", "00"], ["attest"]):
            self.fails(12, "-r", self.replica, *args, says="is a replica", hints="promote")
        self.fails(12, "-r", self.replica, "key", "add", env={"HOLDFAST_NEW_PASSWORD": "x"}, says="is a replica")
        self.holdfast("-r", self.replica, "promote", "--dry-run")
        self.fails(12, "-r", self.replica, "prune", says="is a replica")
        self.holdfast("-r", self.replica, "promote", "--yes")
        self.environment["HOLDFAST_REPO"] = self.replica
        self.back_up(3)
        self.holdfast("forget", "--keep-last", "1", "--yes")
        self.holdfast("prune")
        self.assertEqual(len(self.assert_whole(self.replica)), 1)
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_any_key_fills_it_and_only_a_collector_promotes(self):
        keys = {}
        for role in ("writer", "maintainer"):
            path = self.folder / f"{role}.key"
            self.holdfast("key", "generate", path)
            self.holdfast("key", "add", "--role", role, "--label", role, "--new-key-file", path)
            keys[role] = {"HOLDFAST_KEY_FILE": str(path), "HOME": str(self.folder / f"home-{role}")}
        writer = keys["writer"]
        self.holdfast("-r", self.replica, "init", "--like", self.repo, env=writer)
        self.assertEqual(len(self.copy(env=writer)["snapshots"]), 1)
        self.back_up(2, env=writer)
        self.copy(env=keys["maintainer"])
        self.assertEqual(self.assert_whole(self.replica), set(self.contents))
        self.fails(12, "-r", self.replica, "promote", "--yes", env=writer, says="may not promote")
        self.fails(12, "restore", "latest", "--from", self.replica, "--to", self.folder / "x", env=writer, says="may not")
        self.holdfast("-r", self.replica, "promote", "--yes", env=keys["maintainer"])
        self.fails(12, "copy", "--to", self.replica, says="was promoted", hints="init --like")

    def follow(self, **options):
        child = self.start("copy", "--to", self.replica, "--follow", "--interval", "1s", "--json", **options)
        lines, arrived = [], threading.Condition()

        def read():
            for line in child.stdout:
                with arrived:
                    lines.append(json.loads(line))
                    arrived.notify_all()

        threading.Thread(target=read, daemon=True).start()

        def wait_for(snapshot):
            with arrived:
                self.assertTrue(arrived.wait_for(
                    lambda: any(snapshot in line.get("snapshots", []) for line in lines), timeout=120), lines)

        return child, lines, wait_for

    def test_it_is_followed_through_kills(self):
        self.holdfast("-r", self.replica, "init", "--like", self.repo)
        proxy = Proxy(minio, delay=0.01)
        proxy.server.handle_error = lambda *of_a_killed_client: None
        self.addCleanup(proxy.stop)
        slow = {"AWS_ENDPOINT_URL": proxy.endpoint}
        for turn in range(4):
            self.back_up(10 + turn)
            before = len([1 for method, path in list(proxy.requests) if method == "PUT"])
            child, lines, _ = self.follow(env=slow)
            while len([1 for method, path in list(proxy.requests) if method == "PUT"]) < before + 3 + turn:
                self.assertIsNone(child.poll(), child.stderr.read() if child.poll() else "")
            child.send_signal(signal.SIGKILL)
            child.wait()
            self.assertLessEqual(self.assert_whole(self.replica), set(self.contents))
        child, lines, wait_for = self.follow()
        while self.ids(self.replica) != set(self.contents):
            self.assertIsNone(child.poll())
        self.holdfast("forget", "--keep-last", "2", "--yes")
        self.holdfast("prune")
        newest = self.back_up(20)
        wait_for(newest)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(timeout=60), 0, child.stderr.read())
        rounds = [line for line in lines if line["type"] == "round" and newest in line["snapshots"]]
        self.assertGreater(rounds[0]["lag_seconds"], 0)
        self.assertEqual(self.assert_whole(self.replica), self.ids(self.repo))
        self.assertEqual(self.holdfast("-r", self.replica, "check", "--read-data", "--json").lines()[-1]["errors"], [])

    def test_a_damaged_pack_is_told_and_not_copied(self):
        other = self.folder / "mirror"
        self.holdfast("-r", other, "init", "--like", self.repo)
        pack = max(self.objects("data"), key=lambda path: path.stat().st_size)
        whole = pack.read_bytes()
        pack.chmod(0o600)
        pack.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
        summary = self.copy(to=other, code=3)
        self.assertEqual([each["kind"] for each in summary["findings"]], ["damaged"])
        self.assertIn(pack.name, summary["findings"][0]["object"])
        self.assertEqual(summary["not_whole"], list(self.contents))
        self.assertFalse((other / pack.relative_to(self.repo)).exists())
        pack.write_bytes(whole)
        self.assertEqual(self.copy(to=other)["findings"], [])
        self.assertEqual(self.assert_whole(other), set(self.contents))

    def test_what_goes_into_it_otherwise_is_refused(self):
        other = self.folder / "mirror"
        self.fails(10, "copy", "--to", other, says="no such file")
        self.holdfast("-r", other, "init", "--like", self.repo)
        self.fails(2, "copy", "--to", self.repo, says="the same repository")
        self.fails(2, "copy", "--to", other, "--interval", "5s", says="--follow")
        self.copy(to=other)
        apart = self.folder / "apart"
        shutil.copytree(self.repo, apart)
        self.fails(12, "copy", "--to", apart, says="not marked as a replica")
        slot = sorted((other / "log").rglob("0000000002"))[0]
        slot.chmod(0o600)
        slot.write_bytes(slot.read_bytes() + b"x")
        self.back_up(2)
        self.fails(13, "copy", "--to", other, says="has another log/")

    def configured(self):
        (self.folder / "holdfast.yaml").write_text(
            f"version: 1\nrepositories:\n"
            f"  main: {{url: {self.repo}, unlock: {{keyfile: \"file:{self.key}\"}}, medium: disk}}\n"
            f"  far: {{url: \"{self.replica}\", replica_of: main, unlock: {{keyfile: \"file:{self.key}\"}},\n"
            f"         medium: object store, offsite: true}}\n"
            f"sources:\n  uploads: {{kind: files, paths: [{self.tree}]}}\n"
            f"jobs:\n  nightly: {{sources: [uploads], copies: [far]}}\n"
            f"service: {{ledger: \"sqlite:{self.folder}/ledger.db\"}}\n")
        self.environment.pop("HOLDFAST_REPO")

    def test_a_job_copies_to_it_and_a_restore_takes_it_when_the_primary_is_gone(self):
        self.holdfast("-r", self.replica, "init", "--like", self.repo)
        self.configured()
        self.copy(to="far")
        (row,) = self.holdfast("report", "inventory", "--json").document()["sources"]
        self.assertEqual((row["copies"], row["media"], row["offsite"], row["immutable"], row["errors"], row["proven"]),
                         (3, 2, 1, None, 0, False))
        self.assertIn("NOT TESTED", self.holdfast("report", "inventory").text)
        snapshot = self.back_up(2, name="uploads")
        (row,) = self.holdfast("report", "inventory", "--json").document()["sources"]
        self.assertEqual((row["copies"], row["offsite"], row["errors"]), (2, 0, 1))
        self.holdfast("run", "nightly")
        self.assertIn(snapshot, self.ids("far"))
        self.repo.rename(self.folder / "away")
        self.fails(10, "restore", snapshot, "--from", "main", "--to", self.folder / "x", says="no such file")
        self.fails(10, "restore", f"latest:{self.tree}", "--to", self.tree, "--in-place", says="no such file",
                   hints="--from far")  # may be older than what is there
        said = self.assert_restores(snapshot).errors
        self.assertIn("restoring from far: main cannot be used", said)
        self.assertIn("far is as of", said)
        self.assert_restores(snapshot, None, "--from", "far")
        found = self.holdfast("report", "inventory", "--json", code=3).document()
        self.assertEqual([each["repository"] for each in found["unreadable"]], ["main"])
        self.assertEqual(found["sources"][0]["errors"], 1)

    def test_what_is_damaged_here_comes_from_the_copy_that_has_it(self):
        self.holdfast("-r", self.replica, "init", "--like", self.repo)
        self.configured()
        self.copy(to="far")
        (snapshot,) = self.contents
        for pack in self.objects("data"):
            pack.unlink()
        self.fails(13, "restore", snapshot, "--from", "main", "--to", self.folder / "x", says="is damaged")
        out = self.folder / "y"
        done = self.restore(f"{snapshot}:{self.tree}", out).lines()
        self.assertEqual([line["repository"] for line in done if line["type"] == "summary"],
                         [str(self.repo), self.replica])
        self.assertEqual(contents(out), self.contents[snapshot])
        self.holdfast("repair", "--from", "far")
        self.assertNotIn("restoring from", self.assert_restores(snapshot).errors)

    def test_a_restore_takes_the_nearest_whole_copy(self):
        usb = self.folder / "usb"
        for place in (self.replica, usb):
            self.holdfast("-r", place, "init", "--like", self.repo)
        far, near = Proxy(minio, delay=0.3), Proxy(minio)
        self.addCleanup(far.stop)
        self.copy(to=usb)
        (older,) = self.contents
        newest = self.back_up(2)
        self.copy()
        minio.make_bucket("region-near")
        self.holdfast("-r", "s3://region-near/replica", "init", "--like", self.repo)
        self.copy(to="s3://region-near/replica")
        unlock = f'unlock: {{keyfile: "file:{self.key}"}}'
        (self.folder / "holdfast.yaml").write_text(
            f"version: 1\nrepositories:\n"
            f"  far: {{url: \"{self.replica}\", endpoint: \"{far.endpoint}\", {unlock}}}\n"
            f"  near: {{url: \"s3://region-near/replica\", endpoint: \"{near.endpoint}\", replica_of: far, {unlock}}}\n"
            f"  usb: {{url: {usb}, replica_of: far, {unlock}}}\n")
        self.environment.pop("HOLDFAST_REPO")
        self.assertIn("restoring from usb: it is a folder", self.assert_restores(older).errors)
        said = self.assert_restores(newest).errors
        self.assertIn("usb cannot be restored from: there is no snapshot", said)
        self.assertIn("restoring from near: it answers in", said)
        self.holdfast("-r", self.repo, "copy", "--to", usb)
        self.assertIn("restoring from usb", self.assert_restores(newest).errors)
        next(path for path in sorted((usb / "data").rglob("*")) if path.is_file()).unlink()
        said = self.assert_restores(newest).errors
        self.assertIn("is not whole there", said)
        self.assertIn("restoring from near", said)
        near.stop()
        self.assertNotIn("restoring from", self.assert_restores(newest).errors)  # far is left: that of -r

    def test_a_snapshot_that_only_a_copy_has(self):
        other = self.folder / "mirror"
        self.holdfast("-r", other, "init", "--like", self.repo)
        self.copy(to=other)
        self.back_up(2)
        gone, kept = self.contents
        self.holdfast("forget", gone, "--yes")
        self.replica = str(other)
        self.configured()
        self.assertIn(f"restoring from far: main cannot be used: there is no snapshot {gone}",
                      self.assert_restores(gone).errors)
        self.assert_restores(kept)
        self.fails(1, "restore", "00000000", "--to", self.folder / "x", says="there is no snapshot")


if __name__ == "__main__":
    main()
