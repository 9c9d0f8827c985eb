"""The cluster's release without the assistant: Kubernetes, its network and the hosts' programs, locked as in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import printed
from tests.bundles import sign

SOURCES = Path(__file__).parents[3] / "sources"
_OURS = ("postgresql", "keycloak", "edge", "assistant", "audit", "policies", "local-path")


def kubernetes_alone(folder: Path) -> Path:
    """The signed bundle of that release, below ``folder``."""
    sources = Path(shutil.copytree(SOURCES, folder / "sources"))
    described = yaml.safe_load((sources / "cluster.yaml").read_text())
    del described["extends"]
    described["artifacts"] = [part for part in described["artifacts"] if not part["name"].startswith(_OURS)]
    (sources / "cluster.yaml").write_text(yaml.safe_dump(described))
    build_release(sources / "cluster.yaml", folder / "bundle", cache=BuildCache.default(), stage=printed)
    return sign(folder / "bundle", "architect", "builder", "release")
