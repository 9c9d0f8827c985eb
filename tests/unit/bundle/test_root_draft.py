"""A root is complete when k of the old and k of the new persons signed it with both halves, and closed after that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from airgap_bundle import keys
from airgap_bundle.chain import follow
from airgap_bundle.errors import NotEnoughSignersError, SigningError, UnsignedError
from airgap_bundle.signing.root_draft import RootDraft
from tests.bundles import NOW, root_bytes, second_root, signer
from tests.roots import first, plan, second, signed


def test_a_draft_says_whom_of_both_roots_it_waits_for() -> None:
    draft = second()
    assert str(draft.progress()) == "0 of 2 old, 0 of 2 new, waiting for architect, builder, custodian, deputy"
    draft = signed(draft, "architect")
    assert str(draft.progress()) == "1 of 2 old, 1 of 2 new, waiting for builder, custodian, deputy"
    draft = signed(draft, "deputy")
    assert str(draft.progress()) == "1 of 2 old, 2 of 2 new, waiting for builder, custodian"
    draft = signed(draft, "builder")
    assert str(draft.progress()) == "2 of 2 old, 3 of 2 new"
    assert draft.progress().complete


def test_the_first_root_waits_for_its_own_persons_only() -> None:
    draft = RootDraft.successor({}, plan(["architect", "builder"], 1), now=NOW)
    assert str(draft.progress()) == "0 of 1, waiting for architect, builder"
    assert str(signed(draft, "builder").progress()) == "1 of 1"


def test_a_complete_root_follows_its_predecessor() -> None:
    draft = signed(second(), "architect", "builder")
    assert follow({1: first(), 2: draft.data}, 1).root.version == 2


@pytest.mark.parametrize("names", [(), ("architect",), ("architect", "deputy"), ("architect", "custodian")])
def test_an_incomplete_root_does_not(names: tuple[str, ...]) -> None:
    draft = signed(second(), *names)
    assert not draft.progress().complete
    with pytest.raises((NotEnoughSignersError, UnsignedError)):
        follow({1: first(), 2: draft.data}, 1)


def test_whoever_is_removed_still_counts_among_the_old() -> None:
    draft = signed(second(), "architect", "custodian", "deputy")
    assert str(draft.progress()) == "2 of 2 old, 2 of 2 new"


def test_a_complete_root_takes_no_further_signature() -> None:
    draft = signed(second(), "architect", "builder")
    with pytest.raises(SigningError, match="would change its fingerprint"):
        draft.signed_by(signer("deputy"), NOW)


def test_a_stranger_does_not_sign() -> None:
    with pytest.raises(SigningError, match="neither the old nor the new root names outsider"):
        second().signed_by(signer("outsider"), NOW)


def test_somebody_with_a_persons_name_and_other_keys_does_not_sign() -> None:
    with pytest.raises(SigningError, match="names architect with these keys"):
        second().signed_by(keys.generate("architect"), NOW)


def test_the_release_key_does_not_sign_roots() -> None:
    with pytest.raises(SigningError, match="names release with these keys"):
        second().signed_by(signer("release"), NOW)


def test_a_draft_names_the_next_version_or_none() -> None:
    with pytest.raises(SigningError, match="the draft is root 2, and 1 is the next one"):
        RootDraft({}, second().data).check(NOW)
    with pytest.raises(SigningError, match="the draft is root 1, and 2 is the next one"):
        RootDraft({1: first()}, first()).check(NOW)


def test_a_removed_key_does_not_return() -> None:
    two = signed(second(), "architect", "builder").data
    with pytest.raises(SigningError, match="a key of custodian was removed by an earlier root"):
        RootDraft.successor({1: first(), 2: two}, plan(["architect", "builder", "custodian"]), now=NOW)


def test_a_removed_name_returns_with_new_keys() -> None:
    two = signed(second(), "architect", "builder").data
    back = plan(["architect", "builder"])
    members = {**back.circles["root"].members, "custodian": keys.generate("custodian").public}
    circles = {role: replace(circle, members=members) for role, circle in back.circles.items()}
    draft = RootDraft.successor({1: first(), 2: two}, replace(back, circles=circles), now=NOW)
    assert any("custodian (custodian.pub" in line for line in draft.changes())


def test_a_new_root_lives_five_years_from_its_making() -> None:
    draft = RootDraft.successor({1: first()}, plan(["architect", "builder"]), now=NOW + timedelta(days=900))
    assert draft.metadata.signed.expires == NOW + timedelta(days=900 + 5 * 365)


def test_a_root_made_at_one_machine_has_successors_too() -> None:
    history = {1: root_bytes(), 2: second_root()}
    draft = RootDraft.successor(history, plan(["architect", "builder"], release="release-2"), now=NOW)
    assert follow({**history, 3: signed(draft, "deputy", "builder", "architect").data}, 2).root.version == 3
