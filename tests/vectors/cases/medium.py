"""Section 1 and 3: what lies on a medium, and what it is called; section 9: files missing, besides, or changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.bundles import root_bytes
from tests.vectors.cases.desk import blob_with, case, flip, knowing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vectors.cases.desk import Json

LARGEST = b"GGUF"


@case("whole", None, "reader-order", about="a whole release at a first use", freshness="pass")
def whole(_folder: Path) -> None:
    pass


@case("whole-at-a-site", None, "pinned-root", about="a whole release at a site that trusts root 1", freshness="pass")
def whole_at_a_site(folder: Path) -> Json:
    return knowing(folder)


@case("imported", None, "import", operation="import", about="an import that learns: the site changes")
def imported(_folder: Path) -> None:
    pass


SPECIAL = {
    "index-behind-a-link": lambda bundle: _link(bundle / "index.json"),
    "metadata-folder-behind-a-link": lambda bundle: _link(bundle / "metadata"),
    "blobs-folder-behind-a-link": lambda bundle: _link(bundle / "blobs"),
    "dangling-link-besides": lambda bundle: (bundle / "blobs/link").symlink_to("/etc/hostname"),
    "fifo-in-place-of-a-file": lambda bundle: _fifo(bundle / "release.json"),
}


def _link(path: Path) -> None:
    elsewhere = path.parent.parent / f"elsewhere-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(f"../{elsewhere.name}")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


for _name, _change in SPECIAL.items():

    @case(
        _name, "SpecialFileError", "regular-files", check="medium", about=f"a medium with a {_name.replace('-', ' ')}"
    )
    def special(folder: Path, change: object = _change) -> None:
        change(folder / "bundle")  # type: ignore[operator]


UNSAFE = {
    "device-name": "CON",
    "device-name-with-extension": "aux.txt",
    "dot-at-the-end": "trailing.",
    "space-at-the-end": "trailing ",
    "backslash": "metadata\\root.json",
    "colon": "C:evil",
    "newline": "two\nlines",
    "zero-width": "zero\u200bwidth",
    "bidi-override": "bidi\u202egpj.exe",
    "decomposed": "e\u0301",
    "unassigned": "\u0378",
    "private-use": "\ue000",
    "case-collision": "INDEX.json",
    "compatibility-collision": "release.jso\uff4e",
}


for _name, _file in UNSAFE.items():

    @case(
        _name,
        "UnsafeNameError",
        "distinct-names" if "collision" in _name else "names",
        check="medium",
        about=f"a file besides the others called {ascii(_file)[:40]}",
    )
    def unsafe(folder: Path, file: str = _file) -> None:
        (folder / "bundle" / file).write_bytes(b"")


UNLISTED = {
    "blob-that-nothing-names": "blobs/sha256/" + "0" * 64,
    "readme-besides": "README.txt",
    "hidden-file": ".hidden",
    "git-folder": ".git/config",
    "root-with-leading-zero": "metadata/01.root.json",
    "metadata-besides": "metadata/notes.json",
}


for _name, _path in UNLISTED.items():

    @case(_name, "UnlistedFileError", "exact-files", check="file list", about=f"{_path[:30]} besides, named by nothing")
    def unlisted(folder: Path, path: str = _path) -> None:
        (folder / "bundle" / path).parent.mkdir(exist_ok=True)
        (folder / "bundle" / path).write_bytes(b"extra")


@case("empty-folder", "UnlistedFileError", "exact-files", check="file list", about="an empty folder besides")
def empty_folder(folder: Path) -> None:
    (folder / "bundle/blobs/sha512").mkdir()


@case("folders-without-end", "MalformedError", "exact-files", check="medium", about="folders in folders, forty deep")
def folders(folder: Path) -> None:
    (folder / "bundle" / "/".join(["d"] * 40)).mkdir(parents=True)


@case("blob", "MissingFileError", "reader-order", check="file list", about="the largest blob is not there")
def missing_blob(folder: Path) -> None:
    blob_with(folder / "bundle", LARGEST).unlink()


@case("release-file", "MissingFileError", "reader-order", check="targets", about="release.json is not there")
def missing_release(folder: Path) -> None:
    (folder / "bundle/release.json").unlink()


@case("layout-file", "MissingFileError", "reader-order", check="format", about="oci-layout is not there")
def missing_layout(folder: Path) -> None:
    (folder / "bundle/oci-layout").unlink()


@case("gap-in-roots", "MissingFileError", "exact-files", check="pinned root", about="roots 1 and 3 without root 2")
def gap(folder: Path) -> None:
    (folder / "bundle/metadata/3.root.json").write_bytes(root_bytes())


@case("blob-flipped", "DigestMismatchError", "reader-order", check="blobs", about="one bit of the largest blob changed")
def flipped(folder: Path) -> None:
    flip(blob_with(folder / "bundle", LARGEST))


@case("manifest-flipped", "DigestMismatchError", "contents", check="contents", about="one bit of a manifest changed")
def manifest_flipped(folder: Path) -> None:
    flip(blob_with(folder / "bundle", b"models.yaml"), 40)


@case("index-flipped", "DigestMismatchError", "reader-order", check="targets", about="one bit of index.json changed")
def index_flipped(folder: Path) -> None:
    flip(folder / "bundle/index.json")


@case(
    "release-flipped", "DigestMismatchError", "reader-order", check="targets", about="one bit of release.json changed"
)
def release_flipped(folder: Path) -> None:
    flip(folder / "bundle/release.json")


@case("blob-cut-short", "DigestMismatchError", "reader-order", check="file list", about="a blob lacks its last byte")
def cut_short(folder: Path) -> None:
    path = blob_with(folder / "bundle", LARGEST)
    path.write_bytes(path.read_bytes()[:-1])


@case("blob-grown", "DigestMismatchError", "reader-order", check="file list", about="a blob of a terabyte of holes")
def grown(folder: Path) -> None:
    os.truncate(blob_with(folder / "bundle", LARGEST), 1 << 40)


@case("layout-spelled-otherwise", "MalformedError", "reader-order", check="format", about="oci-layout with a newline")
def layout(folder: Path) -> None:
    path = folder / "bundle/oci-layout"
    path.write_bytes(path.read_bytes() + b"\n")


@case("too-many-roots", "MalformedError", "caps", check="pinned root", about="129 files that are named like roots")
def too_many_roots(folder: Path) -> None:
    for version in range(2, 130):
        (folder / f"bundle/metadata/{version}.root.json").write_bytes(b"{}")
