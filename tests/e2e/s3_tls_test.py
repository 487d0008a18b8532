"""Buckets with versions, over TLS with an authority of one's own: the whole way, what was written over, wrong certificates."""

import atexit

from harness import Case, contents, fill_tree, main, noise
from s3 import Authority, Minio

minio = Minio(tls=True)
atexit.register(minio.stop)


class TwoProviders(Case):
    """A server elsewhere, with an authority, a user and a port of its own; the environment says nothing of either."""

    def setUp(self):
        super().setUp()
        self.here = Minio(who=("another", "another-secret"))
        self.addCleanup(self.here.stop)
        self.here.make_bucket("primary")
        self.bucket = f"off-{id(self)}"
        minio.make_bucket(self.bucket)
        (self.home / ".aws").mkdir()
        (self.home / ".aws/credentials").write_text(self.here.profile("here") + minio.profile("there"))
        self.environment.update(AWS_ACCESS_KEY_ID="of nobody", AWS_SECRET_ACCESS_KEY="of nobody",
                                AWS_ENDPOINT_URL="http://127.0.0.1:1", HOLDFAST_CONFIG=str(self.folder / "holdfast.yaml"))
        for name in ("HOLDFAST_REPO", "HOLDFAST_KEY_FILE"):
            self.environment.pop(name)
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        fill_tree(self.tree, 1)
        unlock = f'unlock: {{keyfile: "file:{self.key}"}}'
        (self.folder / "holdfast.yaml").write_text(
            "version: 1\nrepositories:\n"
            f"  main: {{url: s3://primary/repo, profile: here, site: here, {unlock}}}\n"
            f"  offsite: {{url: s3://{self.bucket}/repo, profile: there, site: there, offsite: true, replica_of: main, {unlock}}}\n"
            f"sources:\n  tree: {{kind: files, paths: [{self.tree}]}}\n"
            f"service: {{ledger: \"sqlite:{self.folder}/ledger.db\"}}\n"
            "jobs:\n  nightly: {sources: [tree], copies: [offsite]}\n")
        self.holdfast("-r", "main", "init")
        self.holdfast("-r", "offsite", "init", "--like", "main")

    def assert_restored(self, *args):
        out = self.folder / f"out-{len(list(self.folder.iterdir()))}"
        done = self.holdfast("restore", *args, "--to", out)
        self.assertEqual(contents(out), contents(self.tree))
        return done

    def test_one_run_reads_here_and_writes_there_and_the_copy_is_enough(self):
        self.holdfast("run", "nightly")
        damaged = max(key for key in minio.keys(self.bucket, "repo/data/"))
        minio.overwrite(self.bucket, damaged, noise("damage", 5000))
        self.holdfast("-r", "offsite", "check", "--read-data", code=13)
        self.holdfast("-r", "offsite", "repair", "--from", "main", "--read-data", "--dry-run")
        self.holdfast("-r", "offsite", "check", "--read-data", code=13)
        done = self.holdfast("-r", "offsite", "repair", "--from", "main", "--read-data", "--json").document()
        self.assertEqual((done["packs"], done["failed"]), ([damaged.removeprefix("repo/")], []))
        self.holdfast("-r", "offsite", "check", "--read-data")
        whole = minio.read(self.bucket, damaged)
        for server, bucket in ((self.here, "primary"), (minio, self.bucket)):
            server.overwrite(bucket, damaged, noise("damage", 5000))
        self.fails(13, "-r", "offsite", "repair", "--from", "main", "--read-data", says="1 pack could not be repaired")
        self.assertEqual(minio.read(self.bucket, damaged), noise("damage", 5000))  # what is not had elsewhere stays
        self.here.overwrite("primary", damaged, whole)
        minio.request("DELETE", f"/{self.bucket}/{damaged}")
        row, = self.holdfast("report", "inventory", "--json").document()["sources"]
        self.assertEqual([row["copies"], row["offsite"], row["errors"]], [2, 0, 1], row)
        self.assertIn("offsite lacks a part of the newest snapshot", row["shortfalls"])
        self.holdfast("-r", "main", "copy", "--to", "offsite")
        self.holdfast("-r", "offsite", "check", "--read-data")
        row, = self.holdfast("report", "inventory", "--json").document()["sources"]
        self.assertEqual([row["copies"], row["offsite"], row["errors"]], [3, 1, 0], row)
        self.here.stop()
        self.assert_restored(f"latest:{self.tree}", "--source", "tree", "--from", "offsite")

    def test_a_profile_that_has_no_key_is_told(self):
        (self.home / ".aws/credentials").write_text(minio.profile("there"))
        self.fails(12, "-r", "main", "snapshots", says="the profile here has no access key", hints="aws_access_key_id")


