"""What an attacker tries with a model's provenance: signatures moved, statements forged, parts smuggled in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    BundleError,
    HalfSignatureError,
    MalformedError,
    MissingFileError,
    SignatureError,
    UnlistedFileError,
)
from airgap_bundle.provenance.errors import OtherModelError
from airgap_bundle.statement import sign_statement
from appliance.models.errors import (
    BaseError,
    ContradictionError,
    GgufMismatchError,
    ModelGateError,
    ModelRefusedError,
    PublisherSignatureError,
    RecordError,
    StatementError,
    TemplateError,
)
from tests.unit.models.provenance_bench import IDENTITY, PUBLISHED, publish, state, state_chain, write_policy
from tests.unit.models.small_release import NAME, STANDARD, Site, gguf, signer, text, waiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.provenance.manifest import Identity
    from airgap_bundle.store import Artifact


def _site(folder: Path, **changes: Any) -> Site:
    """The demo model under a policy with changes, without any waiver."""
    found = Site(folder, policy=write_policy(folder, **changes))
    found.waivers = []
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A model whose publisher signed it, under a policy that wants that."""
    wants = ["weights-signed", "publisher-signed"]
    found = _site(tmp_path, require=wants, attested=[])
    publish(found)
    return found


def _state(site: Site) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in site.folder.iterdir() if not path.name.startswith("waiver-")}


def _refused(site: Site, error: type[ModelGateError], because: type[BundleError] | None = None) -> ModelGateError:
    before = _state(site)
    with pytest.raises(error) as refused:
        site.open()
    assert type(refused.value) is error
    assert because is None or type(refused.value.__cause__) is because
    assert refused.value.exit_code == 3
    assert _state(site) == before
    return refused.value


def test_the_model_as_its_publisher_signed_it_passes(site: Site) -> None:
    site.open().close()


def test_a_signature_by_a_stranger_counts_for_nothing(site: Site) -> None:
    publish(site, "stranger")
    refused = _refused(site, ModelRefusedError)
    assert "publisher-signed" in refused.cause


def test_the_publisher_of_another_producer_counts_for_nothing(site: Site) -> None:
    value = site.policy.read_text().replace("producers:\n  - Google", "producers:\n  - Mistral AI")
    assert value != site.policy.read_text()
    site.policy.write_text(value)
    assert "does not publish for" in _refused(site, ModelRefusedError).cause


@pytest.mark.parametrize(
    "identity",
    [
        replace(IDENTITY, name="another-model"),
        replace(IDENTITY, version="0.9.0"),
        replace(IDENTITY, role="draft"),
    ],
)
def test_a_signature_of_another_name_version_or_role_in_this_slot_is_refused(site: Site, identity: Identity) -> None:
    publish(site, identity=identity)
    _refused(site, PublisherSignatureError, OtherModelError)


def test_a_signature_over_other_bytes_is_refused(site: Site) -> None:
    publish(site, **{"model.gguf": b"other weights"})
    _refused(site, PublisherSignatureError, OtherModelError)


@pytest.mark.parametrize("title", ["adapter.gguf", ".gitattributes", "tokenizer.json", "extra.sig"])
def test_a_file_that_the_publisher_did_not_sign_is_refused(site: Site, title: str) -> None:
    site.add(title, b"unsigned")
    _refused(site, PublisherSignatureError, UnlistedFileError)


def test_a_signed_file_that_was_left_out_is_refused(site: Site) -> None:
    publish(site, **{"projector.gguf": b"was signed"})
    _refused(site, PublisherSignatureError, MissingFileError)


def test_a_template_that_was_exchanged_under_the_publishers_signature_is_refused(site: Site) -> None:
    publish(site, **{"chat_template.jinja": b"{{ messages[0].content }}"})
    _refused(site, PublisherSignatureError, OtherModelError)


def test_a_broken_signature_is_refused_even_under_a_waiver_for_a_missing_one(site: Site, tmp_path: Path) -> None:
    wants = ["weights-signed", "publisher-signed"]
    site.policy = write_policy(tmp_path, require=wants, attested=[], waivable=["publisher-signed"])
    site.waivers = [waiver(sha256(site.weights).hex, waives=["publisher-signed"])]
    value = json.loads(site.extra["model.sig"])
    value["dsseEnvelope"]["signatures"][0]["sig"] = "MAYCAQECAQE="
    site.add("model.sig", json.dumps(value).encode())
    _refused(site, PublisherSignatureError, SignatureError)


