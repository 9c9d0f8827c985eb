"""What people sent to experts, as figures that may leave: how many, about what, and how it was judged. Pure.

No text of a person, no id, no time. Failures are put together by words (``clusters``). A cluster counts for itself only
where ``LEAST`` persons or more are in it; all others are one line without a name. A word of a name stays only where so
many persons used it: what one person wrote names nothing outside.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from appliance.learning.clusters import LEAST_OF_WORDS, MOST, by_words, clustered, names
from appliance.learning.exchange.export import FailuresLine, ScoreLine
from appliance.learning.words import telling
from appliance.memory.language import language

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping, Sequence

    from appliance.learning.failures import Failure
    from appliance.learning.results import Row

LEAST = 3
"""Persons of whom a figure is not one person's."""
STEP = 5
"""Counts of failures are multiples of it."""
_FEWEST = 5
"""Cases of a slice whose mean is told."""
_MOST_CASES = 100


def failure_lines(
    failures: Sequence[Failure], roles: Mapping[str, str], cases: Mapping[uuid.UUID, str]
) -> tuple[FailuresLine, ...]:
    """One line a cluster. ``roles``: what a group is called outside; ``cases``: digest of what came of a failure."""
    read = failures[:MOST]
    questions = [one.sent.question for one in read]
    found = clustered(by_words(questions), LEAST_OF_WORDS) if read else []
    lines, rest = [], []
    for name, cluster in zip(names(questions, found), found, strict=True):
        members = [read[index] for index in cluster]
        if _enough(members):
            lines.append(_line(_common(name, members), members, roles, cases))
        else:
            rest += members
    if _enough(rest):
        lines.append(_line((), rest, roles, cases))
    return tuple(lines)


def _enough(members: Sequence[Failure]) -> bool:
    return len({one.subject for one in members}) >= LEAST and len(members) >= STEP


def _common(name: Iterable[str], members: Sequence[Failure]) -> tuple[str, ...]:
    """The words of ``name`` that ``LEAST`` persons or more used."""
    users: dict[str, set[str]] = defaultdict(set)
    for one in members:
        for word in telling(one.sent.question):
            users[word].add(one.subject)
    return tuple(word for word in name if len(users[word]) >= LEAST)


def _line(
    name: tuple[str, ...], members: Sequence[Failure], roles: Mapping[str, str], cases: Mapping[uuid.UUID, str]
) -> FailuresLine:
    digests = sorted({cases[one.id] for one in members if one.id in cases})
    corrected = [(one.subject, "corrected") for one in members if one.sent.correction is not None]
    return FailuresLine.model_validate(
        {
            "name": name,
            "count": len(members) // STEP * STEP,
            "roles": _told((one.subject, roles[one.group]) for one in members if one.group in roles),
            "languages": _told((one.subject, language(one.sent.question)) for one in members),
            "reasons": _told((one.subject, reason) for one in members for reason in one.sent.reasons),
            "rulings": _told((one.subject, ruling) for one in members for ruling in one.rulings.values()),
            "corrected": _told(corrected).get("corrected", 0),
            "cases": tuple(digests[:_MOST_CASES]),
        }
    )


def _told(said: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Counts of what was ``said``, each with whose failure it is of: those of ``LEAST`` persons or more, rounded."""
    whose: dict[str, list[str]] = defaultdict(list)
    for subject, what in said:
        whose[what].append(subject)
    enough = {what: len(of) // STEP * STEP for what, of in whose.items() if len(set(of)) >= LEAST}
    return {what: count for what, count in enough.items() if count}


def score_lines(rows: Iterable[Row]) -> tuple[ScoreLine, ...]:
    """Mean scores of an evaluation: of all, by language and by kind, where a slice has enough cases."""
    slices: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name in ("all", f"language={row.language}", f"kind={row.kind}"):
            slices[name].append(row.score)
    return tuple(
        ScoreLine(slice=name, cases=len(scores), thousandths=round(1000 * sum(scores) / len(scores)))
        for name, scores in sorted(slices.items())
        if len(scores) >= _FEWEST
    )
