"""Bundles of models from the command line: who may bring them, signed beside the bundle or over a distance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import BundleError, ForeignRootError, SigningError
from tests import model_bundles
from tests.bundles import Draft, tree
from tests.commands import PHRASE, run, run_json
from tests.machines import Machines, release

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("cheap_keys")


@pytest.fixture
def granted(rooted: Machines) -> Machines:
    """Root 2 lets custodian and deputy bring models, both of them."""
    rooted.keygen("deputy")
    holders = [part for name in ("custodian", "deputy") for part in ("--add-models", rooted.public(name))]
    found = run_json("trust", "rotate", "--roots", rooted.roots, *holders, "--models-threshold", 2)
    assert found["roles"]["models"] == {"threshold": 2, "persons": ["custodian", "deputy"]}
    rooted.sign_root(2, "architect", "builder")
    return rooted


@pytest.fixture
def bundle(granted: Machines) -> Path:
    support = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    return Draft(files=model_bundles.FILES, support_until=support).write(granted.root / "models")


def test_persons_get_the_right_to_bring_models_sign_a_bundle_of_them_and_lose_it_again(
    granted: Machines, bundle: Path
) -> None:
    roots = [part for version in (1, 2) for part in ("--root", granted.roots / f"{version}.root.json")]
    run("bundle", "sign", bundle, "--models", "--key", granted.key("custodian"), *roots, phrase=PHRASE)
    done = run_json("bundle", "sign", bundle, "--models", "--key", granted.key("deputy"), phrase=PHRASE)
    assert (done["targets"], done["sealed"]) == ("2 of 2 (custodian, deputy)", True)
    report = run_json("bundle", "verify", bundle, "--models", "--root-fingerprint", granted.fingerprint())
    assert (report["ok"], report["signers"]) == (True, ["custodian", "deputy"])

    with pytest.raises(SigningError, match="threshold of 2 cannot be met by 1 signers of models"):
        run("trust", "remove-signer", "custodian", "--roots", granted.roots)  # it would leave one person for models
    found = run_json(
        "trust", "rotate", "--roots", granted.roots, "--remove-models", "custodian", "--remove-models", "deputy"
    )
    assert "models" not in found["roles"]


def test_a_bundle_of_models_is_signed_over_a_distance(granted: Machines, bundle: Path) -> None:
    request, known = granted.root / "request.json", granted.fingerprint(2)
    asked = run_json("bundle", "request", bundle, "--models", "--root", granted.roots, "--out", request)
    assert asked["signed_by"] == "0 of 2, waiting for custodian, deputy"
    responses = [granted.respond(request, name, known) for name in ("deputy", "custodian")]
    one = run_json("bundle", "collect", bundle, "--models", responses[0])
    assert (one["models"], one["sealed"]) == ("1 of 2 (deputy), waiting for custodian", False)
    both = run_json("bundle", "collect", bundle, "--models", *responses)
    assert (both["models"], both["sealed"]) == ("2 of 2 (custodian, deputy)", True)
    report = run_json("bundle", "verify", bundle, "--models", "--root-fingerprint", granted.fingerprint())
    assert (report["ok"], report["signers"]) == (True, ["custodian", "deputy"])
    shown = run("bundle", "collect", bundle, "--models", responses[0])
    assert "ready to travel" in shown.stdout


def test_a_request_for_models_is_signed_by_nobody_else_and_under_no_other_root(granted: Machines, bundle: Path) -> None:
    request = granted.root / "request.json"
    run("bundle", "request", bundle, "--models", "--root", granted.roots, "--out", request)
    files = {name: set((granted.root / name).iterdir()) for name in ("architect", "custodian")}
    with pytest.raises(SigningError, match="does not let architect bring models"):
        granted.respond(request, "architect", granted.fingerprint(2))
    with pytest.raises(ForeignRootError):
        granted.respond(request, "custodian", granted.fingerprint(1))
    assert files == {name: set((granted.root / name).iterdir()) for name in files}
    before = tree(bundle)
    with pytest.raises(SigningError, match="signed as one of models"):
        run("bundle", "collect", bundle, granted.respond(request, "custodian", granted.fingerprint(2)))
    assert tree(bundle) == before


def test_signing_a_release_as_models_and_the_other_way_round_is_refused(rooted: Machines) -> None:
    bundle = release(rooted.root / "release")
    root = ("--root", rooted.roots / "1.root.json")
    before = tree(bundle)
    with pytest.raises(BundleError):
        run("bundle", "sign", bundle, "--models", "--key", rooted.key("architect"), *root, phrase=PHRASE)
    assert tree(bundle) == before
