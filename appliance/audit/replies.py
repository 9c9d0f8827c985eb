"""What the writer answers to an append, as a status and a JSON object; the same over HTTP and in frames."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from appliance.audit.errors import (
    ApartError,
    BadRequestError,
    EntryPrunedError,
    EntryRefusedError,
    EntryTooLargeError,
    IdReusedError,
    LogFullError,
    NotYoursError,
    TooYoungError,
)
from appliance.errors import LogInconsistentError, SovereignError, UsageError

if TYPE_CHECKING:
    from appliance.audit.committing import Receipt

OK = 200
_ANSWERS: dict[type[SovereignError], tuple[int, str]] = {  # the first that fits
    LogFullError: (507, "log_full"),
    NotYoursError: (403, "not_yours"),
    IdReusedError: (409, "id_reused"),
    EntryTooLargeError: (413, "entry_too_large"),
    TooYoungError: (422, "too_young"),
    EntryRefusedError: (422, "entry_refused"),
    ApartError: (410, "apart"),
    BadRequestError: (400, "bad_request"),
    EntryPrunedError: (410, "pruned"),
    UsageError: (400, "bad_request"),
}


def appended(receipt: Receipt) -> dict[str, Any]:
    """Where the entries lie, the checkpoint that covers them, and their proofs where they were asked for."""
    head = receipt.signed.head
    proofs = receipt.proofs
    proven = {} if proofs is None else {"proofs": [[base64.b64encode(one).decode() for one in p] for p in proofs]}
    return {
        **proven,
        "positions": receipt.positions,
        "size": head.size,
        "root": base64.b64encode(head.root).decode(),
        "checkpoint": receipt.signed.note,
    }


def refused(error: SovereignError) -> tuple[int, dict[str, Any]]:
    """The status, and the cause with its hint."""
    status, code = _status(error)
    return status, {"error": {"code": code, "message": error.cause, "hint": error.hint}}


def _status(error: SovereignError) -> tuple[int, str]:
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return answer
    return 503, "log_inconsistent" if isinstance(error, LogInconsistentError) else "unavailable"
