"""Our own wheel, built from the tree with the pinned hatchling; equal trees give equal bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from airgap_bundle.build.process import run
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache, CachedFile


def build_project_wheel(project: Path, epoch: int, cache: BuildCache) -> tuple[str, CachedFile]:
    """File name and cached wheel of the project in ``project``. Raises ``BuildError``."""
    if not (project / "pyproject.toml").is_file():
        raise BuildError(f"{project} is no project: it has no pyproject.toml")
    with cache.workspace() as scratch:
        argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(scratch)]
        run(argv, cwd=project, env={"SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"})
        wheels = sorted(scratch.glob("*.whl"))
        if len(wheels) != 1:
            raise BuildError(f"building {project.name} gave {len(wheels)} wheels")
        return wheels[0].name, cache.add_file(wheels[0])
