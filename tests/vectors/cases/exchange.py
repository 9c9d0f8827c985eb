"""Section 13: requests as a signer's machine reads them, and responses as they are collected into a bundle."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from airgap_bundle import armour, strict_json
from airgap_bundle.metadata import format_time
from airgap_bundle.sign import prepare_request
from airgap_bundle.sign_models import prepare_models_request
from airgap_bundle.signing.request import parse_request
from airgap_bundle.signing.response import respond
from tests.bundles import NOW, Draft, root_bytes
from tests.model_bundles import FILES, roots
from tests.signers import signer
from tests.vectors.cases.desk import CASES, PLAIN, Case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[dict[str, Any]], object]


def _waiting(bundle: Path) -> bytes:
    """A bundle whose targets wait for signatures; its request."""
    Draft(version="3.0.0", number=3, files=PLAIN).write(bundle)
    return prepare_request(bundle, {1: root_bytes()}, now=NOW)[1]


def _rewritten(data: bytes, change: Change) -> bytes:
    value = json.loads(data)
    change(value)
    return strict_json.dumps(value)


def _nothing(_value: dict[str, Any]) -> None:
    """Leave it as it is."""


REQUESTS: dict[str, tuple[str | None, Change]] = {
    "request": (None, _nothing),
    "request-of-another-type": ("PayloadTypeError", lambda value: value.update(type="application/json")),
    "request-of-schema-2": ("MalformedError", lambda value: value.update(schema=2)),
    "request-with-free-text": ("MalformedError", lambda value: value.update(summary="all is well")),
    "request-without-roots": ("MalformedError", lambda value: value.update(roots=[])),
    "request-with-a-document-more": ("MalformedError", lambda value: value["documents"].update({"00" * 32: "e30="})),
    "request-with-a-document-missing": ("MissingFileError", lambda value: value["documents"].popitem()),
    "request-with-a-document-changed": (
        "DigestMismatchError",
        lambda value: value["documents"].update({min(value["documents"]): "e30="}),
    ),
}


def _request(change: Change) -> Callable[[Path], None]:
    def files(folder: Path) -> None:
        data = _waiting(folder / "bundle")
        (folder / "request.json").write_bytes(_rewritten(data, change))
        shutil.rmtree(folder / "bundle")  # the signer's machine has none

    return files


for _name, (_error, _change) in REQUESTS.items():
    _about = f"{_name.replace('-', ' ')}, read by a signer's machine"
    CASES.append(Case(_name, _error, _about, ("responding",), {"operation": "request"}, {}, _request(_change)))


def _targets(value: dict[str, Any], change: Change) -> None:
    """Change the metadata file that lies in the response."""
    inner = json.loads(armour.decode(value["files"]["targets"]))
    change(inner)
    value["files"]["targets"] = armour.encode(json.dumps(inner).encode())


def _signatures(change: Callable[[list[dict[str, str]]], object]) -> Change:
    return lambda value: _targets(value, lambda inner: change(inner["signatures"]))


def _flip(signatures: list[dict[str, str]]) -> None:
    text = signatures[0]["sig"]
    signatures[0]["sig"] = text[:-1] + ("0" if text[-1] != "0" else "1")


def _signed(**fields: object) -> Change:
    return lambda value: _targets(value, lambda inner: inner["signed"].update(fields))


RESPONSES: dict[str, tuple[str | None, Change]] = {
    "response": (None, _nothing),
    "response-of-another-type": ("PayloadTypeError", lambda value: value.update(type="application/json")),
    "response-with-free-text": ("MalformedError", lambda value: value.update(note="from the architect")),
    "response-with-one-half": ("HalfSignatureError", _signatures(lambda found: found.pop())),
    "response-without-signatures": ("UnsignedError", _signatures(lambda found: found.clear())),
    "response-with-a-changed-signature": ("SignatureError", _signatures(_flip)),
    "response-to-other-bytes": ("DigestMismatchError", _signed(version=4)),
}


def _response(change: Change) -> Callable[[Path], None]:
    def files(folder: Path) -> None:
        answer = respond(parse_request(_waiting(folder / "bundle")), signer("architect"), NOW)
        (folder / "response.json").write_bytes(_rewritten(answer, change))

    return files


for _name, (_error, _change) in RESPONSES.items():
    _about = f"{_name.replace('-', ' ')}, collected into a bundle that waits for signatures"
    _given = {"operation": "collect", "now": format_time(NOW)}
    CASES.append(Case(_name, _error, _about, ("collecting",), _given, {"changed": _error is None}, _response(_change)))


def _models_waiting(bundle: Path) -> bytes:
    """A bundle of models that waits for signatures; its request."""
    Draft(version="1.0.1", files=FILES).write(bundle)
    return prepare_models_request(bundle, roots(), now=NOW)[1]


def _models(change: Change) -> Change:
    """Change ``models.json``, where it lies in a request or in a response."""

    def apply(value: dict[str, Any]) -> None:
        place = value.get("files", value)
        inner = json.loads(armour.decode(place["models"]))
        change(inner)
        place["models"] = armour.encode(json.dumps(inner).encode())

    return apply


def _in_models(**fields: object) -> Change:
    return _models(lambda inner: inner["signed"].update(fields))


MODELS_REQUESTS: dict[str, tuple[str | None, Change]] = {
    "request-of-models": (None, _nothing),
    "request-of-models-under-a-root-without-a-grant": ("NotGrantedError", lambda value: value["roots"].pop()),
    "request-of-models-with-targets-besides": ("MalformedError", lambda value: value.update(targets=value["models"])),
}

MODELS_RESPONSES: dict[str, tuple[str | None, Change]] = {
    "response-of-models": (None, _nothing),
    "response-of-models-with-one-half": ("HalfSignatureError", _models(lambda inner: inner["signatures"].pop())),
    "response-of-models-with-a-changed-signature": (
        "SignatureError",
        _models(lambda inner: _flip(inner["signatures"])),
    ),
    "response-of-models-to-other-bytes": (
        "DigestMismatchError",
        _in_models(version=4),
    ),
    "response-of-models-under-another-root": (
        "DigestMismatchError",
        _models(lambda inner: inner["signed"]["x-sovereign-root"].update(version=3)),
    ),
}


def _models_request(change: Change) -> Callable[[Path], None]:
    def files(folder: Path) -> None:
        (folder / "request.json").write_bytes(_rewritten(_models_waiting(folder / "bundle"), change))
        shutil.rmtree(folder / "bundle")

    return files


def _models_response(change: Change) -> Callable[[Path], None]:
    def files(folder: Path) -> None:
        answer = respond(parse_request(_models_waiting(folder / "bundle")), signer("custodian"), NOW)
        (folder / "response.json").write_bytes(_rewritten(answer, change))

    return files


for _name, (_error, _change) in MODELS_REQUESTS.items():
    _about = f"{_name.replace('-', ' ')}, read by a signer's machine"
    _given = {"operation": "request"}
    CASES.append(Case(_name, _error, _about, ("responding",), _given, {}, _models_request(_change)))

for _name, (_error, _change) in MODELS_RESPONSES.items():
    _about = f"{_name.replace('-', ' ')}, collected into a bundle of models that waits for signatures"
    _given = {"operation": "collect-models", "now": format_time(NOW)}
    _expect = {"changed": _error is None}
    CASES.append(Case(_name, _error, _about, ("collecting",), _given, _expect, _models_response(_change)))


def _foreign_response(folder: Path) -> None:
    """A person's answer about a release, where models wait."""
    _models_waiting(folder / "bundle")
    answer = respond(parse_request(_waiting(folder / "release")), signer("architect"), NOW)
    (folder / "response.json").write_bytes(answer)
    shutil.rmtree(folder / "release")


CASES.append(
    Case(
        "response-about-a-release-where-models-wait",
        "PayloadTypeError",
        "the answer of a person who signs releases, collected into a bundle of models",
        ("collecting",),
        {"operation": "collect-models", "now": format_time(NOW)},
        {"changed": False},
        _foreign_response,
    )
)
