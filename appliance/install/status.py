"""What runs at a site and what its operator should know. Reading only."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airgap_bundle.errors import BundleError
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.errors import SovereignError, UsageError
from appliance.install import ca
from appliance.install.accounts import load_accounts
from appliance.install.confinement import EngineConfinement, engine_confinement
from appliance.install.model_check import Waived, waivers_in_force
from appliance.install.probe import Probe, answers
from appliance.install.process_figures import resident, uptime
from appliance.install.release_description import release_description
from appliance.install.services import Service, site_services
from appliance.install.supervision import choose_supervision
from appliance.install.witnessing import Witnessing, witnessing
from appliance.models.serving import read_decisions
from appliance.models.shelf import ended
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, engine_service
from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from appliance.install.supervision.interface import Running
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

LOW_DISK_BYTES = 2 * 1024**3
SOON = timedelta(days=30)
KIB = 1024
_RESTS = {
    "model": "a model that rests on it will not load",
    "host": "an engine that rests on it will not start",
    "unknown": "what rests on it will not start",
}


@dataclass(frozen=True)
class ServiceStatus:
    """One service now. ``rss`` in bytes, ``uptime`` in seconds; None where nothing runs."""

    name: str
    title: str
    user: str
    state: str
    ready: bool
    pid: int | None
    rss: int | None
    memory_limit: int
    uptime: float | None


@dataclass(frozen=True)
class Certificate:
    """A certificate and when it ends."""

    name: str
    expires: str


@dataclass(frozen=True)
class SiteStatus:
    """The site now. ``warnings`` are things to act on that do not stop it."""

    site: str
    url: str
    root: str
    supervision: str
    release: dict[str, object]
    services: tuple[ServiceStatus, ...]
    site_key: str | None
    certificates: tuple[Certificate, ...]
    waivers: tuple[Waived, ...]
    confinement: tuple[EngineConfinement, ...]
    witnessing: Witnessing | None
    disk_free: int
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every service is ready, and every engine as confined as it must be."""
        return all(s.ready for s in self.services) and all(e.ok for e in self.confinement)

    def data(self) -> dict[str, object]:
        """The status as JSON data."""
        return {"ok": self.ok, **asdict(self)}


def site_status(paths: SitePaths) -> SiteStatus:
    """Look at the site. Raises ``UsageError`` when nothing is installed there."""
    if not paths.site_yaml.exists():
        raise UsageError(f"nothing is installed at {paths.root}", "name the site's root with --site, or install one")
    config = load_site(paths.site_yaml)
    services = site_services(config, paths, load_accounts(paths))
    supervision = choose_supervision(paths)
    states = supervision.states(services)
    certificates = _certificates(config, paths)
    waivers = waivers_in_force(config, paths.policies, datetime.now(UTC))
    found = tuple(_service(s, states[s.name]) for s in services)
    confinement = _confinement(config, services, states, waivers)
    disk = shutil.disk_usage(paths.root).free
    witnesses = witnessing(paths)
    kind = key_kind(paths.secrets) if os.access(paths.secrets, os.R_OK | os.X_OK) else None
    warnings = (
        *_key_warnings(kind),
        *_expiry_warnings(certificates, waivers),
        *_identity_warnings(found, paths),
        *_confinement_warnings(confinement),
        *(witnesses.warnings(datetime.now(UTC)) if witnesses else ()),
        *_host_warnings(found, disk),
        *_model_warnings(config, paths),
    )
    return SiteStatus(
        site=config.name,
        url=config.gateway_url,
        root=str(paths.root),
        supervision=supervision.kind,
        release=release_description(paths),
        services=found,
        site_key=kind,
        certificates=certificates,
        waivers=waivers,
        confinement=confinement,
        witnessing=witnesses,
        disk_free=disk,
        warnings=warnings,
    )


def _confinement(
    config: SiteConfig, services: Sequence[Service], states: Mapping[str, Running], waivers: Sequence[Waived]
) -> tuple[EngineConfinement, ...]:
    engines = {engine_service(m.name) for m in config.models}
    waived = {layer for w in waivers if w.kind == "host" and w.in_force for layer in w.waives}
    return tuple(engine_confinement(s, states[s.name].pid, waived) for s in services if s.name in engines)


