"""What a site sends: one file that says all that the site has to give now, which persons of the site sign. Pure.

    learning   who sends (a name that the site chose for this), the number of the export, the day, how many must sign
    case       each case, by digest
    retired    digests that this site sent before and asks no more
    failures   figures of what people sent to experts: no word of a person
    score      how the site's own evaluation came out, by slice

Each export is whole: it takes the place of the one before. So the order in which exports arrive changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from airgap_bundle.digest import sha256
from airgap_bundle.errors import BundleError
from airgap_bundle.keys import check_signer_name
from airgap_bundle.names import check_name
from appliance.learning.cases import Language
from appliance.learning.errors import ExchangeError
from appliance.learning.exchange.lines import CaseLine, Line, RetiredLine, check_sorted, joined, line_of, read_lines
from appliance.learning.exchange.shared import Digest, Role
from appliance.learning.failures import Reason, Ruling

MAX_BYTES = 8 << 20
MAX_CASES = 2_000
MAX_RETIRED = 20_000
MAX_FIGURES = 400
MAX_LINES = 1 + MAX_CASES + MAX_RETIRED + 2 * MAX_FIGURES
NAME = "exchange.jsonl"
_Count = Annotated[int, Field(ge=0, le=1_000_000)]


class Head(Line):
    """Who sends. ``approvals``: so many persons of the site signed these bytes, at least.

    ``accounts``: texts were looked through for names of the site's accounts.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    type: Literal["learning"] = "learning"
    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    number: Annotated[int, Field(ge=1, le=2**53)]
    made: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    approvals: Annotated[int, Field(ge=1, le=16)]
    accounts: bool = False


class FailuresLine(Line):
    """Failures that are about one thing: how many of them, of at least three persons; ``name`` by words of several."""

    type: Literal["failures"] = "failures"
    name: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(max_length=4, strict=False)]
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    roles: dict[Role, _Count]
    languages: dict[Language, _Count]
    reasons: dict[Reason, _Count]
    rulings: dict[Ruling, _Count]
    corrected: _Count
    cases: Annotated[tuple[Digest, ...], Field(max_length=100, strict=False)] = ()


class ScoreLine(Line):
    """The mean score of one slice, in thousandths; ``slice`` is ``all``, ``language=…`` or ``kind=…``."""

    type: Literal["score"] = "score"
    slice: Annotated[str, Field(pattern=r"^(all|language=[a-z]{2,5}|kind=[a-z]{1,16})$")]
    cases: Annotated[int, Field(ge=1, le=1_000_000)]
    thousandths: Annotated[int, Field(ge=0, le=1000)]


@dataclass(frozen=True)
class Export:
    """An export, whole."""

    head: Head
    cases: tuple[CaseLine, ...] = ()
    retired: tuple[RetiredLine, ...] = ()
    failures: tuple[FailuresLine, ...] = ()
    scores: tuple[ScoreLine, ...] = ()

    def to_bytes(self) -> bytes:
        """The file: what is signed, and what is read."""
        return joined((self.head, *self.cases, *self.retired, *self.failures, *self.scores))

    @property
    def digest(self) -> str:
        """``sha256:`` over the file."""
        return str(sha256(self.to_bytes()))

    def figures(self) -> dict[str, Any]:
        """Counts and digests, for the audit log and for a table."""
        return {
            "site": self.head.site,
            "number": self.head.number,
            "digest": self.digest,
            "looked_for_accounts": self.head.accounts,
            "cases": len(self.cases),
            "retired": len(self.retired),
            "failures": sum(one.count for one in self.failures),
            "scores": len(self.scores),
        }

    def ordered(self) -> Self:
        """The same with its lines in the order of the format."""
        return type(self)(
            self.head,
            tuple(sorted(self.cases, key=lambda one: one.digest)),
            tuple(sorted(self.retired, key=lambda one: one.digest)),
            tuple(sorted(self.failures, key=lambda one: one.spelled())),
            tuple(sorted(self.scores, key=lambda one: one.slice)),
        )


_KINDS: dict[str, tuple[type[Line], int]] = {
    "case": (CaseLine, MAX_CASES),
    "retired": (RetiredLine, MAX_RETIRED),
    "failures": (FailuresLine, MAX_FIGURES),
    "score": (ScoreLine, MAX_FIGURES),
}


def read_export(data: bytes, name: str = NAME) -> Export:
    """The export that ``data`` is. Raises ``ExchangeError`` for anything that ``Export.to_bytes`` does not write."""
    values = read_lines(data, name, MAX_BYTES, MAX_LINES)
    head = line_of(Head, values[0], name, 1)
    _check_head(head, name)
    found: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
    for number, value in enumerate(values[1:], start=2):
        kind = str(value.get("type"))
        if kind not in _KINDS:
            raise ExchangeError(f"{name}:{number}: a line of no kind that goes back")
        model, most = _KINDS[kind]
        if len(found[kind]) >= most:
            raise ExchangeError(f"{name}: more than {most} lines of kind {kind}", "nothing of it is used")
        found[kind].append(line_of(model, value, name, number))
    export = Export(head, *(tuple(found[kind]) for kind in _KINDS))
    cases, retired = [one.digest for one in export.cases], [one.digest for one in export.retired]
    check_sorted(cases, name)
    check_sorted(retired, name)
    if set(cases) & set(retired):
        raise ExchangeError(f"{name}: a case is given and retired at once")
    if export.ordered().to_bytes() != data:
        raise ExchangeError(f"{name}: its lines are not in the one order that is signed", "it was changed by hand")
    return export


def _check_head(head: Head, name: str) -> None:
    try:
        check_name(check_signer_name(head.site))
        date.fromisoformat(head.made)
    except (BundleError, ValueError) as error:
        raise ExchangeError(f"{name}:1: the site's name or the day is none") from error
