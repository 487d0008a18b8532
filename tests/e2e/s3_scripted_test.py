"""Buckets as MinIO does not play them: a scripted server (tests/servers/scripted_s3.py)."""

import pathlib
import sys

from harness import Case, main, noise

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

from scripted_s3 import Refusal, ScriptedS3  # noqa: E402


class Scripted(Case):
    def setUp(self):
        super().setUp()
        self.s3 = ScriptedS3()
        self.addCleanup(self.s3.close)
        self.environment.update(self.s3.environment())
        self.environment["HOLDFAST_REPO"] = "s3://bucket/repo"
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        for i in range(4):
            (self.tree / str(i)).write_bytes(noise(i, 120_000))

    def configure(self, settings):
        """The repository by its name in a configuration instead of by its URL."""
        (self.folder / "holdfast.yaml").write_text(
            "version: 1\nrepositories:\n  main: {url: \"s3://bucket/repo\", endpoint: \"%s\", region: eu-west-1,\n"
            "         unlock: {keyfile: \"file:%s\"}, %s}\n" % (self.s3.endpoint, self.key, settings))
        for name in ("HOLDFAST_REPO", "HOLDFAST_KEY_FILE", "AWS_ENDPOINT_URL"):
            self.environment.pop(name, None)

    def puts(self):
        return [(key.removeprefix("repo/"), headers) for action, key, headers in self.s3.requests if action == "s3:PutObject"]


class Settings(Scripted):
    def test_encryption_goes_with_every_object_and_the_storage_class_with_contents_only(self):
        self.configure("encryption: aws:kms, kms_key: alias/backups, storage_class: STANDARD_IA")
        self.init()
        self.backup(f"files:{self.tree}")
        self.holdfast("prune")
        kinds = {key.split("/")[0] for key, _ in self.puts()}
        self.assertLessEqual({"config", "keys", "log", "data", "meta", "state", "index", "notes"}, kinds)
        for key, headers in self.puts():
            self.assertEqual(headers.get("x-amz-server-side-encryption"), "aws:kms", key)
            self.assertEqual(headers.get("x-amz-server-side-encryption-aws-kms-key-id"), "alias/backups", key)
            self.assertEqual(headers.get("x-amz-storage-class"), "STANDARD_IA" if key.startswith("data/") else None, key)
            # What is not signed could be taken off on the way.
            signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
            self.assertIn("x-amz-server-side-encryption", signed)
            self.assertIn("if-none-match", signed)
        shown = self.holdfast("config", "show", "--json").document()["repositories"]["main"]
        self.assertEqual((shown["encryption"], shown["kms_key"], shown["storage_class"]),
                         ("aws:kms", "alias/backups", "STANDARD_IA"))
        out = self.folder / "out"
        self.holdfast("restore", f"latest:{self.tree}", "--to", out)
        self.assertEqual(len(list(out.iterdir())), 4)

    def test_without_settings_the_bucket_decides(self):
        self.init()
        self.backup(f"files:{self.tree}")
        for key, headers in self.puts():
            self.assertFalse([name for name in headers if "encryption" in name or "storage" in name], key)

    def test_what_cannot_be_meant_is_refused(self):
        for settings, says in (("encryption: rot13", "no store knows `rot13`"),
                               ("kms_key: x", "goes with `encryption: aws:kms`"),
                               ("encryption: AES256, kms_key: x", "goes with `encryption: aws:kms`"),
                               ("storage_class: GLACIER", "read after hours only")):
            self.configure(settings)
            self.fails(2, "config", "check", says=says)
        (self.folder / "holdfast.yaml").write_text(
            "version: 1\nrepositories:\n  main: {url: /backups, storage_class: STANDARD_IA}\n")
        self.fails(2, "config", "check", says="are for buckets")

    def test_a_key_service_that_refuses_is_told(self):
        self.configure("encryption: aws:kms, kms_key: gone")

        def refuse(action, key, headers):
            if action == "s3:PutObject":
                raise Refusal(400, "KMS.NotFoundException", "Key 'gone' does not exist")

        self.s3.before = refuse
        self.fails(12, "init", says=["KMS.NotFoundException", "Key 'gone' does not exist"], hints="kms_key")


if __name__ == "__main__":
    main()
