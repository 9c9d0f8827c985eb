"""What became of the last `memory compile`, kept by the command and shown by `status`; and when the next one is due."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from airgap_bundle import durable

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

MAX_BYTES = 64 << 10
_LATE = timedelta(hours=49)
"""Two nights, and an hour for the night itself."""


@dataclass(frozen=True)
class Compiled:
    """A night that ended: when, what each group's run came to, what it took; or why it stopped (``cause``)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    ended: str
    groups: dict[str, str] = field(default_factory=dict)
    joules: float = 0.0
    cause: str | None = None

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a time that is none, or that says not where."""
        if datetime.fromisoformat(self.ended).tzinfo is None:
            raise ValueError(self.ended)


_KEPT = TypeAdapter(Compiled)


def note(paths: SitePaths, compiled: Compiled) -> None:
    """Keep ``compiled`` for `status`."""
    durable.replace(_file(paths), json.dumps(asdict(compiled)).encode())


def last(paths: SitePaths) -> Compiled | None:
    """The last night; None where there was none, or what is kept says nothing."""
    try:
        raw = _file(paths).read_bytes()
        return _KEPT.validate_json(raw) if len(raw) <= MAX_BYTES else None
    except (OSError, ValidationError):
        return None


def compile_at(config: SiteConfig) -> str | None:
    """The time of day at which briefs are compiled; None where no group has one."""
    return config.memory.compile.at if any(group.brief for group in config.groups) else None


def brief_warnings(config: SiteConfig, compiled: Compiled | None, now: datetime) -> tuple[str, ...]:
    """What an operator should act on. Pure."""
    if compile_at(config) is None:
        return ()
    if compiled is None:
        return ("groups' briefs were never compiled: run `sovereign memory compile`",)
    at = compiled.ended[:16].replace("T", " ")
    if compiled.cause is not None:
        return (f"groups' briefs were last compiled {at} in vain: {compiled.cause}",)
    if now - datetime.fromisoformat(compiled.ended) > _LATE:
        return (f"groups' briefs were last compiled {at}: run `sovereign memory compile`, or look at its timer",)
    waiting = sorted(name for name, came in compiled.groups.items() if came == "compiled")
    if waiting:
        return (f"briefs of {', '.join(waiting)} wait for somebody's word: `sovereign memory brief list`",)
    return ()


def now_utc() -> str:
    """This moment, as a night is dated."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _file(paths: SitePaths) -> Path:
    return paths.journal.with_name("briefs.json")
