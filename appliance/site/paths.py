"""Where everything of a site lies. No other module joins these names.

The site root holds what must survive a reboot. Sockets and unwrapped credentials lie in a runtime directory of
their own, because a Unix socket's path holds 108 bytes at most and because secrets belong on a memory file system.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

DATABASE = "database"
IDENTITY = "identity"
AUDIT = "audit"
GATEWAY = "gateway"
COLLECTOR = "collector"
"""In a cluster alone: it takes what hosts observed to the log."""
NOTHING_TO_SERVE = 78
"""Exit status of an engine that has no model to load (sysexits.h, EX_CONFIG): starting it again would not help."""
KV_KEY = "kv_key"
"""The credential under which an engine keeps beginnings of prompts on disk."""


def standby_service(model: str) -> str:
    """The service that runs beside a model's engine while the model is changed, and else not at all."""
    return f"standby-{model}"


def engine_service(model: str) -> str:
    """Name of the service that serves ``model``."""
    return f"engine-{model}"


@dataclass(frozen=True)
class SitePaths:
    """Paths of the site at ``root`` (absolute)."""

    root: Path

    @property
    def site_yaml(self) -> Path:
        """The validated site file, as installed."""
        return self.root / "site.yaml"

    @property
    def pods_yaml(self) -> Path:
        """The site as a cluster's pods read it, on the machine that installed the cluster."""
        return self.root / "cluster" / "pods.yaml"

    @property
    def cluster_state(self) -> Path:
        """What is known of a cluster that was installed from here: ``state.json``."""
        return self.root / "cluster" / "state.json"

    @property
    def administered(self) -> Path:
        """The site file of what is administered from here: a cluster that was installed from here, or this host."""
        return self.pods_yaml if self.pods_yaml.exists() else self.site_yaml

    @property
    def journal(self) -> Path:
        """The install journal: the truth about what was done."""
        return self.root / "state" / "journal.jsonl"

    @property
    def exchange(self) -> Path:
        """What left this site of its learning: number of the last export and digests that ever went, JSON."""
        return self.root / "state" / "exchange.json"

    @property
    def judged(self) -> Path:
        """What groups were answered under, and which changes of it a gate let pass."""
        return self.root / "state" / "judged.json"

    @property
    def restoring(self) -> Path:
        """There while the site is being made again from a backup: nothing serves then (readable by every service)."""
        return self.root / "restoring.json"

    @property
    def users(self) -> Path:
        """System users of the services: ``{service: user name}``, JSON."""
        return self.root / "state" / "users.json"

    @property
    def uids(self) -> Path:
        """In pods, where nobody may give folders away: ``{service: uid}``, JSON, as the installer wrote it."""
        return self.root / "uids.json"

    @property
    def links(self) -> Path:
        """In pods: what links carry, and which hosts may speak, as the installer wrote it."""
        return self.root / "links"

    def ways(self, link: str) -> Path:
        """In pods: what ``link`` carries, JSON."""
        return self.links / f"{link}.json"

    @property
    def trust(self) -> Path:
        """Pinned TUF root, role versions and release floor."""
        return self.root / "trust"

    @property
    def store(self) -> Path:
        """Verified blobs by digest."""
        return self.root / "store"

    @property
    def current(self) -> Path:
        """Symbolic link to the active release's folder."""
        return self.root / "current"

    def release(self, version: str) -> Path:
        """Folder of one installed release: ``env/``, ``keycloak/``, ``release.json``."""
        return self.root / "releases" / version

    @property
    def env(self) -> Path:
        """Python environment of the active release."""
        return self.current / "env"

    @property
    def keycloak(self) -> Path:
        """Keycloak of the active release, built for this site."""
        return self.current / "keycloak"

    @property
    def secrets(self) -> Path:
        """Sealed secrets (root only)."""
        return self.root / "secrets"

    @property
    def policies(self) -> Path:
        """models.yaml, enrolled officers' public keys and waivers, as installed."""
        return self.root / "policies"

    def serving(self, model: str) -> Path:
        """What was decided about ``model``: which of its versions serves. Without the file, the active release's."""
        return self.root / "serving" / f"{model}.json"

    @property
    def packs(self) -> Path:
        """Packs by digest, each with its signatures, and the record of which group answers under which."""
        return self.root / "packs"

    @property
    def tls(self) -> Path:
        """Site CA certificate and server certificates (public halves)."""
        return self.root / "tls"

    def data(self, service: str) -> Path:
        """State that ``service`` alone writes."""
        return self.root / "data" / service

    def log(self, service: str) -> Path:
        """Operational log file of ``service`` (not the audit log)."""
        return self.root / "log" / f"{service}.log"

    def kv_arena(self, model: str) -> Path:
        """What the engine of ``model`` keeps of beginnings of prompts, encrypted."""
        return self.data(engine_service(model)) / "kv.arena"

    @property
    def audit_log(self) -> Path:
        """The transparency log: tiles, entries and checkpoint."""
        return self.data(AUDIT) / "log"

    @property
    def patience_s(self) -> float:
        """How long what listens at a socket may take to say how it is, in seconds: here it is on this host."""
        return 2.0

    @property
    def engine_patience_s(self) -> float:
        """How long an engine may take to say what it serves, beside what it computes, in seconds."""
        return 5.0

    @property
    def run(self) -> Path:
        """Runtime directory (memory file system where the host has one)."""
        name = "sovereign-" + hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        if os.geteuid() == 0 or Path("/run", name).exists():
            return Path("/run") / name
        base = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/sovereign-run-{os.geteuid()}"  # noqa: S108 - 0700, made by us
        return Path(base) / name

    def socket(self, service: str) -> Path:
        """Unix socket that ``service`` listens on."""
        return self.run / service / "sock"

    def diverted(self, model: str) -> Path:
        """While this is there, requests for ``model`` go to its standby engine."""
        return self.run / f"{standby_service(model)}.diverted"

    def credentials(self, service: str) -> Path:
        """Unwrapped credentials of ``service``: one file each, readable by its uid only."""
        return self.run / "credentials" / service
