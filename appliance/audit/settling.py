"""From journal to tiles: what is durable in the journal only, and putting it where every reader of the log finds it.

Many batches make one settlement: a tile that grew ten times is written once. The order is that of a commit without a
journal: tiles → fsync, checkpoint → fsync; only then may the journal's segment be written over. Doing it again after a
failure, or after a crash, writes the same bytes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.tiles import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.edge import Edge, Growth
    from appliance.audit.storage import Storage


@dataclass(frozen=True)
class Signed:
    """A durable checkpoint: the tree head and the signed note that proves it."""

    head: Checkpoint
    note: str


@dataclass
class Unsettled:
    """Full tiles to write, folders of partial ones that they replace, and the entries by position."""

    tiles: dict[str, bytes] = field(default_factory=dict)
    obsolete: list[str] = field(default_factory=list)
    entries: dict[int, bytes] = field(default_factory=dict)

    def add(self, first: int, entries: Sequence[bytes], growth: Growth) -> None:
        """A batch whose first entry lies at ``first``, and what it makes."""
        self.tiles |= growth.full
        self.obsolete += growth.obsolete
        self.entries.update(enumerate(entries, first))

    def after(self, earlier: Unsettled) -> Unsettled:
        """Both together, where ``earlier`` could not be settled."""
        return Unsettled(earlier.tiles | self.tiles, earlier.obsolete + self.obsolete, earlier.entries | self.entries)


@dataclass(frozen=True)
class Settlement:
    """Everything up to a checkpoint, and the journal's segments that hold it; ``before`` entries are in tiles already.

    Unfinished tiles are those of ``edge`` alone: what they were on the way there is written nowhere.
    """

    unsettled: Unsettled
    signed: Signed
    edge: Edge
    before: int
    segments: tuple[int, ...]

    def write(self, storage: Storage) -> None:
        """Make it durable; in a thread of its own, beside commits. Raises ``OSError``: then it is to be done again."""
        storage.write(self.unsettled.tiles | self.edge.partial_files(self.before))
        storage.replace(CHECKPOINT, self.signed.note.encode())
        for folder in self.unsettled.obsolete:
            with suppress(OSError):  # a leftover partial tile wastes space and nothing else
                storage.remove(folder)
