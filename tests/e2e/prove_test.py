"""A proof passes only what was brought back and compared, says what it could not test, and leaves nothing behind."""

import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import time

import nasty
from harness import POSTGRES_BIN, PROGRAM, Case, main, noise, postgres_server, wait_until


class Prove(Case):
    def setUp(self):
        super().setUp()
        self.sandboxes = self.folder / "sandboxes"
        self.environment["HOLDFAST_SANDBOX"] = str(self.sandboxes)
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        self.init()

    def fill(self, count=20):
        (self.tree / "large").write_bytes(noise("large", 2_500_000))
        (self.tree / "sub").mkdir(exist_ok=True)
        for i in range(count):
            (self.tree / "sub" / str(i)).write_bytes(noise(i, 300 * i))
        with open(self.tree / "sparse", "wb") as file:
            file.write(b"begin")
            file.truncate(3_000_000)
        return self.backup(f"files:{self.tree}")[0]["snapshot"]

    def prove(self, *args, code=0, **options):
        """The summary of a proof."""
        lines = self.holdfast("prove", *args, "--json", code=code, **options).lines()
        self.assertEqual(lines[-1]["type"], "summary")
        self.assertEqual(lines[-1]["schema"], "holdfast.prove/1")
        self.assertEqual(self.left(), [], "a sandbox was left")
        return lines[-1]

    def left(self):
        return [p.name for p in self.sandboxes.iterdir() if p.name != ".lock"] if self.sandboxes.exists() else []

    def assert_proof(self, summary, level, result):
        self.assertEqual((summary["level"], summary["result"]), (level, result), summary)

    def configure(self, text):
        (self.folder / "holdfast.yaml").write_text(text)
        self.environment["HOLDFAST_CONFIG"] = str(self.folder / "holdfast.yaml")

    def configure_source(self, **keys):
        keys = {"kind": "files", "paths": [str(self.tree)], **keys}
        self.configure("version: 1\nsources:\n  uploads: " + json.dumps(keys) + "\n")


class Levels(Prove):
    def test_each_level_can_be_had_and_is_shown(self):
        snapshot = self.fill()
        for level, name in enumerate(("listed", "bytes authenticated", "restored", "content", "bytes")):
            summary = self.prove("--level", f"V{level}")
            self.assert_proof(summary, f"V{level}", "pass")
            self.assertIn(name, [check["name"] for check in summary["checks"]])
        self.assertEqual(summary["snapshot"], snapshot)
        self.assertEqual(summary["basis"], "stream")
        proof = self.snapshots()[0]["proof"]
        self.assertEqual((proof["level"], proof["result"]), ("V4", "pass"))
        self.assertRegex(proof["time"], r"^\d{4}-\d\d-\d\dT.*Z$")
        self.assertIn("V4", self.holdfast("snapshots").text)

    def test_how_long_a_restore_takes_is_forecast_by_what_was_measured(self):
        self.fill()

        def forecast():
            return self.holdfast("restore", "--plan", "--json", env={"HOME": self.folder / "elsewhere"}).document()["recovery"]
        self.prove("--level", "V1")
        self.assertIsNone(forecast())
        self.assertIn("takes     not known", self.holdfast("restore", "--plan").text)
        proof = self.prove("--level", "V3")
        self.assertEqual(forecast()["count"], 1)
        self.assertAlmostEqual(forecast()["worst_seconds"], proof["restore_seconds"], places=2)
        restored = self.holdfast("restore", "--to", self.folder / "all", "--json").lines()[-1]
        self.holdfast("restore", "--include", "**/sub/1", "--to", self.folder / "part")
        found = forecast()
        self.assertEqual(found["count"], 2)
        # All of it counts, also what comes before and after; records have whole milliseconds.
        self.assertGreaterEqual(found["worst_seconds"], max(proof["restore_seconds"],
                                                            restored["seconds"] + restored["verified"]["seconds"]) - 0.001)
        self.assertIn("by 2 restores and proofs of the whole", self.holdfast("restore", "--plan").text)

    def test_a_lower_proof_takes_nothing_from_a_higher_one(self):
        self.fill()
        self.prove()
        self.prove("--level", "1")
        self.assertEqual(self.snapshots()[0]["proof"]["level"], "V4")

    def test_everything_that_files_can_be_is_proven(self):
        self.tree.rmdir()
        nasty.make(self.tree)
        self.backup(f"files:{self.tree}")
        self.assert_proof(self.prove(), "V4", "pass")

    def test_what_a_command_printed_is_proven(self):
        self.holdfast("backup", "command:numbers", "--", "seq", "200000")
        summary = self.prove("--source", "command:numbers")
        self.assert_proof(summary, "V4", "pass")

    def test_words_that_make_no_sense_are_refused(self):
        self.fails(2, "prove", "--level", "V7", says="no level of proof")
        self.fails(2, "prove", "--level", "V5", says="does not build it yet")
        self.fails(1, "prove", says="no snapshots yet")
        self.fill()
        self.fails(2, "prove", "latest:/etc", says="as a whole")

    def test_a_dry_run_restores_and_records_nothing(self):
        self.fill()
        self.assertIn("would prove", self.holdfast("prove", "--dry-run").text)
        plan = self.holdfast("prove", "-n", "--json").lines()[-1]
        self.assertEqual(plan["level"], "V4")
        self.assertIsNone(self.snapshots()[0]["proof"])
        self.assertFalse(self.sandboxes.exists())

    def test_chance_chooses_among_all(self):
        self.fill()
        self.holdfast("backup", "command:x", "--", "echo", "x")
        self.fails(2, "prove", says="2 sources")
        seen = {self.prove("--random")["source"].split(":")[0] for _ in range(30)}
        self.assertEqual(seen, {"files", "command"})


