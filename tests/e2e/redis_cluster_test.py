"""Redis Cluster: six real servers on the loopback as a source and as a target."""

import random
import signal
import subprocess

from harness import free_port, main, wait_until
from redis_case import Following, now


class Cluster:
    """Three masters with a replica each."""

    def __init__(self, case):
        self.servers = [case.server("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port",
                                    free_port(), "--repl-backlog-size", "16mb") for _ in range(6)]
        places = [f"127.0.0.1:{each.port}" for each in self.servers]
        done = subprocess.run(["redis-cli", "--cluster", "create", *places, "--cluster-replicas", "1", "--cluster-yes"],
                              capture_output=True, text=True, check=False)
        case.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        wait_until(lambda: all("cluster_state:ok" in each.run("CLUSTER", "INFO") for each in self.servers), "the cluster is up")
        wait_until(lambda: all("master_link_status:down" not in each.run("INFO", "replication") for each in self.servers),
                   "replicas are in step")

    def url(self, database=None):
        return self.servers[0].url(database)

    def run(self, *args):
        done = subprocess.run(["redis-cli", "-c", "-p", str(self.servers[0].port), *map(str, args)], capture_output=True,
                              text=True, check=True)
        return done.stdout.rstrip("\n")

    def masters(self):
        return [each for each in self.servers if each.process.poll() is None and "role:master" in each.run("INFO", "replication")]

    def keys(self):
        return sum(int(each.run("DBSIZE")) for each in self.masters())

    def fill(self, count, seed=1):
        """Sends each key to the master that takes it."""
        rng = random.Random(seed)
        values = {f"key:{i}": rng.randbytes(20).hex() for i in range(count)}
        script = "".join(f"SET {key} {value}\n" for key, value in values.items())

        def all_are_taken():
            done = subprocess.run(["redis-cli", "-c", "-p", str(self.servers[0].port)], input=script, text=True,
                                  capture_output=True, check=True)
            return done.stdout.splitlines().count("OK") == count
        # After a failover some nodes may refuse for a while yet.
        wait_until(all_are_taken, "the cluster takes all keys")
        return values

    def values(self, keys):
        script = "".join(f"GET {key}\n" for key in keys)
        done = subprocess.run(["redis-cli", "-c", "-p", str(self.servers[0].port)], input=script, text=True,
                              capture_output=True, check=True)
        lines = [line for line in done.stdout.splitlines() if not line.startswith("-> Redirected")]
        return dict(zip(keys, lines))

    def node_id(self, server):
        return server.run("CLUSTER", "MYID")

    def manage(self, *args):
        done = subprocess.run(["redis-cli", "--cluster", *map(str, args)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    def add(self, server):
        self.manage("add-node", f"127.0.0.1:{server.port}", f"127.0.0.1:{self.servers[0].port}")
        self.servers.append(server)
        wait_until(lambda: all(self.node_id(server) in each.run("CLUSTER", "NODES") and
                               "cluster_state:ok" in each.run("CLUSTER", "INFO") for each in self.servers), "all know it")

    def move(self, slot, to, count):
        """So many slots from the master that serves one to the one that serves another, or to a server."""
        to_id = self.master_of(to)[0] if isinstance(to, int) else self.node_id(to)
        self.manage("reshard", f"127.0.0.1:{self.servers[0].port}", "--cluster-from", self.master_of(slot)[0], "--cluster-to",
                    to_id, "--cluster-slots", count, "--cluster-yes")

    def master_of(self, slot):
        """The id and the server of the master that serves a slot."""
        for server in self.masters():
            for line in server.run("CLUSTER", "NODES").splitlines():
                words = line.split()
                if "myself" not in words[2]:
                    continue
                for part in words[8:]:
                    first, _, last = part.partition("-")
                    if first.isdigit() and int(first) <= slot <= int(last or first):
                        return words[0], server
        raise AssertionError(f"nobody serves {slot}")


class OfCluster(Following):
    def config(self, cluster):
        path = self.folder / "holdfast.yaml"
        path.write_text(f"version: 1\nsources:\n  carts: {{kind: redis, host: 127.0.0.1, port: {cluster.servers[0].port}, "
                        "cluster: true}\n")
        return path


class AsSource(OfCluster):
    def test_each_master_is_a_source_and_goes_into_another_cluster(self):
        cluster = Cluster(self)
        values = cluster.fill(1000)
        for master in cluster.masters():
            master.run("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
        lines = self.backup("-c", self.config(cluster), "carts")
        names = [line["source"] for line in lines]
        self.assertEqual(names, ["carts.0", "carts.5461", "carts.10923"])
        other = Cluster(self)
        for name in names:
            result = self.restore("latest", other.url(), "--source", name)
            self.assertEqual(result.lines()[-1]["verified"]["result"], "pass", str(result))
        self.assertEqual(other.keys(), 1000)
        self.assertEqual(other.values(values), values)
        self.assertEqual([each.run("FCALL", "f", 0) for each in other.masters()], ["1"] * 3)
        # What is there already: of the slots that were captured.
        self.fails(16, "restore", "latest", "--source", names[0], "--to", other.url(), says="keys already")
        other.run("SET", "key:1", "wrong")
        for name in names:
            self.restore("latest", other.url(), "--source", name, "--existing", "drop")
        self.assertEqual(other.values(values), values)
        # Three parts make one server, too.
        single = self.server()
        for name in names:
            self.restore("latest", single.url(), "--source", name, "--existing", "missing")
        self.assertEqual(single.run("DBSIZE"), "1000")

    def test_an_environment_is_not_another_server_of_the_source(self):
        cluster = Cluster(self)
        cluster.fill(30)
        config = self.config(cluster)
        config.write_text(config.read_text() + "environments:\n" + "".join(
            f'  trap{number}: {{carts: "{each.url()}"}}\n' for number, each in enumerate(cluster.servers)))
        self.backup("-c", config, "carts")
        for number in range(len(cluster.servers)):
            for part in ("carts.0", "carts.10923"):
                self.fails(16, "-c", config, "restore", "latest", "--source", part, "--to", f"trap{number}", "--existing", "drop",
                           says="points at what snapshot")
        self.assertEqual(cluster.keys(), 30)

    def test_one_journal_a_master_goes_on_over_a_failover(self):
        cluster = Cluster(self)
        first = cluster.fill(300)
        config = self.config(cluster)
        said = self.folder / "said"
        # Each journal has a repository of its own; the passphrase is there once.
        self.holdfast("key", "add", "--label", "passphrase", env={"HOLDFAST_NEW_PASSWORD": "correct horse"})
        child = self.start("-c", config, "follow", "carts", "--flush", "200ms", stdout=subprocess.DEVNULL,
                           stderr=said.open("wb"), env={"HOLDFAST_KEY_FILE": "", "HOLDFAST_PASSWORD": "correct horse"})
        wait_until(lambda: len(self.snapshots()) == 3, "three bases are there")
        before = len(cluster.masters())
        _, victim = cluster.master_of(10923)
        wait_until(lambda: victim.run("WAIT", 2, 1000) == "2", "replica and follower have it")
        victim.stop()
        wait_until(lambda: len(cluster.masters()) == before and
                   "cluster_state:ok" in cluster.servers[0].run("CLUSTER", "INFO"), "a replica takes over")
        second = {**first, **cluster.fill(300, seed=2)}

        def reached(instant):
            found = self.holdfast("windows", "--json").document()["windows"]
            return len(found) >= 3 and all(each["to"] > instant for each in found)
        # What is written is of the time at which it arrives, so the followers are to be past it first.
        filled = now()
        wait_until(lambda: reached(filled), lambda: f"all journals have it: {said.read_text()[-3000:]}", 180)
        instant = now()
        wait_until(lambda: reached(instant), lambda: f"all journals reach it: {said.read_text()[-3000:]}", 90)
        child.send_signal(signal.SIGTERM)
        child.wait(60)
        windows = self.holdfast("windows", "--json").document()["windows"]
        self.assertEqual(len(windows), 3, windows)
        self.assertEqual(cluster.values(second), second, "the cluster itself lost what it confirmed")
        other = Cluster(self)
        for name in ("carts.0", "carts.5461", "carts.10923"):
            self.holdfast("restore", "--source", name, "--at", instant, "--to", other.url())
        self.assertEqual(other.values(second), second)
        self.fails(2, "restore", "--source", "carts.0", "--at", instant, "--to", other.url(), "--existing", "drop",
                   says="cannot be used with --at for a cluster", hints="FLUSHALL")
        self.assertEqual(other.values(second), second)


class Moves(OfCluster):
    """Slots that move lose no key without a word."""

    def test_between_two_parts_of_a_backup(self):
        cluster = Cluster(self)
        cluster.fill(300)
        # The second master takes its time; meanwhile the last one gives slots to the first, which is captured.
        _, second = cluster.master_of(6000)
        second.run("CONFIG", "SET", "rdb-key-save-delay", "100000")
        child = self.start("-c", self.config(cluster), "backup", "carts")
        wait_until(lambda: len(self.snapshots()) == 1 and "rdb_bgsave_in_progress:1" in second.run("INFO", "persistence"),
                   "the second part is captured")
        cluster.move(16000, 0, 20)
        second.run("CONFIG", "SET", "rdb-key-save-delay", "0")
        _, errors = child.communicate()
        self.assertEqual(child.returncode, 3, errors)
        self.assertIn(b"slots of carts moved", errors)
        self.backup("-c", self.config(cluster), "carts")

    def test_away_from_what_is_followed(self):
        cluster = Cluster(self)
        cluster.fill(300)
        child = self.start("-c", self.config(cluster), "follow", "carts", "--flush", "200ms")
        wait_until(lambda: len(self.snapshots()) == 3, "three bases are there")
        added = self.server("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", free_port())
        cluster.add(added)
        cluster.move(0, added, 20)
        _, errors = child.communicate()
        self.assertEqual(child.returncode, 1, errors)
        self.assertIn(b"went to another one: 0-19", errors)
        # Now there is one more.
        child = self.start("-c", self.config(cluster), "follow", "carts", "--flush", "200ms", stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        wait_until(lambda: len({each["source"] for each in self.snapshots()}) >= 4, "four masters are followed")
        child.send_signal(signal.SIGTERM)
        child.wait(60)

    def test_slots_that_nobody_serves_and_a_part_that_is_taken_for_all(self):
        cluster = Cluster(self)
        result = self.holdfast("backup", cluster.url(), "--name", "s")
        self.assertIn("`cluster: true`", " ".join(result.errors.split()))
        for server in cluster.servers:
            server.run("CLUSTER", "DELSLOTS", 7)
        self.fails(15, "-c", self.config(cluster), "backup", "carts", says="nobody in the cluster", hints="CLUSTER NODES")


class AsTarget(Following):
    def test_slots_that_move_meanwhile_are_followed(self):
        cluster = Cluster(self)
        source = self.server()
        source.send([["SET", f"key:{i}", i] for i in range(3000)])
        source.send([["SET", "{tag}large", "x" * 300_000]])
        self.backup(source.url(), "--name", "s")
        slot = int(cluster.run("CLUSTER", "KEYSLOT", "key:1"))
        large = int(cluster.run("CLUSTER", "KEYSLOT", "{tag}large"))
        for number in {slot, large}:
            from_id, giver = cluster.master_of(number)
            to_id, taker = next((i, s) for i, s in (cluster.master_of(n) for n in (0, 6000, 12000)) if i != from_id)
            taker.run("CLUSTER", "SETSLOT", number, "IMPORTING", from_id)
            giver.run("CLUSTER", "SETSLOT", number, "MIGRATING", to_id)
        # The giver answers ASK for these.
        self.restore("latest", cluster.url(), "--no-verify")
        for number in {slot, large}:
            from_id, giver = cluster.master_of(number)
            self.assertEqual(giver.run("CLUSTER", "COUNTKEYSINSLOT", number), "0")
        self.assertEqual(cluster.keys(), 3001)

    def test_slots_that_have_moved_are_learnt(self):
        cluster = Cluster(self)
        source = self.server()
        source.send([["SET", f"key:{i}", "x" * 2000] for i in range(5000)])
        self.backup(source.url(), "--name", "s")
        from_id, _ = cluster.master_of(0)
        to_id, _ = cluster.master_of(12000)
        moving = subprocess.Popen(["redis-cli", "--cluster", "reshard", f"127.0.0.1:{cluster.servers[0].port}", "--cluster-from",
                                   from_id, "--cluster-to", to_id, "--cluster-slots", "1000", "--cluster-yes"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(moving.wait)
        self.addCleanup(moving.kill)
        wait_until(lambda: cluster.master_of(5)[0] == to_id, "slots move")
        self.restore("latest", cluster.url(), "--no-verify")
        moving.wait()
        self.assertEqual(cluster.keys(), 5000)
        result = self.fails(16, "restore", "latest", "--to", cluster.url(), says="5000 keys already")
        self.assertIn("--existing", result.errors)

    def test_what_a_cluster_cannot_hold(self):
        cluster = Cluster(self)
        source = self.filled()
        self.backup(source.url(), "--name", "s")
        self.fails(2, "restore", "latest", "--to", cluster.url(), says="only database 0", hints="--include")
        self.restore("latest", cluster.url(0), "--include", "3")
        self.assertEqual(cluster.keys(), 300)
        self.fails(15, "backup", "redis://127.0.0.1:1?slot=7", says="127.0.0.1:1")
        self.fails(2, "backup", cluster.url() + "?slot=16384", says="no address")


if __name__ == "__main__":
    main()
