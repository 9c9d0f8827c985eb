"""Whether an adapter belongs to a model that is to serve: one question, asked wherever either of them is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.models.errors import BaseError, ModelRefusedError
from appliance.models.record import parse_record

if TYPE_CHECKING:
    from airgap_bundle.store import VerifiedRelease


def require_adapter(release: VerifiedRelease, name: str, model: str) -> None:
    """``name`` is an adapter in ``release``, made for the very weights of its chat model ``model``.

    Raises ``ModelRefusedError`` where it is none or ``model`` is no chat model, ``BaseError`` where it was made for
    other weights. Whether policy accepts it is for the gate to say.
    """
    artifact, base = release.artifacts.get(name), release.artifacts.get(model)
    if artifact is None or artifact.config.get("role") != "lora":
        raise ModelRefusedError(
            f"{name} is no adapter of {release.version}, which {model} serves from", "correct `adapters` in site.yaml"
        )
    if base is None or base.config.get("role") != "chat":
        raise ModelRefusedError(f"{model} is no chat model, and takes no adapter", "correct `adapters` in site.yaml")
    made_for, served = parse_record(artifact.config).base, parse_record(base.config).weights
    if made_for is None or made_for.sha256 != served.sha256:
        raise BaseError(
            f"{name} was made for other weights than those of {model} sha256:{served.sha256[:12]}…",
            "take it out of site.yaml, or bring the two of them together",
        )
