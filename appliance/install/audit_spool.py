"""Brings the install journal into the audit log, where it cannot be edited any more.

The journal exists before the log can run; so its records wait there and are appended when the writer answers. Entry
ids are the site's origin and the record's number: sending one twice gives one entry. A step that was begun, said what
it was about to change, and never ended is an entry as well, once it is begun again: nobody knows how far it came.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from appliance.audit import events
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import IdReusedError
from appliance.audit.roles import OPERATOR
from appliance.install.act_record import act_event, act_id, is_act
from appliance.install.change_events import file_events, root_event, trusted_root
from appliance.install.file_changes import DIGESTS, FILES, changes_of
from appliance.install.journal import Record, read_journal
from appliance.install.model_record import ACTIONS, INTERRUPTED, model_event
from appliance.install.pack_record import STEPS, pack_event
from appliance.site.paths import AUDIT, SitePaths
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from appliance.site.config import SiteConfig


_ACTIONS: Mapping[str, Literal["start", "stop", "remove", "restart"]] = {
    "up": "start",
    "down": "stop",
    "uninstall": "remove",
    "resume": "restart",
}
_LISTS = {FILES, DIGESTS}
"""Of a record's detail: what has a field, or entries, of its own."""


def spool(config: SiteConfig, paths: SitePaths, release: str) -> int:
    """Append every finished, failed or interrupted step that is not in the log yet; how many.

    Each of the operator's files that a step changed is an entry of its own beside it, and so is another root than the
    one that the log was last told of. Raises ``AuditUnavailableError`` when the writer does not answer; what was sent
    stays sent.
    """
    if not is_waiting(paths):
        return 0
    with SyncAuditClient(paths.socket(AUDIT)) as client:
        return spool_to(client, config.log_origin, paths, release)


def is_waiting(paths: SitePaths) -> bool:
    """Whether there is anything that the log was not told."""
    sent, root = _sent(paths), trusted_root(paths.trust)
    return bool(_waiting(paths, sent)) or (root is not None and root[0] != sent.get("root"))


def was_told(paths: SitePaths) -> bool:
    """Whether a log took what the journal holds, all of it or a beginning."""
    return int(_sent(paths)["seq"]) > 0


def spool_to(client: SyncAuditClient, origin: str, paths: SitePaths, release: str) -> int:
    """The same as ``spool``, to a writer that is reached already; ``origin`` is the log's."""
    sent, root = _sent(paths), trusted_root(paths.trust)
    waiting = _waiting(paths, sent)
    for _, record in waiting:
        if is_act(record):
            with suppress(IdReusedError):  # the log has it in an earlier program's words, or of another time
                client.append(act_event(record), id=OPERATOR.id(origin, *act_id(record)))
            continue
        number = str(record.seq)
        client.append(_event(record, release), id=OPERATOR.id(origin, "install", number))
        client.append_all(
            (OPERATOR.id(origin, "install", number, "file", str(at)), event)
            for at, (_, event) in enumerate(file_events(record))
        )
    if root is not None and root[0] != sent.get("root"):
        _tell_root(client, origin, sent.get("root"), *root)
        sent["root"] = root[0]
    if waiting:
        sent["seq"] = waiting[-1][0]
        sent["at"] = next(one.at for one in read_journal(paths.journal) if one.seq == sent["seq"])
    _marker(paths).parent.mkdir(mode=0o700, exist_ok=True)
    write_private(_marker(paths), json.dumps(sent).encode() + b"\n")
    return len(waiting)


def _waiting(paths: SitePaths, sent: Mapping[str, Any]) -> list[tuple[int, Record]]:
    return [(seq, record) for seq, record in _ended(read_journal(paths.journal)) if seq > sent["seq"]]


def _tell_root(client: SyncAuditClient, origin: str, before: str | None, root: str, version: int) -> None:
    """Enter that the site trusts ``root``, once; and once more where it came back after another, ``before``."""
    event, name = root_event(before, root, version), root.rpartition(":")[2]
    try:
        client.append(event, id=OPERATOR.id(origin, "root", name))
    except IdReusedError:  # the log was told of this root: before what was noted of that was lost, or before another
        if before is not None:
            with suppress(IdReusedError):
                client.append(event, id=OPERATOR.id(origin, "root", name, before.rpartition(":")[2][:16]))


def _ended(records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
    """What there is to say, each with the number of the record by which it is known."""
    begun: dict[str, Record] = {}
    for record in records:
        if is_act(record):  # each of its states is told; who begins another ends one that was cut off
            yield record.seq, record
            continue
        earlier = begun.pop(record.step, None)
        if record.state != "started":
            yield record.seq, record
            continue
        if earlier is not None and earlier.detail and record.step not in ACTIONS:  # of models, ``model_settle`` says it
            yield record.seq, replace(earlier, state="failed", detail={**earlier.detail, "error": INTERRUPTED})
        begun[record.step] = record


def _event(record: Record, release: str) -> dict[str, Any]:
    if record.step in ACTIONS:
        return model_event(record)
    if record.step in STEPS:
        return pack_event(record)
    detail = ", ".join(f"{name}: {value}" for name, value in record.detail.items() if name not in _LISTS)
    return events.install_step(
        step=record.step,
        action=_ACTIONS.get(record.step, "install"),
        success=record.state == "done",
        release=release,
        detail=detail or None,
        actor="operator" if record.step != "resume" else "keeper",
        inputs_digest=record.digest or None,
        files=changes_of(record.detail),
        at=datetime.fromisoformat(record.at),
    )


def tell_again(paths: SitePaths) -> None:
    """Have the next run send all of the journal: the log may be an earlier one. What it has is not doubled."""
    _marker(paths).unlink(missing_ok=True)


def _sent(paths: SitePaths) -> dict[str, Any]:
    """What the log was told: ``seq``, the last record; ``at``, its time; ``root``, the fingerprint of the last root.

    A note that is damaged, or of another journal than this one, keeps nothing back: all is sent, and ids tell it apart.
    """
    try:
        found: dict[str, Any] = dict(json.loads(_marker(paths).read_bytes()))
        seq = int(found["seq"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {"seq": 0}
    last = next((record.at for record in read_journal(paths.journal) if record.seq == seq), None)
    return found if last == found.get("at", last) else {**found, "seq": 0}


def _marker(paths: SitePaths) -> Path:
    return paths.journal.with_name("spooled.json")
