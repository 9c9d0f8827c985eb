"""What a wheel says about itself: its licence, and which glibc its libraries need."""

from __future__ import annotations

import re
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airgap_bundle.build.strict_zip import StrictZip, ZipMember

LONGEST_LICENCE_NAME = 60
_GLIBC = re.compile(rb"GLIBC_2\.(\d{1,4})")
_OVERLAP = len(b"GLIBC_2.9999")


def wheel_licence(archive: StrictZip) -> str:
    """The licence as the wheel's METADATA states it, "" when it states none in one line."""
    path = next((name for name in archive.members if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)), None)
    if path is None:
        return ""
    metadata = BytesHeaderParser().parsebytes(archive.read(path))
    expression, text = metadata.get("License-Expression"), metadata.get("License", "")
    if expression:
        return str(expression).strip()
    if text and len(text) <= LONGEST_LICENCE_NAME and "\n" not in text:
        return str(text).strip()
    classifiers = [
        value for value in metadata.get_all("Classifier", []) if value.startswith("License :: OSI Approved ::")
    ]
    return " / ".join(value.rsplit(" :: ", 1)[-1] for value in classifiers)


def glibc_needed(archive: StrictZip) -> str:
    """Newest glibc symbol version that a shared library in the wheel asks for, as "2.N"."""
    minors = [
        minor
        for path, member in archive.members.items()
        if not member.directory and (path.endswith(".so") or ".so." in path)
        for minor in _minors(archive, member)
    ]
    return f"2.{max(minors, default=0)}"


def _minors(archive: StrictZip, member: ZipMember) -> Iterator[int]:
    """Minor versions in a library of any size; a name cut between two chunks is found whole in the second."""
    tail = b""
    for piece in archive.chunks(member):
        window = tail + piece
        yield from map(int, _GLIBC.findall(window))
        tail = window[-_OVERLAP:]
