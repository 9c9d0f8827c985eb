"""What a restore of a cluster does with the backup's data: this machine's files, databases, log, erasures."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import read_vkeys
from appliance.cluster.backup.databases import PORT
from appliance.cluster.backup.ground import survives
from appliance.cluster.backup.log import JudgedLog, log_of, receive_log, take_log
from appliance.cluster.backup.progress import write_progress
from appliance.cluster.backup.sockets import audit_socket, database_socket, keycloak_address
from appliance.cluster.events import TaskStarted
from appliance.cluster.state import read_state, write_state
from appliance.errors import LogInconsistentError
from appliance.install.audit_spool import tell_again
from appliance.install.backup import statement
from appliance.install.backup.contents import read_erased, read_secrets
from appliance.install.backup.dumps import GATEWAY_DATABASE, IDENTITY_DATABASE
from appliance.install.backup.restoring import put_back, put_back_state
from appliance.install.steps.secrets import VKEYS
from appliance.site.load import load_cluster_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.audit.later import LaterLog
    from appliance.audit.passing import Passed
    from appliance.cluster.backup.databases import PodServer
    from appliance.cluster.backup.progress import Progress
    from appliance.cluster.playbook import Watch
    from appliance.cluster.reach import Reach
    from appliance.cluster.state import ClusterState
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair
    from appliance.install.vault import Vault
    from appliance.site.cluster import ClusterSite
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.secrets import SecretStore

_MOST = 1 << 44


@dataclass(frozen=True)
class Doors:
    """How the site's services are reached from here, with the keys of ``store``.

    ``audit`` is the socket of the log's writer, ``database`` the folder of PostgreSQL's, ``keycloak`` its own address.
    """

    audit: Path
    database: Path
    database_port: int
    keycloak: str
    config: SiteConfig
    store: SecretStore


Erase = Callable[[Doors, frozenset[str], frozenset[str], frozenset[str]], int]
"""Erases people again: those of the subject keys, of the logs, and of a later log; of how many something was there."""


@dataclass
class Run:
    """A restore under way."""

    paths: SitePaths
    pair: Pair
    key: RecoveryKey
    progress: Progress
    watch: Watch
    later: LaterLog | None = None

    def step(self, name: str, title: str, act: Callable[[], object]) -> None:
        """Do what is not done yet, and note it."""
        if name in self.progress.done:
            return
        self.watch(TaskStarted("restore", title))
        act()
        self.progress = self.progress.with_done(name)
        write_progress(self.paths, self.progress)

    @contextmanager
    def log(self) -> Iterator[JudgedLog]:
        """The backup's log, from its beginning."""
        vkeys = read_vkeys(self.paths.policies / VKEYS)
        with self.pair.main.open(statement.LOG, self.key) as content:
            yield JudgedLog(content, vkeys, _MOST)


def place(  # noqa: PLR0913, PLR0917 - all of it goes to this machine's root
    run: Run, staged: SitePaths, state: ClusterState, vault: Vault, reach: Reach, source: Path, state_host: str
) -> None:
    """Trust with its floors, certificates, the log's keys for verifiers, who the cluster is, and every secret.

    ``state_host`` is where the log will lie, which need not be where the backup has it.
    """
    paths = run.paths
    if not run.progress.kept:
        for name in ("trust", "tls", "policies", "packs"):
            put_back(staged.root / name, paths.root / name)
        put_back_state(staged, paths)
        paths.secrets.mkdir(mode=0o700, exist_ok=True)
        store = vault.create(load_cluster_site(source).pods.site_key.kind)
        with run.pair.main.open(statement.SECRETS, run.key) as content:
            for name, value in read_secrets(content).items():
                store.put(name, value)
    known = (read_state(paths.cluster_state) if run.progress.kept else None) or state
    hosts = known.hosts if survives(reach, state.identity) else ()
    fresh = replace(known, release="", way=None, history=(), digests=(), cleaned="")
    write_state(paths.cluster_state, replace(fresh, site_file=str(source), hosts=hosts, state_host=state_host))


def load_databases(run: Run, running: PodServer) -> None:
    """Both databases made anew, with what was dumped. Raises as ``PodServer``, and as a sealed file does."""
    parts = (
        (run.pair.main, statement.DATABASE, GATEWAY_DATABASE),
        (run.pair.subject_keys, statement.SUBJECT_KEYS, GATEWAY_DATABASE),
        (run.pair.main, statement.IDENTITY, IDENTITY_DATABASE),
    )
    for database in (GATEWAY_DATABASE, IDENTITY_DATABASE):
        running.empty(database)
    for folder, part, database in parts:
        with folder.open(part, run.key) as content:
            running.load(database, content)


def lay_log(run: Run, reach: Reach, state_host: str) -> None:
    """Into its place only once all of it was the statement's. It may lack acts that the log before it was told."""
    with run.log() as log:
        _demand_told(run, receive_log(reach, state_host, log))
    take_log(reach, state_host)
    tell_again(run.paths)


def _demand_told(run: Run, passed: Passed) -> None:
    told = run.pair.main.statement
    if (passed.head.size, _text(passed.head.root)) != (told.log_size, told.log_root):
        raise LogInconsistentError("the log in the backup is not the one that its statement names", "use another copy")


def erase_again(run: Run, reach: Reach, described: ClusterSite, vault: Vault, erase: Erase) -> None:
    """Whom subject keys, logs and later log tell of; before, the log that runs is read: it begins with the backup's.

    It may say more than that: whom a run before this one, that was interrupted, has entered.
    """
    told = run.pair.main.statement
    with log_of(reach, read_vkeys(run.paths.policies / VKEYS), _MOST, told.log_size) as running:
        passed = running.to_end()
        if _text(passed.began) != told.log_root:
            raise LogInconsistentError("the log that runs does not go on from the backup's", "restore it anew")
    with run.pair.subject_keys.open(statement.ERASED, run.key) as content:
        people = read_erased(content)
    with run.log() as log:
        logged = log.to_end().erased | passed.erased
    host = described.state_host
    with (
        audit_socket(reach, host) as audit,
        database_socket(reach, host) as database,
        keycloak_address(reach) as keycloak,
    ):
        doors = Doors(audit, database, PORT, keycloak, described.pods, vault.store())
        erase(doors, people, logged, run.later.erased if run.later else frozenset())


def _text(root: bytes) -> str:
    return base64.b64encode(root).decode()
