"""The option `--root`: root files, or a folder with all of them, by version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle.metadata import parse_root
from airgap_bundle.signing.roots_folder import complete_roots, read_root
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

RootOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="FILE|DIR",
        help="The root(s), N.root.json, or their folder; needed by the first signature, and to bring a newer root.",
    ),
]


def read_roots(given: Sequence[Path] | None) -> dict[int, bytes]:
    """Roots by version. Raises ``UsageError`` for two files with one version, and a ``BundleError`` for a draft."""
    found: dict[int, bytes] = {}
    for path in given or ():
        files = complete_roots(path) if path.is_dir() else {_version(data := read_root(path)): data}
        for version, data in files.items():
            if found.setdefault(version, data) != data:
                raise UsageError(f"{path} holds a second root {version}", "there is one root of each version")
    return found


def _version(data: bytes) -> int:
    return int(parse_root(data).signed.version)
