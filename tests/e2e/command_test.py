"""What a command prints is a backup: kept only when the command succeeded, given back byte for byte."""

import sys

from harness import Case, main, noise

PRINT = "import sys; sys.stdout.buffer.write"


class Command(Case):
    def setUp(self):
        super().setUp()
        self.init()

    def python(self, code):
        return [sys.executable, "-c", code]

    def test_output_is_stored_and_given_back(self):
        text = noise("dump", 20_000_000)
        (self.folder / "dump").write_bytes(text)
        lines = self.backup("command:orders.sql", "--", "cat", self.folder / "dump")
        self.assertEqual(lines[0]["bytes"]["logical"], len(text))
        self.assertTrue(lines[0]["source"].startswith("command:orders.sql"), lines)
        self.assertEqual(self.holdfast("dump", "latest").out, text)
        self.assertEqual(self.holdfast("dump", "latest:orders.sql").out, text)
        out = self.folder / "out"
        self.restore("latest", out)
        self.assertEqual((out / "orders.sql").read_bytes(), text)

        changed = text[:10_000_000] + b"inserted" + text[10_000_000:]
        (self.folder / "dump").write_bytes(changed)
        second = self.backup("command:orders.sql", "--", "cat", self.folder / "dump")[0]
        self.assertLess(second["bytes"]["added"], 9_000_000, "what did not change is found again behind an insertion")
        self.assertEqual(self.holdfast("dump", "latest").out, changed)
        self.assertEqual(self.holdfast("dump", lines[0]["snapshot"]).out, text)
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_standard_input_is_stored(self):
        text = noise("stdin", 3_000_000)
        self.backup("command:from-stdin", "-", input=text)
        self.assertEqual(self.holdfast("dump", "latest").out, text)

    def test_a_command_that_fails_leaves_no_snapshot(self):
        for arguments, says in ((self.python(f"{PRINT}(b'half'); sys.exit(7)"), "7"),
                                (self.python(f"{PRINT}(b'x' * 3000000); sys.stderr.write('the reason why'); sys.exit(1)"), "the reason why"),
                                (self.python("import os; os.kill(os.getpid(), 9)"), "9"),
                                (["/no/such/program"], "/no/such/program")):
            self.fails(15, "backup", "command:bad", "--", *arguments, says=says)
            self.assertEqual(self.snapshots(), [])
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_command_that_hangs_is_ended(self):
        code = f"{PRINT}(b'begun'); sys.stdout.flush(); import time; time.sleep(1000)"
        result = self.fails(15, "backup", "command:hangs", "--timeout", "1s", "--", *self.python(code), says="longer than 1")
        self.assertLess(result.seconds, 60)
        self.assertEqual(self.snapshots(), [])

    def test_a_command_that_prints_nothing_is_refused_unless_allowed(self):
        self.fails(15, "backup", "command:empty", "--", "true", hints="--allow-empty")
        self.assertEqual(self.snapshots(), [])
        self.backup("command:empty", "--allow-empty", "--", "true")
        self.assertEqual(self.holdfast("dump", "latest").out, b"")

    def test_the_command_does_not_see_the_passphrase(self):
        code = f"import os; {PRINT}(repr({{k: v for k, v in os.environ.items() if k.startswith('HOLDFAST')}}).encode())"
        self.environment.pop("HOLDFAST_KEY_FILE")
        self.environment["HOLDFAST_REPO"] = str(self.folder / "other")
        for variable, value in (("HOLDFAST_PASSWORD", "secret-words"),):
            self.holdfast("init", env={variable: value})
            self.holdfast("backup", "command:env", "--", *self.python(code), env={variable: value})
            self.assertNotIn(b"secret-words", self.holdfast("dump", "latest", env={variable: value}).out)

    def test_its_item_has_the_name_that_was_given(self):
        self.backup("command:compose.yaml", "--name", "compose", "--", "echo", "services: {}")
        self.assertEqual(self.holdfast("dump", "latest", "--source", "compose").out, b"services: {}\n")
        items = self.holdfast("ls", "latest", "--json").text
        self.assertIn("compose.yaml", items)

    def test_a_configured_command_runs(self):
        (self.folder / "holdfast.yaml").write_text(
            f"version: 1\nrepositories:\n  main: {{url: {self.repo}, unlock: {{keyfile: 'file:{self.key}'}}}}\n"
            "sources:\n  hello: {kind: command, run: [echo, hello]}\n  bad: {kind: command, run: ['false']}\n")
        env = {"HOLDFAST_REPO": None, "HOLDFAST_KEY_FILE": None}
        self.holdfast("backup", "hello", env=env)
        self.assertEqual(self.holdfast("dump", "hello", env=env).out, b"hello\n")
        self.holdfast("backup", "--all", env=env, code=15)
        self.assertEqual(len(self.snapshots()), 2, "one that fails does not keep the others back")


if __name__ == "__main__":
    main()
