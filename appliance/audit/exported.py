"""Entries of an export, read bit by bit: what its proof says of them, and no more of them than its checkpoint signs.

The folder came from elsewhere. What its proof says is believed only once the entries behind it lead to the signed root,
which is left to whoever reads them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.audit.export import ENTRIES, PROOF
from appliance.audit.merkle import HASH_BYTES, CompactTree
from appliance.audit.regular_file import open_regular, read_regular
from appliance.audit.tiles import MAX_ENTRY_BYTES
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint

_MOST_PROOF_BYTES = 1 << 20


@dataclass(frozen=True)
class Span:
    """What an export says that it holds: entries ``first`` to ``last``, and ``hashes`` of what is beside them."""

    first: int
    last: int
    hashes: tuple[bytes, ...]

    def before(self) -> CompactTree:
        """The tree before the first entry, where the last one is the log's: then nothing is on the right of them."""
        heights = [height for height in reversed(range(self.first.bit_length())) if self.first >> height & 1]
        if len(self.hashes) != len(heights):
            raise LogInconsistentError(f"its {PROOF} does not lead from its entries to its checkpoint")
        tree = CompactTree()
        for peak, height in zip(self.hashes, heights, strict=True):
            tree.append_perfect(peak, height)
        return tree


def read_span(folder: Path, head: Checkpoint) -> Span:
    """What the export in ``folder``, of a log with ``head``, says that it holds.

    Raises ``LogInconsistentError`` for a proof that is malformed or no regular file, ``OSError`` unchanged.
    """
    try:
        told = strict_json.load_object(read_regular(folder / PROOF, _MOST_PROOF_BYTES))
        first, last = told["first"], told["last"]
        hashes = tuple(base64.b64decode(one, validate=True) for one in told["hashes"])
    except (FormatError, ValueError, KeyError, TypeError) as error:
        raise LogInconsistentError(f"its {PROOF} is malformed") from error
    if not (type(first) is type(last) is int and 0 <= first <= last < head.size):
        raise LogInconsistentError(f"its {PROOF} is malformed: it names entries that its checkpoint has not")
    if any(len(one) != HASH_BYTES for one in hashes):
        raise LogInconsistentError(f"its {PROOF} is malformed: a hash has another length")
    return Span(first, last, hashes)


def read_entries(folder: Path, first: int, head: Checkpoint) -> Iterator[tuple[int, bytes]]:
    """Entries of the export in ``folder`` from ``first`` on, with their positions, none past the end of ``head``.

    Raises ``LogInconsistentError`` for a file that is none, or holds more or other than entries; ``OSError`` unchanged.
    """
    at = first
    with open_regular(folder / ENTRIES) as file:
        while line := file.readline(MAX_ENTRY_BYTES + 1):
            if not line.endswith(b"\n"):
                raise LogInconsistentError("an entry in it is cut, or longer than entries are")
            if at == head.size:
                raise LogInconsistentError(f"entries follow that are not among the {head.size} of its checkpoint")
            yield at, line[:-1]
            at += 1
