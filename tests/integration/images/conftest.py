"""One registry for the whole run, and releases whose images lie there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airgap_bundle.build.cache import BuildCache
from tests.integration.images.distribution import running_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`HOST:PORT` of a registry without authentication."""
    with running_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(autouse=True)
def _no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user of this machine is logged in to is none of a test's business."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class Tree:
    """A release of images only, in ``folder``, with a cache of its own."""

    folder: Path
    cache: BuildCache

    @property
    def release(self) -> Path:
        return self.folder / "release.yaml"

    def write(self, *images: dict[str, Any]) -> Path:
        value = {
            "schema": 1,
            "name": "images",
            "version": "1.0.0",
            "number": 1,
            "min_release": 1,
            "support_until": "2030-01-31",
            "source_date": "2026-01-01",
            "artifacts": [{"kind": "image", "platform": "linux/amd64", **image} for image in images],
        }
        self.release.write_text(yaml.safe_dump(value))
        return self.release

    def kept(self) -> set[str]:
        """Digests of everything in the cache."""
        folder = self.cache.root / "inputs" / "sha256"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "tree").mkdir()
    return Tree(tmp_path / "tree", BuildCache(tmp_path / "cache"))
