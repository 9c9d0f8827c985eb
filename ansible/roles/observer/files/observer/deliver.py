"""Hands what a host saw to the collector beside the log's writer, by mutual TLS; returns once it is durable there.

A line that says how many items follow, a line for each, and the answer's line: so the collector bounds an item before
it reads it.
"""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BATCH_ITEMS, BATCH_BYTES = 200, 256 << 10
CONNECT_SECONDS, SECONDS = 5.0, 30.0
ANSWERS_AS = "audit.links.sovereign.internal"
_ANSWER_BYTES = 64 << 10


class RefusedError(Exception):
    """The collector answered that it does not take this, and why."""


def context(folder: Path) -> ssl.SSLContext:
    """TLS 1.3 with this host's certificate, believing the links' authority alone. Raises ``OSError``."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(cafile=str(folder / "links-ca.pem"))
    made.load_cert_chain(str(folder / "link.pem"), str(folder / "link.key"))
    return made


def spelled(item: dict[str, Any]) -> bytes:
    """An item as a line, of at most 29 kB whatever a caller's texts hold. Escaped it would be more."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def deliver(items: Sequence[dict[str, Any]], collector: str, folder: Path) -> None:
    """Hand ``items`` over. Raises ``OSError`` when nobody answers in time, and ``RefusedError``.

    Whoever does not answer may have taken them all the same: they are handed over again, under the same names.
    """
    host, _, port = collector.rpartition(":")
    with socket.create_connection((host, int(port)), CONNECT_SECONDS) as plain:
        plain.settimeout(SECONDS)
        with context(folder).wrap_socket(plain, server_hostname=ANSWERS_AS) as link:
            said = b"".join(spelled(item) for item in items)
            link.sendall(json.dumps({"schema": 1, "items": len(items)}).encode() + b"\n" + said)
            answer = _answer(link)
    if answer.get("taken") != len(items):
        raise RefusedError(str(answer.get("error", "the collector's answer makes no sense"))[:500])


def _answer(link: ssl.SSLSocket) -> dict[str, Any]:
    with link.makefile("rb") as stream:
        line = stream.readline(_ANSWER_BYTES)
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the collector closed without an answer")
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
