"""The API server as the writer's Lease needs it: one object, read and written, and what a failure says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ASK_SECONDS = 5.0
_REFUSALS = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND})


@dataclass(frozen=True)
class Record:
    """A Lease as the API server has it: ``whole``, and what is believed of its ``spec``."""

    whole: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def uid(self) -> str:
        """Of the object: another one by the same name has another."""
        return str(self.whole["metadata"].get("uid") or "")

    @property
    def holder(self) -> str:
        """Who has it; empty: nobody."""
        return str(self.spec.get("holderIdentity") or "")

    @property
    def transitions(self) -> int:
        """How often it went to another. Raises ``ValueError`` where that is no number."""
        return int(self.spec.get("leaseTransitions") or 0)

    @property
    def duration(self) -> float:
        """Seconds that its holder asked for; 0 where that is no number."""
        asked = self.spec.get("leaseDurationSeconds")
        return float(asked) if isinstance(asked, int) else 0.0

    @property
    def claim(self) -> tuple[object, ...]:
        """What changes with each renewal."""
        return tuple(self.spec.get(name) for name in ("holderIdentity", "renewTime", "leaseTransitions"))


@dataclass(frozen=True)
class LeaseApi:
    """The Lease at ``path`` of ``http``'s API server. ``token`` gives the account's token each time."""

    http: httpx.Client
    path: str
    token: Callable[[], str] = field(default=lambda: "")

    def read(self) -> Record:
        """The Lease. Raises ``httpx.HTTPError``, and ``ValueError`` where the answer is none."""
        response = self.http.get(self.path, headers=self._headers())
        response.raise_for_status()
        found = response.json()
        if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
            raise ValueError("the API server's answer is no lease")  # noqa: TRY004 - what was sent is wrong, not how we called
        spec = found.get("spec")
        return Record(found, spec if isinstance(spec, dict) else {})

    def write(self, found: Record, changes: Mapping[str, Any]) -> bool:
        """Put ``changes`` where nothing changed since it was read; False where something did. Raises as ``read``."""
        body = {**found.whole, "spec": {**found.spec, **changes}}
        response = self.http.put(self.path, json=body, headers=self._headers())
        if response.status_code == httpx.codes.CONFLICT:
            return False
        response.raise_for_status()
        return True

    def close(self) -> None:
        """Let go of the connection."""
        self.http.close()

    def _headers(self) -> dict[str, str]:
        token = self.token()
        return {"Authorization": f"Bearer {token}"} if token else {}


def is_silence(error: httpx.HTTPError) -> bool:
    """Whether nobody answered who could know: no connection, no answer in time, a server that cannot (5xx, 429)."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error or error.response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return isinstance(error, httpx.TransportError)


def is_refusal(error: httpx.HTTPError) -> bool:
    """Whether the API server says that pod, account, right or Lease are gone (401, 403, 404)."""
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _REFUSALS
