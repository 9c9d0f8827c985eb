"""Exports of sites that tests make up."""

from __future__ import annotations

from typing import Any

from appliance.learning.exchange.export import Export, Head
from appliance.learning.exchange.lines import CaseLine, RetiredLine
from appliance.learning.exchange.shared import Shared

NOTICE = "How long is the notice period for a flat?"


def shared(question: str = NOTICE, *expected: str, **more: Any) -> Shared:
    said = {"question": question, "kind": "contains", "expected": expected or ("three months",), "language": "en"}
    return Shared.model_validate({**said, **more})


def export(
    site: str, number: int, *cases: Shared, retired: tuple[str, ...] = (), roles: tuple[str, ...] = ()
) -> Export:
    head = Head(site=site, number=number, made="2026-05-30", approvals=2)
    lines = tuple(CaseLine(digest=one.digest, roles=roles, case=one) for one in cases)
    return Export(head, lines, tuple(RetiredLine(digest=one) for one in retired)).ordered()
