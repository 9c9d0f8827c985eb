"""The artifact of cases: what sites learnt, as one file of the tree that ``sovereign learn import`` wrote, as it is.

Only its first line is looked at here: whoever takes it in reads every line. No format of the appliance is known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.release_file import CasesArtifact

FILE = "cases.jsonl"
HEAD = b'{"schema":1,"type":"cases"}\n'
MAX_BYTES = 64 << 20


def requests(spec: CasesArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """Nothing is fetched."""
    return ()


def build(spec: CasesArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact; its version is the release's. Raises ``BuildError`` for a file that is none of cases."""
    path = context.folder / spec.folder / FILE
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BuildError(f"{path}: {str(error.strerror).lower()}", f"release.yaml names it for {spec.name}") from error
    if not data.startswith(HEAD) or len(data) > MAX_BYTES:
        raise BuildError(f"{path} is no file of cases", "`sovereign learn import` writes it")
    kept = context.cache.add_bytes(data)
    config = {"schema": 1, "name": spec.name, "file": FILE}
    return BuiltArtifact(spec.kind, spec.name, context.version, config, (BuiltFile(FILE, kept),), ())
