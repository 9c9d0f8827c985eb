"""The text file FIRST-CONTACT: what a host needs to know before it can run anything of a release. Pure.

It follows byte for byte from the release and the root in force, so that every signer makes the same one and nobody
has to parse it here: a reader makes it again and compares. The one parser is ``first-contact.sh``, for which the form
is made: a key, a space, values without quotes; one line each, keys ascending.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.digest import sha256
from airgap_bundle.errors import FormatError
from airgap_bundle.first_contact import program

if TYPE_CHECKING:
    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.oci import Contents, Manifest

FILE = "FIRST-CONTACT"
MAX_BYTES = 1 << 20
WHEELHOUSE = "wheelhouse"
REQUIREMENTS = "requirements.txt"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,127}", re.ASCII)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}", re.ASCII)
_MACHINE = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)
_GLIBC = re.compile(r"2\.[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True)
class Release:
    """The bytes that a release hangs on, and what was read from them."""

    index: bytes
    release: bytes
    contents: Contents


def wheelhouse(contents: Contents) -> Manifest | None:
    """The release's wheelhouse; None when it has none and needs no first contact. Raises ``FormatError`` for two."""
    found = [artifact for artifact in contents.artifacts if artifact.kind == WHEELHOUSE]
    if len(found) > 1:
        raise FormatError("a release has at most one wheelhouse", "put the wheels of both into one")
    return found[0] if found else None


def write(release: Release, root_version: int, root: bytes) -> bytes | None:
    """FIRST-CONTACT of ``release`` under the root file ``root``, the last one; None without a wheelhouse.

    Raises ``FormatError`` when something is not of the plain form that a shell can read.
    """
    house = wheelhouse(release.contents)
    if house is None:
        return None
    info, layers = release.contents.release.info, {str(layer.title): layer for layer in house.layers}
    program.wheel_name(layers)
    if REQUIREMENTS not in layers:
        raise FormatError(f"the wheelhouse has no {REQUIREMENTS}", "build the release again")
    uv = program.described(house.settings)
    lines = [
        "format 1",
        f"glibc {_plain(house.settings.get('glibc'), _GLIBC, 'glibc')}",
        f"index {sha256(release.index)}",
        f"machine {_plain(house.settings.get('machine'), _MACHINE, 'machine')}",
        f"release {sha256(release.release)}",
        f"release-name {_plain(info.name, _WORD, 'name')}",
        f"release-number {info.number}",
        f"release-version {_plain(info.version, _WORD, 'version')}",
        f"root {sha256(root)}",
        f"root-version {root_version}",
        f"uv {uv.digest.hex} {uv.size}",
        *(_file(name, layer) for name, layer in sorted(layers.items())),
    ]
    data = "".join(f"{line}\n" for line in lines).encode("ascii")
    if len(data) > MAX_BYTES:
        raise FormatError(f"{FILE} would exceed {MAX_BYTES} bytes", "the wheelhouse has too many files")
    return data


def difference(found: bytes, expected: bytes) -> str:
    """Where ``found`` departs from ``expected``, for a person; text of the medium is shown escaped and cut."""
    ours, theirs = expected.split(b"\n"), found.split(b"\n")
    for number, line in enumerate(ours, 1):
        other = theirs[number - 1] if number <= len(theirs) else b""
        if other != line:
            return f"line {number} is {other[:60].decode('latin-1')!a}, not {line.decode()!r:.80}"
    return f"{len(theirs) - len(ours)} lines follow its last"


def _file(name: str, layer: Descriptor) -> str:
    return f"{WHEELHOUSE} {layer.digest.hex} {layer.size} {_plain(name, _FILE_NAME, 'file name')}"


def _plain(value: object, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise FormatError(f"{value!r:.80} is no plain {what}", "letters, digits and . _ + ! - go into a first contact")
    return value