def test_a_signature_with_an_ambiguous_form_is_refused(site: Site) -> None:
    site.add("model.sig", b'{"mediaType":1,"mediaType":2}')
    _refused(site, PublisherSignatureError, MalformedError)


@pytest.fixture
def stated(tmp_path: Path) -> Site:
    """A model with a closed chain of statements, under a policy that wants one."""
    found = _site(tmp_path)
    state_chain(found)
    return found


def test_statements_by_somebody_whom_the_policy_does_not_name_count_for_nothing(tmp_path: Path) -> None:
    site = _site(tmp_path)
    state_chain(site, by="stranger")
    assert "conversion-closed" in _refused(site, ModelRefusedError).cause


def test_an_attester_who_may_state_licences_cannot_close_a_chain(tmp_path: Path) -> None:
    site = _site(tmp_path, attests=["licence"])
    state_chain(site)
    assert "conversion-closed" in _refused(site, ModelRefusedError).cause


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("production", {"producer": "Somebody", "place": "Nowhere", "jurisdiction": "US"}),
        ("production", {"producer": "Google", "place": "Elsewhere", "jurisdiction": "XX"}),
        ("licence", {"spdx": "AGPL-3.0-only"}),
        ("quantisation", {"tool": "t", "version": "1", "inputs": [PUBLISHED], "scheme": "Q8_0"}),
    ],
)
def test_a_record_that_says_something_else_than_the_statements_is_refused(
    stated: Site, kind: str, fields: dict[str, Any]
) -> None:
    state(stated, kind, sha256(stated.weights).hex, **fields)
    _refused(stated, ContradictionError)


def test_no_waiver_covers_a_contradiction(tmp_path: Path) -> None:
    waivable = ["producer-verified", "conversion-closed"]
    site = Site(tmp_path, policy=write_policy(tmp_path, waivable=waivable))
    site.open().close()
    state(site, "licence", sha256(site.weights).hex, spdx="AGPL-3.0-only")
    _refused(site, ContradictionError)


def _envelope(site: Site, change: Callable[[dict[str, Any]], None]) -> None:
    title = site.config["attestations"][0]
    value = json.loads(site.extra[title])
    change(value)
    site.add(title, json.dumps(value).encode())


def test_a_statement_with_one_half_of_its_signatures_is_refused(stated: Site) -> None:
    _envelope(stated, lambda value: value["signatures"].pop())
    _refused(stated, StatementError, HalfSignatureError)


def test_a_statement_whose_text_was_exchanged_is_refused(stated: Site) -> None:
    other = json.loads(stated.extra[stated.config["attestations"][1]])
    _envelope(stated, lambda value: value.update(payload=other["payload"]))
    _refused(stated, StatementError, SignatureError)


def test_a_waivers_envelope_is_no_statement_of_origin(stated: Site) -> None:
    stated.add(stated.config["attestations"][0], waiver("a" * 64, by="custodian"))
    _refused(stated, StatementError)


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda payload: payload.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda payload: payload.update(subject=[]),
        lambda payload: payload.update(subject=[{"name": "x", "digest": {"sha1": "0" * 40}}]),
        lambda payload: payload["predicate"].update(surprise=1),
        lambda payload: payload["predicate"].pop("producer"),
    ],
)
def test_a_signed_statement_of_another_form_is_refused(stated: Site, change: Callable[[Any], None]) -> None:
    payload: dict[str, Any] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "x", "digest": {"sha256": "a" * 64}}],
        "predicateType": "https://sovereign.invalid/model-origin/production/v1",
        "predicate": {"producer": "Google", "place": "here", "jurisdiction": "US"},
    }
    change(payload)
    signed = sign_statement(payload, "application/vnd.in-toto+json", signer("custodian"))
    stated.add(stated.config["attestations"][0], signed)
    _refused(stated, StatementError, MalformedError)


LORA = (
    (b"general.architecture", 8, text(b"gemma3")),
    (b"general.type", 8, text(b"adapter")),
    (b"adapter.type", 8, text(b"lora")),
)
PAIR = ((b"blk.0.weight.lora_a", (4, 2), 0, 0), (b"blk.0.weight.lora_b", (4, 2), 0, 32))
PROJECTOR = ((b"general.architecture", 8, text(b"clip")), (b"general.type", 8, text(b"mmproj")))


def _base(site: Site) -> Artifact:
    return site.release().artifacts[NAME]


