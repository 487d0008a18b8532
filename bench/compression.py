#!/usr/bin/env python3
"""What `--compression` costs and saves: first backups of trees with each choice, in turns, in one run.

    bench/trees.sh
    bench/compression.py --holdfast build/release/holdfast /var/tmp/holdfast-bench/trees/full/{source,pgdata,libs}

Trees are read once before, so that they are in the page cache. Sizes are of the whole repository.
"""

import pathlib
import statistics

from bench import measure_tree, warm
from common import Bench, arguments, main

CHOICES = ("off", "fast", "balanced", "small")


class Compression(Bench):
    title = "compression"

    def run(self):
        self.sizes = {}
        for tree in self.options.trees:
            warm(tree)
            _, whole = measure_tree(tree)
            for number in range(self.options.rounds):
                for at in range(len(CHOICES)):
                    self.one(tree, whole, CHOICES[(at + number) % len(CHOICES)])

    def one(self, tree, whole, how):
        self.fresh_repository()
        self.holdfast(f"{tree.name}, backup, {how}", whole, "--compression", how, "backup", f"files:{tree}")
        self.sizes.setdefault((tree.name, how), []).append(measure_tree(self.folder / "repo")[1])

    def judge(self):
        print(f"\n| tree | {' | '.join(CHOICES)} |\n|---|{'---|' * len(CHOICES)}")
        for tree in self.options.trees:
            cells = []
            for how in CHOICES:
                name = f"{tree.name}, backup, {how}"
                cells.append(f"{statistics.median(self.sizes[tree.name, how]) / 1e6:.0f} MB, {self.median(name):.2f} s "
                             f"({self.median(name, 1):.1f})")
            print(f"| {tree.name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    parser = arguments(__doc__, rounds=2)
    parser.add_argument("trees", nargs="+", type=pathlib.Path)
    main(Compression, parser)
