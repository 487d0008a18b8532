"""Jobs run by themselves and by hand, are recorded whatever becomes of them, and are told of truthfully."""

import json
import os
import pathlib
import re
import signal
import shutil
import sqlite3
import subprocess
import time

from harness import PROGRAM, Case, RedisServer, main
from harness import wait_until as wait_for
from kube_server import KubeServer
from mongo_server import mongo_server

# A minute of the schedule, a slow machine, and a little.
UNTIL_DUE = 150


def wait_until(condition, timeout):
    """As the harness does, but each look costs a process."""
    def look():
        time.sleep(0.2)
        return condition()
    wait_for(look, condition, timeout)


class Jobs(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        (self.tree / "file").write_text("content")
        self.environment.pop("HOLDFAST_REPO")
        self.environment["HOLDFAST_SANDBOX"] = str(self.folder / "sandboxes")
        self.config = self.folder / "holdfast.yaml"
        self.ledger = self.folder / "state" / "ledger.db"

    def configure(self, jobs, sources="", repositories="", service=True):
        self.config.write_text(
            "version: 1\n"
            f"repositories:\n  main: {{url: {self.repo}}}\n{repositories}"
            f"sources:\n  tree: {{kind: files, paths: [{self.tree}]}}\n{sources}"
            + (f"service: {{ledger: \"sqlite:{self.ledger}\"}}\n" if service else "")
            + (f"jobs:\n{jobs}" if jobs else ""))

    def init(self):
        self.holdfast("-r", "main", "init")

    def runs(self, *args):
        return self.holdfast("runs", "--json", *args).document()["runs"]

    def run_of(self, job):
        found = self.runs("--job", job)
        self.assertTrue(found, f"no run of {job}")
        return found[0]


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
        self.assertEqual([point["copies"] for point in points], [["main"], ["main", "offsite"]])

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

    def test_failures_come_back_too_also_those_that_waited_for_the_repository(self):
        flag = self.folder / "flag"
        self.configure("  nightly: {sources: [flaky]}\n",
                       sources=f"  flaky: {{kind: command, run: [sh, -c, \"[ -e {flag} ] && echo 1\"]}}\n")
        self.init()
        self.holdfast("run", "nightly", code=15)  # no snapshot is there that could carry it
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

    def test_the_ledger_comes_back_from_the_repository(self):
        self.configure("  nightly: {sources: [tree]}\n")
        self.init()
        self.holdfast("run", "nightly")
        self.holdfast("prove", "latest", "--level", "V3")
        self.holdfast("restore", "latest", "--to", self.folder / "back")
        before = [(run["verb"], run["job"], run["state"], run["outcomes"][0]["snapshot"]) for run in self.runs()]
        self.assertIn("0 runs came back", self.holdfast("ledger", "rebuild").errors)
        shutil.rmtree(self.ledger.parent)
        self.assertIn("3 runs came back", self.holdfast("ledger", "rebuild").errors)
        after = [(run["verb"], run["job"], run["state"], run["outcomes"][0]["snapshot"]) for run in self.runs()]
        self.assertEqual(sorted(before, key=str), sorted(after, key=str))
        self.assertEqual(self.summary(0), {"File Backup": "PASS", "Backup Jobs": "PASS"})


class Daemon(Jobs):
    def serve(self):
        self.daemon = self.start("serve", stderr=open(self.folder / "daemon.log", "ab"))
        wait_until(lambda: "serving" in self.said(), timeout=60)

    def said(self):
        return (self.folder / "daemon.log").read_text()

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(120), 0, self.said())

    def state(self, job):
        found = self.runs("--job", job)
        return found[-1]["state"] if found else None

    def test_scheduled_jobs_run_fail_are_retried_time_out_and_follow_each_other(self):
        marker = self.folder / "marker"
        self.configure(
            '  good: {sources: [tree], schedule: "* * * * *"}\n'
            '  flaky: {sources: [flaky], schedule: "* * * * *", on_failure: {retry: 2, backoff: 1s}}\n'
            '  endless: {sources: [endless], schedule: "* * * * *", timeout: 3s}\n'
            '  proof: {prove: {level: V3}, sources: [tree], after: [good]}\n',
            sources=f"  flaky: {{kind: command, run: [sh, -c, \"cat {marker} || {{ touch {marker}; exit 1; }}; echo 1\"]}}\n"
                    "  endless: {kind: command, run: [sh, -c, \"echo 1; exec sleep 600\"]}\n")
        self.init()
        self.serve()
        wait_until(lambda: self.state("proof") == "done" and self.state("endless") == "failed" and
                   len(self.runs("--job", "flaky")) >= 2 and self.runs("--job", "flaky")[-2]["state"] == "done",
                   timeout=UNTIL_DUE)
        flaky = self.runs("--job", "flaky")[::-1]
        self.assertEqual([(run["state"], run["attempt"]) for run in flaky[:2]], [("failed", 1), ("done", 2)])
        self.assertEqual(flaky[0]["due"], flaky[1]["due"])
        endless = self.runs("--job", "endless")[-1]
        self.assertEqual(endless["error"], "it took longer than its timeout of 3.0 s")
        good = self.runs("--job", "good")[-1]
        self.assertTrue(good["due"].endswith(":00Z"))
        self.stop()
        self.assertEqual([run for run in self.runs() if run["state"] == "running"], [])

    def test_a_killed_daemon_and_its_run_are_taken_up_again(self):
        go = self.folder / "go"
        self.configure(
            '  slow: {sources: [slow], schedule: "* * * * *", on_failure: {retry: 1, backoff: 1s}}\n',
            sources=f"  slow: {{kind: command, run: [sh, -c, \"echo 1; [ -e {go} ] || exec sleep 600\"]}}\n")
        self.init()
        self.serve()
        wait_until(lambda: self.state("slow") == "running", timeout=UNTIL_DUE)
        first = self.runs("--job", "slow")[-1]
        self.daemon.kill()
        self.daemon.wait()
        with sqlite3.connect(self.ledger) as database:
            holder = database.execute("SELECT holder FROM runs WHERE id = ?", (first["run"],)).fetchone()[0]
        os.kill(int(holder.split()[3]), signal.SIGKILL)
        go.touch()
        self.serve()
        wait_until(lambda: [run for run in self.runs("--job", "slow")
                            if run["due"] == first["due"] and run["state"] == "done"], timeout=UNTIL_DUE)
        tries = [(run["attempt"], run["state"]) for run in self.runs("--job", "slow") if run["due"] == first["due"]]
        self.assertEqual(sorted(tries), [(1, "interrupted"), (2, "done")])
        self.stop()

    def test_a_follower_is_kept_running_and_its_exposure_is_told(self):
        server = RedisServer()
        self.addCleanup(server.remove)
        self.configure("", sources=f"  cache: {{kind: redis, host: 127.0.0.1, port: {server.port}, follow: true, "
                                   "objectives: {rpo: 5m}}\n")
        self.init()

        def reach():
            found = self.holdfast("jobs", "--json").document()["followers"]
            return found[0] if found else {}

        self.serve()
        wait_until(lambda: reach().get("reached"), timeout=60)
        self.assertEqual((reach()["source"], reach()["state"], reach()["exceeded"]), ("cache", "following", False))
        begun = reach()["reached"]
        wait_until(lambda: reach()["reached"] > begun, timeout=60)  # also of a source in which nothing happens
        self.assertIn("exposed of 5 min allowed", self.holdfast("jobs").text)
        child = subprocess.run(["pgrep", "-P", str(self.daemon.pid)], capture_output=True, check=True).stdout
        os.kill(int(child), signal.SIGKILL)
        wait_until(lambda: reach()["restarts"] == 1 and reach()["state"] == "following", timeout=60)
        before = reach()["reached"]
        server.send([["SET", "after", "the restart"]])
        wait_until(lambda: reach()["reached"] > before, timeout=120)
        windows = self.holdfast("windows", "cache", "--json").document()["windows"]
        self.assertEqual(len(windows), 1, "a restart of the follower leaves no gap")
        self.stop()
        self.assertEqual(reach()["state"], "stopped")

    def test_the_configuration_is_read_again_and_a_wrong_one_is_not_used(self):
        self.configure('  one: {sources: [tree], schedule: "0 2 * * *"}\n')
        self.init()
        self.serve()
        good = self.config.read_text()
        self.config.write_text(good + "  two: {sources: [tree], shedule: x}\n")
        wait_until(lambda: "the configuration from before stays in use" in self.said(), timeout=60)
        self.config.write_text(good + '  two: {sources: [tree], schedule: "* * * * *"}\n')
        self.daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: "was read again" in self.said(), timeout=60)
        wait_until(lambda: self.state("two") == "done", timeout=UNTIL_DUE)
        self.stop()

    def test_a_stop_ends_what_runs(self):
        self.configure('  slow: {sources: [slow], schedule: "* * * * *"}\n',
                       sources="  slow: {kind: command, run: [sh, -c, \"echo 1; exec sleep 600\"]}\n")
        self.init()
        self.serve()
        wait_until(lambda: self.state("slow") == "running", timeout=UNTIL_DUE)
        self.stop()
        run = self.runs("--job", "slow")[-1]
        self.assertEqual((run["state"], run["error"]), ("failed", "the daemon was stopped"))

    def test_serve_needs_a_configuration(self):
        self.fails(2, "serve", says="needs a configuration file")


