"""Fetching Python packages with pip, by name, version and hash; from wherever the builder's pip is told to fetch."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airgap_bundle.build.process import run
from airgap_bundle.errors import BuildError, LockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

OLDEST_MANYLINUX = 5
RAW_PROGRESS_SINCE = (24, 1)
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)$")
_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Target:
    """What wheels are chosen for: CPython ``python`` ("3.11") on ``machine`` with glibc ``glibc`` ("2.28") or newer."""

    python: str
    machine: str
    glibc: str

    def pip_options(self) -> list[str]:
        """Pip's options; every older manylinux is named, because pip does not infer them."""
        platforms = []
        for minor in range(int(self.glibc.split(".")[1]), OLDEST_MANYLINUX - 1, -1):
            platforms.append(f"manylinux_2_{minor}_{self.machine}")
            if minor in _LEGACY:
                platforms.append(f"{_LEGACY[minor]}_{self.machine}")
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        return options + [f"--platform={platform}" for platform in platforms]


@dataclass(frozen=True)
class Requirement:
    """One pinned package; ``hashes`` are the acceptable SHA-256 digests (empty: any, to be locked)."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    def line(self) -> str:
        """A line of a requirements file."""
        return f"{self.name}=={self.version}" + "".join(f" --hash=sha256:{item}" for item in self.hashes)


def normal_name(name: str) -> str:
    """Package name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def file_identity(file: str) -> tuple[str, str]:
    """(normal name, version) that a wheel's or sdist's file name says."""
    if file.endswith(".whl"):
        name, version = file.split("-")[:2]
    else:
        name, _, version = file.removesuffix(".tar.gz").rpartition("-")
    return normal_name(name), version


def read_requirements(text: str) -> tuple[Requirement, ...]:
    """Parse a compiled requirements file: every entry pinned by ``==`` and hashed. Raises ``LockError``."""
    joined = re.sub(r"\\\n", " ", text)
    found = []
    for raw in joined.splitlines():
        line = raw.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        match, hashes = _REQUIREMENT.match(line), tuple(_HASH.findall(line))
        if match is None or not hashes:
            raise LockError(f"requirement without version or hash: {line[:80]!r}", "compile it with `make lock`")
        found.append(Requirement(normal_name(match["name"]), match["version"], hashes))
    return tuple(found)


def download(
    requirements: Sequence[Requirement],
    folder: Path,
    *,
    target: Target | Literal["source"],
    on_bytes: Callable[[int], None],
) -> dict[tuple[str, str], Path]:
    """Fetch exactly ``requirements`` into ``folder``; the value is the file of each (name, version).

    ``on_bytes`` hears how many bytes arrived since it was last called. Hashes are enforced by pip when every
    requirement has one; the caller compares digests all the same.
    """
    listing = folder / "requirements.txt"
    listing.write_text("".join(item.line() + "\n" for item in requirements), encoding="utf-8")
    options = ["--no-binary=:all:", "--no-build-isolation"] if target == "source" else target.pip_options()
    if all(item.hashes for item in requirements):
        options.append("--require-hashes")
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--no-input"]
    argv += [_progress_option(), f"--requirement={listing}", f"--dest={folder}", *options]
    run(argv, on_line=_Counter(on_bytes).hear)
    listing.unlink()
    return {file_identity(path.name): path for path in _packages(folder)}


def _progress_option() -> str:
    """Pip older than 24.1 cannot tell how far it is."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError as error:
        raise BuildError("this Python environment has no pip", "install requirements/build.txt into it") from error
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return "--progress-bar=raw" if numbers >= RAW_PROGRESS_SINCE else "--progress-bar=off"


def _packages(folder: Path) -> Iterable[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name.endswith((".whl", ".tar.gz"))]


class _Counter:
    """Turns pip's "Progress N of M", which restarts with every file, into bytes since the last report."""

    def __init__(self, on_bytes: Callable[[int], None]) -> None:
        self._on_bytes = on_bytes
        self._last = 0

    def hear(self, line: str) -> None:
        match = _PROGRESS.match(line.strip())
        if match is None:
            return
        done = int(match[1])
        if done < self._last:
            self._last = 0
        self._on_bytes(done - self._last)
        self._last = done
