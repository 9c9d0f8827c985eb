"""What lies in an arena, and where: a list that is written as a whole, sealed under the arena's key. Pure.

Two places take turns (``arena``); the one that opens and has the higher generation counts. So a list that was being
written when the machine stopped costs what was new in it, and nothing else.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.engine.job import Owner

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAGIC = b"svrnkv1\n"
IDENTITY_BYTES = 32
_HEAD = struct.Struct(f">8s{IDENTITY_BYTES}sQ12sI")
_SHARED = frozenset({"site", "group"})


@dataclass(frozen=True, eq=False)
class Kept:
    """The state of ``tokens``, ``length`` bytes of it, sealed under ``key`` in ``blocks``.

    ``used``, ``made``: Unix time, s.
    Two are the same where they are one object: a state that was saved again is another one.
    """

    owner: Owner
    tokens: tuple[int, ...]
    length: int
    key: bytes
    blocks: tuple[int, ...]
    used: int
    made: int

    def at(self, used: int) -> Kept:
        """The same, used at another time."""
        return replace(self, used=used)


@dataclass(frozen=True)
class Found:
    """One of the two places, as read. ``entries`` is None where the place holds nothing of this arena's."""

    generation: int
    entries: tuple[Kept, ...] | None


NOTHING = Found(0, None)


def written(entries: Sequence[Kept], *, key: bytes, identity: bytes, generation: int) -> bytes:
    """The list as it is put into a place."""
    plain = json.dumps([_plain(entry) for entry in entries], separators=(",", ":")).encode()
    nonce = os.urandom(12)
    head = (MAGIC, identity, generation, nonce, len(plain))
    return _HEAD.pack(*head) + AESGCM(key).encrypt(nonce, plain, _bound(*head))


def read(place: bytes, *, key: bytes, identity: bytes, block_count: int) -> Found:
    """What ``place`` holds for ``identity``; ``NOTHING`` where it holds another arena's list, none, or a broken one."""
    if len(place) < _HEAD.size:
        return NOTHING
    magic, whose, generation, nonce, length = head = _HEAD.unpack_from(place)
    if magic != MAGIC or whose != identity:
        return NOTHING
    sealed = place[_HEAD.size : _HEAD.size + length + 16]
    try:
        plain = AESGCM(key).decrypt(nonce, sealed, _bound(*head))
        entries = tuple(_entry(fields) for fields in json.loads(plain))
    except (InvalidTag, ValueError, KeyError, TypeError, AttributeError):
        return NOTHING
    return Found(generation, entries) if _fits(entries, block_count) else NOTHING


def is_used(place: bytes) -> bool:
    """Whether anything was ever written there."""
    return any(place[: _HEAD.size])


def _bound(magic: bytes, identity: bytes, generation: int, _nonce: bytes, length: int) -> bytes:
    return struct.pack(f">8s{IDENTITY_BYTES}sQI", magic, identity, generation, length)


def _plain(entry: Kept) -> dict[str, Any]:
    owner = entry.owner
    return {
        "owner": [owner.scope, owner.name, owner.adapter],
        "tokens": entry.tokens,
        "length": entry.length,
        "key": entry.key.hex(),
        "blocks": entry.blocks,
        "used": entry.used,
        "made": entry.made,
    }


def _entry(fields: dict[str, Any]) -> Kept:
    scope, name, adapter = fields["owner"]
    if scope not in _SHARED:
        raise ValueError("only what a site or a group wrote is kept")
    return Kept(
        owner=Owner(scope, str(name), str(adapter)),
        tokens=tuple(map(int, fields["tokens"])),
        length=int(fields["length"]),
        key=bytes.fromhex(fields["key"]),
        blocks=tuple(map(int, fields["blocks"])),
        used=int(fields["used"]),
        made=int(fields.get("made", fields["used"])),  # lists of earlier releases do not say
    )


def _fits(entries: Collection[Kept], block_count: int) -> bool:
    """Whether no block is named twice or lies outside: the list is ours, and a defect of ours is one too."""
    blocks = [block for entry in entries for block in entry.blocks]
    return len(set(blocks)) == len(blocks) and all(0 <= block < block_count for block in blocks)
