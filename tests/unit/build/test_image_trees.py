"""Trees of images: what packages may put there, and what is refused."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.rootfs.content import Data
from airgap_bundle.build.rootfs.deb import open_deb
from airgap_bundle.build.rootfs.tar_tree import read_tar
from airgap_bundle.build.rootfs.tree import File, Folder, Link, Tree, merged
from airgap_bundle.errors import BuildError
from tests.debs import SmallDeb, ar, folder, link, member, tar

if TYPE_CHECKING:
    from pathlib import Path

HELLO = File(Data(b"hello"))


def nodes(package: SmallDeb, scratch: Path) -> dict[str, object]:
    path = package.write(scratch / "pool")
    return dict(open_deb(path, path.name, scratch).nodes())


def test_a_package_gives_its_files_folders_and_links(tmp_path: Path) -> None:
    package = SmallDeb(
        members=[
            folder("usr"),
            member("usr/tool", b"run", mode=0o755),
            link("usr/other", "tool"),
            folder("tmp", 0o1777),
        ]
    )
    found = nodes(package, tmp_path)
    tool = found["usr/tool"]
    assert isinstance(tool, File)
    assert (b"".join(tool.content.chunks()), tool.mode) == (b"run", 0o755)
    assert found["usr/other"] == Link("tool")
    assert found["tmp"] == Folder(0o1777)


def test_reading_a_package_creates_none_of_its_files(tmp_path: Path) -> None:
    package = SmallDeb(members=[member("etc/shadow", b"x"), link("escape", "/etc/passwd")])
    nodes(package, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        f"{package.file}.control",
        f"{package.file}.data",
        "pool",
    ]


def test_setuid_bits_and_owners_do_not_survive(tmp_path: Path) -> None:
    found = nodes(SmallDeb(members=[member("bin/su", b"x", mode=0o6755, uid=7, gid=42)]), tmp_path)
    node = found["bin/su"]
    assert isinstance(node, File)
    assert (node.mode, node.owner) == (0o755, 0)


def test_a_hard_link_becomes_a_file_of_the_same_bytes(tmp_path: Path) -> None:
    found = nodes(SmallDeb(members=[member("a", b"one"), member("b", type=tarfile.LNKTYPE, linkname="./a")]), tmp_path)
    assert found["a"] == found["b"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (member("dev/null", type=tarfile.CHRTYPE), "no regular file"),
        (member("pipe", type=tarfile.FIFOTYPE), "no regular file"),
        (member("b", type=tarfile.LNKTYPE, linkname="./missing"), "hard link to nothing"),
    ],
)
def test_what_an_image_has_no_use_for_is_refused(bad: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=said):
        nodes(SmallDeb(members=[bad]), tmp_path)  # type: ignore[list-item]  # one of the above


@pytest.mark.parametrize("name", ["../etc/passwd", "a/../b", "a//b", "a\nb", "x" * 256, "/".join(["d"] * 2100)])
def test_a_path_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BuildError, match="no path of an image"):
        Tree().add(name, HELLO, "alpha")


def test_nothing_lies_below_a_link() -> None:
    tree = Tree()
    tree.add("etc", Link("/"), "alpha")
    tree.add("etc/passwd", HELLO, "beta")
    with pytest.raises(BuildError, match="below etc"):
        tree.finish()


def test_two_packages_do_not_share_a_file_with_two_contents() -> None:
    tree = Tree()
    tree.add("usr/a", HELLO, "alpha")
    tree.add("usr/a", HELLO, "beta")
    with pytest.raises(BuildError, match="gamma has usr/a too"):
        tree.add("usr/a", File(Data(b"other")), "gamma")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: b"!<arsh>" + data[7:], "no debian package"),
        (lambda data: data[:-200], "cut short|damaged"),
        (lambda data: data + b"more", "no package has"),
        (lambda data: data.replace(b"data.tar.xz", b"data.tar.bz"), "where data.tar belongs"),
    ],
)
def test_a_damaged_package_is_told_apart(spoil: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.deb"
    path.write_bytes(spoil(SmallDeb(members=[member("a", bytes(5000))]).data()))  # type: ignore[operator]  # a lambda above
    with pytest.raises(BuildError, match=said):
        dict(open_deb(path, path.name, tmp_path).nodes())


def test_a_damaged_header_does_not_pass_for_the_end(tmp_path: Path) -> None:
    data = bytearray(tar([member("a", b"1" * 600), member("b", b"2")]))
    data[512 * 3 + 148 : 512 * 3 + 156] = b"not octal"[:8]
    path = tmp_path / "damaged.tar"
    path.write_bytes(data)
    with pytest.raises(BuildError, match="damaged"):
        list(read_tar(path, "damaged"))


def test_a_package_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.deb"
    path.write_bytes(ar([("debian-binary", b"3.0\n")]))
    with pytest.raises(BuildError, match="version 2"):
        open_deb(path, path.name, tmp_path)


def test_bin_and_lib_lie_in_usr_and_are_found_where_they_were() -> None:
    tree = Tree()
    for path in ("bin/sh", "lib64/ld.so", "etc/hosts"):
        tree.add(merged(path), HELLO, "alpha")
    tree.merge_usr()
    found = tree.finish()
    assert found["bin"] == Link("usr/bin")
    assert found["lib64"] == Link("usr/lib64")
    assert found["usr/bin/sh"] == HELLO
    assert found["etc/hosts"] == HELLO
    assert "sbin" not in found


def test_removing_tells_which_patterns_matched_nothing() -> None:
    tree = Tree()
    for path in ("usr/share/doc/a/copyright", "usr/share/doc/a/news", "usr/lib/a.so", "usr/lib/deep/er/b.a"):
        tree.add(path, HELLO, "alpha")
    idle = tree.remove(["usr/share/doc", "**/*.a", "usr/missing"], ["usr/share/doc/*/copyright"])
    assert idle == {"usr/missing"}
    assert sorted(tree.nodes) == ["usr/lib/a.so", "usr/share/doc/a/copyright"]
