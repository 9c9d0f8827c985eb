"""A request and a response do over a distance what signing beside the bundle does."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import keys, strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.errors import SigningError
from airgap_bundle.keys import Signer
from airgap_bundle.names import printable
from airgap_bundle.sign import collect_bundle, prepare_request, sign_bundle
from airgap_bundle.signing.release_draft import ReleaseDraft
from airgap_bundle.signing.request import MAX_REQUEST_BYTES, dump_request, parse_request
from airgap_bundle.signing.response import collect_root, parse_response, respond
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.signing.summary import describe_release, describe_root
from airgap_bundle.verify import verify
from tests.bundles import NOW, Draft, root_bytes, sign, signer, tree, trust
from tests.roots import second, signed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Draft().write(tmp_path / "bundle")


def request(bundle: Path) -> bytes:
    return prepare_request(bundle, {1: root_bytes()}, now=NOW)[1]


def answer(data: bytes, name: str) -> bytes:
    return respond(parse_request(data), signer(name), NOW)


def test_three_machines_that_never_see_the_blobs_make_a_whole_bundle(bundle: Path) -> None:
    asked = request(bundle)
    done = collect_bundle(bundle, [answer(asked, "architect"), answer(asked, "custodian")], now=NOW)
    assert done.targets == "2 of 2 (architect, custodian)"
    sealed = collect_bundle(bundle, [answer(request(bundle), "release")], now=NOW)
    assert sealed.sealed
    report = verify(bundle, trust(), now=NOW)
    assert report.ok
    assert report.signers == ("architect", "custodian")


def test_one_person_beside_the_bundle_and_one_elsewhere_sign_the_same_bytes(bundle: Path) -> None:
    asked = request(bundle)
    sign_bundle(bundle, signer("builder"), now=NOW + timedelta(hours=1))
    assert collect_bundle(bundle, [answer(asked, "architect")], now=NOW).targets == "2 of 2 (architect, builder)"


def test_two_requests_ask_for_the_same_bytes(bundle: Path) -> None:
    first = request(bundle)
    assert prepare_request(bundle, None, now=NOW + timedelta(days=3))[1] == first


def test_a_request_is_a_thousandth_of_a_release_and_holds_no_blob(tmp_path: Path) -> None:
    weights = bytes(range(256)) * 40_000
    bundle = Draft(files={"tiny-model": {"model.gguf": weights}}).write(tmp_path / "bundle")
    assert len(request(bundle)) < len(weights) // 100


def test_collecting_again_changes_no_byte(bundle: Path) -> None:
    asked = request(bundle)
    answers = [answer(asked, "architect"), answer(asked, "builder")]
    collect_bundle(bundle, answers, now=NOW)
    seal = answer(request(bundle), "release")
    collect_bundle(bundle, [seal], now=NOW)
    before = tree(bundle)
    assert collect_bundle(bundle, [seal, *answers, answers[0]], now=NOW).sealed
    assert tree(bundle) == before


def test_signing_again_on_another_day_is_collected_once(bundle: Path) -> None:
    asked = request(bundle)
    kept = signer("architect")
    person = Signer(kept.name, kept.ed25519, kept.ml_dsa)
    first, second = (respond(parse_request(asked), person, NOW) for _ in range(2))
    assert first != second, "ml-dsa signatures differ each time"
    collect_bundle(bundle, [first], now=NOW)
    before = tree(bundle)
    collect_bundle(bundle, [second], now=NOW)
    assert tree(bundle) == before


def test_a_response_speaks_for_nobody_else(bundle: Path) -> None:
    sign(bundle, "architect")
    found = parse_response(answer(request(bundle), "builder"))
    signatures = json.loads(found["targets"])["signatures"]
    assert {item["keyid"] for item in signatures} == {key.keyid for key in signer("builder").public.keys}


def test_the_release_key_does_not_seal_what_too_few_signed(bundle: Path) -> None:
    sign(bundle, "architect")
    with pytest.raises(SigningError, match="waiting for builder, custodian"):
        answer(request(bundle), "release")


def test_a_stranger_does_not_respond(bundle: Path) -> None:
    with pytest.raises(SigningError, match="does not know the keys of outsider"):
        answer(request(bundle), "outsider")


def test_a_sealed_bundle_asks_for_nothing(bundle: Path) -> None:
    sign(bundle, "architect", "builder", "release")
    with pytest.raises(SigningError, match="sealed already"):
        prepare_request(bundle, None, now=NOW)


def test_a_release_too_large_to_describe_is_to_be_carried(tmp_path: Path) -> None:
    bundle = Draft(release_fields={"x-notes": "n" * (3 << 20)}).write(tmp_path / "bundle")
    draft, data = prepare_request(bundle, {1: root_bytes()}, now=NOW)
    assert len(data) < MAX_REQUEST_BYTES
    large = {digest: bytes(4 << 20) for digest in list(draft.documents)[:3]}
    with pytest.raises(SigningError, match="more than 16777216"):
        dump_request(
            ReleaseDraft(draft.roots, draft.root, draft.index, draft.release_data, draft.contents, large, draft.targets)
        )


def test_what_is_shown_names_release_artifacts_and_what_was_not_seen(bundle: Path) -> None:
    draft = parse_request(request(bundle))
    assert isinstance(draft, ReleaseDraft)
    shown = "\n".join(describe_release(draft, NOW))
    assert "release sovereign 1.0.0, number 1" in shown
    assert "model tiny-model 1.0.0: 2 files, 3,016 bytes" in shown
    for manifest in draft.contents.artifacts:
        assert str(manifest.descriptor.digest) in shown
    assert "NOT SEEN here: the 10 files themselves" in shown
    assert draft.contact_text is not None
    assert f"FIRST-CONTACT, which they sign for new sites: {sha256(draft.contact_text)}" in shown
    assert "signed so far by 0 of 2, waiting for architect, builder, custodian" in shown


def test_text_from_a_file_cannot_drive_the_terminal() -> None:
    assert printable("1.0\x1b[2J\n\u202e\u200bé") == "1.0\\x1b[2J\\n\\u202e\\u200bé"


def test_a_root_is_signed_over_a_distance_too() -> None:
    draft = second()
    asked = dump_request(draft)
    done = collect_root(draft, [answer(asked, "architect"), answer(asked, "custodian"), answer(asked, "deputy")], NOW)
    assert str(done.progress()) == "2 of 2 old, 2 of 2 new"
    assert collect_root(done, [answer(asked, "deputy")], NOW).data == done.data
    with pytest.raises(SigningError, match="would change its fingerprint"):
        collect_root(done, [answer(asked, "builder")], NOW)


def test_what_is_shown_of_a_root_is_all_of_it_and_what_it_changes() -> None:
    draft = parse_request(dump_request(signed(second(), "architect")))
    assert isinstance(draft, RootDraft)
    shown = "\n".join(describe_root(draft))
    assert "root: 2 of 3: architect, builder, deputy" in shown
    assert "change: custodian leaves root and targets" in shown
    assert str(signer("deputy").public.fingerprint) in shown
    assert "signed so far by 1 of 2 old, 1 of 2 new, waiting for builder, custodian, deputy" in shown


def test_requests_and_responses_have_one_spelling(bundle: Path) -> None:
    for data in (request(bundle), answer(request(bundle), "architect")):
        value: dict[str, Any] = json.loads(data)
        assert strict_json.dumps(value) == data
        assert value["schema"] == 1


def test_a_person_with_new_keys_is_not_taken_for_the_one_with_the_old() -> None:
    with pytest.raises(SigningError, match="with these keys"):
        respond(second(), keys.generate("architect"), NOW)
