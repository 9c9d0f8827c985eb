"""One layer out of its parts: derived once from everything that shapes it, found in the cache afterwards."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle.build.artifact import Component
from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.debian.package_lock import fetch_packages
from airgap_bundle.build.golang.compilation import MODULE_ARCHIVE
from airgap_bundle.build.python_packages import file_identity, normal_name
from airgap_bundle.build.recipe import layer_parts
from airgap_bundle.build.rootfs import elf, zstd
from airgap_bundle.build.rootfs.content import Data
from airgap_bundle.build.rootfs.layer import Layer, write_layer
from airgap_bundle.build.rootfs.tree import File, Tree
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError, LockError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.build.recipe.program_supply import ProgramSupply
    from airgap_bundle.build.recipe.recipe_file import FilePart, LayerPart, WheelsPart
    from airgap_bundle.build.stage import Advance
    from airgap_bundle.locked_packages import PackageSet

DERIVATION = 1
TITLE = "layer.tar.zst"
SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh", "busybox", "rbash", "csh", "tcsh", "fish"})


@dataclass(frozen=True)
class BuiltLayer:
    """A layer, what is in it for the SBOM, paths of its shells, libraries that it needs and those that it has."""

    layer: Layer
    components: tuple[Component, ...]
    shells: tuple[str, ...]
    needs: tuple[str, ...]
    libraries: tuple[str, ...]


class LayerBuild:
    """Builds the layers of one artifact; ``home`` is its recipe's folder."""

    def __init__(self, artifact: str, home: Path, programs: ProgramSupply, context: BuildContext) -> None:
        self._artifact = artifact
        self._home = home
        self._programs = programs
        self._context = context

    def build(self, part: LayerPart, number: int) -> BuiltLayer:
        """The layer ``number`` of the recipe. Raises ``BuildError`` and ``LockError``."""
        key = derivation_key("image layer", **self._shape(part))
        found = self._context.cache.derived(key)
        if found is None:
            label = f"layer {number} of {self._artifact}"
            with self._context.stage(label) as advance, ExitStack() as stack:
                layer, facts = self._derive(part, stack, advance)
            found = self._context.cache.remember(key, {TITLE: layer.blob}, facts)
        kept = found.facts
        layer = Layer(found.files[TITLE], kept["diff_id"], kept["unpacked"])
        lists = (tuple(kept[name]) for name in ("shells", "needs", "libraries"))
        return BuiltLayer(layer, tuple(map(_component, kept["components"])), *lists)

    def _shape(self, part: LayerPart) -> dict[str, Any]:
        """Everything that the layer's bytes and components follow from."""
        packages = self._set(part)
        return {
            "part": part.model_dump(mode="json"),
            "debian": [] if packages is None else [[packages.suite, asdict(item)] for item in packages.packages],
            "programs": [[*item, self._programs.digest(*item)] for item in _program_files(part)],
            "archives": [self._artifact_file(item.artifact, item.file).sha256 for item in part.archives],
            "wheels": [[file, wheel.sha256] for item in part.wheels for file, wheel in self._wheels(item).items()],
            "files": [sha256(self._data(item)).hex for item in part.files],
            "zstd": zstd.version(),
            "derivation": DERIVATION,
        }

    def _derive(self, part: LayerPart, stack: ExitStack, advance: Advance) -> tuple[Layer, dict[str, Any]]:
        """The layer, and what is remembered about it."""
        scratch = stack.enter_context(self._context.cache.workspace())
        tree = Tree()
        components = list(self._fill(tree, part, stack, scratch))
        idle = tree.remove(part.remove, part.keep)
        if idle:
            raise BuildError(
                f"{self._artifact}: nothing matches {', '.join(sorted(idle))}", "correct or drop that line of `remove`"
            )
        layer_parts.add_folders(tree, [(item.path, item.mode, item.owner) for item in part.folders])
        layer_parts.add_links(tree, part.links)
        nodes = tree.finish()
        shells = sorted(path for path in nodes if path.rsplit("/", 1)[-1] in SHELLS and "/bin/" in f"/{path}")
        needs, libraries = elf.libraries(nodes)
        layer = write_layer(nodes, self._context.cache, advance)
        return layer, {
            "diff_id": layer.diff_id,
            "unpacked": layer.unpacked,
            "shells": shells,
            "needs": needs,
            "libraries": libraries,
            "components": [asdict(item) for item in sorted(set(components))],
        }

    def _fill(self, tree: Tree, part: LayerPart, stack: ExitStack, scratch: Path) -> Iterator[Component]:
        packages = self._set(part)
        if packages is not None:
            files = fetch_packages([packages], self._context.cache, self._context.stage)
            yield from layer_parts.add_packages(tree, files, packages.suite, scratch)
        for archive in part.archives:
            label = f"{archive.artifact}/{archive.file}"
            layer_parts.add_archive(tree, self._artifact_file(archive.artifact, archive.file), archive.path, label)
            yield from self._context.artifacts[archive.artifact].components
        for wheels in part.wheels:
            yield from self._add_wheels(tree, wheels, stack)
        for module in part.modules:
            source = self._programs.source(module.program)
            file = self._programs.file(module.program, MODULE_ARCHIVE)
            opened = stack.enter_context(open_zip(file.path, source.module))
            layer_parts.add_module(tree, opened, module, source.module, source.version)
        for program in part.programs:
            layer_parts.add_program(tree, self._programs.file(program.program, program.binary), program.path)
        taken = _program_files(part)
        for name in sorted({program for program, _ in taken}):
            yield from self._programs.components(name, {file for program, file in taken if program == name})
        for item in part.files:
            tree.put(item.path.strip("/"), File(Data(self._data(item)), int(item.mode, 8)))

    def _add_wheels(self, tree: Tree, part: WheelsPart, stack: ExitStack) -> Iterator[Component]:
        for title, file in self._wheels(part).items():
            archive = stack.enter_context(open_zip(file.path, title))
            layer_parts.add_wheel(tree, archive, part.path, title)
            yield layer_parts.wheel_component(archive, file, *file_identity(title))

    def _wheels(self, part: WheelsPart) -> Mapping[str, CachedFile]:
        """Wheels of the wheelhouse that ``part.python`` can import, but for those left out. Raises ``BuildError``."""
        artifact = self._context.artifacts.get(part.artifact)
        if artifact is None:
            raise BuildError(f"no wheelhouse {part.artifact} stands before {self._artifact} in the release")
        found = {item.title: item.file for item in artifact.files if _serves(item.title, part.python)}
        there = {normal_name(file_identity(title)[0]) for title in found}
        unknown = {*part.without, *part.only} - there
        if unknown:
            raise BuildError(f"{part.artifact} has no {', '.join(sorted(unknown))} for python {part.python}")
        left = {normal_name(file_identity(title)[0]): title for title in sorted(found)}
        chosen = (set(part.only) or there) - set(part.without)
        return {title: found[title] for name, title in sorted(left.items()) if name in chosen}

    def _set(self, part: LayerPart) -> PackageSet | None:
        return None if part.debian is None else self._context.lock.package_set(self._artifact)

    def _artifact_file(self, artifact: str, title: str) -> CachedFile:
        return layer_parts.artifact_file(self._context.artifacts, artifact, title)

    def _data(self, item: FilePart) -> bytes:
        if item.text is not None:
            return item.text.encode()
        path = self._home / str(item.source)
        try:
            return path.read_bytes()
        except OSError as error:
            raise LockError(
                f"{path}: {str(error.strerror).lower()}", f"the recipe of {self._artifact} names it"
            ) from error


def _program_files(part: LayerPart) -> list[tuple[str, str]]:
    """Program and file of everything that wrapper modules give to the layer."""
    executables = [(item.program, item.binary) for item in part.programs]
    return executables + [(item.program, MODULE_ARCHIVE) for item in part.modules]


def _component(value: dict[str, Any]) -> Component:
    pairs = tuple((name, text) for name, text in value["properties"])
    return Component(**value | {"properties": pairs})


def _serves(title: str, python: str) -> bool:
    """Whether the file ``title`` is a wheel for CPython ``python``: its own tag, the stable ABI, or any Python 3."""
    if not title.endswith(".whl"):
        return False
    interpreters, abi, _ = title.removesuffix(".whl").rsplit("-", 3)[-3:]
    tag = f"cp{python.replace('.', '')}"
    own = tag in interpreters.split(".") and abi in {tag, "none", "abi3"}
    stable = abi == "abi3" and any(_older(one, python) for one in interpreters.split("."))
    return own or stable or (abi == "none" and any(one.startswith("py3") for one in interpreters.split(".")))


def _older(interpreter: str, python: str) -> bool:
    minor = interpreter.removeprefix("cp3")
    return minor.isdigit() and int(minor) <= int(python.split(".")[1])
