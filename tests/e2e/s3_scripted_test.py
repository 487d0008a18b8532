"""Buckets as MinIO does not play them: a scripted server (tests/servers/scripted_s3.py)."""

import hashlib
import hmac
import pathlib
import ssl
import subprocess
import sys
import time

from harness import Case, main, noise

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))

from s3_policy import enforce  # noqa: E402
from scripted_s3 import Refusal, ScriptedS3, Tunnel  # noqa: E402


class Scripted(Case):
    def setUp(self):
        super().setUp()
        self.key.chmod(0o600)
        self.s3 = ScriptedS3()
        self.addCleanup(self.s3.close)
        self.environment.update(self.s3.environment())
        self.environment["HOLDFAST_REPO"] = "s3://bucket/repo"
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        for i in range(4):
            (self.tree / str(i)).write_bytes(noise(i, 120_000))

    def configure(self, settings):
        """The repository by its name in a configuration instead of by its URL."""
        (self.folder / "holdfast.yaml").write_text(
            "version: 1\nrepositories:\n  main: {url: \"s3://bucket/repo\", endpoint: \"%s\", region: eu-west-1,\n"
            "         unlock: {keyfile: \"file:%s\"}, %s}\n" % (self.s3.endpoint, self.key, settings))
        for name in ("HOLDFAST_REPO", "HOLDFAST_KEY_FILE", "AWS_ENDPOINT_URL"):
            self.environment.pop(name, None)

    def puts(self):
        return [(key.removeprefix("repo/"), headers) for action, key, headers in self.s3.requests if action == "s3:PutObject"]


class Settings(Scripted):
    def test_encryption_goes_with_every_object_and_the_storage_class_with_contents_only(self):
        self.configure("encryption: aws:kms, kms_key: alias/backups, storage_class: STANDARD_IA")
        self.init()
        self.backup(f"files:{self.tree}")
        self.holdfast("prune")
        kinds = {key.split("/")[0] for key, _ in self.puts()}
        self.assertLessEqual({"config", "keys", "log", "data", "meta", "state", "index", "notes"}, kinds)
        for key, headers in self.puts():
            self.assertEqual(headers.get("x-amz-server-side-encryption"), "aws:kms", key)
            self.assertEqual(headers.get("x-amz-server-side-encryption-aws-kms-key-id"), "alias/backups", key)
            self.assertEqual(headers.get("x-amz-storage-class"), "STANDARD_IA" if key.startswith("data/") else None, key)
            # What is not signed could be taken off on the way.
            signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
            self.assertIn("x-amz-server-side-encryption", signed)
            self.assertIn("if-none-match", signed)
        shown = self.holdfast("config", "show", "--json").document()["repositories"]["main"]
        self.assertEqual((shown["encryption"], shown["kms_key"], shown["storage_class"]),
                         ("aws:kms", "alias/backups", "STANDARD_IA"))
        out = self.folder / "out"
        self.holdfast("restore", f"latest:{self.tree}", "--to", out)
        self.assertEqual(len(list(out.iterdir())), 4)

    def test_without_settings_the_bucket_decides(self):
        self.init()
        self.backup(f"files:{self.tree}")
        for key, headers in self.puts():
            self.assertFalse([name for name in headers if "encryption" in name or "storage" in name], key)

    def test_what_cannot_be_meant_is_refused(self):
        for settings, says in (("encryption: rot13", "no store knows `rot13`"),
                               ("kms_key: x", "goes with `encryption: aws:kms`"),
                               ("encryption: AES256, kms_key: x", "goes with `encryption: aws:kms`"),
                               ("storage_class: GLACIER", "read after hours only")):
            self.configure(settings)
            self.fails(2, "config", "check", says=says)
        (self.folder / "holdfast.yaml").write_text(
            "version: 1\nrepositories:\n  main: {url: /backups, storage_class: STANDARD_IA}\n")
        self.fails(2, "config", "check", says="are for buckets")

    def test_a_key_service_that_refuses_is_told(self):
        self.configure("encryption: aws:kms, kms_key: gone")

        def refuse(action, key, headers):
            if action == "s3:PutObject":
                raise Refusal(400, "KMS.NotFoundException", "Key 'gone' does not exist")

        self.s3.before = refuse
        self.fails(12, "init", says=["KMS.NotFoundException", "Key 'gone' does not exist"], hints="kms_key")


