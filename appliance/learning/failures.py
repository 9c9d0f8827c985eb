"""What a person sends to experts about an answer, and where it stands in their queue. Pure.

Nothing is sent that the page did not show beside the button: one question, its answer, and what the person wrote about
it. A share of the failures is judged twice, chosen by a hash of their id, so that nobody can choose which; and one on
which two experts disagree is judged until a ruling has the majority.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from appliance.learning.cases import SAME_QUESTION
from appliance.learning.words import echoes, grams, near, nearness, reach

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

Verdict = Literal["up", "down"]
Reason = Literal["wrong", "incomplete", "off_topic", "refused", "language", "unclear"]
Ruling = Literal["right", "wrong", "unclear"]
Standing = Literal["open", "second", "disputed", "settled"]
SECOND_PERCENT = 20
OWN_WORDS = 0.7
"""From this nearness on a text is still the words of whoever wrote it first."""


@dataclass(frozen=True)
class Remark:
    """What a person says of an answer. ``send``: experts of ``group`` may see it, with question and answer.

    ``asks``: they want to be told the right answer.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    reason: str | None = None
    correction: str | None = None
    send: bool = False
    group: str | None = None
    asks: bool = False

    def detail(self) -> str:
        """Reasons, correction and whether they ask, to be sealed."""
        said = {"reasons": list(self.reasons), "correction": self.correction, "asks": self.asks}
        return json.dumps(said, ensure_ascii=False)


@dataclass(frozen=True)
class Sent:
    """The words of a failure, as the person sent them.

    ``documents``: the answer was asked for from documents. ``asks``: the person wants to be told the right one.
    """

    question: str
    answer: str
    reasons: tuple[str, ...] = ()
    reason: str | None = None
    correction: str | None = None
    documents: bool = False
    asks: bool = False

    def text(self) -> str:
        """As JSON, to be sealed."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Self:
        """From what ``text`` gave."""
        said: dict[str, Any] = json.loads(text)
        return cls(**{**said, "reasons": tuple(said["reasons"])})

    def quoted_by(self, question: str, expected: Sequence[str]) -> bool:
        """Whether a case still speaks in the person's words: of the question, the correction or the reason.

        What is expected counts as one text as well, because a correction may have been taken apart into lines.
        """
        own = [text for text in (self.question, self.correction, self.reason) if text]
        said = [question, *expected, " ".join(expected)]
        return any(nearness(one, text) >= OWN_WORDS or echoes(one, text) for one in said if one for text in own)


@dataclass(frozen=True)
class Failure:
    """A failure as experts see it: of somebody in the group, who is not named."""

    id: uuid.UUID
    subject: str
    group: str
    model: str
    created: datetime
    sent: Sent
    rulings: Mapping[str, str]

    @property
    def standing(self) -> Standing:
        """Where it stands."""
        return standing(self.rulings, twice=judged_twice(self.id))

    def waits_for(self, expert: str) -> bool:
        """Whether ``expert`` is asked: not about words of their own, and once."""
        return self.subject != expert and expert not in self.rulings and self.standing != "settled"


def judged_twice(failure: uuid.UUID) -> bool:
    """Whether the failure is one of those that a second expert judges."""
    return int.from_bytes(hashlib.sha256(failure.bytes).digest()[:8]) % 100 < SECOND_PERCENT


def standing(rulings: Mapping[str, str], *, twice: bool) -> Standing:
    """Where a failure stands by the rulings on it, by expert."""
    if not rulings:
        return "open"
    if len(rulings) == 1:
        return "second" if twice else "settled"
    most = Counter(rulings.values()).most_common(1)[0][1]
    return "settled" if 2 * most > len(rulings) else "disputed"


def contradicting(failures: Collection[Failure]) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Pairs that ask nearly the same and are corrected differently.

    Compared are those of one group whose questions are of like length: near ones are. That many failures of one length
    are still many pairs, so whoever serves others meanwhile does it in a thread.
    """
    groups: dict[str, list[Corrected]] = defaultdict(list)
    for failure in failures:
        if failure.sent.correction:
            groups[failure.group].append(Corrected(failure))
    found = []
    for members in groups.values():
        members.sort(key=_size)
        for index, one in enumerate(members):
            beyond = bisect_right(members, reach(_size(one), SAME_QUESTION), key=_size)
            found += [(one.id, other.id) for other in members[index + 1 : beyond] if one.speaks_against(other)]
    return found


def against(one: Failure, others: Iterable[Failure]) -> list[uuid.UUID]:
    """Which of ``others`` ask nearly what ``one`` asks and are corrected differently."""
    if not one.sent.correction:
        return []
    mine = Corrected(one)
    theirs = (Corrected(other) for other in others if other.group == one.group and other.sent.correction)
    return [other.id for other in theirs if other.id != one.id and mine.speaks_against(other)]


class Corrected:
    """A failure that was corrected, as others are compared with it."""

    def __init__(self, one: Failure) -> None:
        self.id = one.id
        self.question = grams(one.sent.question)
        self.correction = grams(one.sent.correction or "")

    def speaks_against(self, other: Corrected) -> bool:
        """Whether both ask nearly the same, and are corrected differently."""
        if near(self.question, other.question) < SAME_QUESTION:
            return False
        return near(self.correction, other.correction) < SAME_QUESTION


def _size(one: Corrected) -> int:
    return len(one.question)
