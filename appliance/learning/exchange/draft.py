"""A draft of an export: what a person reads, edits and drops before others sign it. Pure.

``work.jsonl`` is the one file that is edited: a case a line, with why it is held back. ``exchange.jsonl`` is made of
it: every case without a finding, and the lines that are not about cases. Which cases of the site a line came from
stands in ``work.jsonl`` alone, which never leaves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.learning.errors import ExchangeError
from appliance.learning.exchange.export import MAX_BYTES as MAX_EXPORT
from appliance.learning.exchange.export import MAX_CASES, MAX_RETIRED, Export
from appliance.learning.exchange.lines import MAX_LINE, CaseLine, Line, RetiredLine, line_of
from appliance.learning.exchange.redactor import plain
from appliance.learning.exchange.shared import MAX_ROLES, Role, Shared

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from appliance.learning.cases import Case
    from appliance.learning.exchange.export import FailuresLine, Head, ScoreLine
    from appliance.learning.exchange.redactor import Redactor

WORK, STAYS = "work.jsonl", "stays.json"
MAX_BYTES = 32 << 20


class WorkLine(Line):
    """A case on its way: ``cases`` are those of the site that it is, ``ID VERSION`` each; ``held``: why it stays."""

    held: Annotated[tuple[str, ...], Field(strict=False)] = ()
    roles: Annotated[tuple[Role, ...], Field(max_length=MAX_ROLES, strict=False)] = ()
    case: Shared
    cases: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(min_length=1, strict=False)]


@dataclass(frozen=True)
class Given:
    """A case of the site that is in force. ``own_words``: of whoever asked; ``released``: it came with a release."""

    case: Case
    own_words: bool
    released: bool


class Left(BaseModel):
    """How many cases stay, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    own_words: int = 0
    documents: int = 0
    released: int = 0
    unreadable: int = 0

    def told(self) -> dict[str, int]:
        """By name."""
        return {
            "stay_in_own_words": self.own_words,
            "stay_about_documents": self.documents,
            "stay_from_a_release": self.released,
            "stay_unreadable": self.unreadable,
        }


