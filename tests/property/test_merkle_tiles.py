"""Tiles on disk against the tree that they stand for, for sizes around the edges of tiles."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.audit.edge import Edge
from appliance.audit.merkle import (
    CompactTree,
    consistency_holds,
    inclusion_holds,
    leaf_hash,
)
from appliance.audit.proofs import consistency_proof, inclusion_proof
from appliance.audit.tiles import TileReader, decode_entries, encode_entries, tile_path

ENTRIES = [b"%d" % number for number in range(66_600)]
edges = st.sampled_from([1, 2, 255, 256, 257, 511, 512, 513, 1023, 65_535, 65_536, 65_537, 66_560])
sizes = st.one_of(edges, st.integers(min_value=1, max_value=2000))


@functools.cache
def tree_of(size: int) -> CompactTree:
    tree = CompactTree()
    for entry in ENTRIES[:size]:
        tree.append(leaf_hash(entry))
    return tree


def write(directory: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@settings(max_examples=20, deadline=None)
@given(sizes, st.data())
def test_tiles_of_any_size_give_back_root_entries_and_proofs(size: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        cut = data.draw(st.integers(min_value=0, max_value=size), label="first batch")
        first = Edge().grow(ENTRIES[:cut])
        second = first.edge.grow(ENTRIES[cut:size])
        write(directory, first.files | second.files)
        tiles = TileReader(directory, size)
        root = tree_of(size).root()
        assert tiles.root() == root
        assert Edge.read(tiles, second.edge.tree.root()) == second.edge
        index = data.draw(st.integers(min_value=0, max_value=size - 1), label="index")
        assert tiles.entry(index) == ENTRIES[index]
        assert inclusion_holds(index, size, leaf_hash(ENTRIES[index]), inclusion_proof(tiles, index), root)
        old = data.draw(st.integers(min_value=1, max_value=size), label="old size")
        assert consistency_holds(old, tree_of(old).root(), size, root, consistency_proof(tiles, old))


@given(st.lists(st.binary(max_size=400), max_size=256))
def test_an_entry_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    data = encode_entries(entries)
    assert decode_entries(data) == (entries, len(data))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20), st.data())
def test_a_cut_bundle_gives_its_complete_entries_only(entries: list[bytes], data: st.DataObject) -> None:
    whole = encode_entries(entries)
    cut = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    found, used = decode_entries(whole[:cut])
    assert found == entries[: len(found)]
    assert used <= cut
    assert len(found) < len(entries)


@given(st.binary(max_size=600))
def test_garbage_never_breaks_the_reader(data: bytes) -> None:
    entries, used = decode_entries(data)
    assert encode_entries(entries) == data[:used]


@given(st.one_of(st.none(), st.integers(min_value=0, max_value=63)), st.integers(min_value=0, max_value=2**48))
def test_tile_names_have_three_digits_per_folder_and_no_leading_x_at_the_end(level: int | None, index: int) -> None:
    name = tile_path(level, index)
    head, *groups = name.removeprefix("tile/").split("/")
    assert head == ("entries" if level is None else str(level))
    assert all(group[0] == "x" and len(group) == 4 for group in groups[:-1])
    assert len(groups[-1]) == 3
    assert int("".join(group.removeprefix("x") for group in groups)) == index
