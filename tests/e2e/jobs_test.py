"""Jobs that are run by hand, are recorded whatever becomes of them, and are told of truthfully."""

import gzip
import json
import os
import signal
import shutil
import sqlite3
import subprocess
import time

from harness import RedisServer, main, no_file_above, noise, postgres_server
from jobs_case import Jobs, wait_until
from mongo_server import mongo_server


class ByHand(Jobs):
    def test_a_job_runs_is_recorded_and_listed(self):
        self.configure('  nightly: {sources: [tree], schedule: "0 2 * * *", tags: {why: test}}\n')
        self.init()
        done = self.holdfast("run", "nightly")
        self.assertIn("+ holdfast -r main backup tree --tag job=nightly --tag why=test", done.errors)
        run = self.run_of("nightly")
        self.assertEqual((run["state"], run["verb"], run["attempt"]), ("done", "backup", 1))
        snapshot = self.holdfast("snapshots", "--json").document()["snapshots"][0]
        self.assertEqual(run["outcomes"][0]["snapshot"], snapshot["id"])
        self.assertEqual(snapshot["tags"], {"job": "nightly", "why": "test"})
        self.assertIn("+ holdfast", self.holdfast("runs", run["run"][:6], "--log").text)
        self.assertIn("done", self.holdfast("runs", run["run"]).text)
        job = self.holdfast("jobs", "--json").document()["jobs"][0]
        self.assertEqual(job["last"]["run"], run["run"])
        self.assertTrue(job["next"].endswith("T02:00:00Z"))
        self.assertFalse(job["overdue"])
        self.assertIn("nightly", self.holdfast("jobs").text)

    def test_commands_by_hand_are_recorded_where_a_ledger_is_configured(self):
        self.configure("")
        self.init()
        self.holdfast("backup", "tree")
        self.holdfast("backup", "tree", "--dry-run")
        self.holdfast("prove", "latest", "--level", "V3")
        self.holdfast("restore", "latest", "--to", self.folder / "back")
        self.fails(1, "restore", "0123456789", "--to", self.folder / "other")
        found = {run["verb"] + " " + run["state"]: run for run in self.runs()}
        self.assertEqual(sorted(found), ["backup done", "prove done", "restore done", "restore failed"])
        self.assertEqual(found["prove done"]["outcomes"][0]["level"], "V3")
        self.assertGreater(found["restore done"]["outcomes"][0]["restore_seconds"], 0)
        self.assertEqual(found["backup done"]["outcomes"][0]["source"], "tree")

    def test_without_a_service_nothing_is_recorded(self):
        self.configure("", service=False)
        self.init()
        self.holdfast("backup", "tree")
        self.assertFalse(self.ledger.exists())

    def test_a_ledger_that_fails_never_fails_a_backup(self):
        self.configure("")
        self.init()
        self.ledger.parent.mkdir()
        self.ledger.write_bytes(b"no database at all" * 1000)
        done = self.holdfast("backup", "tree")
        self.assertIn("this run is not recorded", done.errors)
        self.assertEqual(len(self.snapshots()), 1)
        self.fails(13, "runs", says="is damaged", hints="holdfast ledger rebuild")

    def test_a_ledger_whose_disk_is_full_never_fails_a_backup(self):
        self.configure("  nightly: {sources: [tree]}\n")
        self.init()
        self.holdfast("run", "nightly")
        full = no_file_above(4096)  # room for what the repository gets, and for no page of the ledger
        done = self.holdfast("backup", "tree", before=full)
        self.assertIn("this run is not recorded", done.errors)
        self.assertEqual(len(self.snapshots_in("main")), 2)
        # What is to run once must be written down first.
        self.fails(18, "run", "nightly", before=full, says="the ledger", hints="Free space")
        self.assertEqual(len(self.snapshots_in("main")), 2)
        self.holdfast("run", "nightly")
        self.assertEqual([run["state"] for run in self.runs()], ["done", "done"])

    def test_a_ledger_that_is_locked_never_fails_a_backup(self):
        self.configure("")
        self.init()
        self.holdfast("backup", "tree")
        other = sqlite3.connect(self.ledger)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        self.assertIn("this run is not recorded", self.holdfast("backup", "tree").errors)
        other.rollback()
        self.assertEqual(len(self.snapshots()), 2)
        self.assertEqual(len(self.runs()), 1)

    def test_proofs_keep_to_their_budget_and_all_get_their_turn(self):
        other = self.folder / "other"
        other.mkdir()
        (other / "file").write_text("7 bytes")
        self.configure("  nightly: {sources: [tree, other]}\n"
                       "  proof: {prove: {level: V3, budget: {bytes: 10}}, sources: [tree, other]}\n"
                       "  late: {prove: {level: V3, budget: {time: 1ms}}, sources: [tree, other]}\n",
                       sources=f"  other: {{kind: files, paths: [{other}]}}\n")
        self.init()
        self.holdfast("run", "nightly")
        for expected in ("tree", "other", "tree"):
            done = self.holdfast("run", "proof", code=3)
            self.assertIn("it holds 7 B, more than 3 B", done.errors)
            run = self.run_of("proof")
            self.assertEqual([each["source"] for each in run["outcomes"]], [expected])
            self.assertEqual(run["state"], "partial")
        self.assertIn("budget is used up", self.holdfast("run", "late", code=3).errors)
        self.assertEqual(len(self.run_of("late")["outcomes"]), 1)
        self.assertIn("2 snapshots hold more than 3 B", self.fails(3, "prove", "--random", "--max-bytes", "3").errors)

    def test_a_ledger_of_a_newer_holdfast_is_refused(self):
        self.configure("")
        self.init()
        self.holdfast("backup", "tree")
        with sqlite3.connect(self.ledger) as database:
            database.execute("UPDATE version SET number = 99")
        self.fails(10, "runs", says="is of version 99", hints="a newer one")

    def test_a_missing_copy_leaves_the_job_done_in_part(self):
        self.configure("  nightly: {sources: [tree], copies: [offsite]}\n",
                       repositories=f"  offsite: {{url: {self.folder}/offsite, replica_of: main, "
                                    f'unlock: {{keyfile: "file:{self.key}"}}}}\n')
        self.init()
        self.holdfast("run", "nightly", code=3)
        self.assertEqual(self.run_of("nightly")["state"], "partial")
        self.holdfast("-r", "offsite", "init")
        self.holdfast("run", "nightly")
        self.assertEqual(self.run_of("nightly")["state"], "done")
        points = self.holdfast("report", "inventory", "--json").document()["points"]
        self.assertEqual([point["copies"] for point in points], [["main", "offsite"]] * 2)  # the first was caught up

    def test_copies_are_verified_and_catch_up(self):
        self.configure("  nightly: {repository: main, sources: [tree], copies: [offsite]}\n", repositories=self.offsite())
        self.init()
        self.holdfast("run", "nightly", code=3)
        self.holdfast("-r", "offsite", "init")
        self.holdfast("-r", "main", "backup", "tree")  # not the job's
        (self.tree / "file").write_text("other")
        self.holdfast("run", "nightly")
        main, offsite = self.snapshots_in("main"), self.snapshots_in("offsite")
        self.assertEqual(offsite, [main[0], main[2]])
        self.holdfast("-r", "offsite", "forget", offsite[0])
        self.holdfast("run", "nightly")
        self.assertEqual(len(self.snapshots_in("offsite")), 2)  # what was forgotten there stays away
        for pack in (self.folder / "offsite" / "data").rglob("*"):
            if pack.is_file():
                pack.unlink()
        (self.tree / "file").write_text("another")
        done = self.holdfast("run", "nightly", code=3)
        self.assertIn("copies are not whole", " ".join(done.errors.split()))
        run = self.run_of("nightly")
        self.assertEqual((run["state"], run["code"]), ("partial", "corrupt"))

    def test_a_missing_copy_is_tried_again_without_another_backup(self):
        self.configure("  nightly: {repository: main, sources: [tree], copies: [offsite], "
                       "on_failure: {retry: 9, backoff: 1s}}\n", repositories=self.offsite())
        self.init()
        child = self.start("run", "nightly")
        said = b""
        while b"tried again in" not in said:
            line = child.stderr.readline()
            self.assertTrue(line, said)
            said += line
        self.holdfast("-r", "offsite", "init")
        child.communicate(timeout=300)
        self.assertEqual(child.returncode, 0)
        self.assertEqual(self.run_of("nightly")["state"], "done")
        self.assertEqual(self.snapshots_in("main"), self.snapshots_in("offsite"))
        self.assertEqual(len(self.snapshots_in("main")), 1)

    def test_a_limit_of_a_job_is_that_of_its_backups_and_copies(self):
        (self.tree / "file").write_bytes(noise("limit", 2_000_000))
        self.configure("  nightly: {sources: [tree], copies: [offsite], limits: {upload: 1M}}\n",
                       repositories=f"  offsite: {{url: {self.folder}/offsite, replica_of: main, "
                                    f'unlock: {{keyfile: "file:{self.key}"}}}}\n')
        self.init()
        self.holdfast("-r", "offsite", "init")
        done = self.holdfast("run", "nightly")
        self.assertEqual(done.errors.count("--limit-upload 1048576"), 2)
        self.assertGreater(done.seconds, 1)  # the least: each sends more than a second's worth, what is last waits for the rest
        (self.tree / "file").write_bytes(noise("limit again", 2_000_000))
        tighter = self.holdfast("--limit-upload", "500K", "run", "nightly")
        self.assertGreater(tighter.seconds, 2)

    def test_a_source_that_fails_fails_the_job(self):
        self.configure("  nightly: {sources: [tree, broken]}\n",
                       sources="  broken: {kind: command, run: [\"false\"]}\n")
        self.init()
        self.holdfast("run", "nightly", code=15)
        run = self.run_of("nightly")
        self.assertEqual(run["state"], "failed")
        self.assertEqual([each["result"] for each in run["outcomes"]], ["ok", "source_failed"])

    def test_hooks_run_around_a_job(self):
        said = self.folder / "said"
        hook = f"echo $HOLDFAST_RESULT >> {said}"
        self.configure("  good: {sources: [tree], hooks: {before: [\"%s\"], after: [\"%s\"]}}\n"
                       "  bad: {sources: [tree], hooks: {before: [\"exit 7\"], on_failure: [\"%s\"]}}\n"
                       % (hook, hook, hook))
        self.init()
        self.holdfast("run", "good")
        self.assertEqual(said.read_text().split(), ["pending", "ok"])
        self.fails(16, "run", "bad", says="the hook before the job failed")
        self.assertEqual(said.read_text().split()[2:], ["target_failed"])
        self.assertEqual(len(self.snapshots()), 1)
        self.assertEqual(self.run_of("bad")["state"], "failed")

    def test_after_a_job_that_was_done_in_part_the_application_starts_too(self):
        said = self.folder / "said"
        say = f"echo {{}} $HOLDFAST_RESULT >> {said}"
        hooks = ", ".join(f'{name}: ["{say.format(name)}"]' for name in ("before", "after", "on_failure"))
        self.configure("  nightly: {sources: [tree]}\n"
                       f"  proof: {{prove: {{level: V3, budget: {{bytes: 1}}}}, sources: [tree], hooks: {{{hooks}}}}}\n")
        self.init()
        self.holdfast("run", "nightly")
        self.holdfast("run", "proof", code=3)
        self.assertEqual(said.read_text().splitlines(), ["before pending", "after partial", "on_failure partial"])

    def test_no_application_stands_still_for_a_copy(self):
        said = self.folder / "said"
        self.configure("  nightly: {repository: main, sources: [tree], copies: [offsite], hooks: {\n"
                       f"    after: [\"ls {self.folder}/offsite/data >> {said} 2>&1; echo $HOLDFAST_RESULT >> {said}\"],\n"
                       f"    on_failure: [\"echo failed >> {said}\"]}}}}\n"
                       f"  bad: {{repository: main, sources: [tree], copies: [offsite], hooks: {{after: [\"exit 7\"], "
                       f"on_failure: [\"echo failed >> {said}\"]}}}}\n", repositories=self.offsite())
        self.init()
        self.holdfast("run", "nightly", code=3)
        self.assertEqual(said.read_text().splitlines()[-2:], ["ok", "failed"])
        said.unlink()
        self.holdfast("-r", "offsite", "init")
        self.holdfast("run", "nightly")
        self.assertEqual(said.read_text().split()[-1], "ok")
        self.assertEqual(self.snapshots_in("offsite"), self.snapshots_in("main"))
        said.unlink()
        self.holdfast("run", "bad", code=16)
        self.assertEqual(said.read_text().split(), ["failed"])
        self.assertEqual(self.snapshots_in("offsite"), self.snapshots_in("main"))  # a hook that fails costs no copy

    def test_a_hook_that_hangs_is_ended(self):
        self.configure("  slow: {sources: [tree], hooks: {before: [{run: \"sleep 600\", timeout: 1s}]}}\n"
                       "  good: {sources: [tree], hooks: {before: [{run: [\"true\"], timeout: 1m}]}}\n")
        self.init()
        self.fails(16, "run", "slow", says="the hook before the job failed: /bin/sh -c sleep 600: it took longer than 1.0 s")
        self.holdfast("run", "good")
        self.configure("  slow: {sources: [tree], hooks: {before: [{timeout: 1s}]}}\n")
        self.fails(2, "config", "check", says="has no `run`", hints="Write `{run: COMMAND, timeout: 5m}`")

    def test_what_is_no_job_says_so(self):
        self.configure("  nightly: {sources: [tree]}\n")
        self.init()
        self.fails(2, "run", "nihgtly", hints="Did you mean `nightly`?")
        self.fails(1, "runs", "abcdef", says="there is no run abcdef")
        self.fails(2, "runs", "--state", "dnoe", hints="Did you mean `done`?")

    def test_a_killed_run_is_interrupted_and_another_may_begin(self):
        self.configure("  slow: {sources: [slow]}\n",
                       sources=f"  slow: {{kind: command, run: [sh, -c, \"echo 1; [ -e {self.folder}/go ] || sleep 600\"]}}\n")
        self.init()
        child = self.start("run", "slow", start_new_session=True)
        wait_until(lambda: self.ledger.exists() and self.runs("--state", "running"), timeout=60)
        self.fails(11, "run", "slow", says="is running already")
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        (self.folder / "go").touch()
        self.holdfast("run", "slow")
        self.assertEqual([run["state"] for run in self.runs()], ["done", "interrupted"])

    def test_who_looks_sees_how_far_a_run_is(self):
        self.configure("  slow: {sources: [slow]}\n",
                       sources="  slow: {kind: command, run: [sh, -c, \"head -c 30000000 /dev/urandom; exec sleep 600\"]}\n")
        self.init()
        child = self.start("run", "slow")

        def progress():
            running = self.runs("--state", "running") if self.ledger.exists() else []
            return running[0]["progress"] if running else {"bytes": 0}
        wait_until(lambda: progress()["bytes"] >= 1_000_000, timeout=60)
        self.assertEqual(progress()["what"], "slow")
        self.assertIn("slow", self.holdfast("runs", "--state", "running").text)
        self.holdfast("runs", self.run_of("slow")["run"], "--stop")
        child.communicate(timeout=60)
        self.assertEqual(self.run_of("slow")["progress"]["bytes"], 0)

    def test_a_run_is_stopped_by_its_id(self):
        self.configure("  slow: {sources: [slow]}\n",
                       sources="  slow: {kind: command, run: [sh, -c, \"echo 1; exec sleep 600\"]}\n")
        self.init()
        child = self.start("run", "slow")
        wait_until(lambda: self.ledger.exists() and self.runs("--state", "running"), timeout=60)
        self.holdfast("runs", self.run_of("slow")["run"], "--stop")
        child.communicate(timeout=60)
        self.assertEqual(self.run_of("slow")["state"], "failed")
        self.assertEqual(self.run_of("slow")["code"], "terminated")


