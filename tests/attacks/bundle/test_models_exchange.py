"""Hostile requests and responses about bundles of models: the holders sign what they see, or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from airgap_bundle import armour, strict_json
from airgap_bundle.errors import (
    BundleError,
    DigestMismatchError,
    FormatError,
    HalfSignatureError,
    MalformedError,
    MissingFileError,
    MixedMetadataError,
    NotGrantedError,
    PayloadTypeError,
    SignatureError,
    SigningError,
    UnsignedError,
)
from airgap_bundle.sign_models import collect_into_models, prepare_models_request
from airgap_bundle.signing.request import parse_request
from airgap_bundle.signing.response import respond
from airgap_bundle.signing.summary import describe_models
from tests import bundles, model_bundles
from tests.bundles import NOW, signer, tree
from tests.model_bundles import OFFICERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.signing.models_draft import ModelsDraft

    Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of models that waits for signatures."""
    folder = bundles.Draft(version="1.0.1", files=model_bundles.FILES).write(tmp_path / "models")
    prepare_models_request(folder, model_bundles.roots(), now=NOW)
    return folder


def request(bundle: Path) -> bytes:
    return prepare_models_request(bundle, None, now=NOW)[1]


def answer(data: bytes, name: str) -> bytes:
    return respond(parse_request(data), signer(name), NOW)


def rewritten(data: bytes, change: Change) -> bytes:
    value = json.loads(data)
    change(value)
    return strict_json.dumps(value)


def inside(field: str, change: Change) -> Change:
    """Change the JSON file that lies in base64 in ``field`` of a request, or of a response's files."""

    def apply(value: dict[str, Any]) -> None:
        place = value.get("files", value)
        inner = json.loads(armour.decode(place[field]))
        change(inner)
        place[field] = armour.encode(json.dumps(inner).encode())

    return apply


def signed(**fields: object) -> Change:
    return inside("models", lambda inner: inner["signed"].update(fields))