class Lies(Scripted):
    """A replica in a bucket that says what is not so."""

    def setUp(self):
        super().setUp()
        self.environment["HOLDFAST_REPO"] = str(self.repo)
        self.replica = "s3://bucket/repo"
        self.init()
        self.backup(f"files:{self.tree}")
        self.holdfast("-r", self.replica, "init", "--like", self.repo)

    def shown(self):
        return self.holdfast("-r", self.replica, "snapshots", "--json").document()["snapshots"]

    def packs(self):
        return sorted(key for key in self.s3.objects if key.startswith("repo/data/"))

    def once_it_has_all_packs(self, act):
        done = []

        def before(action, key, headers):
            if action == "s3:PutObject" and key.startswith("repo/log/") and not done:
                done.append(key)
                act(self.packs()[0])

        self.s3.before = before

    def test_what_it_took_and_lost_is_told_before_anything_is_shown(self):
        self.once_it_has_all_packs(self.s3.objects.pop)
        self.fails(13, "copy", "--to", self.replica, says=["took data/", "does not have it"], hints="not to be trusted")
        self.assertEqual(self.shown(), [])
        self.assertEqual(len(self.holdfast("copy", "--to", self.replica, "--json").lines()[-1]["snapshots"]), 1)
        self.assertEqual(len(self.shown()), 1)
        self.holdfast("-r", self.replica, "check", "--read-data")

    def test_what_it_cut_short_is_told(self):
        def cut(key):
            body, *rest = self.s3.objects[key]
            self.s3.objects[key] = (body[:-1], *rest)

        self.once_it_has_all_packs(cut)
        self.fails(13, "copy", "--to", self.replica, says=["took data/", "of it"])
        self.assertEqual(self.shown(), [])

    def test_what_it_keeps_wrong_is_told_when_it_is_read_back(self):
        def keep_wrong(action, key, headers):
            if action in ("s3:GetObject", "s3:PutObject"):
                for each in self.packs():
                    body, sent, made = self.s3.objects[each]
                    self.s3.objects[each] = (bytes(len(body)), {}, made)

        self.s3.before = keep_wrong
        self.fails(13, "copy", "--to", self.replica, "--verify", says="reads back as something else")
        self.assertEqual(self.shown(), [])
        self.holdfast("copy", "--to", self.replica)  # by their lengths they are there
        self.assertEqual(self.holdfast("copy", "--to", self.replica, "--compare", "--json", code=3).lines()[-1]["findings"][0]["kind"], "differs")


