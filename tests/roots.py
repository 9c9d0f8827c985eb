"""Roots as their persons make them: drafted, signed one by one, complete."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from airgap_bundle.metadata import ROOT, TARGETS
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.signing.root_plan import Circle, RootPlan, by_name
from tests.bundles import NOW, signer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def plan(names: Sequence[str], threshold: int = 2, *, release: str = "release") -> RootPlan:
    """``threshold`` of ``names`` for root and targets; ``release`` seals."""
    circle = Circle(by_name(signer(name).public for name in names), threshold)
    return RootPlan({ROOT: circle, TARGETS: circle}, signer(release).public)


def signed(draft: RootDraft, *names: str, now: datetime = NOW) -> RootDraft:
    for name in names:
        draft = draft.signed_by(signer(name), now)
    return draft


@cache
def first() -> bytes:
    """Root 1: two of architect, builder, custodian."""
    draft = RootDraft.successor({}, plan(["architect", "builder", "custodian"]), now=NOW)
    return signed(draft, "architect", "custodian").data


def second(names: Sequence[str] = ("architect", "builder", "deputy"), **more: object) -> RootDraft:
    """An unsigned draft of root 2: custodian goes, deputy comes."""
    found = plan(names)
    return RootDraft.successor({1: first()}, replace(found, **more) if more else found, now=NOW)  # type: ignore[arg-type]  # fields of a plan