class Damaged(Prove):
    def flip(self, path, at):
        data = bytearray(path.read_bytes())
        data[at % len(data)] ^= 0x10
        os.chmod(path, 0o600)
        path.write_bytes(data)

    def test_a_damaged_tree_fails_at_v0(self):
        self.fill()
        for path in self.objects("meta"):
            self.flip(path, path.stat().st_size // 2)
        summary = self.prove(code=13)
        self.assert_proof(summary, "V0", "fail")
        self.assertEqual(self.snapshots()[0]["proof"]["result"], "fail")
        self.assertIn("V0 FAIL", self.holdfast("snapshots").text)

    def test_a_damaged_chunk_fails_at_v1_also_when_all_was_asked_for(self):
        self.fill()
        for path in self.objects("data"):
            self.flip(path, path.stat().st_size // 2)
        self.assert_proof(self.prove("--level", "V0"), "V0", "pass")
        for args in (("--level", "V1"), ()):
            summary = self.prove(*args, code=13)
            self.assert_proof(summary, "V1", "fail")
            self.assertTrue([check for check in summary["checks"] if check["result"] == "fail"])
        # What saw less does not hide it.
        self.prove("--level", "V0")
        self.assertEqual(self.snapshots()[0]["proof"], self.snapshots()[0]["proof"] | {"level": "V1", "result": "fail"})

    def test_a_missing_pack_fails_at_v1(self):
        self.fill()
        for path in self.objects("data"):
            path.unlink()
        self.assert_proof(self.prove(code=13), "V1", "fail")

    def test_a_sandbox_without_room_says_so_and_records_nothing(self):
        self.fill()
        small = self.folder / "mount"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=False)
        self.fails(18, "prove", "--sandbox", small / "s", says="free", hints="--sandbox")
        self.assertIsNone(self.snapshots()[0]["proof"])

    def test_a_folder_of_somebody_else_is_no_place_for_sandboxes(self):
        self.fill()
        self.sandboxes.mkdir()
        self.sandboxes.chmod(0o777)
        self.fails(12, "prove", says="only this user can write")


class Good(Prove):
    def test_good_is_the_newest_proven_and_latest_says_when_it_is_not(self):
        first = self.fill()
        self.fails(1, "restore", "good", "--to", self.folder / "none", says="proven yet", hints="prove")
        self.prove(first[:12])
        (self.tree / "large").write_bytes(b"changed")
        second = self.backup(f"files:{self.tree}")[0]["snapshot"]
        out = self.holdfast("restore", "latest", "--to", self.folder / "latest")
        self.assertIn(f"is not proven; the newest good one is {first[:8]}", out.errors)
        good = self.restore("good", self.folder / "good").lines()[-1]
        self.assertEqual(good["snapshot"], first)
        self.prove(second, "--level", "V2")
        self.assertEqual(self.restore("good", self.folder / "again").lines()[-1]["snapshot"], first)
        self.prove(second, "--level", "V3")
        self.assertEqual(self.restore("good", self.folder / "third").lines()[-1]["snapshot"], second)
        out = self.holdfast("restore", "latest", "--to", self.folder / "fourth")
        self.assertNotIn("not proven", out.errors)

    def test_forget_keeps_the_last_good_one(self):
        first = self.fill()
        self.prove()
        for i in range(3):
            (self.tree / "new").write_bytes(noise(i, 100))
            self.backup(f"files:{self.tree}")
        self.holdfast("forget", "--keep-last", "1", "--keep-last-good", "1", "--yes")
        self.assertEqual(len(self.snapshots()), 2)
        self.assertIn(first, [each["id"] for each in self.snapshots()])


class Interrupted(Prove):
    def test_what_a_kill_left_is_ended_and_removed(self):
        self.fill()
        self.configure_source(checks=[{"exec": ["sleep", "1000"], "timeout": "10m"}])
        self.backup("uploads")
        child = self.start("prove", "--source", "uploads")
        wait_until(lambda: any((self.sandboxes / name / "processes").exists() for name in self.left()), "it sleeps")
        listed = next(self.sandboxes.glob("*/processes"))
        wait_until(lambda: listed.read_text().endswith("\n"), "the process is listed")
        pid = int(listed.read_text().split()[0])
        # One that is alive is nobody's to reap.
        self.holdfast("prove", "--reap")
        self.assertEqual(len(self.left()), 1)
        child.send_signal(signal.SIGKILL)
        child.wait()
        wait_until(lambda: not is_running(pid), "the sandboxed process dies with its owner")
        self.assertEqual(len(self.left()), 1)
        self.assertIn("removed the sandbox", self.holdfast("prove", "--reap").errors)
        self.assertEqual(self.left(), [])

    def test_the_next_proof_removes_what_a_kill_left(self):
        (self.tree / "large").write_bytes(noise("large", 80_000_000))
        self.backup(f"files:{self.tree}")
        child = self.start("prove")
        wait_until(lambda: any(self.sandboxes.glob("*/work/restored*")), "it restores")
        child.send_signal(signal.SIGKILL)
        child.wait()
        self.assertEqual(len(self.left()), 1)
        self.assert_proof(self.prove(), "V4", "pass")

    def test_ctrl_c_leaves_nothing(self):
        self.fill()
        self.configure_source(checks=[{"exec": ["sleep", "1000"], "timeout": "10m"}])
        self.backup("uploads")
        child = self.start("prove", "--source", "uploads")
        wait_until(lambda: any((self.sandboxes / name / "processes").exists() for name in self.left()), "it sleeps")
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(60), 130)
        self.assertEqual(self.left(), [])
        self.assertEqual([each["proof"] for each in self.snapshots() if each["source"] == "uploads"], [None])


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Checks(Prove):
    def prove_with(self, *checks, code=0):
        self.configure_source(checks=list(checks))
        self.backup("uploads")
        return self.prove("--source", "uploads", code=code)

    def test_a_check_runs_in_the_sandbox_and_sees_what_was_restored(self):
        (self.tree / "file").write_bytes(b"content")
        secret = self.folder / "secret"
        secret.write_text("secret")
        script = self.folder / "check.sh"
        script.write_text(f"""#!/bin/sh
            [ "$(cat "$HOLDFAST_TARGET{self.tree}/file")" = content ] || exit 1
            [ "$HOLDFAST_SOURCE" = uploads ] && [ ${{#HOLDFAST_SNAPSHOT}} = 64 ] || exit 2
            [ ! -e {secret} ] && [ ! -e {self.key} ] || exit 3
            [ -z "$HOLDFAST_KEY_FILE" ] || exit 4
            [ "$(cut -s -d: -f1 /proc/net/dev | tr -d ' ')" = lo ] || exit 5
            """)
        script.chmod(0o755)
        summary = self.prove_with({"exec": [str(script)]})
        self.assert_proof(summary, "V4", "pass")
        self.assertEqual(summary["checks"][-1]["found"], "exit status 0")
        self.assertIn("network", summary["isolation"])

    def test_a_check_that_fails_fails_the_proof_and_says_why(self):
        (self.tree / "file").write_bytes(b"content")
        summary = self.prove_with({"exec": ["sh", "-c", "echo the reason; exit 7"]}, code=13)
        self.assert_proof(summary, "V4", "fail")
        self.assertEqual(summary["checks"][-1]["found"], "exit status 7: the reason")

    def test_a_check_that_hangs_is_ended_and_fails(self):
        (self.tree / "file").write_bytes(b"content")
        began = time.monotonic()
        summary = self.prove_with({"exec": ["sh", "-c", "sleep 1000 & sleep 1000"], "timeout": "1s"}, code=13)
        self.assertLess(time.monotonic() - began, 60)
        self.assertIn("did not end within 1", summary["checks"][-1]["found"])

    def test_a_check_that_cannot_run_is_not_tested(self):
        (self.tree / "file").write_bytes(b"content")
        summary = self.prove_with({"exec": ["there-is-no-such-program"]}, code=3)
        self.assert_proof(summary, "V3", "not_tested")
        self.assertEqual(summary["checks"][-1]["result"], "not_tested")

    def test_without_name_spaces_a_check_is_not_tested_unless_it_is_allowed(self):
        (self.tree / "file").write_bytes(b"content")
        self.configure_source(checks=[{"exec": ["true"]}])
        self.backup("uploads")
        for extra, result in ((), "not_tested"), (("--allow-unisolated",), "pass"):
            done = subprocess.run(
                ["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv "
                 "--bounding-set=-sys_admin --inh-caps=-all \"$@\"", "sh", PROGRAM, "prove", "--source", "uploads",
                 "--json", *extra], env=self.environment, cwd=self.folder, capture_output=True, check=False)
            summary = json.loads(done.stdout.decode().splitlines()[-1])
            self.assertEqual(summary["result"], result, summary)
            self.assertNotIn("mount", summary["isolation"])

    def test_wrong_checks_are_refused_with_their_place(self):
        for check, says in (({"exec": []}, "must be a list of a program"), ({"sql": "select 1", "expect": "1"}, "answers no queries"),
                            ({"exec": ["true"], "expect": "1"}, "passes when it exits 0"), ({}, "has none of"),
                            ({"exec": ["true"], "timeout": "soon"}, "must be a duration"),
                            ({"http": "ftp://x", "expect": "200"}, "must be a URL"),
                            ({"http": "http://x", "exec": ["true"]}, "has several of")):
            self.configure_source(checks=[check])
            self.assertRegex(self.fails(2, "config", "check", says=says).errors, r"holdfast.yaml:3:\d+")


