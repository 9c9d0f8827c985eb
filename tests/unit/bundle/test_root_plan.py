"""What a new root does is said in words, and the words are true."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import keys
from airgap_bundle.chain import follow
from airgap_bundle.errors import RootPolicyError, SigningError
from airgap_bundle.metadata import MODELS, ROOT, TARGETS, parse_root
from airgap_bundle.sign import sign_root
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.signing.root_plan import Circle, RootPlan, build, by_name, changes, check_succession, resets
from tests import model_bundles
from tests.bundles import NOW, people, root_bytes, second_root, signer
from tests.roots import first, plan, second, signed

if TYPE_CHECKING:
    from collections.abc import Callable

PEOPLE = ("architect", "builder", "custodian")


def test_a_plan_is_read_back_as_it_was_spelled() -> None:
    made = plan(PEOPLE)
    assert RootPlan.of(build(made, 1, now=NOW).signed) == made


def test_root_and_targets_may_have_persons_and_thresholds_of_their_own() -> None:
    root = Circle(by_name(signer(name).public for name in ("architect", "builder", "custodian")), 3)
    targets = Circle(by_name(signer(name).public for name in ("builder", "deputy")), 1)
    made = RootPlan({ROOT: root, TARGETS: targets}, signer("release").public)
    found = build(made, 1, now=NOW).signed
    assert (found.roles["root"].threshold, found.roles["targets"].threshold) == (6, 2)
    assert RootPlan.of(found) == made


def test_who_comes_and_who_goes_is_said() -> None:
    said = changes(plan(PEOPLE), plan(["architect", "builder", "deputy"], 3))
    assert any(line.startswith("custodian leaves root and targets") for line in said)
    assert any(line.startswith("deputy (deputy.pub sha256:") and "joins root and targets" in line for line in said)
    assert "root needs 3 of 3 persons, where it needed 2 of 3" in said


def test_leaving_one_role_only_is_said_as_such() -> None:
    before = plan(PEOPLE)
    fewer = Circle({name: before.circles[ROOT].members[name] for name in PEOPLE[:2]}, 2)
    said = changes(before, replace(before, circles={**before.circles, ROOT: fewer}))
    assert any(line.startswith("custodian leaves root:") for line in said)
    assert resets(before, replace(before, circles={**before.circles, ROOT: fewer})) == ()


def test_new_keys_under_an_old_name_are_said() -> None:
    renewed = replace(
        plan(PEOPLE).circles[ROOT],
        members={**plan(PEOPLE).circles[ROOT].members, "custodian": keys.generate("custodian").public},
    )
    said = changes(plan(PEOPLE), replace(plan(PEOPLE), circles={ROOT: renewed, TARGETS: renewed}))
    assert any(line.startswith("custodian has new keys") for line in said)


def test_a_root_that_only_lives_longer_says_so() -> None:
    assert changes(plan(PEOPLE), plan(PEOPLE)) == ("nobody comes or goes: only the expiry is renewed",)


RESETS: dict[str, tuple[Callable[[], RootPlan], tuple[str, ...]]] = {
    "nobody": (lambda: plan(PEOPLE), ()),
    "another order": (lambda: plan(PEOPLE[::-1]), ()),
    "persons": (lambda: plan(["architect", "builder", "deputy"]), ("targets",)),
    "release key": (lambda: plan(PEOPLE, release="release-2"), ("snapshot", "timestamp")),
    "both": (lambda: plan(["architect", "builder"], release="release-2"), ("targets", "snapshot", "timestamp")),
}


@pytest.mark.parametrize(("new", "expected"), RESETS.values(), ids=RESETS)
def test_the_floors_that_are_said_to_start_anew_are_those_that_a_site_resets(
    new: Callable[[], RootPlan], expected: tuple[str, ...]
) -> None:
    draft = signed(RootDraft.successor({1: first()}, new(), now=NOW), "architect", "builder")
    assert resets(plan(PEOPLE), new()) == expected
    assert follow({1: first(), 2: draft.data}, 1).reset == set(expected)
    assert any("start anew" in line for line in draft.changes()) is bool(expected)


@pytest.mark.parametrize(
    ("officers", "expected"),
    [
        (("custodian", "deputy"), ()),
        (("custodian", "deputy", "outsider"), ()),
        (("custodian", "stranger"), ("models",)),
    ],
)
def test_floors_of_models_are_said_to_start_anew_where_too_few_stayed(
    officers: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    roots = {**model_bundles.roots(), 3: model_bundles.granting(3, officers)}
    before, after = (RootPlan.of(parse_root(roots[version]).signed) for version in (2, 3))
    assert resets(before, after) == expected
    assert follow(roots, 2).reset == set(expected)


IMPOSSIBLE: dict[str, tuple[Callable[[], RootPlan], str]] = {
    "threshold too high": (lambda: plan(PEOPLE, 4), "cannot be met by 3 signers of root"),
    "threshold zero": (lambda: plan(PEOPLE, 0), "cannot be met"),
    "the release key as a person": (
        lambda: plan(["architect", "release"]),
        "cannot be a person of root and the release",
    ),
    "one key, two names": (
        lambda: RootPlan(
            {
                role: Circle(by_name([signer("architect").public, _renamed("architect", "builder")]), 2)
                for role in (ROOT, TARGETS)
            },
            signer("release").public,
        ),
        "architect and builder have one key",
    ),
    "one name, two keys": (
        lambda: replace(
            plan(PEOPLE),
            circles={**plan(PEOPLE).circles, TARGETS: Circle({"architect": keys.generate("architect").public}, 1)},
        ),
        "two signers have the name architect",
    ),
}


HOLDERS = ("custodian", "deputy", "outsider")
NEWCOMERS = ("custodian", "outsider", "stranger")


def _reset(pinned: int, *after: bytes) -> bool:
    """Whether a site at root ``pinned`` lets floors of models start anew; root 2 grants to 2 of ``HOLDERS``."""
    roots = {1: root_bytes(), 2: model_bundles.granting(2, HOLDERS), **dict(enumerate(after, start=3))}
    return MODELS in follow(roots, pinned).reset


def _signed(root: RootPlan, version: int) -> bytes:
    return sign_root(build(root, version, now=NOW), people(*PEOPLE[:2]))


def test_floors_of_models_that_were_driven_up_start_anew_as_the_guide_says() -> None:
    assert not _reset(2, model_bundles.granting(3, ("custodian", "outsider")))
    higher, lower = model_bundles.granting(3, NEWCOMERS, 3), model_bundles.granting(4, NEWCOMERS, 2)
    assert _reset(2, higher)
    assert _reset(2, higher, lower)
    ungranted = _signed(plan(PEOPLE), 3)
    assert not _reset(2, ungranted)
    assert _reset(2, ungranted, model_bundles.granting(4, HOLDERS))
    assert _reset(3, ungranted, model_bundles.granting(4, ("stranger",), 1))


def test_new_keys_under_old_names_make_floors_of_models_start_anew() -> None:
    def granting(*members: keys.PublicSigner) -> RootPlan:
        return replace(plan(PEOPLE), circles={**plan(PEOPLE).circles, MODELS: Circle(by_name(members), 2)})

    old = granting(*(signer(name).public for name in ("deputy", "outsider", "stranger")))
    new = granting(*(keys.generate(name).public for name in ("outsider", "stranger")))
    assert resets(old, new) == (MODELS,)
    assert follow({1: _signed(old, 1), 2: _signed(new, 2)}, 1).reset == {MODELS}


def _renamed(name: str, other: str) -> keys.PublicSigner:
    public = keys.parse_public(signer(name).public.to_bytes())
    return keys.parse_public(public.to_bytes().replace(f'"name":"{name}"'.encode(), f'"name":"{other}"'.encode()))


@pytest.mark.parametrize(("made", "match"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_plan_that_cannot_work_is_not_spelled(made: Callable[[], RootPlan], match: str) -> None:
    with pytest.raises(SigningError, match=match):
        build(made(), 1, now=NOW)


def test_a_key_cannot_change_hands() -> None:
    circle = Circle(by_name([signer("architect").public, _renamed("custodian", "deputy")]), 2)
    with pytest.raises(SigningError, match="a key of custodian would stand under the name deputy"):
        check_succession(plan(PEOPLE), RootPlan({ROOT: circle, TARGETS: circle}, signer("release").public))


def test_a_root_of_another_shape_is_no_plan() -> None:
    root = parse_root(second_root()).signed
    root.roles["timestamp"].keyids = list(root.roles["targets"].keyids)
    with pytest.raises(RootPolicyError, match="snapshot and timestamp"):
        RootPlan.of(root)


def test_the_fingerprint_of_a_signer_is_what_sha256sum_shows_of_the_public_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    _, public = keys.save(signer("architect"), folder, b"pass phrase", cost=16)
    assert str(signer("architect").public.fingerprint) == f"sha256:{hashlib.sha256(public.read_bytes()).hexdigest()}"


def test_a_draft_shows_its_changes() -> None:
    assert second().changes() == changes(plan(PEOPLE), plan(["architect", "builder", "deputy"]))
