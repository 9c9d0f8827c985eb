"""Section 22: a bundle of models counts under the one root that it was signed under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bundles import rewrite
from tests.model_bundles import OFFICERS, back_again, make
from tests.vectors.cases.desk import case, knowing
from tests.vectors.cases.models import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vectors.cases.desk import Json


@case(
    "models-signed-under-an-earlier-root",
    "RollbackError",
    "models-replay",
    operation=MODELS,
    check="metadata agrees",
    about="number 1 of both officers, with roots beside it that gave the role to others and then back to them",
)
def replayed_later(folder: Path) -> Json:
    make(folder / "bundle")
    for version, data in back_again().items():
        (folder / f"bundle/metadata/{version}.root.json").write_bytes(data)
    floors = {"targets": 2, "snapshot": 2, "timestamp": 2}
    return knowing(folder, back_again()[4], versions=floors)


@case(
    "models-signed-under-another-root-of-that-version",
    "MixedMetadataError",
    "models-replay",
    operation=MODELS,
    check="metadata agrees",
    about="the root named is not the one in force, though of its version",
)
def other_root(folder: Path) -> Json:
    change = {"x-sovereign-root": {"version": 2, "sha256": "0" * 64}}
    rewrite(make(folder / "bundle") / "metadata/models.json", lambda signed: signed.update(change), *OFFICERS)
    return knowing(folder)


@case(
    "models-signed-under-no-root",
    "MalformedError",
    "models-under",
    operation=MODELS,
    check="models signatures, ed25519",
    about="both officers signed without saying under which root",
)
def no_root(folder: Path) -> Json:
    path = make(folder / "bundle") / "metadata/models.json"
    rewrite(path, lambda signed: signed.pop("x-sovereign-root"), *OFFICERS)
    return knowing(folder)
