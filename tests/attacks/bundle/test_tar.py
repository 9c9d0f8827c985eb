"""Attacks 13 and 15 to 17 on tar archives: a signed archive is still parsed as if it were hostile."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.archive import Entry, Limits, extract, write_tar
from airgap_bundle.errors import FormatError, UnsafeNameError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def tar_with(change: Callable[[tarfile.TarInfo], None], *, style: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar with one file, its header changed; the checksum is right."""
    info = tarfile.TarInfo("file")
    info.mode = 0o644
    change(info)
    body = b"x" * info.size
    return info.tobuf(style, "utf-8", "surrogateescape") + body + b"\0" * (-len(body) % 512) + b"\0" * 1024


def setting(**fields: object) -> Callable[[tarfile.TarInfo], None]:
    def change(info: tarfile.TarInfo) -> None:
        for name, value in fields.items():
            setattr(info, name, value)

    return change


REFUSED = {
    "symbolic link": setting(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": setting(type=tarfile.LNKTYPE, linkname="../../etc/passwd"),
    "character device": setting(type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    "block device": setting(type=tarfile.BLKTYPE),
    "fifo": setting(type=tarfile.FIFOTYPE),
    "contiguous": setting(type=tarfile.CONTTYPE),
    "sparse": setting(type=tarfile.GNUTYPE_SPARSE),
    "pre-posix": setting(type=tarfile.AREGTYPE),
    "unknown type": setting(type=b"Z"),
    "setuid": setting(mode=0o4755),
    "setgid": setting(mode=0o2755),
    "sticky": setting(mode=0o1755),
    "owner": setting(uid=1000),
    "owner's name": setting(uname="root"),
    "time": setting(mtime=1),
    "mode": setting(mode=0o666),
    "link name on a file": setting(linkname="elsewhere"),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_16_anything_but_a_plain_file_is_refused(tmp_path: Path, change: Callable[[tarfile.TarInfo], None]) -> None:
    with pytest.raises(FormatError):
        extract(io.BytesIO(tar_with(change)), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "headers",
    [{"path": "short"}, {"size": "1000000"}, {"linkpath": "/etc"}, {"path": "p" * 200, "size": "9"}, {"uid": "0"}],
)
def test_16_pax_overrides_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    data = tar_with(setting(pax_headers=headers), style=tarfile.PAX_FORMAT)
    with pytest.raises(FormatError):
        extract(io.BytesIO(data), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_16_a_gnu_long_name_is_refused(tmp_path: Path) -> None:
    data = tar_with(setting(name="n" * 200), style=tarfile.GNU_FORMAT)
    with pytest.raises(FormatError):
        extract(io.BytesIO(data), tmp_path / "out")


@pytest.mark.parametrize("name", ["../escape", "/etc/cron.d/x", "a/../../b", "a\\b", "C:x", "CON", "t.", "e\u0301"])
def test_13_unsafe_member_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeNameError):
        extract(io.BytesIO(tar_with(setting(name=name))), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}


def test_13_member_names_that_fold_together_are_refused(tmp_path: Path) -> None:
    data = tar_with(setting(name="README"))[:512] + tar_with(setting(name="readme"))
    with pytest.raises(UnsafeNameError, match="one file"):
        extract(io.BytesIO(data), tmp_path / "out")


def test_13_members_twice_or_out_of_order_are_refused(tmp_path: Path) -> None:
    data = tar_with(setting(name="b"))[:512] + tar_with(setting(name="a"))
    with pytest.raises(FormatError, match="twice or out of order"):
        extract(io.BytesIO(data), tmp_path / "out")


def test_15_a_link_planted_in_the_destination_is_not_followed(tmp_path: Path) -> None:
    """Somebody else's process puts a link where a folder is about to be made."""
    out = io.BytesIO()
    write_tar(out, [Entry("first", b"1"), Entry("later/file", b"evil")])

    class Meddling(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 1024 and not (tmp_path / "out/later").is_symlink():
                (tmp_path / "out/later").symlink_to(tmp_path)
            return super().read(size)

    with pytest.raises(FormatError):
        extract(Meddling(out.getvalue()), tmp_path / "out")
    assert not (tmp_path / "file").exists()


def test_17_ten_million_empty_members_stop_at_the_cap(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        count = 0

        def read(self, _size: int = -1, /) -> bytes:
            self.count += 1
            return tar_with(setting(name=f"{self.count:09}"))[:512]

    with pytest.raises(FormatError, match="exceeds 50 members"):
        extract(Endless(), tmp_path / "out", Limits(members=50))  # type: ignore[arg-type]  # reading is all that extract asks for
    assert len(list((tmp_path / "out").iterdir())) == 50


def test_17_a_declared_size_beyond_the_cap_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    info = tarfile.TarInfo("bomb")
    info.mode, info.size = 0o644, 7 << 30
    with pytest.raises(FormatError, match="exceeds"):
        extract(io.BytesIO(info.tobuf(tarfile.USTAR_FORMAT)), tmp_path / "out", Limits(total_bytes=1 << 30))
    assert list((tmp_path / "out").iterdir()) == []


def test_17_base_256_sizes_are_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("bomb")
    info.mode, info.size = 0o644, 1 << 62
    with pytest.raises(FormatError):
        extract(io.BytesIO(info.tobuf(tarfile.GNU_FORMAT)), tmp_path / "out")


def test_data_after_the_end_or_in_the_padding_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    write_tar(out, [Entry("a", b"1")])
    whole = out.getvalue()
    with pytest.raises(FormatError, match="does not end"):
        extract(io.BytesIO(whole + b"\0"), tmp_path / "one")
    with pytest.raises(FormatError, match="pads"):
        extract(io.BytesIO(whole[:600] + b"!" + whole[601:]), tmp_path / "two")
