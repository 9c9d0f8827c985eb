"""What becomes of a cluster's log when the cluster goes: as on a host, but that its writer cannot be stopped before.

The writer says how far the log goes, over the way that commands have to it: asking leaves no entry, as a copy out of
its pod would. What hosts and people add between that look and the end goes with the log. A removal ends the writer
before it cleans hosts; one that was cut off after that goes on by the head that was noted then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import open_checkpoint, read_vkeys
from appliance.audit.client import SyncAuditClient
from appliance.audit.whole import check_whole
from appliance.cluster.backup.log import PLACE
from appliance.cluster.backup.progress import LOG, read_progress
from appliance.cluster.backup.sockets import audit_socket
from appliance.cluster.reach import Reach
from appliance.errors import SovereignError, UsageError
from appliance.install.act_record import LOG_HEAD, is_act
from appliance.install.audit_spool import was_told
from appliance.install.journal import read_journal
from appliance.install.log_fate import REMOVAL, UNSAID, LogFate, refuse_inside, refuse_unread, refuse_young
from appliance.install.steps.secrets import VKEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.cluster.standing import Standing
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class LetGo:
    """A log that may go: its host, and its head as the writer signed it. ``ended``: nothing writes it any more."""

    host: str
    head: str
    ended: bool

    def record(self) -> dict[str, str]:
        """What the record of the removal says of it, once it ended."""
        return {LOG_HEAD: self.head}


def require_fate(paths: SitePaths, known: Standing, fate: LogFate = UNSAID, enter: Sequence[str] = ()) -> LetGo | None:
    """Return the cluster's log that may go; None: nobody can read it, or there is none.

    There is none without an assistant, or where its host was cleaned before. Raises ``NotAllowedError``,
    ``UsageError`` and what ``check_whole`` does, as for a host's (``install.log_fate``).
    """
    host = log_host(known)
    if host not in {one.name for one in known.state.hosts} and not _is_lost(paths, known):
        return None
    try:
        vkeys = read_vkeys(paths.policies / VKEYS)
        found = _found(paths, known, host, enter)
        head = open_checkpoint(found.head.encode(), vkeys)
    except (OSError, SovereignError) as error:
        if known.state.release or _was_laid(paths, known):
            refuse_unread(error, fate)
        return None
    if fate.archived is not None:
        refuse_inside(paths, fate.archived)
        check_whole(fate.archived, head, vkeys=vkeys)
    elif head.size:
        days = known.described.pods.audit.retention_days if known.described.assistant is not None else 0
        refuse_young(head, days, fate, f"copy {PLACE}/log of {host} to a medium")
    return found


def log_host(known: Standing) -> str:
    """The host that has the log, as far as it is known: as noted, else as described; empty: nothing names it."""
    return known.state.state_host or (known.described.state_host if known.described.assistant is not None else "")


def _is_lost(paths: SitePaths, known: Standing) -> bool:
    """Whether there is a log on a host that is not among those that were touched, or on one that nothing names.

    There is none any more where a removal cleaned its host. A site that never had an assistant has no keys of a log.
    """
    if known.state.cleaned and known.state.cleaned == log_host(known):
        return False
    return (bool(known.state.release) and (paths.policies / VKEYS).exists()) or _was_laid(paths, known)


def _was_laid(paths: SitePaths, known: Standing) -> bool:
    """Whether a cluster without a release in force has a log: a restore brought it, or it was told or read from here.

    Of an installation that never came so far there may be no writer yet.
    """
    try:
        restore = read_progress(paths)
        return LOG in restore.done if restore is not None else bool(known.state.state_host) or was_told(paths)
    except (OSError, SovereignError):  # nobody can tell
        return True


def _found(paths: SitePaths, known: Standing, host: str, enter: Sequence[str]) -> LetGo:
    try:
        return LetGo(host, _head(known, host, enter), ended=False)
    except (OSError, SovereignError):
        if noted := _noted(paths):
            return LetGo(host, noted, ended=True)
        raise


def _head(known: Standing, host: str, enter: Sequence[str]) -> str:
    if host not in {one.name for one in known.described.cluster.hosts} & {one.name for one in known.state.hosts}:
        raise UsageError(f"{known.source} names no host of the cluster that has it: put `assistant` back there")
    reach = Reach(known.described.cluster, known.source.parent, tuple(enter), known.state.identity)
    with audit_socket(reach, host) as socket, SyncAuditClient(socket) as client:
        return client.checkpoint()


def _noted(paths: SitePaths) -> str:
    """The head of a removal that ended the writer, where that is the last that was done from here; else empty."""
    last = next(reversed(read_journal(paths.journal)), None)
    return last.detail.get(LOG_HEAD, "") if last is not None and is_act(last) and last.step == REMOVAL else ""
