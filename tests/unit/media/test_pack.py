from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import DigestMismatchError, StoreError, UnsignedError
from airgap_bundle.inspection import inspect_bundle
from airgap_bundle.media.pack import pack
from airgap_bundle.media.packed_header import END, member_header, packed_size, parse_member
from airgap_bundle.media.unpack import unpack
from airgap_bundle.verify import verify
from tests.bundles import NOW, Draft, Site, make, root_bytes, tree, trust

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def packed(bundle: Path, tmp_path: Path) -> Path:
    pack(bundle, tmp_path / "bundle.pack")
    return tmp_path / "bundle.pack"


def relative(folder: Path) -> dict[str, str]:
    return {path.removeprefix(str(folder)): kind for path, kind in tree(folder).items()}


def test_equal_bundles_pack_to_equal_bytes_and_unpack_to_the_same_files(bundle: Path, packed: Path) -> None:
    again = packed.with_name("again.pack")
    pack(bundle, again)
    assert packed.read_bytes() == again.read_bytes()
    with packed.open("rb") as stream:
        done = unpack(stream, packed.with_name("bundle"), trust(), now=NOW)
    assert done.lacking == 0
    assert relative(packed.with_name("bundle")) == relative(bundle)


def test_whom_to_trust_comes_before_the_bulk(packed: Path) -> None:
    with tarfile.open(packed) as tar:
        names = tar.getnames()
    bulk = names.index(next(name for name in names if name.startswith("blobs/")))
    assert names[:bulk] == sorted(names[:bulk])
    assert {"metadata/1.root.json", "metadata/targets.json", "index.json", "release.json"} <= set(names[:bulk])


def test_any_tar_takes_a_packed_bundle_apart(bundle: Path, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    subprocess.run(["tar", "-xf", packed, "-C", tmp_path / "plain"], check=True)
    assert relative(tmp_path / "plain") == relative(bundle)


def test_a_packed_bundle_is_verified_inspected_and_imported_where_it_lies(packed: Path, tmp_path: Path) -> None:
    report = verify(packed, trust(), now=NOW)
    assert report.ok, report.failure
    assert inspect_bundle(packed, trust(), now=NOW).verified
    assert Site(tmp_path / "site").install(packed, pin=root_bytes()).version == "1.0.0"


def test_unpacking_works_from_a_pipe(bundle: Path, packed: Path) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(["cat", packed], stdout=writer):
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            unpack(pipe, packed.with_name("bundle"), trust(), now=NOW)
    assert relative(packed.with_name("bundle")) == relative(bundle)


def test_an_unsealed_bundle_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(UnsignedError):
        pack(Draft().write(tmp_path / "bundle"), tmp_path / "out.pack")
    assert not (tmp_path / "out.pack").exists()


def test_a_damaged_blob_is_met_while_packing_and_leaves_no_file(tmp_path: Path) -> None:
    made = make(tmp_path / "bundle")
    victim = max((made / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(DigestMismatchError):
        pack(made, tmp_path / "out.pack")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]


def test_nothing_is_overwritten(bundle: Path, packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(StoreError, match="exists"):
        pack(bundle, packed)
    assert packed.read_bytes() == before


@pytest.mark.parametrize("size", [0, 511, (8 << 30) - 1, 8 << 30, 70 << 30, 2**50])
def test_headers_of_any_size_read_back_and_are_those_that_a_stock_tar_reads(size: int) -> None:
    header = member_header("blobs/sha256/" + "0" * 64, size)
    stream = io.BytesIO(header)
    found = parse_member(stream.read(512), stream.read)
    assert found is not None
    assert (found.path, found.size, found.header) == ("blobs/sha256/" + "0" * 64, size, len(header))
    with tarfile.open(fileobj=io.BytesIO(header + END), mode="r:") as tar:
        assert tar.firstmember is not None
        assert tar.firstmember.size == size
    assert packed_size({"blobs/sha256/" + "0" * 64: size}) == len(header) + size + -size % 512 + len(END)
