"""The configuration: checked, linted, shown; and retention by it."""

import json

from harness import Case, main, postgres_server
from mongo_server import mongo_server

SOUND = """version: 1
repositories:
  main: {{url: repo, unlock: {{keyfile: "file:key"}}, site: here, medium: disk}}
  far:  {{url: far, unlock: {{keyfile: "file:key"}}, site: there, medium: tape, offsite: true, replica_of: main}}
sources:
  tree: {{kind: files, paths: [tree], objectives: {{rpo: 24h}}}}
jobs:
  nightly: {{sources: [tree], schedule: "0 2 * * *", copies: [far], retention: {retention}}}
  proof:   {{prove: {{pick: random}}, schedule: "0 6 * * 0"}}
  expire:  {{forget: {{}}, schedule: "0 5 * * *"}}
  collect: {{prune: {{}}, after: [expire]}}
{more}"""


class Config(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "tree").mkdir()
        (self.folder / "tree" / "file").write_text("content")

    def write(self, text=None, retention="{last: 2}", more=""):
        (self.folder / "holdfast.yaml").write_text(text or SOUND.format(retention=retention, more=more))

    def lint(self, code):
        document = self.holdfast("config", "lint", "--json", code=code).document()
        self.assertEqual(document["schema"], "holdfast.lint/1")
        for finding in document["findings"]:
            self.assertTrue(all(finding[key] for key in ("severity", "rule", "where", "what", "why", "fix")), finding)
        return [(each["severity"], each["rule"], each["where"].split("/")[-1]) for each in document["findings"]]

    def test_a_sound_file_is_checked_linted_and_shown(self):
        self.write()
        self.assertIn("4 jobs", self.holdfast("config", "check").text)
        self.assertEqual(self.lint(0), [])
        self.assertIn("ok:", self.holdfast("config", "lint").text)
        shown = self.holdfast("config", "show").text
        for words in ("nightly", "0 2 * * *", "replica of main", "last 2"):
            self.assertIn(words, shown)
        document = self.holdfast("config", "show", "--json").document()
        self.assertEqual(document["jobs"]["nightly"]["schedule"], "0 2 * * *")
        self.assertEqual(document["jobs"]["proof"]["kind"], "prove")
        schema = json.loads(self.holdfast("config", "schema").text)
        self.assertIn("overdue_after", schema["properties"]["jobs"]["additionalProperties"]["properties"])

    def test_what_is_critical_has_to_be_promised_and_proven(self):
        self.write(SOUND.format(retention="{last: 2}", more="").replace("objectives", "criticality: critical, objectives"))
        self.assertEqual(self.lint(3), [("warning", "critical-at-risk", "holdfast.yaml:6:3")])
        self.assertIn("it lacks `objectives`", self.holdfast("config", "lint", code=3).text)

    def test_lint_tells_errors_from_warnings_by_exit_status(self):
        self.write(SOUND.format(retention="{last: 2}", more="").replace("rpo: 24h", "rpo: 1h"))
        self.assertEqual(self.lint(1), [("error", "rpo-unattainable", "holdfast.yaml:6:3")])
        said = self.holdfast("config", "lint", code=1).text
        self.assertIn("holdfast.yaml:6:3: error: source `tree` may lose 1 h at most", said)
        self.assertIn("fix:", said)
        self.write(more="  again: {check: {}}\n")
        self.assertEqual(self.lint(3), [("warning", "only-by-hand", "holdfast.yaml:12:3")])
        # A note alone is no failure, and looking for a ledger makes none.
        self.write(SOUND.format(retention="{last: 2}", more="service: {ledger: \"sqlite:ledger.db\"}\n").replace("rpo: 24h", "rto: 1h"))
        self.assertEqual(self.lint(0), [("note", "rto-unknown", "holdfast.yaml:6:3")])
        self.assertIn(": note: source `tree` shall be back within 1 h", self.holdfast("config", "lint").text)
        self.assertFalse((self.folder / "ledger.db").exists())
        (self.folder / "ledger.db").write_bytes(b"no ledger" * 1000)
        self.assertEqual(self.lint(0), [("note", "rto-unknown", "holdfast.yaml:6:3")])
        for key in ("follow: true", "window: 7d"):
            self.write(f"version: 1\nsources: {{db: {{kind: postgres, url: 'postgres://db/x', {key}}}}}\n")
            self.assertIn("is part of holdfast's design but this version does not build it yet",
                          " ".join(self.holdfast("config", "check", code=2).errors.split()))
        self.write("version: 1\njobs: {j: {sources: [none]}}\n")
        self.fails(2, "config", "lint", says="there is no source `none`")

    def test_files_that_are_no_configuration_are_refused_with_their_place(self):
        bomb = "version: 1\nsources:\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for i in range(1, 20):
            bomb += f"  a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n"
        for text, says in ((bomb, "unfold to more than 100,000 values"),
                           ("version: 1\nsources: &s {a: *s}\n", "an anchor stands inside what it stands for"),
                           ("version: 1\njobs: " + "[" * 50_000 + "\n", "this is not YAML"),
                           ("version: 1\nsources: {}\nsources: {}\n", "stands twice"),
                           ("#" * (5 << 20), "larger than a configuration"),
                           ("version: 1\njobs: {j: {prune: {}, shedule: x}}\n", "holdfast.yaml:2:23")):
            self.write(text)
            self.fails(2, "config", "check", says=says)

    def test_servers_are_asked_for_databases_that_no_source_captures(self):
        server = postgres_server("first")
        for name in ("shop", "billing", "forgotten"):
            server.sql(f"DROP DATABASE IF EXISTS {name}")
            server.sql(f"CREATE DATABASE {name}")
            self.addCleanup(server.sql, f"DROP DATABASE {name}")
        host = f"kind: postgres, host: {server.folder}, port: {server.port}, user: postgres"
        text = SOUND.format(retention="{last: 2}", more="").replace("[tree]", "[tree, shop, billing]", 2)
        text = text.replace("paths: [tree, shop, billing]", "paths: [tree]")
        text = text.replace("jobs:", f"  shop: {{{host}, databases: [shop]}}\n  billing: {{{host}, databases: [bill*]}}\njobs:")
        self.write(text)
        self.assertEqual(self.lint(0), [])
        found = self.holdfast("config", "lint", "--servers", "--json", code=3).document()["findings"]
        self.assertEqual([each["rule"] for each in found], ["database-left-out"])
        self.assertIn("`forgotten`", found[0]["what"])

    def test_mongodb_servers_are_asked_too(self):
        server = mongo_server("first")
        server.clear()
        for name in ("shop", "forgotten"):
            server.mongo.insert(name, "orders", {"_id": 1})
        text = SOUND.format(retention="{last: 2}", more="").replace("[tree]", "[tree, shop]", 2)
        text = text.replace("paths: [tree, shop]", "paths: [tree]")
        self.write(text.replace("jobs:", f'  shop: {{kind: mongodb, url: "{server.url()}", database: shop}}\njobs:'))
        self.assertEqual(self.lint(0), [])
        found = self.holdfast("config", "lint", "--servers", "--json", code=3).document()["findings"]
        self.assertEqual([each["rule"] for each in found], ["database-left-out"])
        self.assertIn("`forgotten`", found[0]["what"])

    def test_forget_applies_the_retention_of_the_jobs(self):
        self.write()
        self.holdfast("init")
        self.environment.pop("HOLDFAST_REPO")
        ids = []
        for i in range(4):
            (self.folder / "tree" / "file").write_bytes(bytes([i]) * 300_000)
            ids.append(self.backup("tree", "--tag", "job=nightly")[0]["snapshot"])
        kept = self.backup("tree", "--tag", "retention=compliance")[0]["snapshot"]
        told = self.holdfast("forget", "--explain").text
        self.assertIn("goes: job nightly does not keep it", told)
        self.assertIn("stays: job nightly: last 2", told)
        self.assertIn("tag compliance: within 2555 d", told)
        self.assertEqual(len(self.snapshots()), 5)
        done = self.holdfast("forget", "--prune", "--json").lines()[-1]
        self.assertEqual(done["remove"], ids[:3])
        self.assertEqual([each["reasons"] for each in done["removed"]], [["job nightly does not keep it"]] * 3)
        self.assertIn("freed", done["bytes"])
        self.assertEqual([s["id"] for s in self.snapshots()], [ids[3], kept])
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_forget_without_any_rules_is_refused(self):
        self.write("version: 1\n")
        self.holdfast("init")
        self.backup(f"files:{self.folder / 'tree'}")
        self.fails(2, "forget", says="needs ids of snapshots or rules", hints="`retention`")

    def test_the_future_is_shown_and_changes_nothing(self):
        self.write(retention="{daily: 7, monthly: 12}")
        self.holdfast("init")
        self.environment.pop("HOLDFAST_REPO")
        self.backup("tree")
        months = self.holdfast("forget", "--simulate", "1y", "--json").document()["months"]
        self.assertEqual(len(months), 13)
        self.assertEqual({each["job"] for each in months}, {"nightly"})
        self.assertLess(months[0]["snapshots"], months[-1]["snapshots"])
        self.assertLessEqual(months[-1]["snapshots"], 19)
        self.assertGreater(months[-1]["bytes"], 0)
        self.assertIn("Nothing was removed", " ".join(self.holdfast("forget", "--simulate", "60d").errors.split()))
        other = self.holdfast("forget", "--simulate", "60d", "--schedule", "@hourly", "--keep-last", "5", "--json").document()
        self.assertEqual({each["snapshots"] for each in other["months"]}, {5})
        self.assertEqual(len(self.snapshots()), 1)
        self.fails(2, "forget", "--schedule", "@daily", "--keep-last", "1", says="--simulate only")
        self.fails(2, "forget", "--simulate", "10y", "--schedule", "* * * * *", "--keep-last", "1", says="is due more than")

    def test_a_clock_that_jumped_stops_retention(self):
        self.holdfast("init")
        for i in range(3):
            (self.folder / "tree" / "file").write_text(str(i))
            self.backup(f"files:{self.folder / 'tree'}")
        self.holdfast("forget", "--keep-last", "2")
        marks = list(self.home.rglob("clock"))
        self.assertEqual(len(marks), 1)
        month = (30 * 24 + 12) * 3600 * 10**9
        boot, steady, wall = marks[0].read_text().split()
        marks[0].write_text(f"{boot} {steady} {int(wall) - month}\n")
        self.fails(14, "forget", "--keep-last", "1", says="put forward by 30 d", hints="--clock-is-right")
        marks[0].write_text(f"{boot} {steady} {int(wall) + month}\n")
        self.fails(14, "forget", "--keep-last", "1", says="put back by 30 d")
        self.assertEqual(len(self.snapshots()), 2)
        self.holdfast("forget", "--keep-last", "1", "--clock-is-right")
        self.holdfast("forget", "--keep-last", "1")
        self.assertEqual(len(self.snapshots()), 1)


if __name__ == "__main__":
    main()