class Verified(Prove):
    def test_a_restore_is_compared_and_the_run_is_recorded(self):
        self.fill()
        notes = len(self.objects("notes"))
        out = self.folder / "out"
        summary = self.restore("latest", out).lines()[-1]
        self.assertEqual(summary["verified"]["result"], "pass")
        self.assertGreater(summary["verified"]["bytes"], 2_500_000)
        self.assertEqual(len(self.objects("notes")), notes + 1)
        self.assertNotIn(os.fsencode(out), b"".join(p.read_bytes() for p in self.objects("notes")))
        part = self.restore(f"latest:{self.tree}/sub", self.folder / "part").lines()[-1]
        self.assertEqual(part["verified"]["items"], 20)
        self.assertNotIn("verified", self.restore("latest", self.folder / "quick", "--no-verify").lines()[-1])

    def test_what_is_changed_behind_the_restore_is_found(self):
        """An after-thought of the machine: the before-hook starts something that writes to the target."""
        self.fill()
        out = self.folder / "out"
        self.restore("latest", out)
        victim = out / str(self.tree)[1:] / "large"
        info = victim.stat()
        content = bytearray(victim.read_bytes())
        content[1_234_567] ^= 1
        victim.write_bytes(content)
        os.utime(victim, ns=(info.st_atime_ns, info.st_mtime_ns))
        # By size and time it is as it was, so nothing writes it anew.
        summary = self.restore("latest", out, "--in-place", code=13).lines()[-1]
        self.assertEqual(summary["verified"]["result"], "fail")
        failed = [check for check in summary["verified"]["checks"] if check["result"] == "fail"]
        self.assertTrue([check for check in failed if check["name"].endswith("large content")], failed)

    def test_what_cannot_be_brought_back_here_is_not_tested(self):
        self.fill()
        for path in (self.tree, self.tree / "sub"):
            os.chown(path, 12345, 12345)
        self.backup(f"files:{self.tree}")
        out = self.folder / "out"
        out.mkdir()
        os.chown(out, 65534, 65534)
        for path in (self.folder, self.home):
            path.chmod(0o777)
        subprocess.run(["chmod", "-R", "a+rwX", self.repo, self.key, self.home], check=True)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", PROGRAM, "restore", "latest",
                               "--to", out, "--json"], env=self.environment, capture_output=True, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        summary = json.loads(done.stdout.decode().splitlines()[-1])
        self.assertEqual(summary["verified"]["result"], "not_tested")

    def test_checks_of_the_source_run_after_a_restore(self):
        (self.tree / "file").write_bytes(b"content")
        self.configure_source(checks=[{"exec": ["sh", "-c", f'test -e "$HOLDFAST_TARGET{self.tree}/missing"']}])
        self.backup("uploads")
        summary = self.restore("uploads", self.folder / "out", code=13).lines()[-1]
        self.assertEqual(summary["verified"]["checks"][-1]["result"], "fail")

    def test_a_check_that_hangs_after_a_restore_is_ended_and_fails(self):
        (self.tree / "file").write_bytes(b"content")
        self.configure_source(checks=[{"exec": ["sleep", "1000"], "timeout": "1s"}])
        self.backup("uploads")
        summary = self.restore("uploads", self.folder / "out", code=13).lines()[-1]
        self.assertIn("did not end within 1", summary["verified"]["checks"][-1]["found"])


