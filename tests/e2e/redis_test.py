"""Redis: keys go out and come back in another server; DEBUG DIGEST of real servers is the judge."""

import contextlib
import itertools
import json
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import time

from harness import PROGRAM, SCALE, free_port, main, wait_until
from redis_case import Following, Proxy, Redis, Scripted, everything, now
from s3 import Minio
from s3 import Proxy as S3Proxy


class Whole(Redis):
    def test_all_types_come_back_equal_in_a_folder_and_in_a_server(self):
        for settings in ((), ("--hash-max-listpack-entries", 0, "--list-max-listpack-size", 1, "--set-max-intset-entries", 0,
                              "--zset-max-listpack-entries", 0, "--rdbcompression", "no", "--stream-node-max-entries", 3),
                         ("--repl-diskless-sync", "no")):
            source = self.filled(*settings)
            line = self.backup(source.url(), "--name", "all")[0]
            self.assertEqual(line["source"], "all")
            folder = self.folder / f"data{source.port}"
            self.restore("latest", folder)
            again = self.started_on(folder)
            self.assertEqual(again.digest(), source.digest())
            other = self.server()
            result = self.restore("latest", other.url())
            self.assertEqual(other.digest(), source.digest())
            self.assertEqual(result.lines()[-1]["verified"]["result"], "pass", str(result))
            self.assertEqual(other.run("FCALL", "f", 0), "1")

    def test_an_rdb_file_is_imported_and_a_cut_one_refused(self):
        source = self.filled()
        source.run("SAVE")
        dump = source.data / "dump.rdb"
        self.holdfast("import", dump, "--source", "old", "--time", "2024-01-31")
        other = self.server()
        self.restore("latest", other.url(), "--source", "old")
        self.assertEqual(other.digest(), source.digest())
        cut = self.folder / "cut.rdb"
        cut.write_bytes(dump.read_bytes()[:-9])
        self.fails(13, "import", cut, "--source", "cut", says="ends")

    def test_a_capture_writes_nothing_on_the_servers_disk(self):
        source = self.filled()
        self.backup(source.url())
        self.assertEqual(sorted(p.name for p in source.data.rglob("*")), [])

    def test_facts_do_not_depend_on_encodings(self):
        source = self.filled()
        self.backup(source.url(), "--name", "s")
        other = self.server("--hash-max-listpack-entries", 0, "--zset-max-listpack-entries", 0, "--list-max-listpack-size", 1,
                            "--set-max-intset-entries", 0)
        result = self.restore("latest", other.url())
        self.assertEqual(result.lines()[-1]["verified"]["result"], "pass", str(result))

    def test_it_is_proved_in_a_server_also_when_keys_have_expired_since(self):
        source = self.filled()
        source.run("SET", "short", "x", "PX", 1500)
        self.backup(source.url(), "--name", "s")
        wait_until(lambda: source.run("EXISTS", "short") == "0", "the key expires")
        result = self.holdfast("prove", "latest", "--level", "V4", "--json")
        summary = result.lines()[-1]
        self.assertEqual((summary["result"], summary["level"]), ("pass", "V4"), str(result))

    def test_export_is_an_rdb_that_a_server_loads(self):
        source = self.filled()
        self.backup(source.url(), "--name", "s")
        data = self.folder / "exported"
        data.mkdir()
        self.holdfast("export", "latest", "--as", "rdb", "--to", data / "dump.rdb")
        subprocess.run(["redis-check-rdb", data / "dump.rdb"], check=True, capture_output=True)
        self.assertEqual(self.server(data=data).digest(), source.digest())

    def test_a_unix_socket_and_a_password(self):
        source = self.filled()
        source.run("CONFIG", "SET", "requirepass", "secret")
        self.fails(15, "backup", source.url(), says="NOAUTH", hints="password")
        url = f"redis://:wrong@{str(source.socket).replace('/', '%2F')}"
        self.fails(15, "backup", url, says="WRONGPASS")
        self.backup(url.replace("wrong", "secret"))
        self.assertNotIn("secret", self.holdfast("snapshots", "--json").text)

    def test_by_tls_with_a_client_certificate_and_an_account_of_its_own(self):
        def openssl(*args):
            subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=self.folder)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
                "-days", 2)
        (self.folder / "names").write_text("subjectAltName=IP:127.0.0.1")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=server")
        openssl("x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "own.pem",
                "-days", 2, "-extfile", "names")
        port = free_port()
        source = self.filled("--tls-port", port, "--tls-cert-file", self.folder / "own.pem", "--tls-key-file",
                             self.folder / "own.key", "--tls-ca-cert-file", self.folder / "ca.pem")
        source.run("ACL", "SETUSER", "backup", "on", ">pw", "+psync", "+replconf", "+info", "+ping", "+config|get")
        ca = f"?ca={self.folder}/ca.pem"
        own = f"&cert={self.folder}/own.pem&key={self.folder}/own.key"
        url = f"rediss://backup:pw@127.0.0.1:{port}"
        self.backup(url + ca + own, "--name", "s")
        other = self.server()
        self.restore("latest", other.url())
        self.assertEqual(other.digest(), source.digest())
        self.fails(15, "backup", url, says="certificate")
        self.fails(15, "backup", url.replace("rediss", "redis"), says=str(port))
        self.fails(15, "backup", url + ca)  # the server wants one of the client, too

    def test_an_account_that_may_not_is_told_which_command(self):
        source = self.filled()
        source.run("ACL", "SETUSER", "less", "on", ">pw", "+ping", "+info", "+replconf", "+auth")
        source.run("ACL", "SETUSER", "none", "on", ">pw", "+ping", "+info", "+auth")
        self.fails(15, "backup", f"redis://less:pw@127.0.0.1:{source.port}", says="psync", hints="ACL SETUSER")
        self.fails(15, "backup", f"redis://none:pw@127.0.0.1:{source.port}", says="replconf", hints="ACL SETUSER")