class Versions(Case):
    number = 0

    def setUp(self):
        super().setUp()
        Versions.number += 1
        self.bucket = f"versions-{Versions.number}"
        minio.make_bucket(self.bucket)
        minio.keep_versions(self.bucket)
        self.environment.update(minio.environment())
        self.environment["HOLDFAST_REPO"] = f"s3://{self.bucket}/repo"
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        self.init()
        self.back_up(1)

    def back_up(self, seed):
        fill_tree(self.tree, seed)
        self.contents = contents(self.tree)
        return self.backup(f"files:{self.tree}", "--name", "uploads")[0]["snapshot"]

    def assert_restores(self, snapshot, *args):
        out = self.folder / f"out-{len(list(self.folder.iterdir()))}"
        self.holdfast(*args, "restore", f"{snapshot}:{self.tree}", "--to", out)
        self.assertEqual(contents(out), self.contents)

    def test_the_whole_way(self):
        newest = self.back_up(2)
        replica = f"s3://{self.bucket}-far/replica"
        minio.make_bucket(f"{self.bucket}-far")
        minio.keep_versions(f"{self.bucket}-far")
        self.holdfast("-r", replica, "init", "--like", f"s3://{self.bucket}/repo")
        self.holdfast("copy", "--to", replica)
        self.holdfast("forget", "--keep-last", "1", "--yes")
        self.holdfast("prune")
        self.back_up(1)  # what was removed comes again
        newest = self.back_up(2)
        self.holdfast("copy", "--to", replica)
        for place in ([], ["-r", replica]):
            self.assert_restores(newest, *place)
            summary = self.holdfast(*place, "check", "--read-data", "--json").lines()[-1]
            self.assertEqual((summary["errors"], summary["not_tested"]), ([], []))
        found = {each["check"]: each for each in self.holdfast("doctor", "--json", code=3).document()["repositories"][0]["findings"]}
        self.assertIn("old version", found["versioning"]["text"])
        self.assertIn("NoncurrentVersionExpiration", found["lifecycle"]["fix"])

    def test_what_was_written_over_is_told(self):
        keys = minio.keys(self.bucket, "repo/")
        victims = [max(key for key in keys if key.startswith(f"repo/{kind}/")) for kind in ("data", "state")]
        same = max(key for key in keys if key.startswith("repo/meta/"))
        minio.overwrite(self.bucket, same, minio.read(self.bucket, same))  # the same bytes do no harm
        whole = {key: minio.read(self.bucket, key) for key in victims}
        for key in victims:
            minio.overwrite(self.bucket, key, whole[key][:-1] + bytes([whole[key][-1] ^ 1]))
        errors = {each["object"]: each for each in self.check(code=13)["errors"]}
        for key in victims:
            self.assertIn(key.removeprefix("repo/"), errors)
        pack = errors[victims[0].removeprefix("repo/")]  # its length is as before: nothing else shows it
        self.assertEqual(pack["kind"], "replaced")
        self.assertIn("1 of its 2 versions", pack["effect"])
        self.assertIn("what is read now is one of them", pack["effect"])
        self.assertIn("the truth is the oldest version", pack["effect"])
        for key in victims:
            minio.overwrite(self.bucket, key, whole[key])
        errors = self.check("--read-data", code=13)["errors"]  # it is whole again, and still somebody was there
        self.assertEqual({(each["object"], each["kind"]) for each in errors},
                         {(key.removeprefix("repo/"), "replaced") for key in victims})
        self.assertIn("what is read now is what came first", errors[0]["effect"])

    def test_a_wrong_certificate_is_refused(self):
        stranger = Authority(self.folder / "stranger", "somebody else")
        elsewhere = Minio(tls=True, certified_for="127.0.0.2")
        self.addCleanup(elsewhere.stop)
        elsewhere.make_bucket("b")
        for env in ({"AWS_CA_BUNDLE": str(stranger.certificate)}, {"AWS_CA_BUNDLE": None},
                    {**elsewhere.environment(), "HOLDFAST_REPO": "s3://b/repo"}):
            self.fails(17, "snapshots", env=env, says="certificate")
            self.fails(17, "init", env={**env, "HOLDFAST_REPO": f"s3://{self.bucket}/other"}, says="certificate")
        self.assertEqual(minio.keys(self.bucket, "other"), [])
        both = self.folder / "both"
        both.write_bytes(stranger.certificate.read_bytes() + minio.authority.certificate.read_bytes())
        self.holdfast("snapshots", env={"AWS_CA_BUNDLE": str(both)})


if __name__ == "__main__":
    main()
