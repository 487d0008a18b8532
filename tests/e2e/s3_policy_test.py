"""`deploy s3-policy`: each role does its work with the policy that is printed for it, and nothing else."""

import atexit
import json
import shutil

from harness import Case, contents, main, noise
from s3 import PASSWORD, USER, Minio
from s3_policy import assume, enforce
from scripted_s3 import Refusal, ScriptedS3

minio = Minio()
atexit.register(minio.stop)


class Roles:
    """A repository with a key for each role; `hold_to(policy)` gives the environment in which a policy counts."""

    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        self.change(1)
        self.make_store()
        self.init()
        self.machines = {role: self.machine(role) for role in ("writer", "reader", "maintainer")}
        self.machines["full"] = {}
        self.id_of = {each["label"]: each["id"] for each in self.holdfast("key", "list", "--json").document()["keys"]}

    def change(self, seed):
        for i in range(12):
            (self.tree / str(i)).write_bytes(noise((seed, i), 150_000))

    def machine(self, role):
        path, home = self.folder / f"{role}.key", self.folder / f"home-{role}"
        self.holdfast("key", "generate", path)
        self.holdfast("key", "add", "--role", role, "--label", role, "--new-key-file", path)
        home.mkdir()
        return {"HOLDFAST_KEY_FILE": str(path), "HOME": str(home)}

    def policy(self, role, *args):
        return self.holdfast("deploy", "s3-policy", "--role", role, "--bucket", self.bucket, "--prefix", "p/repo",
                             *self.dialect, *args, "--json").document()["policy"]

    def as_role(self, role, *args):
        return {**self.machines[role], **self.hold_to(self.policy(role, *args))}

    def upload(self, env):
        return self.backup(f"files:{self.tree}", "--name", "uploads", env=env)[0]

    def test_each_role_does_its_work(self):
        writer = lambda: self.as_role("writer", "--key", self.id_of["writer"])  # noqa: E731
        first = self.upload(writer())
        shutil.rmtree(self.machines["writer"]["HOME"])  # also without any cache
        (self.folder / "home-writer").mkdir()
        self.assertEqual(self.upload(writer())["bytes"]["read"], 0)
        self.change(2)
        self.upload(writer())
        self.holdfast("snapshots", env=writer())
        self.holdfast("attest", env=self.as_role("reader"))
        self.holdfast("restore", f"{first['snapshot']}:{self.tree}", "--to", self.folder / "first", env=self.as_role("reader"))
        self.holdfast("check", "--read-data", env=self.as_role("reader"))
        self.holdfast("forget", "--keep-last", "1", "--yes", env=self.as_role("maintainer"))
        freed = self.holdfast("prune", "--json", env=self.as_role("maintainer")).document()["bytes"]["freed"]
        self.assertGreater(freed, 1_500_000)
        full = self.as_role("full")
        self.backup(f"files:{self.tree}", "--name", "own", env=full)
        self.holdfast("key", "add", "--label", "one more", env={**full, "HOLDFAST_NEW_PASSWORD": "one more"})
        self.holdfast("prune", env=full)
        self.holdfast("check", "--read-data", env=full)
        out = self.folder / "out"
        self.holdfast("restore", f"latest:{self.tree}", "--source", "uploads", "--to", out, env=self.as_role("reader"))
        self.assertEqual(contents(out), contents(self.tree))

    def test_the_store_refuses_what_the_role_has_not(self):
        """With the full key, so that nobody but the store says no."""
        first = self.upload(self.as_role("full"))["snapshot"]
        as_writer = self.hold_to(self.policy("writer"))
        self.fails(12, "restore", first, "--to", self.folder / "stolen", env=as_writer, says="s3:GetObject")
        stolen = [p for p in (self.folder / "stolen").rglob("*") if p.is_file() and p.name != ".holdfast-restore"]
        self.assertEqual(stolen, [])
        self.change(3)
        self.upload(self.as_role("full"))
        self.holdfast("forget", first, "--yes")
        objects = self.count("data/")
        for role in ("writer", "reader", "replicator"):
            result = self.run_program("prune", env=self.hold_to(self.policy(role)))
            self.assertEqual(result.code, 12, str(result))
        self.assertEqual(self.count("data/"), objects)
        self.fails(12, "backup", f"files:{self.tree}", env=self.hold_to(self.policy("reader")), says="s3:PutObject")
        self.holdfast("check", "--read-data")

    def test_a_writer_stays_out_of_the_logs_of_others(self):
        stranger = self.policy("writer", "--key", "0123456789ab")
        self.fails(12, "backup", f"files:{self.tree}", env={**self.machines["writer"], **self.hold_to(stranger)},
                   says="s3:PutObject of p/repo/log/")


