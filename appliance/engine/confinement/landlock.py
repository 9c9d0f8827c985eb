"""What an engine sees of the file system, and the landlock rules that hold it to that.

Landlock denies every right that a ruleset handles and no rule grants (landlock(7)), whatever the user's rights are.
Everything that the kernel's ABI knows is handled: writing, making, executing; from ABI 4 TCP, from ABI 5 what devices
are told by ``ioctl``, from ABI 6 abstract sockets and signals outside. Granted is reading, in the engine's own folder
what its socket needs, and to an engine that computes on a GPU that device's files and its own threads' in ``/proc``.
"""

from __future__ import annotations

import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_FILE = 1 << 5
MAKE_SOCK = 1 << 9
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many bits of access_fs each ABI knows; later ones add none
_TRUNCATE_ABI = 3
_NETWORK_ABI = 4
_DEVICE_ABI = 5
_SCOPE_ABI = 6
_BIND_AND_CONNECT = 0b11
_ABSTRACT_AND_SIGNAL = 0b11
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_PROCESSORS = "/sys/devices/system/cpu"
_NOWHERE = "/dev/null"  # llama-cpp-python opens it for writing when it is imported
ON_FILES = WRITE_FILE | READ_FILE | IOCTL_DEV
"""The rights here that a rule for a single file may name."""


@dataclass(frozen=True)
class View:
    """``readable``: files, and folders with all below. ``own``: a folder to list, to make sockets in, to clear.

    ``devices``: the files of the GPU that it computes on. ``threads``: the folder of its own threads, whose
    names the driver's library writes, and finds no GPU where it may not. All else that lies there may be opened as well
    as its owner lets it be; ``seal`` takes writing back, and so an engine with a GPU is never without seccomp.
    Nothing readable and nothing of its own: no name in the file system leads anywhere, ``/dev/null`` included.
    """

    readable: tuple[Path, ...]
    own: Path | None
    devices: tuple[Path, ...] = ()
    threads: Path | None = None


@dataclass(frozen=True)
class Grant:
    """Rights beneath one path; where it is a file, those of them that files have."""

    path: Path
    rights: int


def grants(view: View, abi: int) -> Iterator[Grant]:
    """The rules of ``view``, of rights that ``abi`` knows."""
    for path in view.readable:
        yield Grant(path, READ_FILE | READ_DIR)
    if view.own is not None:
        yield Grant(Path(_NOWHERE), WRITE_FILE | READ_FILE)
        yield Grant(view.own, READ_DIR | MAKE_SOCK | REMOVE_FILE)
    if view.threads is not None:
        yield Grant(view.threads, WRITE_FILE | (TRUNCATE if abi >= _TRUNCATE_ABI else 0))
    for path in view.devices:
        yield Grant(path, WRITE_FILE | READ_FILE | (IOCTL_DEV if abi >= _DEVICE_ABI else 0))


def laid_open(view: View, closed: Path) -> Path | None:
    """The readable path that ``closed`` lies beneath, where there is one: then everything in it could be read."""
    return next((path for path in view.readable if closed.resolve().is_relative_to(path.resolve())), None)


def ruleset(abi: int) -> bytes:
    """``struct landlock_ruleset_attr`` that handles all that ``abi`` (1 or more) knows."""
    files = (1 << _FILE_RIGHTS[min(abi, max(_FILE_RIGHTS))]) - 1
    words = [files]
    if abi >= _NETWORK_ABI:
        words.append(_BIND_AND_CONNECT)
    if abi >= _SCOPE_ABI:
        words.append(_ABSTRACT_AND_SIGNAL)
    return struct.pack(f"={len(words)}Q", *words)


def beneath(rights: int, fd: int) -> bytes:
    """``struct landlock_path_beneath_attr``, which is packed."""
    return struct.pack("=Qi", rights, fd)


def environment() -> tuple[Path, ...]:
    """What the interpreter and its libraries are made of, as far as it is there; the processors' description."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    python = [Path(sys.prefix, "lib"), Path(sys.prefix, "pyvenv.cfg"), *(Path(sysconfig.get_path(n)) for n in names)]
    shared = Path(str(sysconfig.get_config_var("LIBDIR")))
    code = [Path(__file__).parents[2], *(Path(entry) for entry in sys.path if entry)]
    found = (*python, shared, *code, *map(Path, _LIBRARIES), Path(_PROCESSORS))
    return tuple(dict.fromkeys(path for path in found if path.exists()))
