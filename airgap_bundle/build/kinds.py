"""The table of artifact kinds: what each asks to be fetched, how it is compiled and how it is built.

A new kind is a model in `release_file`, a module with `requests` and `build`, and a line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle.build import (
    cases_artifact,
    chart,
    host_programs,
    image_artifact,
    keycloak_artifact,
    model_artifact,
    policy_artifact,
    wheelhouse,
)
from airgap_bundle.build.recipe import kind as recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext, BuiltArtifact
    from airgap_bundle.build.debian.package_lock import PackageRequest
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.compiled_recipe import CompiledRecipe


def _nothing_compiled(_spec: Any, _context: BuildContext) -> tuple[CompiledRecipe, ...]:
    return ()


def _no_programs(_spec: Any, _folder: Path) -> tuple[str, ...]:
    return ()


def _no_packages(_spec: Any, _folder: Path, _suite: str | None) -> PackageRequest | None:
    return None


@dataclass(frozen=True)
class Kind:
    """One kind. Its functions take the kind's own model of `release_file`, which the table's key stands for."""

    requests: Callable[[Any, Path], tuple[Request, ...]]
    build: Callable[[Any, BuildContext], BuiltArtifact]
    recipes: Callable[[Any, BuildContext], tuple[CompiledRecipe, ...]] = _nothing_compiled
    programs: Callable[[Any, Path], tuple[str, ...]] = _no_programs
    packages: Callable[[Any, Path, str | None], PackageRequest | None] = _no_packages


KINDS: dict[str, Kind] = {
    "wheelhouse": Kind(wheelhouse.requests, wheelhouse.build, wheelhouse.recipes),
    "keycloak": Kind(keycloak_artifact.requests, keycloak_artifact.build),
    "model": Kind(model_artifact.requests, model_artifact.build),
    "image": Kind(image_artifact.requests, image_artifact.build),
    "policy": Kind(policy_artifact.requests, policy_artifact.build),
    "cases": Kind(cases_artifact.requests, cases_artifact.build),
    "image-recipe": Kind(recipe.requests, recipe.build, programs=recipe.programs, packages=recipe.packages),
    "host-programs": Kind(host_programs.requests, host_programs.build, programs=host_programs.programs),
    "chart": Kind(chart.requests, chart.build, programs=chart.programs),
}
