"""The models that `sources/` describes, found where the builder keeps them or made as a bundle of them is made.

Their packages are those that a lock names, by digest, so a newcomer needs no file: what is not in the builder's cache
is fetched once, and an embedding model is converted once.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from airgap_bundle.build import model_artifact
from airgap_bundle.build.artifact import BuildContext
from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.fetch import fetch_locked
from airgap_bundle.build.stage import printed
from airgap_bundle.lock import load_lock
from airgap_bundle.release_file import load_release

SOURCES = Path(__file__).parents[3] / "sources"
CHAT, EMBEDDING = "gemma3-270m", "minilm-l6-v2"
EMBEDDINGS = {EMBEDDING: "release", "multilingual-e5-small": "multilingual"}
"""Embedding models, by the description that names them."""
_SAID = ("prompts", "unrelated_percent")


class Weights(NamedTuple):
    """A model's file, what it is called by, and what its record says that is needed to ask it."""

    path: Path
    digest: str
    says: dict[str, Any]


def found(name: str) -> Weights:
    """The weights of the model ``name``. Raises ``BundleError`` where its packages cannot be had."""
    description = SOURCES / f"{EMBEDDINGS.get(name, 'release')}.yaml"
    release = load_release(description)
    lock = load_lock(description.with_suffix(".lock"))
    spec: Any = next(one for one in release.artifacts if one.name == name)
    cache = BuildCache.default()
    wanted = [(request, lock.find(request.key)) for request in model_artifact.requests(spec, SOURCES)]
    inputs = fetch_locked(wanted, cache, printed)
    context = BuildContext(SOURCES, release.epoch, release.version, lock, inputs, cache, printed)
    built = model_artifact.build(spec, context)
    weights = next(one.file for one in built.files if one.title == built.config["weights"]["file"])
    says = {one: built.config[one] for one in _SAID if one in built.config}
    return Weights(weights.path, f"sha256:{weights.sha256}", says)


def named(path: Path, says: dict[str, Any]) -> Weights:
    """A file of one's own, and what a record of it would say."""
    with path.open("rb") as file:
        return Weights(path, f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", says)


def template() -> str:
    """The chat model's own, which the release signs."""
    return (SOURCES / "models" / CHAT / "chat_template.jinja").read_text()
