"""Keys with a part of the rights: what each can do, and what a thief of it cannot."""

import shutil

from harness import Case, contents, main, noise


class Roles(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        for i in range(20):
            (self.tree / f"{i:02}").write_bytes(noise(i, 150_000))
        self.writer = self.machine("writer", "--source", "uploads")
        self.other = self.machine("writer", label="other")
        self.reader = self.machine("reader")
        self.maintainer = self.machine("maintainer")

    def machine(self, role, *args, label=None):
        path = self.folder / f"{label or role}.key"
        self.holdfast("key", "generate", path)
        self.holdfast("key", "add", "--role", role, "--label", label or role, "--new-key-file", path, *args)
        # A machine of its own, with nothing but this key.
        home = self.folder / f"home-{label or role}"
        home.mkdir()
        return {"HOLDFAST_KEY_FILE": str(path), "HOLDFAST_PASSWORD": None, "HOME": str(home)}

    def upload(self, env, *args, name="uploads"):
        return self.backup(f"files:{self.tree}", "--name", name, *args, env=env)[0]

    def test_the_list_says_who_may_what(self):
        keys = self.holdfast("key", "list", "--json").document()["keys"]
        self.assertEqual(sorted(each["role"] for each in keys), ["full", "maintainer", "reader", "writer", "writer"])
        self.assertIn(["uploads"], [each["sources"] for each in keys])
        self.fails(2, "key", "add", "--role", "king", says="--role is one of writer, reader, maintainer, full, not `king`")
        self.fails(2, "key", "add", "--role", "reader", "--source", "x", says="for the role writer")

    def test_a_writer_backs_up_and_reads_nothing_back(self):
        first = self.upload(self.writer)
        self.fails(12, "restore", "latest", "--to", self.folder / "stolen", says="may not", hints="reader",
                   env=self.writer)
        self.assertEqual([p for p in (self.folder / "stolen").rglob("*") if p.is_file()]
                         if (self.folder / "stolen").exists() else [], [])
        self.fails(12, "dump", f"latest:{self.tree}/00", env=self.writer, says="may not")
        self.fails(12, "forget", first["snapshot"], "--allow-last", "--yes", env=self.writer, says="may not forget")
        self.fails(12, "prune", env=self.writer, says="may not prune")
        self.fails(12, "key", "add", env={**self.writer, "HOLDFAST_NEW_PASSWORD": "x"}, says="may not add keys")
        self.fails(12, "backup", f"files:{self.tree}", "--name", "orders", env=self.writer, says="may not back up orders",
                   hints="uploads")
        self.fails(12, "follow", "redis://127.0.0.1:1", "--name", "orders", "--once", env=self.writer,
                   says="may not follow orders", hints="uploads")
        self.fails(12, "follow", "redis://127.0.0.1:1", "--name", "orders", "--once", env=self.reader, says="may not follow")
        out = self.folder / "out"
        self.holdfast("restore", f"latest:{self.tree}", "--to", out, env=self.reader)
        self.assertEqual(contents(out), contents(self.tree))
        self.holdfast("check", "--read-data")

    def test_a_credential_opens_its_own_repository_and_no_other_in_its_place(self):
        file = self.folder / "writer.cred"
        self.holdfast("key", "add", "--role", "writer", "--label", "web1", "--new-credential", file)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.fails(1, "key", "add", "--new-credential", file, says="cannot create")
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
repositories: {{main: {{url: repo, unlock: {{credential: "file:writer.cred"}}}}}}
sources: {{uploads: {{kind: files, paths: [{self.tree}]}}}}
""")
        alone = {"HOLDFAST_KEY_FILE": None, "HOLDFAST_REPO": None}
        self.backup("-c", config, "uploads", env=alone)
        self.fails(12, "-c", config, "restore", "latest", "--to", self.folder / "out", env=alone, says="may not")
        # As a key file it does, too; for a repository that it is not of it is told apart from a wrong key.
        self.holdfast("snapshots", env={"HOLDFAST_KEY_FILE": file})
        other = {"HOLDFAST_REPO": self.folder / "other"}
        self.fails(2, "init", env={**other, "HOLDFAST_KEY_FILE": file}, says="a credential of another repository")
        self.holdfast("init", env=other)
        self.fails(12, "snapshots", env={**other, "HOLDFAST_KEY_FILE": file}, says="this credential is of another repository",
                   hints="somebody has put another repository in its place")
        # A replica is its origin's like.
        replica = {"HOLDFAST_REPO": self.folder / "replica"}
        self.holdfast("init", "--like", self.repo, env=replica)
        self.holdfast("copy", "--to", self.folder / "replica")
        self.holdfast("snapshots", env={**replica, "HOLDFAST_KEY_FILE": file})
        whole = file.read_text()
        for damaged in (whole[:-20], whole.replace("repository ", "repository 00"), whole.replace("slot ", "slat "),
                        whole.replace("\nkey ", "\nkay ")):
            file.write_text(damaged)
            self.fails(2, "-c", config, "snapshots", env=alone, says="the credential file is cut or changed", hints="--new-credential")
        file.write_bytes(self.key.read_bytes())
        self.fails(2, "-c", config, "snapshots", env=alone, says="is no credential file", hints="write `keyfile`")

    def test_a_writer_without_any_cache_reads_only_what_changed(self):
        self.upload(self.writer)
        shutil.rmtree(self.writer["HOME"])
        (self.folder / "home-writer").mkdir()
        (self.tree / "00").write_bytes(noise(99, 150_000))
        second = self.upload(self.writer)
        self.assertLess(second["bytes"]["read"], 200_000)
        self.assertEqual(second["items"]["new"], 0)

    def test_one_writer_sees_nothing_of_another(self):
        self.upload(self.writer)
        self.upload(self.other, name="secret-plans")
        seen = self.holdfast("snapshots", "--json", env=self.writer).document()["snapshots"]
        self.assertEqual([each["source"] for each in seen], ["uploads"])
        self.assertEqual(len(self.holdfast("snapshots", "--json").document()["snapshots"]), 2)

    def test_a_maintainer_gives_space_back_and_reads_nothing(self):
        self.upload(self.writer)
        for i in range(15):
            (self.tree / f"{i:02}").write_bytes(noise((2, i), 150_000))
        self.upload(self.writer)
        kept = contents(self.tree)
        self.fails(12, "restore", "latest", "--to", self.folder / "stolen", env=self.maintainer, says="may not")
        self.fails(12, "backup", f"files:{self.tree}", env=self.maintainer, says="may not back up")
        self.holdfast("attest", env=self.reader)  # what nobody vouches for is not moved
        self.holdfast("forget", "--keep-last", "1", "--yes", env=self.maintainer)
        freed = self.holdfast("prune", "--json", env=self.maintainer).document()["bytes"]["freed"]
        self.assertGreater(freed, 1_500_000)
        out = self.folder / "out"
        self.holdfast("restore", f"latest:{self.tree}", "--to", out, env=self.reader)
        self.assertEqual(contents(out), kept)
        # What the maintainer moved, the writer believes once a reader has looked at it; then it goes on where it was.
        self.holdfast("attest", env=self.reader)
        third = self.upload(self.writer)
        self.assertEqual(third["bytes"]["read"], 0)
        self.holdfast("check", "--read-data")

    def test_writers_share_what_a_reader_has_attested(self):
        self.upload(self.writer)
        unshared = self.upload(self.other, "--dry-run", name="same")
        self.assertGreater(unshared["bytes"]["added"], 2_500_000)
        self.fails(12, "attest", env=self.other, says="may not attest")
        report = self.holdfast("attest", "--json", env=self.reader).document()
        self.assertGreaterEqual(report["attested"], 1)
        self.assertEqual(report["refused"], [])
        shared = self.upload(self.other, name="same")
        self.assertLess(shared["bytes"]["added"], 100_000)
        self.assertEqual(self.holdfast("attest", "--json", env=self.reader).document()["refused"], [])
        out = self.folder / "out"
        self.holdfast("restore", f"latest:{self.tree}", "--source", "same", "--to", out, env=self.reader)
        self.assertEqual(len(list(out.iterdir())), 20)
        self.holdfast("check", "--read-data")

    def test_domains_share_nothing_and_are_restored_alike(self):
        pay = self.machine("writer", "--domain", "payroll", label="pay")
        self.fails(2, "key", "add", "--role", "reader", "--domain", "payroll", "--new-key-file", self.reader["HOLDFAST_KEY_FILE"],
                   says="stores no chunks")
        domains = {key["label"]: key["domain"] for key in self.holdfast("key", "list", "--json").document()["keys"]}
        self.assertEqual((domains["pay"], domains["writer"]), ("payroll", "default"))

        def added(*args, name, env=None):
            snapshot = self.upload(env, *args, name=name)
            snapshots.append(snapshot["snapshot"])
            return snapshot["bytes"]["added"]

        snapshots, most = [], 3_000_000
        self.assertGreater(added(name="plain"), most)
        self.assertGreater(added(name="apart", env=pay), most)
        self.assertLess(added(name="plain again"), most / 100)
        self.assertGreater(added("--domain", "payroll", name="chosen"), most)
        self.assertLess(added("--domain", "payroll", name="chosen again"), most / 100)
        self.fails(1, "backup", f"files:{self.tree}", "--domain", "payrol", says="no key of the repository", hints="key add")
        self.fails(12, "backup", f"files:{self.tree}", "--domain", "default", env=pay, says="stores in the domain payroll")
        for snapshot in snapshots:
            out = self.folder / snapshot
            self.holdfast("restore", f"{snapshot}:{self.tree}", "--to", out, env=self.reader)
            self.assertEqual(contents(out), contents(self.tree))
        self.holdfast("check", "--read-data")
        config = self.folder / "domains.yaml"
        config.write_text(f"version: 1\nsources:\n  tree: {{kind: files, paths: [{self.tree}], domain: payroll}}\n")
        self.assertLess(self.backup("tree", "--config", config)[0]["bytes"]["added"], most / 100)

    def test_a_reader_changes_nothing_but_its_own_key(self):
        self.upload(self.writer)
        self.fails(12, "backup", f"files:{self.tree}", env=self.reader, says="may not back up")
        self.fails(12, "forget", "--keep-last", "1", "--yes", env=self.reader, says="may not forget")
        self.fails(12, "prune", env=self.reader, says="may not prune")
        new = self.folder / "new.key"
        self.holdfast("key", "generate", new)
        self.holdfast("key", "change", "--new-key-file", new, env=self.reader)
        self.holdfast("restore", "latest", "--to", self.folder / "out", env={**self.reader, "HOLDFAST_KEY_FILE": str(new)})


if __name__ == "__main__":
    main()
