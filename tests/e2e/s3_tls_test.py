"""Buckets with versions, over TLS with an authority of one's own: the whole way, what was written over, wrong certificates."""

import atexit

from harness import Case, contents, fill_tree, main, noise
from s3 import Authority, Minio

minio = Minio(tls=True)
atexit.register(minio.stop)


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