class Stopped(Jobs):
    """SIGTERM in each phase of a run: it ends as one that was ended, and leaves everything whole."""

    def stopped(self, job, until, kept):
        child = self.start("--limit-upload", "40K", "--limit-download", "10K", "run", job, stderr=open(self.folder / "said", "wb"))
        wait_until(lambda: until((self.folder / "said").read_text()), timeout=120)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(60), 143, (self.folder / "said").read_text())
        run = self.run_of(job)
        self.assertEqual((run["state"], run["code"]), ("failed", "terminated"), run)
        self.assertEqual(len(self.holdfast("-r", "main", "snapshots", "--json").document()["snapshots"]), kept)
        self.holdfast("-r", "main", "check", "--read-data")
        shown = [run for run in self.runs("--state", "running")]
        self.assertEqual(shown, [])

    def marked(self):
        return lambda said: (self.folder / "marker").exists()

    def hang(self):
        return f'"touch {self.folder}/marker; sleep 600"'

    def test_in_a_hook_before(self):
        self.configure(f"  nightly: {{sources: [tree], hooks: {{before: [{self.hang()}]}}}}\n")
        self.init()
        self.stopped("nightly", self.marked(), kept=0)

    def test_in_a_hook_after(self):
        self.configure(f"  nightly: {{sources: [tree], hooks: {{after: [{self.hang()}]}}}}\n")
        self.init()
        self.stopped("nightly", self.marked(), kept=1)

    def test_while_it_copies(self):
        (self.tree / "noise").write_bytes(noise(1, 200_000))
        self.configure("  nightly: {sources: [tree], copies: [offsite]}\n",
                       repositories=f"  offsite: {{url: {self.folder}/offsite, replica_of: main, "
                                    f'unlock: {{keyfile: "file:{self.key}"}}}}\n')
        self.init()
        self.holdfast("-r", "offsite", "init")
        self.stopped("nightly", lambda said: "main copy" in said, kept=1)
        self.holdfast("run", "nightly")
        self.holdfast("-r", "offsite", "check", "--read-data")

    def test_in_a_proof(self):
        self.configure("  nightly: {sources: [tree]}\n  proof: {prove: {level: V4}, sources: [tree]}\n")
        self.config.write_text(self.config.read_text().replace(
            f"paths: [{self.tree}]", f"paths: [{self.tree}], checks: [{{exec: [sleep, '600']}}]"))
        self.init()
        self.holdfast("run", "nightly")
        self.stopped("proof", lambda said: "main prove" in said, kept=1)

    def test_while_it_forgets_prunes_checks_or_exports(self):
        server = RedisServer()
        self.addCleanup(server.remove)
        server.send([["SET", f"key {number}", noise(number, 2000).hex()] for number in range(100)])
        (self.tree / "kept").write_bytes(noise("kept", 300_000))
        self.configure("  nightly: {sources: [tree, cache], retention: {last: 1}}\n  expire: {forget: {}}\n"
                       "  collect: {prune: {}}\n  scrub: {check: {read_data: true}}\n"
                       f'  dumps: {{export: {{source: cache, as: [rdb], to: "{self.folder}/dumps"}}}}\n',
                       sources=f"  cache: {{kind: redis, host: 127.0.0.1, port: {server.port}}}\n")
        self.init()
        for number in range(2):
            (self.tree / "changed").write_bytes(noise(number, 300_000))
            self.holdfast("run", "nightly")
        for job, verb, kept in (("expire", "forget", 4), ("collect", "prune", 2), ("scrub", "check", 2), ("dumps", "export", 2)):
            self.stopped(job, lambda said, verb=verb: f"main {verb}" in said, kept=kept)
            self.holdfast("run", job)
        self.assertEqual(len(list((self.folder / "dumps").iterdir())), 1)
        self.holdfast("-r", "main", "check", "--read-data")

    def test_in_a_hook_of_a_failure(self):
        self.configure(f"  bad: {{sources: [broken], hooks: {{on_failure: [{self.hang()}]}}}}\n",
                       sources='  broken: {kind: command, run: ["false"]}\n')
        self.init()
        child = self.start("run", "bad")
        wait_until(lambda: (self.folder / "marker").exists(), timeout=60)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(60), 15)
        self.assertEqual((self.run_of("bad")["state"], self.run_of("bad")["code"]), ("failed", "source_failed"))


