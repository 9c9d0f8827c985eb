"""Beginnings of prompts on disk: found by their tokens, opened, trusted for nothing before they open.

Only what a site or a group wrote is kept: what a person wrote never lies on this disk. Each state has a key of its own,
which stands in the sealed list; letting go of a state is letting go of its key. The list's key is the engine's and the
model's: states of another model, build or shape of the context are not seen at all.

The owner thread finds and loads; one thread behind it saves. Where both meet on the same blocks, what was loaded does
not open, which is a miss.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.engine.errors import SealBrokenError
from appliance.engine.kv import index
from appliance.engine.kv.arena import BLOCK_BYTES
from appliance.engine.kv.catalogue import Catalogue
from appliance.engine.kv.index import Kept
from appliance.engine.kv.sealing import TAG_BYTES, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from appliance.engine.job import Owner, Passage
    from appliance.engine.kv.arena import Arena

_log = structlog.get_logger("engine")
_PLACES = 2


def identity_of(**facts: str) -> bytes:
    """What a state depends on beside its tokens, as 32 bytes."""
    lines = "".join(f"{len(value)} {name}={value}\n" for name, value in sorted(facts.items()))
    return hashlib.sha256(lines.encode()).digest()


class KvShelf:
    """States of tokens in ``arena``, for the model and context that ``identity`` says. ``master`` is 32 secret bytes.

    ``dropped`` counts states that were there and did not open.
    """

    def __init__(self, arena: Arena, master: bytes, identity: bytes) -> None:
        self._arena = arena
        self._identity = identity
        self._key = HKDF(hashes.SHA256(), 32, salt=None, info=b"sovereign kv list v1\n" + identity).derive(master)
        self._lock = threading.Lock()  # guards catalogue and changed; never held while bytes are made or written
        self._writing = threading.Lock()  # guards generation, and the places
        self._catalogue, self._generation = self._read()
        self._changed = False
        self._saving: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine-kv")
        self._thread.submit(int)  # the thread starts now, where a failure to start it harms nobody
        self.dropped = 0

    @property
    def entries(self) -> tuple[Kept, ...]:
        """What is kept, the most recently used first."""
        with self._lock:
            return self._catalogue.entries

    @property
    def used_bytes(self) -> int:
        """Bytes of disk that states take."""
        with self._lock:
            return self._catalogue.used_blocks * BLOCK_BYTES

    @property
    def busy(self) -> bool:
        """Whether a state is being saved; another one has to wait."""
        return self._saving is not None and not self._saving.done()

    def wait(self, seconds: float) -> None:
        """Return once nothing is being saved, or after ``seconds``."""
        if self._saving is not None:
            wait((self._saving,), timeout=seconds)

    def find(self, tokens: tuple[int, ...], passages: Iterable[Passage]) -> Kept | None:
        """The longest state that ``tokens`` begin with, among those that ``passages`` allow; it counts as used."""
        with self._lock:
            kept = self._catalogue.longest(tokens, passages)
            if kept is None:
                return None
            self._changed = True
            return self._catalogue.used(kept, _now())

    def has(self, owner: Owner, tokens: tuple[int, ...]) -> bool:
        """Whether the state of exactly these tokens is kept."""
        with self._lock:
            return self._catalogue.get(owner, tokens) is not None

    def load(self, kept: Kept) -> bytearray | None:
        """The state, or None when it does not open: then it is kept no more."""
        try:
            return unseal(kept.key, _bound(kept), self._blocks(kept), kept.length, BLOCK_BYTES)
        except (SealBrokenError, OSError) as error:
            _log.warning("kv_state_dropped", tokens=len(kept.tokens), reason=str(error))
            self.drop(kept)
            return None

    def drop(self, kept: Kept) -> None:
        """Keep it no more: it is not what it should be."""
        self.dropped += 1
        with self._lock:
            self._catalogue.remove(kept)
            self._changed = True

    def forget(self, owner: Owner) -> int:
        """Keep nothing of ``owner`` any more, and write that down; how many states went."""
        with self._lock:
            gone = [kept for kept in self._catalogue.entries if kept.owner == owner]
            for kept in gone:
                self._catalogue.remove(kept)
        for _ in range(_PLACES if gone else 0):  # so that neither list holds the keys any more
            self._write()
        return len(gone)

    def save(self, owner: Owner, tokens: tuple[int, ...], state: bytearray) -> bool:
        """Keep ``state`` in the background, for which older ones may go; false when it cannot be kept.

        Only while ``busy`` is false. Raises ``ValueError`` for what a person wrote.
        """
        if owner.scope == "user":
            raise ValueError("what a person wrote is not kept on disk")
        with self._lock:
            blocks = self._catalogue.claim(len(state), len(tokens))
        if blocks is None:
            return False
        now = _now()
        kept = Kept(owner, tokens, len(state), os.urandom(32), blocks, used=now, made=now)
        self._saving = self._thread.submit(self._save, kept, state)
        return True

    def close(self) -> None:
        """Wait for what is being saved and write the list down. Nothing may be called afterwards."""
        self._thread.shutdown(wait=True)
        if self._changed:
            self._write()

    def _save(self, kept: Kept, state: bytearray) -> None:
        try:
            sealed = seal(kept.key, _bound(kept), memoryview(state), BLOCK_BYTES)
            for number, block in zip(kept.blocks, sealed, strict=True):
                self._arena.write_block(number, block)
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread: whatever it was, the blocks come back
            _log.warning("kv_state_not_kept", tokens=len(kept.tokens), reason=str(error) or type(error).__name__)
            with self._lock:
                self._catalogue.release(kept.blocks)
            return
        with self._lock:
            self._catalogue.enter(kept)
        self._write()

    def _read(self) -> tuple[Catalogue, int]:
        count = self._arena.block_count
        places = [self._arena.place(generation) for generation in range(_PLACES)] if count else []
        found = [index.read(p, key=self._key, identity=self._identity, block_count=count) for p in places]
        newest = max(found, key=lambda one: one.generation, default=index.NOTHING)
        if newest.entries is None and any(index.is_used(place) for place in places):
            _log.info("kv_begins_anew", reason="what is on disk is another model's, or damaged")
        return Catalogue(newest.entries or (), count), newest.generation

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                entries, self._changed = self._catalogue.entries, False
            self._generation += 1
            data = index.written(entries, key=self._key, identity=self._identity, generation=self._generation)
            try:
                self._arena.write_place(self._generation, data)
            except (OSError, ValueError) as error:
                _log.warning("kv_list_not_written", reason=str(error))

    def _blocks(self, kept: Kept) -> Iterator[bytes]:
        left = kept.length
        for number in kept.blocks:
            size = min(left, BLOCK_BYTES - TAG_BYTES)
            left -= size
            yield self._arena.read_block(number, size + TAG_BYTES)


def _bound(kept: Kept) -> bytes:
    """What a state's blocks are bound to: whose it is, and of which tokens."""
    whose = [kept.owner.scope, kept.owner.name, kept.owner.adapter]
    return hashlib.sha256(json.dumps([whose, kept.tokens]).encode()).digest()


def _now() -> int:
    return int(time.time())
