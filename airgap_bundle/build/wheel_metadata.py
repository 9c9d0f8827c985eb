"""What a wheel says about itself: its licence, and which glibc its libraries need."""

from __future__ import annotations

import re
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airgap_bundle.build.strict_zip import StrictZip

LONGEST_LICENCE_NAME = 60
_GLIBC = re.compile(rb"GLIBC_2\.(\d+)")


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
        int(match)
        for path, member in archive.members.items()
        if not member.directory and (path.endswith(".so") or ".so." in path)
        for match in _GLIBC.findall(archive.read(path))
    ]
    return f"2.{max(minors, default=0)}"
