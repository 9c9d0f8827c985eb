"""Proofs of entries that were just made durable, from memory as far as their hashes are in no tile yet.

A proof for each answer must cost a commit next to nothing. Every hash that leads from an entry of the last batches to
the root lies in the tree's unfinished tiles or in those that wait to be settled; inner nodes are computed once for
all entries that share them, since a perfect subtree never changes again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.merkle import node_hash
from appliance.audit.proofs import inclusion_proof
from appliance.audit.tiles import HEIGHT, TileReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.open_log import OpenLog

_REMEMBERED = 4096
Nodes = dict[tuple[int, int], bytes]
"""Roots of perfect subtrees of durable entries, by height and index."""


@dataclass
class _RememberingReader(TileReader):
    """Computes each inner node of a tile once, and keeps it in ``nodes`` for who comes after."""

    nodes: Nodes = field(default_factory=dict)

    def node(self, height: int, index: int) -> bytes:
        """As ``TileReader.node``."""
        if height % HEIGHT == 0:
            return super().node(height, index)
        known = self.nodes.get((height, index))
        if known is None:
            known = node_hash(self.node(height - 1, 2 * index), self.node(height - 1, 2 * index + 1))
            self.nodes[height, index] = known
        return known


def prove_each(state: OpenLog, positions: Sequence[int]) -> list[list[bytes]]:
    """The inclusion proof of each of ``positions`` under the checkpoint that ``state`` signed last.

    For the log's own thread, after the entries are durable. Raises ``LogInconsistentError`` for a tile that is damaged.
    """
    reader = _RememberingReader(state.directory, state.edge.size, state.hashes_ahead(), nodes=state.nodes)
    proofs = []
    for position in positions:
        if len(state.nodes) > _REMEMBERED:  # asked before each: one caller may name entries all over the log
            state.nodes.clear()
        proofs.append(inclusion_proof(reader, position))
    return proofs
