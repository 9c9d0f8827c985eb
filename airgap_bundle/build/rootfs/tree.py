"""A file tree as a value: regular files, folders and symbolic links by path.

Paths are POSIX names, as Linux images have them: stricter than a kernel, looser than what crosses a FAT32 stick (two
names may differ by case). A link is text that nobody follows here; nothing may lie below one. Everything belongs to
root unless a recipe says otherwise, and no file is setuid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap_bundle.build.rootfs.content import Content

MAX_NAME = 255
MAX_PATH = 4095
STICKY = 0o1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ROOT_FOLDERS = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libx32"})


@dataclass(frozen=True)
class File:
    """A regular file; ``mode`` has permission bits only."""

    content: Content
    mode: int = 0o644
    owner: int = 0


@dataclass(frozen=True)
class Folder:
    """A directory; ``mode`` may have the sticky bit besides."""

    mode: int = 0o755
    owner: int = 0


@dataclass(frozen=True)
class Link:
    """A symbolic link with the text ``target``."""

    target: str


Node = File | Folder | Link


def check_path(path: str) -> str:
    """``path`` itself when it is relative, normal and printable. Raises ``BuildError``."""
    parts = path.split("/")
    try:
        longest = max(len(part.encode()) for part in parts)
        length = len(path.encode())
    except UnicodeEncodeError as error:
        raise BuildError(f"{path!r} is no path of an image: it is not utf-8") from error
    if {"", ".", ".."} & set(parts) or _CONTROL.search(path) or longest > MAX_NAME or length > MAX_PATH:
        raise BuildError(f"{path[:200]!r} is no path of an image")
    return path


def check_target(target: str, path: str) -> str:
    """The text of a link at ``path``, when it is one. Raises ``BuildError``."""
    if not target or _CONTROL.search(target) or len(target.encode(errors="surrogatepass")) > MAX_PATH:
        raise BuildError(f"the link {path} has no target that an image can hold")
    return target


def merged(path: str) -> str:
    """``path`` where `/bin`, `/sbin` and `/lib*` are links into `/usr`, as every Debian since 12 has them."""
    return f"usr/{path}" if path.split("/", 1)[0] in _ROOT_FOLDERS else path


class Tree:
    """Nodes by path, without a leading slash."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def add(self, path: str, node: Node, origin: str) -> None:
        """Add a node from ``origin``. A folder may be there already; anything else twice raises ``BuildError``."""
        check_path(path)
        if isinstance(node, Link):
            check_target(node.target, path)
        before = self.nodes.get(path)
        if isinstance(before, Folder) and isinstance(node, Folder):
            return
        if before is not None and before != node:
            raise BuildError(f"{origin} has {path} too, and it is something else there")
        self.nodes[path] = node

    def put(self, path: str, node: Node) -> None:
        """Set a node whatever was there: a recipe's own word counts more than a package's."""
        check_path(path)
        if isinstance(node, Link):
            check_target(node.target, path)
        self.nodes[path] = node

    def merge_usr(self) -> None:
        """Add the links that let `/bin/sh` and the like be found."""
        for name in sorted(_ROOT_FOLDERS):
            if any(path.startswith(f"usr/{name}/") for path in self.nodes):
                self.put(name, Link(f"usr/{name}"))

    def remove(self, patterns: Iterable[str], keep: Iterable[str] = ()) -> set[str]:
        """Drop what matches ``patterns`` and not ``keep``; the value is the patterns that matched nothing.

        `*` stands for any part of a name and `**` for any number of names; a folder that matches goes with all of it.
        """
        kept = [_compiled(pattern) for pattern in keep]
        idle = set()
        for pattern in patterns:
            wanted = _compiled(pattern)
            gone = [path for path in self.nodes if wanted.match(path) and not any(one.match(path) for one in kept)]
            for path in gone:
                del self.nodes[path]
            if not gone:
                idle.add(pattern)
        return idle

    def finish(self) -> dict[str, Node]:
        """Every node with all its folders, by path. Raises ``BuildError`` where one lies below a file or link."""
        found = dict(self.nodes)
        for path in self.nodes:
            for parent in _parents(path):
                if not isinstance(found.setdefault(parent, Folder()), Folder):
                    raise BuildError(f"{path} lies below {parent}, which is no folder")
        return dict(sorted(found.items(), key=lambda item: item[0].encode()))


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of paths; what it matches, everything below that matches too."""
    parts = pattern.strip("/").split("/")
    text = "/".join(".*" if part == "**" else _name(part) for part in parts).replace("/.*/", "/(.*/)?")
    text = f"(.*/)?{text.removeprefix('.*/')}" if text.startswith(".*/") else text
    return re.compile(f"{text}(/.*)?$", re.DOTALL)


def _name(part: str) -> str:
    return "".join("[^/]*" if character == "*" else re.escape(character) for character in part)