REQUESTS: dict[str, tuple[Change, type[BundleError]]] = {
    "another number": (signed(version=7), SigningError),
    "a later end of support": (signed(expires="2031-01-01T00:00:00Z"), SigningError),
    "made in the future": (signed(**{"x-sovereign-issued": "2027-01-01T00:00:00Z"}), SigningError),
    "another root": (signed(**{"x-sovereign-root": {"version": 2, "sha256": "0" * 64}}), SigningError),
    "no root": (inside("models", lambda inner: inner["signed"].pop("x-sovereign-root")), FormatError),
    "a field more": (signed(more=1), SigningError),
    "targets in its place": (
        inside("models", lambda inner: inner["signed"].update(targets={"index.json": {}})),
        FormatError,
    ),
    "no grant": (lambda value: value["roots"].pop(), NotGrantedError),
    "a document left out": (lambda value: value["documents"].popitem(), MissingFileError),
    "another index": (inside("index", lambda inner: inner["manifests"].clear()), MixedMetadataError),
    "both kinds": (lambda value: value.update(targets=value["models"]), MalformedError),
    "words for the reader": (lambda value: value.update(summary="all is well"), MalformedError),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_hostile_request_shows_and_signs_nothing(bundle: Path, what: str) -> None:
    change, error = REQUESTS[what]
    data = rewritten(request(bundle), change)
    with pytest.raises(error):
        answer(data, "custodian")
    with pytest.raises(error):
        describe_models(cast("ModelsDraft", parse_request(data)), NOW)


def test_a_release_with_a_policy_is_not_signed_as_models(tmp_path: Path) -> None:
    files = {**model_bundles.FILES, "policy": {"models.yaml": b"schema: 1\n"}}
    plain = bundles.Draft(version="1.0.1", files=model_bundles.FILES).write(tmp_path / "plain")
    more = bundles.Draft(version="1.0.1", files=files).write(tmp_path / "more")
    with pytest.raises(SigningError, match="policy is a policy"):
        prepare_models_request(more, model_bundles.roots(), now=NOW)
    asked = json.loads(prepare_models_request(plain, model_bundles.roots(), now=NOW)[1])
    blobs = {path.name: path.read_bytes() for path in (more / "blobs/sha256").iterdir()}
    index = json.loads((more / "index.json").read_bytes())
    manifests = [entry["digest"].removeprefix("sha256:") for entry in index["manifests"]]
    configs = [json.loads(blobs[each])["config"]["digest"].removeprefix("sha256:") for each in manifests]
    documents = {each: armour.encode(blobs[each]) for each in (*manifests, *configs)}
    release = {name: armour.encode((more / f"{name}.json").read_bytes()) for name in ("index", "release")}
    with pytest.raises(SigningError, match="policy is a policy"):
        answer(strict_json.dumps({**asked, **release, "documents": documents}), "custodian")


def _flip(inner: dict[str, Any]) -> None:
    text = inner["signatures"][0]["sig"]
    inner["signatures"][0]["sig"] = text[:-1] + ("0" if text[-1] != "0" else "1")


RESPONSES: dict[str, tuple[Change, type[BundleError]]] = {
    "to other bytes": (signed(version=2), DigestMismatchError),
    "under another root": (
        signed(**{"x-sovereign-root": {"version": 2, "sha256": "0" * 64}}),
        DigestMismatchError,
    ),
    "with a changed signature": (inside("models", _flip), SignatureError),
    "with one half": (inside("models", lambda inner: inner["signatures"].pop()), HalfSignatureError),
    "without signatures": (inside("models", lambda inner: inner["signatures"].clear()), UnsignedError),
    "of another type": (lambda value: value.update(type="application/json"), PayloadTypeError),
    "under the name of targets": (
        lambda value: value.update(files={"targets": value["files"]["models"]}),
        PayloadTypeError,
    ),
    "with words": (lambda value: value.update(note="from the custodian"), MalformedError),
}


@pytest.mark.parametrize("what", RESPONSES)
def test_a_hostile_response_is_not_collected_and_keeps_good_ones_out(bundle: Path, what: str) -> None:
    change, error = RESPONSES[what]
    good, bad = answer(request(bundle), "deputy"), rewritten(answer(request(bundle), "custodian"), change)
    before = tree(bundle)
    for responses in ([bad], [good, bad]):
        with pytest.raises(error) as caught:
            collect_into_models(bundle, responses, now=NOW)
        assert type(caught.value) is error
        assert tree(bundle) == before


@pytest.mark.parametrize("name", ["architect", "stranger"])
def test_signatures_of_somebody_who_may_not_bring_models_are_refused(bundle: Path, name: str) -> None:
    bad = _signed_by(answer(request(bundle), "custodian"), name)
    before = tree(bundle)
    with pytest.raises(SignatureError, match="does not name for it"):
        collect_into_models(bundle, [bad], now=NOW)
    assert tree(bundle) == before


def test_two_persons_in_one_response_are_refused(bundle: Path) -> None:
    before = tree(bundle)
    with pytest.raises(SignatureError, match="more than one person"):
        collect_into_models(bundle, [_signed_by(answer(request(bundle), "custodian"), *OFFICERS)], now=NOW)
    assert tree(bundle) == before


def test_an_answer_about_another_bundle_of_models_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = bundles.Draft(version="1.0.2", number=2, files=model_bundles.FILES).write(tmp_path / "other")
    asked = prepare_models_request(other, model_bundles.roots(), now=NOW)[1]
    before = tree(bundle)
    with pytest.raises(DigestMismatchError, match="waits here"):
        collect_into_models(bundle, [answer(asked, "custodian")], now=NOW)
    assert tree(bundle) == before


def _signed_by(response: bytes, *names: str) -> bytes:
    """``response`` with valid signatures of ``names`` in the place of its own."""

    def change(value: dict[str, Any]) -> None:
        path = value["files"]
        inner = json.loads(armour.decode(path["models"]))
        payload = bundles.encode_canonical(inner["signed"]).encode()
        signatures = [found for name in names for found in signer(name).sign(payload)]
        inner["signatures"] = [{"keyid": found.keyid, "sig": found.signature} for found in signatures]
        path["models"] = armour.encode(json.dumps(inner).encode())

    return rewritten(response, change)