class ByPassphrase(Jobs):
    """What one step of a run took out of the environment, the next ones and its record find."""

    def setUp(self):
        super().setUp()
        self.environment.pop("HOLDFAST_KEY_FILE")

    def runs_whole(self, unlock):
        other = self.folder / "other"
        other.mkdir()
        (other / "file").write_text("content of the other")
        self.configure(f"  nightly: {{sources: [tree, other], repository: main, copies: [offsite], retention: {{last: 1}}}}\n"
                       "  proof: {prove: {level: V3}, repository: main, sources: [tree, other]}\n"
                       "  expire: {forget: {}, repository: main}\n",
                       sources=f"  other: {{kind: files, paths: [{other}]}}\n",
                       repositories=f"  offsite: {{url: {self.folder}/offsite, replica_of: main, {unlock}}}\n")
        self.config.write_text(self.config.read_text().replace(f"{{url: {self.repo}}}", f"{{url: {self.repo}, {unlock}}}"))
        self.init()
        self.holdfast("-r", "offsite", "init", "--like", "main")
        for _ in range(2):
            self.assertNotIn("not recorded", self.holdfast("run", "nightly").errors)
        self.holdfast("run", "proof")
        self.holdfast("run", "expire")
        self.holdfast("-r", "main", "backup", "tree")
        self.assertEqual([len(each["outcomes"]) for each in self.runs("--job", "proof")], [2])
        before = sorted((run["run"], run["verb"], run["state"]) for run in self.runs())
        self.assertEqual(len(before), 5)
        shutil.rmtree(self.ledger.parent)
        self.holdfast("ledger", "rebuild")
        self.assertEqual(sorted((run["run"], run["verb"], run["state"]) for run in self.runs()), before)

    def test_of_the_environment(self):
        self.environment.update(HOLDFAST_PASSWORD="correct horse", OFFSITE="correct horse")
        self.runs_whole('unlock: {passphrase: "env:OFFSITE"}')

    def test_of_a_variable_that_the_configuration_names(self):
        self.environment["MY_PASSWORD"] = "correct horse"
        self.runs_whole('unlock: {passphrase: "env:MY_PASSWORD"}')


