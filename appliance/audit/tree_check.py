"""One pass over the entries and tiles of a log: what hashes to what, and what was done where it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.errors import EntryPrunedError
from appliance.audit.findings import Finding, compare
from appliance.audit.merkle import CompactTree, leaf_hash, perfect_root
from appliance.audit.tiles import HEIGHT, WIDTH, TileReader, level_width, split_hashes, tile_path, unpack_bundle
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.earlier import Earlier


@dataclass
class TreeCheck:
    """Bundle by bundle, against the tiles, the signed root and earlier checkpoints; ``findings`` say what is wrong."""

    tiles: TileReader
    head: Checkpoint
    earlier: tuple[Earlier, ...]
    promises: tuple[Earlier, ...] = ()
    """What the log's own journal holds of its beginning: told of where nothing else says what is wrong."""
    unread: int = 0
    """Bundles whose entries are not read, from the first on: their hashes count as the tiles have them."""
    findings: list[Finding] = field(default_factory=list)
    tree: CompactTree = field(default_factory=CompactTree)
    broken: bool = False
    """A tile and its bundle are both gone: from here on no root can be computed, only bundles compared."""
    pending: list[list[bytes]] = field(default_factory=list)
    """Roots of the tiles read so far whose tile above is not complete yet, per level."""
    gone: bool = False
    """Entries that the log says were pruned are not there; their hashes are."""

    def __post_init__(self) -> None:
        self.earlier_by_bundle: dict[int, list[Earlier]] = {}
        self.broken_promises: list[Finding] = []
        for one in (*self.earlier, *self.promises):
            if one.head.size <= self.tiles.size:
                self.earlier_by_bundle.setdefault(one.head.size // WIDTH, []).append(one)

    def bundle(self, index: int) -> list[bytes]:
        """Check one bundle against its tile, then go on with the one that holds, so that one edit is one finding.

        Returns its entries, none where they are gone.
        """
        width = self.tiles.width(None, index)
        promised, entries, torn = self._stored(index, width)
        leaves = promised
        if entries is not None:
            actual = [leaf_hash(entry) for entry in entries]
            if promised is not None and (promised != actual or torn):
                leaves = self._judge(promised, actual, index, torn=torn)
            leaves = leaves if leaves is not None else actual[:width]
        self._advance(leaves or [], index, width)
        return (entries or [])[:width]

    def _stored(self, index: int, width: int) -> tuple[list[bytes] | None, list[bytes] | None, bool]:
        """The tile's hashes, the bundle's entries and whether the bundle is torn; None for what cannot be read."""
        promised = entries = None
        torn = False
        try:
            promised = split_hashes(self.tiles.tile(0, index))
            self.findings += self._padding(0, index)
        except LogInconsistentError as error:
            self.findings.append(Finding("missing", index * WIDTH, error.cause))
        if index < self.unread:
            return promised, None, False
        try:
            entries, torn = unpack_bundle(self.tiles.read(None, index), width, exact=self.tiles.exact(None, index))
        except EntryPrunedError:
            self.gone = True
        except LogInconsistentError as error:
            self.findings.append(Finding("missing", index * WIDTH, error.cause))
        return promised, entries, torn

    def _padding(self, level: int, index: int) -> list[Finding]:
        if not self.tiles.padded(level, index):
            return []
        path = tile_path(level, index, self.tiles.width(level, index))
        return [Finding("rewritten", None, f"{path} was changed: bytes follow its last hash")]

    def _judge(self, promised: list[bytes], actual: list[bytes], index: int, *, torn: bool) -> list[bytes]:
        """Tile and bundle disagree: what was changed, and the leaf hashes to go on with."""
        if not torn and self._hold(actual, index):
            path = tile_path(0, index, len(promised))
            self.findings.append(Finding("rewritten", index * WIDTH, f"{path} was changed; its entries are intact"))
            return actual
        self.findings += compare(promised, actual, index * WIDTH, torn=torn)
        return promised

    def _hold(self, leaves: list[bytes], index: int) -> bool:
        """Whether what lies above the level-0 tile agrees with ``leaves``."""
        if self.broken or len(leaves) != self.tiles.width(None, index):
            return False
        if len(leaves) == WIDTH:
            try:
                return self.tiles.node(HEIGHT, index) == perfect_root(leaves)
            except LogInconsistentError:
                return False
        tree = self.tree.copy()
        for leaf in leaves:
            tree.append(leaf)
        return tree.root() == self.head.root

    def _advance(self, leaves: list[bytes], index: int, width: int) -> None:
        self.broken = self.broken or len(leaves) != width
        if self.broken:
            return
        for one in self.earlier_by_bundle.get(index, ()):
            self._compare_earlier(one, leaves)
        if width == WIDTH:
            root = perfect_root(leaves)
            self.tree.append_perfect(root, HEIGHT)
            self._promote(1, root)
        else:
            for leaf in leaves:
                self.tree.append(leaf)

    def _promote(self, level: int, root: bytes) -> None:
        """A tile is complete: once 256 of them are, compare them with the tile above."""
        while len(self.pending) < level:
            self.pending.append([])
        row = self.pending[level - 1]
        row.append(root)
        if len(row) == WIDTH:
            index = self.tree.size // (WIDTH << (HEIGHT * level)) - 1
            self._compare_above(level, index, row)
            self.pending[level - 1] = []
            self._promote(level + 1, perfect_root(row))

    def _compare_above(self, level: int, index: int, computed: list[bytes]) -> None:
        try:
            stored = split_hashes(self.tiles.tile(level, index))
            self.findings += self._padding(level, index)
        except LogInconsistentError as error:
            self.findings.append(Finding("missing", None, error.cause))
            return
        for offset, (one, other) in enumerate(zip(stored, computed, strict=False)):
            if one != other:
                below = index * WIDTH + offset
                span = WIDTH**level
                self.findings.append(
                    Finding(
                        "rewritten",
                        below * span,
                        f"{tile_path(level - 1, below)} was rewritten: entries {below * span} to "
                        f"{(below + 1) * span - 1} are not those that {tile_path(level, index, len(stored))} covers",
                    )
                )

    def _compare_earlier(self, earlier: Earlier, leaves: list[bytes]) -> None:
        tree = self.tree.copy()
        for leaf in leaves[: earlier.head.size % WIDTH]:
            tree.append(leaf)
        if tree.size == earlier.head.size and tree.root() != earlier.head.root:
            found = self.broken_promises if earlier in self.promises else self.findings
            found.append(earlier.differs())

    def finish(self) -> None:
        """Partial tiles of the right edge, the root, and the kept checkpoint."""
        size = self.head.size
        for level, row in enumerate(self.pending, start=1):
            if row and not self.broken:
                self._compare_above(level, level_width(size, level) // WIDTH, row)
        for earlier in self.earlier:
            if earlier.head.size == size and size % WIDTH == 0 and earlier.head.root != self.head.root:
                self.findings.append(earlier.differs())
            if earlier.head.size > size:
                self.findings.append(earlier.longer_than(size))
        if not self.findings and self.tree.root() != self.head.root:
            self.findings.append(
                Finding("rewritten", None, "the log's tiles do not hash to the root that the checkpoint signs")
            )
