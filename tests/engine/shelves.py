"""A shelf for states on disk, opened as an engine opens it, and closed as one that stops."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from appliance.engine.job import Owner
from appliance.engine.kv.arena import Arena, open_arena
from appliance.engine.kv.shelf import KvShelf, identity_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MASTER = bytes(range(32))
MODEL = identity_of(model="sha256:one", library="1")
SITE, CLERKS = Owner("site", ""), Owner("group", "clerks")
MIB = 1 << 20


@contextlib.contextmanager
def shelf_at(path: Path, *, mib: int = 16, master: bytes = MASTER, identity: bytes = MODEL) -> Iterator[KvShelf]:
    """What an engine that starts finds in the file at ``path``; closed at the end, as one that stops in order does."""
    descriptor = open_arena(path, mib)
    shelf = KvShelf(Arena(descriptor), master, identity)
    try:
        yield shelf
    finally:
        shelf.close()
        os.close(descriptor)


def put(shelf: KvShelf, tokens: tuple[int, ...], state: bytes, owner: Owner = SITE) -> bool:
    """Keep ``state``, and wait until it is kept."""
    begun = shelf.save(owner, tokens, bytearray(state))
    shelf.wait(20)
    assert not shelf.busy
    return begun
