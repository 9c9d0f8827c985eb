"""How old the metadata is, and whether support has ended: a verdict apart from authenticity.

A clock that cannot be right (before something that signed metadata says has happened) answers nothing: the verdict is
then ``not established``, and nobody is locked out for it. Metadata that claims to be made after it expired fails
whatever the clock says: otherwise one stolen release key could switch expiry off by sealing with a date far ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.errors import ExpiredError
from airgap_bundle.metadata import issued
from airgap_bundle.report import FRESHNESS, Check

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tuf.api.metadata import Signed


def latest_claim(signed: Sequence[Signed], seen: datetime | None) -> datetime:
    """The latest instant that metadata claims to be made at: no honest clock stands before it."""
    return max([issued(item) for item in signed] + ([seen] if seen else []))


def judge(signed: Sequence[Signed], seen: datetime | None, now: datetime) -> Check:
    """Freshness of ``signed``, all of it verified, at ``now``; ``seen`` is the site's lower bound for any clock."""
    bound = latest_claim(signed, seen)
    made, end = max(issued(item) for item in signed), min(item.expires for item in signed)
    if made >= end:
        cause = f"metadata says it was made on {made:%Y-%m-%d}, after its support ended on {end:%Y-%m-%d}"
        return Check(
            FRESHNESS, "fail", cause, ExpiredError(cause, "ask the builders who sealed this release, and when")
        )
    if now < bound:
        return Check(FRESHNESS, "not established", f"this clock says {now:%Y-%m-%d}, yet {bound:%Y-%m-%d} has passed")
    age = f"metadata {(now - made).days} days old"
    if now >= end:
        cause = f"{age}; support ended on {end:%Y-%m-%d}"
        return Check(
            FRESHNESS, "fail", cause, ExpiredError(cause, "check this host's clock, or ask for a newer release")
        )
    return Check(FRESHNESS, "pass", f"{age}; support until {end:%Y-%m-%d}")
