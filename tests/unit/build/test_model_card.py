"""The ML-BOM: a model's component carries a CycloneDX model card that the schema accepts and the record backs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from airgap_bundle.build.artifact import Component
from airgap_bundle.build.cyclonedx_document import make_sbom
from airgap_bundle.build.model_card import PREFIX, model_card
from airgap_bundle.errors import BuildError

RECORD = json.loads((Path(__file__).parents[3] / "sources/models/gemma3-270m/record.json").read_text())
SUBJECT = Component("gemma3-270m", "1.0.0", "application")


def _document(card: str) -> dict[str, Any]:
    model = Component("gemma3-270m", "1.0.0", "machine-learning-model", sha256="a" * 64, card=card)
    data = make_sbom(SUBJECT, [model], 0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    return json.loads(data)


def test_the_demo_models_card_is_valid_and_says_what_its_record_says() -> None:
    (component,) = _document(model_card(RECORD))["components"]
    card = component["modelCard"]
    assert component["type"] == "machine-learning-model"
    assert card["modelParameters"]["task"] == "text-generation"
    assert card["modelParameters"]["modelArchitecture"] == RECORD["weights"]["architecture"]
    assert card["modelParameters"]["datasets"][0]["description"] == "not published"
    assert card["considerations"]["technicalLimitations"] == RECORD["considerations"]["limitations"]
    said = {item["name"].removeprefix(PREFIX): item["value"] for item in card["properties"]}
    assert said["producer.verified"] == "false"
    assert said["producer.jurisdiction"] == "US"
    assert said["conversion.closed"] == "false"


def test_what_nobody_stated_is_left_out() -> None:
    card = json.loads(model_card({"weights": {"file": "model.gguf"}}))
    assert card == {}


def test_signature_base_and_statements_are_named() -> None:
    more = {
        "role": "lora",
        "base": {"name": "gemma3-270m", "sha256": "b" * 64},
        "signature": {"file": "model.sig"},
        "attestations": ["a.intoto.json", "b.intoto.json"],
    }
    card = json.loads(model_card({**RECORD, **more}))
    said = {item["name"].removeprefix(PREFIX): item["value"] for item in card["properties"]}
    assert (said["role"], said["base.sha256"], said["signature.file"]) == ("lora", "b" * 64, "model.sig")
    assert said["attestations"] == "a.intoto.json, b.intoto.json"


def test_a_card_that_the_schema_does_not_accept_is_never_written() -> None:
    with pytest.raises(BuildError, match="breaks the cyclonedx schema"):
        _document('{"modelParameters":{"surprise":1}}')
