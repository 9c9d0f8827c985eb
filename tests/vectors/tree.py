"""A vector's files as JSON, and back on disk: one form for every bundle, links and impossible names included.

`tree.json` lists entries, each with a `path` (components joined by `/`; a backslash is part of a name) and one of

    "text"      the file's bytes, as UTF-8, where that is short and prints
    "file"      the file's bytes lie in `files/<sha256>`
    "link"      a symbolic link to this target
    "fifo"      true: a FIFO
    "folder"    true: a folder without anything in it

A file may have `"size"` too: it is made that long with zero bytes. README.md beside this module is the specification.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from airgap_bundle.digest import sha256

FILES = Path(__file__).parent / "files"
MAX_TEXT = 400
_SPARSE = 1 << 20

Entry = dict[str, Any]


def describe(folder: Path, pool: Path = FILES) -> list[Entry]:
    """Entries of everything under ``folder``, sorted by path; contents that are no short text are put into ``pool``."""
    found = []
    for base, directories, files in os.walk(folder):
        prefix = Path(base).relative_to(folder)
        empty = [name for name in directories if not Path(base, name).is_symlink() and not os.listdir(Path(base, name))]  # noqa: PTH208 - a question of any or none
        links = [name for name in directories if Path(base, name).is_symlink()]
        found += [{"path": (prefix / name).as_posix(), "folder": True} for name in empty]
        found += [{"path": (prefix / name).as_posix(), **_content(Path(base, name), pool)} for name in [*files, *links]]
    return sorted(found, key=lambda entry: str(entry["path"]))


def _content(path: Path, pool: Path) -> Entry:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return {"link": str(path.readlink())}
    if stat.S_ISFIFO(status.st_mode):
        return {"fifo": True}
    if status.st_size > _SPARSE:
        with path.open("rb") as stream:
            return {**_bytes(stream.read(_SPARSE).rstrip(b"\0"), pool), "size": status.st_size}
    return _bytes(path.read_bytes(), pool)


def _bytes(data: bytes, pool: Path) -> Entry:
    if len(data) <= MAX_TEXT and data.isascii() and data.decode().replace("\n", "").isprintable():
        return {"text": data.decode()}
    digest = sha256(data).hex
    (pool / digest).write_bytes(data)
    return {"file": digest}


def lay_out(tree: list[Entry], folder: Path, pool: Path = FILES) -> None:
    """Make the files of ``tree`` under ``folder``, which exists and is empty."""
    for entry in tree:
        path = folder / entry["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if "folder" in entry:
            path.mkdir()
        elif "fifo" in entry:
            os.mkfifo(path)
        elif "link" in entry:
            path.symlink_to(entry["link"])
        else:
            path.write_bytes(entry["text"].encode() if "text" in entry else (pool / entry["file"]).read_bytes())
            if "size" in entry:
                os.truncate(path, entry["size"])


def vectors(base: Path) -> list[Path]:
    """Folders of all vectors under ``base``, sorted."""
    return [path.parent for path in sorted(base.glob("*valid/**/expect.json"))]


def load(vector: Path) -> tuple[Entry, list[Entry]]:
    """`expect.json` and `tree.json` of the vector in folder ``vector``."""
    expect, tree = (json.loads((vector / name).read_text()) for name in ("expect.json", "tree.json"))
    return expect, tree


def dumps_tree(tree: list[Entry]) -> str:
    """An entry a line, its path first."""
    lines = (json.dumps({"path": entry["path"], **entry}) for entry in tree)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def dumps(value: object) -> str:
    """JSON for people and for `git diff`."""
    return json.dumps(value, indent=1) + "\n"
