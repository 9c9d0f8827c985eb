from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import DigestMismatchError, FormatError, StoreError, UnsafeNameError
from airgap_bundle.media.inventory import INVENTORY_TYPE
from airgap_bundle.media.return_bundle import (
    describe,
    extract_return,
    read_claims,
    read_only_file,
    verify_return,
    write_return,
)
from tests.bundles import NOW, signer

if TYPE_CHECKING:
    from pathlib import Path

SITE = "first-site"
FILES = {
    "inventory.json": ("inventory", b'{"schema":1}'),
    "checkpoint": ("checkpoint", b"first-site/audit\n3\nabc\n"),
    "support.tar": ("support", bytes(70_000)),
}


def make_return(files: dict[str, tuple[str, bytes]] | None = None, *, site: str = SITE, by: str = SITE) -> bytes:
    """A return bundle of ``files`` (kind and content by name) that says it is from ``site``."""
    contents = {name: (kind, io.BytesIO(data)) for name, (kind, data) in (files or FILES).items()}
    out = io.BytesIO()
    manifest = describe(site, NOW, contents)
    write_return(out, manifest, {name: stream for name, (_, stream) in contents.items()}, signer(by))
    return out.getvalue()


def test_what_is_sent_arrives_and_says_who_sent_it(tmp_path: Path) -> None:
    data = make_return()
    found = extract_return(io.BytesIO(data), [signer(SITE).public], tmp_path / "out")
    assert (found.site, found.made) == (SITE, NOW)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        n: d for n, (_, d) in FILES.items()
    }
    assert not list(tmp_path.glob("*.partial"))


def test_equal_content_gives_equal_listings_and_claims_can_be_shown_without_a_key() -> None:
    claims = read_claims(io.BytesIO(make_return()))
    assert [file.name for file in claims.files] == sorted(FILES)
    assert claims == read_claims(io.BytesIO(make_return()))


def test_one_file_is_read_by_its_type() -> None:
    keys = [signer(SITE).public]
    assert read_only_file(io.BytesIO(make_return()), keys, INVENTORY_TYPE, 1000) == b'{"schema":1}'
    with pytest.raises(Exception, match="exceeds 5 bytes"):
        read_only_file(io.BytesIO(make_return()), keys, INVENTORY_TYPE, 5)
    with pytest.raises(Exception, match="holds 0 files"):
        read_only_file(io.BytesIO(make_return({"a": ("support", b"x")})), keys, INVENTORY_TYPE, 1000)


@pytest.mark.parametrize(
    "files", [{}, {"../x": ("support", b"")}, {"a": ("program", b"")}, {"A": ("support", b""), "a": ("support", b"")}]
)
def test_what_may_not_travel_is_refused_before_it_is_written(files: dict[str, tuple[str, bytes]]) -> None:
    with pytest.raises((FormatError, UnsafeNameError)):
        describe(SITE, NOW, {name: (kind, io.BytesIO(data)) for name, (kind, data) in files.items()})


def test_a_file_that_changes_after_it_was_shown_is_not_sent() -> None:
    stream = io.BytesIO(b"as shown")
    manifest = describe(SITE, NOW, {"a": ("support", stream)})
    with pytest.raises(DigestMismatchError):
        write_return(io.BytesIO(), manifest, {"a": io.BytesIO(b"not that")}, signer(SITE))


def test_nothing_is_extracted_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="exists"):
        extract_return(io.BytesIO(make_return()), [signer(SITE).public], tmp_path)


def test_a_packed_release_is_no_return_bundle(bundle: Path, tmp_path: Path) -> None:
    from airgap_bundle.media.pack import pack  # noqa: PLC0415 - only here

    pack(bundle, tmp_path / "x.pack")
    with (
        (tmp_path / "x.pack").open("rb") as stream,
        pytest.raises(Exception, match=r"return\.json does not come first"),
    ):
        verify_return(stream, [signer(SITE).public])
