"""Fetching one file by its Maven coordinate with mvn; from wherever the builder's Maven settings say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airgap_bundle.build.process import find_program, run
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PROGRESS = re.compile(r"Progress \(\d+\): ([0-9.]+)(?:/[0-9.]+)? (kB|MB|B)")
_UNITS = {"B": 1, "kB": 1000, "MB": 1000_000}


def download(coordinate: str, folder: Path, *, on_total: Callable[[int], None]) -> Path:
    """Fetch ``group:artifact:version:extension`` into ``folder``; the value is the file.

    ``on_total`` hears about how many bytes have arrived. The goal `copy` takes the one file; the goal that a project
    would use resolves its dependencies too, and those of a distribution are not published.
    """
    program = find_program("mvn", "install Maven, or take the Keycloak archive from another builder's cache")
    group, artifact, version, extension = coordinate.split(":")

    def hear(line: str) -> None:
        for amount, unit in _PROGRESS.findall(line):
            on_total(int(float(amount) * _UNITS[unit]))

    options = [f"-Dartifact={coordinate}", f"-DoutputDirectory={folder}", "-Dmdep.useBaseVersion=true"]
    run([program, "dependency:copy", *options], cwd=folder, on_line=hear)
    found = folder / f"{artifact}-{version}.{extension}"
    if not found.is_file():
        raise BuildError(f"maven fetched {group}:{artifact} but {found.name} is not there")
    return found
