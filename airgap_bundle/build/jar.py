"""Which Maven coordinate a jar says it has. For the SBOM only: nothing is trusted because of it."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from airgap_bundle.build.strict_zip import METHODS, ZIP_ERRORS

if TYPE_CHECKING:
    from pathlib import Path

MAX_PROPERTIES = 4096
_PROPERTY = re.compile(r"^(groupId|artifactId|version)\s*[=:]\s*(\S+)\s*$", re.MULTILINE)
_NAME_VERSION = re.compile(r"(.+?)-(\d[\w.+-]*)")


def jar_coordinate(file: Path, path: str) -> tuple[str, str, str] | None:
    """(group, artifact, version) of the jar at ``path`` in its distribution, whose bytes are ``file``.

    Read from the `pom.properties` inside; where a jar carries several (its shaded parts), the one that the file name
    ends with. None when there is none.
    """
    stem = path.rsplit("/", 1)[-1].removesuffix(".jar")
    try:
        with zipfile.ZipFile(file) as archive:
            texts = [
                archive.read(info).decode(errors="replace")
                for info in archive.infolist()
                if info.filename.endswith("/pom.properties") and info.file_size <= MAX_PROPERTIES
                if info.compress_type in METHODS
            ]
    except ZIP_ERRORS:
        return None
    for text in sorted(texts):
        found = dict(_PROPERTY.findall(text))
        if len(found) == 3 and stem.endswith(f"{found['artifactId']}-{found['version']}"):  # noqa: PLR2004 - G, A and V
            return found["groupId"], found["artifactId"], found["version"]
    return None


def file_name_version(path: str) -> tuple[str, str]:
    """(name, version) as the jar's file name has them; version "" where it has none."""
    stem = path.rsplit("/", 1)[-1].removesuffix(".jar")
    match = _NAME_VERSION.fullmatch(stem)
    return (match[1], match[2]) if match else (stem, "")