class Hooks(Prove):
    def hooks(self, **more):
        log = self.folder / "log"
        say = f'echo "{{}} $HOLDFAST_RESULT $HOLDFAST_SOURCE $HOLDFAST_TARGET ${{{{#HOLDFAST_SNAPSHOT}}}}" >> {log}'
        out = {name: [say.format(name)] for name in ("before", "after", "on_failure")}
        for name, commands in more.items():
            out[name] = out[name] + commands
        return out

    def log(self):
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def test_hooks_run_around_a_restore_and_know_what_it_was(self):
        self.fill()
        self.configure_source(hooks=self.hooks())
        self.backup("uploads")
        out = self.folder / "out"
        self.restore("uploads", out, "--hook-after", f"echo last >> {self.folder}/log")
        self.assertEqual(self.log(), [f"before pending uploads {out} 64", f"after ok uploads {out} 64", "last"])

    def test_a_failing_before_hook_stops_the_restore_before_anything_is_written(self):
        self.fill()
        self.configure_source(hooks=self.hooks(before=[["false"]]))
        self.backup("uploads")
        out = self.folder / "out"
        self.fails(16, "restore", "uploads", "--to", out, says=("before the restore failed: false", "nothing was written"))
        self.assertFalse(out.exists())
        self.assertEqual([line.split()[0] for line in self.log()], ["before", "on_failure"])

    def test_a_failing_after_hook_is_reported_and_runs_those_for_failures(self):
        self.fill()
        self.fails(16, "restore", "latest", "--to", self.folder / "out", "--hook-after", "exit 3", "--hook-failure",
                   f'echo "$HOLDFAST_RESULT" > {self.folder}/log', says="exit status 3")
        self.assertEqual(self.log(), ["target_failed"])

    def recorded(self):
        """The restore that the repository tells of."""
        self.configure(f'version: 1\nservice: {{ledger: "sqlite:{self.folder}/anew.db"}}\n')
        self.holdfast("ledger", "rebuild")
        runs = self.holdfast("runs", "--json").document()["runs"]
        return next(run for run in runs if run["verb"] == "restore")

    def test_the_seconds_of_a_record_are_those_of_the_whole_command(self):
        self.fill()
        self.restore("latest", self.folder / "out", "--hook-before", "sleep 2")
        self.assertGreater(self.recorded()["outcomes"][0]["seconds"], 2)

    def test_one_record_tells_of_the_hooks_too(self):
        self.fill()
        self.fails(16, "restore", "latest", "--to", self.folder / "out", "--hook-after", "exit 3")
        run = self.recorded()
        self.assertEqual((run["state"], run["code"]), ("failed", "target_failed"))

    def test_a_restore_that_fails_runs_those_for_failures_and_not_those_after(self):
        self.fill()
        for path in self.objects("data"):
            path.unlink()
        self.configure_source(hooks=self.hooks())
        self.backup("uploads", "--reread", code=0)
        for path in self.objects("data"):
            path.unlink()
        self.fails(13, "restore", "uploads", "--to", self.folder / "out")
        self.assertEqual([line.split()[:2] for line in self.log()], [["before", "pending"], ["on_failure", "corrupt"]])

    def test_ctrl_c_runs_those_for_failures(self):
        self.fill()
        mark = self.folder / "mark"
        self.configure_source(hooks=self.hooks(), checks=[{"exec": ["sh", "-c", f"touch {mark}; sleep 1000"], "timeout": "10m"}])
        self.backup("uploads")
        child = self.start("restore", "uploads", "--to", self.folder / "out")
        wait_until(mark.exists, "the check runs")
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(60), 130)
        self.assertEqual([line.split()[:2] for line in self.log()], [["before", "pending"], ["on_failure", "interrupted"]])

    def test_a_list_is_run_without_a_shell(self):
        self.fill()
        target = self.folder / "a $b; c"
        self.configure_source(hooks={"before": [["touch", str(target)]]})
        self.backup("uploads")
        self.restore("uploads", self.folder / "out")
        self.assertTrue(target.exists())


