"""PostgreSQL: databases go out and come back in another server; pg_dump is the judge, real servers are the witnesses."""

import gzip
import json
import os
import pathlib
import shutil
import subprocess
from urllib.parse import quote

from harness import POSTGRES_BIN, PROGRAM, Case, PostgresServer, main, postgres_server, wait_until

EVERYTHING = pathlib.Path(__file__).with_name("postgres_everything.sql").read_text()


class Postgres(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.server = postgres_server("first")
        self.other = postgres_server("second")
        for server in (self.server, self.other):
            self.addCleanup(drop_all, server)

    def database(self, name, sql="", server=None):
        server = server or self.server
        server.sql(f'CREATE DATABASE "{name}"')
        if sql:
            server.sql(sql, name)

    def assert_as_pg_dump_would(self, name):
        """What came back is what pg_dump and pg_restore bring back of the same database."""
        found = self.other.dump(name)
        archive = self.server.run("pg_dump", "-Fc", name)
        self.other.sql(f'DROP DATABASE "{name}"')
        self.other.run("pg_restore", "--create", "--exit-on-error", "-d", "postgres", input=archive)
        self.assertEqual(self.other.dump(name), found)

    def globals_of(self, server):
        lines = server.run("pg_dumpall", "--globals-only").decode().splitlines()
        return [line for line in lines if not line.startswith(("\\restrict ", "\\unrestrict ")) and "postgres" not in line]


def drop_all(server):
    for name in server.databases():
        if name != "postgres":
            server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    for role in server.sql("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"
                           ).splitlines():
        server.sql(f"DROP ROLE {role}")


class Whole(Postgres):
    def test_a_database_with_everything_comes_back_equal(self):
        self.database("everything", EVERYTHING)
        line = self.backup(self.server.url("everything"))[0]
        self.assertIn("postgres:everything@", line["source"])
        self.restore("latest", self.other.url())
        self.assertEqual(self.globals_of(self.other), self.globals_of(self.server))
        self.assert_as_pg_dump_would("everything")

    def test_all_databases_of_a_server_come_back_and_unchanged_rows_are_stored_once(self):
        rows = "CREATE TABLE t AS SELECT i AS id, md5(i::text) AS text FROM generate_series(1, 40000) i"
        for name in ("one", "two words", "globals.sql"):
            self.database(name, rows)
        self.server.sql("INSERT INTO t SELECT i, md5(i::text) FROM generate_series(40001, 400000) i", "one")
        first = self.backup(self.server.url())[0]
        self.assertIn("postgres:all@", first["source"])
        self.server.sql("UPDATE t SET text = 'changed' WHERE id = 399999; DELETE FROM t WHERE id < 10", "one")
        second = self.backup(self.server.url())[0]
        self.assertLess(second["bytes"]["added"], first["bytes"]["added"] / 4)
        names = [item.get("path") for item in self.holdfast("ls", "latest", "--json").lines()]
        self.assertIn("globals%2Esql", names)
        self.assertIn("globals.sql", names)
        self.other.sql("CREATE DATABASE aside")
        self.restore("latest", self.other.url())
        for name in ("one", "two words", "globals.sql"):
            self.assertEqual(self.other.dump(name), self.server.dump(name))

    def test_sessions_that_wait_for_others_outlive_what_a_server_allows(self):
        programs = self.folder / "programs"
        programs.mkdir()
        for name in ("pg_dump", "pg_dumpall", "pg_restore"):
            (programs / name).write_text(f'#!/bin/sh\n[ "$1" = --version ] || sleep 1\nexec {POSTGRES_BIN}/{name} "$@"\n')
            (programs / name).chmod(0o755)
        (self.folder / "holdfast.yaml").write_text("version: 1\nsources:\n  shop: " + json.dumps(
            {"kind": "postgres", "url": self.server.url("shop"), "bin_dir": str(programs)}) + "\n")
        self.environment["HOLDFAST_CONFIG"] = str(self.folder / "holdfast.yaml")
        self.database("shop", "CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i; CREATE TABLE u AS TABLE t; "
                      "CREATE ROLE short LOGIN SUPERUSER")
        short = "ALTER {} SET idle_session_timeout = '300ms'; ALTER {} SET idle_in_transaction_session_timeout = '300ms'"
        self.server.sql(short.replace("{}", "DATABASE shop"))
        self.other.sql("CREATE ROLE short LOGIN SUPERUSER; " + short.replace("{}", "ROLE short"))
        self.backup("shop")
        self.restore("shop", self.other.url(user="short"))
        self.restore("shop", self.other.url(user="short"), "--existing", "replace")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    def test_many_databases_need_few_connections(self):
        narrow = PostgresServer(max_connections=16)
        self.addCleanup(narrow.stop)
        rows = "".join(f"CREATE TABLE t{i} AS SELECT i FROM generate_series(1, 100) i;" for i in range(3))
        for i in range(8):
            self.database(f"d{i}", rows, narrow)
        two_cores = lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
        self.backup(narrow.url(), "--name", "many", before=two_cores)
        for i in range(14):
            self.database(f"d{i}", rows)
        self.backup(self.server.url(), "--name", "many", "--exclude", "postgres")
        self.restore("latest", narrow.url(), "--existing", "drop", "--source", "many")
        self.assertEqual([name for name in narrow.databases() if name != "postgres"], sorted(f"d{i}" for i in range(14)))
        proof = self.holdfast("prove", "--source", "many", "--json", env={"HOLDFAST_SANDBOX": self.folder / "sandboxes"}).lines()[-1]
        self.assertEqual((proof["level"], proof["result"]), ("V4", "pass"))

    def test_what_lies_in_a_tablespace_comes_back_where_there_is_none(self):
        place = self.server.folder / "space"
        place.mkdir()
        shutil.chown(place, "postgres", "postgres")
        self.server.sql(f"CREATE TABLESPACE fast LOCATION '{place}'")
        self.addCleanup(shutil.rmtree, place)
        self.addCleanup(self.server.sql, "DROP TABLESPACE fast")
        self.database("shop", "CREATE TABLE t (a int PRIMARY KEY, b int) TABLESPACE fast; INSERT INTO t VALUES (1, 2);"
                      "CREATE INDEX by_b ON t (b) TABLESPACE fast; CREATE TABLE plain (a int)")
        self.addCleanup(drop_all, self.server)
        self.backup(self.server.url("shop"))
        result = self.restore("latest", self.other.url())
        self.assertIn("has no tablespace fast", result.errors)
        self.assertEqual(result.lines()[-1]["verified"]["result"], "pass")
        self.assertEqual(self.other.dump("shop", "--no-tablespaces"), self.server.dump("shop", "--no-tablespaces"))
        self.restore("latest", self.other.url("named"), "--schema", "public:other")
        proof = self.holdfast("prove", "--json", env={"HOLDFAST_SANDBOX": self.folder / "sandboxes"}).lines()[-1]
        self.assertEqual((proof["level"], proof["result"]), ("V4", "pass"))
        # Where it is there, it is used.
        self.restore("latest", self.server.url("again"))
        self.assertEqual(self.server.sql("SELECT tablespace FROM pg_indexes WHERE indexname = 'by_b'", "again"), "fast")

    def test_a_restored_folder_holds_statements_that_psql_reads(self):
        self.database("shop", 'CREATE TABLE "a/b" (x int, y text GENERATED ALWAYS AS (\'y\') STORED); INSERT INTO "a/b" VALUES (5)')
        self.backup(self.server.url("shop"))
        out = self.folder / "out"
        self.restore("latest", out)
        self.database("again", "", self.other)
        self.other.run("pg_restore", "-d", "again", str(out / "shop/archive.dump"))
        self.other.run("psql", "-q", "-d", "again", "-f", str(out / "shop/public/a%2Fb"))
        self.assertEqual(self.other.sql('SELECT * FROM "a/b"', "again"), "5|y")

    def test_a_source_of_the_configuration_takes_references(self):
        self.database("shop", "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
sources:
  shop: {{kind: postgres, host: 127.0.0.1, port: "env:THE_PORT", user: postgres, database: shop, password: "env:THE_PASSWORD"}}
  all: {{kind: postgres, url: "env:THE_URL", exclude: [postgres, shop/public/t], databases: ["s*"]}}
""")
        environment = {"THE_PORT": self.server.port, "THE_PASSWORD": "secret of the superuser", "THE_URL": self.server.url()}
        lines = self.backup("-c", config, "--all", env=environment)
        self.assertEqual([line["source"] for line in lines], ["shop", "all"])
        self.assertIn("t", [pathlib.Path(item.get("path", "")).name for item in self.ls("shop")])
        self.assertNotIn("t", [pathlib.Path(item.get("path", "")).name for item in self.ls("all")])
        self.assertNotIn("secret of", self.holdfast("snapshots", "--json").text)
        config.write_text("version: 1\nsources:\n  a: {kind: postgres, host: h, password: hidden}\n")
        self.fails(2, "-c", config, "config", "check", says="must be a reference")
        self.assertNotIn("hidden", self.run_program("-c", config, "config", "check").errors)

    def test_each_part_of_an_address_may_be_a_reference(self):
        self.database("shop", "CREATE TABLE t (a int)")
        config = self.folder / "holdfast.yaml"
        keys = ("host", "port", "user", "database", "sslmode", "service")
        config.write_text("version: 1\nsources:\n  shop: " + json.dumps(
            {"kind": "postgres", **{key: f"env:THE_{key.upper()}" for key in keys if key != "service"}}) +
            "\n  serviced: {kind: postgres, service: 'env:THE_SERVICE', database: shop}\n")
        services = self.folder / "services"
        services.write_text(f"[shop]\nhost={self.server.folder}\nport={self.server.port}\nuser=postgres\n")
        environment = {"THE_HOST": self.server.folder, "THE_PORT": self.server.port, "THE_USER": "postgres", "THE_DATABASE": "shop",
                       "THE_SSLMODE": "disable", "THE_SERVICE": "shop", "PGSERVICEFILE": services}
        self.backup("-c", config, "--all", env=environment)
        for key, wrong in (("host", "/nowhere"), ("port", "1"), ("user", "nobody"), ("database", "nothing"), ("sslmode", "nonsense")):
            self.fails(15, "-c", config, "backup", "shop", env={**environment, f"THE_{key.upper()}": wrong}, says=wrong)
        self.fails(15, "-c", config, "backup", "serviced", env={**environment, "THE_SERVICE": "unknown"}, says="unknown")

    def test_a_server_is_read_once_by_several_streams_and_nothing_lies_on_a_disk_between(self):
        rows = "AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 150000) i"
        self.database("shop", f"CREATE TABLE one {rows}; CREATE TABLE two {rows}")
        small = self.folder / "mount"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=False)
        scans = lambda: [int(n) for n in self.server.sql("SELECT seq_scan FROM pg_stat_user_tables ORDER BY relname", "shop").split()]
        before = scans()
        child = self.start("backup", self.server.url("shop"), env={"TMPDIR": str(small)})
        wait_until(lambda: child.poll() is not None or self.server.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast' AND query LIKE 'COPY%'") == "2", "two streams")
        self.assertIsNone(child.poll())
        out, err = child.communicate()
        self.assertEqual(child.returncode, 0, err)
        wait_until(lambda: all(b > a for a, b in zip(before, scans())), "the server has counted")
        self.assertEqual(scans(), [n + 1 for n in before])

    def ls(self, source):
        return self.holdfast("ls", "latest", "--source", source, "--json", "--recursive").lines()

    def test_a_password_among_the_parameters_of_a_url_is_not_shown(self):
        self.database("shop", "CREATE TABLE t (a int)")
        self.backup(self.server.url("shop"), "--name", "shop")
        address = "postgres://postgres@127.0.0.1:%d/shop?application_name=x&password=secret%%20of%%20the%%20superuser"
        self.assertIn("seen by everybody", self.holdfast("backup", address % self.server.port, "--name", "shop").errors)
        log = self.folder / "log"
        done = self.holdfast("restore", "latest", "--to", address % self.other.port, "--hook-after", f'echo "$HOLDFAST_TARGET" > {log}')
        self.assertNotIn("secret", done.text + done.errors)
        self.assertEqual(log.read_text(), f"postgres://postgres@127.0.0.1:{self.other.port}/shop?application_name=x\n")

    def test_pgpassfile_and_service_are_honoured(self):
        self.database("shop", "CREATE TABLE t (a int)")
        passfile = self.folder / "pgpass"
        passfile.write_text(f"127.0.0.1:{self.server.port}:*:postgres:secret of the superuser\n")
        passfile.chmod(0o600)
        url = f"postgresql://postgres@127.0.0.1:{self.server.port}/shop"
        self.backup(url, env={"PGPASSFILE": passfile})
        services = self.folder / "services"
        services.write_text(f"[shop]\nhost=127.0.0.1\nport={self.server.port}\nuser=postgres\n")
        self.backup("postgres:///shop?service=shop", env={"PGPASSFILE": passfile, "PGSERVICEFILE": services})
        self.backup("postgres:///shop", env={"PGPASSFILE": passfile, "PGSERVICEFILE": services, "PGSERVICE": "shop"})


class Encrypted(Postgres):
    def test_modes_of_tls_are_honoured(self):
        folder = self.folder / "tls"
        folder.mkdir()
        self.folder.chmod(0o755)
        key, certificate = folder / "key", folder / "certificate"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True,
                       capture_output=True)
        if os.geteuid() == 0:
            shutil.chown(key, "postgres", "postgres")
        server = PostgresServer(ssl="on", ssl_cert_file=certificate, ssl_key_file=key)
        self.addCleanup(server.stop)
        server.sql("CREATE DATABASE shop")
        url = f"postgres://postgres:secret%20of%20the%20superuser@localhost:{server.port}/shop"
        self.backup(f"{url}?sslmode=verify-full&sslrootcert={certificate}")
        self.backup(f"{url}?sslmode=require")
        self.fails(15, "backup", f"{url}?sslmode=verify-full&sslrootcert={folder}/nowhere", says="root certificate")
        by_address = url.replace("localhost", "127.0.0.1")
        self.fails(15, "backup", f"{by_address}?sslmode=verify-full&sslrootcert={certificate}", says="does not match host name")
        plain = self.server.url("postgres", password="secret%20of%20the%20superuser")
        self.fails(15, "backup", f"{plain}?sslmode=require", says="does not support SSL")


    def test_the_password_of_a_client_key_reaches_the_tools_and_nobody_else(self):
        folder = self.folder / "tls"
        folder.mkdir()
        self.folder.chmod(0o755)

        def certificate(name, *options):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", f"/CN={name}", "-addext",
                            f"subjectAltName=DNS:{name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", *options],
                           check=True, capture_output=True)
        secret = "only of the key"
        certificate("localhost", "-nodes")
        certificate("keeper", "-passout", f"pass:{secret}")
        shutil.chown(folder / "localhost.key", "postgres", "postgres")
        server = PostgresServer(ssl="on", ssl_cert_file=folder / "localhost.crt", ssl_key_file=folder / "localhost.key",
                                ssl_ca_file=folder / "keeper.crt")
        self.addCleanup(server.stop)
        rules = server.folder / "data/pg_hba.conf"
        rules.write_text("hostssl all keeper 127.0.0.1/32 cert\n" + rules.read_text())
        server.sql("CREATE ROLE keeper SUPERUSER LOGIN; SELECT pg_reload_conf()")
        server.sql("CREATE DATABASE shop")
        server.sql("CREATE TABLE t AS SELECT 1 AS a", "shop")
        programs, seen = self.folder / "programs", self.folder / "seen"
        programs.mkdir()
        for name in ("pg_dump", "pg_dumpall", "pg_restore"):
            (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {seen}; env >> {seen}; exec {POSTGRES_BIN}/{name} "$@"\n')
            (programs / name).chmod(0o755)

        def url(database, password=secret):
            return (f"postgres://keeper@localhost:{server.port}/{database}?sslmode=verify-full&sslrootcert={folder}/localhost.crt"
                    f"&sslcert={folder}/keeper.crt&sslkey={folder}/keeper.key&sslpassword={quote(password)}")
        (self.folder / "holdfast.yaml").write_text("version: 1\nsources:\n  shop: " + json.dumps(
            {"kind": "postgres", "url": "env:SHOP_URL", "bin_dir": str(programs)}) + "\n")
        self.environment["HOLDFAST_CONFIG"] = str(self.folder / "holdfast.yaml")
        environment = {"SHOP_URL": url("shop")}
        self.backup("shop", env=environment)
        self.restore("shop", url("copy"), env=environment)
        self.assertEqual(server.sql("SELECT a FROM t", "copy"), "1")
        self.assertEqual(self.holdfast("diff", "shop", "live", "--json", env=environment).lines()[-1]["content"], 0)
        said = seen.read_text()
        for name in ("pg_dump", "pg_dumpall", "pg_restore"):
            self.assertIn(f"{name} --", said)
        self.assertNotIn(secret, said.replace(f"SHOP_URL={url('shop')}", ""))
        self.assertNotIn(quote(secret), said.replace(f"SHOP_URL={url('shop')}", ""))
        self.fails(15, "backup", "shop", env={"SHOP_URL": url("shop", "wrong")}, says="could not load private key")
        (self.folder / "services").write_text("[x]\nconnect_timeout=9\n")
        self.fails(2, "backup", "shop", env={"SHOP_URL": url("shop") + "&service=x", "PGSERVICEFILE": self.folder / "services"},
                   hints="pg_service.conf")


class Again(Postgres):
    """Captures of what changed since the one before."""

    ROWS = ("CREATE TABLE notes (id int PRIMARY KEY, at timestamptz, note text); INSERT INTO notes SELECT i, "
            "'2026-01-01'::timestamptz + i * interval '1 min', md5(i::text) || md5((i * 3)::text) || md5((i * 7)::text) "
            "FROM generate_series(1, 60000) i; CREATE TABLE small AS SELECT * FROM notes LIMIT 50")
    # Spread over the whole table; new versions go to the end of the heap, or to where there is room.
    CHANGES = "UPDATE notes SET note = md5(note) || md5(note || '{day}') WHERE id % 100 = {day}"

    def stored(self, source):
        return self.backup(source)[0]["bytes"]["stored"]

    def assert_restored_as_it_is(self, snapshot, expected):
        self.restore(snapshot, self.other.url(), "--existing", "drop")
        self.assertEqual(self.other.dump("shop"), expected)

    def test_rows_that_changed_all_over_a_table_cost_what_they_are(self):
        self.database("shop", self.ROWS)
        source = self.server.url("shop")
        was = [self.server.dump("shop")]
        first = self.stored(source)
        self.assertLess(self.stored(source), first / 100)
        for day in range(3):
            self.server.sql(self.CHANGES.format(day=day), "shop")
            was.append(self.server.dump("shop"))
            self.assertLess(self.stored(source), first / 20, f"day {day}")
        self.server.sql("DELETE FROM notes WHERE id BETWEEN 20000 AND 24000", "shop")
        self.server.sql("VACUUM notes", "shop")
        self.server.sql("INSERT INTO notes SELECT i, NULL, md5(i::text) FROM generate_series(70001, 70600) i", "shop")
        self.assertLess(self.stored(source), first / 10)
        snapshots = [each["id"] for each in sorted(self.snapshots(), key=lambda each: each["time"])]
        self.assert_restored_as_it_is(snapshots[-1], self.server.dump("shop"))
        self.assert_restored_as_it_is(snapshots[2], was[1])
        self.assert_restored_as_it_is(snapshots[0], was[0])
        rows = self.holdfast("dump", f"{snapshots[-1]}:shop/public/notes").out
        expected = self.server.sql("COPY notes TO STDOUT", "shop").encode()
        self.assertEqual(b"\n".join(rows.splitlines()[1:-1]), expected)
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.holdfast("export", f"{snapshots[-1]}:shop", "--as", "custom", "--to", self.folder / "shop.dump")
        self.other.run("pg_restore", "--clean", "--if-exists", "-d", "shop", str(self.folder / "shop.dump"))
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))
        diff = self.holdfast("diff", snapshots[0], snapshots[2], "--json").lines()
        self.assertIn(("shop/public/notes", "content"), [(line.get("path"), line.get("change")) for line in diff])
        self.assertNotIn("shop/public/small", [line.get("path") for line in diff])

    def test_a_machine_without_memory_stores_more_and_loses_nothing(self):
        self.database("shop", self.ROWS)
        source = self.server.url("shop")
        first = self.stored(source)
        memory = self.home / ".local/state/holdfast/lines"
        self.assertEqual(len([each for each in memory.rglob("*") if each.is_file()]), 1)
        for file in [each for each in memory.rglob("*") if each.is_file()]:
            whole = file.read_bytes()
            file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.server.sql(self.CHANGES.format(day=1), "shop")
        self.assertGreater(self.stored(source), first / 2)
        self.assert_restored_as_it_is("latest", self.server.dump("shop"))
        shutil.rmtree(memory)
        self.assertLess(self.stored(source), first / 100)
        self.server.sql(self.CHANGES.format(day=2), "shop")
        self.assertLess(self.stored(source), first / 20)
        self.assert_restored_as_it_is("latest", self.server.dump("shop"))

    def test_rows_that_were_forgotten_and_pruned_are_stored_again(self):
        self.database("shop", self.ROWS)
        source = self.server.url("shop")
        first = self.stored(source)
        self.holdfast("forget", self.snapshots()[0]["id"], "--allow-last")
        self.holdfast("prune")
        self.holdfast("prune")
        self.assertGreater(self.stored(source), first / 2)
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.assert_restored_as_it_is("latest", self.server.dump("shop"))

    def test_a_database_in_use_comes_back_as_of_one_moment(self):
        self.database("bank")
        self.server.run("pgbench", "-i", "-q", "-s", "2", "bank")
        load = subprocess.Popen([POSTGRES_BIN / "pgbench", "-n", "-c", "2", "-T", "600", "bank"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=self.server.environment())
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        for _ in range(2):
            wait_until(lambda: int(self.server.sql("SELECT count(*) FROM pgbench_history", "bank")) > 50, "transactions")
            self.backup(self.server.url("bank"))
        self.assertIsNone(load.poll())
        self.restore("latest", self.other.url())
        sums = self.other.sql("SELECT (SELECT sum(delta) FROM pgbench_history), (SELECT sum(abalance) FROM pgbench_accounts), "
                              "(SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(tbalance) FROM pgbench_tellers)", "bank")
        self.assertEqual(len(set(sums.split("|"))), 1, sums)
        self.assertNotEqual(self.other.sql("SELECT count(*) FROM pgbench_history", "bank"), "0")


class Many(Postgres):
    def test_the_tables_of_a_database_may_be_more_than_a_command_line_holds(self):
        count = 2500
        self.database("shop", f"DO $$ BEGIN FOR i IN 1..{count} LOOP EXECUTE 'CREATE TABLE a_partition_of_many_orders_by_day_' || i || "
                      "' AS SELECT ' || i || ' AS i'; IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$")
        done = subprocess.run(["sh", "-c", 'ulimit -Ss 512 && exec "$@"', "sh", PROGRAM, "backup", self.server.url("shop"), "--json"],
                              env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        listed = self.holdfast("ls", "latest:shop/public", "--json").lines()
        self.assertEqual(len([line for line in listed if "a_partition" in line.get("path", "")]), count)
        # Their rows are in items of their own, not in the archive.
        archive = self.holdfast("dump", "latest:shop/archive.dump").out
        self.assertNotIn(b"COPY public.", subprocess.run([POSTGRES_BIN / "pg_restore", "--data-only", "--file=-"], input=archive,
                                                         capture_output=True, check=True).stdout)


class BadInput(Postgres):
    def setUp(self):
        super().setUp()
        self.database("shop", "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 20) AS text FROM generate_series(1, 50000) i")

    def nothing_is_committed(self):
        self.assertEqual(self.snapshots(), [])

    def test_a_server_that_does_not_answer(self):
        self.fails(15, "backup", "postgres://postgres@127.0.0.1:1/shop", says="Connection refused", hints="port")
        self.nothing_is_committed()

    def test_a_wrong_password(self):
        result = self.fails(15, "backup", self.server.url("shop", password="wrongsecret"),
                            says="password authentication failed", hints="PGPASSWORD")
        self.assertNotIn("wrongsecret", result.errors)
        self.nothing_is_committed()

    def test_a_database_that_does_not_exist(self):
        self.fails(15, "backup", self.server.url("nothere"), says='database "nothere" does not exist')
        self.fails(15, "backup", self.server.url(), "--databases", "shop", "--databases", "nothere",
                   says="there is no database nothere", hints="shop")
        self.nothing_is_committed()

    def test_a_role_that_lacks_a_grant_is_told_what_to_type(self):
        self.server.sql("CREATE ROLE weak LOGIN PASSWORD 'w'; CREATE SCHEMA hidden; CREATE TABLE hidden.x (a int);", "shop")
        self.fails(15, "backup", self.server.url("shop", user="weak"), says="role weak may not read table",
                   hints="GRANT USAGE ON SCHEMA hidden TO weak;")
        self.server.sql("GRANT USAGE ON SCHEMA hidden TO weak; GRANT SELECT ON hidden.x TO weak", "shop")
        self.fails(15, "backup", self.server.url("shop", user="weak"), says="table public.t",
                   hints="GRANT SELECT ON TABLE public.t TO weak;")
        self.nothing_is_committed()
        self.server.sql("GRANT SELECT ON t TO weak", "shop")
        result = self.holdfast("backup", self.server.url("shop", user="weak"))
        self.assertIn("passwords of roles", result.errors)
        self.server.sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "shop")
        self.fails(15, "backup", self.server.url("shop", user="weak"), says="row-level security",
                   hints='ALTER ROLE "weak" BYPASSRLS')

    def test_each_grant_that_is_lacking_is_named(self):
        self.server.sql("CREATE ROLE weak LOGIN; REVOKE CONNECT ON DATABASE shop FROM PUBLIC; GRANT SELECT ON t TO weak; "
                        "CREATE SEQUENCE counted; SELECT lo_create(4711), lo_create(4712); GRANT pg_read_all_data TO weak", "shop")
        source = self.server.url("shop", user="weak")
        self.fails(15, "backup", source, hints='GRANT CONNECT ON DATABASE "shop" TO "weak";')
        self.server.sql("GRANT CONNECT ON DATABASE shop TO weak; REVOKE pg_read_all_data FROM weak", "shop")
        self.fails(15, "backup", source, says="sequence public.counted", hints="GRANT SELECT ON SEQUENCE public.counted TO weak;")
        self.server.sql("GRANT SELECT ON SEQUENCE counted TO weak", "shop")
        self.fails(15, "backup", source, says="large object 4711 and 1 more", hints="GRANT SELECT ON LARGE OBJECT 4711 TO weak;")
        self.nothing_is_committed()
        self.server.sql("GRANT SELECT ON LARGE OBJECT 4711, 4712 TO weak", "shop")
        self.holdfast("backup", source)
        self.other.sql("CREATE ROLE weak LOGIN")
        address = f"postgres://{quote(str(self.other.folder), safe='')}:{self.other.port}/"
        self.fails(16, "restore", "latest", "--to", address, "--no-owner", env={"PGUSER": "weak"}, hints="ALTER ROLE weak CREATEDB")

    def test_a_database_that_is_half_dropped_keeps_no_other_from_being_captured(self):
        self.database("broken one", "CREATE TABLE t (a int)")
        self.server.sql("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken one'")
        result = self.holdfast("backup", self.server.url())
        self.assertIn('database broken one was half dropped', result.errors)
        self.assertIn('DROP DATABASE "broken one";', result.errors)
        self.restore("latest", self.other.url(), "--include", "shop")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))
        self.assertNotIn("half dropped", self.holdfast("backup", self.server.url("shop"), "--name", "one").errors)
        self.fails(15, "backup", self.server.url(), "--databases", "broken one", says="there is no database broken one")

    def test_what_pg_dump_leaves_out_is_told(self):
        subscription = ("CREATE SUBSCRIPTION kept CONNECTION 'host=127.0.0.1 dbname=postgres' PUBLICATION p "
                        "WITH (connect = false, slot_name = NONE)")
        self.server.sql("CREATE ROLE weak LOGIN; GRANT pg_read_all_data TO weak", "shop")
        self.server.sql(subscription, "shop")
        self.addCleanup(self.server.sql, "DROP SUBSCRIPTION kept", "shop")
        result = self.holdfast("backup", self.server.url("shop", user="weak"), code=3)
        self.assertIn("its subscriptions (1) are left out", result.text + result.errors)
        self.assertIn("pg_dump: warning: subscriptions not dumped because current user is not a superuser", result.errors)
        self.assertNotIn("subscriptions", self.holdfast("backup", self.server.url("shop"), "--name", "whole").errors)

    def test_a_table_under_alter_is_named(self):
        session = self.server.session("shop")
        self.addCleanup(session.kill)
        session.stdin.write("BEGIN; ALTER TABLE t ADD COLUMN more int; SELECT 'locked';\n")
        session.stdout.readline()
        self.fails(15, "backup", self.server.url("shop"), "--lock-timeout", "500ms", says=["lock on table public.t", "session"],
                   hints="lock_timeout")
        self.nothing_is_committed()

    def test_an_alter_that_comes_meanwhile_waits_and_nothing_is_lost(self):
        child = self.start("backup", self.server.url("shop"))
        altering = self.server.session("shop")
        self.addCleanup(altering.kill)
        altering.stdin.write("ALTER TABLE t ADD COLUMN more int; DROP TABLE t; SELECT 'done';\n")
        altering.stdout.readline()
        out, err = child.communicate()
        # Either it was there first, or all of the table is in the snapshot.
        self.assertEqual(child.returncode, 0, err)

    def test_a_table_dropped_meanwhile_is_left_out_and_the_rest_is_whole(self):
        self.server.sql("CREATE TABLE going AS SELECT 1 AS i", "shop")
        session = self.server.session("shop")
        self.addCleanup(session.kill)
        session.stdin.write("BEGIN; DROP TABLE going; SELECT 'dropped';\n")
        session.stdout.readline()
        child = self.start("backup", self.server.url("shop"))
        # It has listed the table and waits for its lock.
        wait_until(lambda: self.server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast' AND "
                                           "wait_event_type = 'Lock'") != "0", "the lock")
        session.stdin.write("COMMIT; SELECT 'done';\n")
        out, err = child.communicate()
        self.assertEqual(child.returncode, 0, err)
        self.restore("latest", self.other.url())
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    def test_a_table_rewritten_before_its_lock_is_captured_with_its_rows(self):
        self.server.sql("CREATE TABLE kept AS SELECT i FROM generate_series(1, 30) i", "shop")
        changes = {"truncated": "TRUNCATE kept; INSERT INTO kept SELECT i FROM generate_series(1, 20) i",
                   "made anew": "DROP TABLE kept; CREATE TABLE kept AS SELECT i FROM generate_series(1, 10) i",
                   "rewritten": "ALTER TABLE kept ALTER i TYPE bigint"}
        for name, change in changes.items():
            with self.subTest(name):
                session = self.server.session("shop")
                self.addCleanup(session.kill)
                session.stdin.write(f"BEGIN; {change}; SELECT 'changed';\n")
                session.stdout.readline()
                child = self.start("backup", self.server.url("shop"))
                wait_until(lambda: self.server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast' "
                                                   "AND wait_event_type = 'Lock'") != "0", "the lock")
                session.stdin.write("COMMIT; SELECT 'done';\n")
                out, err = child.communicate()
                self.assertEqual(child.returncode, 0, err)
                self.restore("latest", self.other.url(), "--existing", "drop")
                self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    def test_a_connection_cut_in_mid_capture_commits_nothing(self):
        self.server.sql("INSERT INTO t SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 300000) i", "shop")
        child = self.start("backup", self.server.url("shop"))
        cut = 0
        while child.poll() is None and cut == 0:
            cut = int(self.server.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = "
                                      "'holdfast' AND query LIKE 'COPY%'") or 0)
        out, err = child.communicate()
        self.assertGreater(cut, 0)
        self.assertEqual(child.returncode, 15, err)
        self.nothing_is_committed()

    def test_missing_programs_name_their_package(self):
        self.fails(15, "backup", self.server.url("shop"), "--bin-dir", str(self.folder), says="no pg_dump",
                   hints="postgresql-client-15")
        self.nothing_is_committed()

    def test_an_address_that_makes_no_sense(self):
        self.fails(2, "backup", "postgres:shop", says="is no URL")
        self.fails(2, "backup", "postgres://u:hush@h:p:q/%zz", says="no address")
        self.backup(self.server.url("shop"))
        self.fails(2, "restore", "latest", "--to", "mongodb://h/db", says="cannot be restored")
        self.fails(2, "restore", "latest", "--to", self.other.url(), "--in-place", hints="--existing")
        self.fails(16, "restore", "latest", "--to", "postgres://postgres@127.0.0.1:1/shop", says="Connection refused")


class Existing(Postgres):
    def setUp(self):
        super().setUp()
        self.database("shop", """
            CREATE SCHEMA stock;
            CREATE TYPE size AS ENUM ('s', 'l');
            CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE TABLE customers (id serial PRIMARY KEY, name text, size size DEFAULT 's');
            CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, n int DEFAULT one());
            CREATE INDEX by_customer ON orders (customer);
            CREATE TABLE stock.items (id int PRIMARY KEY);
            CREATE VIEW named AS SELECT name FROM customers;
            INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 100) i;
            INSERT INTO orders (customer) SELECT i FROM generate_series(1, 100) i;
            INSERT INTO stock.items VALUES (1), (2);""")
        self.backup(self.server.url("shop"))

    def counts(self, database="shop", server=None):
        return (server or self.other).sql(
            "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM stock.items)", database)

    def test_what_is_there_is_left_alone_unless_told(self):
        self.database("shop", "CREATE TABLE mine (a int)", self.other)
        self.fails(16, "restore", "latest", "--to", self.other.url(), says="not empty", hints=["drop", "--beside"])
        self.assertEqual(self.other.sql("SELECT count(*) FROM mine", "shop"), "0")
        self.restore("latest", self.other.url(), "--existing", "drop")
        self.assertEqual(self.counts(), "100|100|2")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    def test_an_empty_database_is_filled_and_gets_its_properties(self):
        self.server.sql("CREATE ROLE owner; ALTER DATABASE shop OWNER TO owner; ALTER DATABASE shop SET work_mem = '7MB'; "
                        "COMMENT ON DATABASE shop IS 'the shop'")
        self.backup(self.server.url("shop"))
        self.database("shop", "", self.other)
        self.restore("latest", self.other.url("shop"))
        self.assertEqual(self.counts(), "100|100|2")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'"

    def test_a_database_that_stays_keeps_its_comment(self):
        self.restore("latest", self.other.url())
        self.other.sql("COMMENT ON DATABASE shop IS E'mine,\nof two lines'")
        self.restore("latest", self.other.url(), "--include", "shop/stock/items", "--existing", "replace")
        self.assertEqual(self.other.sql(self.COMMENT), "mine,\nof two lines")

    def test_a_name_in_the_target_renames_the_database(self):
        self.restore("latest", self.other.url("shop two"))
        self.assertEqual(self.counts("shop two"), "100|100|2")

    def test_missing_brings_back_only_what_is_gone(self):
        self.restore("latest", self.other.url())
        self.other.sql("DROP TABLE orders; UPDATE customers SET name = 'mine'; DROP TABLE stock.items", "shop")
        # What was there is left, and said not to be what was captured.
        result = self.restore("latest", self.other.url(), "--existing", "missing", code=13)
        differ = [c["name"] for c in result.lines()[-1]["verified"]["checks"] if c["result"] == "fail"]
        self.assertEqual(differ, ["shop/public/customers checksum"])
        self.assertEqual(self.counts(), "100|100|2")
        self.assertEqual(self.other.sql("SELECT DISTINCT name FROM customers", "shop"), "mine")
        self.assertEqual(self.other.sql("SELECT count(*) FROM pg_constraint WHERE contype = 'f'", "shop"), "1")
        self.assertEqual(self.other.sql("SELECT nextval('orders_id_seq')", "shop"), "101")

    def test_replace_brings_back_what_was_changed_and_leaves_the_rest(self):
        self.restore("latest", self.other.url())
        self.other.sql("CREATE TABLE extra AS SELECT 1 AS a; DELETE FROM orders; DROP TABLE stock.items; DROP VIEW named;"
                       "ALTER TABLE customers DROP COLUMN name", "shop")
        self.restore("latest", self.other.url(), "--existing", "replace")
        self.assertEqual(self.counts(), "100|100|2")
        self.assertEqual(self.other.sql("SELECT count(*) FROM extra", "shop"), "1")
        self.other.sql("DROP TABLE extra", "shop")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    def large_objects(self):
        return self.other.sql("SELECT oid, convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata ORDER BY 1", "shop")

    def test_large_objects_are_replaced_or_stay(self):
        self.server.sql("SELECT lo_from_bytea(4711, 'one'), lo_from_bytea(4712, 'two'); COMMENT ON LARGE OBJECT 4711 IS 'first';"
                        "CREATE ROLE reader; GRANT SELECT ON LARGE OBJECT 4712 TO reader", "shop")
        self.backup(self.server.url("shop"))
        self.restore("latest", self.other.url())
        self.assertEqual(self.large_objects(), "4711|one\n4712|two")
        self.other.sql("SELECT lo_put(4711, 0, 'mine, and longer'); DROP TABLE orders", "shop")
        result = self.restore("latest", self.other.url(), "--existing", "missing", code=3)
        self.assertIn("2 large objects are there already", result.text + result.errors)
        self.assertEqual((self.counts(), self.large_objects()), ("100|100|2", "4711|mine, and longer\n4712|two"))
        self.other.sql("SELECT lo_unlink(4712); DROP TABLE orders", "shop")
        result = self.restore("latest", self.other.url(), "--existing", "missing", code=3)
        self.assertIn("1 of its 2 large objects are there already", result.text + result.errors)
        self.assertEqual((self.counts(), self.large_objects()), ("100|100|2", "4711|mine, and longer"))
        self.other.sql("DELETE FROM orders; SELECT lo_from_bytea(4800, 'of nobody')", "shop")
        self.restore("latest", self.other.url(), "--existing", "replace")
        self.assertEqual((self.counts(), self.large_objects()), ("100|100|2", "4711|one\n4712|two\n4800|of nobody"))
        self.other.sql("SELECT lo_unlink(4800), lo_unlink(4711), lo_unlink(4712)", "shop")
        self.restore("latest", self.other.url(), "--existing", "missing")
        self.assertEqual(self.large_objects(), "4711|one\n4712|two")
        self.restore("latest", self.other.url(), "--existing", "replace")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    def test_nothing_is_dropped_when_a_large_object_cannot_be(self):
        self.server.sql("SELECT lo_from_bytea(4711, 'one')", "shop")
        self.backup(self.server.url("shop"))
        self.other.sql("CREATE ROLE weak LOGIN CREATEDB")
        self.restore("latest", self.other.url(user="weak"), "--no-owner")
        self.other.sql("ALTER LARGE OBJECT 4711 OWNER TO postgres; DELETE FROM stock.items", "shop")
        self.fails(16, "restore", "latest", "--to", self.other.url(user="weak"), "--no-owner", "--existing", "replace",
                   says=["cannot replace large objects", "must be owner of large object 4711", "nothing was dropped"])
        self.assertEqual((self.counts(), self.large_objects()), ("100|100|0", "4711|one"))

    def test_functions_of_odd_names_are_replaced_or_stay(self):
        odd = """CREATE FUNCTION "odd name" (a int, b size) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION "odd name" () RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION "Odd (x" (VARIADIC a text[], OUT b int) LANGUAGE sql AS 'SELECT 1';
            CREATE PROCEDURE stock."it's done" (INOUT a numeric(9,2)) LANGUAGE sql AS 'SELECT 1.0';
            CREATE AGGREGATE "My Count" (*) (sfunc = int8inc, stype = int8, initcond = 0);
            CREATE AGGREGATE "My Sum" (int8) (sfunc = int8pl, stype = int8);
            CREATE TABLE counted (a int DEFAULT "odd name"());"""
        self.server.sql(odd, "shop")
        self.backup(self.server.url("shop"))
        self.restore("latest", self.other.url())
        self.other.sql("DROP TABLE orders; DROP AGGREGATE \"My Count\" (*)", "shop")
        self.restore("latest", self.other.url(), "--existing", "missing")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))
        self.other.sql("DROP TABLE orders", "shop")
        self.restore("latest", self.other.url(), "--existing", "replace")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))
        # What comes along with a part stays when it is there.
        self.restore("latest", self.other.url(), "--include", "shop/public/counted", "--existing", "replace")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))

    def test_rows_of_an_extension_that_is_there_stay(self):
        # As pg_extension_config_dump() does it in the script of an extension.
        extension = ("CREATE EXTENSION hstore; CREATE TABLE kept (k text PRIMARY KEY); ALTER EXTENSION hstore ADD TABLE kept; "
                     "UPDATE pg_extension SET extconfig = ARRAY['kept'::regclass::oid], extcondition = ARRAY[''] WHERE extname = "
                     "'hstore'; INSERT INTO kept VALUES ('a'), ('b')")
        self.server.sql(extension, "shop")
        self.backup(self.server.url("shop"))
        for existing in ("replace", "missing"):
            with self.subTest(existing):
                self.other.sql("DROP DATABASE IF EXISTS shop")
                self.database("shop", extension + "; CREATE TABLE mine (a int)", self.other)
                result = self.restore("latest", self.other.url(), "--existing", existing, code=3)
                self.assertIn("what public.kept holds is left out", result.text + result.errors)
                self.assertEqual(self.other.sql("SELECT string_agg(k, ' ' ORDER BY k) FROM kept", "shop"), "a b")
                self.assertEqual(self.other.sql("SELECT count(*) FROM orders", "shop"), "100")

    def test_replace_refuses_what_others_need(self):
        self.restore("latest", self.other.url())
        self.other.sql("CREATE VIEW other AS SELECT * FROM orders; DELETE FROM stock.items", "shop")
        self.fails(16, "restore", "latest", "--to", self.other.url(), "--existing", "replace", says="cannot replace TABLE orders")
        self.assertEqual(self.counts(), "100|100|0")

    def test_what_is_there_meets_each_size_of_what_comes(self):
        self.restore("latest", self.other.url("changed"))
        self.other.sql("DELETE FROM orders; DELETE FROM stock.items; CREATE TABLE mine AS SELECT 1 AS a", "changed")
        as_it_was = "100|0|0"
        # How it ends, and what is there then; the view `named` needs a table of its schema.
        expected = {
            "shop": {"fail": (16, as_it_was), "drop": (0, "100|100|2"), "missing": (13, as_it_was), "replace": (0, "100|100|2")},
            "shop/public": {"fail": (16, as_it_was), "drop": (2, as_it_was), "missing": (13, as_it_was), "replace": (0, "100|100|0")},
            "shop/stock/items": {"fail": (16, as_it_was), "drop": (2, as_it_was), "missing": (13, as_it_was),
                                 "replace": (0, "100|0|2")},
        }
        for part, ways in expected.items():
            for existing, (code, counts) in ways.items():
                with self.subTest(f"{part} {existing}"):
                    self.other.sql("DROP DATABASE IF EXISTS shop")
                    self.other.sql("CREATE DATABASE shop TEMPLATE changed")
                    self.restore("latest", self.other.url(), "--include", part, "--existing", existing, code=code)
                    self.assertEqual(self.counts(), counts)
                    self.assertEqual(self.other.sql("SELECT count(*) FROM named", "shop"), "100")
                    mine = self.other.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'mine'", "shop")
                    self.assertEqual(mine, "0" if (part, existing) == ("shop", "drop") else "1")

    def test_one_table_comes_back_with_what_belongs_to_it(self):
        self.restore("latest", self.other.url("part"), "--include", "shop/stock/items")
        self.assertEqual(self.other.sql("SELECT count(*) FROM stock.items", "part"), "2")
        self.assertEqual(self.other.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "part"), "0")
        result = self.restore("latest", self.other.url("part"), "--include", "shop/public/orders", code=3)
        self.assertIn("foreign key", result.text + result.errors)
        self.assertEqual(self.other.sql("SELECT count(*), max(n) FROM orders", "part"), "100|1")
        self.assertEqual(self.other.sql("SELECT nextval('orders_id_seq')", "part"), "101")
        self.assertEqual(self.other.sql("SELECT count(*) FROM pg_indexes WHERE tablename = 'orders'", "part"), "2")
        self.fails(16, "restore", "latest", "--to", self.other.url("part"), "--include", "shop/public/orders",
                   says="public.orders is there already")
        self.fails(1, "restore", "latest", "--to", self.other.url("none"), "--include", "shop/public/nothing", says="matches")
        self.assertNotIn("none", self.other.databases())

    def test_one_table_is_replaced_in_the_source_itself_when_that_is_meant(self):
        self.server.sql("DELETE FROM stock.items", "shop")
        self.fails(16, "restore", "latest", "--to", self.server.url(), "--include", "shop/stock/*", "--existing", "replace",
                   says="this snapshot was made of", hints="--into-source")
        self.restore("latest", self.server.url(), "--include", "shop/stock/*", "--existing", "replace", "--into-source")
        self.assertEqual(self.counts(server=self.server), "100|100|2")

    def test_the_source_as_a_whole_is_not_dropped_unless_that_is_meant(self):
        refused = ("restore", "latest", "--to", self.server.url(), "--existing", "drop")
        self.fails(16, *refused, says="this snapshot was made of", hints="--into-source")
        # A capture that may not ask for the identifier of its server is known by its address.
        self.server.sql("CREATE ROLE weak LOGIN; GRANT pg_read_all_data TO weak; "
                        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC", "shop")
        self.backup(self.server.url("shop", user="weak"), "--name", "weakly")
        self.fails(16, *refused, "--source", "weakly", says="this snapshot was made of")
        self.assertEqual(self.counts("shop", self.server), "100|100|2")
        self.restore("latest", self.other.url(), "--source", "weakly")
        self.restore("latest", self.server.url(), "--source", "weakly", "--existing", "drop", "--into-source")

    def test_a_database_beside_leaves_the_other_alone(self):
        self.server.sql("DELETE FROM orders", "shop")
        self.restore("latest", self.server.url(), "--beside", "shop_restored")
        self.assertEqual(self.counts("shop_restored", self.server), "100|100|2")
        self.assertEqual(self.counts("shop", self.server), "100|0|2")

    def test_swap_puts_the_restored_one_in_place_and_unswap_goes_back(self):
        self.server.sql("DELETE FROM orders", "shop")
        session = self.server.session("shop")
        self.addCleanup(session.kill)
        session.stdin.write("SELECT 'there';\n")
        session.stdout.readline()
        self.fails(16, "restore", "latest", "--to", self.server.url("shop"), "--beside", "new", "--swap", says="in use",
                   hints="--end-sessions")
        self.assertEqual(self.server.databases(), ["new", "postgres", "shop"])
        self.assertEqual(self.counts("shop", self.server), "100|0|2")
        self.restore("latest", self.server.url("shop"), "--beside", "new", "--existing", "drop", "--swap", "--end-sessions")
        self.assertEqual(self.counts("shop", self.server), "100|100|2")
        before = [name for name in self.server.databases() if name.startswith("shop_before_")]
        self.assertEqual(self.counts(before[0], self.server), "100|0|2")
        self.holdfast("restore", "--unswap", "--to", self.server.url("shop"))
        self.assertEqual(self.counts("shop", self.server), "100|0|2")
        after = [name for name in self.server.databases() if name.startswith("shop_after_")]
        self.assertEqual(self.counts(after[0], self.server), "100|100|2")
        self.fails(2, "restore", "latest", "--to", self.server.url("shop"), "--swap", says="--beside")
        self.fails(16, "restore", "--unswap", "--to", self.server.url("shop"), says="no database shop_before_")

    def configure(self, **keys):
        (self.folder / "holdfast.yaml").write_text("version: 1\nsources:\n  shop: " + json.dumps(
            {"kind": "postgres", "url": self.server.url("shop"), **keys}) + "\n")
        self.environment["HOLDFAST_CONFIG"] = str(self.folder / "holdfast.yaml")

    def check_of_customers(self, summary):
        return next(c for c in summary["verified"]["checks"] if c["name"].startswith("sql "))

    def test_a_check_asks_what_was_restored_and_not_its_namesake(self):
        self.configure(checks=[{"sql": "select count(*) from customers", "database": "shop", "expect": ">0"}])
        self.backup("shop")
        self.server.sql("TRUNCATE customers CASCADE", "shop")
        summary = self.restore("shop", self.server.url("shop"), "--beside", "new").lines()[-1]
        self.assertEqual(self.check_of_customers(summary)["found"], "100")
        self.backup("shop")
        self.server.sql("INSERT INTO customers (name) VALUES ('live')", "shop")
        log = self.folder / "log"
        result = self.restore("shop", self.server.url("shop"), "--beside", "empty", "--swap", "--hook-after", f"echo after >> {log}",
                              "--hook-failure", f"echo $HOLDFAST_RESULT >> {log}", code=13)
        self.assertEqual(self.check_of_customers(result.lines()[-1])["found"], "0")
        self.assertEqual(log.read_text(), "corrupt\n")
        self.assertEqual(self.server.databases(), ["empty", "new", "postgres", "shop"])
        self.assertEqual(self.server.sql("SELECT count(*) FROM customers", "shop"), "1")

    def test_what_came_back_in_part_is_not_swapped_in(self):
        log = self.folder / "log"
        self.fails(16, "restore", "latest", "--to", self.server.url("shop"), "--beside", "new", "--include", "shop/public/orders",
                   "--swap", "--hook-after", f"echo after >> {log}", "--hook-failure", f"echo $HOLDFAST_RESULT >> {log}",
                   says=["not swapped", "nothing was renamed; new holds what was restored", "foreign key"])
        self.assertEqual(log.read_text(), "target_failed\n")
        self.assertEqual(self.server.databases(), ["new", "postgres", "shop"])
        self.assertEqual(self.counts("shop", self.server), "100|100|2")

    def test_a_check_of_a_database_that_was_not_restored_is_not_tested(self):
        self.database("crm", "CREATE TABLE t (a int)")
        self.configure(url=self.server.url(), exclude=["postgres"],
                       checks=[{"sql": "select count(*) from t", "database": "crm", "expect": "0"}])
        self.backup("shop")
        summary = self.restore("shop", self.server.url("copy"), "--include", "shop").lines()[-1]
        check = next(c for c in summary["verified"]["checks"] if c["name"].startswith("sql "))
        self.assertEqual((check["result"], check["found"]), ("not_tested", "database crm is not what was restored"))

    def test_programs_that_are_newer_than_the_server_bring_back_what_they_dumped(self):
        programs = self.folder / "programs"
        programs.mkdir()
        # As those of PostgreSQL 17, whose pg_restore begins with a setting that is new there.
        complaint = 'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
        for name, script in {
                "pg_dumpall": "", "pg_dump": '[ "$*" = --version ] && exec echo "pg_dump (PostgreSQL) 17.2"',
                "pg_restore": f"""case "$*" in *--dbname=*) ;; *) exec {POSTGRES_BIN}/pg_restore "$@";; esac
