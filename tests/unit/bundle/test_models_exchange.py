"""A request and a response do for a bundle of models what signing beside it does."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import NotGrantedError, SigningError
from airgap_bundle.model_bundle import verify_models
from airgap_bundle.sign import collect_bundle, prepare_request, sign_bundle
from airgap_bundle.sign_models import collect_into_models, prepare_models_request, sign_models
from airgap_bundle.signing.models_draft import ModelsDraft
from airgap_bundle.signing.request import dump_request, parse_request
from airgap_bundle.signing.response import respond
from airgap_bundle.signing.summary import describe_models
from airgap_bundle.trust_state import fingerprint
from tests import bundles, model_bundles
from tests.bundles import NOW, root_bytes, signer, tree, trust
from tests.model_bundles import OFFICERS, granting_root

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundles.Draft(version="1.0.1", files=model_bundles.FILES).write(tmp_path / "models")


def request(bundle: Path) -> bytes:
    return prepare_models_request(bundle, model_bundles.roots(), now=NOW)[1]


def answer(data: bytes, name: str) -> bytes:
    return respond(parse_request(data), signer(name), NOW + timedelta(hours=3))


def test_two_machines_that_never_see_the_blobs_make_a_whole_bundle_of_models(bundle: Path, tmp_path: Path) -> None:
    asked = request(bundle)
    done = collect_into_models(bundle, [answer(asked, name) for name in OFFICERS], now=NOW)
    assert (done.targets, done.sealed) == ("2 of 2 (custodian, deputy)", True)
    report = verify_models(bundle, trust(), now=NOW)
    assert report.ok
    assert report.signers == OFFICERS
    beside = bundles.Draft(version="1.0.1", files=model_bundles.FILES).write(tmp_path / "beside")
    sign_models(beside, signer("custodian"), now=NOW, roots=model_bundles.roots())
    signed = [json.loads((each / "metadata/models.json").read_bytes())["signed"] for each in (bundle, beside)]
    assert signed[0] == signed[1]


def test_one_person_beside_it_and_one_elsewhere_sign_the_same_bytes(bundle: Path) -> None:
    asked = request(bundle)
    sign_models(bundle, signer("deputy"), now=NOW + timedelta(hours=1))
    done = collect_into_models(bundle, [answer(asked, "custodian")], now=NOW)
    assert (done.targets, done.sealed) == ("2 of 2 (custodian, deputy)", True)
    assert verify_models(bundle, trust(), now=NOW).ok


def test_two_requests_ask_for_the_same_bytes(bundle: Path) -> None:
    first = request(bundle)
    before = tree(bundle)
    assert prepare_models_request(bundle, None, now=NOW + timedelta(days=2))[1] == first
    assert tree(bundle) == before


def test_a_request_holds_no_blob_and_reads_back(bundle: Path) -> None:
    asked = request(bundle)
    draft = parse_request(asked)
    assert isinstance(draft, ModelsDraft)
    assert dump_request(draft) == asked
    assert b"GGUF" not in asked
    assert len(draft.contents.blobs) > len(draft.documents)


def test_collecting_again_changes_no_byte(bundle: Path) -> None:
    answers = [answer(request(bundle), name) for name in OFFICERS]
    collect_into_models(bundle, answers, now=NOW)
    before = tree(bundle)
    collect_into_models(bundle, answers[:1], now=NOW)
    assert tree(bundle) == before


def test_what_is_shown_names_models_root_and_what_was_not_seen(bundle: Path) -> None:
    draft = parse_request(request(bundle))
    assert isinstance(draft, ModelsDraft)
    shown = "\n".join(describe_models(draft, NOW))
    assert "bundle of models sovereign 1.0.1, number 1" in shown
    assert "model tiny-model 1.0.1: 2 files" in shown
    assert f"under root 2, fingerprint {fingerprint(granting_root())}" in shown
    assert "under no later one" in shown
    assert "signed so far by 0 of 2, waiting for custodian, deputy" in shown
    assert "NOT SEEN here: the " in shown


def test_those_who_sign_releases_and_strangers_do_not_respond(bundle: Path) -> None:
    asked = request(bundle)
    for name in ("architect", "release", "stranger"):
        with pytest.raises(SigningError, match=f"does not let {name} bring models"):
            answer(asked, name)


def test_nothing_is_asked_under_a_root_that_lets_nobody_bring_models(bundle: Path) -> None:
    before = tree(bundle)
    with pytest.raises(NotGrantedError):
        prepare_models_request(bundle, {1: root_bytes()}, now=NOW)
    assert tree(bundle) == before


def test_a_later_root_makes_an_earlier_request_worthless(bundle: Path) -> None:
    asked = request(bundle)
    (bundle / "metadata/3.root.json").write_bytes(model_bundles.granting(3))
    before = tree(bundle)
    for act in (
        lambda: collect_into_models(bundle, [answer(asked, "custodian")], now=NOW),
        lambda: prepare_models_request(bundle, None, now=NOW),
    ):
        with pytest.raises(SigningError, match="counts under root 2 alone, and root 3 is here"):
            act()
    assert tree(bundle) == before


def test_neither_kind_of_ceremony_goes_on_in_a_bundle_of_the_other(bundle: Path, tmp_path: Path) -> None:
    asked = request(bundle)
    before = tree(bundle)
    for act in (
        lambda: sign_bundle(bundle, signer("architect"), now=NOW),
        lambda: prepare_request(bundle, None, now=NOW),
        lambda: collect_bundle(bundle, [answer(asked, "custodian")], now=NOW),
    ):
        with pytest.raises(SigningError, match="signed as one of models"):
            act()
    assert tree(bundle) == before
    release = bundles.Draft(version="1.0.1", files=model_bundles.FILES).write(tmp_path / "release")
    prepare_request(release, model_bundles.roots(), now=NOW)
    before = tree(release)
    for act in (
        lambda: sign_models(release, signer("custodian"), now=NOW),
        lambda: prepare_models_request(release, None, now=NOW),
        lambda: collect_into_models(release, [answer(asked, "custodian")], now=NOW),
    ):
        with pytest.raises(SigningError, match="signed as a release"):
            act()
    assert tree(release) == before
