"""The demo release, built once for all tests that look at it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airgap_bundle.lock import load_lock

if TYPE_CHECKING:
    from airgap_bundle.build.cache import BuildCache
    from airgap_bundle.build.release import BuiltBundle

REPOSITORY = Path(__file__).parents[3]
PARTS = ("airgap_bundle", "ansible", "appliance", "policies", "requirements", "sources")
FILES = ("pyproject.toml", "README.md", "LICENSE", ".gitignore")


def cache_is_warm(cache: BuildCache) -> bool:
    lock = load_lock(REPOSITORY / "sources" / "release.lock")
    needed = [item.sha256 for item in lock.inputs] + [item.sha256 for item in lock.compiled]
    return all(cache.path(hexdigest).is_file() for hexdigest in needed)


def snapshot(folder: Path) -> Path:
    """A copy of what a release is built from; the value is its release.yaml."""
    for part in PARTS:
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.partial"))
    for file in FILES:
        shutil.copyfile(REPOSITORY / file, folder / file)
    return folder / "sources" / "release.yaml"


def blob(built: BuiltBundle, digest: str) -> Path:
    return built.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def manifest(built: BuiltBundle, name: str) -> dict[str, Any]:
    for item in json.loads((built.folder / "index.json").read_bytes())["manifests"]:
        if item["annotations"]["org.opencontainers.image.ref.name"] == name:
            found: dict[str, Any] = json.loads(blob(built, item["digest"]).read_bytes())
            return found
    raise AssertionError(name)


def layers(built: BuiltBundle, name: str) -> dict[str, Path]:
    return {
        item["annotations"]["org.opencontainers.image.title"]: blob(built, item["digest"])
        for item in manifest(built, name)["layers"]
    }
