"""What a person sends to experts about an answer, and where it stands in their queue. Pure.

Nothing is sent that the page did not show beside the button: one question, its answer, and what the person wrote about
it. A share of the failures is judged twice, chosen by a hash of their id, so that nobody can choose which; and one on
which two experts disagree is judged until a ruling has the majority.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, Self

from appliance.learning.cases import SAME_QUESTION
from appliance.learning.words import nearness

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Mapping, Sequence
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
    """What a person says of an answer. ``send``: experts may see it, with question and answer."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    reason: str | None = None
    correction: str | None = None
    send: bool = False

    def detail(self) -> str:
        """Reasons and correction, to be sealed."""
        return json.dumps({"reasons": list(self.reasons), "correction": self.correction}, ensure_ascii=False)


@dataclass(frozen=True)
class Sent:
    """The words of a failure, as the person sent them."""

    question: str
    answer: str
    reasons: tuple[str, ...] = ()
    reason: str | None = None
    correction: str | None = None

    def text(self) -> str:
        """As JSON, to be sealed."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Self:
        """From what ``text`` gave."""
        said: dict[str, Any] = json.loads(text)
        return cls(**{**said, "reasons": tuple(said["reasons"])})

    @property
    def digest(self) -> str:
        """``sha256:`` of the question."""
        return "sha256:" + hashlib.sha256(self.question.encode()).hexdigest()

    def quoted_by(self, question: str, expected: Sequence[str]) -> bool:
        """Whether a case still speaks in the person's words."""
        near = nearness(question, self.question) >= OWN_WORDS
        return near or any(nearness(one, self.correction or "") >= OWN_WORDS for one in expected if self.correction)


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
    """Pairs that ask nearly the same and are corrected differently."""
    corrected = [one for one in failures if one.sent.correction]
    return [
        (one.id, other.id)
        for one, other in combinations(corrected, 2)
        if one.group == other.group
        and nearness(one.sent.question, other.sent.question) >= SAME_QUESTION
        and nearness(one.sent.correction or "", other.sent.correction or "") < SAME_QUESTION
    ]
