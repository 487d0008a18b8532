#!/usr/bin/env python3
"""Mount: one large file read from a mounted snapshot, from begin to end, against a restore of the same file, in one run.

The file is by halves text that compresses as prose does and bytes that do not. Repository and copies are on the disk of --folder;
the repository is in the page cache, of the mounted file nothing is. Prints a line for each measurement and the ratio that the
aim is about, and with --markdown a table for doc/benchmarks.md.

    bench/mount.py --holdfast build/release/holdfast --bytes 1G
"""

import os
import random
import shutil
import subprocess
import sys
import time

from common import AT_MOST, WORDS, Bench, arguments, main, processor, size

PIECE_BYTES = 1_000_000


class MountBench(Bench):
    title = "one file"

    def make(self, path):
        chance = random.Random(1)
        with open(path, "wb") as file:
            for at in range(0, self.options.bytes, 2 * PIECE_BYTES):
                text = " ".join(chance.choices(WORDS, k=PIECE_BYTES // 5)).encode()[:PIECE_BYTES]
                file.write((text + chance.randbytes(PIECE_BYTES))[:self.options.bytes - at])

    def read_mounted(self, name, path, to):
        """Seconds and processor of dd and of holdfast, which serves it."""
        mounted = self.folder / "mounted"
        mounted.mkdir(exist_ok=True)
        server = subprocess.Popen([self.options.holdfast, "mount", mounted, f"latest:{path.parent}"], env=self.environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not os.path.ismount(mounted):
            if server.poll() is not None:
                sys.exit("holdfast mount does not start")
            time.sleep(0.02)
        try:
            before = processor(server.pid)
            self.timed(name, ["dd", f"if={mounted / path.name}", f"of={to}", "bs=1M", "status=none"], self.options.bytes)
            seconds, of_dd, memory = self.rows[name][-1]
            self.rows[name][-1] = (seconds, of_dd + processor(server.pid) - before, memory)
        finally:
            subprocess.run(["umount", mounted], check=True)
            server.wait()

    def run(self):
        path, restored = self.folder / "tree/large", self.folder / "restored"
        path.parent.mkdir()
        self.make(path)
        self.fresh_repository()
        self.holdfast("holdfast backup", self.options.bytes, "backup", f"files:{path.parent}")
        for _ in range(self.options.rounds):
            self.holdfast("holdfast restore --no-verify", self.options.bytes, "restore", "latest", "--to", restored, "--no-verify")
            shutil.rmtree(restored)
            self.read_mounted("dd from the mount to a file", path, self.folder / "copy")
            subprocess.run(["cmp", path, self.folder / "copy"], check=True)
            (self.folder / "copy").unlink()
            self.read_mounted("dd from the mount to /dev/null", path, "/dev/null")

    def judge(self):
        self.aim("mount, to a file / restore", self.ratio("dd from the mount to a file", "holdfast restore --no-verify"), AT_MOST, 1)
        self.aim("mount, read / restore", self.ratio("dd from the mount to /dev/null", "holdfast restore --no-verify"), AT_MOST, 1)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--bytes", type=size, default=size("1G"))
    main(MountBench, parser)
