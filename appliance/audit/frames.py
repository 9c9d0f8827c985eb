"""Entries over the audit socket without HTTP: what a gateway, which appends all day, says and hears. Pure.

A connection opens with a preface that no HTTP request begins with: the protocol and the caller's instance, 16 hex
digits that it made at its start. Then frames both ways, each behind its length and a number (32 bits each, big-endian):
- to the writer: an entry bundle as in a tile, each entry in its canonical spelling behind 16 bits of length
- from the writer: a JSON object, ``status`` and what POST /append answers, under the number that it answers
A number whose highest bit is set (``PROVEN``) asks for more: ``proofs``, for each entry the hashes of its inclusion
proof under the checkpoint of the answer, leaf's sibling first, in base64. They are left out where a tile is damaged.
A connection's frames are appended in their order. While one is open, the writer takes its instance to be alive.
"""

from __future__ import annotations

import re
import secrets
import struct
from dataclasses import dataclass, field

from appliance.audit.errors import BadRequestError

INSTANCE = re.compile(r"[0-9a-f]{16}")
MAX_PAYLOAD = 2 << 20
_WORD = b"sovereign-audit/1 "
PREFACE_BYTES = len(_WORD) + 17
PROVEN = 1 << 31
"""In a frame's number: with proofs."""
_HEAD = struct.Struct(">II")


def new_instance() -> str:
    """A name that no other process has or had."""
    return secrets.token_hex(8)


def preface(instance: str) -> bytes:
    """What a connection of ``instance`` opens with."""
    return _WORD + instance.encode() + b"\n"


def speaks_frames(beginning: bytes) -> bool:
    """Whether a connection that begins so may be one of frames; one byte decides, since HTTP's methods are capitals."""
    return beginning.startswith(_WORD[: len(beginning)])


def read_preface(data: bytes) -> str:
    """The instance that ``PREFACE_BYTES`` bytes name. Raises ``BadRequestError``."""
    instance = data[len(_WORD) : -1].decode("ascii", "replace")
    if not data.startswith(_WORD) or data[-1:] != b"\n" or not INSTANCE.fullmatch(instance):
        raise BadRequestError("the connection does not open as one of frames")
    return instance


def frame(number: int, payload: bytes) -> bytes:
    """A frame as it is sent."""
    return _HEAD.pack(len(payload), number) + payload


@dataclass
class FrameReader:
    """Takes bytes as they arrive and gives whole frames."""

    limit: int = MAX_PAYLOAD
    _data: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Numbers and payloads of the frames that ``data`` completes. Raises ``BadRequestError`` for one too long."""
        self._data += data
        found, start = [], 0
        while len(self._data) - start >= _HEAD.size:
            length, number = _HEAD.unpack_from(self._data, start)
            if length > self.limit:
                raise BadRequestError(f"a frame has {length} bytes; {self.limit} is the most")
            end = start + _HEAD.size + length
            if end > len(self._data):
                break
            found.append((number, bytes(self._data[start + _HEAD.size : end])))
            start = end
        del self._data[:start]
        return found
