"""What stored turns say of themselves, without anybody having pressed anything. Pure.

Three signs that an answer did not help: its question came again soon from the same person, its reader left before it
was finished, it declined. They are signs, not judgements: a gateway counts them by model, and nothing else is made of
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from appliance.learning.words import nearness, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

Signal = Literal["repeated", "abandoned", "declined"]
SOON = timedelta(minutes=10)
NEAR = 0.8
"""From this nearness on two questions are one, asked twice (``words.nearness``)."""
_FEWEST = 3
"""Words of a question that can be repeated: "go on" and "why?" are said again and mean something else."""
_OPENING = 240
"""Characters within which an answer that declines says so."""
ABSTAINED = "abstained"
"""What a receipt calls an answer that the site itself declined: no document fits, or it was too unsure."""
ASKED_BACK = "asked_back"
"""What it calls one that was too unsure, and in whose place the site asked for a narrower question."""
_LEFT = frozenset({"cancelled"})
_DECLINES = re.compile(
    r"\bi(?:'m| am) (?:not able|unable|sorry)\b|\bi (?:cannot|can't|can not|do not|don't|won't) "
    r"(?:answer|help|tell|say|know|provide|find|assist|share|disclose)\b"
    r"|\bi do(?: not|n't) have (?:(?:the|any|that|this|enough|sufficient|access to) )*"
    r"(?:access|information|answers?|data|documents?|details|knowledge)\b"
    r"|\b(?:is|are|was) not (?:in|found in) the documents\b"
    r"|\bnothing (?:in|found in) the documents (?:answers?|says?|tells?|mentions?|is)\b"
    r"|\bnothing (?:was |is )?found in the documents\b"
    r"|\bje (?:ne peux pas|ne suis pas en mesure|ne sais pas|ne peux|n'ai pas)\b|\bje suis désolée?\b|\bje regrette\b"
    r"|\b(?:ich (?:kann|darf|habe|weiß|weiss)|(?:kann|darf|habe|weiß|weiss) ich)\b[^.!?]{0,40}"
    r"\b(?:nicht|nichts|kein\w*|leider)\b|\btut mir leid\b",
    re.IGNORECASE,
)


class Said(Protocol):
    """A stored message (``gateway.conversations.Message``)."""

    @property
    def role(self) -> str:
        """``user`` or ``assistant``."""

    @property
    def content(self) -> str:
        """Its text."""

    @property
    def created(self) -> datetime:
        """When it was written."""


@dataclass(frozen=True)
class Asked:
    """A question and when it was asked."""

    text: str
    at: datetime


def declined(answer: str) -> bool:
    """Whether ``answer`` begins by saying that it will not, or cannot, answer; in English, French or German."""
    opening = answer[:_OPENING].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _DECLINES.search(opening) is not None


def turned_down(answer: str, receipt: Mapping[str, Any] | None) -> bool:
    """Whether the answer declines: by its words, or by its receipt.

    There the site itself did, as no document fits, or as the answer was withheld for being too unsure.
    """
    documents, confidence = ((receipt or {}).get(part) or {} for part in ("documents", "confidence"))
    withheld = confidence.get("outcome") in {ABSTAINED, ASKED_BACK}
    return withheld or documents.get("outcome") == ABSTAINED or declined(answer)


def abandoned(finish_reason: str | None) -> bool:
    """Whether the reader left, or stopped the answer, before its end."""
    return finish_reason in _LEFT


def repeated(question: Asked, earlier: Iterable[Asked]) -> bool:
    """Whether the same person asked nearly the same within ``SOON`` before."""
    if len(words(question.text)) < _FEWEST:
        return False
    return any(
        timedelta(0) <= question.at - one.at <= SOON and nearness(question.text, one.text) >= NEAR for one in earlier
    )


def signals(
    history: Sequence[Said],
    question: Asked,
    answer: str,
    finish_reason: str | None,
    receipt: Mapping[str, Any] | None = None,
) -> tuple[Signal, ...]:
    """Signs of a turn that has just ended; ``history`` is what the conversation held before it."""
    earlier = [Asked(one.content, one.created) for one in history if one.role == "user"]
    found: list[Signal] = []
    if repeated(question, earlier):
        found.append("repeated")
    if abandoned(finish_reason):
        found.append("abandoned")
    elif turned_down(answer, receipt):
        found.append("declined")
    return tuple(found)
