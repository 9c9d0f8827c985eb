"""A rule of the preflight, and what a site asks: a rule names itself, judges the facts and knows the remedy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from appliance.install.preflight.facts import Facts
    from appliance.site.config import SiteConfig
    from appliance.site.layers import Waivable

MIB = 1024 * 1024
GIB = 1024 * MIB
BASE_MEMORY_MIB = 900  # PostgreSQL, Keycloak with its 256 MiB heap, gateway, audit writer: measured, rounded up
UNPACKED_FACTOR = 3  # a blob, its unpacked form, and room for the next release beside it
STATE_BYTES = 1 * GIB  # a fresh database, log and content store


@dataclass(frozen=True)
class Needs:
    """What this site asks of a host."""

    config: SiteConfig
    bundle_bytes: int
    earliest: datetime
    waived: Mapping[str, str] = field(default_factory=dict)
    """Layers of confinement that an officer lets this host lack: ``{layer: by whom, until when}``."""

    @property
    def memory(self) -> int:
        """Bytes of memory for every service at once."""
        return (BASE_MEMORY_MIB + sum(m.memory_mib for m in self.config.models)) * MIB

    @property
    def disk(self) -> int:
        """Bytes on the site root's file system."""
        kept = sum(m.kept_mib for m in self.config.models) * MIB
        return UNPACKED_FACTOR * self.bundle_bytes + STATE_BYTES + kept


@dataclass(frozen=True)
class Rule:
    """``judge`` gives what was found and what is needed; the rule holds when ``holds`` does.

    ``layer`` is the layer of confinement that a host needs for it; an officer may waive that, and nothing else.
    """

    name: str
    level: Literal["required", "advised"]
    holds: Callable[[Facts, Needs], bool]
    found: Callable[[Facts, Needs], str]
    needed: Callable[[Facts, Needs], str]
    remedy: str
    layer: Waivable | None = None
