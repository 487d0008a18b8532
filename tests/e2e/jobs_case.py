"""What tests of jobs use: a configuration with a tree to back up, and what was recorded."""

import time

from harness import Case
from harness import wait_until as wait_for


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

    def configure(self, jobs, sources="", repositories="", service=True, ledger=None):
        self.config.write_text(
            "version: 1\n"
            f"repositories:\n  main: {{url: {self.repo}}}\n{repositories}"
            f"sources:\n  tree: {{kind: files, paths: [{self.tree}]}}\n{sources}"
            + (f"service: {{ledger: \"{ledger or f'sqlite:{self.ledger}'}\"}}\n" if service else "")
            + (f"jobs:\n{jobs}" if jobs else ""))

    def init(self):
        self.holdfast("-r", "main", "init")

    def runs(self, *args):
        return self.holdfast("runs", "--json", *args).document()["runs"]

    def offsite(self):
        return (f"  offsite: {{url: {self.folder}/offsite, "
                f'unlock: {{keyfile: "file:{self.key}"}}}}\n')

    def snapshots_in(self, name):
        return [each["id"] for each in self.holdfast("-r", name, "snapshots", "--json").document()["snapshots"]]

    def run_of(self, job):
        found = self.runs("--job", job)
        self.assertTrue(found, f"no run of {job}")
        return found[0]
