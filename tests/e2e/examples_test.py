"""The scripts of examples/, as they are, against real servers."""

import gzip
import pathlib
import subprocess

from harness import PROGRAM, Case, main, postgres_server

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
USERS = "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 500) n;"


class Examples(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.server = postgres_server("first")
        self.addCleanup(self.drop_all)
        self.drop_all()
        self.server.sql("CREATE DATABASE eazepay")
        self.server.sql(USERS, "eazepay")
        self.environment.update(POSTGRES_HOST=str(self.server.folder), POSTGRES_PORT=str(self.server.port),
                                POSTGRES_USER="postgres", POSTGRES_DB="eazepay", HOLDFAST=PROGRAM,
                                HOLDFAST_SANDBOX=str(self.folder / "sandboxes"))
        self.folder.chmod(0o755)

    def drop_all(self):
        for name in self.server.databases():
            if name != "postgres":
                self.server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def script(self, name, *args, code=0, **env):
        done = subprocess.run([EXAMPLES / name, *map(str, args)], env={**self.environment, **env}, cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_plan_003_backs_up_and_verifies_a_random_backup(self):
        self.script("003/backup.sh")
        self.script("003/backup.sh", "pre_deployment")
        self.assertEqual([s["tags"]["why"] for s in self.snapshots()][-1], "pre_deployment")
        self.assertIn("PASS at V4", self.script("003/verify-backup.sh"))
        self.server.sql("DELETE FROM users", "eazepay")
        self.script("003/backup.sh")
        newest = self.snapshots()[-1]["id"]
        for snapshot in self.snapshots():
            if snapshot["id"] != newest:
                self.holdfast("forget", snapshot["id"])
        self.assertIn("failed its proof", self.script("003/verify-backup.sh", code=13))

    def test_plan_003_imports_its_old_dumps(self):
        old = self.folder / "old"
        old.mkdir()
        dump = gzip.compress(self.server.run("pg_dump", "eazepay"))
        for name in ("postgres_backup_20250120_020000.sql.gz", "postgres_backup_20250121_020000.sql.gz", "other.sql.gz"):
            (old / name).write_bytes(dump)
        self.script("003/import-old-dumps.sh", old)
        self.assertEqual([s["time"] for s in self.snapshots()], ["2025-01-20T02:00:00Z", "2025-01-21T02:00:00Z"])
        self.assertIn("PASS at V4", self.script("003/verify-backup.sh"))

    def test_plan_003_comes_back_from_corruption(self):
        self.script("003/backup.sh")
        self.script("003/verify-backup.sh")
        self.server.sql("UPDATE users SET name = 'corrupt' WHERE id % 2 = 0", "eazepay")
        log = self.folder / "log"
        steps = {"STOP_APP": f"echo stop >> {log}", "START_APP": f"echo start >> {log}", "HEALTH_CHECK": f"echo health >> {log}"}
        said = self.script("003/database-corruption.sh", **steps)
        self.assertIn("M eazepay/public/users", said)
        self.assertEqual(log.read_text(), "stop\nstart\nhealth\n")
        self.assertEqual(self.server.sql("SELECT count(*) FROM users WHERE name = 'corrupt'", "eazepay"), "0")
        before = [name for name in self.server.databases() if name.startswith("eazepay_before_")]
        self.assertEqual(self.server.sql("SELECT count(*) FROM users WHERE name = 'corrupt'", before[0]), "250")

    def test_plan_003_says_when_the_application_is_not_well_after_it(self):
        self.script("003/backup.sh")
        self.script("003/verify-backup.sh")
        log = self.folder / "log"
        steps = {"STOP_APP": f"echo stop >> {log}", "START_APP": f"echo start >> {log}", "HEALTH_CHECK": "exit 1"}
        said = self.script("003/database-corruption.sh", code=16, **steps)
        self.assertIn("after the restore failed", said)
        self.assertEqual(log.read_text(), "stop\nstart\nstart\n")

    def test_plan_004_makes_both_files_and_its_report(self):
        files = self.folder / "files"
        files.mkdir()
        self.script("004/postgres-backup.sh", BACKUP_DIR=str(files))
        self.assertEqual(sorted(p.name.split(".", 1)[1] for p in files.iterdir()), ["dump", "sql.gz"])
        for path, database in zip(sorted(files.iterdir()), ("from_dump", "from_sql")):
            self.server.sql(f"CREATE DATABASE {database}")
            if path.suffix == ".dump":
                self.server.run("pg_restore", "--exit-on-error", "-d", database, str(path))
            else:
                self.server.sql(gzip.decompress(path.read_bytes()).decode(), database)
            self.assertEqual(self.server.sql("SELECT count(*) FROM users", database), "500")
        settings = self.folder / "settings"
        settings.mkdir()
        (settings / "appsettings.json").write_text("{}")
        text = (EXAMPLES / "004" / "holdfast.yaml").read_text()
        for there, here in (("s3://neo-service-layer-backups/holdfast", self.repo), ("/etc/neo-service-layer", settings),
                            ("s3://neo-service-layer-backups-dr/holdfast", self.folder / "dr")):
            self.assertIn(there, text)
            text = text.replace(there, str(here))
        config = self.folder / "holdfast.yaml"
        config.write_text(text + f"service: {{ledger: \"sqlite:{self.folder}/ledger.db\"}}\n")
        self.environment["HOLDFAST_CONFIG"] = str(config)
        self.holdfast("backup", "appsettings")
        said = self.script("004/backup-validation.sh", code=13)  # of MongoDB and Redis there is nothing yet
        for line in ("Backup Validation Report\n========================\nDate: ", "- PostgreSQL Backup: PASS\n",
                     "- Configuration Backup: PASS\n", "- MongoDB Backup: NOT TESTED\n", "- Redis Backup: NOT TESTED\n",
                     "- Backup Jobs: FAIL\n"):
            self.assertIn(line, said)
        self.assertTrue(all(s.get("proof", {}).get("level") == "V4" for s in self.snapshots()))
        pack = max(self.objects("data"), key=lambda p: p.stat().st_size)
        bytes_ = bytearray(pack.read_bytes())
        for at in range(len(bytes_) // 4, len(bytes_) // 2):
            bytes_[at] ^= 0x55
        pack.chmod(0o600)
        pack.write_bytes(bytes_)
        self.assertIn("- PostgreSQL Backup: FAIL", self.script("004/backup-validation.sh", code=13))


class Readme(Case):
    def test_what_it_says_of_every_night_can_be_done(self):
        text = (EXAMPLES.parent / "README.md").read_text().split("## Every night\n")[1]
        config, commands = [block.split("\n", 1)[1] for block in text.split("```")[1:4:2]]
        places = {"/etc/holdfast/holdfast.yaml": "holdfast.yaml", "/backups": "backups", "s3://backups-eu/platform": "offsite",
                  "/root/holdfast.pass": "pass", "/srv/uploads": "uploads", "/var/lib/holdfast/ledger.db": "ledger.db",
                  "/etc/systemd/system": "units"}
        for there, here in sorted(places.items(), key=lambda each: -len(each[0])):
            self.assertIn(there, config + commands)
            config, commands = (part.replace(there, str(self.folder / here)) for part in (config, commands))
        (self.folder / "holdfast.yaml").write_text(config)
        (self.folder / "pass").write_text("a passphrase of some length\n")
        (self.folder / "pass").chmod(0o600)
        (self.folder / "uploads").mkdir()
        (self.folder / "uploads" / "file").write_text("content")
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "holdfast").symlink_to(PROGRAM)
        server = postgres_server("first")
        server.sql("DROP DATABASE IF EXISTS orders WITH (FORCE)")
        server.sql("CREATE DATABASE orders")
        self.addCleanup(server.sql, "DROP DATABASE orders WITH (FORCE)")
        server.sql(USERS, "orders")
        for name in ("HOLDFAST_REPO", "HOLDFAST_KEY_FILE"):
            self.environment.pop(name)
        self.environment.update(PATH=f"{self.folder / 'bin'}:{self.environment['PATH']}", ORDERS_URL=server.url("orders"),
                                HOLDFAST_SANDBOX=str(self.folder / "sandboxes"))
        self.folder.chmod(0o755)
        self.holdfast("-c", self.folder / "holdfast.yaml", "-r", "main", "init")
        done = subprocess.run(["bash", "-e", "-c", commands], env=self.environment, cwd=self.folder, capture_output=True,
                              text=True, check=False)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said)
        for part in ("nothing found", "job nightly: done", "job proof: done", "Backup Validation Report", "Backup Inventory"):
            self.assertIn(part, said)
        self.assertTrue((self.folder / "units" / "holdfast.service").exists())


class Configurations(Case):
    # Rules, and what of the plan they name.
    CONTRADICTIONS = {
        "000": {"misleading-command": ["redis-cli --rdb"]},
        "001": {"rpo-unattainable": ["may lose 1 h at most"], "copies": ["less than 3-2-1"]},
        "002": {"misleading-command": ["$(date …)"]},
        "003": {"rpo-unattainable": ["may lose 1 h at most"], "misleading-command": ["VACUUM FULL", "ls | tail"],
                "compressed-before": ["gzip"]},
        "004": {"rpo-unattainable": ["may lose 1 h at most"],
                "threshold-beyond-objective": ["counts as overdue only after 1 d 1 h"]},
    }

    def test_all_pass_the_check_and_lint_names_what_the_plans_get_wrong(self):
        self.environment["HOLDFAST_PASSWORD"] = "not asked for"
        for plan, expected in self.CONTRADICTIONS.items():
            file = EXAMPLES / plan / "holdfast.yaml"
            self.holdfast("-c", file, "config", "check")
            found = self.run_program("-c", file, "config", "lint", "--json")
            rules = {each["rule"] for each in found.document()["findings"]}
            self.assertEqual(rules, set(expected), f"{plan}: {found}")
            for rule, names in expected.items():
                for name in names:
                    self.assertTrue(any(name in each["what"] for each in found.document()["findings"] if each["rule"] == rule),
                                    f"{plan}: {name}: {found}")
            errors = any(each["severity"] == "error" for each in found.document()["findings"])
            self.assertEqual(found.code, 1 if errors else 3 if rules else 0)

    def test_scripts_pass_shellcheck(self):
        scripts = sorted(EXAMPLES.rglob("*.sh"))
        self.assertGreater(len(scripts), 10)
        subprocess.run(["shellcheck", "-S", "warning", *scripts], check=True)


if __name__ == "__main__":
    main()
