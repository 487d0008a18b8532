"""Old dumps of PostgreSQL: each format that its programs write becomes a snapshot, restores, exports and is proven."""

import gzip
import json
import os
import pathlib
import subprocess

from harness import PROGRAM, Case, main, postgres_server, wait_until

EVERYTHING = pathlib.Path(__file__).with_name("postgres_everything.sql").read_text()
SIMPLE = """CREATE ROLE seller; CREATE ROLE "odd ""role";
CREATE TABLE users (id serial PRIMARY KEY, name text); CREATE TABLE empty (a int);
INSERT INTO users (name) SELECT 'user ' || n FROM generate_series(1, 2000) n;
ALTER TABLE users OWNER TO seller; GRANT SELECT ON users TO "odd ""role";"""


class Import(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.server = postgres_server("first")
        self.other = postgres_server("second")
        for server in (self.server, self.other):
            self.addCleanup(drop_all, server)
        self.folder.chmod(0o755)
        self.sandboxes = self.folder / "sandboxes"
        self.environment["HOLDFAST_SANDBOX"] = str(self.sandboxes)

    def database(self, name, sql="", server=None):
        (server or self.server).sql(f'CREATE DATABASE "{name}"')
        if sql:
            (server or self.server).sql(sql, name)

    def dump(self, name, *args):
        path = self.folder / name
        path.write_bytes(self.server.run("pg_dump", *args))
        return path

    def import_dump(self, path, *args, code=0, **options):
        return self.holdfast("import", path, "--source", "old", *args, "--json", code=code, **options)

    def paths(self, *args):
        return {item["path"] for item in self.holdfast("ls", "latest", "--source", "old", "--recursive", "--json", *args).lines()
                if "path" in item}

    def nothing_is_left(self):
        self.assertEqual(self.snapshots(), [])
        self.assertEqual([p for p in self.sandboxes.iterdir() if p.is_dir()], [])

    def formats(self, database):
        """Every format that there is, by the name that it gets."""
        folder = self.folder / "all.dir"
        if not folder.exists():
            self.server.run("pg_dump", "-Fd", "-j2", "-f", str(self.make_writable(folder)), database)
        plain = self.server.run("pg_dump", "--create", database)
        custom = self.server.run("pg_dump", "-Fc", database)
        tar = self.server.run("pg_dump", "-Ft", database)
        out = {"directory": folder}
        for name, content in {"sql": plain, "sql.gz": gzip.compress(plain), "custom": custom, "tar": tar,
                              "custom.gz": gzip.compress(custom)}.items():
            out[name] = self.folder / f"dump.{name}"
            out[name].write_bytes(content)
        return out

    def make_writable(self, path):
        """The server's programs run as we do, so any folder will do."""
        return path


def drop_all(server):
    for name in server.databases():
        if name != "postgres":
            server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    for role in server.sql("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"
                           ).splitlines():
        server.sql(f"DROP ROLE {role}")


class Formats(Import):
    def test_a_dump_of_everything_in_each_format_comes_back_equal(self):
        self.database("everything", EVERYTHING)
        roles = [line for line in self.server.run("pg_dumpall", "--roles-only").decode().splitlines()
                 if not line.startswith("\\") and "postgres" not in line]
        expected = self.twice_through_a_dump("everything", roles)
        for name, path in self.formats("everything").items():
            with self.subTest(name):
                drop_all(self.other)
                self.other.sql("\n".join(roles))
                summary = self.import_dump(path).lines()[-1]
                self.assertEqual((summary["type"], summary["schema"], summary["format"], summary["kind"]),
                                 ("summary", "holdfast.import/1", name, "postgres"))
                self.restore(summary["snapshots"][0], self.other.url())
                self.assertEqual(self.other.dump("everything"), expected)
        tags = {json.dumps(s["tags"]) for s in self.snapshots()}
        self.assertIn('{"imported": "directory"}', tags)
        self.assertEqual(self.check("--read-data")["errors"], [])

    def twice_through_a_dump(self, name, roles):
        """What pg_dump and pg_restore make of it: into the throwaway server, and from there to the target."""
        archive = self.server.run("pg_dump", "-Fc", name)
        self.other.sql("\n".join(roles))
        for _ in range(2):
            if name in self.other.databases():
                archive = self.other.run("pg_dump", "-Fc", name)
                self.other.sql(f'DROP DATABASE "{name}"')
            self.other.run("pg_restore", "--create", "--exit-on-error", "-d", "postgres", input=archive)
        return self.other.dump(name)

    def test_an_imported_dump_is_proven_exported_and_restored_in_part(self):
        self.database("shop", SIMPLE)
        path = self.dump("shop-2026-03-01.sql.gz", "--compress=9", "shop")
        summary = self.import_dump(path, "--time", "2026-03-01T02:00:00Z").lines()[-1]
        self.assertEqual(summary["time"], "2026-03-01T02:00:00Z")
        self.assertLessEqual({"globals.sql", "shop", "shop/archive.dump", "shop/public/users", "shop/public/empty"},
                             self.paths())
        snapshot = self.snapshots()[0]
        self.assertEqual((snapshot["time"], snapshot["tags"]), ("2026-03-01T02:00:00Z", {"imported": "sql.gz"}))
        proof = self.holdfast("prove", "--source", "old", "--json").lines()[-1]
        self.assertEqual((proof["level"], proof["result"]), ("V4", "pass"))
        self.restore("latest", self.other.url("part"), "--include", "shop/public/users")
        self.assertEqual(self.other.sql("SELECT count(*), max(name) FROM users", "part"), "2000|user 999")
        self.assertEqual(self.other.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'users'", "part"), "seller")
        self.assertIn("odd", self.other.sql("SELECT relacl FROM pg_class WHERE relname = 'users'", "part"))
        self.assertEqual(self.other.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'seller'"), "f")
        out = self.folder / "again.dump"
        self.holdfast("export", "latest:shop", "--as", "custom", "--to", out)
        self.database("again", "", self.other)
        self.other.run("pg_restore", "--exit-on-error", "-d", "again", str(out))
        self.assertEqual(self.other.sql("SELECT count(*) FROM users", "again"), "2000")

    def test_a_dump_of_a_whole_server_becomes_all_of_its_databases(self):
        self.database("one", SIMPLE)
        self.database("two", "CREATE TABLE t (a int); INSERT INTO t VALUES (1); ALTER DATABASE two SET work_mem = '7MB'")
        self.server.sql("CREATE ROLE member LOGIN PASSWORD 'p' IN ROLE seller; CREATE TABLE here (a int)")
        self.addCleanup(lambda: self.server.sql("DROP TABLE here"))
        path = self.folder / "server.sql"
        path.write_bytes(self.server.run("pg_dumpall"))
        os.utime(path, (1_700_000_000, 1_700_000_000))
        summary = self.import_dump(path).lines()[-1]
        self.assertEqual(summary["time"], "2023-11-14T22:13:20Z")  # when the file was written
        self.assertLessEqual({"one/public/users", "two/public/t", "postgres/public/here"}, self.paths())
        self.restore("latest", self.other.url(), "--include", "one", "--include", "two")
        for name in ("one", "two"):
            self.assertEqual(self.other.dump(name), self.server.dump(name))
        self.assertEqual(self.other.sql("SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE "
                                        "rolname = 'member'"), "1")

    def test_a_dump_by_newer_programs_comes_into_a_server_of_its_own_version(self):
        self.database("shop", SIMPLE)
        path = self.dump("x.sql", "shop")
        before = b"SET statement_timeout = 0;\n"
        path.write_bytes(path.read_bytes().replace(before, before + b"SET transaction_timeout = 0;\n"))
        self.import_dump(path)
        self.restore("latest", self.other.url("shop"))
        self.assertEqual(self.other.sql("SELECT count(*) FROM users", "shop"), "2000")

    def test_names_come_from_the_dump_the_option_or_the_file(self):
        self.database("shop", "CREATE TABLE t (a int)")
        self.import_dump(self.dump("nightly_20260301.sql", "shop"))
        self.assertIn("nightly/public/t", self.paths())
        self.import_dump(self.dump("x.sql", "shop"), "--database", "sales")
        self.assertIn("sales/public/t", self.paths())
        self.import_dump(self.dump("x.dump", "-Fc", "shop"))
        self.assertIn("shop/public/t", self.paths())
        self.import_dump(self.dump("x.dump", "-Fc", "shop"), "--database", "other")
        self.assertIn("other/public/t", self.paths())

    def test_a_configured_source_gives_kind_and_database(self):
        self.database("shop", "CREATE TABLE t (a int)")
        config = self.folder / "holdfast.yaml"
        config.write_text("version: 1\nsources:\n  old: {kind: postgres, host: h, database: 'env:THE_NAME'}\n"
                          "  files: {kind: files, paths: [/srv]}\n")
        path = self.dump("x.sql", "shop")
        self.import_dump(path, "-c", config, env={"THE_NAME": "named"})
        self.assertIn("named/public/t", self.paths())
        self.fails(2, "import", path, "--source", "files", "-c", config, says="kind files cannot be imported")

    def test_old_dumps_push_no_backup_out(self):
        self.database("shop", "CREATE TABLE t (a int)")
        config = self.folder / "holdfast.yaml"
        config.write_text(f'version: 1\nsources:\n  old: {{kind: postgres, host: "{self.server.folder}", '
                          f"port: {self.server.port}, user: postgres, database: shop}}\n")
        self.holdfast("backup", "old", "-c", config)
        path = self.dump("x.sql", "shop")
        for time in ("2026-02-28", "2024-01-31"):
            self.import_dump(path, "--time", time)
        oldest, newest, backup = [each["id"] for each in sorted(self.snapshots(), key=lambda each: each["time"])]
        done = self.holdfast("forget", "--keep-last", "1", "--json").lines()[-1]
        self.assertEqual(done["remove"], [oldest])
        self.assertEqual({each["id"] for each in self.snapshots()}, {backup, newest})

    def test_a_dry_run_loads_and_stores_nothing(self):
        self.database("shop", SIMPLE)
        result = self.holdfast("import", self.dump("x.sql", "shop"), "--source", "old", "--dry-run")
        self.assertIn("dry run, nothing was stored", result.text)
        self.nothing_is_left()


class BadInput(Import):
    def test_a_statement_that_fails_keeps_the_whole_dump_out(self):
        self.database("shop", SIMPLE)
        whole = self.dump("x.sql", "shop").read_bytes()
        broken = self.folder / "broken.sql"
        broken.write_bytes(whole.replace(b"ADD CONSTRAINT users_pkey PRIMARY KEY (id)", b"ADD CONSTRAINT nonsense"))
        self.fails(15, "import", broken, "--source", "old", says=["loading the dump failed", "syntax error"])
        broken.write_bytes(whole.replace(b"user 77\n", b"user\t77\n"))
        self.fails(15, "import", broken, "--source", "old", says="extra data after last expected column")
        self.nothing_is_left()

    def test_dumps_that_are_cut_or_none_are_refused(self):
        self.database("shop", SIMPLE)
        custom = self.dump("x.dump", "-Fc", "shop").read_bytes()
        packed = self.dump("x.sql.gz", "--compress=9", "shop").read_bytes()
        cut = self.folder / "cut"
        cut.write_bytes(custom[:-2000])
        self.fails(15, "import", cut, "--source", "old", says="pg_restore failed")
        cut.write_bytes(packed[:-2000])
        self.fails(13, "import", cut, "--source", "old", says="ends too early")
        cut.write_bytes(packed[:3000] + bytes(64) + packed[3064:])
        self.fails(13, "import", cut, "--source", "old", says="damaged")
        cut.write_bytes(b"\x00 something else \x00" * 100)
        self.fails(15, "import", cut, "--source", "old", says="no dump of postgres")
        self.fails(15, "import", self.folder / "nothing", "--source", "old", says="there is no")
        self.fails(15, "import", self.home, "--source", "old", says="no dump of postgres")
        self.fails(2, "import", cut, says="--source")
        self.assertEqual(self.snapshots(), [])

    def test_statements_that_are_cut_off_are_refused(self):
        self.database("shop", SIMPLE)
        plain, server = self.dump("x.sql", "shop").read_bytes(), self.server.run("pg_dumpall")
        in_rows, between = plain.index(b"\tuser 77\n") + len("\tuser 7"), plain.index(b"-- Name: users_id_seq; Type: SEQUENCE SET")
        in_server = server.index(b"-- PostgreSQL database cluster dump complete")
        cut = self.folder / "cut.sql"
        for content, says in ((plain[:in_rows], "rows of a table"), (plain[:between], "database dump complete"),
                              (server[:in_server], "cluster dump complete")):
            for packed in (content, gzip.compress(content)):
                cut.write_bytes(packed)
                self.fails(15, "import", cut, "--source", "old", says=["the dump is cut off", says])
        self.nothing_is_left()

    def test_a_time_must_be_one_that_has_been(self):
        self.database("shop", SIMPLE)
        path = self.dump("x.sql", "shop")
        self.fails(2, "import", path, "--source", "old", "--time", "2099-01-01", says="in the future")
        self.fails(2, "import", path, "--source", "old", "--time", "yesterday-ish", says="is not a time")

    def test_an_extension_that_is_not_here_is_named(self):
        path = self.folder / "x.sql"
        path.write_text("-- PostgreSQL database dump\nCREATE EXTENSION nowhere_to_be_found;\n")
        self.fails(15, "import", path, "--source", "old", says="nowhere_to_be_found", hints="package")
        self.nothing_is_left()

    def test_a_dump_of_a_newer_server_names_the_package(self):
        path = self.folder / "x.sql"
        path.write_text("-- PostgreSQL database dump\n-- Dumped from database version 99.1\nCREATE TABLE t (a int);\n")
        self.fails(15, "import", path, "--source", "old", says="no server of PostgreSQL 99 or newer",
                   hints="postgresql-99")
        path.write_text("-- PostgreSQL database dump\n-- Dumped from database version 9.6.24\nCREATE TABLE t (a int);\n-- PostgreSQL database dump complete\n")
        result = self.holdfast("import", path, "--source", "old")
        self.assertIn("PostgreSQL 9, which is not here", result.errors)

    def test_a_dump_that_runs_programs_is_contained(self):
        mark = self.folder / "mark"
        self.folder.chmod(0o777)
        program = f"{{ id -u; cut -s -d: -f1 /proc/net/dev | tr -d ' '; env; cat {self.key}; touch {mark}; }} > /tmp/report 2>&1"
        quoted = program.replace("'", "''")
        path = self.folder / "evil.sql"
        path.write_text(f"""-- PostgreSQL database dump
CREATE TABLE report (line text);
\\! {{ {program}; }}
\\! touch {mark}
COPY (SELECT 1) TO PROGRAM '{quoted.replace("/tmp/report", "report")}; true';
COPY report FROM PROGRAM 'cat report';
CREATE SUBSCRIPTION evil CONNECTION 'host=127.0.0.1 dbname=postgres' PUBLICATION p WITH (connect = false, slot_name = NONE);
-- PostgreSQL database dump complete
""")
        secret = "a passphrase that must not be seen"
        self.import_dump(path, env={"SECRET": secret, "PGPASSWORD": secret})
        report = self.holdfast("dump", "latest:evil/public/report").text
        self.assertIn("No such file", report)
        self.assertNotIn("a key file of", report)
        self.assertNotIn(secret, report)
        self.assertEqual([line for line in report.splitlines() if line in ("lo", "eth0")], ["lo"])
        self.assertFalse(mark.exists())

    def test_ctrl_c_leaves_nothing(self):
        path = self.folder / "slow.sql"
        path.write_text("-- PostgreSQL database dump\nCREATE TABLE t (a int);\nSELECT pg_sleep(1000);\n")
        child = self.start("import", path, "--source", "old")
        wait_until(lambda: any(self.sandboxes.glob("*/psql")) or child.poll() is not None, "the dump is loaded", 240)
        child.terminate()
        out, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 143, err)
        self.nothing_is_left()

    def test_without_isolation_a_dump_is_not_run(self):
        path = self.folder / "x.sql"
        path.write_text("-- PostgreSQL database dump\nCREATE TABLE t (a int);\n")
        done = subprocess.run(["unshare", "-U", "-r", "sh", "-c", "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$@\"", "sh",
                               PROGRAM, "import", path, "--source", "old"], env=self.environment, cwd=self.folder,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"--allow-unisolated", done.stderr)


if __name__ == "__main__":
    main()
