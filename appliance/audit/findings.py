"""What is wrong with a log, in an auditor's words: edited, deleted, inserted, reordered, cut.

Pure. Given the leaf hashes that a bundle's entries have and those that its tile promises, say what was done to it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal[
    "edited",
    "deleted",
    "inserted",
    "reordered",
    "cut",
    "missing",
    "pruned",
    "rewritten",
    "checkpoint",
    "rewound",
    "forked",
    "replaced",
    "apart",
]
_MAX_LISTED = 8


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, the first entry it concerns (None: the whole log), and the details."""

    kind: Kind
    index: int | None
    detail: str

    def as_json(self) -> dict[str, Any]:
        """For ``--output json``."""
        return asdict(self)


def compare(promised: Sequence[bytes], actual: Sequence[bytes], first: int, *, torn: bool) -> list[Finding]:
    """How ``actual`` leaf hashes differ from the ``promised`` ones of the tile that begins at entry ``first``.

    ``torn`` says that the bundle ends in the middle of an entry.
    """
    if list(promised) == list(actual):
        end = first + len(actual)
        return [Finding("inserted", end, f"bytes that are no entry follow position {end - 1}")] if torn else []
    start = _common(promised, actual)
    end = _common(promised[start:][::-1], actual[start:][::-1])
    lost, new = promised[start : len(promised) - end], actual[start : len(actual) - end]
    index = first + start
    if not new:
        at_end = torn or (end == 0 and start == len(actual))
        return [_lost(index, len(lost), at_end=at_end)]
    if not lost:
        return [Finding("inserted", index, f"{_count(len(new))} inserted at position {index}")]
    if len(lost) != len(new):
        return [_replaced(lost, new, index)]
    if Counter(lost) == Counter(new):
        return [Finding("reordered", index, f"entries {index} to {index + len(lost) - 1} stand in another order")]
    return _edited(lost, new, index)


def _lost(index: int, count: int, *, at_end: bool) -> Finding:
    if at_end:
        return Finding("cut", index, f"{_count(count)} from position {index} on are cut off")
    return Finding("deleted", index, f"{_count(count)} deleted at position {index}")


def _edited(lost: Sequence[bytes], new: Sequence[bytes], index: int) -> list[Finding]:
    places = [index + i for i, (one, other) in enumerate(zip(lost, new, strict=True)) if one != other]
    named = ", ".join(map(str, places[:_MAX_LISTED])) + (", …" if len(places) > _MAX_LISTED else "")
    verb = "entry was edited: position" if len(places) == 1 else "entries were edited: positions"
    return [Finding("edited", places[0], f"{len(places)} {verb} {named}")]


def _replaced(lost: Sequence[bytes], new: Sequence[bytes], index: int) -> Finding:
    kept = Counter(lost) & Counter(new)
    gone, foreign = len(lost) - kept.total(), len(new) - kept.total()
    kind: Kind = "deleted" if gone > foreign else "inserted"
    return Finding(kind, index, f"from position {index} on {_count(gone)} gone and {_count(foreign)} foreign")


def _common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Length of the common beginning."""
    for count, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return count
    return min(len(one), len(other))


def _count(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"
