"""Appending to the log from code without an event loop: the installer and the command line."""

from __future__ import annotations

import json
import socket as sockets
from typing import TYPE_CHECKING, Any, Self

import httpx

from appliance.audit import wire
from appliance.audit.apart import MAX_SENT
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.health import read_health

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from appliance.audit.health import Health
    from appliance.audit.wire import Position, Text

_AT_ONCE, _BYTES_AT_ONCE = 128, 1 << 20
_TIMEOUT = httpx.Timeout(wire.ANSWER_SECONDS, connect=wire.CONNECT_SECONDS)


class SyncAuditClient:
    """As ``AuditClient``, without an event loop. Close it with ``close`` or use it as a context manager."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), base_url=wire.BASE_URL, timeout=_TIMEOUT
        )

    def append(self, event: dict[str, Any], *, id: str) -> Position:  # noqa: A002 - the contract's name
        """Log ``event`` under ``id``; returns once it is durable. Raises as ``AuditClient.append``."""
        body = wire.post_body([(id, encode_entry(event, id, MAX_SENT))])
        return wire.read_positions(self._ask("POST", "/append", body), 1)[0]

    def append_all(self, entries: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Log each event under the id before it, in their order, many a POST, which succeeds or fails whole.

        Returns once all are durable. Raises as ``append``: then the POSTs before are in the log.
        """
        encoded = ((entry_id, encode_entry(event, entry_id, MAX_SENT)) for entry_id, event in entries)
        for some in _together(encoded):
            wire.read_positions(self._ask("POST", "/append", wire.post_body(some)), len(some))

    def apart(self, index: int) -> list[Text]:
        """What is kept apart of entry ``index``, held against its commitments. Raises ``ApartError`` where it is not.

        The operator alone is answered, and enters who sees it before they do.
        """
        return wire.read_apart(self._ask("GET", f"/apart?index={index}"))

    def checkpoint(self) -> str:
        """The latest durable checkpoint, a signed note."""
        response = self._ask("GET", "/checkpoint")
        if not response.is_success:
            raise AuditUnavailableError(f"the audit writer answered {response.status_code}")
        return response.text

    def shelve(self, cosigned: bytes) -> None:
        """Put a cosigned checkpoint beside the log. Raises as ``append``; whose it is, the caller verified."""
        wire.read_shelved(self._ask("POST", "/witnessed", cosigned))

    def prune(self, end: int, actor: str) -> int:
        """Have the entries before ``end`` pruned; where the entry lies that says so.

        Raises as ``append``, and ``TooYoungError`` when one of them is to be kept.
        """
        body = json.dumps({"end": end, "actor": actor}).encode()
        return wire.read_pruned(self._ask("POST", "/prune", body, wire.LONG_SECONDS))

    def put_back(self, index: int, bundle: bytes) -> None:
        """Put back the pruned entries of bundle ``index``. Raises as ``append`` when they are not this log's."""
        wire.read_restored(self._ask("POST", f"/restore?index={index}", bundle))

    def health(self) -> Health:
        """What the writer says of itself. Raises ``AuditUnavailableError`` while appending does not work."""
        return read_health(self._ask("GET", "/healthz"))

    def _ask(
        self, method: str, path: str, body: bytes | None = None, seconds: float = wire.ANSWER_SECONDS
    ) -> httpx.Response:
        try:
            try:
                return self._request(method, path, body, seconds)
            except (httpx.NetworkError, httpx.RemoteProtocolError):  # as in ``AuditClient``: once more, on a new one
                return self._request(method, path, body, seconds)
        except (OSError, httpx.HTTPError) as error:
            raise wire.unreachable(error) from error

    def _request(self, method: str, path: str, body: bytes | None, seconds: float) -> httpx.Response:
        """One attempt. httpcore forgets to close a Unix socket that it could not connect, so see first who listens."""
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
            probe.settimeout(wire.CONNECT_SECONDS)
            probe.connect(str(self._socket))
        timeout = httpx.Timeout(seconds, connect=wire.CONNECT_SECONDS)
        return self._http.request(method, path, content=body, timeout=timeout)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _together(entries: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """In groups for one POST each: so many, or so many bytes; never none."""
    some: list[tuple[str, bytes]] = []
    for one in entries:
        if some and (len(some) == _AT_ONCE or sum(len(entry) for _, entry in some) + len(one[1]) > _BYTES_AT_ONCE):
            yield some
            some = []
        some.append(one)
    if some:
        yield some
