"""Section 5: tar archives in the one spelling, and in others."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.digest import sha256
from tests.vectors.cases.desk import CASES, Case

if TYPE_CHECKING:
    from pathlib import Path

LONG = "d/" + "n" * 120


def _written(*entries: Entry) -> bytes:
    out = io.BytesIO()
    write_tar(out, entries)
    return out.getvalue()


def _member(name: str = "file", body: bytes = b"", style: int = tarfile.USTAR_FORMAT, **fields: object) -> bytes:
    """A header and its body; ``fields`` are those of ``TarInfo``."""
    info = tarfile.TarInfo(name)
    info.mode, info.size = 0o644, len(body)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(style, "utf-8", "surrogateescape") + body + bytes(-len(body) % 512)


def _tar(*members: bytes) -> bytes:
    return b"".join(members) + bytes(1024)


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("other"), b"what another reader finds")
    return out.getvalue()


VALID: dict[str, tuple[bytes, dict[str, bytes | None]]] = {
    "tar-empty": (_written(), {}),
    "tar-files-and-folders": (
        _written(Entry("bin", None), Entry("bin/run", b"#!", executable=True), Entry("a", b"1" * 600)),
        {"a": b"1" * 600, "bin": None, "bin/run": b"#!"},
    ),
    "tar-long-path": (_written(Entry(LONG, b"2")), {"d": None, LONG: b"2"}),
}

_WHOLE = _written(Entry("a", b"1"))
INVALID: dict[str, tuple[str, bytes]] = {
    "tar-symbolic-link": ("FormatError", _tar(_member(type=tarfile.SYMTYPE, linkname="/etc/passwd"))),
    "tar-hard-link": ("FormatError", _tar(_member(type=tarfile.LNKTYPE, linkname="../../etc/passwd"))),
    "tar-device": ("FormatError", _tar(_member(type=tarfile.CHRTYPE, devmajor=1, devminor=5))),
    "tar-fifo": ("FormatError", _tar(_member(type=tarfile.FIFOTYPE))),
    "tar-setuid": ("FormatError", _tar(_member(mode=0o4755))),
    "tar-mode-0666": ("FormatError", _tar(_member(mode=0o666))),
    "tar-owner": ("FormatError", _tar(_member(uid=1000))),
    "tar-time": ("FormatError", _tar(_member(mtime=1))),
    "tar-pre-posix": ("FormatError", _tar(_member(type=tarfile.AREGTYPE))),
    "tar-gnu-long-name": ("FormatError", _tar(_member("n" * 200, style=tarfile.GNU_FORMAT))),
    "tar-pax-size": ("FormatError", _tar(_member(style=tarfile.PAX_FORMAT, pax_headers={"size": "1000000"}))),
    "tar-pax-path-that-would-fit": (
        "FormatError",
        _tar(_member(style=tarfile.PAX_FORMAT, pax_headers={"path": "short"})),
    ),
    "tar-base-256-size": ("FormatError", _tar(_member(size=1 << 62, style=tarfile.GNU_FORMAT))),
    "tar-bomb": ("FormatError", _tar(_member(size=(8 << 30) - 1))),
    "tar-out-of-order": ("FormatError", _tar(_member("b"), _member("a"))),
    "tar-member-twice": ("FormatError", _tar(_member("a"), _member("a"))),
    "tar-file-as-folder": ("FormatError", _tar(_member("a"), _member("a/b"))),
    "tar-cut-short": ("FormatError", _WHOLE[:-512]),
    "tar-data-after-the-end": ("FormatError", _WHOLE + b"\0"),
    "tar-that-is-a-zip-too": ("FormatError", _WHOLE + _zip()),
    "tar-data-in-the-padding": ("FormatError", _WHOLE[:600] + b"!" + _WHOLE[601:]),
    "tar-parent": ("UnsafeNameError", _tar(_member("../escape"))),
    "tar-absolute": ("UnsafeNameError", _tar(_member("/etc/cron.d/x"))),
    "tar-backslash": ("UnsafeNameError", _tar(_member("a\\b"))),
    "tar-decomposed": ("UnsafeNameError", _tar(_member("e\u0301"))),
    "tar-collision": ("UnsafeNameError", _tar(_member("README"), _member("readme"))),
}


def _add(name: str, error: str | None, data: bytes, **expect: object) -> None:
    def files(folder: Path) -> None:
        (folder / "archive.tar").write_bytes(data)

    rule = "names" if error == "UnsafeNameError" else "archives"
    CASES.append(Case(name, error, name.replace("-", " "), (rule,), {"operation": "archive"}, expect, files))


for _name, (_data, _members) in VALID.items():
    _listing = {path: "folder" if body is None else str(sha256(body)) for path, body in _members.items()}
    _add(_name, None, _data, members=_listing)
for _name, (_error, _data) in INVALID.items():
    _add(_name, _error, _data)