class OtherKinds(Jobs):
    """Jobs that export, forget, prune and check."""

    def setUp(self):
        super().setUp()
        self.environment.pop("HOLDFAST_KEY_FILE")
        self.environment["HOLDFAST_PASSWORD"] = "correct horse"
        self.server = postgres_server()
        for name in self.server.databases():
            if name != "postgres":
                self.server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        self.server.sql("CREATE DATABASE shop")
        self.server.sql("CREATE TABLE users AS SELECT n FROM generate_series(1, 500) n", "shop")
        self.dumps = self.folder / "dumps"

    def configure_exports(self, to, keep="30d"):
        self.configure("  nightly: {sources: [shop, tree], retention: {last: 1}}\n"
                       f'  dumps: {{export: {{source: shop, as: [custom, sql.gz], to: "{to}", keep: {keep}}}}}\n'
                       "  expire: {forget: {}}\n  collect: {prune: {}}\n  scrub: {check: {read_data: true}}\n",
                       sources=f'  shop: {{kind: postgres, host: "{self.server.folder}", port: {self.server.port}, '
                               "user: postgres, database: shop}\n")
        self.init()
        self.holdfast("run", "nightly")

    def files(self):
        return sorted(path for path in self.dumps.rglob("*") if path.is_file())

    def wait_for_the_next_name(self):
        """Dumps are named by the second in which their run began."""
        ended = int(time.time())
        wait_until(lambda: int(time.time()) > ended, timeout=10)

    def test_dumps_are_made_and_old_ones_go(self):
        self.configure_exports(f"{self.dumps}/shop-{{date}}")
        old = self.dumps / "shop-2020-01-01" / "shop-2020-01-01-020000.dump"
        others = [self.dumps / "notes-2020-01-01-020000.txt",
                  self.dumps / "shop-2020-01-01" / "shop-2020-01-01-020000.sql",  # no format of this job
                  self.dumps / "monthly" / "shop-2020-01-01" / "shop-2020-01-01-020000.dump"]
        for path in (old, *others):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        done = self.holdfast("run", "dumps")
        self.assertIn(f"removed the old dump {old}", done.errors)
        self.assertFalse(old.exists())
        custom, sql = [path for path in self.files() if path not in others]
        self.server.sql("CREATE DATABASE from_dump")
        self.server.run("pg_restore", "--exit-on-error", "-d", "from_dump", str(custom))
        self.server.sql("CREATE DATABASE from_sql")
        self.server.sql(gzip.decompress(sql.read_bytes()).decode(), "from_sql")
        for database in ("from_dump", "from_sql"):
            self.assertEqual(self.server.sql("SELECT count(*) FROM users", database), "500")
        self.wait_for_the_next_name()
        self.holdfast("run", "dumps")
        self.assertEqual(len(self.files()), 4 + len(others))
        self.assertTrue(all(path.exists() for path in others))

    def test_a_rehearsal_restores_to_an_environment_again_and_again(self):
        there = postgres_server("second")
        there.sql('DROP DATABASE IF EXISTS shop WITH (FORCE)')
        self.configure_exports(self.dumps)
        with self.config.open("a") as config:
            config.write("  rehearsal: {prove: {to: staging}}\n"
                         f"environments:\n  staging: {{shop: \"{there.url()}\", tree: {self.folder}/staging}}\n")
        for rows in (500, 501):
            self.holdfast("run", "rehearsal")
            self.assertEqual(there.sql("SELECT count(*) FROM users", "shop"), str(rows))
            self.assertEqual((self.folder / "staging" / str(self.tree)[1:] / "file").read_text(), "content")
            self.assertEqual({each["source"]: each["result"] for each in self.run_of("rehearsal")["outcomes"]},
                             {"shop": "ok", "tree": "ok"})
            self.server.sql("INSERT INTO users VALUES (501)", "shop")
            self.holdfast("run", "nightly")
        self.assertEqual(self.holdfast("-r", "main", "restore", "latest", "--source", "shop", "--plan",
                                       "--json").document()["recovery"]["count"], 2)

    def test_by_a_clock_that_jumped_no_dump_goes(self):
        self.configure_exports(f"{self.dumps}/{{date}}")
        self.holdfast("run", "dumps")
        old = self.dumps / "2020-01-01" / "shop-2020-01-01-020000.dump"
        old.parent.mkdir()
        old.write_text("")
        mark, = self.home.rglob("clock")
        boot, steady, wall = mark.read_text().split()
        mark.write_text(f"{boot} {steady} {int(wall) - 30 * 86400 * 10**9}\n")
        self.wait_for_the_next_name()
        done = self.holdfast("run", "dumps", code=3)
        self.assertIn("it was put forward by 30 d", done.errors)
        self.assertTrue(old.exists())
        self.assertEqual(self.run_of("dumps")["state"], "partial")
        self.assertEqual(len(self.files()), 5)

    def test_dumps_of_mongodb_and_redis(self):
        redis, mongo = RedisServer(), mongo_server("first")
        self.addCleanup(redis.remove)
        redis.send([["SET", "key", "value"]])
        mongo.clear()
        mongo.mongo.insert("shop", "orders", {"_id": 1, "total": 5})
        self.configure("  nightly: {sources: [cache, orders]}\n"
                       f'  rdb: {{export: {{source: cache, as: [rdb, rdb.gz], to: "{self.dumps}/redis"}}}}\n'
                       f'  archive: {{export: {{source: orders, as: [archive, archive.gz], to: "{self.dumps}/mongodb"}}}}\n',
                       sources=f"  cache: {{kind: redis, host: 127.0.0.1, port: {redis.port}}}\n"
                               f"  orders: {{kind: mongodb, url: \"{mongo.url()}\", database: shop}}\n")
        self.init()
        for job in ("nightly", "rdb", "archive"):
            self.holdfast("run", job)
        archive, packed_archive, rdb, packed_rdb = self.files()
        subprocess.run(["redis-check-rdb", rdb], check=True, capture_output=True)
        self.assertEqual(gzip.decompress(packed_rdb.read_bytes())[:5], b"REDIS")
        self.assertEqual(gzip.decompress(packed_archive.read_bytes())[:4], archive.read_bytes()[:4])
        self.holdfast("-r", "main", "import", archive, "--source", "again")
        self.assertIn("again", {each["source"] for each in self.holdfast("-r", "main", "snapshots", "--json").document()["snapshots"]})

    def test_forget_prune_and_check_run_as_jobs(self):
        self.configure_exports(self.dumps)
        (self.tree / "file").write_bytes(noise("more", 200_000))
        self.holdfast("run", "nightly")
        self.assertEqual(len(self.holdfast("-r", "main", "snapshots", "--json").document()["snapshots"]), 4)
        for job, verb in (("expire", "forget"), ("collect", "prune"), ("scrub", "check")):
            self.holdfast("run", job)
            run = self.run_of(job)
            self.assertEqual((run["verb"], run["state"]), (verb, "done"))
        self.assertEqual(len(self.holdfast("-r", "main", "snapshots", "--json").document()["snapshots"]), 2)
        pack = self.objects("data")[0]
        pack.chmod(0o600)
        pack.write_bytes(bytes(byte ^ 0xFF for byte in pack.read_bytes()))
        self.holdfast("run", "scrub", code=13)
        self.assertEqual((self.run_of("scrub")["state"], self.run_of("scrub")["code"]), ("failed", "corrupt"))


