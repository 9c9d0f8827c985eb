"""Lists of figures as the audit log keeps them: its lists are bounded, so a long one stands in parts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PART = 30
"""Texts of a part: fewer than an entry's list takes (``audit.ocsf.MAX_ITEMS``)."""


def parts(name: str, told: Sequence[str], most: int = 2) -> dict[str, list[str]]:
    """``told`` as ``name``, ``name_2`` … of ``PART`` texts each; beyond ``most``, the last text says how many more.

    So nothing is cut without a word, and whoever needs the rest recomputes it from the files that the entry names.
    """
    room = most * PART
    kept = list(told) if len(told) <= room else [*told[: room - 1], f"and {len(told) - room + 1} more"]
    cut = [kept[at : at + PART] for at in range(0, len(kept), PART)] or [[]]
    return {name if number == 1 else f"{name}_{number}": part for number, part in enumerate(cut, start=1)}