class Deploy(Jobs):
    def test_systemd_takes_the_units(self):
        self.configure('  nightly: {sources: [tree], schedule: "0 2 * * *", timezone: Europe/Berlin, timeout: 2h}\n'
                       '  monday: {prove: {level: V3}, schedule: "30 4 * * 1#1", jitter: 10m}\n'
                       '  last: {check: {}, schedule: "0 5 L * *"}\n')
        for words in ([], ["--timers"]):
            units = self.folder / ("units" + "".join(words))
            self.holdfast("-c", self.config, "deploy", "systemd", "--program", PROGRAM, "--to", units, *words)
            files = sorted(units.iterdir())
            self.assertEqual(len(files), 6 if words else 1)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *files], capture_output=True, check=False,
                                  env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{units}:"})
            self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        timer = (self.folder / "units--timers" / "holdfast-monday.timer").read_text()
        line = re.search(r"OnCalendar=(.*)", timer).group(1)
        self.assertEqual(line, "Mon *-*-01..07 04:30:00 UTC")
        subprocess.run(["systemd-analyze", "calendar", line], check=True, capture_output=True)

    def test_kubernetes_gets_cron_jobs(self):
        self.configure('  mongodb-backup: {sources: [tree], schedule: "@daily", on_failure: {retry: 2, backoff: 5m}}\n')
        text = self.holdfast("deploy", "kubernetes", "--image", "example/holdfast:1").text
        for part in ("kind: CronJob", "name: mongodb-backup", 'schedule: "0 0 * * *"', "concurrencyPolicy: Forbid",
                     "runAsNonRoot: true", "readOnlyRootFilesystem: true", "secretKeyRef", "backoffLimit: 2"):
            self.assertIn(part, text)
        self.configure('  odd: {sources: [tree], schedule: "0 4 * * 1#1"}\n')
        self.fails(2, "deploy", "kubernetes", "--image", "x", says="which a CronJob does not understand")

    def test_a_cluster_would_take_what_is_deployed(self):
        examples = pathlib.Path(__file__).resolve().parents[2] / "examples"
        server = KubeServer()
        self.addCleanup(server.remove)
        for config in sorted(examples.glob("*/holdfast.yaml")):
            done = self.holdfast("-c", config, "deploy", "kubernetes", "--image", "example/holdfast:1")
            made = server.dry_run(done.text)
            jobs = {each["metadata"]["name"]: each["spec"] for each in made if each["kind"] == "CronJob"}
            self.assertEqual([each["kind"] for each in made[:1]], ["ConfigMap"])
            self.assertEqual(made[0]["data"]["holdfast.yaml"], config.read_text())
            self.assertGreater(len(jobs), 2)
            for spec in jobs.values():
                pod = spec["jobTemplate"]["spec"]["template"]["spec"]
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                self.assertTrue(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"])
            if config.parent.name == "002":
                self.assertEqual((jobs["mongodb-backup"]["schedule"], jobs["mongodb-backup"]["concurrencyPolicy"]),
                                 ("0 1 * * *", "Forbid"))
                self.assertIn("job collect runs after expire", done.errors)
        with self.assertRaisesRegex(AssertionError, "unknown field"):
            server.dry_run(done.text.replace("concurrencyPolicy", "concurrencyPolice"))

    def test_the_entry_point_takes_the_variables_of_a_plan(self):
        server = mongo_server("first")
        server.clear()
        server.mongo.insert("shop", "orders", {"_id": 1})
        image = self.folder / "image"
        self.holdfast("deploy", "container", "--to", image)
        subprocess.run(["shellcheck", image / "entrypoint.sh"], check=True)
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "holdfast").symlink_to(PROGRAM)
        bucket = self.folder / "backups"
        environment = {**self.environment, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "MONGODB_URI": server.url(),
                       "BACKUP_BUCKET": str(bucket), "BACKUP_PATH": "mongodb/daily/$(date +%Y-%m-%d)", "RETENTION_DAYS": "30"}
        for _ in range(2):
            subprocess.run([image / "entrypoint.sh"], env=environment, check=True, capture_output=True)
        kept = subprocess.run([image / "entrypoint.sh", "-r", bucket / "mongodb/daily", "snapshots", "--json"], env=environment,
                              check=True, capture_output=True)
        self.assertEqual([each["source"] for each in json.loads(kept.stdout)["snapshots"]], ["mongodb", "mongodb"])
        done = subprocess.run([image / "entrypoint.sh"], env={**environment, "MONGODB_URI": ""}, check=False, capture_output=True)
        self.assertIn(b"MONGODB_URI", done.stderr)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
