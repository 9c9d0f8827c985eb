"""What an operator does to a whole cluster, as entries of its audit log: it is installed, upgraded, or gone back with.

An act goes into the journal on the administrator's machine first, which needs nobody, and from there into the log: its
beginning before anything of the site changes, its end afterwards. While the log's writer does not answer the journal
keeps both, and the next run enters them. Each entry has the act's own id, so that sending it twice gives one. An act
that was cut off is entered once the next one begins: as failed, unless what it went to is in force by then.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from airgap_bundle.store import Store
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import IdReusedError
from appliance.audit.events import install_step
from appliance.audit.roles import OPERATOR
from appliance.cluster.backup.sockets import audit_socket
from appliance.cluster.reach import Reach
from appliance.cluster.state import read_state
from appliance.errors import SovereignError
from appliance.install.journal import Journal, beside, read_journal
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from appliance.install.journal import Record
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths

Name = Literal["install", "upgrade", "rollback"]
_NAMES = {"install", "upgrade", "rollback"}
INTERRUPTED = "interrupted"
_WORDS = {"started": "begun", "done": "went through", "failed": "failed"}


@dataclass(frozen=True)
class Release:
    """One end of an act: a release by version and by digest; both are empty where none was in force."""

    version: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return f"release {self.version} ({self.digest})" if self.version else "no release"


def in_force(paths: SitePaths) -> Release:
    """The release that is in force, as an act names it. Raises ``StoreError`` where the store lacks it."""
    known = read_state(paths.cluster_state)
    if known is None or not known.release:
        return Release()
    return Release(known.release, str(Store(paths.store).record(known.release).release))


class Acting:
    """One run of a command, under the site's lock; ``enter`` goes before each ssh.

    ``unlogged`` says after its end why the log does not have all of it yet; None: it has, or the site has no log.
    """

    def __init__(self, paths: SitePaths, described: ClusterSite, folder: Path, enter: Sequence[str] = ()) -> None:
        self._paths, self._described = paths, described
        self._reach = Reach(described.cluster, folder, enter)
        self._begun: tuple[Name, dict[str, str]] | None = None
        self.unlogged: str | None = None

    def begin(self, act: Name, before: Release, after: Release) -> None:
        """Journal that ``act`` begins, and enter it where a writer can be there. Raises ``DeploymentError``."""
        detail = {
            "act": secrets.token_hex(16),
            "uid": str(os.getuid()),
            "from": before.version,
            "from_digest": before.digest,
            "to": after.version,
            "to_digest": after.digest,
        }
        with closing(Journal.open(self._paths.journal)) as journal:
            last = journal.records[-1] if journal.records else None
            if last is not None and last.step in _NAMES and last.state == "started":
                state, more = _cut_off(last, before)
                journal.append(last.step, state, last.digest, {**last.detail, **more})
            journal.append(act, "started", after.digest, detail)
        self._begun = act, detail
        if before.version:
            self._enter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun is None:
            return
        if error is None:
            self._end("done", {})
            self._enter()
            return
        with beside(error):  # what went wrong first is what the operator needs to hear
            self._end("failed", {"error": type(error).__name__})
        if isinstance(error, Exception):  # who pressed a key waits for no host
            self._enter()
            if self.unlogged is not None:
                error.add_note(f"nor is it in the audit log yet: {self.unlogged}; the next run enters it")

    def _end(self, state: Literal["done", "failed"], more: dict[str, str]) -> None:
        assert self._begun is not None
        act, detail = self._begun
        with closing(Journal.open(self._paths.journal)) as journal:
            journal.append(act, state, detail["to_digest"], {**detail, **more})

    def _enter(self) -> None:
        self.unlogged = None
        if self._described.assistant is None:
            return
        try:
            enter_acts(self._paths, self._described, self._reach)
        except (SovereignError, OSError) as error:
            self.unlogged = error.cause if isinstance(error, SovereignError) else str(error)


def enter_acts(paths: SitePaths, described: ClusterSite, reach: Reach) -> int:
    """Enter what the journal holds of acts and the log does not; how many entries.

    Raises ``UnavailableError`` and ``DeploymentError`` where the way to the writer or the writer itself does not
    answer; what was sent stays sent, and is not doubled by the next run.
    """
    records = [record for record in read_journal(paths.journal) if record.step in _NAMES]
    sent = _sent(paths, records)
    waiting = [record for record in records if record.seq > sent]
    if not waiting:
        return 0
    with audit_socket(reach, described.state_host) as socket, SyncAuditClient(socket) as client:
        _append(client, list(_entries(described.pods.log_origin, waiting)))
    told = {"seq": waiting[-1].seq, "act": waiting[-1].detail["act"]}
    write_private(_marker(paths), json.dumps(told).encode() + b"\n")
    return len(waiting)


def tell_again(paths: SitePaths) -> None:
    """Have the next run send all of the journal's acts: the log may be an earlier one. What it has is not doubled."""
    _marker(paths).unlink(missing_ok=True)


def _append(client: SyncAuditClient, entries: list[tuple[str, dict[str, Any]]]) -> None:
    """All in one; else one by one: what the log has under an act's id, in an earlier program's words, is entered."""
    try:
        client.append_all(entries)
    except IdReusedError:
        for entry_id, event in entries:
            with suppress(IdReusedError):
                client.append(event, id=entry_id)


def _cut_off(last: Record, now: Release) -> tuple[Literal["done", "failed"], dict[str, str]]:
    """How an act ended that nobody ended, with ``now`` in force: a release is that only once all of it went through."""
    if last.detail["to_digest"] == now.digest != last.detail["from_digest"]:
        return "done", {"note": "its end was noted later"}
    return "failed", {"error": INTERRUPTED}


def _entries(origin: str, records: Iterable[Record]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record's entry with its id. Pure: the same record gives the same bytes whenever it is sent."""
    for record in records:
        told = record.detail
        yield OPERATOR.id(origin, record.step, told["act"], record.state), _event(record)


def _event(record: Record) -> dict[str, Any]:
    told = record.detail
    ends = (Release(told["from"], told["from_digest"]), Release(told["to"], told["to_digest"]))
    why = next((f": {told[name]}" for name in ("error", "note") if name in told), "")
    return install_step(
        step=record.step,
        action="install" if record.step == "install" else "update",
        success=record.state != "failed",
        release=told["to"],
        detail=f"{_WORDS[record.state]}{why}; from {ends[0]} to {ends[1]}",
        actor=f"uid {told['uid']}",
        inputs_digest=record.digest or None,
        at=datetime.fromisoformat(record.at),
    )


def _sent(paths: SitePaths, records: Iterable[Record]) -> int:
    """Number of the last record that the log was told; 0, and all is sent, where that note is none of this journal."""
    try:
        told = json.loads(_marker(paths).read_bytes())
        seq, act = told["seq"], told["act"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0
    return next((record.seq for record in records if (record.seq, record.detail["act"]) == (seq, act)), 0)


def _marker(paths: SitePaths) -> Path:
    return paths.journal.with_name("spooled.json")
