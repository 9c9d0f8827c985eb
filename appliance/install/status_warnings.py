"""What a site's operator should act on though nothing stopped: one line each."""

from __future__ import annotations

import pwd
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airgap_bundle.errors import BundleError
from airgap_bundle.trust_state import TrustState
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.errors import SovereignError
from appliance.install.pack_record import last_choices
from appliance.install.probe import Probe, answers, fetch_json
from appliance.models.errors import ArtifactError
from appliance.models.serving import read_decisions
from appliance.models.shelf import damaged_bundles, ended
from appliance.models.unservable import unservable
from appliance.packs.record import NONE, read_record
from appliance.packs.shelf import shelved
from appliance.site.paths import AUDIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from appliance.install.confinement import EngineConfinement
    from appliance.install.model_check import Waived
    from appliance.install.status import Certificate, ServiceStatus
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


def key_warnings(kind: str | None) -> tuple[str, ...]:
    """About a site key of this kind; None: it cannot be told."""
    if kind != "file":
        return ()
    return ("the site key is a file: whoever holds this disk holds the site's secrets (site_key.kind)",)


def identity_warnings(services: Sequence[ServiceStatus]) -> tuple[str, ...]:
    """Services that the log and the engines cannot tell apart."""
    by_user: dict[str, list[str]] = {}
    for service in services:
        by_user.setdefault(service.user, []).append(service.name)
    return tuple(
        f"{', '.join(names)} run as one user, {user}: whoever takes over one of them can write log entries in the "
        "others' name and ask any model; as root, install gives each a user of its own"
        for user, names in by_user.items()
        if len(names) > 1
    )


def log_warnings(paths: SitePaths) -> tuple[str, ...]:
    """Users that tried to write what is not theirs into the audit log, and a clock that is behind it."""
    if not answers(Probe("unix-http", str(paths.socket(AUDIT)))):  # its row says so, and nobody waits for it here
        return ()
    try:
        with SyncAuditClient(paths.socket(AUDIT)) as log:
            health = log.health()
    except AuditUnavailableError:
        return ()
    refused = tuple(
        f"the audit log refused {count} {'entries' if count > 1 else 'entry'} by user {_user_name(uid)} that "
        f"{'were' if count > 1 else 'was'} not that user's to write: a service is broken, or was taken over"
        for uid, count in health.refused.items()
    )
    if not health.clock_behind:
        return refused
    late = f"the host's clock is {health.clock_behind} s behind the audit log's last signature"
    return (*refused, f"{late}: set it; where it was ahead before, signatures bear that time until it has caught up")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def expiry_warnings(certificates: Sequence[Certificate], waivers: Sequence[Waived]) -> tuple[str, ...]:
    """Certificates and waivers that end within ``SOON``, and waivers that are not in force."""
    now = datetime.now(UTC)
    due = (f"certificate {c.name} ends {c.expires[:10]}" for c in certificates if _left(c.expires, now) < SOON)
    return (
        *(f"{d}; `sovereign certificates renew` issues it anew" for d in due),
        *(w for v in waivers for w in _waiver_warning(v, now)),
    )


def _waiver_warning(waiver: Waived, now: datetime) -> tuple[str, ...]:
    if not waiver.in_force or waiver.expires is None:
        rests = _RESTS[waiver.kind]
        return (f"waiver for {waiver.subject} is not in force: {rests}",)
    soon = _left(waiver.expires, now) < SOON
    return (f"waiver for {waiver.subject} ends {waiver.expires[:10]}",) if soon else ()


def confinement_warnings(engines: Sequence[EngineConfinement]) -> tuple[str, ...]:
    """Layers that an engine should have and has not."""
    return tuple(
        f"{e.engine} is not confined by {layer.name}: {layer.detail}"
        for e in engines
        for layer in e.layers
        if layer.state in ("missing", "contradicted")
    )


