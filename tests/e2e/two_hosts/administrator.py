"""The administrator's desk of the assistant's journey: a signed bundle, a site file, the commands as they are typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import printed
from airgap_bundle.trust_state import fingerprint
from demo.release import MODEL, OFFICER, WAIVER_REASON
from demo.site import WAIVED
from tests import model_bundles
from tests.bundles import root_bytes, sign
from tests.e2e.two_hosts.clusters import LAB_SETTINGS
from tests.e2e.two_hosts.shipment import RELEASE

if TYPE_CHECKING:
    from pathlib import Path

    from lab.lab import Lab

NAME = "assistant.example"
ADDRESS = "10.77.0.12"
EMBEDDER = "minilm-l6-v2"
# People of a group bring documents, and a program evaluates in its name.
WITH_DOCUMENTS = {
    "models": [
        {"name": MODEL, "context_tokens": 2048, "memory_mib": 900, "threads": 1},
        {"name": EMBEDDER, "context_tokens": 256, "memory_mib": 300, "threads": 1, "disk_mib": 0},
    ],
    "groups": [{"name": "analysts", "models": [MODEL], "brings_documents": True}],
    "service_clients": [{"id": "evaluator", "groups": ["analysts"], "evaluates": True}],
    "documents": {"model": EMBEDDER},
}
SOVEREIGN = (sys.executable, "-c", "from appliance.cli.entry import run; run()")
# The administrator's machine knows the assistant's name by its hosts file, for these commands alone.
_NAMED = 'mount --bind "$0" /etc/hosts && exec "$@"'


@dataclass(frozen=True)
class Desk:
    """``folder`` holds bundle, site file, keys and the administrator's own site."""

    lab: Lab
    folder: Path

    @property
    def site(self) -> Path:
        return self.folder / "site"

    def prepare(self) -> None:
        """Build and sign the bundle; have the officer waive what the demonstration's model lacks; describe the site."""
        build_release(RELEASE, self.folder / "bundle", cache=BuildCache.default(), stage=printed)
        sign(self.folder / "bundle", "architect", "builder", "release", roots=model_bundles.roots())
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
        (self.folder / "phrase").write_text("a phrase of the officer's\n")
        self.officer("trust", "keygen", OFFICER, "--out", str(self.folder))
        found = json.loads(self.sovereign("bundle", "inspect", str(self.folder / "bundle"), "--output", "json"))
        files = next(a["files"] for a in found["artifacts"] if a["name"] == MODEL)
        about = ("--model", MODEL, "--digest", files["model.gguf"]["digest"], "--days", "30", "--reason", WAIVER_REASON)
        waived = [word for check in WAIVED for word in ("--waives", check)]
        key = ("--key", str(self.folder / f"{OFFICER}.key"), "--out", str(self.folder / "waiver.json"))
        self.officer("trust", "waive", *key, *about, *waived)
        shutil.copy(LAB_SETTINGS, self.folder / "lab.yaml")
        described = self.described()
        described["assistant"] |= WITH_DOCUMENTS
        (self.folder / "site.yaml").write_text(yaml.safe_dump(described))

    def described(self) -> dict[str, Any]:
        """The site file."""
        hosts = [{"name": seat.node.name, "address": seat.node.address} for seat in self.lab.state().seats]
        hosts[0]["role"] = "control-plane"
        access = self.lab.access
        return {
            "schema": 1,
            "name": "lab",
            "profile": "cluster",
            "cluster": {
                "hosts": hosts,
                "ssh": {"key": str(access.key), "known_hosts": str(access.known_hosts)},
                "administration": ["10.77.0.1/32"],
                "pod_subnet": "10.88.0.0/16",
                "services": [{"port": 443, "sources": ["10.77.0.1/32"]}],
                "settings": "lab.yaml",
            },
            "assistant": {
                "hostname": NAME,
                "site_key": {"kind": "file"},
                "officers": [{"name": OFFICER, "public_key": f"{OFFICER}.pub"}],
                "waivers": ["waiver.json"],
                "models": [{"name": MODEL, "context_tokens": 2048, "memory_mib": 900, "threads": 1}],
                "groups": [{"name": "analysts", "models": [MODEL]}],
            },
        }

    def install(self) -> dict[str, Any]:
        """`sovereign install --profile cluster`, as data."""
        asked = ("install", str(self.folder / "bundle"), "--profile", "cluster", "--output", "json")
        named = ("--config", str(self.folder / "site.yaml"), "--root", str(fingerprint(root_bytes())))
        return dict(json.loads(self.sovereign(*asked, *named)))

    def sovereign(self, *arguments: str, **more: Any) -> str:
        """Run the command on the administrator's side of the bridge; what it prints."""
        return self.run([*SOVEREIGN, "--site", str(self.site), *arguments], **more)

    def visit(self, *arguments: str) -> Any:
        """Run ``visit`` there, as data."""
        return json.loads(self.run([sys.executable, "-m", "tests.e2e.two_hosts.visit", str(self.site), *arguments]))

    def run(self, argv: list[str], **more: Any) -> str:
        """Run a program on the administrator's side of the bridge. Raises ``AssertionError`` with what it said."""
        done = subprocess.run(self.entering(argv), capture_output=True, text=True, check=False, **more)
        assert done.returncode == 0, f"{argv} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def entering(self, argv: list[str]) -> list[str]:
        """The command line that runs ``argv`` there, where the assistant's name is known."""
        return self.lab.from_outside(["unshare", "-m", "sh", "-c", _NAMED, str(self.folder / "hosts"), *argv])

    def officer(self, *arguments: str) -> None:
        """Run a command with the officer's passphrase."""
        with (self.folder / "phrase").open("rb") as phrase:
            descriptor = phrase.fileno()
            argv = [*SOVEREIGN, *arguments, "--passphrase-fd", str(descriptor)]
            self.run(argv, pass_fds=[descriptor])