class Reports(Jobs):
    def summary(self, code):
        return {line["component"]: line["result"]
                for line in self.holdfast("report", "proof", "--json", code=code).document()["summary"]}

    def test_the_validation_report_tells_passed_failed_and_not_tested(self):
        self.configure("  nightly: {sources: [tree]}\n  proof: {prove: {level: V3}, sources: [tree]}\n")
        self.init()
        self.assertEqual(self.summary(3), {"File Backup": "NOT TESTED", "Backup Jobs": "NOT TESTED"})
        self.holdfast("run", "nightly")
        self.holdfast("run", "proof")
        self.assertEqual(self.summary(0), {"File Backup": "PASS", "Backup Jobs": "PASS"})
        text = self.holdfast("report", "proof").text
        self.assertTrue(text.startswith("Backup Validation Report\n========================\nDate: "), text)
        self.assertIn("\nValidation Namespace: ", text)
        self.assertIn("\nSummary:\n- File Backup: PASS\n- Backup Jobs: PASS\n", text)
        self.assertIn("<li>File Backup: PASS</li>", self.holdfast("report", "proof", "--format", "html").text)
        for pack in self.objects("data"):
            pack.chmod(0o600)
            pack.write_bytes(bytes(byte ^ 0xFF for byte in pack.read_bytes()))
        self.holdfast("run", "proof", code=13)
        self.assertEqual(self.summary(13), {"File Backup": "FAIL", "Backup Jobs": "FAIL"})

    def test_a_later_lower_proof_takes_nothing_from_the_report(self):
        self.configure("  nightly: {sources: [tree]}\n  proof: {prove: {level: V3}, sources: [tree]}\n"
                       "  look: {prove: {level: V1}, sources: [tree]}\n")
        self.init()
        for job in ("nightly", "proof", "look"):
            self.holdfast("run", job)
        self.assertEqual(self.summary(0)["File Backup"], "PASS")

    def test_what_a_budget_left_for_the_next_proof_is_no_failure_and_what_took_too_long_is(self):
        other = self.folder / "other"
        other.mkdir()
        (other / "file").write_text("7 bytes")
        for number in range(500):
            (other / str(number)).touch()  # takes more than a millisecond to bring back
        self.configure("  nightly: {sources: [tree, other]}\n"
                       "  proof: {prove: {level: V3, budget: {bytes: 10}}, schedule: \"@daily\"}\n",
                       sources=f"  other: {{kind: files, paths: [{other}], component: Configuration, "
                               "objectives: {rto: 1h}, criticality: critical}\n")
        self.init()
        self.holdfast("run", "nightly")
        self.holdfast("run", "proof", code=3)
        self.assertEqual(self.summary(3), {"File Backup": "PASS", "Configuration Backup": "NOT TESTED", "Backup Jobs": "PASS"})
        self.holdfast("run", "proof", code=3)
        self.assertEqual(self.summary(0), {"File Backup": "PASS", "Configuration Backup": "PASS", "Backup Jobs": "PASS"})
        self.assertFalse(self.holdfast("jobs", "--json").document()["jobs"][1]["overdue"])
        lint = lambda code: {each["rule"] for each in self.holdfast("config", "lint", "--json", code=code).document()["findings"]}
        self.assertTrue({"rto-missed", "rto-unknown"}.isdisjoint(lint(3)))
        self.config.write_text(self.config.read_text().replace("rto: 1h", "rto: 1ms"))
        self.assertIn("rto-missed", lint(1))
        self.assertEqual(self.summary(13)["Configuration Backup"], "FAIL")
        told = self.holdfast("report", "proof", code=13).text
        self.assertIn("other: took", told)
        self.assertIn("Configuration Backup: FAIL, critical", told)
        copies = self.holdfast("report", "inventory", "--json").document()["sources"]
        self.assertEqual([(each["source"], each["criticality"]) for each in copies], [("other", "critical"), ("tree", "normal")])

    def test_proofs_that_test_nothing_are_no_success_of_their_job(self):
        self.configure("  nightly: {sources: [tree]}\n  proof: {prove: {level: V4}, sources: [tree], schedule: \"@daily\"}\n")
        config = self.config.read_text()
        self.config.write_text(config.replace("sources:\n  tree: {", "sources:\n  tree: {checks: [{exec: [there-is-none]}], "))
        self.init()
        self.holdfast("run", "nightly")
        self.holdfast("run", "proof", code=3)
        self.assertEqual([each["result"] for each in self.run_of("proof")["outcomes"]], ["not_tested"])
        self.assertEqual(self.summary(13)["Backup Jobs"], "FAIL")
        self.assertTrue(self.holdfast("jobs", "--json").document()["jobs"][1]["overdue"])
        self.config.write_text(config)
        self.holdfast("run", "proof")
        self.assertEqual(self.summary(0)["Backup Jobs"], "PASS")
        self.assertFalse(self.holdfast("jobs", "--json").document()["jobs"][1]["overdue"])

    def test_failures_come_back_too_also_those_that_waited_for_the_repository(self):
        flag = self.folder / "flag"
        self.configure("  nightly: {sources: [flaky]}\n",
                       sources=f"  flaky: {{kind: command, run: [sh, -c, \"[ -e {flag} ] && echo 1\"]}}\n")
        self.init()
        self.holdfast("run", "nightly", code=15)  # no snapshot is there that could carry it
        before = self.told()
        self.lose_ledger()
        self.assertEqual([run[:6] for run in self.told()], [run[:6] for run in before])
        self.holdfast("-r", "main", "check")
        flag.touch()
        self.repo.rename(self.folder / "away")
        self.holdfast("run", "nightly", code=10)
        (self.folder / "away").rename(self.repo)
        self.holdfast("run", "nightly")
        flag.unlink()
        self.holdfast("run", "nightly", code=15)
        told = [(run["run"], run["job"], run["state"], run["code"]) for run in self.runs() if run["state"] == "failed"]
        self.assertEqual(len(told), 3)
        shutil.rmtree(self.ledger.parent)
        self.holdfast("ledger", "rebuild")
        back = [(run["run"], run["job"], run["state"], run["code"]) for run in self.runs() if run["state"] == "failed"]
        self.assertEqual(sorted(back), sorted(told))

    def test_an_unknown_format_is_refused(self):
        self.configure("")
        self.fails(2, "report", "proof", "--format", "htlm", hints="Did you mean `html`?")

    def told(self):
        """What the ledger says of each run, less where it ran."""
        return sorted((run["run"], run["verb"], run["job"] or "", run["state"], run["code"], run["error"], run["due"],
                       run["ended"], run["attempt"], run["repository"], json.dumps(run["outcomes"], sort_keys=True))
                      for run in self.runs())

    def lose_ledger(self):
        shutil.rmtree(self.ledger.parent)
        self.holdfast("ledger", "rebuild")

    def test_every_kind_of_run_comes_back_into_a_lost_ledger(self):
        self.configure("  nightly: {repository: main, sources: [tree], retention: {last: 9}}\n"
                       "  proof: {prove: {level: V3}, repository: main, sources: [tree]}\n"
                       "  expire: {forget: {}, repository: main}\n"
                       "  slow: {repository: main, sources: [slow]}\n",
                       sources="  slow: {kind: command, run: [sh, -c, \"echo 1; exec sleep 600\"]}\n",
                       repositories=self.offsite())
        self.init()
        self.holdfast("-r", "offsite", "init")
        for job in ("nightly", "proof", "expire"):
            self.holdfast("run", job)
        main = ("-r", "main")
        second = self.holdfast(*main, "backup", "tree", "--json").lines()[-1]["snapshots"][0]
        for words in (("check",), ("forget", second), ("prune",), ("copy", "--to", "offsite"),
                      ("key", "add", "--label", "other", "--new-key-file", self.other_key()),
                      ("restore", "latest", "--to", self.folder / "back")):
            self.holdfast("-r", str(self.repo), *words)
        self.fails(1, *main, "restore", "0123456789", "--to", self.folder / "other")
        child = self.start("run", "slow", start_new_session=True)
        wait_until(lambda: self.runs("--state", "running"), timeout=60)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        self.start("run", "slow", start_new_session=True)  # finds the one before interrupted
        wait_until(lambda: self.runs("--state", "running"), timeout=60)
        self.holdfast("runs", self.run_of("slow")["run"], "--stop")
        wait_until(lambda: not self.runs("--state", "running"), timeout=60)
        self.holdfast(*main, "check")
        before = self.told()
        self.assertEqual({run[1] + " " + run[3] for run in before},
                         {"backup done", "prove done", "forget done", "check done", "prune done", "copy done", "key add done",
                          "restore done", "restore failed", "backup interrupted", "backup failed"})
        self.assertEqual({run[9] for run in before}, {"main"})
        self.lose_ledger()
        self.assertEqual(self.told(), before)
        self.assertIn("0 runs came back", self.holdfast("ledger", "rebuild").errors)
        self.assertEqual(self.summary(13)["File Backup"], "PASS")

    def other_key(self):
        path = self.folder / "other-key"
        path.write_bytes(b"another key file of thirty-two bytes or more")
        return path

    def test_what_was_made_without_a_ledger_comes_back_too(self):
        self.configure("", service=False)
        self.init()
        self.holdfast("backup", "tree")
        self.holdfast("prove", "latest", "--level", "V3")
        self.holdfast("restore", "latest", "--to", self.folder / "back")
        self.configure("  nightly: {sources: [tree]}\n")
        self.assertIn("3 runs came back", self.holdfast("ledger", "rebuild").errors)
        self.assertEqual(sorted(run["verb"] for run in self.runs()), ["backup", "prove", "restore"])
        for run in self.runs():
            if run["verb"] != "backup":
                self.assertGreater(run["outcomes"][0]["restore_seconds"], 0)
        self.assertEqual(self.summary(3)["File Backup"], "PASS")


if __name__ == "__main__":
    main()
