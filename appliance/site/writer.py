"""What the audit log's writer goes by of a site file: all it is given, so that nothing else starts it anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig


@dataclass(frozen=True)
class WriterSettings:
    """The log's name, for how many days entries stay, and the models whose engines write to it."""

    origin: str
    retention_days: int
    models: tuple[str, ...]


def writer_settings(config: SiteConfig) -> WriterSettings:
    """Those of a site."""
    return WriterSettings(config.log_origin, config.audit.retention_days, tuple(model.name for model in config.models))
