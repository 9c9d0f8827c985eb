"""A real API server of the release's own Kubernetes, with nothing around it: it judges and keeps, and runs no pod.

Its programs are the builder's, from the cache that `bundle build sources/cluster.yaml` fills; they are not compiled for
a test, which would take many minutes.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.lock import load_lock
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = Path(__file__).parents[1] / "sources/cluster.lock"
READY_SECONDS = 180.0
_CACHE = BuildCache.default()  # before any test moves the home folder


def program(name: str, binary: str, folder: Path, *called: str) -> Path | None:
    """The locked program, laid into ``folder`` by its name and those that it is ``called``; None: it is not here."""
    locked = load_lock(LOCK).program(name).files[binary]
    kept = _CACHE.verified(locked.sha256, locked.size)
    if kept is None:
        return None
    folder.mkdir(exist_ok=True)
    laid = folder / binary
    if not laid.exists():
        laid.write_bytes(kept.path.read_bytes())
        laid.chmod(0o755)
        for other in called:
            (folder / other).symlink_to(binary)
    return laid


@dataclass(frozen=True)
class ApiServer:
    """Asked as its administrator."""

    programs: Path
    settings: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What Kubernetes says. Raises ``AssertionError`` with its refusal."""
        argv = [self.programs / "kubectl", f"--kubeconfig={self.settings}", *arguments]
        environment = {**os.environ, "KUBECACHEDIR": str(self.settings.with_name("kubectl"))}
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self, resource: str) -> str:
        """Create it, and keep nothing of it."""
        return self.kubectl("create", "--dry-run=server", "--filename=-", stdin=resource)


@contextmanager
def running(programs: Path, folder: Path) -> Iterator[ApiServer]:
    """The server, its files below ``folder``, until the end of the block. ``programs`` has etcd and Kubernetes' own."""
    token, port, store = secrets.token_hex(16), free_port(), free_port()
    _key(folder / "accounts.key")
    (folder / "tokens").write_text(f'{token},administrator,administrator,"system:masters"\n')
    peer = f"http://127.0.0.1:{free_port()}"
    own = [f"--data-dir={folder}/etcd", f"--initial-cluster=default={peer}", f"--listen-peer-urls={peer}"]
    own.append(f"--initial-advertise-peer-urls={peer}")
    clients = f"http://127.0.0.1:{store}"
    kept = [programs / "etcd", *own, f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"]
    told = {
        "etcd-servers": clients,
        "bind-address": "127.0.0.1",
        "secure-port": str(port),
        "cert-dir": str(folder / "tls"),
        "token-auth-file": str(folder / "tokens"),
        "authorization-mode": "AlwaysAllow",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": str(folder / "accounts.key"),
        "service-account-signing-key-file": str(folder / "accounts.key"),
        "service-cluster-ip-range": "10.96.0.0/16",
        "disable-admission-plugins": "ServiceAccount",  # nobody makes accounts here
        "allow-privileged": "true",  # as kubeadm has it: what refuses such a pod is the policy
    }
    server = [programs / "kube-apiserver", *(f"--{name}={value}" for name, value in told.items())]
    with (folder / "said").open("wb") as said:
        started = [subprocess.Popen(argv, stdout=said, stderr=said) for argv in (kept, server)]
        try:
            found = ApiServer(programs, _settings(folder, port, token))
            _until_ready(found, started, folder / "said")
            yield found
        finally:
            for process in reversed(started):
                process.kill()
                process.wait()


def _until_ready(server: ApiServer, started: list[subprocess.Popen[bytes]], said: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            server.kubectl("get", "--raw", "/readyz")
        except AssertionError:
            assert all(process.poll() is None for process in started), said.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, said.read_text(errors="replace")[-3000:]
            time.sleep(0.5)
        else:
            return


def _key(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*kinds))


def _settings(folder: Path, port: int, token: str) -> Path:
    """For kubectl, which reads JSON as well as YAML. The server's certificate is its own, made at its start."""
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(told))
    return path
