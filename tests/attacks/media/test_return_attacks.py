"""Return bundles under attack: the builder's side takes nothing that the site did not sign, and nothing but files."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import (
    DigestMismatchError,
    HalfSignatureError,
    MalformedError,
    PayloadTypeError,
    SignatureError,
    VerificationError,
)
from airgap_bundle.media.packed_header import END, member_header
from airgap_bundle.media.return_bundle import KINDS, RETURN_TYPE, describe, extract_return, read_only_file, write_return
from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from tests.bundles import NOW, signer, tree

if TYPE_CHECKING:
    from pathlib import Path

SITE = "first-site"


def spelled(path: str, content: bytes) -> bytes:
    return member_header(path, len(content)) + content + bytes(-len(content) % 512)


def whole() -> bytes:
    contents = {"a.json": io.BytesIO(b"{}"), "b.bin": io.BytesIO(b"content")}
    out = io.BytesIO()
    manifest = describe(
        SITE, NOW, {"a.json": ("inventory", contents["a.json"]), "b.bin": ("support", contents["b.bin"])}
    )
    write_return(out, manifest, contents, signer(SITE))
    return out.getvalue()


def forged(change: dict[str, Any], *, by: str = SITE, type_: str = RETURN_TYPE, files: bytes = b"") -> bytes:
    """A return bundle whose statement says what ``change`` says, signed all the same."""
    entry = {"name": "a.json", "type": KINDS["inventory"], "size": 2, "sha256": "44" * 32}
    payload = {"schema": 1, "site": SITE, "made": "2026-06-01T12:00:00Z", "files": [entry], **change}
    return spelled("return.json", sign_statement(payload, type_, signer(by))) + files + END


def refused(data: bytes, tmp_path: Path, error: type[VerificationError], match: str | None = None) -> None:
    before = tree(tmp_path)
    with pytest.raises(error, match=match):
        extract_return(io.BytesIO(data), [signer(SITE).public], tmp_path / "out")
    assert tree(tmp_path) == before


def test_of_two_inventories_the_second_is_not_read_into_memory() -> None:
    """A site may list a thousand of them: what one command holds is bounded by one."""
    contents = {name: io.BytesIO(b"{}") for name in ("a.json", "b.json")}
    out = io.BytesIO()
    manifest = describe(SITE, NOW, {name: ("inventory", content) for name, content in contents.items()})
    write_return(out, manifest, contents, signer(SITE))
    before_the_second = out.getvalue().rindex(b"files/b.json") + 512
    source = io.BytesIO(out.getvalue()[:before_the_second])
    with pytest.raises(MalformedError, match=r"b\.json is a second file of its type"):
        read_only_file(source, [signer(SITE).public], KINDS["inventory"], 1000)


def test_any_flipped_byte_is_refused(tmp_path: Path) -> None:
    data = whole()
    for at in range(0, len(data), 97):
        refused(data[:at] + bytes([data[at] ^ 2]) + data[at + 1 :], tmp_path, VerificationError)


@pytest.mark.parametrize("left", [0, 511, 2000, -1, -512, -1024])
def test_a_truncated_bundle_is_refused(tmp_path: Path, left: int) -> None:
    refused(whole()[:left], tmp_path, MalformedError)


def test_another_sites_bundle_is_refused(tmp_path: Path) -> None:
    refused(forged({}, by="stranger"), tmp_path, SignatureError, "nobody whose key is known")


def test_a_site_cannot_speak_for_another(tmp_path: Path) -> None:
    refused(forged({"site": "second-site"}), tmp_path, MalformedError, "says it is from second-site")


def test_a_statement_of_another_type_is_refused(tmp_path: Path) -> None:
    refused(forged({}, type_=WAIVER_TYPE), tmp_path, PayloadTypeError)


def test_one_half_of_the_signature_is_not_enough(tmp_path: Path) -> None:
    entry = json.loads(sign_statement({"schema": 1}, RETURN_TYPE, signer(SITE)))
    entry["signatures"].pop()
    refused(spelled("return.json", json.dumps(entry).encode()) + END, tmp_path, HalfSignatureError)


def test_a_file_beside_the_listed_ones_is_refused(tmp_path: Path) -> None:
    data = whole()
    refused(data[: -len(END)] + spelled("files/c.sh", b"#!") + END, tmp_path, MalformedError, "more in it")
    refused(data + b"tail", tmp_path, MalformedError)


def test_other_content_under_a_listed_name_is_refused(tmp_path: Path) -> None:
    refused(forged({}, files=spelled("files/a.json", b"{}")), tmp_path, DigestMismatchError)


@pytest.mark.parametrize("name", ["../a", "/etc/cron.d/x", "a/b", "a\\b", "CON", "x\n", ""])
def test_names_that_are_paths_are_refused_whoever_signed_them(tmp_path: Path, name: str) -> None:
    entry = {"name": name, "type": KINDS["support"], "size": 2, "sha256": "44" * 32}
    refused(forged({"files": [entry]}), tmp_path, VerificationError)


@pytest.mark.parametrize(
    "change",
    [{"size": -1}, {"size": 2**60}, {"size": True}, {"type": "application/x-sh"}, {"sha256": "x"}],
)
def test_hostile_values_are_refused_whoever_signed_them(tmp_path: Path, change: dict[str, Any]) -> None:
    entry = {"name": "a", "type": KINDS["support"], "size": 2, "sha256": "44" * 32, **change}
    refused(forged({"files": [entry]}), tmp_path, MalformedError)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("files/a.json")
    info.type, info.linkname = kind, "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    refused(forged({}, files=info.tobuf(tarfile.USTAR_FORMAT)), tmp_path, MalformedError)


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="cannot be written"):
        extract_return(io.BytesIO(whole()), [signer(SITE).public], tmp_path / "out")
    assert not any((tmp_path / "elsewhere").iterdir())
