"""Whatever is packed, cut or sent back comes out byte for byte, and whatever is flipped on the way is named."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airgap_bundle.errors import (
    BundleError,
    DigestMismatchError,
    FormatError,
    UnsafeNameError,
    VerificationError,
)
from airgap_bundle.media import split as splitting
from airgap_bundle.media.inventory import Inventory
from airgap_bundle.media.join import join
from airgap_bundle.media.pack import pack
from airgap_bundle.media.packed import PackedBundle
from airgap_bundle.media.packed_header import END, member_header, packed_size, parse_member
from airgap_bundle.media.part_list import read_claims
from airgap_bundle.media.random_access import PartBytes
from airgap_bundle.media.return_bundle import describe, extract_return, verify_return, write_return
from airgap_bundle.media.unpack import unpack
from airgap_bundle.names import check_name
from airgap_bundle.verify import verify
from tests.bundles import NOW, make, signer, trust
from tests.media_sets import FILES, PART, small_pieces


def portable(name: str) -> bool:
    """Whether FAT would keep ``name``; names of devices are drawn now and then."""
    try:
        return bool(check_name(name))
    except UnsafeNameError:
        return False


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20).filter(portable)
MODEST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Bytes:
    """Bytes in memory as a medium."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read_at(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("property-media")
    pack(make(folder / "bundle", files=FILES), folder / "bundle.pack")
    return (folder / "bundle.pack").read_bytes()


@given(st.dictionaries(NAMES, st.binary(max_size=2000), min_size=1, max_size=6))
def test_a_packed_file_reads_back_and_its_size_is_known_before(files: dict[str, bytes]) -> None:
    names = sorted(files)
    data = b"".join(member_header(n, len(files[n])) + files[n] + bytes(-len(files[n]) % 512) for n in names) + END
    assert packed_size({name: len(files[name]) for name in names}) == len(data)
    assert PackedBundle(Bytes(data), "x").list().files == {name: len(files[name]) for name in names}


@given(st.binary(max_size=1500) | st.tuples(NAMES, st.integers(0, 2**53)).map(lambda item: member_header(*item)))
def test_a_header_is_read_in_its_one_spelling_or_refused(data: bytes) -> None:
    stream = io.BytesIO(data)
    try:
        found = parse_member(stream.read(512), stream.read)
    except (FormatError, VerificationError):
        return
    if found is not None:
        assert member_header(found.path, found.size) == data[: found.header]


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(0, 450), st.integers(0, 450))
def test_parts_read_like_the_whole(parts: list[bytes], offset: int, count: int) -> None:
    whole = b"".join(parts)
    assert PartBytes([Bytes(part) for part in parts]).read_at(offset, count) == whole[offset : offset + count]


@MODEST
@given(st.data())
def test_any_flipped_byte_of_a_packed_bundle_is_refused(packed: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(packed) - 1))
    bad = packed[:at] + bytes([packed[at] ^ (1 << data.draw(st.integers(0, 7)))]) + packed[at + 1 :]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with pytest.raises(VerificationError):
            unpack(io.BytesIO(bad), folder / "out", trust(), now=NOW)
        assert not any(folder.iterdir())
        (folder / "x.pack").write_bytes(bad)
        report = verify(folder / "x.pack", trust(), now=NOW)
        assert not report.ok
        assert report.failure is not None
        assert report.failure.detail


@settings(MODEST, max_examples=8)
@given(st.integers(PART, 5 * PART), st.randoms(use_true_random=False), st.data())
def test_a_split_set_of_any_part_size_joins_and_names_a_flipped_part(
    packed: bytes, size: int, shuffle: st.DataObject, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name, small_pieces():
        folder = Path(name)
        (folder / "b.pack").write_bytes(packed)
        splitting.split(folder / "b.pack", folder / "set", signer("release"), splitting.Plan(part_size=size))
        parts = read_claims((folder / "set/RELEASE.LST").read_bytes()).parts
        number = data.draw(st.integers(1, len(parts)))
        victim = folder / "set" / parts[number - 1].name
        good = victim.read_bytes()
        at = data.draw(st.integers(0, len(good) - 1))
        victim.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        out = folder / "joined.pack"
        with pytest.raises(DigestMismatchError, match=f"recopy part {number} of {len(parts)}: {victim.name} differs"):
            join([folder / "set"], out, trust(), now=NOW).raise_for_fault()
        victim.write_bytes(good)
        sticks = [folder / f"stick{index}" for index in range(len(parts))]
        for stick, part in zip(sticks, parts, strict=True):
            stick.mkdir()
            for file in (part.name, "RELEASE.LST"):
                shutil.copy(folder / "set" / file, stick)
        shuffle.shuffle(sticks)
        assert [join([stick], out, trust(), now=NOW).done for stick in sticks if not out.exists()][-1]
        assert out.read_bytes() == packed


@MODEST
@given(st.dictionaries(NAMES, st.binary(max_size=3000), min_size=1, max_size=5), st.data())
def test_a_return_bundle_comes_out_as_it_went_in_and_no_flip_passes(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    streams = {name: io.BytesIO(content) for name, content in files.items()}
    manifest = describe("first-site", NOW, {name: ("export", stream) for name, stream in streams.items()})
    out = io.BytesIO()
    write_return(out, manifest, streams, signer("first-site"))
    keys = [signer("first-site").public]
    with tempfile.TemporaryDirectory() as name:
        extract_return(io.BytesIO(out.getvalue()), keys, Path(name) / "out")
        assert {path.name: path.read_bytes() for path in (Path(name) / "out").iterdir()} == files
    at = data.draw(st.integers(0, len(out.getvalue()) - 1))
    bad = bytearray(out.getvalue())
    bad[at] ^= 1
    with pytest.raises(VerificationError):
        verify_return(io.BytesIO(bytes(bad)), keys)


@given(st.binary(max_size=300))
def test_hostile_lists_inventories_and_returns_end_in_our_own_errors(data: bytes) -> None:
    for read in (read_claims, Inventory.parse, lambda raw: verify_return(io.BytesIO(raw), [])):
        with pytest.raises(BundleError):
            read(data)
