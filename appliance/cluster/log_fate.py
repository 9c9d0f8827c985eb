"""What becomes of a cluster's log when the cluster goes: as on a host, but that its writer cannot be stopped before.

The writer says how far the log goes, over the way that commands have to it: asking leaves no entry, as a copy out of
its pod would. What hosts and people add between that look and the end goes with the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.checkpoint import open_checkpoint, read_vkeys
from appliance.audit.client import SyncAuditClient
from appliance.audit.whole import check_whole
from appliance.cluster.backup.log import PLACE
from appliance.cluster.backup.sockets import audit_socket
from appliance.cluster.reach import Reach
from appliance.errors import SovereignError
from appliance.install.log_fate import UNSAID, LogFate, refuse_inside, refuse_unread, refuse_young
from appliance.install.steps.secrets import VKEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey
    from appliance.cluster.standing import Standing
    from appliance.site.paths import SitePaths


def require_fate(paths: SitePaths, known: Standing, fate: LogFate = UNSAID, enter: Sequence[str] = ()) -> None:
    """Return when the cluster's log may go, or there is none: no assistant, or its host was cleaned before.

    Raises ``NotAllowedError``, ``UsageError`` and what ``check_whole`` does, as for a host's (``install.log_fate``).
    """
    there = known.described.assistant is not None
    host = known.state.state_host or (known.described.state_host if there else "")
    if host not in {one.name for one in known.state.hosts}:
        return
    try:
        vkeys = read_vkeys(paths.policies / VKEYS)
        head = _head(known, host, vkeys, enter)
    except (OSError, SovereignError) as error:
        if known.state.release:  # of an installation that never went through there may be no writer yet
            refuse_unread(error, fate)
        return
    if fate.archived is not None:
        refuse_inside(paths, fate.archived)
        check_whole(fate.archived, head, vkeys=vkeys)
    elif head.size:
        days = known.described.pods.audit.retention_days if there else 0
        refuse_young(head, days, fate, f"copy {PLACE}/log of {host} to a medium")


def _head(known: Standing, host: str, vkeys: Sequence[VerifierKey], enter: Sequence[str]) -> Checkpoint:
    reach = Reach(known.described.cluster, known.source.parent, tuple(enter), known.state.identity)
    with audit_socket(reach, host) as socket, SyncAuditClient(socket) as client:
        note = client.checkpoint()
    return open_checkpoint(note.encode(), vkeys)
