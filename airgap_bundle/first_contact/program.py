"""The program `uv` inside its wheel: the one file of the wheelhouse that a host runs before it has anything else."""

from __future__ import annotations

import hashlib
import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from airgap_bundle.digest import CHUNK, Digest
from airgap_bundle.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_WHEEL_BYTES = 128 << 20
MAX_PROGRAM_BYTES = 256 << 20
_WHEEL = re.compile(r"uv-([0-9][0-9A-Za-z._+!]*)-[A-Za-z0-9._]+-[A-Za-z0-9._]+-[A-Za-z0-9._]+\.whl", re.ASCII)
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, OSError, ValueError, OverflowError),
)


@dataclass(frozen=True)
class Program:
    """What the wheelhouse's config says of the program: digest, and size in bytes."""

    digest: Digest
    size: int

    def to_json(self) -> dict[str, Any]:
        """The value of ``uv`` in the config."""
        return {"sha256": self.digest.hex, "size": self.size}

    @classmethod
    def from_json(cls, value: object) -> Program:
        """Read ``uv`` of a config. Raises ``FormatError``."""
        if not isinstance(value, dict):
            raise FormatError("the wheelhouse does not say what uv is", "build the release again, with uv in it")
        size = value.get("size")
        if type(size) is not int or not 1 <= size <= MAX_PROGRAM_BYTES:
            raise FormatError(f"the wheelhouse says that uv has {size!r} bytes")
        return cls(Digest.from_hex(str(value.get("sha256"))), size)


def wheel_name(names: Iterable[str]) -> str:
    """The one wheel of `uv` among the files ``names`` of a wheelhouse. Raises ``FormatError`` for none or several."""
    found = [name for name in names if name.startswith("uv-") and name.endswith(".whl")]
    if len(found) != 1:
        raise FormatError(f"the wheelhouse holds {len(found)} wheels of uv instead of one", "build the release again")
    member(found[0])
    return found[0]


def member(wheel: str) -> str:
    """Where `uv` lies inside the wheel called ``wheel``. Raises ``FormatError`` for another name."""
    match = _WHEEL.fullmatch(wheel)
    if match is None:
        raise FormatError(f"{wheel!r:.80} is no plain name of uv's wheel", "build the release again")
    return f"uv-{match[1]}.data/scripts/uv"


def measure(wheel: IO[bytes], name: str) -> Program:
    """The program inside the open ``wheel`` called ``name``; its bytes are those that were checked by digest.

    Raises ``FormatError`` when it is not there exactly once, larger than ``MAX_PROGRAM_BYTES``, or damaged.
    """
    path = member(name)
    try:
        with zipfile.ZipFile(wheel) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename == path]
            if len(entries) != 1:
                raise FormatError(f"{name} holds {len(entries)} programs {path} instead of one")
            with archive.open(entries[0]) as stream:
                return _measure(stream, path)
    except _DAMAGE as error:
        raise FormatError(f"{name} is no wheel that can be read: {error}") from error


def _measure(stream: IO[bytes], path: str) -> Program:
    hasher, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        hasher.update(chunk)
        size += len(chunk)
        if size > MAX_PROGRAM_BYTES:
            raise FormatError(f"{path} exceeds {MAX_PROGRAM_BYTES} bytes")
    return Program(Digest.from_hex(hasher.hexdigest()), size)


def described(settings: Mapping[str, Any]) -> Program:
    """What a wheelhouse's config ``settings`` says. Raises ``FormatError``."""
    return Program.from_json(settings.get("uv"))