def model_warnings(config: SiteConfig, paths: SitePaths) -> tuple[str, ...]:
    """Trials that were left, models whose use was ended, what keeps an engine from starting, and damaged bundles."""
    warned = [text for model in config.models for text in _warned_of(paths, model.name)]
    without = unservable((model.name for model in config.models), paths)
    lacking = (error for error in without.values() if isinstance(error, ArtifactError))
    warned += [f"{error.cause}; {error.hint}" for error in lacking]
    with suppress(SovereignError, BundleError):  # of a trust state that is lost others tell
        warned += [f"{bundle}; {bundle.mend}" for bundle in damaged_bundles(paths)]
    return tuple(warned)


def _warned_of(paths: SitePaths, name: str) -> Iterator[str]:
    try:
        if read_decisions(paths, name).trial is not None:
            yield f"a promotion of {name} is under way, or was cut off: `sovereign up` undoes it"
        if (reason := ended(paths, name)) is not None:
            yield f"{name} still serves what may not be chosen any more: {reason}; `sovereign model list`"
    except (SovereignError, BundleError) as error:
        yield f"{error.cause}: the engine of {name} will not start"


def pack_warnings(config: SiteConfig, paths: SitePaths, now: datetime, port: Probe | None = None) -> tuple[str, ...]:
    """Groups not answered because of their pack, what is rolled out, and packs in force that may not be chosen now.

    The gateway says at its ``port`` whether a group is answered. Where it does not run, its row says so.
    """
    told = fetch_json(port or Probe("http", f"127.0.0.1:{config.listen.management_port}", "/packs"))
    refused = told if isinstance(told, dict) else {}
    unanswered = {g: one["refused"] for g, one in refused.items() if isinstance(one, dict) and one.get("refused")}
    warned = [
        f"people of {group} are not answered: {reason}; `sovereign pack back --group {group}`, or use another"
        for group, reason in unanswered.items()
    ]
    rolled_out = [
        f"a {rolled['kind']} is rolled out to {rolled['percent']} percent of {group}: `sovereign learn rollout status`"
        for group, one in refused.items()
        if isinstance(one, dict) and (rolled := one.get("rollout"))
    ]
    try:
        used, root, chosen = read_record(paths.packs), TrustState.load(paths.trust).root, last_choices(paths)
    except (SovereignError, BundleError) as error:
        return (*warned, *rolled_out, *([error.cause] if isinstance(error, SovereignError) and not warned else []))
    except OSError:  # whoever may not read the site's state
        return (*warned, *rolled_out)
    warned += [
        f"{group} was put under {digest[:19]}… and packs/groups.json does not say so: `sovereign pack use` for {group}"
        for group, digest in chosen.items()
        if digest != NONE and group not in used and group not in unanswered
    ]
    for one in shelved(paths.packs)[0]:
        groups = sorted(group for group, digest in used.items() if digest == one.digest)
        if groups and (reason := one.withdrawn(root, now)) is not None:
            warned.append(f"{', '.join(groups)} answers under {one.pack.name}, which may not be chosen now: {reason}")
    return (*warned, *rolled_out)


def standby_warnings(standbys: Mapping[str, Running]) -> tuple[str, ...]:
    """Standby engines that run, by their title: they use as much memory as the model's own."""
    return tuple(
        f"a second engine runs ({title}): its change is under way, or was cut off: `sovereign up` brings it to its end"
        for title, running in standbys.items()
        if running.state != "stopped"
    )


def _left(expires: str, now: datetime) -> timedelta:
    return datetime.fromisoformat(expires) - now


def host_warnings(services: Sequence[ServiceStatus], disk_free: int) -> tuple[str, ...]:
    """Memory over its limit, and a disk that is nearly full (``disk_free`` in bytes)."""
    over = [
        f"{s.name} uses more memory than its {s.memory_limit // KIB**2} MiB"
        for s in services
        if (s.rss or 0) > s.memory_limit
    ]
    low = [f"{disk_free / KIB**3:.1f} GiB of disk are left: without room the log stops every answer"]
    return (*over, *(low if disk_free < LOW_DISK_BYTES else []))
