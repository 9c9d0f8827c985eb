"""Gold cases: a question, and what can be checked of its answer. Pure.

A case is never changed: what supersedes it is its next version. Its digest is over what it asks and expects, so that
two results can be held to be of the same cases. ``vital`` marks what must never fail, such as a fact of another group:
no average makes up for it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.learning.errors import CaseError
from appliance.learning.words import grams, holds, near, plain, reach

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

Kind = Literal["exact", "contains", "refusal", "language", "cited"]
Language = Literal["en", "fr", "de", "other"]
MAX_LINE = 64 << 10
MAX_CASES = 2_000
SAME_QUESTION = 0.9
"""From this nearness on two questions are one (``words.nearness``)."""
_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
_NAMES = ("en", "fr", "de")


class Content(BaseModel):
    """What a case asks and expects.

    ``expected`` by kind. ``exact``: any of these is the whole answer. ``contains``: each of these is in it.
    ``refusal``: it declines, and none of these is in it. ``language``: that it is in. ``cited``: digests of documents.
    ``documents``: it is asked for an answer from documents, as ``cited`` always is.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    kind: Kind
    expected: Annotated[tuple[_Line, ...], Field(max_length=10, strict=False)] = ()
    groups: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")], ...],
        Field(min_length=1, max_length=32, strict=False),
    ]
    language: Language
    vital: bool = False
    documents: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.kind != "refusal" and not self.expected:
            raise ValueError(f"a case of kind {self.kind} says what is expected")
        if self.kind == "language" and (len(self.expected) != 1 or self.expected[0] not in _NAMES):
            raise ValueError("a case of kind language expects one of en, fr, de")
        if self.kind == "exact" and not all(plain(one) for one in self.expected):
            raise ValueError("an exact answer has more than punctuation")
        if self.kind in {"contains", "refusal"} and not all(holds(one, one) for one in self.expected):
            raise ValueError("what an answer contains has words")
        if len(set(self.groups)) != len(self.groups):
            raise ValueError("a group is named twice")
        return self

    @property
    def from_documents(self) -> bool:
        """Whether the question is asked for an answer from documents."""
        return self.documents or self.kind == "cited"

    @property
    def digest(self) -> str:
        """``sha256:`` over the content as JSON with sorted keys, groups sorted."""
        said = self.model_dump(mode="json") | {"groups": sorted(self.groups)}
        raw = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        return "sha256:" + hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True)
class Case:
    """One version of a case."""

    id: uuid.UUID
    version: int
    content: Content


def contradict(one: Content, other: Content) -> bool:
    """Whether no answer can satisfy both, as far as words tell: nearly one question, of one group, and other answers.

    ``contains`` against ``contains`` contradict where neither's texts are among the other's: that may be wrong, and
    whoever decides sees both.
    """
    return Compared(one).contradicts(Compared(other))


class Compared:
    """A case's content as it is held against many others: its question is taken apart once."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._grams = grams(content.question)
        self._groups = frozenset(content.groups)

    @property
    def size(self) -> int:
        """Of the question, as ``words.reach`` counts: only questions of like size are near each other."""
        return len(self._grams)

    def contradicts(self, other: Compared) -> bool:
        """As ``contradict``; what costs most is looked at last."""
        if self.content.language != other.content.language or self._groups.isdisjoint(other._groups):
            return False
        few, many = sorted((len(self._grams), len(other._grams)))
        if many > reach(few, SAME_QUESTION) or near(self._grams, other._grams) < SAME_QUESTION:
            return False
        return _exclude(self.content, other.content)


def _exclude(one: Content, other: Content) -> bool:
    """Whether no answer to one question is as both expect."""
    kinds = {one.kind, other.kind}
    if kinds == {"language"}:
        return one.expected != other.expected
    if "refusal" in kinds:
        return len(kinds) > 1 and not kinds & {"language"}
    if kinds <= {"exact", "contains"}:
        return not _compatible(one, other)
    return False


def _compatible(one: Content, other: Content) -> bool:
    if one.kind == other.kind == "exact":
        return bool({plain(text) for text in one.expected} & {plain(text) for text in other.expected})
    if one.kind == other.kind:
        return _within(one.expected, other.expected) or _within(other.expected, one.expected)
    exact, contains = (one, other) if one.kind == "exact" else (other, one)
    return any(all(holds(text, part) for part in contains.expected) for text in exact.expected)


def _within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    said = tuple(outer)
    return all(any(holds(text, part) for text in said) for part in inner)


def read_cases(raw: bytes, name: str) -> tuple[Content, ...]:
    """Cases from JSON lines, one object of ``Content`` a line. Raises ``CaseError`` with the line's number."""
    found: list[Content] = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE or len(found) >= MAX_CASES:
            raise CaseError(f"{name}:{number}: too long: a line has {MAX_LINE} bytes, a file {MAX_CASES} cases at most")
        try:
            found.append(Content.model_validate(strict_json.loads(line)))
        except BundleError as error:
            raise CaseError(f"{name}:{number}: {error}", "one JSON object a line") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "case"
            cause = first["msg"].removeprefix("Value error, ").lower()
            raise CaseError(f"{name}:{number}: {where}: {cause}", "docs/guides/learning.md describes cases") from error
    return tuple(found)


def digest_of(cases: Iterable[Case]) -> str:
    """``sha256:`` over ids, versions and digests of the cases, in whatever order they come."""
    lines = sorted(f"{case.id} {case.version} {case.content.digest}\n" for case in cases)
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()
