"""A snapshot against what is live, named environments, checks by HTTP."""

import http.server
import json
import os
import pathlib
import subprocess
import threading
import time

from harness import PROGRAM, Case, main, postgres_server


def drop_all(server):
    for name in server.databases():
        if name != "postgres":
            server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


class Databases(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.server = postgres_server("first")
        self.other = postgres_server("second")
        for server in (self.server, self.other):
            self.addCleanup(drop_all, server)
        self.config = self.folder / "holdfast.yaml"
        self.environment["HOLDFAST_CONFIG"] = str(self.config)
        self.environment["SHOP_URL"] = self.server.url("shop")
        self.configure()

    def configure(self, text="", **source):
        keys = {"kind": "postgres", "url": "env:SHOP_URL", **source}
        self.config.write_text("version: 1\nsources:\n  shop: " + json.dumps(keys) + "\n" + text)

    def database(self, sql, name="shop", server=None):
        (server or self.server).sql(f'CREATE DATABASE "{name}"')
        (server or self.server).sql(sql, name)

    def diff(self, *args, **options):
        lines = self.holdfast("diff", "latest", "live", *args, "--json", **options).lines()
        self.assertEqual(lines[-1]["schema"], "holdfast.diff/1")
        return lines[:-1]


ROWS = """CREATE TABLE same (id int PRIMARY KEY); INSERT INTO same SELECT generate_series(1, 1000);
    CREATE TABLE orders (id int, place text, n int, PRIMARY KEY (id, place));
    INSERT INTO orders SELECT i, 'tab' || chr(9) || i, i FROM generate_series(1, 20000) i;
    CREATE TABLE "no key" (a int); INSERT INTO "no key" VALUES (1), (2);
    CREATE TABLE gone (a int); CREATE TABLE changed (a int); CREATE SEQUENCE counted;"""


class LiveDatabases(Databases):
    def test_nothing_differs_right_after_a_backup(self):
        self.database(ROWS)
        self.backup("shop")
        self.assertEqual(self.diff(), [])
        self.server.sql("VACUUM FULL orders; ANALYZE", "shop")
        self.assertEqual(self.diff("--rows"), [])

    def test_a_large_table_is_compared_in_parts(self):
        """Of pages: 16 MB each; the last one has no end. Its indexes are built as soon as it is back."""
        self.database("""CREATE TABLE large (id int PRIMARY KEY, note text, doubled int GENERATED ALWAYS AS (id * 2) STORED);
            CREATE INDEX ON large (upper(note)) WHERE id < 1000; ALTER TABLE large ADD CONSTRAINT once UNIQUE (doubled);
            CREATE TABLE leads_there (id int REFERENCES large (doubled)); INSERT INTO leads_there VALUES (NULL);
            INSERT INTO large SELECT i, repeat('note ' || i, 40) FROM generate_series(1, 120000) i""")
        self.backup("shop")
        self.assertEqual(self.diff(), [])
        self.restore("latest", self.other.url())
        self.assertEqual(self.diff("--to", self.other.url("shop")), [])
        for changed in ("UPDATE large SET note = 'x' WHERE id = 1", "UPDATE large SET note = 'y' WHERE id = 60000",
                        "INSERT INTO large VALUES (120001, 'z')"):
            self.server.sql(changed, "shop")
            self.assertEqual([line["path"] for line in self.diff()], ["shop/public/large"])
            self.backup("shop")
            self.assertEqual(self.diff(), [])

    def test_missing_added_and_changed_tables_are_named(self):
        self.database(ROWS)
        self.backup("shop")
        self.server.sql("DROP TABLE gone; CREATE TABLE more (a int); ALTER TABLE changed ADD COLUMN b int; "
                        "DELETE FROM orders WHERE id = 7; SELECT nextval('counted'), nextval('counted')", "shop")
        found = {line["path"]: (line["change"], line.get("text", "")) for line in self.diff()}
        self.assertEqual({path: change for path, (change, _) in found.items()},
                         {"shop": "metadata", "shop/public/gone": "removed", "shop/public/more": "added",
                          "shop/public/changed": "metadata", "shop/public/orders": "content",
                          "shop/public/counted": "content"})
        self.assertIn("rows 20000, now 19999", found["shop/public/orders"][1])
        only = self.diff("shop/public/orders")
        self.assertEqual([line["path"] for line in only], ["shop/public/orders"])
        text = self.holdfast("diff", "latest", "live")
        self.assertIn("- shop/public/gone\n", text.text)
        self.assertIn("1 only live, 1 gone", text.errors)

    def test_keys_of_rows_are_named(self):
        self.database(ROWS)
        self.backup("shop")
        self.server.sql("""DELETE FROM orders WHERE id = 7; UPDATE orders SET n = 0 WHERE id = 12345;
            INSERT INTO orders VALUES (20001, 'new', 1); INSERT INTO "no key" VALUES (3)""", "shop")
        result = self.holdfast("diff", "latest", "live", "--rows", "--json")
        rows = {(line["path"], line["key"]): line["change"] for line in result.lines() if line["type"] == "row"}
        self.assertEqual(rows, {("shop/public/orders", "id=7, place=tab\\t7"): "removed",
                                ("shop/public/orders", "id=12345, place=tab\\t12345"): "content",
                                ("shop/public/orders", "id=20001, place=new"): "added"})
        result = self.holdfast("diff", "latest", "live", "--rows")
        self.assertIn("no key: its rows cannot be told apart: it has no primary key", result.errors)
        self.server.sql("UPDATE same SET id = -id", "shop")
        result = self.holdfast("diff", "latest", "live", "shop/public/same", "--rows", "--rows-max", "10", "--json")
        self.assertEqual(len([line for line in result.lines() if line["type"] == "row"]), 10)
        self.assertIn("more rows differ", self.holdfast("diff", "latest", "live", "--rows", "--rows-max", "10").errors)

    def test_another_server_can_be_compared(self):
        self.database(ROWS)
        self.backup("shop")
        self.restore("latest", self.other.url())
        self.assertEqual(self.diff("--to", self.other.url("shop")), [])
        self.other.sql("DROP TABLE gone", "shop")
        self.assertEqual([line["path"] for line in self.diff("--to", self.other.url("shop"))], ["shop", "shop/public/gone"])
        self.fails(16, "diff", "latest", "live", "--to", "postgres://postgres@127.0.0.1:1/shop", says="Connection refused")
        self.fails(2, "diff", "latest", "latest", "--rows", says="go with `diff SNAPSHOT live`")


class LiveFiles(Case):
    def test_files_are_compared_by_content_and_metadata(self):
        self.init()
        tree = self.folder / "tree"
        (tree / "sub/deep").mkdir(parents=True)
        for name in ("same", "other", "mode", "gone", "sub/grown", "sub/deep/last"):
            (tree / name).write_bytes(name.encode() * 1000)
        self.backup(f"files:{tree}", "--name", "tree")
        diff = lambda *args: {line["path"]: line["change"] for line in
                              self.holdfast("diff", "latest", "live", *args, "--json").lines()[:-1]}
        self.assertEqual(diff(), {})
        kept = (tree / "other").stat()
        (tree / "other").write_bytes(b"OTHER" * 1000)
        os.utime(tree / "other", ns=(kept.st_atime_ns, kept.st_mtime_ns))  # only its content tells
        (tree / "mode").chmod(0o600 if (tree / "mode").stat().st_mode & 0o777 != 0o600 else 0o644)
        with open(tree / "sub/grown", "ab") as file:
            file.write(b"more")
        stamps = {p: p.stat() for p in (tree, tree / "sub", tree / "sub/deep")}
        (tree / "gone").unlink()
        (tree / "new").write_bytes(b"")
        (tree / "sub/deep/folder").mkdir()
        for path, stamp in stamps.items():
            os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        self.assertEqual(diff(), {f"{tree}/other": "content", f"{tree}/mode": "metadata", f"{tree}/sub/grown": "content",
                                  f"{tree}/gone": "removed", f"{tree}/new": "added", f"{tree}/sub/deep/folder": "added"})
        self.assertEqual(diff(str(tree / "sub")), {f"{tree}/sub/grown": "content", f"{tree}/sub/deep/folder": "added"})

    def test_what_a_command_printed_has_nothing_live(self):
        self.init()
        self.backup("command:x", "--", "echo", "hello")
        self.fails(2, "diff", "latest", "live", says="nothing live")


class Environments(Databases):
    def setUp(self):
        super().setUp()
        self.database("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        self.configure('environments:\n  staging: {shop: "env:STAGING_URL"}\n  here: {shop: "env:SHOP_URL"}\n'
                       '  disk: {shop: restored}\n  other: {else: "env:STAGING_URL"}\n')
        self.environment["STAGING_URL"] = self.other.url("shop", password="secret of the superuser")
        self.backup("shop")

    def test_a_source_goes_to_its_place_in_an_environment(self):
        result = self.holdfast("restore", "latest", "--to", "staging")
        self.assertNotIn("secret of", result.text + result.errors)
        self.assertEqual(self.other.sql("SELECT a FROM t", "shop"), "1")
        self.restore("latest", "staging", "--beside", "shop_new", "--swap")
        self.holdfast("restore", "--unswap", "--to", "staging")
        self.restore("latest", "disk")
        self.assertTrue((self.folder / "restored/shop/public/t").exists())
        self.fails(2, "restore", "latest", "--to", "other", says="no place for source shop", hints="else")

    def test_an_environment_that_is_the_source_is_refused(self):
        self.fails(16, "restore", "latest", "--to", "here", says=["environment here points at", "has its address"],
                   hints="Correct `environments`")
        # By another address it is the same server.
        self.environment["STAGING_URL"] = self.server.url("elsewhere", password="secret of the superuser")
        for extra in ((), ("--into-source",), ("--beside", "x")):
            self.fails(16, "restore", "latest", "--to", "staging", *extra, says="has its system identifier")
        self.assertEqual(self.server.databases(), ["postgres", "shop"])

    def test_wrong_environments_are_told_with_their_place(self):
        self.configure("environments:\n  staging: env:X\n")
        self.fails(2, "config", "check", says="environment `staging` must be a map of sources")
        for url in ("postgres://u:hush@h/", "postgres://u@h/db?password=hush"):
            self.configure('environments:\n  staging: {shop: "%s"}\n' % url)
            self.assertNotIn("hush", self.fails(2, "config", "check", says="URL with a password").errors)

    def test_shells_complete_the_names(self):
        self.assertEqual(self.holdfast("names", "environments").text, "staging\nhere\ndisk\nother\n")
        script = self.folder / "complete.bash"
        script.write_text(self.holdfast("completion", "bash").text + f"""
COMP_WORDS=({PROGRAM} -c {self.config} restore latest --to st); COMP_CWORD=6; _holdfast {PROGRAM} st --to
echo "${{COMPREPLY[@]}}"
COMP_WORDS=({PROGRAM} restore latest --source sh); COMP_CWORD=4; _holdfast {PROGRAM} sh --source
echo "${{COMPREPLY[@]}}"
""")
        done = subprocess.run(["bash", script], env=self.environment, capture_output=True, text=True, check=True,
                              cwd=self.folder)
        self.assertEqual(done.stdout, "staging\nshop\n", done.stderr)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            return time.sleep(2)
        status = {"/health": 200, "/moved": 302}.get(self.path.split("?")[0], 503)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/health")
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, *args):
        pass


