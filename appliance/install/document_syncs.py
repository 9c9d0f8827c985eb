"""What became of the last `document sync`, kept by the command and shown by `status`; and whether a sweep is due."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from airgap_bundle import durable
from appliance.install.probe import Probe, fetch_json

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

MAX_BYTES = 4096
_LATE = 3
"""A sync is late that did not run for so many times its interval."""


_TRIED = timedelta(minutes=30)
"""The gateway sweeps every ten minutes; a sweep that is due for longer could not be done."""


@dataclass(frozen=True)
class Synced:
    """A sync that ended: when, what came in and went, how many files are refused; or why it stopped (``cause``)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")
    ended: str
    taken: int = 0
    deleted: int = 0
    refused: int = 0
    cause: str | None = None

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a time that is none, or that says not where."""
        if datetime.fromisoformat(self.ended).tzinfo is None:
            raise ValueError(self.ended)


_KEPT = TypeAdapter(Synced)


def note(paths: SitePaths, synced: Synced) -> None:
    """Keep ``synced`` for `status`."""
    durable.replace(_file(paths), json.dumps(asdict(synced)).encode())


def last(paths: SitePaths) -> Synced | None:
    """The last sync; None where there was none, or what is kept says nothing."""
    try:
        raw = _file(paths).read_bytes()
        return _KEPT.validate_json(raw) if len(raw) <= MAX_BYTES else None
    except (OSError, ValidationError):
        return None


def sync_minutes(config: SiteConfig) -> int | None:
    """How often the site's folders are read; None where none is declared."""
    return config.documents.every_minutes if config.documents.folders else None


def document_warnings(config: SiteConfig, paths: SitePaths, now: datetime) -> tuple[str, ...]:
    """About the folders, about what was deleted and is still in the database's files, and about vectors."""
    told = fetch_json(Probe("http", f"127.0.0.1:{config.listen.management_port}", "/documents"))
    return (*sync_warnings(config, last(paths), now), *sweep_warnings(told, now), *vector_warnings(told))


def sync_warnings(config: SiteConfig, synced: Synced | None, now: datetime) -> tuple[str, ...]:
    """What an operator should act on. Pure."""
    if not config.documents.folders:
        return ()
    if synced is None:
        return ("documents.folders were never read: run `sovereign document sync`",)
    at = synced.ended[:16].replace("T", " ")
    if synced.cause is not None:
        return (f"documents.folders were last read {at} in vain: {synced.cause}",)
    found = []
    if synced.refused:
        found.append(f"{synced.refused} files of documents.folders cannot be read; `sovereign document list` says why")
    if now - datetime.fromisoformat(synced.ended) > timedelta(minutes=_LATE * config.documents.every_minutes):
        found.append(f"documents.folders were last read {at}: run `sovereign document sync`, or look at its timer")
    return tuple(found)


def sweep_warnings(told: Any, now: datetime) -> tuple[str, ...]:
    """From what the gateway says of sweeps: one that it tried, more than once, and could not do. Pure."""
    since = told.get("sweep_due") if isinstance(told, dict) else None
    if not isinstance(since, str) or now - datetime.fromisoformat(since) < _TRIED:
        return ()
    at = since[:16].replace("T", " ")
    held = f"since {at}, the database's files hold something that was deleted from documents"
    return (f"{held}: end what uses it (a backup, an open session), and run `sovereign document sweep`",)


def vector_warnings(told: Any) -> tuple[str, ...]:
    """From what the gateway says of documents that it gave up to give vectors. Pure."""
    count = told.get("without_vectors") if isinstance(told, dict) else None
    if type(count) is not int or count <= 0:
        return ()
    return (f"{count} documents are found by words alone: `sovereign document vectors` tries again, and says why",)


def now_utc() -> str:
    """This moment, as a sync is dated."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _file(paths: SitePaths) -> Path:
    return paths.journal.with_name("documents.json")
