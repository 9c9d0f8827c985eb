"""A packed bundle under attack: refused before the bulk, at the first wrong byte, with nothing left behind."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import (
    ForeignRootError,
    MalformedError,
    RollbackError,
    UnlistedFileError,
    VerificationError,
)
from airgap_bundle.media.head_rules import MAX_HEAD_BYTES, MAX_HEAD_FILE, MAX_HEAD_FILES
from airgap_bundle.media.pack import pack
from airgap_bundle.media.packed import PackedBundle
from airgap_bundle.media.packed_header import END, member_header, parse_member
from airgap_bundle.media.random_access import FileBytes
from airgap_bundle.media.unpack import unpack
from airgap_bundle.trust_state import TrustState
from tests.bundles import NOW, Site, foreign_root, root_bytes, tree, trust

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def packed(bundle: Path, tmp_path: Path) -> bytes:
    pack(bundle, tmp_path / "release.pack")
    data = (tmp_path / "release.pack").read_bytes()
    (tmp_path / "release.pack").unlink()
    return data


def members(data: bytes) -> dict[str, tuple[int, int]]:
    """Offset of the header and size of every member."""
    found, offset = {}, 0
    while True:
        stream = io.BytesIO(data[offset:])
        member = parse_member(stream.read(512), stream.read)
        if member is None:
            return found
        found[member.path] = (offset, member.size)
        offset += member.header + member.size + member.padding


def spelled(path: str, content: bytes) -> bytes:
    return member_header(path, len(content)) + content + bytes(-len(content) % 512)


def refused(data: bytes, site: Site, tmp_path: Path, error: type[VerificationError]) -> None:
    """Unpacking, verifying and importing ``data`` all refuse it; no byte of the site or the folder changes."""
    file = tmp_path / "changed.pack"
    file.write_bytes(data)
    before = tree(tmp_path)
    with pytest.raises(error):
        unpack(io.BytesIO(data), tmp_path / "out", TrustState.load(site.trust), now=NOW)
    assert tree(tmp_path) == before
    with site.unchanged(), pytest.raises(VerificationError):
        site.install(file)


def test_any_flipped_byte_is_refused_and_nothing_is_left(site: Site, packed: bytes, tmp_path: Path) -> None:
    places = [offset for offset, _ in members(packed).values()]
    for offset in (*(place + at for place in places[::4] for at in (3, 130, 520)), len(packed) - 1, len(packed) // 2):
        refused(packed[:offset] + bytes([packed[offset] ^ 4]) + packed[offset + 1 :], site, tmp_path, VerificationError)


@pytest.mark.parametrize("left", [0, 511, 512, 5000, -512, -1024, -1])
def test_a_truncated_file_is_refused(site: Site, packed: bytes, tmp_path: Path, left: int) -> None:
    refused(packed[:left], site, tmp_path, MalformedError)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 512, b"hidden"])
def test_nothing_follows_the_end(site: Site, packed: bytes, tmp_path: Path, tail: bytes) -> None:
    refused(packed + tail, site, tmp_path, MalformedError)


def test_an_extra_file_in_the_head_is_refused_before_a_folder_is_made(
    site: Site, packed: bytes, tmp_path: Path
) -> None:
    at = members(packed)["oci-layout"][0]
    refused(packed[:at] + spelled("notes.txt", b"hello") + packed[at:], site, tmp_path, UnlistedFileError)


def test_an_extra_blob_is_refused_at_its_header(site: Site, packed: bytes, tmp_path: Path) -> None:
    extra = spelled("blobs/sha256/" + "f" * 64, b"extra")
    refused(packed[: -len(END)] + extra + END, site, tmp_path, UnlistedFileError)


def test_a_blob_that_comes_twice_is_refused(site: Site, packed: bytes, tmp_path: Path) -> None:
    path, (offset, _) = list(members(packed).items())[-1]
    refused(packed[: -len(END)] + packed[offset : -len(END)] + END, site, tmp_path, UnlistedFileError)
    assert path.startswith("blobs/")


def test_the_bulk_before_the_signatures_is_refused(site: Site, packed: bytes, tmp_path: Path) -> None:
    _, (offset, _) = list(members(packed).items())[-1]
    last = packed[offset : -len(END)]
    refused(last + packed[:offset] + END, site, tmp_path, VerificationError)


@pytest.mark.parametrize(
    "path",
    ["../outside", "/etc/passwd", "metadata/../../x", "blobs/sha256/../../x", "a\\b", "CON", "x/.", "Index.json"],
)
def test_names_that_are_paths_are_refused(site: Site, packed: bytes, tmp_path: Path, path: str) -> None:
    import tarfile  # noqa: PLC0415 - the attacker's tool, not ours

    info = tarfile.TarInfo(path)
    info.size, info.mode = 4, 0o644
    evil = info.tobuf(tarfile.USTAR_FORMAT) + b"evil" + bytes(508)
    refused(evil + packed, site, tmp_path, VerificationError)
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6", b"g", b"L"])
def test_links_devices_and_folders_are_refused(site: Site, packed: bytes, tmp_path: Path, kind: bytes) -> None:
    import tarfile  # noqa: PLC0415 - the attacker's tool, not ours

    info = tarfile.TarInfo("metadata/1.root.json")
    info.type, info.linkname, info.mode = kind, "/etc/passwd" if kind in b"12" else "", 0o644
    refused(info.tobuf(tarfile.USTAR_FORMAT) + packed, site, tmp_path, MalformedError)


def test_a_file_that_claims_to_be_huge_is_refused_before_it_is_read(site: Site, tmp_path: Path) -> None:
    for path, size in (("index.json", 5 << 20), ("index.json", 8 << 30), ("metadata/targets.json", 2**50)):
        refused(member_header(path, size) + bytes(1 << 16), site, tmp_path, MalformedError)


def test_a_head_of_endless_files_is_refused_before_it_fills_the_memory(site: Site, tmp_path: Path) -> None:
    refused(b"".join(spelled(f"a{number:05}", b"") for number in range(1100)), site, tmp_path, MalformedError)


def head_of(path: Path, count: int, size: int) -> Path:
    """A well-formed packed file with ``count`` sparse files of ``size`` bytes before the blobs, and nothing else."""
    with path.open("xb") as sink:
        for number in range(count):
            sink.write(member_header(f"a{number:05}", size))
            sink.seek(size + -size % 512, io.SEEK_CUR)
        sink.write(END)
    return path


BEYOND = {
    "one file more": (MAX_HEAD_FILES + 1, 0, "more than 1024 files before the blobs"),
    "one byte more": (1, MAX_HEAD_FILE + 1, "exceeds 4194304 bytes"),
    "more in all": (17, MAX_HEAD_FILE, "before the blobs exceed 67108864 bytes"),
}


@pytest.mark.parametrize(("count", "size", "match"), BEYOND.values(), ids=BEYOND)
def test_the_caps_on_what_comes_before_the_blobs_hold_for_every_reader(
    site: Site, tmp_path: Path, count: int, size: int, match: str
) -> None:
    file = head_of(tmp_path / "many.pack", count, size)
    with file.open("rb") as stream, pytest.raises(MalformedError, match=match):
        unpack(stream, tmp_path / "out", TrustState.load(site.trust), now=NOW)
    assert not any(tmp_path.glob("out*"))
    with site.unchanged(), pytest.raises(MalformedError, match=match):
        site.install(file)


def test_up_to_the_caps_a_file_is_read_in_place(tmp_path: Path) -> None:
    file = head_of(tmp_path / "many.pack", MAX_HEAD_FILES, MAX_HEAD_BYTES // MAX_HEAD_FILES)
    with PackedBundle(FileBytes(file), file.name) as source:
        assert len(source.list().files) == MAX_HEAD_FILES


def test_another_order_of_documents_is_refused_by_one_pass_readers(site: Site, packed: bytes, tmp_path: Path) -> None:
    found = list(members(packed).items())
    first = next(place for place, (path, _) in enumerate(found) if path.startswith("blobs/"))
    cuts = [offset for _, (offset, _) in found]
    one, two = (packed[cuts[at] : cuts[at + 1]] for at in (first, first + 1))
    changed = packed[: cuts[first]] + two + one + packed[cuts[first + 2] :]
    before = tree(tmp_path)
    with pytest.raises(VerificationError):
        unpack(io.BytesIO(changed), tmp_path / "out", TrustState.load(site.trust), now=NOW)
    assert tree(tmp_path) == before


def test_an_older_release_is_refused_before_a_folder_is_made(site: Site, templates: Path, tmp_path: Path) -> None:
    pack(templates / "release-1", tmp_path / "old.pack")
    data = (tmp_path / "old.pack").read_bytes()
    (tmp_path / "old.pack").unlink()
    refused(data, site, tmp_path, RollbackError)


def test_nobody_elses_bundle_is_unpacked(packed: bytes, tmp_path: Path) -> None:
    with pytest.raises(ForeignRootError):
        unpack(io.BytesIO(packed), tmp_path / "out", trust(foreign_root()), now=NOW)
    assert not any(tmp_path.glob("out*"))


def test_a_link_in_the_place_of_the_folder_is_not_followed(packed: bytes, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    for name in ("out", "out.partial"):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(Exception, match=r"exists|not left by"):
            unpack(io.BytesIO(packed), tmp_path / "out", trust(root_bytes()), now=NOW)
        (tmp_path / name).unlink()
        assert not os.listdir(target)  # noqa: PTH208 - the plain question
