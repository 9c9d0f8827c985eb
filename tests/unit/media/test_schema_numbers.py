"""A schema is one JSON integer: what Python takes for the same number is another spelling, which others refuse."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.container_image import parse_image_manifest
from airgap_bundle.descriptor import MANIFEST_TYPE, Descriptor
from airgap_bundle.errors import FormatError, MalformedError
from airgap_bundle.media.inventory import Inventory
from airgap_bundle.media.packed_header import END, member_header
from airgap_bundle.media.part_list import PARTS_TYPE, read_claims
from airgap_bundle.media.return_bundle import KINDS, RETURN_TYPE
from airgap_bundle.media.return_bundle import read_claims as read_return
from airgap_bundle.oci import parse_index, parse_manifest, parse_release
from airgap_bundle.statement import sign_statement
from tests.bundles import Draft, signer
from tests.images import SmallImage
from tests.media_sets import split_set

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPELLINGS = {1: [True, 1.0, "1", None], 2: [2.0, "2", None]}
ENTRY = {"name": "a.json", "type": KINDS["inventory"], "size": 2, "sha256": "44" * 32}
RETURN = {"schema": 1, "site": "first-site", "made": "2026-06-01T12:00:00Z", "files": [ENTRY]}
INVENTORY = {
    "schema": 1,
    "site": "first-site",
    "made": "2026-06-01T12:00:00Z",
    "root": {"version": 1, "fingerprint": f"sha256:{'44' * 32}"},
    "floor": 1,
    "min_release": 1,
    "active": None,
    "releases": [],
    "blobs": {},
}


def read_returned(payload: dict[str, Any]) -> None:
    statement = sign_statement(payload, RETURN_TYPE, signer("first-site"))
    padded = statement + bytes(-len(statement) % 512)
    read_return(io.BytesIO(member_header("return.json", len(statement)) + padded + END))


def refused_but_for(expected: int, key: str, value: dict[str, Any], read: Callable[[dict[str, Any]], object]) -> None:
    read({**value, key: expected})
    for other in SPELLINGS[expected]:
        with pytest.raises((FormatError, MalformedError)):
            read({**value, key: other})


def test_in_what_is_carried_back() -> None:
    refused_but_for(1, "schema", INVENTORY, lambda value: Inventory.parse(json.dumps(value).encode()))
    # A signed payload is canonical, so that it cannot hold a float.
    for spelling in (True, "1", None):
        with pytest.raises(MalformedError, match="schema 1"):
            read_returned({**RETURN, "schema": spelling})
    read_returned(RETURN)


def test_in_a_list_of_parts(bundle: Path, tmp_path: Path) -> None:
    split_set(bundle, tmp_path / "set")
    data = (tmp_path / "set/RELEASE.LST").read_bytes()
    refused_but_for(1, "schema", json.loads(data), lambda value: read_claims(json.dumps(value).encode()))
    said = {**read_claims(data).to_json(), "schema": True}
    outer = {**json.loads(data), "statement": json.loads(sign_statement(said, PARTS_TYPE, signer("release")))}
    with pytest.raises(FormatError, match="schema 1"):
        read_claims(json.dumps(outer).encode())


def test_in_a_bundles_documents(tmp_path: Path) -> None:
    bundle = Draft().write(tmp_path / "bundle")
    release, index = (json.loads((bundle / name).read_bytes()) for name in ("release.json", "index.json"))
    refused_but_for(1, "schema", release, lambda value: parse_release(json.dumps(value).encode()))
    refused_but_for(2, "schemaVersion", index, lambda value: parse_index(json.dumps(value).encode()))
    listed = Descriptor.from_json(index["manifests"][0])
    manifest = json.loads((bundle / "blobs/sha256" / listed.digest.hex).read_bytes())
    refused_but_for(2, "schemaVersion", manifest, lambda value: parse_manifest(listed, json.dumps(value).encode()))


def test_in_a_container_images_manifest() -> None:
    manifest = json.loads(SmallImage().data)
    refused_but_for(
        2, "schemaVersion", manifest, lambda value: parse_image_manifest(json.dumps(value).encode(), MANIFEST_TYPE)
    )