class Google(Scripted):
    """Google Cloud Storage: If-None-Match counts for nothing there, and headers of both kinds in one request are refused."""

    def setUp(self):
        super().setUp()
        self.s3.condition, self.s3.prefix = {"x-goog-if-generation-match": "0"}, "x-goog-"
        self.environment["HOLDFAST_S3_KIND"] = "google"

    def test_it_is_asked_in_its_own_words(self):
        def only_its_own(action, key, headers):
            if any(name.startswith("x-amz-") for name in headers):
                raise Refusal(400, "ExcessHeaderValues")
            if action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
                self.assertEqual(headers["authorization"].split("Signature=")[1], self.signature(key, headers))

        self.s3.before = only_its_own
        self.init()
        self.fails(1, "init", says="there is a repository")
        self.backup(f"files:{self.tree}")
        self.backup(f"files:{self.tree}")
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.holdfast("forget", "--keep-last", "1", "--yes")
        self.holdfast("prune")

    def signature(self, key, headers):
        """As Google's documentation computes it with HMAC keys, of requests without a query."""
        names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
        scope = headers["authorization"].split("Credential=scripted/")[1].split(",")[0]
        self.assertRegex(scope, r"^\d{8}/eu-west-1/storage/goog4_request$")
        canonical = "\n".join([headers[":method"], "/bucket/" + key, "",
                               *(f"{name}:{headers[name]}" for name in names.split(";")), "", names,
                               headers["x-goog-content-sha256"]])
        text = "\n".join(["GOOG4-HMAC-SHA256", headers["x-goog-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
        secret = b"GOOG4scripted"
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        return hmac.digest(secret, text.encode(), "sha256").hex()


class Doctor(Scripted):
    VERSIONED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"

    def setUp(self):
        super().setUp()
        self.init()
        self.backup(f"files:{self.tree}")

    def findings(self, code=0, **options):
        document = self.holdfast("doctor", "--json", code=code, **options).document()
        self.assertEqual(document["schema"], "holdfast.doctor/1")
        self.assertEqual(document["ok"], code == 0)
        return [(each["check"], each["severity"], each["text"], each["fix"])
                for each in document["repositories"][0]["findings"]]

    def found(self, check, severity, says, code, fix=""):
        matching = [each for each in self.findings(code) if each[0] == check and each[1] == severity]
        self.assertTrue(any(says in each[2] and fix in each[3] for each in matching), (check, self.findings(code)))

    def test_nothing_is_wrong_with_a_plain_bucket(self):
        before = dict(self.s3.objects)
        severities = {check: severity for check, severity, _, _ in self.findings()}
        self.assertEqual(severities, dict.fromkeys(
            ("key file", "key", "read", "clock", "list", "put", "remove", "versioning", "encryption", "lock", "lifecycle",
             "replication"), "good"))
        self.assertEqual(self.s3.objects, before)  # it changes nothing
        people = self.holdfast("doctor").text
        self.assertIn("s3://bucket/repo", people)
        self.assertIn("none that is there is overwritten", people)

    def test_a_store_that_overwrites_is_found_without_harm(self):
        handle = self.s3.handle

        def overwrite(method, bucket, key, query, headers, body):
            headers.pop("if-none-match", None)
            return handle(method, bucket, key, query, headers, body)

        self.s3.handle = overwrite
        self.found("put", "error", "overwrites what is there", 1, "If-None-Match")
        self.s3.handle = handle
        self.holdfast("check", "--read-data")

    def test_clocks_that_differ(self):
        self.s3.date = lambda: time.time() + 300
        self.found("clock", "warning", "behind", 3, "NTP")
        self.s3.date = lambda: time.time() - 7200
        self.found("clock", "error", "ahead of", 1, "NTP")

    def test_each_right_that_is_missing_is_named(self):
        for action, check, code in (("s3:PutObject", "put", 1), ("s3:ListBucket", "list", 1), ("s3:DeleteObject", "remove", 1),
                                    ("s3:GetBucketVersioning", "versioning", 0),
                                    ("s3:GetEncryptionConfiguration", "encryption", 0),
                                    ("s3:GetBucketObjectLockConfiguration", "lock", 0),
                                    ("s3:GetLifecycleConfiguration", "lifecycle", 0),
                                    ("s3:GetReplicationConfiguration", "replication", 0), ("s3:GetObject", "read", 1)):
            with self.subTest(action=action):
                def deny(asked, key, headers, action=action):
                    if asked == action:
                        raise Refusal(403, "AccessDenied")

                self.s3.before = deny
                found = [each for each in self.findings(code) if each[0] == check]
                self.assertEqual(found[0][1], "error" if code else "not_tested", found)
                self.assertIn(action, found[0][2] + found[0][3])

    def test_rules_that_would_take_backups_away(self):
        rule = "<LifecycleConfiguration><Rule><ID>old</ID><Status>%s</Status><Filter><Prefix>%s</Prefix></Filter>%s</Rule>" \
               "</LifecycleConfiguration>"
        expire = "<Expiration><Days>30</Days></Expiration>"
        freeze = "<Transition><Days>9</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>"
        for prefix in ("", "repo", "repo/data/"):
            self.s3.answers["lifecycle"] = rule % ("Enabled", prefix, expire)
            self.found("lifecycle", "error", "rule old removes backups", 1, "Remove the rule")
        self.s3.answers["lifecycle"] = rule % ("Enabled", "", freeze)
        self.found("lifecycle", "error", "DEEP_ARCHIVE", 1, "Remove the rule")
        harmless = [("Disabled", "", expire), ("Enabled", "other/", expire),
                    ("Enabled", "", "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
                    ("Enabled", "", "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
                                    "</AbortIncompleteMultipartUpload>"),
                    ("Enabled", "", "<Transition><Days>9</Days><StorageClass>STANDARD_IA</StorageClass></Transition>")]
        for each in harmless:
            self.s3.answers["lifecycle"] = rule % each
            self.found("lifecycle", "good", "no rule", 0)
        self.s3.answers["versioning"] = self.VERSIONED
        self.found("lifecycle", "warning", "takes its space for ever", 3, "NoncurrentVersionExpiration")
        self.s3.answers["lifecycle"] = rule % (
            "Enabled", "", "<NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration>")
        self.found("lifecycle", "good", "no rule", 0)
        self.found("remove", "not_tested", "leave a marker", 0)

    def test_locks_encryption_versions_and_replication(self):
        self.s3.answers.update({
            "object-lock": "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
                           "<Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
            "encryption": "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms"
                          "</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
            "replication": "<ReplicationConfiguration><Rule><Status>Enabled</Status><Destination>"
                           "<Bucket>arn:aws:s3:::elsewhere</Bucket></Destination></Rule></ReplicationConfiguration>",
            "versioning": "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"})
        self.found("lock", "warning", "locked (COMPLIANCE) for 30 days", 3)
        self.found("versioning", "warning", "suspended", 3, "Switch it on")
        self.found("encryption", "good", "aws:kms", 3)
        self.found("replication", "good", "elsewhere", 3)
        self.s3.answers["versioning"] = Refusal(501, "NotImplemented")
        self.found("versioning", "not_tested", "does not tell", 3)

    def test_what_cannot_be_reached_or_opened(self):
        for env, check, code in (({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "read", 1),
                                 ({"HOLDFAST_REPO": "s3://not-there/x"}, "read", 1),
                                 ({"HOLDFAST_REPO": "s3://bucket/other"}, "read", 1),
                                 ({"HOLDFAST_KEY_FILE": None}, "key", 0)):
            with self.subTest(env=env):
                found = [each for each in self.findings(code, env=env) if each[0] == check]
                self.assertEqual(found[0][1], "error" if code else "not_tested", found)

    def test_a_writer_that_may_do_more_than_its_role_is_told(self):
        path = self.folder / "writer.key"
        self.holdfast("key", "generate", path)
        path.chmod(0o600)
        self.holdfast("key", "add", "--role", "writer", "--new-key-file", path)
        self.environment.update(HOLDFAST_KEY_FILE=str(path), HOME=str(self.folder / "writer"))
        self.backup(f"files:{self.tree}")
        before = dict(self.s3.objects)
        self.found("put", "warning", "may also overwrite", 3, "deploy s3-policy")
        self.found("remove", "warning", "may remove objects", 3, "deploy s3-policy")
        self.assertEqual({key: body for key, (body, *_) in self.s3.objects.items()},
                         {key: body for key, (body, *_) in before.items()})
        enforce(self.s3, self.holdfast("deploy", "s3-policy", "--role", "writer", "--bucket", "bucket", "--prefix", "repo",
                                       "--json").document()["policy"])
        found = {check: severity for check, severity, _, _ in self.findings()}
        self.assertEqual((found["put"], found["remove"]), ("good", "good"), found)

    def test_who_can_read_the_key(self):
        self.key.chmod(0o644)
        self.found("key file", "warning", "others than its owner", 3, "chmod 600")


class BadInput(Scripted):
    def setUp(self):
        super().setUp()
        self.init()
        self.first = self.backup(f"files:{self.tree}")[0]["snapshot"]

    def refuse(self, *refusal, actions=None, after=0, **more):
        """From the `after`-th request on."""
        count = iter(range(10**9))

        def before(action, key, headers):
            if (actions is None or action in actions) and next(count) >= after:
                raise Refusal(*refusal, **more)

        self.s3.before = before

    def test_each_verb_names_the_right_that_it_lacks(self):
        (self.tree / "more").write_bytes(noise("more", 150_000))
        for action, verbs in (("s3:GetObject", (["snapshots"], ["backup", f"files:{self.tree}"], ["check"], ["prune"],
                                                ["restore", "latest", "--to", self.folder / "out"])),
                              ("s3:ListBucket", (["snapshots"], ["check"], ["prune"])),
                              ("s3:PutObject", (["backup", f"files:{self.tree}"], ["forget", self.first, "--allow-last"]))):
            self.refuse(403, "AccessDenied", actions=[action])
            for verb in verbs:
                with self.subTest(action=action, verb=verb[0]):
                    self.fails(12, *verb, says=f"{action} of", hints=f"lacks {action} on bucket")
        # Only a machine that has not been here yet has to look for its key slot.
        self.refuse(403, "AccessDenied", actions=["s3:ListBucket"])
        self.backup(f"files:{self.tree}")
        self.fails(12, "backup", f"files:{self.tree}", env={"HOME": self.folder / "elsewhere"}, says="s3:ListBucket of",
                   hints="lacks s3:ListBucket on bucket")
        self.s3.before = lambda *request: None
        self.backup(f"files:{self.tree}")
        self.holdfast("forget", "--keep-last", "1", "--yes")
        (self.tree / "0").unlink()
        self.backup(f"files:{self.tree}")
        self.holdfast("forget", "--keep-last", "1", "--yes")
        self.refuse(403, "AccessDenied", actions=["s3:DeleteObject"])
        self.fails(12, "prune", says="s3:DeleteObject of repo/", hints="lacks s3:DeleteObject on bucket")
        self.s3.before = lambda *request: None
        self.holdfast("prune")
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_wrong_region_names_the_right_one(self):
        self.refuse(400, "AuthorizationHeaderMalformed", more="<Region>ap-south-1</Region>")
        self.fails(2, "snapshots", says="not in region eu-west-1", hints="AWS_REGION=ap-south-1")

    def test_a_clock_that_is_off_is_told(self):
        self.refuse(403, "RequestTimeTooSkewed")
        self.fails(12, "snapshots", says="clocks", hints="NTP")

    def test_a_full_quota_ends_the_backup_and_harms_nothing(self):
        (self.tree / "more").write_bytes(noise("more", 150_000))
        for status, code in ((403, "QuotaExceeded"), (507, "XMinioStorageFull")):
            self.refuse(status, code, actions=["s3:PutObject"], after=1)
            self.fails(18, "backup", f"files:{self.tree}", says="no room")
        self.s3.before = lambda *request: None
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.backup(f"files:{self.tree}")

    def test_a_web_page_is_told(self):
        for status in (200, 403, 404):
            with self.subTest(status=status):
                self.refuse(status, "", html="<html><body>Sign in to the hotel's network</body></html>")
                self.fails(17, "snapshots", says="a web page", hints="endpoint")

    def test_listings_that_are_stale_out_of_order_or_empty_cost_work_only(self):
        (self.tree / "more").write_bytes(noise("more", 150_000))
        seen = {}

        def stale(keys):
            """What was there when that was asked first."""
            prefix = "/".join(keys[0].split("/")[:2]) if keys else ""
            return seen.setdefault(prefix, list(keys))

        for listing in (lambda keys: keys[::-1], lambda keys: keys + keys, stale,
                        lambda keys: [key for key in keys if "/keys/" in key]):
            self.s3.listing = listing
            second = self.backup(f"files:{self.tree}")[0]["snapshot"]
            self.holdfast("forget", "--keep-last", "2", "--yes")
            self.holdfast("prune")
            out = self.folder / f"out-{second}"
            self.holdfast("restore", f"{second}:{self.tree}", "--to", out)
            self.assertEqual(len(list(out.iterdir())), 5)
        self.s3.listing = lambda keys: keys
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_listing_that_is_cut_short_is_not_taken_for_the_whole(self):
        cut = {"in the middle": lambda xml: xml[:len(xml) // 2],
               "before its end": lambda xml: xml.removesuffix("</ListBucketResult>"),
               "without a token": lambda xml: xml.replace("<IsTruncated>false", "<IsTruncated>true")}
        for name, listed in cut.items():
            with self.subTest(name):
                cuts = iter(range(10**9))
                self.s3.listed = lambda xml: listed(xml) if next(cuts) % 2 == 0 else xml
                self.assertEqual(self.check("--read-data")["errors"], [])
                self.assertGreater(next(cuts), 2)

    def test_a_create_that_was_done_but_not_answered_is_ones_own(self):
        """On a connection that was used before, libcurl sends a request again without a word."""
        self.s3.objects.clear()
        unheard = set()

        def is_heard(action, key):
            if action != "s3:PutObject" or key in unheard or not any(part in key for part in ("config", "/gc/", "/notes/")):
                return True
            unheard.add(key)
            return False

        self.s3.is_heard = is_heard
        self.init()
        (self.tree / "more").write_bytes(noise("more", 150_000))
        for name in ("0", "1"):
            self.backup(f"files:{self.tree}")
            (self.tree / name).unlink()
        self.holdfast("forget", "--keep-last", "1", "--yes")
        pruned = self.holdfast("prune")
        self.assertNotIn("another prune", pruned.errors)
        self.assertGreaterEqual(len(unheard), 4)
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_an_answer_that_is_cut_is_asked_for_again(self):
        answers = iter(range(10**9))
        self.s3.cuts = lambda method, data: method == "GET" and len(data) > 1 and next(answers) % 3 == 0
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.holdfast("restore", f"latest:{self.tree}", "--to", self.folder / "out")
        for i in range(4):
            self.assertEqual((self.folder / "out" / str(i)).read_bytes(), noise(i, 120_000))
        self.assertGreater(next(answers), 9)

    def test_a_store_that_looks_first_and_writes_then_is_refused(self):
        self.s3.objects.clear()
        self.s3.looks_first = 2
        self.fails(2, "init", says="overwrite")
        self.assertFalse([key for key in self.s3.objects if "probe" not in key])

    def test_a_store_that_says_it_has_what_it_never_got_is_not_believed(self):
        (self.tree / "more").write_bytes(noise("more", 150_000))
        handle = self.s3.handle
        packs = []

        def has_it_already(method, bucket, key, query, headers, body):
            if method == "PUT" and key.startswith("repo/data/"):
                packs.append(key)
                raise Refusal(412, "PreconditionFailed")
            return handle(method, bucket, key, query, headers, body)

        self.s3.handle = has_it_already
        self.fails(13, "backup", f"files:{self.tree}", says=["has data/", "nobody else can have made"])
        self.assertTrue(packs)
        self.s3.objects.clear()
        self.s3.handle = lambda method, bucket, key, *more: (
            has_it_already(method, bucket, key.replace("repo/probe/", "repo/data/") if method == "PUT" else key, *more))
        self.fails(1, "init", says=["which nobody has written"], hints="If-None-Match")

    def test_a_store_that_overwrites_and_says_it_did_not_gets_no_repository(self):
        self.s3.objects.clear()
        handle = self.s3.handle

        def overwrites(method, bucket, key, query, headers, body):
            was_there = key in self.s3.objects
            if method == "PUT":
                headers = {name: value for name, value in headers.items() if name != "if-none-match"}
            answer = handle(method, bucket, key, query, headers, body)
            if method == "PUT" and was_there:
                raise Refusal(412, "PreconditionFailed")
            return answer

        self.s3.handle = overwrites
        self.fails(2, "init", says="overwrite")

    def test_a_long_listing_comes_through_where_one_request_in_three_fails(self):
        """From its beginning it would come through once in two thousand times."""
        self.s3.page = 1
        for key in [f"repo/data/{i:064x}" for i in range(20)]:
            self.s3.objects[key] = (b"a stray", {}, 0)
        count = iter(range(10**9))

        def fails(action, key, headers):
            if action == "s3:ListBucket" and next(count) % 3 == 2:
                raise Refusal(500, "InternalError")

        self.s3.before = fails
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.assertGreater(next(count), 30)

    def test_what_was_damaged_on_its_way_to_the_store_is_sent_again(self):
        (self.tree / "more").write_bytes(noise("more", 150_000))
        codes = ["XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "BadDigest", "IncompleteBody", "RequestTimeout"]

        def damaged(action, key, headers):
            if action == "s3:PutObject" and codes:
                raise Refusal(400, codes.pop())

        self.s3.before = damaged
        self.backup(f"files:{self.tree}")
        self.assertEqual(codes, [])
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_what_somebody_in_between_does_not_find_is_not_absent(self):
        handle = self.s3.handle
        for code, signs in (("", False), ("NotFound", False), ("NotFound", True)):
            with self.subTest(code=code, signs=signs):
                count = iter(range(10**9))

                def lost(method, bucket, key, query, headers, body):
                    self.s3.signs_answers = True
                    if key.startswith("repo/data/") and method == "GET" and next(count) % 2 == 0:
                        self.s3.signs_answers = signs
                        raise Refusal(404, code)
                    return handle(method, bucket, key, query, headers, body)

                self.s3.handle = lost
                self.assertEqual(self.check("--read-data")["errors"], [])
                self.assertGreater(next(count), 1)
        self.s3.handle, self.s3.signs_answers = handle, False  # then what is absent is asked for, not only looked for
        self.backup(f"files:{self.tree}")

    def test_what_lies_damaged_in_the_store_is_told_as_damage(self):
        log = max(key for key in self.s3.objects if key.startswith("repo/log/"))
        pack = next(key for key in self.s3.objects if key.startswith("repo/data/"))
        for key, verb in ((pack, ["check", "--read-data"]), (log, ["check"])):
            body, put, made = self.s3.objects[key]
            self.s3.objects[key] = (body[:-1] + bytes([body[-1] ^ 1]), put, made)
            self.fails(13, *verb)
            self.s3.objects[key] = (body, put, made)
        self.assertEqual(self.check("--read-data")["errors"], [])

    def test_a_right_that_is_missing_for_packs_is_no_damage(self):
        def closed(action, key, headers):
            if action == "s3:GetObject" and key.startswith("repo/data/"):
                raise Refusal(403, "AccessDenied")

        self.s3.before = closed
        self.fails(12, "check", "--read-data", says="s3:GetObject of repo/data/", hints="lacks s3:GetObject")
        replica = str(self.folder / "replica")
        self.holdfast("-r", replica, "init", "--like", self.environment["HOLDFAST_REPO"])
        self.fails(12, "copy", "--to", replica, says="s3:GetObject of repo/data/")
        self.assertEqual(self.holdfast("-r", replica, "snapshots", "--json").document()["snapshots"], [])
        self.s3.before = lambda *request: None
        before = len([key for key in self.s3.objects if key.startswith("repo/data/")])
        self.backup(f"files:{self.tree}", "--reread")  # what was not damaged is not stored again
        self.assertEqual(len([key for key in self.s3.objects if key.startswith("repo/data/")]), before)

    def test_objects_of_strangers_are_left_alone(self):
        strange = ["repo2/config", "other", "repo/", "repo/ü", "repo/a b", "repo/data/../x", "repo/keys/not-ours",
                   "repo/notes/hello", "repo/log/x/y/z", "repo/log/aa/0/not-a-number", "repo/data/short", "repo/gc/latest",
                   "repo/index/readme.txt", "repo/.hidden", "repo/notes/" + "0" * 64 + "/0000000000"]
        for key in strange:
            self.s3.objects[key] = (b"not ours", {}, 0)
        (self.tree / "more").write_bytes(noise("more", 150_000))
        self.backup(f"files:{self.tree}")
        self.holdfast("forget", "--keep-last", "1", "--yes")
        self.holdfast("prune")
        self.holdfast("restore", f"latest:{self.tree}", "--to", self.folder / "out")
        for key in strange:
            self.assertIn(key, self.s3.objects)

    def make_certificates(self, *names, host="IP:127.0.0.1"):
        for name in names:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                            "-addext", f"subjectAltName={host}", "-keyout", self.folder / f"{name}.key",
                            "-out", self.folder / f"{name}.crt"], check=True, capture_output=True)

    def test_tls_before_1_3_is_spoken_only_when_allowed(self):
        self.make_certificates("good")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "good.crt", self.folder / "good.key")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = ScriptedS3(tls=context)
        self.addCleanup(server.close)
        server.objects = self.s3.objects
        secure = {"AWS_ENDPOINT_URL": server.endpoint, "AWS_CA_BUNDLE": self.folder / "good.crt"}
        self.fails(17, "snapshots", env=secure, hints="HOLDFAST_TLS_MIN=1.2")
        self.assertEqual(server.requests, [])
        self.holdfast("snapshots", env={**secure, "HOLDFAST_TLS_MIN": "1.2"})
        self.fails(2, "snapshots", env={**secure, "HOLDFAST_TLS_MIN": "1.1"}, says="HOLDFAST_TLS_MIN")

    def test_amazons_own_hosts_through_a_proxy(self):
        """Where no endpoint is named, the bucket is part of the host's name; China has a domain of its own."""
        self.at_amazon("eu-west-1", "bucket.s3.eu-west-1.amazonaws.com")
        self.at_amazon("cn-north-1", "bucket.s3.cn-north-1.amazonaws.com.cn")

    def at_amazon(self, region, host):
        self.make_certificates("amazon", host=f"DNS:{host}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "amazon.crt", self.folder / "amazon.key")
        server = ScriptedS3(tls=context)
        self.addCleanup(server.close)
        proxy = Tunnel(server)
        self.addCleanup(proxy.close)
        self.environment.pop("AWS_ENDPOINT_URL", None)
        self.environment.update({"AWS_REGION": region, "https_proxy": proxy.endpoint, "AWS_CA_BUNDLE": str(self.folder / "amazon.crt")})
        self.init()
        self.backup(f"files:{self.tree}")
        self.assertEqual(self.check("--read-data")["errors"], [])
        self.assertEqual(set(proxy.asked), {f"{host}:443"})
        self.assertIn("repo/config", server.objects)

    def test_a_wrong_certificate_is_refused(self):
        self.make_certificates("good", "stranger")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "good.crt", self.folder / "good.key")
        server = ScriptedS3(tls=context)
        self.addCleanup(server.close)
        server.objects = self.s3.objects
        secure = {"AWS_ENDPOINT_URL": server.endpoint}
        self.holdfast("snapshots", env={**secure, "AWS_CA_BUNDLE": self.folder / "good.crt"})
        requests = len(server.requests)
        for wrong in ({}, {"AWS_CA_BUNDLE": self.folder / "stranger.crt"}):
            self.fails(17, "snapshots", env={**secure, **wrong}, says="certificate")
        self.assertEqual(len(server.requests), requests)


class Credentials(Scripted):
    """Roles of machines: MinIO has none of these services."""

    def setUp(self):
        super().setUp()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self.environment.pop(name)
        self.generation = 1
        self.s3.credentials = lambda: (f"key-{self.generation}", "secret", f"token-{self.generation}", "2099-01-01T00:00:00Z")

        def only_the_newest(action, key, headers):
            if headers.get("x-amz-security-token") != f"token-{self.generation}":
                raise Refusal(400, "ExpiredToken")
            self.assertIn(f"Credential=key-{self.generation}/", headers["authorization"])

        self.s3.before = only_the_newest
        token = self.folder / "token"
        token.write_text("of the pod\n")
        self.places = {"container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.s3.endpoint + "/creds"},
                       "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.s3.endpoint},
                       "service account": {"AWS_ENDPOINT_URL_STS": self.s3.endpoint, "AWS_ROLE_ARN": "arn:aws:iam::1:role/x",
                                           "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}}

    def test_each_service_gives_them(self):
        for name, environment in self.places.items():
            with self.subTest(name):
                self.s3.objects.clear()
                self.holdfast("init", env=environment)
                self.backup(f"files:{self.tree}", env=environment)

    def test_those_that_end_in_mid_run_are_renewed(self):
        self.holdfast("init", env=self.places["container"])
        count = iter(range(10**9))
        check = self.s3.before

        def ends_now_and_then(action, key, headers):
            if next(count) in (15, 80, 145):  # so far apart that what is under way has been asked again
                self.generation += 1
            check(action, key, headers)

        self.s3.before = ends_now_and_then
        for environment in self.places.values():
            self.backup(f"files:{self.tree}", env=environment)
        self.holdfast("check", "--read-data", env=self.places["instance"])
        self.assertGreaterEqual(self.generation, 3)

    def test_those_that_end_just_before_a_head_are_renewed(self):
        self.holdfast("init", env=self.places["container"])
        self.backup(f"files:{self.tree}", env=self.places["container"])
        check = self.s3.before
        heads = set()

        def ends_before_each_head(action, key, headers):
            if headers[":method"] == "HEAD" and key not in heads:
                heads.add(key)
                self.generation += 1
            check(action, key, headers)

        self.s3.before = ends_before_each_head
        (self.tree / "0").unlink()
        self.backup(f"files:{self.tree}", env=self.places["container"])
        self.holdfast("forget", "--keep-last", "1", "--yes", env=self.places["container"])
        self.holdfast("prune", env=self.places["container"])
        self.assertTrue(heads)

    def test_while_they_cannot_be_renewed_those_that_are_there_are_used(self):
        """They end in two minutes, so that each request would renew them; the services fail every other time."""
        give = self.s3.credentials
        for name, environment in self.places.items():
            with self.subTest(name):
                self.s3.objects.clear()
                asked = iter(range(10**9))

                def fails():
                    if next(asked) % 2 == 1:
                        raise Refusal(503, "Unavailable")
                    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 120))
                    return (*give()[:3], until)

                self.s3.credentials = fails
                done = self.holdfast("init", env=environment)
                self.assertIn("not renewed yet", done.errors)
                self.assertGreaterEqual(next(asked), 2)

    def test_a_service_that_fails_once_is_asked_again(self):
        give = self.s3.credentials
        self.holdfast("init", env=self.places["container"])
        for name, environment in self.places.items():
            with self.subTest(name):
                asked = iter(range(10**9))

                def fails_first():
                    if next(asked) == 0:
                        raise Refusal(503, "Unavailable")
                    return give()

                self.s3.credentials = fails_first
                self.holdfast("snapshots", env=environment)
                self.assertGreaterEqual(next(asked), 2)

    def test_those_that_the_store_has_forgotten_are_renewed(self):
        self.holdfast("init", env=self.places["container"])
        for code in ("InvalidAccessKeyId", "InvalidTokenId", "InvalidToken"):
            with self.subTest(code):
                def forgotten(action, key, headers, code=code):
                    if headers.get("x-amz-security-token") != f"token-{self.generation}":
                        raise Refusal(403, code)

                self.s3.before = forgotten
                count = iter(range(10**9))
                check = self.s3.before

                def ends_once(action, key, headers):
                    if next(count) == 3:
                        self.generation += 1
                    check(action, key, headers)

                self.s3.before = ends_once
                self.backup(f"files:{self.tree}", env=self.places["container"])

    def test_those_that_end_and_stay_so_are_told(self):
        self.holdfast("init", env=self.places["container"])
        self.fails(12, "snapshots", env={"AWS_ACCESS_KEY_ID": "old", "AWS_SECRET_ACCESS_KEY": "old", "AWS_SESSION_TOKEN": "old"},
                   says="expired")
        self.fails(12, "snapshots", env={**self.places["service account"], "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"},
                   says="/nowhere")


class DoctorOfFolders(Case):
    def test_a_folder(self):
        self.init()
        self.key.chmod(0o600)

        def findings(code):
            document = self.holdfast("doctor", "--json", code=code).document()
            return {each["check"]: each for each in document["repositories"][0]["findings"]}

        found = findings(0)
        self.assertEqual({name: each["severity"] for name, each in found.items()}, dict.fromkeys(
            ("key file", "key", "file system", "space", "permissions", "clock"), "good"))
        self.repo.chmod(0o777)
        self.assertEqual(findings(1)["permissions"]["severity"], "error")
        self.assertIn("chmod", findings(1)["permissions"]["fix"])
        self.repo.chmod(0o700)
        (self.folder / "holdfast.yaml").write_text(
            "version: 1\nrepositories:\n  main: {url: repo, unlock: {keyfile: \"file:%s\"}}\n  away: {url: away}\n" % self.key)
        (self.folder / "holdfast.yaml").chmod(0o600)
        both = self.holdfast("doctor", "--json", code=1, env={"HOLDFAST_REPO": None, "HOLDFAST_KEY_FILE": None}).document()
        self.assertEqual([each["name"] for each in both["repositories"]], ["main", "away"])
        self.assertEqual([each["severity"] for each in both["repositories"][1]["findings"]][-1], "error")


if __name__ == "__main__":
    main()