echo '{complaint}' >&2
echo 'Command was: SET transaction_timeout = 0;' >&2
case "$*" in *--exit-on-error*) exit 1;; esac
[ -z "$MORE" ] || echo "pg_restore: error: could not execute query: ERROR:  $MORE" >&2
said=$({POSTGRES_BIN}/pg_restore "$@" 2>&1 > /dev/null); status=$?
ignored=$(echo "$said" | sed -n 's/.*errors ignored on restore: //p')
echo "$said" | grep -v 'errors ignored on restore' >&2
[ $status = 0 ] || [ -n "$ignored" ] || exit $status
echo "pg_restore: warning: errors ignored on restore: $((${{ignored:-0}} + 1 ${{MORE:+ + 1}}))" >&2
exit 1"""}.items():
            (programs / name).write_text(f'#!/bin/sh\n{script}\nexec {POSTGRES_BIN}/{name} "$@"\n')
            (programs / name).chmod(0o755)
        self.configure(bin_dir=str(programs))
        self.server.sql("SELECT lo_from_bytea(4711, 'one')", "shop")
        self.assertIn("postgresql-client-15", self.holdfast("backup", "shop").errors)
        self.restore("shop", self.other.url())
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))
        self.other.sql("DROP TABLE orders", "shop")
        self.restore("shop", self.other.url(), "--existing", "replace")
        self.assertEqual(self.other.dump("shop"), self.server.dump("shop"))
        self.restore("shop", self.other.url("named"), "--schema", "public:other")
        self.assertEqual(self.other.sql("SELECT count(*) FROM other.orders", "named"), "100")
        for more in ('relation "orders" already exists', 'unrecognized configuration parameter "other"'):
            self.fails(16, "restore", "shop", "--to", self.other.url("failed"), "--existing", "drop", env={"MORE": more}, says=more)
        proof = self.holdfast("prove", "--source", "shop", "--json", env={"HOLDFAST_SANDBOX": self.folder / "sandboxes"}).lines()[-1]
        self.assertEqual((proof["level"], proof["result"]), ("V4", "pass"))

    def test_owners_are_mapped_to_roles_of_the_target(self):
        self.server.sql("CREATE ROLE seller; CREATE ROLE viewer; ALTER TABLE orders OWNER TO seller; GRANT SELECT ON customers "
                        "TO seller WITH GRANT OPTION; GRANT SELECT ON orders TO viewer; SELECT lo_from_bytea(4711, "
                        "convert_to(repeat('large object ', 300000), 'UTF8'))", "shop")
        self.backup(self.server.url("shop"))
        self.fails(16, "restore", "latest", "--to", self.other.url(), "--owner", "seller:merchant", hints='CREATE ROLE "merchant"')
        self.other.sql("CREATE ROLE merchant")
        self.restore("latest", self.other.url(), "--owner", "seller:merchant")
        self.assertEqual(self.other.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'", "shop"), "merchant")
        self.assertEqual(self.other.sql("SELECT relacl FROM pg_class WHERE relname = 'orders'", "shop"),
                         "{merchant=arwdDxt/merchant,viewer=r/merchant}")
        self.assertEqual(self.other.sql("SELECT md5(lo_get(4711))", "shop"), self.server.sql("SELECT md5(lo_get(4711))", "shop"))
        self.assertIn("merchant=r*/postgres", self.other.sql("SELECT relacl FROM pg_class WHERE relname = 'customers'", "shop"))
        self.restore("latest", self.other.url("plain"), "--no-owner")
        self.assertEqual(self.other.sql("SELECT relacl FROM pg_class WHERE relname = 'orders'", "plain"), "")
        self.fails(2, "restore", "latest", "--to", self.other.url(), "--owner", "seller", says="OLD:NEW")

    def test_a_schema_comes_back_under_another_name_beside_its_namesake(self):
        self.restore("latest", self.other.url())
        self.other.sql("DELETE FROM orders; DELETE FROM customers", "shop")
        self.restore("latest", self.other.url(), "--include", "shop/public/orders", "--include", "shop/public/customers",
                     "--schema", "public:recovered")
        self.assertEqual(self.counts(), "0|0|2")
        self.assertEqual(self.other.sql("SELECT count(*) FROM recovered.orders o JOIN recovered.customers c ON o.customer = c.id",
                                        "shop"), "100")
        self.assertEqual(self.other.sql("SELECT nextval('recovered.orders_id_seq')", "shop"), "101")
        self.assertEqual(self.other.sql("SELECT count(*) FROM pg_indexes WHERE schemaname = 'recovered'", "shop"), "3")
        self.assertEqual(self.other.databases(), ["postgres", "shop"])
        self.restore("latest", self.other.url("new"), "--schema", "stock:goods")
        self.assertEqual(self.other.sql("SELECT count(*) FROM goods.items", "new"), "2")

    def test_exports_are_read_by_psql_and_pg_restore(self):
        self.database("everything", EVERYTHING)
        self.backup(self.server.url("everything"), "--name", "all")
        archive, text = self.folder / "all.dump", self.folder / "all.sql.gz"
        self.holdfast("export", "latest", "--source", "all", "--as", "custom", "--to", archive)
        self.holdfast("export", "latest:everything", "--source", "all", "--as", "sql", "--gzip=9", "--to", text)
        folders = {"folder": self.folder / "all.dir", "packed": self.folder / "packed.dir"}
        self.holdfast("export", "latest", "--source", "all", "--as", "directory", "--to", folders["folder"])
        self.holdfast("export", "latest", "--source", "all", "--as", "directory", "--gzip=1", "--to", str(folders["packed"]) + "/")
        self.assertLess(sum(p.stat().st_size for p in folders["packed"].iterdir()),
                        sum(p.stat().st_size for p in folders["folder"].iterdir()))
        self.fails(1, "export", "latest", "--source", "all", "--as", "directory", "--to", folders["folder"], says="exists")
        self.fails(2, "export", "latest", "--source", "all", "--as", "directory", "--to", "-", says="folder")
        self.fails(1, "export", "latest", "--source", "all", "--to", text, says="exists")
        self.database("reference", "", self.other)
        self.other.sql("\n".join(line for line in self.server.run("pg_dumpall", "--roles-only").decode().splitlines()
                                  if not line.startswith("\\") and "postgres" not in line))
        self.other.run("pg_restore", "--exit-on-error", "-d", "reference", input=self.server.run("pg_dump", "-Fc", "everything"))
        self.database("custom", "", self.other)
        self.other.run("pg_restore", "--exit-on-error", "-j2", "-d", "custom", str(archive))
        self.database("piped", "", self.other)
        self.other.run("pg_restore", "--exit-on-error", "-d", "piped", input=archive.read_bytes())
        self.database("plain", gzip.decompress(text.read_bytes()).decode(), self.other)
        for name, path in folders.items():
            self.database(name, "", self.other)
            self.other.run("pg_restore", "--exit-on-error", "-j2", "-d", name, str(path))
        reference = self.plain_dump("reference")
        for name in ("custom", "piped", "plain", *folders):
            self.assertEqual(self.plain_dump(name), reference, name)

    def plain_dump(self, name):
        lines = self.other.run("pg_dump", name).decode().splitlines()
        return [line for line in lines if not line.startswith(("\\restrict ", "\\unrestrict "))]

    def test_a_missing_extension_is_said_before_anything_is_dropped(self):
        self.server.sql("CREATE EXTENSION hstore", "shop")
        self.backup(self.server.url("shop"))
        control = pathlib.Path("/usr/share/postgresql/15/extension/hstore.control")
        hidden = control.with_suffix(".hidden")
        self.database("shop", "CREATE TABLE mine (a int)", self.other)
        control.rename(hidden)
        try:
            self.fails(16, "restore", "latest", "--to", self.other.url(), "--existing", "drop", says="extension hstore",
                       hints="postgresql-contrib")
        finally:
            hidden.rename(control)
        self.assertEqual(self.other.sql("SELECT count(*) FROM mine", "shop"), "0")

    def test_a_missing_locale_is_said_before_anything_is_dropped(self):
        locale = pathlib.Path("/usr/lib/locale/hf_HF.utf8")
        shutil.copytree("/usr/lib/locale/C.utf8", locale, dirs_exist_ok=True)
        self.addCleanup(shutil.rmtree, locale, ignore_errors=True)
        self.server.sql("CREATE DATABASE local TEMPLATE template0 LOCALE 'hf_HF.utf8'")
        self.backup(self.server.url("local"), "--name", "local")
        self.server.sql("DROP DATABASE local")
        shutil.rmtree(locale)
        self.database("local", "CREATE TABLE mine (a int)", self.other)
        self.fails(16, "restore", "latest", "--source", "local", "--to", self.other.url(), "--existing", "drop",
                   says="hf_HF.utf8", hints="locale-gen")
        self.assertEqual(self.other.sql("SELECT count(*) FROM mine", "local"), "0")
        self.assertEqual(self.other.databases(), ["local", "postgres"])

    def test_a_full_disk_of_the_target_is_said(self):
        self.server.sql("INSERT INTO customers (name) SELECT repeat(md5(i::text), 20) FROM generate_series(1, 60000) i", "shop")
        self.backup(self.server.url("shop"))
        small = self.other.folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        place = small / "space"
        place.mkdir()
        shutil.chown(place, "postgres", "postgres")
        self.other.sql(f"CREATE TABLESPACE small LOCATION '{place}'")
        self.addCleanup(self.other.sql, "DROP TABLESPACE small")
        self.other.sql("CREATE DATABASE shop TABLESPACE small")
        self.addCleanup(self.other.sql, "DROP DATABASE shop WITH (FORCE)")
        self.fails(18, "restore", "latest", "--to", self.other.url(), says="No space left on device")
        self.fails(16, "restore", "latest", "--to", self.other.url(), says="interrupted restore")

    def test_open_sessions_keep_a_database_from_being_dropped(self):
        self.database("shop", "CREATE TABLE mine (a int)", self.other)
        session = self.other.session("shop")
        self.addCleanup(session.kill)
        session.stdin.write("SELECT 'there';\n")
        session.stdout.readline()
        self.fails(16, "restore", "latest", "--to", self.other.url(), "--existing", "drop", says="being accessed",
                   hints="--beside")
        self.assertEqual(self.other.databases(), ["postgres", "shop"])

    def test_an_interrupted_restore_says_so_and_is_made_anew(self):
        self.server.sql("INSERT INTO orders (customer) SELECT 1 + i % 100 FROM generate_series(1, 400000) i", "shop")
        self.backup(self.server.url("shop"))
        child = self.start("restore", "latest", "--to", self.other.url())
        while child.poll() is None:
            if self.other.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast' AND query LIKE "
                              "'COPY%orders%'") == "1":
                child.kill()
        child.communicate()
        self.assertIn("not complete", self.other.sql(self.COMMENT))
        self.fails(16, "restore", "latest", "--to", self.other.url(), says="interrupted", hints="--existing")
        self.restore("latest", self.other.url(), "--existing", "replace")
        self.assertEqual(self.counts(), "100|400100|2")
        self.assertEqual(self.other.sql(self.COMMENT), "")


if __name__ == "__main__":
    main()