def _service(service: Service, running: Running) -> ServiceStatus:
    pid = running.pid
    return ServiceStatus(
        name=service.name,
        title=service.title,
        user=service.user,
        state=running.state,
        ready=pid is not None and answers(service.probe),
        pid=pid,
        rss=resident(pid),
        memory_limit=service.memory_mib * KIB * KIB,
        uptime=uptime(pid),
    )


def _certificates(config: SiteConfig, paths: SitePaths) -> tuple[Certificate, ...]:
    if config.tls.mode == "off":
        return ()
    files = [paths.tls / f"{name}.pem" for name in ("ca", "gateway", "identity")]
    return tuple(Certificate(f.stem, ca.expiry(f.read_bytes()).isoformat()) for f in files if f.is_file())


def _key_warnings(kind: str | None) -> tuple[str, ...]:
    if kind != "file":
        return ()
    return ("the site key is a file: whoever holds this disk holds the site's secrets (site_key.kind)",)


def _identity_warnings(services: Sequence[ServiceStatus], paths: SitePaths) -> tuple[str, ...]:
    """Services that the log and the engines cannot tell apart, and users that tried to write what is not theirs."""
    by_user: dict[str, list[str]] = {}
    for service in services:
        by_user.setdefault(service.user, []).append(service.name)
    shared = (
        f"{', '.join(names)} run as one user, {user}: whoever takes over one of them can write log entries in the "
        "others' name and ask any model; as root, install gives each a user of its own"
        for user, names in by_user.items()
        if len(names) > 1
    )
    return (*shared, *_refused_entries(paths))


def _refused_entries(paths: SitePaths) -> tuple[str, ...]:
    if not answers(Probe("unix-http", str(paths.socket(AUDIT)))):  # its row says so, and nobody waits for it here
        return ()
    try:
        with SyncAuditClient(paths.socket(AUDIT)) as log:
            refused = log.refused()
    except AuditUnavailableError:
        return ()
    return tuple(
        f"the audit log refused {count} {'entries' if count > 1 else 'entry'} by user {_user_name(uid)} that "
        f"{'were' if count > 1 else 'was'} not that user's to write: a service is broken, or was taken over"
        for uid, count in refused.items()
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _expiry_warnings(certificates: Sequence[Certificate], waivers: Sequence[Waived]) -> tuple[str, ...]:
    now = datetime.now(UTC)
    due = (f"certificate {c.name} ends {c.expires[:10]}" for c in certificates if _left(c.expires, now) < SOON)
    return (
        *(f"{d}; `sovereign install` renews it" for d in due),
        *(w for v in waivers for w in _waiver_warning(v, now)),
    )


def _waiver_warning(waiver: Waived, now: datetime) -> tuple[str, ...]:
    if not waiver.in_force or waiver.expires is None:
        rests = _RESTS[waiver.kind]
        return (f"waiver for {waiver.subject} is not in force: {rests}",)
    soon = _left(waiver.expires, now) < SOON
    return (f"waiver for {waiver.subject} ends {waiver.expires[:10]}",) if soon else ()


def _confinement_warnings(engines: Sequence[EngineConfinement]) -> tuple[str, ...]:
    return tuple(
        f"{e.engine} is not confined by {layer.name}: {layer.detail}"
        for e in engines
        for layer in e.layers
        if layer.state in ("missing", "contradicted")
    )


def _model_warnings(config: SiteConfig, paths: SitePaths) -> tuple[str, ...]:
    return tuple(text for model in config.models for text in _warned_of(paths, model.name))


def _warned_of(paths: SitePaths, name: str) -> Iterator[str]:
    try:
        if read_decisions(paths, name).trial is not None:
            yield f"a promotion of {name} is under way, or was cut off: `sovereign up` undoes it"
        if (reason := ended(paths, name)) is not None:
            yield f"{name} still serves what may not be chosen any more: {reason}; `sovereign model list`"
    except (SovereignError, BundleError) as error:
        yield f"{error.cause}: the engine of {name} will not start"


def _left(expires: str, now: datetime) -> timedelta:
    return datetime.fromisoformat(expires) - now


def _host_warnings(services: Sequence[ServiceStatus], disk_free: int) -> tuple[str, ...]:
    over = [
        f"{s.name} uses more memory than its {s.memory_limit // KIB**2} MiB"
        for s in services
        if (s.rss or 0) > s.memory_limit
    ]
    low = [f"{disk_free / KIB**3:.1f} GiB of disk are left: without room the log stops every answer"]
    return (*over, *(low if disk_free < LOW_DISK_BYTES else []))
