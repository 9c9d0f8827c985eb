"""What an operator does to a whole cluster, as entries of its audit log.

It is installed, upgraded or gone back with, its certificates are renewed, it is restored, or taken away.

An act goes into the journal on the administrator's machine first, which needs nobody, and from there into the log: its
beginning before anything of the site changes, its end afterwards. While the log's writer does not answer the journal
keeps both, and the next run enters them. Each entry has the act's own id, so that sending it twice gives one. An act
that was cut off is entered once the next one begins: as failed, unless what it went to is in force by then. A restore
is entered once the log that it brought is on; of a removal that goes through, the log has the beginning.
"""

from __future__ import annotations

import os
import secrets
from contextlib import closing
from typing import TYPE_CHECKING, Literal, Self

from airgap_bundle.store import Store
from appliance.audit.client import SyncAuditClient
from appliance.cluster.backup.sockets import audit_socket
from appliance.cluster.reach import Reach
from appliance.cluster.state import read_state
from appliance.errors import SovereignError
from appliance.install.act_record import ACT, Release, is_act
from appliance.install.audit_spool import is_waiting, spool_to
from appliance.install.journal import Journal, beside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from appliance.install.journal import Record
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths

Name = Literal["install", "upgrade", "rollback", "renew", "restore", "uninstall"]
INTERRUPTED = "interrupted"


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
        self._folder, self._by = folder, enter
        self._begun: tuple[Name, dict[str, str]] | None = None
        self.unlogged: str | None = None

    def begin(self, act: Name, before: Release, after: Release, more: Mapping[str, str] | None = None) -> None:
        """Journal that ``act`` begins, and enter it where a writer can be there. Raises ``DeploymentError``.

        ``more`` is what else its entries say of it.
        """
        detail = {
            ACT: secrets.token_hex(16),
            "uid": str(os.getuid()),
            "from": before.version,
            "from_digest": before.digest,
            "to": after.version,
            "to_digest": after.digest,
            **(more or {}),
        }
        with closing(Journal.open(self._paths.journal)) as journal:
            last = journal.records[-1] if journal.records else None
            if last is not None and is_act(last) and last.state == "started":
                state, more = _cut_off(last, before)
                journal.append(last.step, state, last.digest, {**last.detail, **more})
            journal.append(act, "started", after.digest, detail)
        self._begun = act, detail
        if before.version:
            self._enter()

    def note(self, more: Mapping[str, str]) -> None:
        """Journal what came to be known of the act while it runs, for the next run; the log is not told of it."""
        if self._begun is None:  # it has no journal
            return
        act, detail = self._begun
        detail.update(more)
        with closing(Journal.open(self._paths.journal)) as journal:
            journal.append(act, "started", detail["to_digest"], detail)

    def took_the_log(self) -> None:
        """The act took log and journal with it: its end stands nowhere."""
        self._begun = None

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
            known = read_state(self._paths.cluster_state)
            identity = known.identity if known is not None else ""
            enter_acts(self._paths, self._described, Reach(self._described.cluster, self._folder, self._by, identity))
        except (SovereignError, OSError) as error:
            self.unlogged = error.cause if isinstance(error, SovereignError) else str(error)


def enter_acts(paths: SitePaths, described: ClusterSite, reach: Reach) -> int:
    """Enter what the journal holds and the log does not, acts and what else was done here; how many records.

    Raises ``UnavailableError`` and ``DeploymentError`` where the way to the writer or the writer itself does not
    answer; what was sent stays sent, and is not doubled by the next run.
    """
    if not is_waiting(paths):
        return 0
    known = read_state(paths.cluster_state)
    release = known.release if known is not None else ""
    with audit_socket(reach, described.state_host) as socket, SyncAuditClient(socket) as client:
        return spool_to(client, described.pods.log_origin, paths, release)


def _cut_off(last: Record, now: Release) -> tuple[Literal["done", "failed"], dict[str, str]]:
    """How an act ended that nobody ended, with ``now`` in force: a release is that only once all of it went through."""
    if last.detail["to_digest"] == now.digest != last.detail["from_digest"]:
        return "done", {"note": "its end was noted later"}
    return "failed", {"error": INTERRUPTED}