class HttpChecks(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        (self.folder / "tree").mkdir()
        (self.folder / "tree/file").write_bytes(b"content")

    def configure(self, *checks):
        (self.folder / "holdfast.yaml").write_text("version: 1\nsources:\n  uploads: " + json.dumps(
            {"kind": "files", "paths": [str(self.folder / "tree")], "checks": list(checks)}) + "\n")
        self.backup("uploads")

    def checks(self, code=0):
        found = self.restore("latest", self.folder / f"out{code}", code=code).lines()[-1]["verified"]["checks"]
        return [(c["name"], c["result"], c["found"]) for c in found if c["name"].startswith("http ")]

    def test_health_is_asked_for_after_a_restore_and_by_a_proof(self):
        self.configure({"http": f"{self.url}/health"}, {"http": f"{self.url}/moved", "expect": 200},
                       {"http": f"{self.url}/health?token=x", "expect": "~\"ok\""}, {"http": f"{self.url}/x", "expect": ">=500"})
        found = self.checks()
        self.assertEqual([result for _, result, _ in found], ["pass"] * 4)
        self.assertNotIn("token", str(found))
        proof = self.holdfast("prove", "--json", env={"HOLDFAST_SANDBOX": self.folder / "sandboxes"}).lines()[-1]
        self.assertEqual((proof["level"], proof["result"]), ("V4", "pass"))

    def test_what_is_not_met_hangs_or_is_not_there_fails(self):
        self.configure({"http": f"{self.url}/nothing"}, {"http": f"{self.url}/slow", "timeout": "300ms"},
                       {"http": "http://127.0.0.1:1/"}, {"http": f"{self.url}/health", "expect": "~broken"})
        found = self.checks(code=13)
        self.assertEqual([result for _, result, _ in found], ["fail"] * 4)
        self.assertEqual(found[0][2], "503")
        self.assertIn("did not answer within 300 ms", found[1][2])
        self.assertIn("127.0.0.1", found[2][2])


class Partitions(Databases):
    def test_a_partitioned_table_brings_its_partitions(self):
        self.database("""CREATE TABLE readings (at date, v int) PARTITION BY RANGE (at);
            CREATE TABLE readings_old PARTITION OF readings FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
            CREATE TABLE readings_new PARTITION OF readings FOR VALUES FROM ('2025-01-01') TO ('2030-01-01') PARTITION BY LIST (v);
            CREATE TABLE readings_new_1 PARTITION OF readings_new FOR VALUES IN (1);
            CREATE INDEX ON readings (at); CREATE TABLE aside (a int);
            INSERT INTO readings SELECT '2020-01-01'::date + 500 * i, 1 FROM generate_series(0, 6) i""")
        self.backup("shop")
        self.restore("latest", self.other.url("part"), "--include", "shop/public/readings")
        self.assertEqual(self.other.sql("SELECT count(*) FROM readings", "part"), "7")
        self.assertEqual(self.other.sql("SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind IN ('r', 'p') "
                                        "AND relnamespace = 'public'::regnamespace", "part"),
                         "readings,readings_new,readings_new_1,readings_old")
        self.restore("latest", self.other.url("some"), "--include", "shop/public/readings_new*")
        self.assertEqual(self.other.sql("SELECT count(*) FROM readings_new", "some"), "3")
        self.restore("latest", self.other.url("rest"), "--exclude", "shop/public/readings")
        self.assertEqual(self.other.sql("SELECT count(*) FROM readings", "rest"), "0")  # its rows were left out


if __name__ == "__main__":
    main()
