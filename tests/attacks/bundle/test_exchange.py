"""Hostile requests and responses: whoever carries the file between two machines, or sends one of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import armour, strict_json
from airgap_bundle.errors import (
    BundleError,
    DigestMismatchError,
    DuplicateKeyError,
    HalfSignatureError,
    MalformedError,
    MissingFileError,
    MixedMetadataError,
    NotEnoughSignersError,
    PayloadTypeError,
    RootPolicyError,
    SignatureError,
    SigningError,
    UnsignedError,
)
from airgap_bundle.sign import collect_bundle, prepare_request
from airgap_bundle.signing.request import dump_request, parse_request
from airgap_bundle.signing.response import collect_root, parse_response, respond
from airgap_bundle.signing.root_draft import RootDraft
from tests.bundles import NOW, Draft, foreign_root, root_bytes, sign, signer, tree
from tests.roots import first, second, signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle whose targets wait for signatures."""
    folder = Draft().write(tmp_path / "bundle")
    prepare_request(folder, {1: root_bytes()}, now=NOW)
    return folder


def request(bundle: Path) -> bytes:
    return prepare_request(bundle, None, now=NOW)[1]


def answer(data: bytes, name: str) -> bytes:
    return respond(parse_request(data), signer(name), NOW)


def rewritten(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    value = json.loads(data)
    change(value)
    return strict_json.dumps(value)


def inside(
    field: str, change: Callable[[dict[str, Any]], None], outer: str | None = None
) -> Callable[[dict[str, Any]], None]:
    """Change the JSON file that lies in base64 in ``field``."""

    def apply(value: dict[str, Any]) -> None:
        place = value if outer is None else value[outer]
        inner = json.loads(armour.decode(place[field]))
        change(inner)
        place[field] = armour.encode(json.dumps(inner).encode())

    return apply


def refuses_to_collect(bundle: Path, responses: list[bytes], error: type[BundleError], match: str) -> None:
    before = tree(bundle)
    with pytest.raises(error, match=match) as caught:
        collect_bundle(bundle, responses, now=NOW)
    assert type(caught.value) is error
    assert tree(bundle) == before


ENVELOPES: dict[str, tuple[Callable[[bytes], bytes], type[BundleError]]] = {
    "a response for a request": (lambda data: answer(data, "architect"), PayloadTypeError),
    "another type": (lambda data: rewritten(data, lambda v: v.update(type="application/json")), PayloadTypeError),
    "another schema": (lambda data: rewritten(data, lambda v: v.update(schema=2)), MalformedError),
    "a schema that only looks like 1": (lambda data: rewritten(data, lambda v: v.update(schema=True)), MalformedError),
    "a field of free text": (lambda data: rewritten(data, lambda v: v.update(summary="all is well")), MalformedError),
    "a field left out": (lambda data: rewritten(data, lambda v: v.pop("targets")), MalformedError),
    "another spelling": (lambda data: data.replace(b'"schema":1', b'"schema": 1'), MalformedError),
    "a key twice": (lambda data: data.replace(b'"schema":1', b'"schema":1,"schema":1'), MalformedError),
    "cut off": (lambda data: data[:-9], MalformedError),
    "nothing": (lambda _data: b"", MalformedError),
    "a list": (lambda _data: b"[]", MalformedError),
    "no root": (lambda data: rewritten(data, lambda v: v.update(roots=[])), MalformedError),
    "one root twice": (lambda data: rewritten(data, lambda v: v.update(roots=v["roots"] * 2)), MalformedError),
    "two hundred roots": (lambda data: rewritten(data, lambda v: v.update(roots=v["roots"] * 200)), MalformedError),
    "base64 with stray bits": (
        lambda data: rewritten(data, lambda v: v.update(index=v["index"] + "=")),
        MalformedError,
    ),
    "a document besides": (
        lambda data: rewritten(data, lambda v: v["documents"].update({"00" * 32: "e30="})),
        MalformedError,
    ),
    "a document missing": (lambda data: rewritten(data, lambda v: v["documents"].popitem()), MissingFileError),
    "a document changed": (
        lambda data: rewritten(data, lambda v: v["documents"].update({min(v["documents"]): "e30="})),
        DigestMismatchError,
    ),
    "another release file": (
        lambda data: rewritten(data, inside("release", lambda v: v.update(artifacts=[]))),
        MixedMetadataError,
    ),
}


@pytest.mark.parametrize(("change", "error"), ENVELOPES.values(), ids=ENVELOPES)
def test_a_hostile_request_shows_and_signs_nothing(
    bundle: Path, change: Callable[[bytes], bytes], error: type[BundleError]
) -> None:
    with pytest.raises(error) as caught:
        parse_request(change(request(bundle)))
    assert type(caught.value) is error


PAYLOADS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another digest": lambda signed: signed["targets"]["release.json"]["hashes"].update(sha256="00" * 32),
    "support without end": lambda signed: signed.update(expires="9999-01-01T00:00:00Z"),
    "clocks set ahead": lambda signed: signed.update({"x-sovereign-issued": "2099-01-01T00:00:00Z"}),
    "another number": lambda signed: signed.update(version=1 << 40),
    "a field of their own": lambda signed: signed.update({"x-more": "anything"}),
}


