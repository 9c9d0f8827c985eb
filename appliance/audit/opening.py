"""Opening the log to write it: read it from disk, finish what a crash left, clear what belongs to no tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.ids import IdIndex
from appliance.audit.journal import JOURNAL
from appliance.audit.open_log import OpenLog
from appliance.audit.recovery import read_log, recovered_records, stale_files
from appliance.audit.settling import Signed
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.audit.commit import Committer
    from appliance.audit.journal import Journal
    from appliance.audit.note import VerifierKey
    from appliance.audit.storage import Storage

IDS = "ids.sqlite"


def open_log(
    directory: Path, vkeys: Sequence[VerifierKey], storage: Storage, journal: Journal, commits: Committer
) -> OpenLog:
    """The log in ``directory``, begun where there is none; the caller holds its lock.

    Raises ``LogInconsistentError`` when it is not the log that was signed, ``OSError`` or ``sqlite3.Error`` when the
    disk does not let it recover.
    """
    found = read_log(directory, vkeys)
    if found is None and (directory / IDS).exists():
        raise LogInconsistentError(f"{directory} has lost its checkpoint", "a log is never begun anew")
    found = found or commits.begin()
    ids = IdIndex(directory / IDS)
    signed = Signed(found.head, found.note)
    state = OpenLog(directory, signed, found.edge, ids, signed, pruned=found.pruned)
    try:
        state.catch_up(len(found.replay))
        if found.replay or found.dropped:
            state = commits.commit(state, recovered_records(found))
        if (directory / JOURNAL).exists():
            journal.clear()  # all of it is in tiles; what is left of a batch that was not finished goes
        for name in stale_files(directory, state.edge.size):
            storage.remove(name)
    except BaseException:
        ids.close()
        raise
    return state
