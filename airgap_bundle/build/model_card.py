"""The CycloneDX ``modelCard`` of a model (schema 1.6), out of its signed record: what an ML-BOM says beside the digest.

Only what the record says is said here, in its words. What nobody stated is left out: an absent field is a fact too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "sovereign:model:"
_TASKS = {
    "chat": "text-generation",
    "draft": "text-generation",
    "embedding": "feature-extraction",
    "lora": "adaptation",
    "projector": "projection",
}


def model_card(record: Mapping[str, Any]) -> str:
    """The card of the model in ``record``, as canonical JSON."""
    role, weights = str(record.get("role", "")), record["weights"]
    parameters: dict[str, Any] = {}
    if role in _TASKS:
        parameters["task"] = _TASKS[role]
    if "architecture" in weights:
        parameters["modelArchitecture"] = weights["architecture"]
    if role == "chat":
        parameters |= {"inputs": [{"format": "text"}], "outputs": [{"format": "text"}]}
    if statement := record.get("training_data", {}).get("statement"):
        parameters["datasets"] = [{"type": "dataset", "name": "training data", "description": statement}]
    considered = record.get("considerations", {})
    considerations = {
        field: list(considered[key])
        for key, field in (("use_cases", "useCases"), ("limitations", "technicalLimitations"))
        if key in considered
    }
    properties = sorted(_properties(record))
    card = {
        "modelParameters": parameters,
        "considerations": considerations,
        "properties": [{"name": PREFIX + name, "value": value} for name, value in properties],
    }
    return strict_json.dumps({key: value for key, value in card.items() if value}).decode()


def _properties(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Facts that CycloneDX has no field for."""
    for part, fields in (
        ("weights", ("format", "quantisation", "sha256", "size")),
        ("template", ("sha256",)),
        ("prompts", ("query", "document")),
        ("producer", ("name", "jurisdiction", "verified", "note")),
        ("conversion", ("tool", "version", "input", "closed", "note")),
        ("base", ("name", "sha256")),
        ("signature", ("file",)),
    ):
        said = record.get(part) or {}
        yield from ((f"{part}.{field}", _text(said[field])) for field in fields if said.get(field) not in {None, ""})
    if "role" in record:
        yield "role", str(record["role"])
    if record.get("attestations"):
        yield "attestations", ", ".join(record["attestations"])


def _text(value: object) -> str:
    return strict_json.dumps(value).decode() if isinstance(value, bool | int) else str(value)
