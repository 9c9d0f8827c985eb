"""What is known of a log as long as nothing fails: how far it goes, what is in tiles, and where each id lies."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from appliance.audit.entry import decode_entry
from appliance.audit.errors import IdReusedError
from appliance.audit.settling import Settlement, Signed, Unsettled
from appliance.audit.tiles import WIDTH, TileReader
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from appliance.audit.edge import Edge
    from appliance.audit.ids import IdIndex
    from appliance.audit.proving import Nodes


@dataclass
class OpenLog:
    """The durable head, the edge that it signs, the index of ids, and what lies in the journal only.

    Everything raises ``OSError`` and ``sqlite3.Error`` unchanged.
    """

    directory: Path
    signed: Signed
    edge: Edge
    ids: IdIndex
    settled: Signed
    unsettled: Unsettled = field(default_factory=Unsettled)
    settling: Settlement | None = None
    pruned: int = 0
    """Entries before this position are not looked at: they may be gone."""
    nodes: Nodes = field(default_factory=dict)

    def grown(self, signed: Signed, edge: Edge) -> OpenLog:
        """The same after a commit that went into tiles at once."""
        return replace(self, signed=signed, edge=edge, settled=signed, unsettled=Unsettled(), settling=None)

    def all_unsettled(self) -> Unsettled:
        """Everything that is not known to be in tiles, what is being put there included."""
        return self.unsettled.after(self.settling.unsettled if self.settling else Unsettled())

    def settlement(self, unsettled: Unsettled, segments: tuple[int, ...]) -> Settlement:
        """Putting ``unsettled`` into tiles, up to what is signed now; ``segments`` of the journal hold it."""
        return Settlement(unsettled, self.signed, self.edge, self.settled.head.size, segments)

    def hashes_ahead(self) -> Mapping[str, bytes]:
        """Tiles of hashes that readers of the folder do not find yet, by path; those of a full tile win."""
        settling = self.settling.unsettled.tiles if self.settling else {}
        return ChainMap(self.edge.partial_tiles(), self.unsettled.tiles, settling)

    def stored(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Position and bytes of those ``ids`` that are logged. An index that does not fit the log is rebuilt."""
        found = {}
        for entry_id, position in self.ids.find(ids).items():
            if position < self.pruned:
                raise IdReusedError(f"id {entry_id!r} is already used by an entry that was pruned")
            entry = self._entry(position) if position < self.edge.size else b""
            if not entry or decode_entry(entry)[0] != entry_id:
                self._rebuild()
                return self.stored(ids)
            found[entry_id] = (position, entry)
        return found

    def open_requests(self, wanted: Callable[[str], bool], limit: int) -> list[tuple[str, int, bytes]]:
        """Requests without an end of which ``wanted`` says so, at most ``limit``: each, its position and its entry."""
        found = [(one, at) for one, at in sorted(self.ids.open_requests().items()) if wanted(one)][:limit]
        return [(request, at, self._entry(at)) for request, at in found if at >= self.pruned]

    def catch_up(self, behind: int) -> None:
        """Bring the index of ids up to the log. It never leads, unless the log lost entries that were durable.

        ``behind`` complete entries lie behind the head; they may be in the index already.
        """
        size = self.settled.head.size
        if self.ids.size > size + behind:
            raise LogInconsistentError(
                f"the log holds {size + behind} entries but {self.ids.size} were signed: its tail was cut",
                "restore the whole log; entries that were acknowledged are missing",
            )
        tiles = TileReader(self.directory, size)
        for start in range(max(self.ids.size // WIDTH * WIDTH, self.pruned), size, WIDTH):
            self.ids.add([decode_entry(entry)[0] for entry in tiles.entries(start // WIDTH)], start)

    def _entry(self, position: int) -> bytes:
        """An entry, from memory as long as it is not in tiles."""
        for unsettled in (self.unsettled, self.settling.unsettled if self.settling else None):
            if unsettled and position in unsettled.entries:
                return unsettled.entries[position]
        return TileReader(self.directory, self.settled.head.size).entry(position)

    def _rebuild(self) -> None:
        self.ids.clear()
        self.catch_up(0)
        for position in range(self.settled.head.size, self.edge.size):
            self.ids.add([decode_entry(self._entry(position))[0]], position)
