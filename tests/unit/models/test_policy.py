from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle import strict_json
from appliance.models.errors import PolicyError, RecordError
from appliance.models.policy import POLICY_MAX_BYTES, load_policy, parse_policy
from appliance.models.record import parse_record, version_key
from tests.unit.models.small_release import POLICY, record

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """
schema: 1
accept: {producers: [{name: Google}], jurisdictions: [US], licences: [MIT], architectures: [gemma3]}
"""


def test_the_release_policy_is_valid_and_asks_for_two_signers() -> None:
    policy = load_policy(POLICY)
    assert policy.minimum_signers == 2
    assert set(policy.waivable) == {"producer-verified", "conversion-closed"}


def test_a_short_policy_still_requires_signature_producer_and_conversion() -> None:
    policy = parse_policy(SMALL.encode())
    assert policy.require == ("weights-signed", "producer-verified", "conversion-closed")
    assert policy.waivable == ()


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("surprise: 1", "surprise"),
        ("waivable: [weights-signed]", "waivable"),
        ("waivable: [licence-accepted]", "waivable"),
        ("require: [nonsense]", "require"),
        ("minimum_signers: 0", "minimum_signers"),
        ("schema: 1", "written twice"),
        ("minimum_versions: {m: newest}", "minimum_versions"),
        ("require: &a [weights-signed]\nwaivable: *a", "aliases"),
        ("x: !!python/object/apply:os.system [id]", "YAML"),
        ("\tx: 1", "YAML"),
    ],
)
def test_a_mistake_in_the_policy_is_refused_and_named(change: str, cause: str) -> None:
    with pytest.raises(PolicyError, match=cause):
        parse_policy((SMALL + change).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"schema: 2", b"{" * 5000, b"\xff\xfe", b"x" * (POLICY_MAX_BYTES + 1)])
def test_what_is_no_policy_is_refused(data: bytes) -> None:
    with pytest.raises(PolicyError):
        parse_policy(data)


def test_a_policy_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path)


def test_unknown_fields_of_a_record_are_ignored() -> None:
    assert parse_record({**record(b"x"), "later": {"more": 1}}).name == "gemma3-270m"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", 2),
        ("name", ""),
        ("version", "1.0.0-rc1"),
        ("weights.sha256", "A" * 64),
        ("weights.size", 0),
        ("weights.size", "12"),
        ("weights.file", "../model.gguf"),
        ("template.file", "a/b"),
        ("template.stop", [""]),
        ("producer.verified", "yes"),
        ("licence.files", []),
        ("conversion.closed", None),
        ("prompts", {"query": "query: "}),
        ("unrelated_percent", 50),
    ],
)
def test_a_wrong_field_of_a_record_is_named(path: str, value: object) -> None:
    config = record(b"x")
    target = config
    *parents, last = path.split(".")
    for parent in parents:
        target = target[parent]
    target[last] = value
    with pytest.raises(RecordError, match=path):
        parse_record(config)


def test_an_embedding_models_prompts_are_read_as_they_stand() -> None:
    config = {**record(b"x"), "role": "embedding", "prompts": {"query": "query: "}, "unrelated_percent": 81}
    del config["template"]
    found = parse_record(strict_json.load_object(strict_json.dumps(config)))  # as it is written into a bundle
    assert found.prompts is not None
    assert (found.prompts.query, found.prompts.document, found.unrelated_percent) == ("query: ", "", 81)
    for wrong in ({"query": None}, {"document": ["a"]}, {"query": "x" * 201}):
        with pytest.raises(RecordError, match="prompts"):
            parse_record({**config, "prompts": wrong})
    for outside in (100, -1, 0.5, "50", True):
        with pytest.raises(RecordError, match="unrelated_percent"):
            parse_record({**config, "unrelated_percent": outside})


def test_versions_are_ordered_as_numbers() -> None:
    assert sorted(["1.10.0", "1.9", "1.0", "0.12"], key=version_key) == ["0.12", "1.0", "1.9", "1.10.0"]
    assert version_key("1.0") == version_key("1.0.0")
