"""Tile names and reading, by the examples of c2sp.org/tlog-tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.audit.edge import Edge
from appliance.audit.tiles import TileReader, tile_path
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from pathlib import Path


def test_names_are_those_of_the_specification() -> None:
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(None, 0) == "tile/entries/000"
    assert tile_path(1, 999, 17) == "tile/1/999.p/17"
    assert tile_path(0, 1000) == "tile/0/x001/000"


def test_a_tree_of_70000_has_the_tiles_that_the_specification_lists() -> None:
    files = Edge().grow([b"%d" % n for n in range(70_000)]).files
    full = {name for name in files if ".p/" not in name}
    assert {name for name in full if name.startswith("tile/0/")} == {tile_path(0, n) for n in range(273)}
    assert {name for name in full if name.startswith("tile/1/")} == {"tile/1/000"}
    assert {name for name in files if ".p/" in name} == {
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }


def test_a_tree_of_256_has_a_full_tile_and_one_hash_above() -> None:
    files = Edge().grow([b"x"] * 256).files
    assert set(files) == {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"}
    assert len(files["tile/0/000"]) == 8192


def test_a_full_tile_stands_in_for_a_partial_one(tmp_path: Path) -> None:
    for name, data in Edge().grow([b"%d" % n for n in range(256)]).files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    tiles = TileReader(tmp_path, 100)
    assert len(tiles.tile(0, 0)) == 3200
    assert tiles.entries(0) == [b"%d" % n for n in range(100)]


def test_what_is_missing_or_cut_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogInconsistentError, match=r"tile/0/000\.p/3 is missing"):
        TileReader(tmp_path, 3).tile(0, 0)
    folder = tmp_path / "tile/0/000.p"
    folder.mkdir(parents=True)
    (folder / "3").write_bytes(b"short")
    with pytest.raises(LogInconsistentError, match="is cut: 5 of 96 bytes"):
        TileReader(tmp_path, 3).tile(0, 0)
    bundle = tmp_path / "tile/entries/000.p"
    bundle.mkdir(parents=True)
    (bundle / "3").write_bytes(b"\x00\x01a\x00\x09")
    with pytest.raises(LogInconsistentError, match="cut after 1 entries"):
        TileReader(tmp_path, 3).entries(0)
