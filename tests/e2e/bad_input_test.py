"""Whatever a user gets wrong is said in words, with a hint and the right exit status, and changes nothing."""

import json
import os
import shutil
import signal
import subprocess

from harness import PROGRAM, Case, main, noise


class Repositories(Case):
    def test_no_repository_there(self):
        self.fails(10, "snapshots", says=["no_repository", str(self.repo)], hints="init")
        self.repo.mkdir()
        self.fails(10, "backup", f"files:{self.home}", says="no repository", hints="init")
        (self.repo / "config").write_bytes(b"not of holdfast")
        self.fails(10, "snapshots", says="not a holdfast repository")
        self.fails(2, "snapshots", env={"HOLDFAST_REPO": None}, says="no repository is named", hints=["-r", "HOLDFAST_REPO"])

    def test_wrong_password(self):
        env = {"HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD": "right"}
        self.holdfast("init", env=env)
        self.holdfast("snapshots", env=env)
        env["HOLDFAST_PASSWORD"] = "wrong"
        self.fails(12, "snapshots", env=env, says=["wrong_key", "passphrase"], hints="trailing newline")
        self.fails(12, "snapshots", says="key file", hints="passphrase")
        self.fails(2, "snapshots", env={"HOLDFAST_KEY_FILE": None}, says="no passphrase or key file", hints="HOLDFAST_PASSWORD")

    def test_password_file_and_key_file(self):
        (self.folder / "pass").write_text("with a newline\n")
        env = {"HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD_FILE": self.folder / "pass"}
        self.holdfast("init", env=env)
        self.holdfast("snapshots", env={"HOLDFAST_KEY_FILE": None, "HOLDFAST_PASSWORD": "with a newline"})
        (self.folder / "short").write_bytes(b"short")
        self.fails(2, "snapshots", "--key-file", self.folder / "short", says="32")
        self.fails(1, "snapshots", "--key-file", self.folder / "none", says="none")

    def test_a_repository_of_a_newer_format(self):
        self.init()
        config = self.repo / "config"
        data = bytearray(config.read_bytes())
        data[8:10] = (99).to_bytes(2, "little")
        os.chmod(config, 0o600)
        config.write_bytes(bytes(data))
        before = {p: p.read_bytes() for p in self.objects()}
        for verb in (["snapshots"], ["backup", f"files:{self.home}"], ["check"], ["prune"]):
            self.fails(10, *verb, says=["newer_format", "format 99"], hints="newer")
        self.assertEqual({p: p.read_bytes() for p in self.objects()}, before)

    def test_init_over_a_repository(self):
        self.init()
        before = {p: p.read_bytes() for p in self.objects()}
        self.fails(1, "init", says="already")
        self.assertEqual({p: p.read_bytes() for p in self.objects()}, before)

    def test_a_store_that_may_not_be_written(self):
        self.init()
        # Root may write everywhere, so the folder is one that nobody can write to.
        self.fails(12 if os.geteuid() else 1, "-r", "/proc/holdfast/repo", "init") if os.geteuid() else self.assertNotEqual(
            self.run_program("-r", "/proc/holdfast/repo", "init").code, 0)


class Selectors(Case):
    def setUp(self):
        super().setUp()
        self.init()
        for name in ("one", "two"):
            (self.folder / name).mkdir()
            (self.folder / name / "file").write_bytes(name.encode())

    def test_unknown_snapshots(self):
        self.fails(1, "restore", "0123abcd", "--to", self.folder / "out", says="0123abcd", hints="holdfast snapshots")
        self.fails(1, "ls", "latest", says="no snapshot")
        self.backup(f"files:{self.folder}/one")
        self.fails(1, "dump", f"latest:{self.folder}/one/none", says="none", hints="find")
        self.fails(1, "forget", "0123abcd", says="0123abcd")

    def test_two_sources_and_no_name(self):
        self.backup(f"files:{self.folder}/one")
        self.backup(f"files:{self.folder}/two")
        for verb in (["restore", "latest", "--to", self.folder / "out"], ["ls", "latest"], ["dump", "latest"]):
            self.fails(2, *verb, says=[f"files:{self.folder}/one", f"files:{self.folder}/two"], hints="--source")
        self.holdfast("ls", "latest", "--source", f"files:{self.folder}/one")

    def test_what_needs_proofs_says_that_there_is_none(self):
        self.backup(f"files:{self.folder}/one")
        self.fails(1, "restore", "good", "--to", self.folder / "out", says="proven", hints="prove")
        self.assertIsNone(self.snapshots()[0]["proof"])

    def test_words_that_are_not_words_of_holdfast(self):
        self.fails(2, "snapshot", says="no verb", hints="snapshots")
        self.fails(2, "backup", "--no-such-option", says="--no-such-option")
        self.fails(2, "restore", "latest", "--too", "x", hints="--to")
        self.fails(2, "restore", "latest", hints="--in-place")
        self.fails(2, "audit", says="does not build it yet")
        self.fails(2, "backup", "kubernetes:prod", says="this version does not build them yet")
        self.fails(2, "backup", "nonsense:/x")
        self.fails(2, "backup", says="source")
        self.fails(2, "check", "--read-data=lots", says="lots")
        self.fails(2, "forget", says="--keep")
        self.fails(2, says="")

    def test_the_last_snapshot_of_a_source_is_protected(self):
        snapshot = self.backup(f"files:{self.folder}/one")[0]["snapshot"]
        self.fails(14, "forget", snapshot, says="last", hints="--allow-last")
        self.assertEqual(len(self.snapshots()), 1)
        self.holdfast("forget", snapshot, "--allow-last")
        self.assertEqual(self.snapshots(), [])


