"""What a join remembers between media: how many pieces of each part lie in ``OUT.partial`` already.

The file is a note to ourselves, not evidence: it saves reading a good part twice. Whoever alters it makes the join
fail at its end, where every byte is hashed whatever the note says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap_bundle import durable, strict_json
from airgap_bundle.errors import FormatError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.digest import Digest
    from airgap_bundle.media.part_list import PartList

SUFFIX = ".joining"
_MAX_BYTES = 1 << 20


@dataclass
class JoinState:
    """Pieces done by part number, of the set whose list has the digest ``listing``."""

    path: Path
    listing: Digest
    pieces: dict[int, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, listing: Digest, parts: PartList) -> JoinState:
        """The note at ``path``, or an empty one. Raises ``StoreError`` when it is about another set."""
        try:
            with path.open("rb") as stream:
                value = strict_json.load_object(stream.read(_MAX_BYTES + 1), max_bytes=_MAX_BYTES)
        except FileNotFoundError:
            return cls(path, listing)
        except (OSError, FormatError) as error:
            raise StoreError(f"{path} cannot be read: {error}", "remove it and the .partial file beside it") from error
        if value.get("list") != listing:
            raise StoreError(f"{path} belongs to another set", "name another --out, or remove it and its .partial file")
        counts = value.get("pieces")
        found = cls(path, listing)
        for number, part in enumerate(parts.parts, 1):
            count = counts.get(str(number)) if isinstance(counts, dict) else None
            if type(count) is int and 0 < count <= len(part.pieces):
                found.pieces[number] = count
        return found

    def save(self) -> None:
        """Write the note; the data it speaks of are durable by then. Raises ``StoreError``."""
        pieces = {str(number): count for number, count in self.pieces.items()}
        durable.replace(self.path, strict_json.dumps({"schema": 1, "list": self.listing, "pieces": pieces}))
