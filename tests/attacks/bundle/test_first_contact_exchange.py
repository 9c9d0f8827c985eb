"""FIRST-CONTACT in requests and responses: whoever carries the file, or a signer's machine that signs only half."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import armour, strict_json
from airgap_bundle.errors import (
    BundleError,
    HalfSignatureError,
    MalformedError,
    SignatureError,
    SigningError,
)
from airgap_bundle.first_contact import record, signatures
from airgap_bundle.sign import collect_bundle, prepare_request
from airgap_bundle.signing.request import parse_request
from airgap_bundle.signing.response import respond
from airgap_bundle.verify import verify
from tests.bundles import NOW, Draft, root_bytes, second_root, sign, signer, tree, trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle whose targets and first contact wait for signatures."""
    folder = Draft().write(tmp_path / "bundle")
    prepare_request(folder, {1: root_bytes()}, now=NOW)
    return folder


def request(bundle: Path) -> bytes:
    return prepare_request(bundle, None, now=NOW)[1]


def answer(data: bytes, name: str) -> bytes:
    return respond(parse_request(data), signer(name), NOW)


def changed(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(data)
    change(value)
    return strict_json.dumps(value)


def refuses(bundle: Path, data: bytes, error: type[BundleError], match: str) -> None:
    before = tree(bundle)
    with pytest.raises(error, match=match) as caught:
        collect_bundle(bundle, [data], now=NOW)
    assert type(caught.value) is error
    assert tree(bundle) == before


def test_signatures_from_elsewhere_make_a_bundle_that_a_new_site_can_check(bundle: Path) -> None:
    responses = [answer(request(bundle), name) for name in ("architect", "builder")]
    collect_bundle(bundle, responses, now=NOW)
    once = tree(bundle)
    collect_bundle(bundle, responses, now=NOW)
    assert tree(bundle) == once
    collect_bundle(bundle, [answer(request(bundle), "release")], now=NOW)
    report = verify(bundle, trust(), now=NOW)
    assert report.ok
    assert signatures.names(report_files(bundle)) == ("architect", "builder")


def report_files(bundle: Path) -> list[str]:
    return [str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()]


def test_signatures_beside_the_bundle_and_from_elsewhere_stand_together(bundle: Path) -> None:
    sign(bundle, "custodian")
    collect_bundle(bundle, [answer(request(bundle), "builder")], now=NOW)
    sign(bundle, "release")
    assert verify(bundle, trust(), now=NOW).ok


def test_a_response_that_signs_the_targets_only_is_refused(bundle: Path) -> None:
    half = changed(answer(request(bundle), "architect"), lambda value: value["files"].pop("first-contact"))
    refuses(bundle, half, HalfSignatureError, "architect does not sign FIRST-CONTACT")


def test_a_response_that_signs_a_first_contact_that_there_is_none_of_is_refused(tmp_path: Path) -> None:
    bundle = Draft(files={"policy": {"models.yaml": b"schema: 1\n"}}).write(tmp_path / "bundle")
    prepare_request(bundle, {1: root_bytes()}, now=NOW)
    assert not (bundle / record.FILE).exists()
    more = changed(
        answer(request(bundle), "architect"),
        lambda value: value["files"].update({"first-contact": armour.encode(bytes(64))}),
    )
    refuses(bundle, more, HalfSignatureError, "architect signs FIRST-CONTACT")


@pytest.mark.parametrize("forged", [b"", bytes(64), bytes(65)])
def test_a_response_with_another_signature_is_refused(bundle: Path, forged: bytes) -> None:
    bad = changed(
        answer(request(bundle), "architect"), lambda v: v["files"].update({"first-contact": armour.encode(forged)})
    )
    refuses(bundle, bad, SignatureError, "the signature of architect is invalid")


def test_a_response_with_somebody_elses_signature_is_refused(bundle: Path) -> None:
    others = signatures.sign(signer("builder"), (bundle / record.FILE).read_bytes())
    bad = changed(
        answer(request(bundle), "architect"), lambda v: v["files"].update({"first-contact": armour.encode(others)})
    )
    refuses(bundle, bad, SignatureError, "the signature of architect is invalid")


def test_a_response_of_first_contact_alone_is_no_response(bundle: Path) -> None:
    bare = changed(answer(request(bundle), "architect"), lambda value: value["files"].pop("targets"))
    refuses(bundle, bare, MalformedError, "response: targets")


REQUESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "not there": (lambda value: value.pop("first-contact"), "section 13"),
    "no object": (lambda value: value.update({"first-contact": []}), "signatures by name"),
    "a stranger": (
        lambda value: value["first-contact"].update(stranger=armour.encode(bytes(64))),
        "signed by 'stranger', whom the root does not name",
    ),
    "a forged signature": (
        lambda value: value["first-contact"].update(builder=armour.encode(bytes(64))),
        "the signature of builder is invalid",
    ),
    "a name that is a path": (
        lambda value: value["first-contact"].update({"../x": armour.encode(bytes(64))}),
        "whom the root does not name",
    ),
}


@pytest.mark.parametrize(("change", "match"), REQUESTS.values(), ids=REQUESTS)
def test_a_forged_request_is_not_answered(bundle: Path, change: Callable[[dict[str, Any]], object], match: str) -> None:
    sign(bundle, "architect")
    with pytest.raises((MalformedError, SignatureError), match=match):
        answer(changed(request(bundle), change), "custodian")


def test_a_release_key_elsewhere_does_not_seal_before_everybody_signed_both(bundle: Path) -> None:
    sign(bundle, "architect", "builder")
    stripped = changed(request(bundle), lambda value: value["first-contact"].pop("builder"))
    with pytest.raises(SigningError, match="builder signed the targets but not FIRST-CONTACT"):
        answer(stripped, "release")


def test_a_seal_is_not_collected_before_everybody_signed_both(bundle: Path) -> None:
    sign(bundle, "architect", "builder")
    seal = answer(request(bundle), "release")
    (bundle / signatures.path("builder")).unlink()
    refuses(bundle, seal, SigningError, "builder signed the targets but not FIRST-CONTACT")


def test_a_newer_root_begins_the_ceremony_anew(bundle: Path) -> None:
    """The text names the root, so that a signature on it is one on that root as well."""
    sign(bundle, "architect")
    before = tree(bundle)
    with pytest.raises(SigningError, match="not of this release: line 9 is 'root ") as refused:
        sign(bundle, "builder", roots={1: root_bytes(), 2: second_root()})
    assert "sign again" in str(refused.value.hint)
    assert tree(bundle) == before
