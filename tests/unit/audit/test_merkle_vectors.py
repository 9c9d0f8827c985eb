"""Vectors of the Certificate Transparency reference implementation (certificate-transparency, merkletree tests)."""

from __future__ import annotations

import pytest

from appliance.audit.merkle import (
    EMPTY_ROOT,
    CompactTree,
    consistency_holds,
    inclusion_holds,
    leaf_hash,
)

LEAVES = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N10 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
N11 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N7 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N6 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
RIGHT = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"


def _raw(*hashes: str) -> list[bytes]:
    return [bytes.fromhex(one) for one in hashes]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert CompactTree().root() == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_a_growing_tree_has_the_reference_roots(size: int) -> None:
    tree = CompactTree()
    for leaf in LEAVES[:size]:
        tree.append(leaf_hash(leaf))
    assert tree.root().hex() == ROOTS[size - 1]


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, []),
        (0, 8, [N10, N11, RIGHT]),
        (5, 8, [N4, N7, ROOTS[3]]),
        (2, 3, [ROOTS[1]]),
        (1, 5, [ROOTS[0], N11, N4]),
    ],
)
def test_the_reference_inclusion_proofs_hold(index: int, size: int, proof: list[str]) -> None:
    root = bytes.fromhex(ROOTS[size - 1])
    assert inclusion_holds(index, size, leaf_hash(LEAVES[index]), _raw(*proof), root)


@pytest.mark.parametrize(
    ("old", "new", "proof"),
    [
        (1, 1, []),
        (1, 8, [N10, N11, RIGHT]),
        (6, 8, [N6, N7, ROOTS[3]]),
        (2, 5, [N11, N4]),
    ],
)
def test_the_reference_consistency_proofs_hold(old: int, new: int, proof: list[str]) -> None:
    old_root, new_root = bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1])
    assert consistency_holds(old, old_root, new, new_root, _raw(*proof))


def test_an_empty_consistency_proof_shows_nothing_between_different_sizes() -> None:
    assert not consistency_holds(4, bytes.fromhex(ROOTS[3]), 8, bytes.fromhex(ROOTS[7]), [])
    assert not consistency_holds(8, bytes.fromhex(ROOTS[7]), 4, bytes.fromhex(ROOTS[3]), [])


def test_a_subtree_is_refused_where_it_cannot_start() -> None:
    tree = CompactTree()
    tree.append(leaf_hash(b""))
    with pytest.raises(ValueError, match="cannot start at 1"):
        tree.append_perfect(leaf_hash(b"x"), 8)
