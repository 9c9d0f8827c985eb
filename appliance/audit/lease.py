"""The writer's Lease on a cluster (coordination.k8s.io/v1): who does not hold it signs nothing.

A lock on the log's folder does not span hosts. So the writer's pod holds a Lease, renews it every ``RENEW_SECONDS``,
and may sign until ``DEADLINE_SECONDS`` after it *began* the last renewal that succeeded, by a clock that also counts
while the host sleeps. Whoever else wants the Lease takes it when its record has not changed for ``DURATION_SECONDS`` by
a clock of their own: what others write as times is not believed. What lies between the two is for the commit that was
checked just before its deadline. Once somebody else held it, this process never signs again (``lost``).
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from appliance.audit.errors import AuditUnavailableError
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DURATION_SECONDS, DEADLINE_SECONDS, RENEW_SECONDS = 180.0, 150.0, 5.0
ASK_SECONDS = 5.0
ENVIRONMENT = "AUDIT_LEASE"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
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
    """The Lease at ``path`` of ``http``'s API server, as ``holder``. ``token`` gives the account's token each time."""

    http: httpx.Client
    path: str
    holder: str
    token: Callable[[], str] = lambda: ""
    terms: Terms = field(default_factory=Terms)
    clock: Callable[[], float] = since_boot
    ended: Callable[[], None] = lambda: None
    """Called once when somebody else holds it."""
    lost: bool = False
    _until: float = 0.0
    _held: bool = False
    _seen: tuple[object, ...] | None = None
    _seen_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def require(self) -> None:
        """Raises ``AuditUnavailableError`` unless this process may sign now. Asks nobody."""
        if self.lost:
            raise AuditUnavailableError("another audit writer holds the lease", "this one ends")
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
                found = self._read()
                if _spec(found).get("holderIdentity") == self.holder:
                    self._write(found, {"holderIdentity": "", "leaseDurationSeconds": 1})
            except (httpx.HTTPError, OSError, ValueError):  # it ends by itself
                pass
        self.http.close()

    def step(self) -> bool:
        """Renew it, or take it where it is free; whether it is held. Raises ``httpx.HTTPError``, ``ValueError``."""
        begin = self.clock()
        found = self._read()
        spec = _spec(found)
        holder = spec.get("holderIdentity") or ""
        if holder not in {"", self.holder}:
            if self._held:
                self._lose(str(holder))
                return False
            if not self._run_out(spec):
                return False
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        again = holder == self.holder
        changes: dict[str, Any] = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": int(self.terms.duration),
            "renewTime": now,
            "acquireTime": spec.get("acquireTime") or now if again else now,
            "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if again else 1),
        }
        if not self._write(found, changes):  # somebody wrote in between: the next step sees who
            return False
        self._held, self._until = True, begin + self.terms.deadline
        return True

    def _run_out(self, spec: Mapping[str, Any]) -> bool:
        """Whether a foreign record has not changed for as long as it holds, seen by our own clock."""
        record = tuple(spec.get(name) for name in ("holderIdentity", "renewTime", "leaseTransitions"))
        if record != self._seen:
            self._seen, self._seen_at = record, self.clock()
        asked = spec.get("leaseDurationSeconds")
        duration = max(self.terms.duration, float(asked) if isinstance(asked, int) else 0.0)
        return self.clock() - self._seen_at >= duration

    def _lose(self, holder: str) -> None:
        self.lost, self._until = True, 0.0
        _log.error("lease_lost", holder=holder)
        self._stop.set()
        self.ended()

    def _tried(self) -> bool:
        try:
            return self.step()
        except (httpx.HTTPError, OSError, ValueError) as error:
            _log.warning("lease_not_renewed", cause=f"{type(error).__name__}: {error}"[:300])
            return False

    def _keep(self) -> None:
        while not self._stop.wait(self.terms.renew):
            self._tried()

    def _read(self) -> dict[str, Any]:
        response = self.http.get(self.path, headers=self._headers())
        response.raise_for_status()
        found = response.json()
        if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
            raise ValueError("the API server's answer is no lease")  # noqa: TRY004 - what was sent is wrong, not how we called
        return found

    def _write(self, found: dict[str, Any], changes: Mapping[str, Any]) -> bool:
        """Put ``changes`` where nothing changed since it was read; False where something did."""
        body = found | {"spec": {**_spec(found), **changes}}
        response = self.http.put(self.path, json=body, headers=self._headers())
        if response.status_code == httpx.codes.CONFLICT:
            return False
        response.raise_for_status()
        return True

    def _headers(self) -> dict[str, str]:
        token = self.token()
        return {"Authorization": f"Bearer {token}"} if token else {}


def lease_of_pod(environment: Mapping[str, str], ended: Callable[[], None]) -> Lease | None:
    """The Lease that the pod's environment names (``AUDIT_LEASE``, NAMESPACE/NAME/HOLDER); None where it names none.

    Raises ``DeploymentError`` when it is named and the pod was not given what it takes to hold it.
    """
    named = environment.get(ENVIRONMENT)
    if not named:
        return None
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    namespace, _, rest = named.partition("/")
    name, _, holder = rest.partition("/")
    if not (host and namespace and name and holder):
        raise DeploymentError(f"{ENVIRONMENT} names no lease that can be held", "the chart `audit` sets it")
    try:
        trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    except OSError as error:
        raise DeploymentError("the pod has no certificate of the API server", "the chart `audit` mounts it") from error
    address = f"[{host}]" if ":" in host else host
    http = httpx.Client(base_url=f"https://{address}:{port}", verify=trusted, timeout=ASK_SECONDS, trust_env=False)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
    return Lease(http, path, holder, token=lambda: (ACCOUNT / "token").read_text(encoding="ascii").strip(), ended=ended)


def lease_here(ended: Callable[[], None]) -> Lease | None:
    """As ``lease_of_pod``, of this process."""
    return lease_of_pod(os.environ, ended)


def _spec(found: Mapping[str, Any]) -> dict[str, Any]:
    spec = found.get("spec")
    return dict(spec) if isinstance(spec, dict) else {}
