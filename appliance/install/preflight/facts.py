"""What is true of this host, gathered without changing it. No judgement here: ``rules`` compares."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.engine.confinement.kernel import Linux
from appliance.errors import SovereignError
from appliance.install.accounts import other_sites, service_names, standby_names
from appliance.install.backup.places import faults, on_one_medium
from appliance.install.preflight.disk_speed import fsync_p99_ms
from appliance.install.probe import is_local_address, port_is_free, resolves
from appliance.install.release_env import choose_python, host_glibc, reachable_by_others
from appliance.install.systemd_creds import SYSTEMD_RUNS
from appliance.site.gpu import gpus
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, SitePaths
from appliance.site.processor import processor_flags, variant_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.config import SiteConfig

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


@dataclass(frozen=True)
class Facts:
    """One host as one site would find it."""

    machine: str
    variant: str | None
    is_root: bool
    systemd: bool
    disk_free: int
    fsync_ms: float | None
    memory_total: int
    memory_available: int
    cores: int
    now: datetime
    libc: tuple[int, int] | None
    python: Path | None
    python_version: tuple[int, int]
    python_abi: str
    landlock_abi: int
    seccomp: bool
    user_namespaces: bool
    busy_ports: Mapping[str, int]
    local_address: bool
    hostname_resolves: bool
    longest_socket: int
    root_writable: bool
    root_foreign: tuple[str, ...]
    root_reachable: bool
    root_in_home: bool
    neighbours: Mapping[str, tuple[int, ...]]
    missing_tools: tuple[str, ...]
    missing_gpus: tuple[str, ...]
    backup_faults: tuple[str, ...]
    backup_together: bool


def collect(config: SiteConfig, paths: SitePaths) -> Facts:
    """The host's facts for the site that ``config`` describes at ``paths``."""
    total, available = memory()
    parent = _existing(paths.root)
    installed = paths.journal.exists() or paths.restoring.exists()
    kernel = Linux()
    return Facts(
        machine=platform.machine(),
        variant=variant_for(processor_flags()),
        is_root=os.geteuid() == 0,
        systemd=SYSTEMD_RUNS.is_dir(),
        disk_free=shutil.disk_usage(parent).free,
        fsync_ms=fsync_p99_ms(_existing(paths.data(AUDIT))),
        memory_total=total,
        memory_available=available,
        cores=len(os.sched_getaffinity(0)),
        now=datetime.now(UTC),
        libc=host_glibc(),
        python=choose_python(),
        python_version=sys.version_info[:2],
        python_abi=sys.implementation.cache_tag or "unknown",
        landlock_abi=kernel.landlock_abi(),
        seccomp=kernel.can_filter_calls(),
        user_namespaces=_user_namespaces(),
        busy_ports={} if installed else _busy_ports(config),
        local_address=is_local_address(config.listen.host),
        hostname_resolves=resolves(config.listen.hostname),
        longest_socket=max(len(os.fsencode(paths.socket(s))) for s in (*service_names(config), *standby_names(config))),
        root_writable=os.access(parent, os.W_OK | os.X_OK),
        root_foreign=() if installed else _foreign(paths.root),
        root_reachable=reachable_by_others(parent),
        root_in_home=any(home in (paths.root, *paths.root.parents) for home in _HOMES),
        neighbours=_neighbours(paths),
        missing_tools=_missing_tools(),
        missing_gpus=_missing_gpus(config),
        backup_faults=faults(config.backup, paths) if config.backup is not None else (),
        backup_together=config.backup is not None and on_one_medium(config.backup),
    )


def listen_ports(config: SiteConfig) -> dict[str, int]:
    """The site's ports by the field that states them."""
    return {f"listen.{name}": port for name, port in config.listen.model_dump().items() if name.endswith("_port")}


def _busy_ports(config: SiteConfig) -> dict[str, int]:
    public = ("listen.gateway_port", "listen.identity_port")
    ports = listen_ports(config).items()
    hosts = {name: config.listen.host if name in public else "127.0.0.1" for name, _ in ports}
    return {name: port for name, port in ports if not port_is_free(hosts[name], port)}


def _neighbours(paths: SitePaths) -> dict[str, tuple[int, ...]]:
    """Ports of the other sites on this host, running or not."""
    found = {}
    for root in other_sites(paths):
        with contextlib.suppress(SovereignError):  # a site being installed or damaged has no ports to clash with yet
            found[str(root)] = tuple(listen_ports(load_site(SitePaths(root).site_yaml)).values())
    return found


def _existing(path: Path) -> Path:
    """``path`` or its nearest ancestor that exists."""
    while not path.exists():
        path = path.parent
    return path


def _foreign(root: Path) -> tuple[str, ...]:
    """What lies in the site root although nothing was installed; an interrupted first import is ours, the rest not."""
    if not root.is_dir():
        return (root.name,) if root.exists() else ()
    try:
        return tuple(sorted(p.name for p in root.iterdir() if p.name not in ("store", "trust", "state")))
    except PermissionError:
        return ()


def memory() -> tuple[int, int]:
    """Bytes of this host's memory: all of it, and what programs can have now (proc_meminfo(5))."""
    values = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    return values["MemTotal"], values.get("MemAvailable", values["MemFree"])


def _user_namespaces() -> bool:
    limit = Path("/proc/sys/user/max_user_namespaces")
    return limit.exists() and int(limit.read_text()) > 0


def _missing_gpus(config: SiteConfig) -> tuple[str, ...]:
    """Of the GPUs that models are to be computed on, those that the host's driver does not run, and their models."""
    present = {one.number for one in gpus()}
    return tuple(f"{m.gpu} ({m.name})" for m in config.models if m.gpu is not None and m.gpu not in present)


def _missing_tools() -> tuple[str, ...]:
    wanted = ("useradd", "groupadd", "userdel", "groupdel") if os.geteuid() == 0 else ()
    return tuple(tool for tool in wanted if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None)
