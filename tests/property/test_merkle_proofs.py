"""The log's proofs against RFC 6962 written down literally: recursive, slow, over all the leaves."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.audit.edge import Edge
from appliance.audit.merkle import (
    CompactTree,
    consistency_holds,
    inclusion_holds,
    leaf_hash,
    root_from_inclusion,
)
from appliance.audit.proofs import consistency_proof, inclusion_proof

ENTRIES = [b"entry %d" % number for number in range(1100)]


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def mth(entries: list[bytes]) -> bytes:
    """RFC 6962, 2.1."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(index: int, entries: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if index < k:
        return [*path(index, entries[:k]), mth(entries[k:])]
    return [*path(index - k, entries[k:]), mth(entries[:k])]


def subproof(size: int, entries: list[bytes], *, known: bool) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if size == len(entries):
        return [] if known else [mth(entries)]
    k = split(len(entries))
    if size <= k:
        return [*subproof(size, entries[:k], known=known), mth(entries[k:])]
    return [*subproof(size - k, entries[k:], known=False), mth(entries[:k])]


class MemoryTiles:
    """Answers like a TileReader, from the leaves themselves."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self.size = len(entries)

    def range_root(self, start: int, end: int) -> bytes:
        return mth(self.entries[start:end])


Place = tuple[int, int]
sizes = st.integers(min_value=1, max_value=300)


@st.composite
def places(draw: st.DrawFn) -> Place:
    size = draw(sizes)
    return draw(st.integers(min_value=0, max_value=size - 1)), size


@given(sizes)
def test_a_compact_tree_has_the_root_of_the_definition(size: int) -> None:
    tree = CompactTree()
    for entry in ENTRIES[:size]:
        tree.append(leaf_hash(entry))
    assert tree.root() == mth(ENTRIES[:size])


@given(st.lists(st.integers(min_value=0, max_value=300), max_size=6))
def test_batches_of_any_size_grow_the_same_tree(batches: list[int]) -> None:
    edge, done = Edge(), 0
    for batch in batches:
        batch_end = min(done + batch, len(ENTRIES))
        edge = edge.grow(ENTRIES[done:batch_end]).edge
        done = batch_end
    assert edge.size == done
    assert edge.tree.root() == mth(ENTRIES[:done])


@given(places())
def test_inclusion_proofs_are_those_of_the_definition_and_hold(place: Place) -> None:
    index, size = place
    entries = ENTRIES[:size]
    proof = inclusion_proof(MemoryTiles(entries), index)
    assert proof == path(index, entries)
    assert inclusion_holds(index, size, leaf_hash(entries[index]), proof, mth(entries))


@given(places())
def test_consistency_proofs_are_those_of_the_definition_and_hold(place: Place) -> None:
    old, new = place[0] + 1, place[1]
    entries = ENTRIES[:new]
    proof = consistency_proof(MemoryTiles(entries), old)
    assert proof == subproof(old, entries, known=True)
    assert consistency_holds(old, mth(entries[:old]), new, mth(entries), proof)


@given(places(), st.data())
def test_an_inclusion_proof_holds_for_nothing_else(place: Place, data: st.DataObject) -> None:
    index, size = place
    entries = ENTRIES[:size]
    proof, root = path(index, entries), mth(entries)
    other = data.draw(st.integers(min_value=0, max_value=size - 1))
    if other != index:
        assert root_from_inclusion(other, size, leaf_hash(entries[index]), proof) != root
    assert not inclusion_holds(index, size, leaf_hash(b"another"), proof, root)
    assert not inclusion_holds(index, size, leaf_hash(entries[index]), [*proof, root], root)
    if proof:
        assert not inclusion_holds(index, size, leaf_hash(entries[index]), proof[:-1], root)


@given(places(), st.data())
def test_a_consistency_proof_holds_for_nothing_else(place: Place, data: st.DataObject) -> None:
    old, new = place[0] + 1, place[1]
    entries = ENTRIES[:new]
    proof, old_root, new_root = subproof(old, entries, known=True), mth(entries[:old]), mth(entries)
    forged = leaf_hash(b"forged")
    if old < new:
        assert not consistency_holds(old, forged, new, new_root, proof)
        assert not consistency_holds(old, old_root, new, forged, proof)
        assert not consistency_holds(old, old_root, new, new_root, [*proof, forged])
        assert not consistency_holds(old, old_root, new, new_root, proof[:-1])
        at = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
        assert not consistency_holds(old, old_root, new, new_root, [*proof[:at], forged, *proof[at + 1 :]])


@settings(max_examples=25)
@given(places())
def test_an_inclusion_proof_is_never_longer_than_the_tree_is_high(place: Place) -> None:
    index, size = place
    assert len(path(index, ENTRIES[:size])) <= (size - 1).bit_length()
