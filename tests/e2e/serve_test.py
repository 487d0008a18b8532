"""The daemon runs what is due, whatever happens to it, and stands where people deploy it."""

import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import time

from harness import PROGRAM, PostgresServer, RedisServer, main
from jobs_case import Jobs, wait_until
from kube_server import KubeServer
from mongo_server import mongo_server

# A minute of the schedule, a slow machine, and a little.
UNTIL_DUE = 150


class Daemon(Jobs):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.tell)

    def tell(self):
        failed = [case for case, _ in self._outcome.result.failures + self._outcome.result.errors]
        if self in failed and (self.folder / "daemon.log").exists():
            print("the daemon said:", self.said()[-4000:], "the runs:",
                  *[{key: run[key] for key in ("job", "state", "due", "attempt", "started", "ended", "error")}
                    for run in self.runs()], sep="\n", flush=True)

    def serve(self):
        self.daemon = self.start("serve", stderr=open(self.folder / "daemon.log", "ab"))
        wait_until(lambda: "serving" in self.said(), timeout=60)

    def said(self):
        return (self.folder / "daemon.log").read_text()

    def stop(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(120), 0, self.said())

    def recorded(self, job):
        return [run["state"] for run in self.runs("--job", job)]

    def state(self, job):
        found = self.runs("--job", job)
        return found[-1]["state"] if found else None

    def test_scheduled_jobs_run_fail_are_retried_time_out_and_follow_each_other(self):
        marker = self.folder / "marker"
        self.environment.pop("HOLDFAST_KEY_FILE")
        self.environment["HOLDFAST_PASSWORD"] = "correct horse"
        self.configure(
            '  good: {sources: [tree], copies: [offsite], schedule: "* * * * *"}\n'
            '  flaky: {sources: [flaky], schedule: "* * * * *", on_failure: {retry: 2, backoff: 1s}}\n'
            '  endless: {sources: [endless], schedule: "* * * * *", timeout: 3s}\n'
            '  proof: {prove: {level: V3}, sources: [tree], after: [good]}\n',
            sources=f"  flaky: {{kind: command, run: [sh, -c, \"cat {marker} || {{ touch {marker}; exit 1; }}; echo 1\"]}}\n"
                    "  endless: {kind: command, run: [sh, -c, \"echo 1; exec sleep 600\"]}\n",
            repositories=f"  offsite: {{url: {self.folder}/offsite, replica_of: main}}\n")
        self.init()
        self.holdfast("-r", "offsite", "init", "--like", "main")
        self.serve()
        wait_until(lambda: self.state("proof") == "done" and self.state("endless") in ("failed", "interrupted") and
                   len(self.runs("--job", "flaky")) >= 2 and self.runs("--job", "flaky")[-2]["state"] == "done",
                   timeout=UNTIL_DUE)
        flaky = self.runs("--job", "flaky")[::-1]
        self.assertEqual([(run["state"], run["attempt"]) for run in flaky[:2]], [("failed", 1), ("done", 2)])
        self.assertEqual(flaky[0]["due"], flaky[1]["due"])
        endless = self.runs("--job", "endless")[-1]
        self.assertEqual(endless["error"], "it took longer than its timeout of 3.0 s")
        good = self.runs("--job", "good")[-1]
        self.assertTrue(good["due"].endswith(":00Z"))
        self.assertEqual(good["state"], "done", good)
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

        def holder():
            with sqlite3.connect(self.ledger) as database:
                found = database.execute("SELECT holder FROM runs WHERE id = ?", (first["run"],)).fetchone()
            return int(found[0].split()[3])
        wait_until(lambda: holder() != self.daemon.pid, timeout=60)  # its process has taken it over
        self.daemon.kill()
        self.daemon.wait()
        os.kill(holder(), signal.SIGKILL)
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
                                   "objectives: {rpo: 30s}}\n")
        self.init()

        def reach():
            found = self.holdfast("jobs", "--json").document()["followers"]
            return found[0] if found else {}

        self.serve()
        wait_until(lambda: reach().get("reached"), timeout=60)
        self.assertEqual((reach()["source"], reach()["state"], reach()["exceeded"]), ("cache", "following", False))
        begun = reach()["reached"]
        wait_until(lambda: reach()["reached"] > begun, timeout=60)  # also of a source in which nothing happens
        self.assertIn("exposed of 30 s allowed", self.holdfast("jobs").text)
        child = subprocess.run(["pgrep", "-P", str(self.daemon.pid)], capture_output=True, check=True).stdout
        os.kill(int(child), signal.SIGKILL)
        wait_until(lambda: reach()["restarts"] == 1 and reach()["state"] == "following", timeout=60)
        before = reach()["reached"]
        server.send([["SET", "after", "the restart"]])
        wait_until(lambda: reach()["reached"] > before, timeout=120)
        windows = self.holdfast("windows", "cache", "--json").document()["windows"]
        self.assertEqual(len(windows), 1, "a restart of the follower leaves no gap")
        server.stop()
        self.config.write_text(self.config.read_text().replace("rpo: 30s", "rpo: 2s"))
        wait_until(lambda: reach()["exceeded"], timeout=60)
        self.assertIn("exposed of 2.0 s allowed", self.holdfast("jobs").text)
        wait_until(lambda: reach()["state"] == "waiting", timeout=60)  # for its next try
        self.stop()
        self.assertEqual(reach()["state"], "stopped")

    def test_copies_are_kept_up_to_date_and_their_lag_is_told(self):
        other = self.folder / "other.key"
        other.write_text("another key file of thirty-two bytes and more\n")
        other.chmod(0o600)
        self.configure("", repositories=(
            f"  mirror: {{url: {self.folder}/mirror, replica_of: main, follow: true, max_lag: 1h, "
            f'unlock: {{keyfile: "file:{self.key}"}}}}\n'
            f"  apart: {{url: {self.folder}/apart, replica_of: main, follow: true, "
            f'unlock: {{keyfile: "file:{other}"}}}}\n'))
        self.init()
        self.holdfast("-r", self.folder / "mirror", "init", "--like", self.repo)
        self.holdfast("-r", self.folder / "apart", "--key-file", other, "init", env={"HOLDFAST_KEY_FILE": ""})

        def copied_to(name):
            found = self.holdfast("-r", name, "--key-file", other if name == "apart" else self.key, "snapshots", "--json")
            return {each["id"] for each in found.document()["snapshots"]}

        def reaches():
            return {each["source"]: each for each in self.holdfast("jobs", "--json").document()["followers"]}

        def is_whole(since):
            return all(each["reached"] and each["reached"] > since for each in reaches().values())

        self.serve()
        first = self.holdfast("-r", "main", "backup", "tree", "--json").lines()[-1]["snapshots"]
        for name in ("mirror", "apart"):
            wait_until(lambda: copied_to(name) == set(first), timeout=120)
        self.assertEqual(set(reaches()), {"copy:mirror", "copy:apart"})
        wait_until(lambda: is_whole(""), timeout=60)
        before = max(each["reached"] for each in reaches().values())
        wait_until(lambda: is_whole(before), timeout=60)  # also when there is nothing to copy
        self.assertIn("exposed of 1 h allowed", self.holdfast("jobs").text)
        children = subprocess.run(["pgrep", "-P", str(self.daemon.pid)], capture_output=True, check=True, text=True).stdout
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
        wait_until(lambda: all(each["restarts"] == 1 and each["state"] == "following" for each in reaches().values()),
                   timeout=60)
        (self.tree / "more").write_text("more")
        second = self.holdfast("-r", "main", "backup", "tree", "--json").lines()[-1]["snapshots"]
        for name in ("mirror", "apart"):
            wait_until(lambda: copied_to(name) == {*first, *second}, timeout=120)
        self.stop()
        self.assertEqual({each["state"] for each in reaches().values()}, {"stopped"})

    def test_the_configuration_is_read_again_and_a_wrong_one_is_not_used(self):
        self.configure('  one: {sources: [tree], schedule: "0 2 * * *"}\n')
        self.init()
        self.serve()
        good = self.config.read_text()
        self.config.write_text(good + "  two: {sources: [tree], shedule: x}\n")
        wait_until(lambda: "the configuration from before stays in use" in self.said(), timeout=60)
        self.fails(2, "config", "check", says="`shedule`")
        self.config.write_text(good.replace('"0 2 * * *"', '"* * * * *"'))
        wait_until(lambda: "was read again" in self.said(), timeout=60)
        minutely = self.config.read_text()
        self.config.write_text(minutely + "  two: {sources: [tree], shedule: x}\n")
        wait_until(lambda: self.said().count("the configuration from before stays in use") == 2, timeout=60)
        in_use = self.folder / "in-use.yaml"
        in_use.write_text(minutely)
        wait_until(lambda: self.holdfast("-c", in_use, "runs", "--json").document()["runs"], timeout=UNTIL_DUE)
        wait_until(lambda: self.holdfast("-c", in_use, "runs", "--json").document()["runs"][0]["state"] != "running", timeout=60)
        # It went by what is in use, not by the file.
        self.assertEqual({run["state"] for run in self.holdfast("-c", in_use, "runs", "--json").document()["runs"]} - {"due"}, {"done"})
        self.config.write_text(good + '  two: {sources: [tree], schedule: "* * * * *"}\n')
        self.daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: self.said().count("was read again") >= 2, timeout=60)
        wait_until(lambda: self.state("two") == "done", timeout=UNTIL_DUE)
        self.stop()

    def test_what_a_run_leaves_behind_and_a_hook_that_hangs_hold_nothing_up(self):
        hung, left = self.folder / "hung", self.folder / "left"
        self.configure(f'  leaves: {{sources: [tree], schedule: "* * * * *", hooks: {{before: ["sleep 600 & echo $! >> {left}"]}}}}\n'
                       '  other: {sources: [tree], schedule: "* * * * *", after: [leaves]}\n'
                       '  hangs: {sources: [broken], schedule: "* * * * *", hooks: {on_failure: '
                       f'["echo $$ > {hung}; exec sleep 600"]}}}}\n',
                       sources='  broken: {kind: command, run: ["false"]}\n')
        self.init()
        self.serve()
        wait_until(lambda: self.state("leaves") == "done" and self.state("other") == "done" and hung.exists() and
                   hung.read_text().strip(), timeout=UNTIL_DUE)
        self.stop()
        for each in left.read_text().split():
            os.kill(int(each), signal.SIGKILL)  # it was left alone
        self.assertEqual(self.runs("--job", "hangs")[-1]["error"], "the daemon was stopped")
        with self.assertRaises(ProcessLookupError):
            os.kill(int(hung.read_text()), 0)

    def test_a_locked_ledger_delays_and_repeats_nothing(self):
        go = self.folder / "go"
        self.configure('  slow: {sources: [slow], schedule: "* * * * *", on_failure: {retry: 3, backoff: 1s}}\n',
                       sources=f"  slow: {{kind: command, run: [sh, -c, \"echo 1; while [ ! -e {go} ]; do sleep 0.1; done\"]}}\n")
        self.init()
        self.serve()
        wait_until(lambda: self.state("slow") == "running", timeout=UNTIL_DUE)
        other = sqlite3.connect(self.ledger)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        go.touch()
        wait_until(lambda: "is held by another process" in self.said(), timeout=60)
        other.rollback()
        first = self.runs("--job", "slow")[-1]["due"]
        wait_until(lambda: [run for run in self.runs("--job", "slow") if run["due"] > first and run["state"] == "done"],
                   timeout=UNTIL_DUE)
        self.assertEqual([(run["attempt"], run["state"]) for run in self.runs("--job", "slow") if run["due"] == first],
                         [(1, "done")])
        self.stop()

    def test_a_repository_that_is_away_at_the_due_time_is_tried_again(self):
        self.configure('  nightly: {sources: [tree], schedule: "* * * * *", on_failure: {retry: 8, backoff: 1s}}\n')
        self.init()
        away = self.folder / "away"
        self.repo.rename(away)
        self.serve()
        wait_until(lambda: "failed" in self.recorded("nightly"), timeout=UNTIL_DUE)
        due = self.runs("--job", "nightly")[-1]["due"]
        away.rename(self.repo)
        wait_until(lambda: [run for run in self.runs("--job", "nightly") if run["due"] == due and run["state"] == "done"],
                   timeout=UNTIL_DUE)
        tries = sorted((run["attempt"], run["state"], run["code"]) for run in self.runs("--job", "nightly") if run["due"] == due)
        self.assertEqual([each[1] for each in tries], ["failed"] * (len(tries) - 1) + ["done"])
        self.assertEqual({each[2] for each in tries[:-1]}, {"no_repository"})
        self.stop()

    def test_a_follower_works_by_the_configuration_and_is_killed_when_it_does_not_end(self):
        server = RedisServer()
        self.addCleanup(server.remove)
        self.configure("", sources=f"  cache: {{kind: redis, host: 127.0.0.1, port: {server.port}, follow: true}}\n")
        self.init()

        def follower():
            done = subprocess.run(["pgrep", "-P", str(self.daemon.pid)], capture_output=True, check=False)
            return int(done.stdout) if done.stdout.strip() else None

        def reach():
            found = self.holdfast("jobs", "--json").document()["followers"]
            return found[0] if found else {}

        self.serve()
        wait_until(lambda: reach().get("reached"), timeout=60)
        first = follower()
        self.config.write_text(self.config.read_text() + 'jobs:\n  one: {sources: [tree], schedule: "0 2 * * *"}\n')
        wait_until(lambda: "was read again" in self.said(), timeout=60)
        self.assertEqual(follower(), first, "what it works by has not changed")
        good = self.config.read_text()
        self.config.write_text(good.replace(f"port: {server.port}", "port: 1"))
        wait_until(lambda: reach().get("error"), timeout=60)
        self.assertIn("127.0.0.1:1", reach()["error"])
        self.config.write_text(good)
        wait_until(lambda: reach()["state"] == "following" and not reach()["error"] and follower(), timeout=60)
        self.assertNotEqual(follower(), first)
        os.kill(follower(), signal.SIGSTOP)  # it does not hear
        self.stop()

    def test_a_stop_while_a_retry_waits_or_while_it_starts(self):
        soon = time.gmtime(time.time() + 70)
        self.configure(f'  nightly: {{sources: [broken], schedule: "{soon.tm_min} {soon.tm_hour} * * *", '
                       'on_failure: {retry: 1, backoff: 1h}}\n',
                       sources='  broken: {kind: command, run: ["false"]}\n')
        self.init()
        self.serve()
        wait_until(lambda: "due" in self.recorded("nightly"), timeout=UNTIL_DUE)
        self.stop()
        retry = [run for run in self.runs() if run["attempt"] == 2]
        self.assertEqual([run["state"] for run in retry], ["due"])
        for _ in range(5):
            child = self.start("serve")
            wait_until(lambda: pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(PROGRAM.encode()), timeout=60)
            child.send_signal(signal.SIGTERM)
            self.assertIn(child.wait(60), (0, -signal.SIGTERM))
        self.assertEqual([run for run in self.runs() if run["state"] == "running"], [])
        self.assertIn(retry[0]["run"], [run["run"] for run in self.runs("--state", "due")])

    def test_a_stop_ends_what_runs(self):
        marker = self.folder / "marker"
        self.configure('  slow: {sources: [slow], schedule: "* * * * *"}\n',
                       sources=f"  slow: {{kind: command, run: [sh, -c, \"echo 1; touch {marker}; exec sleep 600\"]}}\n")
        self.init()
        self.serve()
        wait_until(marker.exists, timeout=UNTIL_DUE)
        self.assertEqual(self.state("slow"), "running")
        self.stop()
        run = self.runs("--job", "slow")[-1]
        self.assertEqual((run["state"], run["error"]), ("failed", "the daemon was stopped"))

    def test_a_service_manager_is_told_that_it_is_ready_alive_and_stopping(self):
        self.configure('  nightly: {sources: [tree], schedule: "0 2 * * *"}\n')
        self.init()
        path = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(60)
            self.environment["NOTIFY_SOCKET"] = str(path)
            self.serve()
            told = [manager.recv(100) for _ in range(3)]
            self.assertEqual(told, [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"])
            self.stop()
            while told[-1] != b"STOPPING=1":
                told.append(manager.recv(100))

    def test_serve_needs_a_configuration(self):
        self.fails(2, "serve", says="needs a configuration file")

    def test_a_ledger_in_postgresql_whose_server_is_restarted(self):
        server = PostgresServer()
        self.addCleanup(server.stop)
        server.sql("CREATE DATABASE ledger")
        go = self.folder / "go"
        self.environment["LEDGER_URL"] = server.url("ledger")
        self.configure('  slow: {sources: [slow], schedule: "* * * * *", on_failure: {retry: 3, backoff: 1s}}\n'
                       '  by-hand: {sources: [tree]}\n'
                       '  proof: {prove: {level: V3}, sources: [slow], after: [slow]}\n',
                       sources=f"  slow: {{kind: command, run: [sh, -c, \"echo 1; while [ ! -e {go} ]; do sleep 0.1; done\"]}}\n",
                       ledger="env:LEDGER_URL")
        self.init()
        other = self.start("serve", stderr=open(self.folder / "other.log", "wb"))  # on the same ledger
        self.serve()
        wait_until(lambda: self.state("slow") == "running", timeout=UNTIL_DUE)
        said = self.said()
        server.shut_down()
        go.touch()
        wait_until(lambda: self.said() != said, timeout=60)  # it tells of its trouble
        self.fails(17, "runs")
        server.start()
        wait_until(lambda: self.state("proof") == "done", timeout=UNTIL_DUE)
        first = self.runs("--job", "slow")[-1]["due"]
        wait_until(lambda: [run for run in self.runs("--job", "slow") if run["due"] > first and run["state"] == "done"],
                   timeout=UNTIL_DUE)
        self.assertEqual([(run["attempt"], run["state"]) for run in self.runs("--job", "slow") if run["due"] == first],
                         [(1, "done")])
        self.assertIn("+ holdfast", self.holdfast("runs", self.runs("--job", "slow")[-1]["run"], "--log").text)
        self.holdfast("run", "by-hand")
        self.assertEqual(self.recorded("by-hand"), ["done"])
        self.assertIsNone(other.poll(), "the other daemon has come through it, too")
        other.send_signal(signal.SIGTERM)
        self.stop()
        self.assertEqual(other.wait(120), 0)
        begun = [(run["job"], run["due"], run["attempt"]) for run in self.runs()]
        self.assertEqual(len(begun), len(set(begun)), "no run twice")


class Deploy(Jobs):
    def test_systemd_takes_the_units(self):
        self.configure('  nightly: {sources: [tree], schedule: "0 2 * * *", timezone: Europe/Berlin, timeout: 2h,\n'
                       '            on_failure: {retry: 3, backoff: 5m}, allowed_hours: "22:00-06:00", limits: {load: 4}}\n'
                       '  monday: {prove: {level: V3}, schedule: "30 4 * * 1#1", jitter: 10m}\n'
                       '  last: {check: {}, schedule: "0 5 L * *"}\n')
        for words in ([], ["--timers"]):
            units = self.folder / ("units" + "".join(words))
            deployed = self.holdfast("-c", self.config, "deploy", "systemd", "--program", PROGRAM, "--to", units, *words)
            files = sorted(units.iterdir())
            self.assertEqual(len(files), 6 if words else 1)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *files], capture_output=True, check=False,
                                  env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{units}:"})
            self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
            told = "job nightly: only `serve` keeps `allowed_hours`, `limits: {load}`"
            (self.assertIn if words else self.assertNotIn)(told, " ".join(deployed.errors.split()))
        service = (self.folder / "units--timers" / "holdfast-nightly.service").read_text()
        for line in ("TimeoutStartSec=7200", "Restart=on-failure", "RestartSec=300", "RestartPreventExitStatus=3",
                     "StartLimitBurst=4", f"StartLimitIntervalSec={4 * 7200 + 3 * 300}"):
            self.assertIn(line + "\n", service)
        timer = (self.folder / "units--timers" / "holdfast-monday.timer").read_text()
        line = re.search(r"OnCalendar=(.*)", timer).group(1)
        self.assertEqual(line, "Mon *-*-01..07 04:30:00 UTC")
        subprocess.run(["systemd-analyze", "calendar", line], check=True, capture_output=True)

    def test_kubernetes_gets_cron_jobs(self):
        self.configure('  mongodb-backup: {sources: [tree], schedule: "@daily", on_failure: {retry: 2, backoff: 5m}, timeout: 1h,\n'
                       '                   jitter: 5m, allowed_hours: "22:00-06:00"}\n')
        done = self.holdfast("deploy", "kubernetes", "--image", "example/holdfast:1")
        self.assertIn("job mongodb-backup: only `serve` keeps `jitter`, `allowed_hours`", " ".join(done.errors.split()))
        self.assertIn(f"activeDeadlineSeconds: {3 * 3600 + 2 * 360}\n", done.text)  # of all attempts together
        text = done.text
        for part in ("kind: CronJob", "name: mongodb-backup", 'schedule: "0 0 * * *"', "concurrencyPolicy: Forbid",
                     "runAsNonRoot: true", "readOnlyRootFilesystem: true", "secretKeyRef", "backoffLimit: 2",
                     "requests: {cpu: 250m, memory: 256Mi}", "limits: {memory: 1Gi}"):
            self.assertIn(part, text)
        said = " ".join(done.errors.split())
        for place in (f"repository main is the folder {self.repo}", f"what source tree reads is the folder {self.tree}"):
            self.assertIn(place + ", which a pod does not have", said)
        self.assertIn("each pod keeps a ledger of its own", said)
        mounted = self.holdfast("deploy", "kubernetes", "--image", "x", "--claim", f"all:{self.folder}/")
        self.assertNotIn("which a pod does not have", " ".join(mounted.errors.split()))
        self.assertIn(f'mountPath: "{self.folder}"', mounted.text)
        self.assertIn('claimName: "all"', mounted.text)
        self.fails(2, "deploy", "kubernetes", "--image", "x", "--claim", "all", says="is no NAME:FOLDER")
        self.configure('  odd: {sources: [tree], schedule: "0 4 * * 1#1"}\n')
        self.fails(2, "deploy", "kubernetes", "--image", "x", says="which a CronJob does not understand")

    def test_a_cluster_would_take_what_is_deployed(self):
        examples = pathlib.Path(__file__).resolve().parents[2] / "examples"
        server = KubeServer()
        self.addCleanup(server.remove)
        for config in sorted(examples.glob("*/holdfast.yaml")):
            done = self.holdfast("-c", config, "deploy", "kubernetes", "--image", "example/holdfast:1", "--claim", "all:/backups")
            made = server.dry_run(done.text)
            jobs = {each["metadata"]["name"]: each["spec"] for each in made if each["kind"] == "CronJob"}
            self.assertEqual([each["kind"] for each in made[:1]], ["ConfigMap"])
            self.assertEqual(made[0]["data"]["holdfast.yaml"], config.read_text())
            self.assertGreater(len(jobs), 2)
            for spec in jobs.values():
                pod = spec["jobTemplate"]["spec"]["template"]["spec"]
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                self.assertTrue(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"])
                self.assertIn("memory", pod["containers"][0]["resources"]["limits"])
                self.assertEqual(pod["volumes"][-1]["persistentVolumeClaim"]["claimName"], "all")
                # What is done in part is not done again as a whole.
                rule = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]
                self.assertEqual((rule["action"], rule["onExitCodes"]["values"]), ("FailJob", [3]))
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
            done = subprocess.run([image / "entrypoint.sh"], env=environment, check=True, capture_output=True)
        self.assertIn(b"freed", done.stdout)
        kept = subprocess.run([image / "entrypoint.sh", "-r", bucket / "mongodb/daily", "snapshots", "--json"], env=environment,
                              check=True, capture_output=True)
        self.assertEqual([each["source"] for each in json.loads(kept.stdout)["snapshots"]], ["mongodb", "mongodb"])
        done = subprocess.run([image / "entrypoint.sh"], env={**environment, "MONGODB_URI": ""}, check=False, capture_output=True)
        self.assertIn(b"MONGODB_URI", done.stderr)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