class OnMinio(Roles, Case):
    """Without the condition about overwriting, which MinIO's policies do not know."""

    number = 0
    dialect = ["--minio"]

    def make_store(self):
        OnMinio.number += 1
        self.bucket = f"roles-{OnMinio.number}"
        minio.make_bucket(self.bucket)
        self.environment.update(minio.environment())
        self.environment["HOLDFAST_REPO"] = f"s3://{self.bucket}/p/repo"

    def hold_to(self, policy):
        return assume(minio, USER, PASSWORD, policy)

    def count(self, prefix):
        return len(list((minio.folder / "data" / self.bucket / "p/repo" / prefix).iterdir()))


class Evaluated(Roles, Case):
    """All of the policy, as Amazon documents it, by the evaluator before a scripted server."""

    dialect = []

    def make_store(self):
        self.s3 = ScriptedS3()
        self.addCleanup(self.s3.close)
        self.bucket = self.s3.bucket
        self.environment.update(self.s3.environment())
        self.environment["HOLDFAST_REPO"] = "s3://bucket/p/repo"
        self.nothing, self.policies = self.s3.before, []

    def hold_to(self, policy):
        self.policies.append(policy)
        return {"POLICY_OF_THIS_TEST": str(len(self.policies) - 1)}

    def run_program(self, *args, env=None, **options):
        held = (env or {}).get("POLICY_OF_THIS_TEST")
        if held is None:
            self.s3.before = self.nothing
        else:
            enforce(self.s3, self.policies[int(held)])
        return super().run_program(*args, env=env, **options)

    def count(self, prefix):
        return len([key for key in self.s3.objects if key.startswith("p/repo/" + prefix)])

    def test_nobody_overwrites(self):
        self.upload(self.as_role("full"))
        more = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}  # as another policy of the same account may say
        for role in ("writer", "reader", "maintainer", "full", "replicator"):
            policy = self.policy(role)
            enforce(self.s3, {"Statement": [*policy["Statement"], more]})
            for key in list(self.s3.objects):
                with self.assertRaises(Refusal):
                    self.s3.handle("PUT", self.bucket, key, {}, {}, b"other bytes")
            enforce(self.s3, policy)
            for key in list(self.s3.objects):
                for headers in ({}, {"if-none-match": "*"}):
                    with self.assertRaises(Refusal):
                        self.s3.handle("PUT", self.bucket, key, {}, headers, b"other bytes")
            with self.assertRaises(Refusal):
                self.s3.handle("DELETE", self.bucket, "p/repo/config", {}, {}, b"")
            with self.assertRaises(Refusal):
                self.s3.handle("GET", self.bucket, "p/others", {}, {}, b"")

    def test_a_reply_that_was_lost_is_settled_without_the_right_to_read_contents(self):
        lost = []
        handle = self.s3.handle

        def lose(method, bucket, key, query, headers, body):
            answer = handle(method, bucket, key, query, headers, body)
            if method == "PUT" and key.startswith("p/repo/data/") and key not in lost:
                lost.append(key)
                raise Refusal(503, "SlowDown")
            return answer

        self.s3.handle = lose
        self.upload(self.as_role("writer"))
        self.assertTrue(lost)
        self.holdfast("check", "--read-data")

    def test_what_is_no_role_or_bucket_is_refused(self):
        self.fails(2, "deploy", "s3-policy", "--role", "king", "--bucket", "backups", says="--role is one of writer, reader, maintainer, full, replicator, not `king`")
        self.fails(2, "deploy", "s3-policy", "--role", "reader", "--bucket", "b/c", says="no name of a bucket")
        self.fails(2, "deploy", "s3-policy", "--role", "reader", "--bucket", "backups", "--key", "0123456789ab", says="writer")
        bucket_policy = json.loads(self.holdfast("deploy", "s3-policy", "--role", "full", "--bucket", "backups", "--principal",
                                                 "arn:aws:iam::1:role/x", "--kms-key", "arn:aws:kms:x").text)
        for statement in bucket_policy["Statement"]:
            self.assertEqual(statement["Principal"],
                             {"AWS": "arn:aws:iam::1:role/x"} if statement["Effect"] == "Allow" else "*")
        self.assertIn("kms:Decrypt", json.dumps(bucket_policy))


if __name__ == "__main__":
    main()
