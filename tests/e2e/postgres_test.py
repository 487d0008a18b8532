"""PostgreSQL: databases go out and come back in another server; pg_dump is the judge, real servers are the witnesses."""

import pathlib
import subprocess

from harness import Case, main, postgres_server

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


if __name__ == "__main__":
    main()