# Run when the restore makes the index, in the sandbox only; PROGRAM and STEAL are what it would do.
HOSTILE = """
CREATE TABLE victim (id int);
INSERT INTO victim SELECT generate_series(1, 10);
CREATE TABLE t (id int PRIMARY KEY, a text);
INSERT INTO t SELECT n, 'text ' || n FROM generate_series(1, 10) n;
CREATE FUNCTION reach() RETURNS void VOLATILE LANGUAGE plpgsql AS $$ BEGIN %s; END $$;
CREATE FUNCTION evil(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  IF session_user = 'holdfast_prove' THEN PERFORM public.reach(); END IF; RETURN $1; END $$;
CREATE INDEX evil_index ON t (evil(a));
"""


class Postgres(Prove):
    def setUp(self):
        super().setUp()
        self.server = postgres_server("first")
        self.name = f"prove_{os.getpid()}_{self._testMethodName[-20:]}"

    def database(self, sql):
        self.server.sql(f'CREATE DATABASE "{self.name}"')
        self.addCleanup(lambda: self.server.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)'))
        self.server.sql(sql, self.name)

    def prove_database(self, *args, checks=(), code=0, **options):
        self.configure("version: 1\nsources:\n  db: " + json.dumps(
            {"kind": "postgres", "url": self.server.url(self.name), "checks": list(checks)}) + "\n")
        self.backup("db")
        return self.prove("--source", "db", *args, code=code, **options)

    SIMPLE = """CREATE TABLE users (id int PRIMARY KEY, name text);
        INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 5000) n; CREATE SEQUENCE s; SELECT nextval('s');"""

    def test_a_database_is_proven_in_a_real_server(self):
        self.database(self.SIMPLE)
        summary = self.prove_database(checks=[{"sql": "select count(*) from users", "expect": ">4999"},
                                              {"sql": "select name from users where id = 7", "expect": "user 7"}])
        self.assert_proof(summary, "V4", "pass")
        self.assertEqual(summary["basis"], "same-view")
        names = [check["name"] for check in summary["checks"]]
        self.assertIn(f"{self.name}/public/users rows", names)
        self.assertIn(f"{self.name} pg_amcheck", names)
        self.assertEqual(set(summary["isolation"]), {"uid", "user", "pid", "mount", "network", "ipc", "no_new_privs"})

    def test_what_has_no_fact_is_named_and_lowers_no_level(self):
        role, tag = f"{self.name}_role", f"{self.name}/public"
        self.database(self.SIMPLE + f"""
            CREATE ROLE "{role}"; ALTER TABLE users OWNER TO "{role}"; CREATE TABLE logs AS SELECT 1 AS line;
            CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM generate_series(1, 3); CREATE EXTENSION postgres_fdw;
            CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE FOREIGN TABLE far_away (a int) SERVER far""")
        self.addCleanup(lambda: self.server.sql(f'DROP DATABASE "{self.name}" WITH (FORCE); DROP ROLE "{role}"'))
        self.configure("version: 1\nsources:\n  db: " + json.dumps(
            {"kind": "postgres", "url": self.server.url(self.name), "exclude": [f"{tag}/logs"]}) + "\n")
        self.backup("db")
        untested = {f"{tag}/logs rows": "excluded", f"{tag}/counted rows": "a materialized view: it is made anew",
                    f"{tag}/far_away rows": "a foreign table: its rows are elsewhere",
                    "globals": "roles, memberships, settings and tablespaces are not compared"}

        def untested_of(checks):
            return {check["name"]: check["found"] for check in checks if check["result"] != "pass"}
        proof = self.prove("--source", "db")
        self.assert_proof(proof, "V4", "pass")
        self.assertEqual(untested_of(proof["checks"]), untested)
        self.assertIn("; 4 not tested", proof["coverage"])
        other = postgres_server("second")
        self.addCleanup(lambda: other.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE); DROP ROLE IF EXISTS "{role}"'))
        verified = self.restore("db", other.url()).lines()[-1]["verified"]
        self.assertEqual((verified["result"], untested_of(verified["checks"])), ("pass", untested))
        said = " ".join(self.holdfast("restore", "db", "--to", other.url(), "--include", f"{tag}/users", "--existing", "replace").text.split())
        self.assertNotIn("without a fact", said)
        said = " ".join(self.holdfast("restore", "db", "--to", other.url(), "--existing", "drop").text.split())
        self.assertIn(f"without a fact: globals; {tag}/counted rows; {tag}/far_away rows; {tag}/logs rows", said)

    def test_a_check_of_a_server_that_answers_no_more_is_given_up(self):
        self.database(self.SIMPLE)
        other, stopped = postgres_server("second"), self.folder / "stopped"
        self.addCleanup(lambda: other.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)'))
        self.folder.chmod(0o777)
        stop = f"DO $$ BEGIN COPY (SELECT 1) TO PROGRAM 'echo $PPID > {stopped}; kill -STOP $PPID'; END $$; SELECT 1"
        self.configure("version: 1\nsources:\n  db: " + json.dumps(
            {"kind": "postgres", "url": self.server.url(self.name),
             "checks": [{"sql": stop, "expect": "1", "timeout": "1s"}, {"sql": "select count(*) from users", "expect": "5000"}]}) + "\n")
        self.backup("db")
        self.addCleanup(lambda: os.kill(int(stopped.read_text()), signal.SIGCONT))
        verified = self.restore("db", other.url(), code=13).lines()[-1]["verified"]
        hung, answered = [check for check in verified["checks"] if check["name"].startswith("sql ")]
        self.assertEqual((hung["result"], answered["result"]), ("fail", "pass"))
        self.assertIn("did not end within 1", hung["found"])
        self.assertEqual(pathlib.Path(f"/proc/{stopped.read_text().strip()}/stat").read_text().rpartition(")")[2].split()[0], "T")

    def test_a_check_that_is_not_met_and_one_that_hangs_fail(self):
        self.database(self.SIMPLE)
        summary = self.prove_database(code=13, checks=[{"sql": "select count(*) from users", "expect": "=1"},
                                                       {"sql": "select pg_sleep(1000)", "expect": "", "timeout": "1s"},
                                                       {"sql": "select nonsense", "expect": "1"}])
        self.assert_proof(summary, "V4", "fail")
        found = [check["found"] for check in summary["checks"][-3:]]
        self.assertEqual(found[0], "5000")
        self.assertIn("did not end within 1", found[1])
        self.assertIn("nonsense", found[2])

    def test_a_dump_that_runs_programs_is_contained(self):
        mark = self.folder / "mark"
        self.folder.chmod(0o777)
        program = (f'{{ id -u; cut -s -d: -f1 /proc/net/dev | tr -d " "; env; cat {self.key}; touch {mark}; }} > report 2>&1; true')
        self.database(HOSTILE % f"EXECUTE $c$COPY (SELECT 1) TO PROGRAM '{program}'$c$")
        self.server.sql("CREATE SUBSCRIPTION evil CONNECTION 'host=127.0.0.1 dbname=postgres' PUBLICATION p "
                        "WITH (connect = false, slot_name = NONE)", self.name)
        self.addCleanup(lambda: self.server.sql("DROP SUBSCRIPTION IF EXISTS evil", self.name))
        secret = "a passphrase that must not be seen"
        summary = self.prove_database(
            env={"SECRET": secret, "PGPASSWORD": secret},
            checks=[{"sql": "select pg_read_file('report')", "expect": "~^[0-9]"},
                    {"sql": "select count(*) from pg_stat_activity where backend_type like 'logical%'", "expect": "0"},
                    {"sql": "show listen_addresses", "expect": ""},
                    {"sql": "show archive_mode", "expect": "off"}])
        self.assertEqual([c for c in summary["checks"] if c["name"].startswith("sql") and c["result"] != "pass"], [])
        report = next(check["found"] for check in summary["checks"] if "pg_read_file" in check["name"])
        lines = report.splitlines()
        self.assertIn(int(lines[0]), range(61184, 65520), report)
        self.assertEqual(lines[1], "lo")
        self.assertNotIn("secret", report.lower().replace("No such", ""))
        self.assertNotIn(secret, report)
        self.assertNotIn("a key file of", report)
        self.assertIn("No such file", report)
        self.assertFalse(mark.exists())

    def test_settings_of_a_database_preload_nothing_and_keep_nobody_from_looking(self):
        self.database(self.SIMPLE)
        for setting in ("session_preload_libraries = 'auto_explain'", "local_preload_libraries = '$libdir/plugins/none'",
                        "default_transaction_read_only = on"):
            self.server.sql(f'ALTER DATABASE "{self.name}" SET {setting}')
        self.addCleanup(self.server.sql, f'ALTER DATABASE "{self.name}" RESET ALL')
        self.configure("version: 1\nsources:\n  db: " + json.dumps(
            {"kind": "postgres", "url": self.server.url(self.name) + "?options=-c%20local_preload_libraries%3D",
             "checks": [{"sql": f"show {name}", "expect": ""} for name in ("session_preload_libraries", "local_preload_libraries")]})
            + "\n")
        self.backup("db")
        self.assert_proof(self.prove("--source", "db"), "V4", "pass")

    def test_a_fact_that_is_not_met_fails_at_v4(self):
        """What was restored loses rows behind the restore's back, as a server with a defect would."""
        self.database(HOSTILE % "DELETE FROM public.victim WHERE id = 7")
        summary = self.prove_database(code=13)
        self.assert_proof(summary, "V4", "fail")
        failed = {check["name"]: (check["expected"], check["found"]) for check in summary["checks"]
                  if check["result"] == "fail"}
        self.assertEqual(failed[f"{self.name}/public/victim rows"], ("10", "9"))

    def test_contents_of_large_objects_are_compared(self):
        self.database("SELECT lo_from_bytea(424242, convert_to(repeat('large object ', 5000), 'UTF8')), lo_create(424243);" +
                      HOSTILE % "IF EXISTS (SELECT FROM pg_catalog.pg_largeobject WHERE loid = 424242) THEN "
                      "PERFORM pg_catalog.lo_put(424242, 40000, 'X'); END IF")
        # The index is made after the large objects came back, and again whenever evil() is called.
        summary = self.prove_database(code=13)
        self.assert_proof(summary, "V4", "fail")
        failed = [check["name"] for check in summary["checks"] if check["result"] == "fail"]
        self.assertEqual(failed, [f"{self.name} large object contents"])

    def test_large_objects_that_came_back_are_equal(self):
        self.database("SELECT lo_from_bytea(424242, convert_to(repeat('large object ', 5000), 'UTF8')), lo_create(424243)")
        self.assert_proof(self.prove_database(), "V4", "pass")

    def test_what_cannot_be_restored_fails_at_v2(self):
        self.database(HOSTILE % "RAISE EXCEPTION 'not here'")
        summary = self.prove_database(code=13)
        self.assert_proof(summary, "V2", "fail")
        self.assertIn("not here", json.dumps(summary["checks"]))

    def test_a_structure_that_is_broken_fails_at_v3(self):
        self.database(HOSTILE % "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = "
                      "'pg_catalog.pg_largeobject_loid_pn_index'::regclass")
        summary = self.prove_database(code=13)
        self.assert_proof(summary, "V3", "fail")
        failed = [check["name"] for check in summary["checks"] if check["result"] == "fail"]
        self.assertIn(f"{self.name} invalid indexes", failed)

    def test_a_sandbox_whose_server_does_not_start_is_not_tested(self):
        self.database(self.SIMPLE)
        programs = self.folder / "pg/bin"
        programs.mkdir(parents=True)
        for path in POSTGRES_BIN.iterdir():
            (programs / path.name).symlink_to(path)
        (programs / "postgres").unlink()
        (programs / "postgres").write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && exec {POSTGRES_BIN}/postgres --version\n"
                                           "echo 'FATAL: no memory for this server' >&2; exit 1\n")
        (programs / "postgres").chmod(0o755)
        self.folder.chmod(0o755)
        self.configure("version: 1\nsources:\n  db: " + json.dumps(
            {"kind": "postgres", "url": self.server.url(self.name), "bin_dir": str(programs)}) + "\n")
        self.backup("db")
        summary = self.prove("--source", "db", code=3)
        self.assert_proof(summary, "V1", "not_tested")
        self.assertIn("no memory for this server", json.dumps(summary["checks"]))
        self.assertEqual(self.left(), [])

    def test_without_a_server_of_the_version_it_is_not_tested(self):
        self.database(self.SIMPLE)
        self.backup(self.server.url(self.name))
        hidden = self.folder / "empty"
        hidden.mkdir()
        done = subprocess.run(["unshare", "-m", "sh", "-c", 'mount --bind "$1" /usr/lib/postgresql && shift && exec "$@"', "sh",
                               hidden, PROGRAM, "prove", "--json"], env=self.environment, cwd=self.folder,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        summary = json.loads(done.stdout.decode().splitlines()[-1])
        self.assert_proof(summary, "V1", "not_tested")
        self.assertIn("postgresql-15", json.dumps(summary["checks"]))

    def assert_not_tested(self, *says, without=None):
        """What the machine lacks says nothing of the snapshot, which is read as far as V1."""
        if without is None:
            summary = self.prove("--source", "db", code=3)
        else:
            folder = self.folder / "without"
            shutil.copytree(without.parent, folder, ignore=shutil.ignore_patterns(without.name, "bitcode"))
            self.folder.chmod(0o755)
            done = self.holdfast_with(folder, "prove", "--source", "db", "--json", code=3, place=without.parent)
            summary = json.loads(done.stdout.splitlines()[-1])
        self.assert_proof(summary, "V1", "not_tested")
        for text in says:
            self.assertIn(text, json.dumps(summary["checks"]))
        self.assertEqual([check for check in summary["checks"] if check["result"] == "fail"], [])
        self.assertEqual(self.snapshots()[0]["proof"]["result"], "not_tested")

    def test_an_extension_that_this_machine_lacks_is_not_tested(self):
        self.database(self.SIMPLE + "CREATE EXTENSION hstore")
        self.holdfast("backup", self.server.url(self.name), "--name", "db")
        self.assert_not_tested("extension hstore", "postgresql-contrib",
                               without=pathlib.Path("/usr/share/postgresql/15/extension/hstore.control"))
        self.assert_proof(self.prove("--source", "db"), "V4", "pass")

    def test_a_library_that_this_machine_lacks_is_not_tested(self):
        self.database(self.SIMPLE + "CREATE EXTENSION hstore")
        self.holdfast("backup", self.server.url(self.name), "--name", "db")
        self.assert_not_tested("could not access file", "hstore", without=POSTGRES_BIN.parent / "lib/hstore.so")

    def test_a_locale_that_this_machine_lacks_is_not_tested(self):
        locale = pathlib.Path("/usr/lib/locale/hf_HP.utf8")
        shutil.copytree("/usr/lib/locale/C.utf8", locale, dirs_exist_ok=True)
        self.addCleanup(shutil.rmtree, locale, ignore_errors=True)
        self.server.sql(f"CREATE DATABASE \"{self.name}\" TEMPLATE template0 LOCALE 'hf_HP.utf8'")
        self.addCleanup(lambda: self.server.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)'))
        self.holdfast("backup", self.server.url(self.name), "--name", "db")
        shutil.rmtree(locale)
        self.assert_not_tested("hf_HP.utf8", "locale-gen")

    def test_a_backup_says_that_its_proof_lacks_a_server(self):
        self.database(self.SIMPLE)
        clients = self.folder / "15/bin"
        clients.mkdir(parents=True)
        for program in ("pg_dump", "pg_dumpall", "pg_restore"):
            shutil.copy(POSTGRES_BIN / program, clients / program)
        url = self.server.url(self.name)
        done = subprocess.run(["unshare", "-m", "sh", "-c", 'mount --bind "$1" /usr/lib/postgresql && shift && exec "$@"', "sh",
                               self.folder, PROGRAM, "backup", url], env=self.environment, cwd=self.folder,
                              capture_output=True, check=False)
        said = " ".join(done.stderr.decode().split())
        self.assertEqual(done.returncode, 0, said)
        self.assertIn("NOT TESTED", said)
        self.assertIn("postgresql-15", said)
        self.assertNotIn("NOT TESTED", self.holdfast("backup", url).errors)

    def holdfast_with(self, folder, *args, code=0, place="/usr/lib/postgresql"):
        """As on a machine that has this folder there: of PostgreSQL's programs these and no others."""
        done = subprocess.run(["unshare", "-m", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", folder, place,
                               PROGRAM, *map(str, args)], env=self.environment, cwd=self.folder, capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_programs_that_only_bin_dir_names_restore_and_fail_nothing(self):
        self.database(self.SIMPLE)
        other = postgres_server("second")
        self.addCleanup(lambda: other.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)'))
        machine, programs = self.folder / "machine", self.folder / "programs/bin"
        machine.mkdir()
        shutil.copytree(POSTGRES_BIN.parent, programs.parent, ignore=shutil.ignore_patterns("bitcode"))
        self.folder.chmod(0o755)
        self.configure("version: 1\nsources:\n  db: " + json.dumps(
            {"kind": "postgres", "url": self.server.url(self.name), "bin_dir": str(programs)}) + "\n")
        backup = self.holdfast_with(machine, "backup", "db")
        self.assertNotIn("NOT TESTED", backup.stderr)
        proof = json.loads(self.holdfast_with(machine, "prove", "--source", "db", "--json").stdout.splitlines()[-1])
        self.assert_proof(proof, "V4", "pass")
        restored = self.holdfast_with(machine, "restore", "db", "--to", other.url(), "--json").stdout.splitlines()[-1]
        self.assertEqual(json.loads(restored)["verified"]["result"], "pass")
        self.assertEqual(other.sql("SELECT count(*) FROM users", self.name), "5000")
        self.server.sql("CREATE VIEW names AS SELECT name FROM users", self.name)
        live = self.holdfast_with(machine, "diff", "db", "live", "--json").stdout.splitlines()
        self.assertEqual([(line["path"], line["text"]) for line in map(json.loads, live[:-1])], [(self.name, "privileges differs; schema differs")])
        self.holdfast_with(machine, "export", f"db:{self.name}", "--as", "sql", "--to", "dump.sql")
        self.assertIn("CREATE TABLE public.users", (self.folder / "dump.sql").read_text())
        self.configure("version: 1\n")
        self.assertIn("postgresql-client-15", self.holdfast_with(machine, "export", f"db:{self.name}", "--as", "sql", "--to", "other.sql",
                                                                 code=1).stderr)

    def test_programs_of_the_servers_own_version_come_before_newer_ones(self):
        self.database(self.SIMPLE)
        other = postgres_server("second")
        self.addCleanup(lambda: other.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)'))
        machine = self.folder / "machine"
        for major in ("15", "17"):
            (machine / major / "bin").mkdir(parents=True)
            for program in ("pg_dump", "pg_dumpall", "pg_restore"):
                path = machine / major / "bin" / program
                if major == "15":
                    shutil.copy(POSTGRES_BIN / program, path)
                else:
                    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{program} (PostgreSQL) 17.0"\n')
                    path.chmod(0o755)
        self.holdfast_with(machine, "backup", self.server.url(self.name))
        self.holdfast_with(machine, "restore", "latest", "--to", other.url())
        self.assertEqual(other.sql("SELECT count(*) FROM users", self.name), "5000")

    def test_the_server_of_a_killed_proof_ends_and_is_removed(self):
        self.database(self.SIMPLE)
        self.configure("version: 1\nsources:\n  db: " + json.dumps({
            "kind": "postgres", "url": self.server.url(self.name),
            "checks": [{"sql": "select pg_sleep(1000)", "expect": "", "timeout": "10m"}]}) + "\n")
        self.backup("db")
        child = self.start("prove", "--source", "db")
        wait_until(lambda: len(pids_of(self.sandboxes)) == 2 and is_running(pids_of(self.sandboxes)[-1]), "the server runs")
        pid = pids_of(self.sandboxes)[-1]
        wait_until(lambda: any(self.sandboxes.glob("*/work/.s.PGSQL.*")), "it has its socket")
        child.send_signal(signal.SIGKILL)
        child.wait()
        wait_until(lambda: not is_running(pid), "the server dies with its owner")
        self.holdfast("prove", "--reap")
        self.assertEqual(self.left(), [])


def pids_of(sandboxes):
    return [int(line.split()[0]) for path in sandboxes.glob("*/processes") for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main()
