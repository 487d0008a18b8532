"""Repositories in a bucket, on a real S3 server: the whole way, many writers, and a network and a store that misbehave."""

import atexit
import shutil

from harness import SCALE, Case, contents, main, noise
from s3 import Minio, Proxy, one_in

minio = Minio()
atexit.register(minio.stop)


class Bucket(Case):
    number = 0

    def setUp(self):
        super().setUp()
        Bucket.number += 1
        self.bucket = f"bucket-{Bucket.number}"
        minio.make_bucket(self.bucket)
        self.environment.update(minio.environment())
        self.environment["HOLDFAST_REPO"] = f"s3://{self.bucket}/platform/repo"
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        self.change(1)

    def change(self, seed, files=30):
        for i in range(files):
            (self.tree / f"{i:03}").write_bytes(noise((seed, i), 200_000 if i % 3 else 900))

    def through(self, proxy):
        self.addCleanup(proxy.stop)
        return {"AWS_ENDPOINT_URL": proxy.endpoint}

    def assert_restores(self, snapshot, expected, **options):
        out = self.folder / f"out-{snapshot[:8]}-{len(list(self.folder.iterdir()))}"
        self.holdfast("restore", f"{snapshot}:{self.tree}", "--to", out, **options)
        self.assertEqual(contents(out), expected)

    def test_the_whole_way(self):
        self.init()
        first = self.backup(f"files:{self.tree}")[0]
        before = contents(self.tree)
        self.change(2, files=3)
        second = self.backup(f"files:{self.tree}")[0]
        self.assertIn(second["items"]["changed"], (3, 4))  # and their folder, when its time changed
        self.assert_restores(first["snapshot"], before)
        self.assert_restores(second["snapshot"], contents(self.tree))
        self.holdfast("check", "--read-data")
        self.holdfast("forget", "--keep-last", "1", "--yes")
        self.holdfast("prune")
        self.assert_restores(second["snapshot"], contents(self.tree))
        self.fails(1, "init", says="there is a repository")

    def test_nothing_in_the_bucket_says_what_it_holds(self):
        self.init()
        self.backup(f"files:{self.tree}", "--name", "very-secret-name")
        for path in minio.folder.rglob("*"):
            self.assertNotIn("very-secret-name", str(path))

    def test_the_bucket_may_be_part_of_the_hosts_name(self):
        by_host = {"AWS_ENDPOINT_URL": f"http://localhost:{minio.port}", "HOLDFAST_S3_ADDRESSING": "host"}
        self.holdfast("init", env=by_host)
        snapshot = self.backup(f"files:{self.tree}", env=by_host)[0]
        self.assertEqual([each["id"] for each in self.snapshots()], [snapshot["snapshot"]], "it is the same by its path")
        config = self.folder / "by-host.yaml"
        config.write_text(f"version: 1\nrepositories:\n  main: {{url: \"s3://{self.bucket}/platform/repo\", addressing: host, "
                          f"endpoint: \"http://localhost:{minio.port}\"}}\n")
        self.assertEqual(self.holdfast("--config", config, "-r", "main", "check", "--read-data", "--json").lines()[-1]["errors"], [])
        config.write_text(config.read_text().replace("host,", "hosts,"))
        self.fails(2, "--config", config, "config", "check", says="`addressing` of repository `main` is `host` or `path`")
        self.fails(2, "snapshots", env={"HOLDFAST_S3_ADDRESSING": "hosts"}, says="not addressed by \"hosts\"")

    def test_what_is_wrong_is_said(self):
        self.fails(10, "snapshots", says="there is no repository", hints="init")
        self.init()
        self.fails(12, "snapshots", env={"AWS_SECRET_ACCESS_KEY": "wrong"}, says="secret key is wrong")
        self.fails(12, "snapshots", env={"AWS_ACCESS_KEY_ID": "nobody"}, says="does not know this access key")
        self.fails(12, "snapshots", env={"AWS_ACCESS_KEY_ID": None, "AWS_EC2_METADATA_DISABLED": "true"},
                   says="no credentials", hints="AWS_ACCESS_KEY_ID")
        self.fails(10, "init", env={"HOLDFAST_REPO": "s3://not-there/x"}, says="no bucket not-there")
        self.fails(17, "snapshots", env={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, says="127.0.0.1:1")
        self.fails(2, "snapshots", env={"AWS_ENDPOINT_URL": "nonsense"}, says="no endpoint")
        self.fails(2, "snapshots", env={"HOLDFAST_REPO": "s3:///x"}, says="names no bucket")

    def test_a_web_page_instead_of_a_store_is_told(self):
        self.init()
        proxy = Proxy(minio)
        proxy.faults = lambda method, path: 404
        page = self.through(proxy)
        self.fails(17, "snapshots", env=page, says="answers with status 404, not as S3 does")
        self.fails(1, "snapshots", env={"AWS_ENDPOINT_URL": minio.console}, says="must be made to API port")

    def test_a_missing_right_is_named(self):
        self.init()
        proxy = Proxy(minio, lambda method, path: 403 if method == "PUT" else None)
        self.fails(12, "backup", f"files:{self.tree}", env=self.through(proxy), says="s3:PutObject",
                   hints="s3:PutObject")

    def test_old_versions_are_asked_for_again(self):
        minio.keep_versions(self.bucket)
        self.init()
        failed = set()

        def faults(method, path):
            if "version" in path and path not in failed:
                failed.add(path)
                return 503

        through = self.through(Proxy(minio, faults))
        self.assertEqual(self.holdfast("check", "--json", env=through).lines()[-1]["not_tested"], [])
        self.assertEqual(len(failed), 2, failed)

    def test_one_request_in_ten_fails_and_nothing_is_lost(self):
        self.init()
        kinds = (503, 500, "cut", "lost")
        for round in range(2 * SCALE):
            proxy = Proxy(minio, one_in(10, *kinds, seed=round))
            bad = self.through(proxy)
            self.change(10 + round, files=12)
            snapshot = self.backup(f"files:{self.tree}", env=bad)[0]["snapshot"]
            self.assert_restores(snapshot, contents(self.tree), env=bad)
            self.holdfast("forget", "--keep-last", "1", "--yes", env=bad)
            self.holdfast("prune", env=bad)
            if round == 0:
                mirror = f"s3://{self.bucket}/mirror"
                self.holdfast("-r", mirror, "init", "--like", self.environment["HOLDFAST_REPO"], env=bad)
            self.holdfast("copy", "--to", mirror, env=bad)
        lines = self.holdfast("-r", mirror, "check", "--read-data", "--json").lines()
        self.assertEqual(lines[-1]["errors"], [])
        self.assert_restores(snapshot, contents(self.tree), env={"HOLDFAST_REPO": mirror})
        other = f"s3://{self.bucket}/other"
        password = {"HOLDFAST_TO_PASSWORD": "other"}
        self.holdfast("-r", other, "init", env={**bad, "HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD": "other"})
        self.holdfast("copy", "--to", other, env={**bad, **password})
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.assert_restores(snapshot, contents(self.tree))
        copied = {"HOLDFAST_REPO": other, "HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD": "other"}
        self.holdfast("check", "--read-data", env=copied)
        self.assert_restores(snapshot, contents(self.tree), env=copied)

    def test_bytes_that_change_on_the_way_are_asked_for_again(self):
        self.init()
        snapshot = self.backup(f"files:{self.tree}")[0]["snapshot"]
        flips = one_in(3, "flip")
        proxy = Proxy(minio, lambda method, path: flips(method, path) if method == "GET" and "/log/" in path else None)
        self.assert_restores(snapshot, contents(self.tree), env=self.through(proxy))

    def test_a_store_that_falls_silent_is_asked_again(self):
        self.init()
        snapshot = self.backup(f"files:{self.tree}")[0]["snapshot"]
        stalled = {}
        proxy = Proxy(minio, lambda method, path: stalled.setdefault((method, "/data/" in path), "stall")
                      if method == "GET" and "/data/" in path and not stalled else None)
        self.assert_restores(snapshot, contents(self.tree), env=self.through(proxy))
        self.assertEqual(len(stalled), 1)

    def test_a_store_that_lies_about_conditional_writes_is_refused(self):
        proxy = Proxy(minio)
        original = proxy.faults
        answers = iter(range(10**9))

        def lie(method, path):
            return 200 if method == "PUT" and "/probe/" in path and next(answers) % 2 == 1 else original(method, path)

        proxy.faults = lie
        self.fails(2, "init", env=self.through(proxy), says="overwrite", hints="If-None-Match")

    def test_the_doctor_of_a_real_bucket(self):
        self.init()
        self.key.chmod(0o600)
        self.backup(f"files:{self.tree}")
        found = {each["check"]: each for each in self.holdfast("doctor", "--json").document()["repositories"][0]["findings"]}
        for check in ("key", "read", "clock", "list", "put", "remove", "versioning", "encryption", "lock", "lifecycle"):
            self.assertEqual(found[check]["severity"], "good", found[check])
        self.holdfast("check", "--read-data")

    def requests(self, command):
        return self.holdfast("stats", "--requests", "--json").document()["commands"][command]

    def test_a_machine_without_any_cache_asks_little_after_a_long_history(self):
        self.init()
        for turn in range(25):
            self.change(turn, files=1)
            self.backup(f"files:{self.tree}")
        self.holdfast("forget", "--keep-last", "20", "--yes")
        before = self.requests("backup")["requests"]
        self.holdfast("prune")
        shutil.rmtree(self.home)  # the pod of the night before is gone
        self.home.mkdir()
        same = self.backup(f"files:{self.tree}")[0]
        self.assertEqual(same["bytes"]["read"], 0)
        backup = self.requests("backup")
        # As doc/guide/s3.md says.
        self.assertLessEqual(backup["requests"], 22, backup)
        self.assertLessEqual(backup["bytes"]["received"], 30_000, backup)
        self.assertLess(backup["requests"], before)
        self.assertEqual(backup["list"], 1, backup)
        self.assert_restores(same["snapshot"], contents(self.tree))
        restore = self.requests("restore")
        self.assertLessEqual(restore["requests"], 28, restore)
        self.assertLess(restore["bytes"]["received"], 2 * sum(len(each) for each in contents(self.tree).values()))
        self.holdfast("check")

    def test_twenty_writers_at_once_with_a_collector(self):
        self.init()
        gone = self.backup(f"files:{self.tree}")[0]["snapshot"]
        self.change(2)
        self.backup(f"files:{self.tree}")
        self.holdfast("forget", gone, "--yes")  # there is something to collect, and some write it anew
        folders = []
        for i in range(20):
            folder = self.folder / f"w{i}"
            folder.mkdir()
            for k in range(3):
                (folder / f"{k}").write_bytes(noise((1, 1 + 3 * k) if i % 2 else ("w", i % 3, k), 200_000))
            folders.append(folder)
        children = [self.start("-q", "backup", f"files:{folder}", "--host", f"h{i}") for i, folder in enumerate(folders)]
        children.insert(10, self.start("-q", "prune"))
        for child in children:
            out, err = child.communicate(timeout=300)
            self.assertEqual(child.returncode, 0, (out + err).decode("utf-8", "replace"))
        self.holdfast("prune")
        self.assertEqual(self.check("--read-data")["errors"], [])
        shown = {each["host"]: each["id"] for each in self.holdfast("snapshots", "--json").document()["snapshots"]}
        for i, folder in enumerate(folders):
            out = self.folder / f"out{i}"
            self.holdfast("restore", f"{shown[f'h{i}']}:{folder}", "--to", out)
            self.assertEqual(contents(out), contents(folder))

    def test_settings_come_from_the_configuration_and_the_shared_files(self):
        (self.home / ".aws").mkdir()
        (self.home / ".aws/credentials").write_text(
            "# of the tests\n[default]\naws_access_key_id = no\naws_secret_access_key = no\n\n[backup]\n"
            f"aws_access_key_id = {self.environment['AWS_ACCESS_KEY_ID']}\n"
            f"aws_secret_access_key = {self.environment['AWS_SECRET_ACCESS_KEY']}\n")
        (self.folder / "holdfast.yaml").write_text(
            "version: 1\nrepositories:\n  main: {url: \"s3://%s/platform/repo\", endpoint: \"%s\", region: us-east-1,\n"
            "         unlock: {keyfile: \"file:%s\"}}\n" % (self.bucket, minio.endpoint, self.key))
        alone = {name: None for name in minio.environment()}
        alone.update({"AWS_PROFILE": "backup", "HOLDFAST_REPO": None, "HOLDFAST_KEY_FILE": None})
        self.holdfast("config", "check", env=alone)
        self.holdfast("init", env=alone)
        self.holdfast("backup", f"files:{self.tree}", env=alone)
        self.fails(12, "snapshots", env=dict(alone, AWS_PROFILE="default"))


if __name__ == "__main__":
    main()