class SourcesAndTargets(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        (self.tree / "file").write_bytes(noise("file", 100_000))

    def test_source_path_missing(self):
        missing = self.folder / "missing"
        self.fails(15, "backup", f"files:{missing}", says=str(missing))
        self.assertEqual(self.snapshots(), [])
        (self.folder / "holdfast.yaml").write_text(
            f"version: 1\nsources:\n  some: {{kind: files, paths: [{self.tree}, {missing}]}}\n  none: {{kind: files, paths: [{missing}]}}\n")
        self.backup("some", code=3)
        self.fails(15, "backup", "none", says=str(missing))
        self.assertEqual(len(self.snapshots()), 1)

    def test_target_not_empty(self):
        self.backup(f"files:{self.tree}")
        out = self.folder / "out"
        out.mkdir()
        (out / "mine").write_bytes(b"mine")
        self.fails(16, "restore", "latest", "--to", out, says="not empty", hints="--in-place")
        self.assertEqual(os.listdir(out), ["mine"])

    def test_target_that_is_a_file_or_cannot_be_written(self):
        self.backup(f"files:{self.tree}")
        (self.folder / "afile").write_bytes(b"mine")
        self.fails(16, "restore", "latest", "--to", self.folder / "afile")
        self.assertEqual((self.folder / "afile").read_bytes(), b"mine")
        self.fails(16, "restore", "latest", "--to", "/proc/none/here")

    def test_two_restores_into_one_target(self):
        self.backup(f"files:{self.tree}")
        out = self.folder / "out"
        self.restore("latest", out)
        self.fails(16, "restore", "latest", "--to", out)

    def test_dump_of_what_has_no_bytes(self):
        self.backup(f"files:{self.tree}")
        self.fails(2, "dump", f"latest:{self.tree}", says="folder")
        (self.tree / "second").write_bytes(b"x")
        self.backup(f"files:{self.tree}")
        self.fails(2, "dump", "latest", says="more than one", hints="SNAPSHOT:PATH")


class Configuration(Case):
    def config(self, text):
        path = self.folder / "holdfast.yaml"
        path.write_text(text)
        return path

    def test_errors_have_file_line_column_and_the_nearest_name(self):
        for text, where, says, hints in (
            ("version: 1\nrepositoris: {}\n", ":2:1", "repositoris", "repositories"),
            ("version: 1\nrepositories:\n  main: {ulr: /x}\n", ":3:10", "ulr", "url"),
            ("version: 1\nrepositories:\n  main: /x\n", ":3:9", "must be a map", "url"),
            ("version: 1\nsources:\n  a: {kind: files, paths: /etc}\n", ":3:", "must be a list", ""),
            ("version: 1\nsources:\n  a: {kind: fils, paths: [/etc]}\n", ":3:", "fils", "files"),
            ("version: 1\nsources:\n  a: {kind: files, paths: [/etc], one_file_sistem: true}\n", ":3:", "one_file_sistem", "one_file_system"),
            ("version: 1\nsources:\n  a: {kind: kubernetes, url: 'x'}\n", ":3:", "does not build it yet", ""),
            ("version: 1\nnotify: {}\n", ":2:1", "does not build it yet", ""),
            ("version: 2\n", ":1:", "version", ""),
            ("repositories: {}\n", "", "version", "version: 1"),
            ("version: 1\nsources: [\n", ":", "YAML", ""),
            ("version: 1\nrepositories:\n  main: {url: /x, unlock: {passphrase: hunter2}}\n", ":3:", "reference", "env:"),
            ("version: 1\nrepositories:\n  main: {url: 's3://key:secret@host/bucket'}\n", ":3:", "password", "reference"),
        ):
            with self.subTest(text=text):
                path = self.config(text)
                result = self.fails(2, "config", "check", says=says, hints=hints) if hints else self.fails(2, "config", "check", says=says)
                self.assertIn(f"{path.name}{where}", result.errors + result.text, str(result))
                self.assertNotIn("hunter2", result.errors + result.text)

    def test_missing_secrets_are_named(self):
        self.config(f"version: 1\nrepositories:\n  main: {{url: {self.repo}, unlock: {{passphrase: 'env:NOT_SET_ANYWHERE'}}}}\n")
        env = {"HOLDFAST_REPO": None, "HOLDFAST_KEY_FILE": None}
        self.fails(2, "init", env=env, says=["NOT_SET_ANYWHERE", "holdfast.yaml:3:"])
        self.config(f"version: 1\nrepositories:\n  main: {{url: {self.repo}, unlock: {{passphrase: 'file:/no/such/file'}}}}\n")
        self.fails(2, "init", env=env, says=["/no/such/file", "holdfast.yaml:3:"])

    def test_names_that_are_not_in_it(self):
        self.config(f"version: 1\nrepositories:\n  main: {{url: {self.repo}}}\nsources:\n  uploads: {{kind: files, paths: [/srv]}}\n")
        self.fails(10, "-r", "mian", "snapshots", says="mian", hints="main")
        self.init()
        self.fails(2, "backup", "uplaods", says="uplaods", hints="uploads")

    def test_a_broken_configuration_that_nobody_named_stops_no_restore(self):
        self.init()
        (self.home / "kept").write_bytes(b"kept")
        snapshot = self.holdfast("backup", f"files:{self.home}", "--json").lines()[-1]["snapshots"][0]
        (self.folder / "holdfast.yaml").write_text("version: 1\nsources: {x: {kind: flies}}\n")
        done = self.holdfast("restore", snapshot, "--to", self.folder / "back")
        self.assertIn("the configuration is not used, as it is broken: ", " ".join(done.errors.split()))
        self.assertTrue(any(path.is_file() for path in (self.folder / "back").rglob("*")))
        self.fails(2, "-c", "holdfast.yaml", "restore", snapshot, "--to", self.folder / "other", says="flies")
        self.fails(2, "forget", "--keep-last", "1", says="flies")  # what protects a snapshot may stand there

    def test_a_configuration_that_is_right_is_used(self):
        self.config(f"version: 1\nrepositories:\n  main: {{url: {self.repo}, unlock: {{keyfile: 'file:{self.key}'}}}}\n"
                    f"sources:\n  home: {{kind: files, paths: [{self.home}], exclude: ['*.tmp']}}\n")
        env = {"HOLDFAST_REPO": None, "HOLDFAST_KEY_FILE": None}
        (self.home / "kept").write_bytes(b"kept")
        (self.home / "left.tmp").write_bytes(b"left")
        self.holdfast("config", "check", env=env)
        self.holdfast("init", env=env)
        self.holdfast("backup", "--all", env=env)
        listing = self.holdfast("ls", "home", env=env).text
        self.assertIn("kept", listing)
        self.assertNotIn("left.tmp", listing)
        self.assertIn("home", self.holdfast("config", "show", env=env).text)
        json.loads(self.holdfast("config", "schema", env=env).text)


class Output(Case):
    def test_json_errors_have_code_message_and_hint(self):
        error = self.holdfast("snapshots", "--json", code=10).error()
        self.assertEqual(error["code"], "no_repository")
        self.assertEqual(error["exit"], 10)
        self.assertIn("init", error["hint"])
        self.assertIsInstance(error["notes"], list)

    def test_a_reader_that_goes_away_ends_a_verb_that_looks(self):
        self.init()
        tree = self.folder / "tree"
        tree.mkdir()
        for i in range(3000):
            (tree / f"a name that is rather long {i}").write_bytes(b"")
        self.backup(f"files:{tree}")
        child = subprocess.Popen([PROGRAM, "ls", "latest"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        child.stdout.read(10)
        child.stdout.close()
        self.assertIn(child.wait(timeout=60), (0, -signal.SIGPIPE))
        self.assertEqual(child.stderr.read(), b"")
        child.stderr.close()

    def test_output_that_cannot_be_written_is_an_error(self):
        self.init()
        with open("/dev/full", "wb") as full:
            child = subprocess.run([PROGRAM, "snapshots", "--json"], stdout=full, stderr=subprocess.PIPE, env=self.environment, check=False)
        self.assertNotEqual(child.returncode, 0)
        self.assertNotEqual(child.stderr, b"")

    def test_a_key_of_another_repository_does_not_open_this_one(self):
        self.init()
        other = self.folder / "other"
        self.holdfast("-r", other, "init")
        shutil.rmtree(self.repo / "keys")
        shutil.copytree(other / "keys", self.repo / "keys")
        self.assertIn(self.run_program("snapshots").code, (12, 13))


if __name__ == "__main__":
    main()