@dataclass(frozen=True)
class Drafted:
    """An export as it would be signed, and what is held back."""

    export: Export
    work: tuple[WorkLine, ...]
    left: Left = field(default_factory=Left)
    found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By digest of a case that is held back: what was found in it, `WHAT: WORDS` each; for the sheet alone."""

    @property
    def held(self) -> tuple[WorkLine, ...]:
        """Lines that a person has to edit or drop."""
        return tuple(one for one in self.work if one.held)

    @property
    def sent(self) -> dict[str, tuple[str, ...]]:
        """For each digest that goes, which cases of the site it is."""
        found: dict[str, tuple[str, ...]] = {}
        for one in self.work:
            if not one.held:
                found[one.case.digest] = (*found.get(one.case.digest, ()), *one.cases)
        return found


def work_of(given: Iterable[Given], roles: Mapping[str, str]) -> tuple[tuple[WorkLine, ...], Left]:
    """Lines for the cases that may go, and how many others stay. ``roles``: what a group is called outside."""
    found: dict[str, WorkLine] = {}
    left = Left()
    for one in given:
        if one.own_words:
            left.own_words += 1
        elif one.released:
            left.released += 1
        elif one.case.content.from_documents:
            left.documents += 1
        elif (shared := _shared(one)) is None:
            left.unreadable += 1
        else:
            said = {roles[group] for group in one.case.content.groups if group in roles}
            line = WorkLine(roles=tuple(sorted(said)), case=shared, cases=(f"{one.case.id} {one.case.version}",))
            found[shared.digest] = _joined(found.get(shared.digest), line)
    return tuple(found[digest] for digest in sorted(found)), left


def _shared(one: Given) -> Shared | None:
    try:
        return Shared.of(one.case.content)
    except ValidationError:
        return None


def _joined(former: WorkLine | None, line: WorkLine) -> WorkLine:
    if former is None:
        return line
    roles = tuple(sorted({*former.roles, *line.roles}))[:MAX_ROLES]
    return WorkLine(roles=roles, case=line.case, cases=tuple(sorted({*former.cases, *line.cases})))


def retired_of(sent: Mapping[str, Collection[str]], alive: Collection[str]) -> tuple[str, ...]:
    """Which of the digests ``sent`` the site retired: none of the cases that each was is ``alive`` (``ID VERSION``).

    What somebody only kept back is not among them: it goes no more, and stays in force wherever it is.
    """
    return tuple(digest for digest, cases in sent.items() if cases and set(alive).isdisjoint(cases))


def drafted(  # noqa: PLR0913 - the parts of an export, by keyword
    head: Head,
    work: Sequence[WorkLine],
    redactor: Redactor,
    *,
    retired: Collection[str],
    failures: Iterable[FailuresLine] = (),
    scores: Iterable[ScoreLine] = (),
    left: Left | None = None,
) -> Drafted:
    """The export of ``work``, without what ``redactor`` finds something in. ``retired``: what is no case any more.

    Names of clusters with a finding lose the words that have it. Raises ``ExchangeError`` for more than fits.
    """
    looked = [WorkLine(held=_why(one, redactor), roles=one.roles, case=one.case, cases=one.cases) for one in work]
    going: dict[str, WorkLine] = {}
    for one in looked:
        if not one.held:
            going[one.case.digest] = _joined(going.get(one.case.digest), one)
    if len(going) > MAX_CASES:
        raise ExchangeError(f"{len(going)} cases are more than {MAX_CASES}", "drop some, or retire them at the site")
    cases = (CaseLine(digest=digest, roles=one.roles, case=one.case) for digest, one in going.items())
    gone = [RetiredLine(digest=digest) for digest in set(retired) - set(going)]
    clean = (_nameable(one, redactor, going) for one in failures)
    export = Export(head, tuple(cases), tuple(gone), tuple(clean), tuple(scores)).ordered()
    if len(gone) > MAX_RETIRED or len(export.to_bytes()) > MAX_EXPORT:
        raise ExchangeError(f"{MAX_RETIRED} retired cases and {MAX_EXPORT} bytes are the most", "drop some cases")
    held = {one.case.digest: _found(one, redactor) for one in looked if one.held}
    return Drafted(export, tuple(sorted(looked, key=lambda one: (not one.held, one.case.digest))), left or Left(), held)


def _why(line: WorkLine, redactor: Redactor) -> tuple[str, ...]:
    return tuple(sorted({one.what for text in line.case.texts for one in redactor.findings(text)}))


def _found(line: WorkLine, redactor: Redactor) -> tuple[str, ...]:
    said: dict[str, None] = {}
    for text in line.case.texts:
        for one in redactor.findings(text):
            words = " ".join(plain(text)[one.start : one.end].split())
            said[f"{one.what}: {words}" if words else one.what] = None
    return tuple(said)


def _nameable(line: FailuresLine, redactor: Redactor, going: Collection[str]) -> FailuresLine:
    name = tuple(word for word in line.name if not redactor.findings(word))
    cases = tuple(one for one in line.cases if one in going)
    return line.model_copy(update={"name": name, "cases": cases})


def work_bytes(work: Iterable[WorkLine]) -> bytes:
    """``work.jsonl``: what is held back comes first."""
    return b"".join(_spelled(one) for one in work)


def _spelled(line: WorkLine) -> bytes:
    return json.dumps(line.model_dump(mode="json"), ensure_ascii=False).encode() + b"\n"


def read_left(data: bytes, name: str = STAYS) -> Left:
    """How many cases stay. Raises ``ExchangeError``."""
    try:
        return Left.model_validate_json(data)
    except ValidationError as error:
        raise ExchangeError(f"{name} is not what `sovereign learn export` wrote") from error


def read_work(data: bytes, name: str = WORK) -> tuple[WorkLine, ...]:
    """Lines as a person left them, in whatever spelling. Raises ``ExchangeError``."""
    if len(data) > MAX_BYTES or data.count(b"\n") > 2 * MAX_CASES:
        raise ExchangeError(f"{name} is too long", "drop lines of it")
    found = []
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            value: dict[str, Any] = strict_json.load_object(raw, max_bytes=MAX_LINE)
        except BundleError as error:
            raise ExchangeError(f"{name}:{number}: {error.cause}", "one JSON object a line") from error
        if isinstance(value.get("roles"), list) and all(isinstance(one, str) for one in value["roles"]):
            value["roles"] = sorted(set(value["roles"]))
        found.append(line_of(WorkLine, value, name, number))
    return tuple(found)
