"""Events of running the appliance: a model loads, an installation step is taken, an administrator changes something."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, compact, envelope, maybe, text, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

MAX_FILES = 160
MAX_FILE = 300
"""Of a file's digest and name, in bytes; so many of them leave room for the rest of an entry."""


def model_load(  # noqa: PLR0913 - the fields of the gate's receipt, by keyword
    *,
    model_name: str,
    model_digest: str,
    version: str | None = None,
    accepted: bool = True,
    reason: str | None = None,
    template_digest: str | None = None,
    release: str | None = None,
    licence: str | None = None,
    producer: str | None = None,
    jurisdiction: str | None = None,
    signers: Sequence[str] = (),
    waivers: Sequence[Mapping[str, Any]] = (),
    confinement: Sequence[str] = (),
    at: datetime | None = None,
) -> Event:
    """The model gate let a model load, or refused it (``accepted`` False, with ``reason``).

    ``confinement`` names the layers that held of the engine's process before it opened the model.
    """
    ours = compact(
        {
            "kind": "model_load",
            "template_digest": maybe(template_digest),
            "release": maybe(release),
            "licence": maybe(licence),
            "jurisdiction": maybe(jurisdiction),
            "signers": texts(list(signers)),
            "waivers": [ocsf.scalars(waiver) for waiver in list(waivers)[: ocsf.MAX_ITEMS]],
            "confinement": texts(list(confinement)),
        }
    )
    fields: Event = {"app": compact({"name": text(model_name), "version": maybe(version)})}
    fields["ai_model"] = ocsf.model(model_name, model_digest, producer, version)
    if not accepted:
        fields |= {"status_detail": text(reason or "refused by policy"), **ocsf.DENIED}
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        3,
        ours=ours,
        at=at,
        success=accepted,
        severity=ocsf.INFORMATIONAL if accepted else ocsf.MEDIUM,
        profiles=("ai_operation",) if accepted else ("ai_operation", "security_control"),
        fields=fields,
    )


def install_step(  # noqa: PLR0913 - the fields of a journal record, by keyword
    *,
    step: str,
    action: Literal["install", "remove", "start", "stop", "restart", "enable", "disable", "update"] = "install",
    success: bool = True,
    release: str | None = None,
    detail: str | None = None,
    actor: str | None = None,
    inputs_digest: str | None = None,
    files: Mapping[str, Sequence[str]] | None = None,
    at: datetime | None = None,
) -> Event:
    """A step of ``sovereign install``, ``up``, ``down`` or ``uninstall``; ``actor`` is the operator's role or uid.

    ``files``: which of the operator's files it changed, by what became of them.
    """
    activity = next(n for n, name in ocsf.APPLICATION_LIFECYCLE.activities.items() if name.lower() == action)
    ours = compact(
        {
            "kind": "install_step",
            "step": text(step),
            "inputs_digest": maybe(inputs_digest),
            "files": _files(files) if files else None,
        }
    )
    fields: Event = {"app": compact({"name": "sovereign", "version": maybe(release)})}
    fields["app"]["vendor_name"] = "sovereign"
    if actor:
        fields["actor"] = {"user": ocsf.user(actor, kind=2)}
    if detail:
        fields["status_detail"] = text(detail)
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        activity,
        ours=ours,
        at=at,
        success=success,
        severity=ocsf.INFORMATIONAL if success else ocsf.MEDIUM,
        profiles=("host",) if actor else (),
        fields=fields,
    )


def _files(changes: Mapping[str, Sequence[str]]) -> Event:
    """As many as an entry has room for; where that is not all, how many more, and a digest that commits to all."""
    kept: Event = {}
    room = MAX_FILES
    for kind, names in changes.items():
        kept[ocsf.short(kind, ocsf.MAX_NAME)] = [ocsf.short(name, MAX_FILE) for name in names[:room]]
        room -= min(room, len(names))
    more = sum(map(len, changes.values())) - (MAX_FILES - room)
    if not more:
        return kept
    everything = json.dumps({kind: list(names) for kind, names in changes.items()}, sort_keys=True).encode()
    return kept | {"more": more, "all": f"sha256:{hashlib.sha256(everything).hexdigest()}"}


def admin_change(  # noqa: PLR0913 - the fields of a change, by keyword
    *,
    actor: str,
    action: Literal["create", "read", "update", "delete", "enroll", "unenroll", "enable", "disable"],
    kind: str,
    target: str,
    success: bool = True,
    detail: str | None = None,
    before_digest: str | None = None,
    after_digest: str | None = None,
    at: datetime | None = None,
) -> Event:
    """An administrative act: a user, group, policy, key or waiver was changed, or content was read.

    ``kind`` is the sort of thing (``user``, ``group``, ``policy``, ``key``, ``waiver``, ``content``), ``target``
    which one.
    """
    activity = next(n for n, name in ocsf.ENTITY_MANAGEMENT.activities.items() if name.lower() == action)
    ours = compact(
        {
            "kind": "admin_change",
            "before_digest": maybe(before_digest),
            "after_digest": maybe(after_digest),
        }
    )
    fields: Event = {
        "actor": {"user": ocsf.user(actor, kind=2)},
        "entity": {"name": text(target), "type": text(kind)},
    }
    if detail:
        fields["comment"] = text(detail)
    return envelope(
        ocsf.ENTITY_MANAGEMENT,
        activity,
        ours=ours,
        at=at,
        success=success,
        severity=ocsf.LOW if success else ocsf.MEDIUM,
        fields=fields,
    )


def log_recovery(*, size: int, replayed: int, dropped: int, at: datetime | None = None) -> Event:
    """The audit writer restarted on a log that a crash had left unfinished behind its last checkpoint.

    ``size`` entries were signed; behind them ``replayed`` complete ones were kept and ``dropped`` incomplete ones not.
    """
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        5,
        ours={"kind": "log_recovery", "size": size, "replayed": replayed, "dropped": dropped},
        at=at,
        severity=ocsf.MEDIUM,
        fields={"app": {"name": "sovereign audit writer", "vendor_name": "sovereign"}},
    )


def clock_behind(*, seconds: int, signed: int, at: datetime | None = None) -> Event:
    """The host's clock is ``seconds`` behind the log's last signature, of ``signed`` (seconds since 1970).

    It was turned back, or had been ahead: signatures bear that last time, and entries the clock's, until it caught up.
    """
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        99,
        ours={"kind": "clock_behind", "seconds": seconds, "signed": signed},
        at=at,
        severity=ocsf.MEDIUM,
        fields={"app": {"name": "sovereign audit writer", "vendor_name": "sovereign"}},
    )


def log_pruned(*, end: int, until: int, days: int, actor: str, at: datetime | None = None) -> Event:
    """Entries before position ``end`` may be gone from here on, the last of them logged ``until`` (milliseconds).

    The policy keeps entries for ``days``; ``actor`` asked for it. Their hashes stay.
    """
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        2,
        ours={"kind": "log_pruned", "end": end, "until": until, "retention_days": days},
        at=at,
        severity=ocsf.MEDIUM,
        profiles=("host",),
        fields={
            "app": {"name": "sovereign audit writer", "vendor_name": "sovereign"},
            "actor": {"user": ocsf.user(actor, kind=2)},
        },
    )