@pytest.mark.parametrize("change", PAYLOADS.values(), ids=PAYLOADS)
def test_nobody_signs_targets_that_differ_from_what_is_shown(
    bundle: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    data = rewritten(request(bundle), inside("targets", lambda value: change(value["signed"])))
    with pytest.raises(SigningError):
        answer(data, "architect")


def test_a_request_under_other_peoples_root_is_not_signed_by_ours(bundle: Path) -> None:
    data = rewritten(request(bundle), lambda value: value.update(roots=[armour.encode(foreign_root())]))
    with pytest.raises(SigningError, match="does not know the keys of architect"):
        answer(data, "architect")


def test_the_release_key_does_not_seal_on_the_word_of_a_request(bundle: Path) -> None:
    """Forged signatures beside the targets, so that a machine elsewhere might count two persons."""
    sign(bundle, "architect")

    def forge(value: dict[str, Any]) -> None:
        ours = signer("builder").public.keys
        value["signatures"] += [{"keyid": key.keyid, "sig": "00" * 64} for key in ours]

    with pytest.raises(SignatureError, match="a signature of builder is invalid"):
        answer(rewritten(request(bundle), inside("targets", forge)), "release")


def response(bundle: Path, name: str = "architect") -> bytes:
    return answer(request(bundle), name)


def in_targets(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    return inside("targets", change, "files")


RESPONSES: dict[str, tuple[Callable[[dict[str, Any]], None], type[BundleError], str]] = {
    "another type": (lambda v: v.update(type="application/json"), PayloadTypeError, "no signing response"),
    "another schema": (lambda v: v.update(schema=2), MalformedError, "schema 1"),
    "a schema that only looks like 1": (lambda v: v.update(schema=True), MalformedError, "schema 1"),
    "a field besides": (lambda v: v.update(note="trust me"), MalformedError, "nothing else"),
    "no file": (lambda v: v.update(files={}), MalformedError, "targets, or snapshot"),
    "a file named as a path": (lambda v: v["files"].update({"../x": ""}), MalformedError, "targets, or snapshot"),
    "a seal's half": (lambda v: v.update(files={"snapshot": v["files"]["targets"]}), MalformedError, "targets, or"),
    "targets as a root": (lambda v: v.update(files={"root": v["files"]["targets"]}), PayloadTypeError, "about a root"),
    "digest altered": (
        in_targets(lambda v: v["signed"]["targets"]["index.json"]["hashes"].update(sha256="00" * 32)),
        DigestMismatchError,
        "waits here",
    ),
    "no signature": (in_targets(lambda v: v.update(signatures=[])), UnsignedError, "no signature"),
    "ed25519 only": (in_targets(lambda v: v.update(signatures=v["signatures"][:1])), HalfSignatureError, "architect"),
    "ml-dsa only": (in_targets(lambda v: v.update(signatures=v["signatures"][1:])), HalfSignatureError, "architect"),
    "a signature twice": (
        in_targets(lambda v: v.update(signatures=v["signatures"] + v["signatures"][:1])),
        MalformedError,
        "Multiple signatures",
    ),
    "a signature altered": (
        in_targets(lambda v: v["signatures"][0].update(sig="00" * 64)),
        SignatureError,
        "architect is invalid",
    ),
    "another's key id": (
        in_targets(lambda v: v["signatures"][0].update(keyid=signer("builder").public.ed25519.keyid)),
        SignatureError,
        "builder is invalid",
    ),
    "a stranger's key id": (
        in_targets(lambda v: v["signatures"][0].update(keyid=signer("outsider").public.ed25519.keyid)),
        SignatureError,
        "does not name",
    ),
}


@pytest.mark.parametrize(("change", "error", "match"), RESPONSES.values(), ids=RESPONSES)
def test_a_hostile_response_is_not_collected(
    bundle: Path, change: Callable[[dict[str, Any]], None], error: type[BundleError], match: str
) -> None:
    refuses_to_collect(bundle, [rewritten(response(bundle), change)], error, match)


def test_one_bad_response_keeps_good_ones_out_too(bundle: Path) -> None:
    bad = rewritten(response(bundle, "builder"), in_targets(lambda v: v["signatures"][1].update(sig="00" * 3309)))
    refuses_to_collect(bundle, [response(bundle), bad], SignatureError, "builder is invalid")


def test_signatures_of_another_release_are_refused(bundle: Path, tmp_path: Path) -> None:
    other = Draft(version="1.0.1").write(tmp_path / "other")
    prepare_request(other, {1: root_bytes()}, now=NOW)
    refuses_to_collect(bundle, [response(other)], DigestMismatchError, "waits here")


def test_two_persons_signatures_in_one_response_are_refused(bundle: Path) -> None:
    theirs = json.loads(parse_response(response(bundle, "builder"))["targets"])["signatures"]
    data = rewritten(response(bundle), in_targets(lambda v: v["signatures"].extend(theirs)))
    refuses_to_collect(bundle, [data], SignatureError, "more than one person")


def test_halves_of_two_persons_make_no_whole_one(bundle: Path) -> None:
    theirs = json.loads(parse_response(response(bundle, "builder"))["targets"])["signatures"]
    data = rewritten(response(bundle), in_targets(lambda v: v.update(signatures=[v["signatures"][0], theirs[1]])))
    refuses_to_collect(bundle, [data], SignatureError, "more than one person")


def test_a_seal_over_targets_that_grew_since_is_refused(bundle: Path) -> None:
    sign(bundle, "architect", "builder")
    seal = response(bundle, "release")
    sign(bundle, "custodian")
    refuses_to_collect(bundle, [seal], DigestMismatchError, "seals another snapshot")


def test_a_seal_by_a_person_is_refused(bundle: Path) -> None:
    sign(bundle, "architect", "builder")

    def resigned(value: dict[str, Any]) -> None:
        inner = json.loads(armour.decode(value["files"]["snapshot"]))
        for signature, key in zip(inner["signatures"], signer("architect").public.keys, strict=True):
            signature["keyid"] = key.keyid
        value["files"]["snapshot"] = armour.encode(json.dumps(inner).encode())

    refuses_to_collect(
        bundle, [rewritten(response(bundle, "release"), resigned)], SignatureError, "snapshot is signed by a key"
    )


def test_a_second_seal_is_refused(bundle: Path) -> None:
    sign(bundle, "architect", "builder")
    seals = [response(bundle, "release"), response(bundle, "release")]
    collect_bundle(bundle, seals[:1], now=NOW)
    refuses_to_collect(bundle, seals[1:], SigningError, "sealed already")


def test_a_late_person_does_not_break_the_seal(bundle: Path) -> None:
    late = response(bundle, "custodian")
    sign(bundle, "architect", "builder", "release")
    refuses_to_collect(bundle, [late], SigningError, "sealed")


ROOTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "life without end": lambda signed: signed.update(expires="9999-01-01T00:00:00Z"),
    "clocks set ahead": lambda signed: signed.update({"x-sovereign-issued": "2099-01-01T00:00:00Z"}),
    "a field of their own": lambda signed: signed.update({"x-more": "anything"}),
    "a key that no role names": lambda signed: signed["keys"].update(
        {signer("outsider").public.ed25519.keyid: signer("outsider").public.ed25519.to_dict()}
    ),
    "another version": lambda signed: signed.update(version=7),
    "a role with a field": lambda signed: signed["roles"]["root"].update({"x-more": 1}),
}


@pytest.mark.parametrize("change", ROOTS.values(), ids=ROOTS)
def test_nobody_signs_a_root_that_says_more_than_is_shown(change: Callable[[dict[str, Any]], None]) -> None:
    data = rewritten(dump_request(second()), inside("draft", lambda value: change(value["signed"])))
    with pytest.raises((SigningError, RootPolicyError)):
        answer(data, "architect")


def test_one_key_under_two_names_is_no_second_person() -> None:
    def twin(signed: dict[str, Any]) -> None:
        for key in signer("architect").public.keys:
            copy = {**key.to_dict(), "x-sovereign-signer": "deputy"}
            signed["keys"][f"{key.keyid[:-1]}0"] = copy

    data = rewritten(dump_request(second()), inside("draft", lambda value: twin(value["signed"])))
    with pytest.raises(DuplicateKeyError):
        answer(data, "architect")


def test_a_false_predecessor_does_not_pass() -> None:
    """The draft would look like a small change of a root that nobody signed."""
    forged = RootDraft({}, second().data.replace(b'"version":2,', b'"version":1,'))
    data = rewritten(dump_request(second()), lambda value: value.update(roots=[armour.encode(forged.data)]))
    with pytest.raises(UnsignedError):
        answer(data, "architect")


def test_a_response_to_another_draft_of_the_same_root_is_refused() -> None:
    other = RootDraft.successor({1: first()}, second(("architect", "deputy")).plan, now=NOW)
    theirs = respond(other, signer("architect"), NOW)
    with pytest.raises(DigestMismatchError, match="waits here"):
        collect_root(second(), [theirs], NOW)


def test_half_a_response_to_a_root_is_refused() -> None:
    theirs = respond(second(), signer("architect"), NOW)
    half = rewritten(theirs, inside("root", lambda v: v.update(signatures=v["signatures"][:1]), "files"))
    with pytest.raises(HalfSignatureError):
        collect_root(second(), [half], NOW)


def test_a_predecessor_that_too_few_signed_is_not_followed() -> None:
    first_draft = RootDraft.successor({}, second().plan, now=NOW)
    with pytest.raises(NotEnoughSignersError):
        RootDraft.successor({1: signed(first_draft, "architect").data}, second().plan, now=NOW)
