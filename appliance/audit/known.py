"""What is known of a log while it is open, and nothing once it is not: before the first use, and after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.errors import AuditUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.note import VerifierKey
    from appliance.audit.open_log import OpenLog
    from appliance.audit.settling import Signed


class Known:
    """The state of the log in ``directory``, which ``vkeys`` verify; whoever opens it puts it there."""

    def __init__(self, directory: Path, vkeys: tuple[VerifierKey, ...]) -> None:
        self._directory = directory
        self._vkeys = vkeys
        self._state: OpenLog | None = None

    @property
    def directory(self) -> Path:
        """The folder that holds the log."""
        return self._directory

    @property
    def vkeys(self) -> tuple[VerifierKey, ...]:
        """The keys that verify what this log signs."""
        return self._vkeys

    @property
    def pruned(self) -> int:
        """Entries before this position may be gone; 0 while the log is not open."""
        return self._state.pruned if self._state else 0

    @property
    def signed(self) -> Signed | None:
        """The last durable checkpoint, or None while the log is not open (before the first use, after a failure)."""
        return self._state.signed if self._state else None

    @property
    def settled(self) -> Signed | None:
        """The last checkpoint whose tree lies in tiles; what readers of the folder see. None as ``signed``."""
        return self._state.settled if self._state else None

    @property
    def unsettled(self) -> bool:
        """Whether entries lie in the journal only."""
        return bool(self._state and (self._state.unsettled.entries or self._state.settling))

    def count_open(self) -> int:
        """How many requests have no end yet; 0 while the log is not open."""
        return len(self._state.ids.open_requests()) if self._state else 0

    def forget_request(self, request: str) -> None:
        """See ``IdIndex.forget_request``."""
        if self._state:
            self._state.ids.forget_request(request)

    def _ready(self) -> OpenLog:
        if self._state is None:
            raise AuditUnavailableError("the audit log is not open")
        return self._state

    def _forget(self) -> None:
        if self._state:
            self._state.ids.close()
            self._state = None
