"""The audit log's errors.

SovereignError
├── DeploymentError
│   ├── UnavailableError
│   │   └── AuditUnavailableError  no durable entry can be promised: the caller must refuse its work
│   │       ├── LogFullError       … because the disk is full; the writer recovers when space is back
│   │       └── JournalFullError   … before the journal is emptied into tiles; the writer sees to that by itself
│   └── WriterLockedError          another writer holds this log
├── UsageError
│   └── EntryPrunedError           an entry was pruned, as the log says: its hash is kept, its text is in archives
├── NotAllowedError
│   └── RevealError                content is shown to nobody: not both persons agreed, or not to this
├── BadRequestError                what was sent to the writer is malformed
├── EntryRefusedError              this entry can never be logged as it is
│   ├── EntryTooLargeError         … more than 65,535 bytes
│   ├── IdReusedError              … its id already names another event
│   ├── TooYoungError              … it asks for entries to be pruned that are to be kept
│   └── NotYoursError              … its kind or its id belongs to another writer
└── LogInconsistentError
    ├── ApartError               what is kept apart of an entry is not there, erased, or not what the entry commits to
    ├── ArchiveError               an archive does not hold what the log signed, or not whole
    ├── LaterLogError              what was named as a later state of a log does not prove that it is one
    ├── ReceiptError               a receipt does not say what the log's entry holds, or proves nothing
    ├── NoteError                  a checkpoint is malformed, or not signed by the expected keys
    └── LogTamperedError           the log does not prove what was signed; carries the findings
        ├── LogRewoundError        … it is shorter than a checkpoint that it signed before
        ├── LogForkedError         … it signed two histories
        └── LogReplacedError       … it is another log from its first entry on
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.errors import (
    DeploymentError,
    LogInconsistentError,
    NotAllowedError,
    SovereignError,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.audit.findings import Finding

_FULL = {errno.ENOSPC, errno.EDQUOT}


class AuditUnavailableError(UnavailableError):
    """The audit writer cannot promise a durable entry; whatever needed the entry must be refused."""


class LogFullError(AuditUnavailableError):
    """The disk of the audit log is full. Nothing acknowledged is lost; appending works again once there is space."""


class JournalFullError(AuditUnavailableError):
    """The journal holds no more until its batches are in tiles."""


class ApartError(LogInconsistentError):
    """A text that is kept apart of an entry cannot be shown: missing, erased, or not what the entry commits to."""


class WriterLockedError(DeploymentError):
    """Another process writes this log. A log has exactly one writer."""


class EntryPrunedError(UsageError):
    """An entry that is asked for was pruned."""

    def __init__(self, position: int, end: int) -> None:
        super().__init__(
            f"entry {position} was pruned, with all before {end}: the log keeps their hashes",
            "`sovereign audit archive restore` puts entries back",
        )


class ReceiptError(LogInconsistentError):
    """A receipt and the entry that it proves do not belong together, or it carries no proof."""


class RevealError(NotAllowedError):
    """What was said behind an entry is not shown: two persons have not agreed to it."""


class BadRequestError(SovereignError):
    """The body or the query of a request to the writer is malformed."""


class EntryRefusedError(SovereignError):
    """The entry cannot be logged as it is. Trying again will not help."""


class EntryTooLargeError(EntryRefusedError):
    """The entry is larger than the log's format allows."""


class IdReusedError(EntryRefusedError):
    """The id is logged already, for a different event: nobody hides an event behind an id that was used before."""


class TooYoungError(EntryRefusedError):
    """Entries were to be pruned that the policy keeps, or that six months have not passed since."""


class NotYoursError(EntryRefusedError):
    """The kind of event, or the id, belongs to another writer than the one that sent it."""

    exit_code = NotAllowedError.exit_code


class NoteError(LogInconsistentError):
    """A checkpoint is malformed, or does not carry the signatures that the verifier keys ask for."""


class ArchiveError(LogInconsistentError):
    """An archive was changed, is not whole, or is of another log."""


class LaterLogError(LogInconsistentError):
    """What was named as a later state of a log is another's, forked, changed, not whole, older, or cannot be read."""


class LogTamperedError(LogInconsistentError):
    """The log is not the log that was signed; ``findings`` says where and how, first in the log first."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        first = findings[0]
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(
            f"{first.kind}: {first.detail}{more}",
            "keep the log as it is, and compare it with the last checkpoint that an auditor or witness holds",
        )
        self.findings = findings


class LogRewoundError(LogTamperedError):
    """The log holds fewer entries than it signed before: entries were taken back."""


class LogForkedError(LogTamperedError):
    """The log signed two histories that exclude each other. Both checkpoints together prove it."""


class LogReplacedError(LogTamperedError):
    """Another log stands where this one was, from its first entry on."""


@contextmanager
def disk_trouble() -> Iterator[None]:
    """What the disk refuses inside is ``unavailable`` outside."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise unavailable(error) from error


def unavailable(error: OSError | sqlite3.Error) -> AuditUnavailableError:
    """What a failing disk means to whoever wants to append."""
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return LogFullError(
                "the audit log's disk is full", "free space or enlarge the disk; appending then resumes"
            )
        return AuditUnavailableError(f"the audit log cannot be written: {error.strerror or error}")
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        return LogFullError("the audit log's disk is full", "free space or enlarge the disk; appending then resumes")
    return AuditUnavailableError(f"the audit log's index of ids cannot be used: {error}")
