"""A log that passes as a stream of files: judged as a whole without lying on a disk.

Files come in any order but for the first: the checkpoint, which says how large the tree is, so that nothing beyond it
is taken. Of each tile two hashes are kept; what they add up to is compared with the signed root at the end. Only then
is anything of what passed believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from appliance.audit.apart import FILE_NAME, KEY_NAME, SEALED_KEY_BYTES
from appliance.audit.checkpoint import Checkpoint, open_checkpoint
from appliance.audit.cosigned import WITNESSED
from appliance.audit.erased import erased_in
from appliance.audit.merkle import HASH_BYTES, CompactTree, leaf_hash, perfect_root
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.pruned import PRUNED, parse_pruned, said_until
from appliance.audit.tiles import (
    CHECKPOINT,
    HEIGHT,
    TILES,
    WIDTH,
    decode_entries,
    level_width,
    split_hashes,
    tile_path,
)
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from appliance.audit.note import VerifierKey

_TILE = re.compile(rf"{TILES}/(entries|\d{{1,2}})/((?:x\d{{3}}/)*\d{{3}})(?:\.p/(\d{{1,3}}))?")
_NOTE = re.compile(rf"{WITNESSED}/[A-Za-z0-9][A-Za-z0-9._+-]{{0,200}}\.note")
_HINT = "the log was changed, or cut; nothing of it is used"


@dataclass(frozen=True)
class Passed:
    """What passed: the signed head, how many entries of the beginning were pruned, whom the entries say were erased.

    ``began`` is the root of the log's first entries, as many as were asked for.
    """

    head: Checkpoint
    pruned: int
    erased: frozenset[str]
    began: bytes


@dataclass
class PassingLog:
    """Takes a log's files one after the other. ``beginning`` is the size of an older head, whose root is wanted."""

    vkeys: Sequence[VerifierKey]
    beginning: int = 0
    _head: Checkpoint | None = None
    _pruned: tuple[int, int] = (0, 0)
    _said: bytes = b""
    _erased: set[str] = field(default_factory=set)
    _bundles: dict[int, bytes] = field(default_factory=dict)
    _tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _roots: dict[int, bytes] = field(default_factory=dict)
    _kept: dict[int, list[bytes]] = field(default_factory=dict)
    """Hashes of the tiles that are not full, and of the one in which the beginning ends."""

    def take(self, name: str, data: bytes) -> None:
        """One file by its name in the log's folder. Raises ``LogInconsistentError`` for what cannot be of this log."""
        if found := FILE_NAME.fullmatch(name):  # what is kept apart comes first in an archive's order, and stands alone
            if sha256(data).hexdigest() != found[2]:
                raise LogInconsistentError(f"{name} was changed", _HINT)
        elif KEY_NAME.fullmatch(name) and len(data) <= SEALED_KEY_BYTES:
            return  # it opens with the log's key, or it is of no use
        elif self._head is None:
            if name != CHECKPOINT:
                raise LogInconsistentError(f"the log begins with {name!a} instead of its checkpoint", _HINT)
            self._head = open_checkpoint(data, self.vkeys)
        elif name == PRUNED and not self._pruned[0]:
            self._pruned = parse_pruned(data)
        elif found := _TILE.fullmatch(name):
            level = None if found[1] == "entries" else int(found[1])
            index = int(found[2].replace("x", "").replace("/", ""))
            self._tile(level, index, int(found[3] or WIDTH), name, data)
        elif not _NOTE.fullmatch(name) or len(data) > MAX_NOTE_BYTES:
            raise LogInconsistentError(f"{name!a} is no file of a log", _HINT)

    def _tile(self, level: int | None, index: int, width: int, name: str, data: bytes) -> None:
        if name != tile_path(level, index, width) or width != self._width(level, index):
            raise LogInconsistentError(f"{name!a} is no tile of this log", _HINT)
        if level is None:
            self._bundle(index, width, data)
            return
        if len(data) != width * HASH_BYTES or (level, index) in self._tiles:
            raise LogInconsistentError(f"{name} is cut, or comes twice", _HINT)
        self._tiles[level, index] = sha256(data).digest()
        if level == 0:
            hashes = split_hashes(data)
            if width == WIDTH:
                self._roots[index] = perfect_root(hashes)
            if width < WIDTH or index == self.beginning // WIDTH:
                self._kept[index] = hashes

    def _bundle(self, index: int, width: int, data: bytes) -> None:
        entries, used = decode_entries(data, width)
        if len(entries) != width or used != len(data) or index in self._bundles:
            raise LogInconsistentError(f"the entries from {index * WIDTH} on are cut, or come twice", _HINT)
        self._bundles[index] = sha256(b"".join(map(leaf_hash, entries))).digest()
        self._erased.update(erased_in(entries))
        if index == self._pruned[1] // WIDTH:
            self._said = entries[self._pruned[1] % WIDTH] if self._pruned[1] % WIDTH < width else b""

    def _width(self, level: int | None, index: int) -> int:
        assert self._head is not None
        return max(0, min(WIDTH, level_width(self._head.size, level or 0) - index * WIDTH))

    def finish(self) -> Passed:
        """All of it is there. Raises ``LogInconsistentError`` unless it is what the checkpoint signs."""
        if self._head is None:
            raise LogInconsistentError("the log is empty: it has no checkpoint", _HINT)
        size, pruned = self._head.size, self._judged_pruned()
        if self._root(size) != self._head.root:
            raise LogInconsistentError("the log's hashes do not add up to the root that it signed", _HINT)
        for index in range(-(-size // WIDTH)):
            bundle = self._bundles.get(index)
            if bundle is None and index * WIDTH < pruned:
                continue
            if bundle != self._tiles[0, index]:
                raise LogInconsistentError(f"the entries from {index * WIDTH} on are not those that were signed", _HINT)
        self._judge_above()
        if self.beginning > size:
            raise LogInconsistentError(f"the log has {size} entries, and {self.beginning} were there before", _HINT)
        return Passed(self._head, pruned, frozenset(self._erased), self._root(self.beginning))

    def _judged_pruned(self) -> int:
        end, index = self._pruned
        assert self._head is not None
        if end and not (0 < end <= index < self._head.size and end % WIDTH == 0 and said_until(self._said, end)):
            raise LogInconsistentError(f"entries before {end} are said to be pruned, and no entry says so", _HINT)
        return end

    def _root(self, size: int) -> bytes:
        """Of the first ``size`` entries, by their leaves' hashes alone."""
        tree = CompactTree()
        try:
            for index in range(size // WIDTH):
                tree.append_perfect(self._roots[index], HEIGHT)
            for leaf in self._kept[size // WIDTH][: size % WIDTH] if size % WIDTH else ():
                tree.append(leaf)
        except KeyError as error:
            raise LogInconsistentError(
                f"the hashes of the entries from {error} times 256 on are missing", _HINT
            ) from None
        return tree.root()

    def _judge_above(self) -> None:
        """Tiles above the leaves' are what they are computed from; and none is missing."""
        assert self._head is not None
        level, below = 1, [self._roots[index] for index in range(self._head.size // WIDTH)]
        while below:
            rows = [below[start : start + WIDTH] for start in range(0, len(below), WIDTH)]
            for index, row in enumerate(rows):
                if self._tiles.get((level, index)) != sha256(b"".join(row)).digest():
                    raise LogInconsistentError(f"{tile_path(level, index, len(row))} is missing or was changed", _HINT)
            level, below = level + 1, [perfect_root(row) for row in _full(rows)]


def _full(rows: Iterable[list[bytes]]) -> Iterable[list[bytes]]:
    return (row for row in rows if len(row) == WIDTH)
