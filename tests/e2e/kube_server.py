"""A Kubernetes API server with etcd behind it, on loopback, as a cluster's administrator sees it."""

import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request

from harness import free_port, wait_until

SERVERS = pathlib.Path(__file__).resolve().parents[1] / "servers"


class KubeServer:
    def __init__(self):
        program = subprocess.run([SERVERS / "build.sh", "kube-apiserver"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-kube-"))
        self.log = open(self.folder / "log", "wb")
        self.port = free_port()
        etcd, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        key = self.folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (self.folder / "tokens").write_text("secret,administrator,1,system:masters\n")
        environment = {**os.environ, "ETCD_UNSUPPORTED_ARCH": os.uname().machine}
        self.processes = [self.start(
            "etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}", env=environment)]
        self.processes.append(self.start(
            program, "--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--secure-port", self.port, "--cert-dir",
            self.folder / "certificates", "--token-auth-file", self.folder / "tokens", "--authorization-mode", "RBAC",
            "--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key,
            "--service-account-signing-key-file", key, "--service-cluster-ip-range", "10.0.0.0/24"))
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE  # it made its certificate itself
        wait_until(self.is_ready, lambda: (self.folder / "log").read_text(errors="replace")[-5000:], 120)

    def start(self, *argv, env=None):
        return subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/", env=env)

    def is_ready(self):
        if any(process.poll() is not None for process in self.processes):
            raise AssertionError((self.folder / "log").read_text(errors="replace")[-5000:])
        try:
            return self.request("GET", "/readyz") == "ok"
        except OSError:
            return False

    def remove(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method, path, body=None):
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method, data=body.encode() if body else None,
                                         headers={"Authorization": "Bearer secret", "Content-Type": "application/yaml",
                                                  "Accept": "application/json"})
        with urllib.request.urlopen(request, context=self.tls) as answer:
            return answer.read().decode()

    def dry_run(self, manifests):
        """What would be made of each, as the server says; a field that it does not know is refused."""
        made = []
        for text in re.split(r"^---$", manifests, flags=re.MULTILINE):
            if not text.strip():
                continue
            version, kind = (re.search(rf"^{name}: (\S+)$", text, re.MULTILINE).group(1) for name in ("apiVersion", "kind"))
            group = f"/apis/{version}" if "/" in version else f"/api/{version}"
            resources = json.loads(self.request("GET", group))["resources"]
            plural = next(each["name"] for each in resources if each["kind"] == kind and "/" not in each["name"])
            namespace = re.search(r"^  namespace: (\S+)$", text, re.MULTILINE).group(1)
            try:
                made.append(json.loads(self.request(
                    "POST", f"{group}/namespaces/{namespace}/{plural}?dryRun=All&fieldValidation=Strict", text)))
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{kind} is refused: {error.read().decode()}") from error
        return made
