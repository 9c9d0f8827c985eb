"""The writer's Lease on a cluster (coordination.k8s.io/v1): who does not hold it signs nothing.

A lock on the log's folder does not span hosts. So the writer's pod holds a Lease, renews it every ``RENEW_SECONDS``,
and may sign until ``DEADLINE_SECONDS`` after it *began* the last renewal that succeeded, by a clock that also counts
while the host sleeps. Whoever else wants the Lease takes it when its record has not changed for ``DURATION_SECONDS`` by
a clock of their own: what others write as times is not believed. What lies between the two is for the commit that was
checked just before its deadline. Once somebody else held it, this process never signs again (``lost``).

Where the control plane is one host (``lone``), people go on while it is away: an API server that was asked ``TRIES``
times and did not answer counts as a renewal, and a process that begins in the pod that the folder names as the last
holder goes on. What the API server does say is obeyed at once: another holder, or no right to the Lease any more.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from appliance.audit.errors import AuditUnavailableError
from appliance.audit.lease_api import ASK_SECONDS, LeaseApi, Record, is_refusal, is_silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.audit.lease_note import HolderNote

DURATION_SECONDS, DEADLINE_SECONDS, RENEW_SECONDS = 180.0, 150.0, 5.0
TRIES = 3
_HINT = "it answers again once the API server does; two writers would sign two logs"
_log = structlog.get_logger()


def since_boot() -> float:
    """Seconds that nobody sets, and that a stopped process or a sleeping host does not halt."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Terms:
    """How long a Lease holds: for others, for its holder, and between two renewals; seconds, in falling order."""

    duration: float = DURATION_SECONDS
    deadline: float = DEADLINE_SECONDS
    renew: float = RENEW_SECONDS

    def __post_init__(self) -> None:
        if not 0 < self.renew < self.deadline < self.duration:
            raise ValueError("a lease is renewed before its deadline, which comes before its end")


@dataclass
class Lease:
    """The Lease that ``api`` reads and writes, as ``holder``. ``acquire`` waits for it; then one thread keeps it."""

    api: LeaseApi
    holder: str
    lone: HolderNote | None = None
    """Of a control plane of one host; without it the API server's silence ends the right to sign."""
    terms: Terms = field(default_factory=Terms)
    clock: Callable[[], float] = since_boot
    ended: Callable[[], None] = lambda: None
    """Called once when it is lost."""
    lost: bool = False
    _until: float = 0.0
    _held: bool = False
    _mine: Record | None = None
    _noted: bool = False
    _seen: Record | None = None
    _seen_at: float = 0.0
    _silent: int = 0
    _silent_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def require(self) -> None:
        """Raises ``AuditUnavailableError`` unless this process may sign now. Asks nobody."""
        if self.lost:
            raise AuditUnavailableError("another audit writer holds the lease, or it was taken away", "this one ends")
        if self.clock() >= self._until:
            raise AuditUnavailableError("the audit writer could not renew its lease", _HINT)

    def acquire(self) -> None:
        """Wait until it is held, for ever, then keep it in a thread of its own until ``release``."""
        while not self._tried():
            self._stop.wait(min(1.0, self.terms.renew))
        self._thread = threading.Thread(target=self._keep, name="audit-lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Sign nothing more, and let the next one have it at once where the API server hears of it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(3 * ASK_SECONDS)
        self._until = 0.0
        if self._held and not self.lost:
            try:
                found = self.api.read()
                if found.holder == self.holder and self._forgotten():  # nobody may follow while the folder names us
                    self.api.write(found, {"holderIdentity": "", "leaseDurationSeconds": 1})
            except (httpx.HTTPError, OSError, ValueError):  # it ends by itself
                pass
        self.api.close()

    def step(self) -> bool:
        """Renew it, or take it where it is free; whether it is held. Raises ``httpx.HTTPError``, ``ValueError``."""
        begin = self.clock()
        try:
            held = self._asked(begin)
        except httpx.HTTPError as error:
            if self.lone is None:
                raise
            if is_refusal(error):
                self._deny(str(error))
            if not (is_silence(error) and self._goes_on(begin, self.lone)):
                raise
            return True
        self._silent = 0
        return held

    def _asked(self, begin: float) -> bool:
        found = self.api.read()
        if self._held and self._another(found):
            self._deny(f"holder {found.holder!r}")
            return False
        if found.holder not in {"", self.holder}:
            self._forgotten()
            if not self._run_out(found):
                return False
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        again = found.holder == self.holder
        transitions = found.transitions + (0 if again else 1)
        changes: dict[str, Any] = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": int(self.terms.duration),
            "renewTime": now,
            "acquireTime": found.spec.get("acquireTime") or now if again else now,
            "leaseTransitions": transitions,
        }
        if not self.api.write(found, changes):  # somebody wrote in between: the next step sees who
            return False
        self._note()
        self._mine = Record(found.whole, {**found.spec, **changes})
        self._held, self._until = True, begin + self.terms.deadline
        return True

    def _another(self, found: Record) -> bool:
        """Whether somebody else held it since this process did, be it that they let go of it, or the object is new."""
        if found.holder == self.holder:
            return self._mine is not None and found.uid != self._mine.uid
        if found.holder or self._mine is None:
            return True
        return (found.uid, found.transitions) != (self._mine.uid, self._mine.transitions)

    def _goes_on(self, begin: float, note: HolderNote) -> bool:
        """No answer: whether it is one of several in a row, and this pod was the last that held the Lease.

        After a pause (a stopped process, a sleeping host) it is asked as often again.
        """
        anew = begin - self._silent_at >= self.terms.deadline
        self._silent, self._silent_at = 1 if anew else self._silent + 1, begin
        if self._silent < TRIES or not (self._held or note.names(self.holder)):
            return False
        if self._silent == TRIES:
            _log.warning("lease_without_api_server", holder=self.holder)
        self._held, self._until = True, begin + self.terms.deadline
        return True

    def _run_out(self, found: Record) -> bool:
        """Whether a foreign record has not changed for as long as it holds, seen by our own clock."""
        if self._seen is None or found.claim != self._seen.claim:
            self._seen, self._seen_at = found, self.clock()
        return self.clock() - self._seen_at >= max(self.terms.duration, found.duration)

    def _deny(self, cause: str) -> None:
        """The API server said that it is not ours: whoever held it never signs again."""
        if self._held and not self.lost:
            self.lost, self._until = True, 0.0
            _log.error("lease_lost", cause=cause[:300])
            self._stop.set()
            self.ended()
        self._forgotten()

    def _note(self) -> None:
        """Have the folder name this pod; where its disk takes nothing, the next renewal tries again."""
        if self.lone is not None and not self._noted:
            try:
                self.lone.write(self.holder)
                self._noted = True
            except OSError as error:
                _log.warning("lease_not_noted", cause=str(error)[:300])

    def _forgotten(self) -> bool:
        """Have the folder name nobody; whether it does."""
        self._noted = False
        try:
            if self.lone is not None:
                self.lone.write("")
        except OSError as error:
            _log.warning("lease_not_noted", cause=str(error)[:300])
            return False
        return True

    def _tried(self) -> bool:
        try:
            return self.step()
        except (httpx.HTTPError, OSError, ValueError) as error:
            _log.warning("lease_not_renewed", cause=f"{type(error).__name__}: {error}"[:300])
            return False

    def _keep(self) -> None:
        while not self._stop.wait(self.terms.renew):
            self._tried()
