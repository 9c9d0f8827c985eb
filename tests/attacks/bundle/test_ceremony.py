"""Attacks on the ceremony: what a carrier without any key lays on a medium that a person is about to sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import SigningError
from airgap_bundle.sign import sign_bundle
from tests.bundles import NOW, Draft, rewrite, root_bytes, sign, signer, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIELDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "support without end": lambda signed: signed.update(expires="9999-01-01T00:00:00Z"),
    "clocks set ahead": lambda signed: signed.update({"x-sovereign-issued": "2099-01-01T00:00:00Z"}),
    "a field of their own": lambda signed: signed.update({"x-more": "anything"}),
    "another version": lambda signed: signed.update(version=1 << 40),
}


@pytest.mark.parametrize("signers", [(), ("architect",)], ids=["unsigned", "signed by one person"])
@pytest.mark.parametrize("change", FIELDS.values(), ids=FIELDS)
def test_nobody_signs_targets_that_say_more_than_this_release(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], signers: tuple[str, ...]
) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "architect")
    rewrite(bundle / "metadata/targets.json", change, *signers)
    before = tree(bundle)
    with pytest.raises(SigningError):
        sign_bundle(bundle, signer("builder"), now=NOW, roots={1: root_bytes()})
    assert tree(bundle) == before


def test_clocks_of_two_signers_may_differ_by_hours(tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "bundle"), "architect")
    rewrite(
        bundle / "metadata/targets.json", lambda signed: signed.update({"x-sovereign-issued": "2026-06-02T06:00:00Z"})
    )
    sign(bundle, "architect", "builder", "release")
