"""Who read the log itself, or looked at figures of the site. Pure; everything by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, envelope, scalars, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def log_read(
    *,
    subject: str,
    groups: tuple[str, ...],
    what: str,
    asked: Mapping[str, str | int | list[str]],
    at: datetime | None = None,
) -> Event:
    """An auditor looked at the log in the page: ``what`` (``entries``, ``figures``, ``names``…), asked for how."""
    return envelope(
        ocsf.ENTITY_MANAGEMENT,
        2,
        ours={"kind": "log_read", "asked": scalars(asked)},
        at=at,
        fields={
            "actor": {"user": ocsf.user(subject, groups)},
            "entity": {"name": text(what), "type": "audit_log"},
        },
    )


def memory_read(*, subject: str, groups: tuple[str, ...], at: datetime | None = None) -> Event:
    """Somebody who administers the site looked at the hierarchy of its memories in the page."""
    return envelope(
        ocsf.ENTITY_MANAGEMENT,
        2,
        ours={"kind": "memory_read"},
        at=at,
        fields={
            "actor": {"user": ocsf.user(subject, groups)},
            "entity": {"name": "memory", "type": "figures"},
        },
    )
