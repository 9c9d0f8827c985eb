"""What runs at a site and what its operator should know. Reading only."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.install import ca
from appliance.install.accounts import load_accounts
from appliance.install.backup.due import next_due
from appliance.install.backup.last import LastBackup, backup_warnings, last_backup
from appliance.install.backup.runs import last_run, run_warnings
from appliance.install.brief_runs import brief_warnings, last
from appliance.install.confinement import EngineConfinement, engine_confinement
from appliance.install.document_syncs import document_warnings
from appliance.install.gate_warnings import gate_warnings
from appliance.install.model_check import Waived, waivers_in_force
from appliance.install.probe import answers
from appliance.install.process_figures import resident, uptime
from appliance.install.release_description import release_description
from appliance.install.services import Service, site_services, standby_services
from appliance.install.status_warnings import (
    confinement_warnings,
    expiry_warnings,
    host_warnings,
    identity_warnings,
    key_warnings,
    log_warnings,
    model_warnings,
    pack_warnings,
    standby_warnings,
)
from appliance.install.supervision import choose_supervision
from appliance.install.witnessing import Witnessing, witnessing
from appliance.site.load import load_site
from appliance.site.paths import engine_service
from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.install.supervision.interface import Running
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

KIB = 1024


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
    """A certificate, when it ends (ISO 8601, UTC), and the days that are left."""

    name: str
    expires: str
    days: int


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
    backup: LastBackup | None
    next_backup: str | None
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
    accounts = load_accounts(paths)
    services, standbys = site_services(config, paths, accounts), standby_services(config, paths, accounts)
    supervision = choose_supervision(paths)
    states = supervision.states((*services, *standbys))
    certificates = _certificates(config, paths)
    waivers = waivers_in_force(config, paths.policies, datetime.now(UTC))
    found = tuple(_service(s, states[s.name]) for s in services)
    confinement = _confinement(config, services, states, waivers)
    disk = shutil.disk_usage(paths.root).free
    witnesses = witnessing(paths)
    kind = key_kind(paths.secrets) if os.access(paths.secrets, os.R_OK | os.X_OK) else None
    warnings = (
        *key_warnings(kind),
        *expiry_warnings(certificates, waivers),
        *identity_warnings(found),
        *log_warnings(paths),
        *confinement_warnings(confinement),
        *(witnesses.warnings(datetime.now(UTC)) if witnesses else ()),
        *backup_warnings(paths, datetime.now(UTC)),
        *run_warnings(config.backup, last_run(paths), last_backup(paths), datetime.now(UTC)),
        *host_warnings(found, disk),
        *model_warnings(config, paths),
        *document_warnings(config, paths, datetime.now(UTC)),
        *pack_warnings(config, paths, datetime.now(UTC)),
        *gate_warnings(config, paths),
        *brief_warnings(config, last(paths), datetime.now(UTC)),
        *standby_warnings({s.title: states[s.name] for s in standbys}),
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
        backup=last_backup(paths),
        next_backup=next_due(config.backup, datetime.now(UTC), timed=supervision.kind == "systemd"),
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
    ends = ((f.stem, ca.expiry(f.read_bytes())) for f in files if f.is_file())
    return tuple(Certificate(name, end.isoformat(), (end - datetime.now(UTC)).days) for name, end in ends)