class Doctor(Redis):
    def examined(self, server, code, **more):
        config = self.folder / "holdfast.yaml"
        config.write_text(json.dumps({"version": 1, "sources": {"cache": {
            "kind": "redis", "host": "127.0.0.1", "port": server.port, **more}}}))
        said = self.holdfast("-c", config, "doctor", "cache", "--json", code=code).document()
        self.assertEqual([each["name"] for each in said["sources"]], ["cache"])
        return {each["check"]: each for each in said["sources"][0]["findings"]}

    def test_settings_are_compared_with_what_is_declared_and_what_changes(self):
        sound = ("--appendonly", "yes", "--repl-backlog-size", "256mb")
        server = self.server(*sound)
        followed = {"follow": True, "objectives": {"rpo": "10s"}}
        self.assertEqual([each["severity"] for each in self.examined(server, 0, **followed).values()], ["good"])
        server.run("CONFIG", "SET", "appendonly", "no", "save", "3600 1", "repl-backlog-size", "1mb")
        found = self.examined(server, 3, **followed)
        self.assertEqual(sorted(found), ["backlog", "persistence"])
        self.assertIn("up to 1 h", found["persistence"]["text"])
        self.assertIn("repl-backlog-size 256mb", found["backlog"]["fix"])
        self.assertEqual(self.examined(server, 0)["server"]["severity"], "good")
        # The same backlog is little when much changes.
        server.run("CONFIG", "SET", "repl-backlog-size", "100mb")
        self.assertNotIn("backlog", self.examined(server, 3, **followed))
        replica = self.server("--replicaof", f"127.0.0.1 {server.port}")
        wait_until(lambda: "master_link_status:up" in replica.run("INFO", "replication"), "a replica is in step")
        load = subprocess.Popen(["redis-benchmark", "-p", str(server.port), "-n", "100000000", "-r", "1000", "-d", "1000", "-P",
                                 "16", "-t", "set", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(load.kill)
        time.sleep(0.5)
        self.assertIn("of what it changes now", self.examined(server, 3, **followed)["backlog"]["text"])
        load.kill()
        load.wait()

    def test_what_it_may_not_ask_and_who_is_not_there(self):
        server = self.server()
        server.run("ACL", "SETUSER", "less", "on", ">pw", "+ping", "+auth")
        self.environment["PW"] = "pw"
        found = self.examined(server, 0, user="less", password="env:PW")
        self.assertEqual({name: each["severity"] for name, each in found.items()},
                         {"server": "not_tested", "settings": "not_tested"})
        server.stop()
        self.assertEqual(self.examined(server, 1)["server"]["severity"], "error")


class Parts(Following):
    def test_one_database_under_another_number_and_keys_by_pattern(self):
        source = self.filled()
        self.backup(source.url(), "--name", "s")
        other = self.server()
        self.restore("latest", other.url(5), "--include", "3")
        self.assertEqual(other.run("DBSIZE", database=5), "300")
        self.restore("latest", other.url(), "--include", "3/key:1?", "--include", "0/with/slash")
        self.assertEqual(sorted(other.run("KEYS", "*", database=3).split()), sorted(f"key:1{i}" for i in range(10)))
        self.assertEqual(other.run("KEYS", "*", database=0), "with/slash")
        folder = self.folder / "part"
        self.restore("latest", folder, "--include", "3/key:2*")
        again = self.started_on(folder)
        self.assertEqual(again.run("DBSIZE", database=3), "111")
        self.assertEqual(again.run("DBSIZE", database=0), "0")

    def test_what_is_there_already(self):
        source = self.server()
        source.send([["SET", "a", "old"], ["SET", "b", "old"]])
        self.backup(source.url(), "--name", "s")
        other = self.server()
        other.send([["SET", "a", "new"], ["SET", "c", "new"]])
        self.fails(16, "restore", "latest", "--to", other.url(), says="has 2 keys already", hints="--existing missing")
        self.restore("latest", other.url(), "--existing", "missing")
        self.assertEqual([other.run("GET", k) for k in "abc"], ["new", "old", "new"])
        self.restore("latest", other.url(), "--existing", "replace")
        self.assertEqual([other.run("GET", k) for k in "abc"], ["old", "old", "new"])
        self.restore("latest", other.url(), "--existing", "drop")
        self.assertEqual([other.run("GET", k) for k in "abc"], ["old", "old", ""])
        self.fails(16, "restore", "latest", "--to", other.url(), "--include", "0/a", says="is at")

    def test_who_may_only_restore_or_set_but_some_keys(self):
        source = self.server()
        source.send([["SET", f"{'ab'[i % 2]}{i}", f"{i} " * (i % 50)] for i in range(3000)] +
                    [["SET", f"b{i}", "for now", "PX", 10_000_000 + i] for i in range(100)])
        self.backup(source.url(), "--name", "s")
        set_by = {}
        # Whichever key comes first, the right of one of the last two ends behind it.
        for rule in ("", "+set", "+set +msetnx", "(+set ~a*)", "(+set ~b*)", "+set (+msetnx ~a*)"):
            with self.subTest(rule):
                other = self.server()
                other.run("ACL", "SETUSER", "it", "on", ">pw", "~*", "+restore", "+info", "+select", "+ping", "+dbsize",
                          *re.findall(r"\(.*?\)|\S+", rule))
                self.restore("latest", f"redis://it:pw@127.0.0.1:{other.port}", "--no-verify")
                self.assertEqual(other.digest(), source.digest())
                set_by[rule] = int(other.run("INFO", "commandstats").split("cmdstat_set:calls=")[1].split(",")[0])
        self.assertEqual(set_by[""], 0)
        self.assertEqual(set_by["+set"], 3050 + 1)  # and the question whether it may
        self.assertEqual(set_by["+set +msetnx"], 100 + 1)  # those with an expiry
        self.assertEqual(set_by["+set (+msetnx ~a*)"], 3050 + 1)
        self.assertEqual(sorted(set_by[each] > 0 for each in ("(+set ~a*)", "(+set ~b*)")), [False, True])

    def test_a_key_that_is_there_is_no_other_keys_loss(self):
        source, target = self.server(), self.server()
        source.send([["SET", f"k{i}", i] for i in range(1000)] + [["SELECT", 3], *(["SET", f"k{i}", i] for i in range(500))])
        self.backup(source.url(), "--name", "s")
        target.send([["SET", "k77", "new"], ["SELECT", 3], ["SET", "k7", "new"], ["SET", "k499", "new"]])
        said = self.restore("latest", target.url(), "--existing", "missing", "--no-verify")
        self.assertEqual(json.loads(said.out)["unchanged"], 3)
        self.assertEqual((target.run("GET", "k77"), target.run("GET", "k7", database=3)), ("new", "new"))
        self.assertEqual(target.run("GET", "k78"), "78")
        self.assertEqual((target.run("DBSIZE"), target.run("DBSIZE", database=3)), ("1000", "500"))
        self.restore("latest", target.url(), "--existing", "replace")
        self.assertEqual(target.digest(), source.digest())
        # Servers differ in what they take.
        other = self.server("--rename-command", "MSETNX", "hidden")
        self.restore("latest", other.url())
        self.assertEqual(other.digest(), source.digest())

    def test_nothing_is_written_before_all_was_looked_at(self):
        source = self.filled()
        source.send([["SET", f"k{i}", i] for i in range(5000)])
        self.backup(source.url(), "--name", "s")
        part = ("--include", "0/k*", "--include", "3")
        target = self.server("--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru")
        target.send([["SET", "k4321", "new"], ["SET", "other", "new"], ["SELECT", 3], ["SET", "other", "new"]])
        digest = target.digest()
        result = self.fails(16, "restore", "latest", "--to", target.url(), *part, says="the key k4321 is at",
                            hints="--existing missing")
        self.assertIn("nothing was written to the target", " ".join(result.errors.split()))
        self.assertIn("evicts keys", " ".join(result.errors.split()))
        self.assertEqual(target.digest(), digest)
        target.run("DEL", "k4321")
        self.restore("latest", target.url(), *part, "--no-verify")
        self.assertEqual((target.run("DBSIZE"), target.run("DBSIZE", database=3)), ("5001", "301"))
        self.assertEqual(target.run("GET", "k4321"), "4321")
        # Functions come after the keys.
        target.run("FLUSHALL")
        target.run("FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('g', function() return 1 end)")
        self.fails(16, "restore", "latest", "--to", target.url(), says="has functions already", hints="FUNCTION FLUSH")
        self.assertEqual(target.run("DBSIZE"), "0")

    def test_nothing_is_dropped_before_what_would_be_refused_is(self):
        source = self.filled("--databases", "32")
        source.run("SET", "in twenty", 1, database=20)
        self.backup(source.url(), "--name", "s")
        drop = ("restore", "latest", "--existing", "drop", "--to")
        kept = [["SET", "a", "new"], ["SELECT", 3], ["SET", "b", "new"]]

        def refused(to, target, **said):
            digest = target.digest()
            result = self.fails(16, *drop, to, **said)
            self.assertIn("nothing was changed at the target", " ".join(result.errors.split()))
            self.assertEqual(target.digest(), digest)

        few = self.server()
        few.send(kept)
        refused(few.url(), few, says="has no database 20", hints="--include NUMBER")
        target = self.server("--databases", "32")
        target.send(kept)
        target.run("SET", "held", 1)
        account = f"redis://it:pw@127.0.0.1:{target.port}"
        rights = "+info +select +ping +dbsize +set +mset +msetnx +flushdb +function"
        target.run("ACL", "SETUSER", "it", "on", ">pw", "~*", *rights.split())
        refused(account, target, says="refuses RESTORE", hints="+restore")
        target.run("ACL", "SETUSER", "it", "+restore", "-function")
        refused(account, target, says="refuses FUNCTION RESTORE", hints="+function")
        target.run("ACL", "SETUSER", "it", "+function")
        # It is full of what is dropped.
        target.send([["SELECT", 0], ["SET", "much", b"x" * (40 << 20)], ["CONFIG", "SET", "maxmemory", "30mb"]])
        self.holdfast(*drop, account, "--no-verify")
        self.assertEqual(target.digest(), source.digest())

    def test_a_target_that_is_too_old_keeps_what_it_has(self):
        source, target = self.server(), self.server()
        source.run("SET", "a", "old")
        self.backup(source.url(), "--name", "s")
        dump = self.folder / "newer.rdb"
        self.holdfast("export", "latest", "--as", "rdb", "--to", dump)
        bytes_ = bytearray(dump.read_bytes())
        bytes_[5:9], bytes_[-8:] = b"0011", bytes(8)  # of 7.2; without a checksum
        dump.write_bytes(bytes_)
        self.holdfast("import", dump, "--source", "newer", "--time", "2024-01-31")
        target.run("SET", "b", "new")
        self.fails(16, "restore", "newer", "--existing", "drop", "--to", target.url(), says="too old for data of RDB version 11",
                   hints="a newer one")
        self.assertEqual(target.run("GET", "b"), "new")

    def test_beside_then_in_its_place(self):
        source = self.server()
        source.send([["SET", "a", "old"]])
        self.backup(source.url(), "--name", "s")
        source.send([["SET", "a", "wrong"]])
        self.restore("latest", source.url(0), "--beside", "9", "--swap")
        self.assertEqual(source.run("GET", "a"), "old")
        self.assertEqual(source.run("GET", "a", database=9), "wrong")
        self.holdfast("restore", "--unswap", "--beside", "9", "--to", source.url(0))
        self.assertEqual(source.run("GET", "a"), "wrong")

    def test_there_must_be_something_to_go_back_to(self):
        server = self.server()
        server.send([["SET", "a", 1], ["SELECT", 9], ["SET", "b", 1]])
        unswap = ("restore", "--unswap", "--to", server.url(0), "--beside")
        self.fails(16, *unswap, "8", says="database 8 at", hints="DBSIZE")
        self.assertEqual(server.run("GET", "a"), "1")
        self.holdfast(*unswap, "9")
        self.assertEqual((server.run("GET", "b"), server.run("GET", "a", database=9)), ("1", "1"))

    def test_expired_keys_are_handled_by_choice(self):
        source = self.server()
        source.send([["SET", "short", "x", "PX", 300], ["SET", "long", "x", "EX", 1000]])
        expires = int(source.run("PEXPIRETIME", "long"))
        source.run("DEBUG", "SET-ACTIVE-EXPIRE", "0")  # it is there when it is captured, however late that is
        self.backup(source.url(), "--name", "s")
        time.sleep(0.5)
        for choice, found in (("drop", ""), ("keep", "x"), ("shift", "x")):
            other = self.server()
            other.run("DEBUG", "SET-ACTIVE-EXPIRE", "0")
            self.holdfast("restore", "latest", "--to", other.url(), "--expired", choice, "--no-verify")
            ttl = int(other.run("PTTL", "short"))
            later = int(other.run("PEXPIRETIME", "long")) - expires
            self.assertTrue(later >= 500 if choice == "shift" else later == 0, (choice, later))
            if choice == "drop":
                self.assertEqual(ttl, -2)
            elif choice == "keep":
                self.assertEqual((ttl, other.run("GET", "short")), (-1, found))

    def test_keys_by_pattern_at_an_instant(self):
        source = self.server()
        source.send([["SET", "user:1", "old"], ["SET", "user:2", "old"], ["SET", "cart:1", "old"], ["SELECT", 3],
                     ["SET", "user:3", "old"], ["SELECT", 0], ["SET", "short", "lives", "PX", 1500]])
        child = self.follow(source)
        wait_until(lambda: source.run("WAIT", 1, 100) == "1", "it follows")
        source.send([["PERSIST", "short"], ["RENAME", "user:2", "user:22"], ["MOVE", "cart:1", 5],
                     ["SUNIONSTORE", "user:none", "x"], ["APPEND", "user:1", "er"]])
        time.sleep(0.3)
        instant = now()
        time.sleep(0.3)
        source.run("FLUSHALL")
        self.wait_for(now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        at = ("restore", "--source", "s", "--at", instant)

        def verified(*args):
            said = self.holdfast(*at, *args, "--json").lines()[-1]["verified"]
            self.assertEqual(said["result"], "pass", (args, said))
            return [each["name"] for each in said["checks"]]
        folder = self.folder / "part"
        self.assertIn("0 digest", verified("--include", "0/user:*", "--to", folder))
        again = self.started_on(folder)
        self.assertEqual(sorted(again.run("KEYS", "*").split()), ["user:1", "user:22"])
        self.assertEqual((again.run("GET", "user:1"), again.run("DBSIZE", database=3)), ("older", "0"))
        # Among other keys, in a server; the plan says as much.
        target = self.server()
        target.send([["SET", "user:1", "new"], ["SET", "other", "new"]])
        self.fails(16, *at, "--include", "0/user:*", "--to", target.url(), says="is at")
        self.assertIn("0 digest", verified("--include", "0/user:*", "--to", target.url(), "--existing", "replace"))
        self.assertEqual([target.run("GET", k) for k in ("user:1", "user:22", "other")], ["older", "old", "new"])
        self.assertIn("5 digest", verified("--include", "5", "--to", target.url(9)))
        self.assertEqual(target.run("GET", "cart:1", database=9), "old")
        # Its time came after the base, and somebody had made it last.
        time.sleep(1)
        for choice in ("drop", "shift", "keep"):
            folder = self.folder / choice
            self.assertIn("instant" if choice == "keep" else "3 digest", verified("--expired", choice, "--to", folder))
            lasting = self.started_on(folder)
            self.assertEqual((lasting.run("GET", "short"), lasting.run("PTTL", "short")), ("lives", "-1"), choice)
        whole = self.server()
        self.assertIn("server functions digest", verified("--to", whole.url()))
        self.assertEqual((whole.run("GET", "short"), whole.run("PTTL", "short")), ("lives", "-1"))
        self.holdfast(*at, "--to", whole.url(), "--dry-run")

    def test_a_server_program_that_only_bin_dir_names(self):
        programs, nothing = self.folder / "programs", self.folder / "nothing"
        programs.mkdir()
        nothing.touch()
        for name in ("redis-server", "redis-check-rdb", "redis-check-aof"):
            shutil.copy(f"/usr/bin/{name}", programs)
        self.folder.chmod(0o755)

        def run(*args, code=0):
            """As on a machine that has no redis-server where packages put it."""
            there = pathlib.Path("/usr/bin/redis-server").resolve()
            done = subprocess.run(["unshare", "-m", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", nothing, there,
                                   PROGRAM, *map(str, args)], env=self.environment, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done.stdout + done.stderr
        source, target = self.server(), self.server()
        config = self.folder / "holdfast.yaml"
        config.write_text(json.dumps({"version": 1, "sources": {"s": {
            "kind": "redis", "url": source.url(), "bin_dir": str(programs)}}}))
        source.run("SET", "a", 1)
        run("-c", config, "follow", "s", "--once")
        source.run("SET", "b", 1)
        run("-c", config, "follow", "s", "--once")
        at = ("restore", "--source", "s", "--at", self.window()["to"], "--json", "--to")
        self.assertIn('"result":"pass"', run("-c", config, *at, self.folder / "whole"))
        self.assertEqual(self.started_on(self.folder / "whole").digest(), source.digest())
        run("-c", config, *at, target.url())
        self.assertEqual(target.digest(), source.digest())
        config.write_text('{"version": 1}')
        part = ("--include", "0/b")
        self.assertIn("bin_dir", run("-c", config, *at, self.folder / "part", *part, code=15))
        run("-c", config, *at, self.folder / "part", *part, "--bin-dir", programs)
        self.assertEqual(self.started_on(self.folder / "part").run("GET", "b"), "1")

    def test_targets_that_take_no_writes(self):
        source = self.filled()
        self.backup(source.url(), "--name", "s")
        replica = self.server("--replicaof", f"127.0.0.1 {source.port}")
        self.fails(16, "restore", "latest", "--to", replica.url(), says="replica")
        small = self.server("--maxmemory", "2mb")
        self.fails(16, "restore", "latest", "--to", small.url(), says="OOM", hints="maxmemory")


class Environments(Redis):
    def test_a_place_by_name_that_is_not_the_source_and_what_is_live(self):
        source = self.server()
        source.run("CONFIG", "SET", "requirepass", "secret")
        source.settings += ["--requirepass", "secret"]
        target = self.server()
        secret = {"REDIS_PASSWORD": "secret", "TARGET": target.url(), "TRAP": f"redis://:secret@{source.socket}".replace(
            str(source.socket), str(source.socket).replace("/", "%2F"))}
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
sources:
  carts: {{kind: redis, host: 127.0.0.1, port: {source.port}, password: "env:REDIS_PASSWORD", with_settings: true}}
environments:
  staging: {{carts: "env:TARGET"}}
  trap: {{carts: "env:TRAP"}}
""")
        subprocess.run(source.cli("-a", "secret", "SET", "a", "1"), check=True, capture_output=True)
        subprocess.run(source.cli("-a", "secret", "ACL", "SETUSER", "reader", "on", ">pw", "+get", "~*"), check=True,
                       capture_output=True)
        self.backup("-c", config, "carts", env=secret)
        self.fails(16, "-c", config, "restore", "latest", "--to", "trap", env=secret, says="points at what snapshot",
                   hints="environments")
        self.holdfast("-c", config, "restore", "latest", "--to", "staging", env=secret)
        self.assertEqual(target.run("GET", "a"), "1")
        self.assertIn("user reader on", self.holdfast("dump", "latest:users.acl").text)
        self.assertIn("requirepass secret", self.holdfast("dump", "latest:redis.conf").text)
        folder = self.folder / "data"
        self.restore("latest", folder)
        self.assertIn("user reader on", (folder / "users.acl").read_text())
        started = self.server("--appendonly", "yes", "--aclfile", folder / "users.acl", data=folder, wait=False)
        wait_until(lambda: started.try_run("--user", "reader", "-a", "pw", "--no-auth-warning", "GET", "a") == "1",
                   "the user is known")
        # What is live now differs.
        same = self.holdfast("-c", config, "diff", "latest", "live", "--json", env=secret).lines()
        self.assertEqual([line for line in same if line["type"] == "difference"], [])
        subprocess.run(source.cli("-a", "secret", "SET", "b", "1"), check=True, capture_output=True)
        now_differs = self.holdfast("-c", config, "diff", "latest", "live", "--json", env=secret).lines()
        self.assertEqual([line["path"] for line in now_differs if line["type"] == "difference"], ["0"])


    def test_the_source_is_known_by_its_files_and_in_a_replica_that_took_over(self):
        master = self.server("--appendonly", "yes")
        replica = self.server("--replicaof", f"127.0.0.1 {master.port}")
        master.run("SET", "a", 1)
        wait_until(lambda: replica.digest() == master.digest(), "the replica is in step")
        config = self.folder / "holdfast.yaml"
        config.write_text(f"""version: 1
sources:
  files: {{kind: redis, host: 127.0.0.1, port: {master.port}, method: aof}}
  stream: {{kind: redis, host: 127.0.0.1, port: {master.port}}}
environments:
  replica: {{files: "{replica.url()}", stream: "{replica.url()}"}}
""")
        self.backup("-c", config, "files")
        self.backup("-c", config, "stream")
        master.stop()
        replica.run("REPLICAOF", "NO", "ONE")
        for source in ("files", "stream"):
            self.fails(16, "-c", config, "restore", "latest", "--source", source, "--to", "replica", "--existing", "drop",
                       says="points at what snapshot")
        self.assertEqual(replica.run("GET", "a"), "1")


class Again(Redis):
    def test_little_is_stored_when_little_has_changed(self):
        source = self.server()
        rng = random.Random(4)
        source.send([["SET", f"key:{i}", rng.randbytes(500)] for i in range(40000)])
        first = self.backup(source.url(), "--name", "s")[0]["bytes"]
        second = self.backup(source.url(), "--name", "s")[0]["bytes"]
        self.assertLess(second["stored"], first["stored"] * 0.005, (first, second))
        for turn in range(4):
            source.send([["SET", f"key:{i}", rng.randbytes(500)] for i in rng.sample(range(40000), 390)])
            source.send([["DEL", f"key:{i}"] for i in rng.sample(range(40000), 10)])
            changed = self.backup(source.url(), "--name", "s")[0]["bytes"]
            self.assertLess(changed["stored"], first["stored"] * 0.03 * (1 + turn), (first, changed))
        for name in ("latest",):
            folder = self.folder / name
            self.restore(name, folder)
            self.assertEqual(self.started_on(folder).digest(), source.digest())
        # Without memory of earlier captures nothing is lost but space.
        for path in self.home.rglob("*.layers"):
            path.unlink()
        self.backup(source.url(), "--name", "s")
        self.restore("latest", self.folder / "fresh")
        self.assertEqual(self.started_on(self.folder / "fresh").digest(), source.digest())

    def test_two_repositories_share_one_memory(self):
        source = self.filled()
        second = self.folder / "second"
        self.holdfast("init", "-r", second)
        for turn in range(3):
            source.send([["SET", f"turn:{turn}", turn], ["DEL", f"turn:{turn - 2}"]])
            self.backup(source.url(), "--name", "s")
            if turn != 1:
                self.backup(source.url(), "--name", "s", "-r", second)
        for number, repo in enumerate((self.repo, second)):
            folder = self.folder / f"out{number}"
            self.restore("latest", folder, "-r", repo)
            self.assertEqual(self.started_on(folder).digest(), source.digest())


class Follow(Following):
    def test_a_random_writer_comes_back_at_ten_random_instants(self):
        source = self.server("--repl-backlog-size", "64mb")
        source.send(everything())
        child = self.follow(source)
        wait_until(lambda: self.snapshots(), "the base is there")
        seconds = 60 * SCALE
        load = subprocess.Popen(["redis-benchmark", "-p", str(source.port), "-c", "2", "-n", "100000000", "-r", "10000",
                                 "-t", "set", "--dbnum", "7", "-q"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        self.addCleanup(load.kill)
        rng = random.Random(5)
        model, history = {}, []
        end = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < end:
            commands = [["SELECT", 5], ["MULTI"]]
            for _ in range(rng.randrange(1, 8)):
                key, value = f"m{rng.randrange(200)}", rng.randbytes(rng.randrange(60)).hex()
                if rng.random() < 0.2:
                    commands.append(["DEL", key])
                    model.pop(key, None)
                else:
                    commands.append(["SET", key, value])
                    model[key] = value
            # Once the repository has it, its time is known too, however slow the machine is.
            commands += [["EXEC"], ["WAIT", 1, 60000]]
            source.send(commands)
            # For a while nothing of the model changes: an instant in the middle is one of it.
            time.sleep(0.15)
            history.append((now(), dict(model)))
            time.sleep(0.15)
            turn += 1
            if turn == 20:
                child.send_signal(signal.SIGKILL)
                child.wait()
                killed = self.window()["to"]  # what came later was not stored yet
                child = self.follow(source, "--take-over")
                self.wait_for(now())
                back = now()
        load.kill()
        load.wait()
        self.wait_for(now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        self.assertEqual(len(self.holdfast("windows", "s", "--json").document()["windows"]), 1)
        window = self.window()
        # What the server did while nobody stored it carries no times: it is dated when it came.
        inside = [each for each in history
                  if window["from"] < each[0] < window["to"] and not killed <= each[0] <= back]
        self.assertGreater(len(inside), 20)
        for number, (instant, expected) in enumerate(rng.sample(inside, 10)):
            server, _ = self.restored(instant, f"at{number}")
            keys = server.run("--raw", "KEYS", "m*", database=5).split()
            values = server.run("--raw", "MGET", *keys, database=5).split("\n") if keys else []
            found = dict(itertools.zip_longest(keys, values, fillvalue=""))  # the last ones may be empty
            self.assertEqual(found, expected, instant)
            server.remove()
        server, _ = self.restored(window["to"], "last")
        self.assertEqual(server.digest(), source.digest())

    def test_what_nobody_could_see_is_not_said_to_be_nothing(self):
        source = self.server("--repl-backlog-size", "16mb", "--repl-timeout", "600")
        proxy = Proxy(self, source.port)
        source.run("SET", "a", 1)
        child, log = self.told(proxy.url())
        begin = now()
        wait_until(lambda: self.reached(log) > begin, "an idle server is seen")
        proxy.darken()
        time.sleep(0.5)
        dark = now()
        source.run("SET", "b", 1)
        time.sleep(8)
        self.assertLess(self.reached(log), dark)
        # It notices by itself that nothing comes any more.
        proxy.is_dark = False
        wait_until(lambda: self.reached(log) > dark, "it follows again", 120)
        child.send_signal(signal.SIGTERM)
        child.wait()
        window, = self.holdfast("windows", "s", "--json").document()["windows"]
        server, _ = self.restored(window["to"], "after")
        self.assertEqual(server.digest(), source.digest())

    def test_a_replica_without_its_master_does_not_know_that_nothing_happens(self):
        master = self.server()
        replica = self.server("--replicaof", f"127.0.0.1 {master.port}")
        wait_until(lambda: "master_link_status:up" in replica.run("INFO", "replication"), "the replica is in step")
        child, log = self.told(replica.url())
        begin = now()
        wait_until(lambda: self.reached(log) > begin, "an idle master is seen")
        master.process.send_signal(signal.SIGSTOP)
        stopped = now()
        time.sleep(8)
        self.assertLess(self.reached(log), stopped)
        master.process.send_signal(signal.SIGCONT)
        wait_until(lambda: self.reached(log) > stopped, "the master is seen again")
        child.send_signal(signal.SIGTERM)
        child.wait()

    def test_a_repository_that_is_away_for_long_leaves_no_gap(self):
        minio = Minio()
        self.addCleanup(minio.stop)
        minio.make_bucket("away")
        self.environment.update(minio.environment(), HOLDFAST_REPO="s3://away/repo", HOLDFAST_PATIENCE="300ms")
        self.init()
        for bound in ((), ("--spool-max", "1M")):
            name = "s%d" % len(bound)
            source = self.server("--repl-backlog-size", "64mb")
            source.send(everything())
            faults = {"now": None}
            proxy = S3Proxy(minio, lambda method, path: faults["now"])
            self.addCleanup(proxy.stop)
            said = self.folder / f"said-{name}"
            with said.open("wb") as err:
                child = self.start("follow", source.url(), "--name", name, "--flush", "200ms", *bound,
                                   env={"AWS_ENDPOINT_URL": proxy.endpoint}, stdout=err, stderr=err)
            wait_until(lambda: self.wait_counts(source), "base and changes are stored")
            faults["now"] = 503
            if bound:
                self.load(source, 9700)  # of 93 bytes each
                wait_until(lambda: f"the spool of {name} is at 8" in said.read_text(), "the spool is nearly full")
            self.load(source, 60000)
            wait_until(lambda: said.read_text().count("trying again in") >= 3, "several tries have failed")
            if bound:
                wait_until(lambda: "the spool is full" in said.read_text(), "the spool is full")
            source.send([["SELECT", 3], ["SET", "while it was away", 1]])
            faults["now"] = None
            wait_until(lambda: self.wait_counts(source), "all is stored")
            child.send_signal(signal.SIGTERM)
            child.wait()
            self.assertEqual(len(self.holdfast("windows", name, "--json").document()["windows"]), 1, said.read_text())
            self.assertEqual(said.read_text().count("a new window begins"), 1, said.read_text())
            self.holdfast("restore", "--source", name, "--at", now(), "--to", self.folder / name)
            self.assertEqual(self.started_on(self.folder / name).digest(), source.digest())

    @staticmethod
    def load(server, writes):
        subprocess.run(["redis-benchmark", "-p", str(server.port), "-c", "2", "-n", str(writes), "-r", "10000", "-d", "50",
                        "-P", "16", "-t", "set", "--dbnum", "7", "-q"], capture_output=True, check=True)

    @staticmethod
    def wait_counts(source):
        """Whether a write is in the repository now, as the server is told."""
        said = subprocess.run(["redis-cli", "-p", str(source.port)], input="SET canary 1\nWAIT 1 500\n", capture_output=True,
                              text=True, check=True)
        return said.stdout.split()[-1:] == ["1"]

    def test_an_instant_in_a_pause_is_told_from_one_of_which_is_known(self):
        source = self.server()
        source.run("SET", "a", "before")
        follow = ("follow", source.url(), "--name", "s", "--once")
        self.holdfast(*follow)
        source.run("SET", "a", "in the pause")
        time.sleep(0.2)
        instant = now()
        time.sleep(0.2)
        source.run("SET", "b", 1)
        self.holdfast(*follow)
        pauses = self.window()["pauses"]
        self.assertEqual([each["from"] < instant < each["to"] for each in pauses], [True], pauses)
        planned = self.holdfast("restore", "--source", "s", "--at", instant, "--plan", "--json").lines()[-1]
        done = self.fails(3, "restore", "--source", "s", "--at", instant, "--to", self.folder / "pause", "--json",
                          says="restored in part").lines()[-1]
        self.assertEqual((planned["reached"], done["reached"]), (pauses[0]["from"],) * 2)
        self.fails(3, "restore", "--source", "s", "--at", instant, "--to", self.server().url(), says="restored in part")
        self.assertEqual(self.started_on(self.folder / "pause").run("GET", "a"), "before")
        # Nothing happened in the next one, and the server said so.
        time.sleep(0.3)
        quiet = now()
        child, log = self.told(source.url())
        wait_until(lambda: self.reached(log) > quiet, "an idle server is seen")
        source.run("SET", "c", 1)
        self.wait_for(now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        server, result = self.restored(quiet, "quiet")
        self.assertEqual(sorted(server.run("KEYS", "*").split()), ["a", "b"])
        self.assertEqual(result.lines()[-1]["reached"], quiet[:-1].rstrip("0") + "Z")
        self.assertEqual(self.window()["pauses"], pauses)

    def test_a_server_whose_stream_has_relative_times_is_not_followed(self):
        self.fails(15, "follow", Scripted(self, {b"INFO": "# Server\r\nredis_version:6.2.14\r\n"}).url(), "--name", "s",
                   says="version 6.2.14", hints="7.0")

    def test_up_to_now_needs_to_know_what_there_is_now(self):
        source = self.server()
        source.run("SET", "a", 1)
        source.run("ACL", "SETUSER", "less", "on", ">pw", "+psync", "+replconf", "+ping")
        less = ("follow", f"redis://less:pw@127.0.0.1:{source.port}", "--name", "s", "--once")
        self.holdfast(*less)
        source.run("SET", "b", 1)
        self.fails(15, *less, says="does not say how far", hints="+info")

    def test_what_acts_on_more_than_a_key_is_replayed(self):
        source = self.filled()
        child = self.follow(source)
        wait_until(self.snapshots, "the base is there")
        library = "#!lua name=more\nredis.register_function('more', function() return 2 end)"
        commands = [["SELECT", 5], ["SET", "five", 5], ["SWAPDB", 5, 3], ["SET", "of three", 3], ["MOVE", "of three", 7],
                    ["EVAL", "for i = 1, 50 do redis.call('INCR', 'e' .. i % 7) end redis.call('SELECT', 8) "
                     "redis.call('SET', 'eight', 8)", 0], ["SET", "of five", 5],
                    ["FUNCTION", "LOAD", library], ["SELECT", 0], ["XREADGROUP", "GROUP", "readers", "three", "COUNT", 7,
                                                                  "STREAMS", "stream", ">"],
                    ["XCLAIM", "stream", "readers", "three", 0, "2-1"], ["SPOP", "large set", 100], ["RENAME", "list", "renamed"],
                    ["COPY", "geo", "geo", "DB", 9], ["SORT", "ints", "STORE", "sorted"], ["SELECT", 11], ["FLUSHDB"],
                    ["SET", "again", 1, "PX", 1000000], ["GETEX", "again", "PERSIST"], ["WAIT", 1, 60000]]
        source.send(commands)
        self.wait_for(now())
        before = self.window()["to"]
        digest = source.digest()
        source.send([["SELECT", 4], ["FLUSHALL"], ["SET", "after", 1], ["WAIT", 1, 60000]])
        self.wait_for(now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        server, _ = self.restored(before, "before")
        self.assertEqual((server.digest(), server.run("FCALL", "more", 0)), (digest, "2"))
        server, _ = self.restored(self.window()["to"], "after")
        self.assertEqual((server.digest(), server.run("DBSIZE", database=4)), (source.digest(), "1"))

    def test_history_says_what_to_stop_before(self):
        source = self.server()
        source.send([["SET", f"k{i}", i] for i in range(500)])
        self.holdfast("follow", source.url(), "--name", "s", "--once")
        source.send([["DEL", *[f"k{i}" for i in range(200)]]])
        time.sleep(0.3)
        source.run("FLUSHALL")
        self.holdfast("follow", source.url(), "--name", "s", "--once")
        self.assertEqual(len(self.snapshots()), 1)
        events = [line for line in self.holdfast("history", "s", "--json").lines() if line["type"] == "event"]
        self.assertEqual([(each["what"], each["count"]) for each in events], [("delete", 200), ("truncate", 0)])

    def test_a_clock_that_jumped_ends_no_window(self):
        source = self.server()
        for value in range(3):
            source.run("SET", "a", value)
            self.holdfast("follow", source.url(), "--name", "s", "--once")
            self.backup(source.url(), "--name", "s")
        time.sleep(1.1)
        self.holdfast("prune", "--journal-window", "1d")
        before = self.window()
        mark = next(self.home.rglob("clock"))
        boot, steady, wall = mark.read_text().split()
        month = (30 * 24 + 12) * 3600 * 10**9
        mark.write_text(f"{boot} {steady} {int(wall) - month}\n")
        refused = self.fails(3, "prune", "--journal-window", "1s", says="the journal of s was left as it is",
                             hints="--clock-is-right")
        self.assertIn("put forward by 30 d", refused.errors)
        lines = self.holdfast("prune", "--journal-window", "1s", "--json", code=3).lines()
        told = next(line for line in lines if line["type"] == "summary")["journals"]
        self.assertEqual(([each["source"] for each in told["left"]], told["freed"]), (["s"], 0))
        snapshots = self.snapshots()
        forget = ("forget", snapshots[1]["id"], "--prune", "--journal-window", "1s")
        self.fails(14, *forget, says="put forward by 30 d", hints="--clock-is-right")
        self.assertEqual(self.snapshots(), snapshots)
        self.assertEqual(self.window()["from"], before["from"])
        self.holdfast("prune")
        self.holdfast(*forget, "--clock-is-right")
        self.assertEqual(len(self.snapshots()), len(snapshots) - 1)
        self.assertGreater(self.window()["from"], before["from"])

    def test_another_history_begins_a_new_window(self):
        source = self.server()
        source.run("SET", "a", "1")
        self.holdfast("follow", source.url(), "--name", "s", "--once")
        source.stop()
        source.start()
        source.run("SET", "b", "1")
        self.holdfast("follow", source.url(), "--name", "s", "--once")
        windows = self.holdfast("windows", "s", "--json").document()["windows"]
        self.assertEqual(len(windows), 2)
        self.assertIn("history", windows[-1]["because"])

    def test_a_replica_that_becomes_master_goes_on_without_a_gap(self):
        master = self.server()
        replica = self.server("--replicaof", f"127.0.0.1 {master.port}")
        master.send([["SET", f"k{i}", i] for i in range(100)])
        wait_until(lambda: replica.digest() == master.digest(), "the replica is in step")
        child = self.follow(replica)
        wait_until(lambda: self.snapshots(), "the base is there")
        master.stop()
        replica.run("REPLICAOF", "NO", "ONE")
        replica.send([["SET", f"n{i}", i] for i in range(100)])
        self.wait_for(now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        self.assertEqual(len(self.holdfast("windows", "s", "--json").document()["windows"]), 1)
        server, _ = self.restored(self.window()["to"], "after")
        self.assertEqual(server.digest(), replica.digest())

    def test_a_replicas_stream_need_not_say_which_database_is_selected(self):
        """Its master said so once, before anybody followed."""
        master = self.server()
        replica = self.server("--replicaof", f"127.0.0.1 {master.port}")
        wait_until(lambda: "master_link_status:up" in replica.run("INFO", "replication"), "the replica is in step")

        def change(number):
            master.run("SET", f"k{number}", number, database=3)
            wait_until(lambda: replica.digest() == master.digest(), "the replica has it")
        change(1)
        child = self.follow(replica)
        wait_until(lambda: self.snapshots(), "the base is there")
        change(2)
        self.wait_for_tick(master, now())
        first = now()
        self.wait_for_tick(master, first)
        child.send_signal(signal.SIGTERM)
        child.wait()
        # Who goes on does not know it, and a later base begins the route.
        change(3)
        self.holdfast("follow", replica.url(), "--name", "s", "--once")
        self.backup(replica.url(), "--name", "s")
        change(4)
        self.holdfast("follow", replica.url(), "--name", "s", "--once")
        self.assertEqual(len(self.holdfast("windows", "s", "--json").document()["windows"]), 1)
        server, _ = self.restored(first, "first")
        self.assertEqual(sorted(server.run("KEYS", "k*", database=3).split()), ["k1", "k2"])
        self.assertEqual(server.run("DBSIZE"), "0")
        server, result = self.restored(self.window()["to"], "last")
        self.assertEqual(server.digest(), master.digest())
        self.assertEqual(result.lines()[-1]["snapshot"], self.snapshots()[-1]["id"])

    def test_a_follower_that_was_too_slow_goes_on_or_says_why_not(self):
        """The server ends a connection whose output buffer is full."""
        for backlog, windows in (("64mb", 1), ("16kb", 2)):
            source = self.server("--repl-backlog-size", backlog, "--client-output-buffer-limit", "replica 1mb 1mb 1")
            name = f"s{windows}"
            child = self.start("follow", source.url(), "--name", name, "--flush", "200ms", stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
            wait_until(lambda: source.run("WAIT", 1, 100) == "1", "it follows")
            child.send_signal(signal.SIGSTOP)
            value = "x" * 100_000
            for i in range(400):
                source.send([["SET", f"k{i}", value]])
                if "connected_slaves:0" in source.run("INFO", "replication"):
                    break
            self.assertIn("connected_slaves:0", source.run("INFO", "replication"))
            child.send_signal(signal.SIGCONT)
            wait_until(lambda: source.run("WAIT", 1, 100) == "1", "it follows again")
            source.send([["SET", "last", 1], ["WAIT", 1, 60000]])
            child.send_signal(signal.SIGTERM)
            child.wait()
            found = self.holdfast("windows", name, "--json").document()["windows"]
            self.assertEqual(len(found), windows, found)
            folder = self.folder / name
            self.holdfast("restore", "--source", name, "--at", found[-1]["to"], "--to", folder)
            self.assertEqual(self.started_on(folder).digest(), source.digest())

    def test_connections_that_are_cut_within_transactions(self):
        source = self.server("--repl-backlog-size", "64mb")
        child = self.follow(source)
        wait_until(lambda: source.run("WAIT", 1, 100) == "1", "it follows")
        for turn in range(10):
            source.send([["MULTI"], *[["APPEND", f"k{i}", "x" * 5000] for i in range(100)], ["INCR", "turns"], ["EXEC"]])
            source.run("CLIENT", "KILL", "TYPE", "replica")
        wait_until(lambda: source.run("WAIT", 1, 100) == "1", "it follows again")
        self.wait_for(now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        window, = self.holdfast("windows", "s", "--json").document()["windows"]
        server, _ = self.restored(window["to"], "after")
        self.assertEqual((server.digest(), server.run("GET", "turns")), (source.digest(), "10"))

    def test_what_wait_confirmed_is_there_after_the_server_is_killed(self):
        source = self.server("--appendonly", "yes", "--appendfsync", "always")
        child = self.follow(source)
        wait_until(lambda: source.run("WAIT", 1, 100) == "1", "it follows")
        source.send([*[["SET", f"k{i}", i] for i in range(500)], ["WAIT", 1, 60000]])
        digest = source.digest()
        source.stop()
        source.start()
        # Also what a base holds that is on its way.
        source.send([["SET", "after", 1]])
        wait_until(lambda: len(self.snapshots()) == 2, "it follows again")
        source.send([["SET", "last", 1], ["WAIT", 1, 60000]])
        child.send_signal(signal.SIGTERM)
        child.wait()
        first, second = self.holdfast("windows", "s", "--json").document()["windows"]
        self.assertIn("history", second["because"])
        for number, (window, expected) in enumerate(((first, digest), (second, source.digest()))):
            server, _ = self.restored(window["to"], f"window{number}")
            self.assertEqual(server.digest(), expected)

class Sentinel(Following):
    def sentinel(self, master, *more):
        port = free_port()
        conf = self.folder / f"sentinel-{port}.conf"
        conf.write_text(f"port {port}\nbind 127.0.0.1\ndir {self.folder}\nsentinel monitor carts 127.0.0.1 {master.port} 1\n"
                        "sentinel down-after-milliseconds carts 1000\nsentinel failover-timeout carts 5000\n" +
                        "".join(line + "\n" for line in more))
        child = subprocess.Popen(["redis-server", conf, "--sentinel"], stdout=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        wait_until(lambda: subprocess.run(["redis-cli", "-p", str(port), "PING"], capture_output=True,
                                          check=False).stdout[:4] in (b"PONG", b"NOAU"), "the Sentinel starts")
        return port

    def test_the_next_sentinel_is_asked_with_an_account_of_its_own(self):
        master = self.server()
        master.send([["SET", "a", "1"], ["CONFIG", "SET", "requirepass", "data"]])
        account = "user asker on >own allchannels -@all +auth +ping +sentinel|get-master-addr-by-name"
        other, one = (self.sentinel(master, "sentinel auth-pass carts data", "user default off", each)
                      for each in (account.replace(">own", ">another"), account))
        gone = free_port()
        password = self.folder / "password"
        password.write_text("data")
        asked = self.folder / "asked"
        asked.write_text("own")
        config = self.folder / "holdfast.yaml"
        def configured(**more):
            config.write_text(json.dumps({"version": 1, "sources": {"carts": {
                "kind": "redis", "host": "127.0.0.1", "port": gone, "sentinel": "carts", "password": f"file:{password}",
                "sentinels": f"127.0.0.1:{other}, 127.0.0.1:{one}", **more}}}))
        configured(sentinel_user="asker", sentinel_password=f"file:{asked}")
        said = self.holdfast("-c", config, "backup", "carts").err.decode()
        self.assertIn(f"the Sentinel at 127.0.0.1:{gone} is passed over", said)
        self.assertIn(f"the Sentinel at 127.0.0.1:{other} is passed over", said)
        self.assertNotIn("own", said)
        target = self.server()
        self.restore("latest", target.url())
        self.assertEqual(target.run("GET", "a"), "1")
        configured()
        self.fails(15, "-c", config, "backup", "carts", says="wants a password", hints="sentinel_password")
        url = (f"redis://:data@127.0.0.1:{gone}?sentinel=carts&sentinels=127.0.0.1:{one}&sentinel_user=asker&"
               "sentinel_password=own")
        self.backup(url, "--name", "by-url")
        self.fails(15, "backup", url.replace("=own", "=wrong"), "--name", "by-url", says="refuses the password")

    def test_a_failover_in_mid_stream_goes_on_without_a_gap(self):
        master = self.server("--repl-backlog-size", "16mb")
        replica = self.server("--replicaof", f"127.0.0.1 {master.port}", "--repl-backlog-size", "16mb")
        master.send([["SET", f"k{i}", i] for i in range(100)])
        wait_until(lambda: replica.digest() == master.digest(), "the replica is in step")
        port = self.sentinel(master)
        wait_until(lambda: b"num-slaves\n1\n" in subprocess.run(["redis-cli", "-p", str(port), "SENTINEL", "MASTER", "carts"],
                                                                capture_output=True, check=False).stdout, "it knows the replica")
        child = self.start("follow", f"redis://127.0.0.1:{port}?sentinel=carts", "--name", "s", "--flush", "200ms",
                           stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(lambda: master.run("WAIT", 2, 100) == "2", "it follows")
        master.stop()
        # Whoever is connected when the sentinel promotes a replica is thrown out.
        wait_until(lambda: b"role:master" in subprocess.run(["redis-cli", "-p", str(replica.port), "INFO", "replication"],
                                                            capture_output=True, check=False).stdout,
                   "the replica takes over")
        replica.send([["SET", f"n{i}", i] for i in range(100)])
        wait_until(lambda: replica.run("WAIT", 1, 100) == "1", "it follows the new master")
        self.wait_for(now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        window, = self.holdfast("windows", "s", "--json").document()["windows"]
        server, _ = self.restored(window["to"], "after")
        self.assertEqual(server.digest(), replica.digest())

    def test_a_master_that_is_none_any_more_is_left_although_it_answers(self):
        master = self.server("--repl-ping-replica-period", "1")
        way = Proxy(self, master.port)  # of who watches it, too
        replica = self.server("--replicaof", f"127.0.0.1 {way.port}")
        wait_until(lambda: "master_link_status:up" in replica.run("INFO", "replication"), "the replica is in step")
        port = self.sentinel(way)
        wait_until(lambda: b"num-slaves\n1\n" in subprocess.run(["redis-cli", "-p", str(port), "SENTINEL", "MASTER", "carts"],
                                                                capture_output=True, check=False).stdout, "it knows the replica")
        child, log = self.told(f"redis://127.0.0.1:{port}?sentinel=carts")
        wait_until(lambda: master.run("WAIT", 2, 100) == "2", "it follows")
        begin = now()
        wait_until(lambda: self.reached(log) > begin, "an idle master is seen")
        # Who replicates it goes on; nobody else reaches it.
        way.is_dark = True
        for state in way.connections:
            for end in () if state["replica"] else state["ends"]:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: "role:master" in replica.run("INFO", "replication"), "the replica takes over")
        self.assertIn("role:master", master.run("INFO", "replication"))
        replica.send([["SET", f"n{i}", i] for i in range(100)])
        wait_until(lambda: replica.run("WAIT", 1, 100) == "1", "it follows the new master")
        self.wait_for_tick(replica, now())
        child.send_signal(signal.SIGTERM)
        child.wait()
        server, _ = self.restored(self.window()["to"], "after")
        self.assertEqual(server.digest(), replica.digest())

    def test_sentinels_that_are_gone_end_nothing(self):
        master = self.server()
        port = self.sentinel(master)
        child, log = self.told(f"redis://127.0.0.1:{port}?sentinel=carts")
        begin = now()
        wait_until(lambda: self.reached(log) > begin, "an idle master is seen")
        before = re.findall("sync_.*", master.run("INFO", "stats"))
        subprocess.run(["redis-cli", "-p", str(port), "SHUTDOWN"], check=False, capture_output=True)
        time.sleep(1)
        gone = now()
        time.sleep(5)
        self.assertLess(self.reached(log), gone)  # nobody knows
        self.wait_for_tick(master, gone)
        self.assertEqual(re.findall("sync_.*", master.run("INFO", "stats")), before)
        child.send_signal(signal.SIGTERM)
        child.wait()

    def test_sentinel_names_the_master_and_a_replica_is_preferred(self):
        master = self.server()
        replica = self.server("--replicaof", f"127.0.0.1 {master.port}")
        master.send(everything())
        wait_until(lambda: replica.digest() == master.digest(), "the replica is in step")
        port = self.sentinel(master)
        self.fails(15, "backup", f"redis://127.0.0.1:{port}?sentinel=nobody", says="knows no master", hints="SENTINEL")
        config = self.folder / "holdfast.yaml"
        config.write_text(f"version: 1\nsources:\n  carts: {{kind: redis, host: 127.0.0.1, port: {port}, sentinel: carts, "
                          "prefer_replica: true}\n")
        before = int(master.run("INFO", "stats").split("sync_full:")[1].split()[0])
        self.backup("-c", config, "carts")
        self.assertEqual(int(master.run("INFO", "stats").split("sync_full:")[1].split()[0]), before)
        self.restore("latest", self.folder / "out")
        self.assertEqual(self.started_on(self.folder / "out").digest(), master.digest())


class BadInput(Redis):
    def test_a_server_that_dies_in_the_middle_commits_nothing(self):
        source = self.server()
        source.send([["SET", f"k{i}", "x" * 20000] for i in range(3000)])
        source.run("CONFIG", "SET", "rdb-key-save-delay", "2000")
        child = self.start("backup", source.url())
        wait_until(lambda: "rdb_bgsave_in_progress:1" in source.run("INFO", "persistence"), "the capture runs")
        source.stop()
        child.wait()
        self.assertEqual(child.returncode, 15)
        self.assertEqual(self.snapshots(), [])

    def test_nobody_there(self):
        self.fails(15, "backup", "redis://127.0.0.1:1", says="127.0.0.1:1", hints="whether it runs")

    def test_a_huge_value_and_binary_keys(self):
        source = self.server()
        source.send([["SET", bytes([i]), bytes([i])] for i in range(256)])
        source.run("SETRANGE", "huge", 536870911, "x")
        self.backup(source.url(), "--name", "s")
        other = self.server()
        self.restore("latest", other.url())
        self.assertEqual(other.run("STRLEN", "huge"), "536870912")
        self.assertEqual(other.run("DBSIZE"), "257")


if __name__ == "__main__":
    main()
