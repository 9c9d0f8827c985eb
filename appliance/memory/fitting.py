"""Which of the passages that were found fit a question, and how many of them a prompt has room for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.memory.quoting import quotation
from appliance.memory.support import coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.memory.documents import Found

NEAR = 0.45
"""The least nearness (``nearness``) of a question and a passage that alone makes the passage fit."""
COVERED = 0.5
"""The least share of a question's words that alone makes a passage fit that holds them."""


def fitting(question: str, found: Sequence[Found]) -> tuple[Found, ...]:
    """Those of ``found`` that fit ``question``, in their order: the nearest of what is there may still be far."""
    return tuple(one for one in found if _near(one) or _covers(question, one))


def within(found: Sequence[Found], tokens: int, count: Callable[[str], int]) -> tuple[Found, ...]:
    """The first of ``found``, as many as ``count`` finds to take at most ``tokens`` together.

    One that is too long for what is left is passed over; a shorter one behind it may still have room.
    """
    taken: list[Found] = []
    for one in found:
        cost = count(quotation(len(taken) + 1, one))
        if cost <= tokens:
            taken.append(one)
            tokens -= cost
    return tuple(taken)


def _near(one: Found) -> bool:
    return one.cosine is not None and one.cosine >= NEAR


def _covers(question: str, one: Found) -> bool:
    return coverage(question, " ".join((one.title, *one.headings, one.body))) >= COVERED
