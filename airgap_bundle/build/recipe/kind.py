"""The artifact kind `image-recipe`: an image that is made here, and travels as any other image does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.build.artifact import BuiltArtifact, Component, ForeignManifest
from airgap_bundle.build.debian.package_lock import PackageRequest
from airgap_bundle.build.recipe.image_documents import ARCHITECTURE, image_config, image_manifest
from airgap_bundle.build.recipe.layer_build import LayerBuild
from airgap_bundle.build.recipe.program_supply import ProgramSupply
from airgap_bundle.build.recipe.recipe_file import load_recipe
from airgap_bundle.container_image import KIND as IMAGE
from airgap_bundle.container_image import PLATFORM, SOURCE, Platform, check_config, parse_image_manifest
from airgap_bundle.descriptor import MANIFEST_TYPE
from airgap_bundle.errors import BuildError, LockError
from airgap_bundle.image_reference import parse_reference
from airgap_bundle.strict_json import load_object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.build.inputs import Request
    from airgap_bundle.build.recipe.layer_build import BuiltLayer
    from airgap_bundle.build.recipe.recipe_file import Recipe
    from airgap_bundle.image_reference import ImageReference
    from airgap_bundle.made_artifacts import RecipeArtifact

NATIVE = Platform(ARCHITECTURE)


def requests(spec: RecipeArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """What a recipe needs is locked in sections of its own."""
    return ()


def programs(spec: RecipeArtifact, folder: Path) -> tuple[str, ...]:
    """Names of the wrapper modules that the recipe takes executables or files from."""
    _, layers = load_recipe(folder / spec.recipe)
    names = {part.program for layer in layers for part in layer.programs}
    return tuple(sorted(names | {part.program for layer in layers for part in layer.modules}))


def packages(spec: RecipeArtifact, folder: Path, suite: str | None) -> PackageRequest | None:
    """The recipe's Debian packages. Raises ``LockError`` for more than one layer of them, or without a suite."""
    _, layers = load_recipe(folder / spec.recipe)
    parts = [layer.debian for layer in layers if layer.debian is not None]
    if not parts:
        return None
    if len(parts) > 1:
        raise LockError(f"{spec.recipe}: packages stand in one layer", "a package belongs to one layer only")
    if suite is None:
        raise LockError(f"{spec.recipe} asks for debian packages", "name the suite in the release description: debian")
    return PackageRequest(spec.name, suite, tuple(sorted(parts[0].packages)), tuple(sorted(parts[0].without)))


def build(spec: RecipeArtifact, context: BuildContext) -> BuiltArtifact:
    """The image: its blobs from the cache, its manifest and config from the recipe.

    Raises ``BuildError`` when the recipe breaks its own word (a shell without a reason), or a library is lacking.
    """
    path, image = context.folder / spec.recipe, parse_reference(spec.image)
    recipe, parts = load_recipe(path)
    _check_lock(spec, context)
    supply = ProgramSupply(context.folder, context.lock, context.cache, context.stage)
    layers = LayerBuild(spec.name, path.parent, supply, context)
    built = [layers.build(part, number) for number, part in enumerate(parts, 1)]
    _check_shells(recipe, built, spec.name)
    _check_libraries(recipe, built, spec.name)
    config = image_config(recipe, image.version, [item.layer for item in built])
    manifest = image_manifest(config, [item.layer for item in built])
    check_config(load_object(config), parse_image_manifest(manifest, MANIFEST_TYPE), NATIVE)
    kept = context.cache.add_bytes(manifest)
    blobs = {file.sha256: file for file in (context.cache.add_bytes(config), *(item.layer.blob for item in built))}
    annotations = {PLATFORM: str(NATIVE), SOURCE: spec.image}
    foreign = ForeignManifest(MANIFEST_TYPE, kept, tuple(blobs.values()), annotations)
    components = {component for item in built for component in item.components}
    components.add(_component(recipe, image, kept, spec.recipe))
    return BuiltArtifact(IMAGE, spec.name, image.version, {}, (), tuple(sorted(components)), foreign)


def _check_lock(spec: RecipeArtifact, context: BuildContext) -> None:
    asked = packages(spec, context.folder, context.suite)
    if asked is not None and context.lock.package_set(spec.name).question != asked.question:
        raise LockError(
            f"{spec.recipe} asks for other packages than were locked for {spec.name}",
            "run `sovereign bundle lock` and review what changed",
        )


def _check_shells(recipe: Recipe, layers: Sequence[BuiltLayer], name: str) -> None:
    shells = sorted({path for layer in layers for path in layer.shells})
    if shells and recipe.shell is None:
        raise BuildError(f"{name} has a shell: {', '.join(shells)}", "remove it, or give the reason: `shell`")
    if recipe.shell is not None and not shells:
        raise BuildError(f"{name} gives a reason for a shell and has none", "drop `shell`")


def _check_libraries(recipe: Recipe, layers: Sequence[BuiltLayer], name: str) -> None:
    """Raise ``BuildError`` when something in the image names a library that is not there."""
    there = {library for layer in layers for library in layer.libraries}
    lacking = {library for layer in layers for library in layer.needs} - there
    unknown = lacking - recipe.unneeded.keys()
    if unknown:
        raise BuildError(
            f"{name} lacks {', '.join(sorted(unknown))}, which files of it name",
            "add the package, remove those files, or give the reason: `unneeded`",
        )
    idle = recipe.unneeded.keys() - lacking
    if idle:
        raise BuildError(f"{name} does not lack {', '.join(sorted(idle))}", "drop that line of `unneeded`")


def _component(recipe: Recipe, image: ImageReference, manifest: CachedFile, path: str) -> Component:
    """The image itself, for the SBOM."""
    name = image.repository.rsplit("/", 1)[-1]
    purl = f"pkg:oci/{name}@sha256%3A{manifest.sha256}?arch={ARCHITECTURE}&repository_url={image.name}&tag={image.tag}"
    properties = (("sovereign:image:platform", str(NATIVE)), ("sovereign:image:recipe", path))
    return Component(
        image.repository, image.version, "container", purl, manifest.sha256, recipe.licence, properties=properties
    )