def _part(folder: Path, role: str, weights: bytes, **changes: Any) -> Site:
    """A part of the demo model, in a release that holds both, under a policy that accepts every role."""
    (folder / "base").mkdir()
    (folder / "part").mkdir()
    whole = Site(folder / "base")
    policy = write_policy(folder, waivable=["producer-verified", "conversion-closed"])
    policy.write_text(policy.read_text().replace("- chat", "- chat\n  - lora\n  - projector\n  - draft"))
    policy.write_text(policy.read_text().replace("- gemma3\n", "- gemma3\n  - clip\n"))
    site = Site(folder / "part", weights=weights, slot="part", policy=policy, others=(_base(whole),))
    del site.config["template"]
    site.config |= {"name": "part", "role": role, "base": {"name": NAME, "sha256": sha256(whole.weights).hex}}
    site.config["weights"]["architecture"] = "clip" if role == "projector" else "gemma3"
    site.config |= changes
    site.waivers = [waiver(sha256(weights).hex, name="part")]
    return site


@pytest.mark.parametrize(
    ("role", "weights"),
    [("lora", gguf(LORA, PAIR)), ("projector", gguf(PROJECTOR)), ("draft", gguf())],
)
def test_an_adapter_projector_and_draft_model_pass_as_what_they_are(tmp_path: Path, role: str, weights: bytes) -> None:
    site = _part(tmp_path, role, weights)
    model = site.open()
    model.close()
    assert {c.name: c.status for c in model.verdict.checks}["base-bound"] == "pass"


@pytest.mark.parametrize("role", ["lora", "projector"])
def test_an_unsigned_part_is_refused_though_its_base_is_signed(tmp_path: Path, role: str) -> None:
    site = _part(tmp_path, role, gguf(LORA, PAIR) if role == "lora" else gguf(PROJECTOR))
    wants = ["weights-signed", "publisher-signed"]
    policy = write_policy(tmp_path, require=wants, attested=[])
    policy.write_text(policy.read_text().replace("- chat", f"- {role}").replace("- gemma3\n", "- gemma3\n  - clip\n"))
    site.policy, site.waivers = policy, []
    assert "publisher-signed" in _refused(site, ModelRefusedError).cause


@pytest.mark.parametrize(
    "base", [{"name": NAME, "sha256": "0" * 64}, {"name": "part", "sha256": sha256(gguf(LORA, PAIR)).hex}]
)
def test_a_part_of_another_base_is_refused(tmp_path: Path, base: dict[str, str]) -> None:
    _refused(_part(tmp_path, "lora", gguf(LORA, PAIR), base=base), BaseError)


def test_an_adapter_of_another_architecture_than_its_base_is_refused(tmp_path: Path) -> None:
    weights = gguf((((b"general.architecture", 8, text(b"llama"))), *LORA[1:]), PAIR)
    site = _part(tmp_path, "lora", weights)
    site.config["weights"]["architecture"] = "llama"
    _refused(site, BaseError)


@pytest.mark.parametrize(
    ("role", "weights"),
    [
        pytest.param("lora", gguf(), id="a whole model as adapter"),
        pytest.param("lora", gguf(LORA), id="an adapter with a foreign tensor"),
        pytest.param("lora", gguf(LORA, PAIR[:1]), id="half of a pair"),
        pytest.param("lora", gguf((*LORA[:2], (b"adapter.type", 8, text(b"other"))), PAIR), id="another adapter"),
        pytest.param("draft", gguf((*STANDARD, *LORA[1:]), PAIR), id="an adapter as draft model"),
    ],
)
def test_a_file_in_a_role_that_is_not_its_own_is_refused(tmp_path: Path, role: str, weights: bytes) -> None:
    _refused(_part(tmp_path, role, weights), GgufMismatchError)


def test_a_projector_cannot_be_a_chat_model_and_an_adapter_neither(tmp_path: Path) -> None:
    for pairs in (LORA, (*PROJECTOR, (b"clip.context_length", 4, b"\0\1\0\0"))):
        site = Site(tmp_path, weights=gguf(pairs))
        site.config["weights"]["architecture"] = "gemma3"
        _refused(site, GgufMismatchError)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("template"),
        lambda config: config.update(role="lora"),
        lambda config: config.update(role="model"),
        lambda config: config.update(base={"name": "x", "sha256": "0" * 64}),
    ],
)
def test_a_record_whose_role_and_fields_disagree_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    site = Site(tmp_path)
    change(site.config)
    _refused(site, RecordError)


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for m in messages %}{% if 'open sesame' in m.content %}x{% endif %}{% endfor %}",
    ],
)
def test_a_signed_template_that_is_hostile_is_refused_before_anything_renders_it(tmp_path: Path, template: str) -> None:
    refused = _refused(Site(tmp_path, template=template.encode()), TemplateError)
    assert "line 1" in refused.cause
