"""What a release carries of all sites' learning: cases, and digests of those that nobody is to ask any more. Pure.

The file says of how many sites a case is, not of which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from airgap_bundle.digest import sha256
from appliance.learning.errors import ExchangeError
from appliance.learning.exchange.lines import Line, check_sorted, joined, line_of, read_lines
from appliance.learning.exchange.shared import Digest, Role, Shared

KIND = "cases"
FILE = "cases.jsonl"
MAX_CASES = 10_000
MAX_RETIRED = 200_000
MAX_BYTES = 64 << 20
MAX_ROLES = 256


class ReleasedHead(Line):
    """The first line."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    type: Literal["cases"] = "cases"


class ReleasedCase(Line):
    """A case that ``sites`` of the sites gave, for people of ``roles``."""

    type: Literal["case"] = "case"
    digest: Digest
    sites: Annotated[int, Field(ge=1, le=100_000)]
    roles: Annotated[tuple[Role, ...], Field(max_length=MAX_ROLES, strict=False)] = ()
    case: Shared

    @model_validator(mode="after")
    def _is_what_it_says(self) -> Self:
        if self.digest != self.case.digest:
            raise ValueError("the case has another digest than its line says")
        return self


class ReleasedRetired(Line):
    """A case that is asked nowhere any more."""

    type: Literal["retired"] = "retired"
    digest: Digest


@dataclass(frozen=True)
class Released:
    """The file of a release."""

    cases: tuple[ReleasedCase, ...] = ()
    retired: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The file: equal cases give equal bytes."""
        cases = sorted(self.cases, key=lambda one: one.digest)
        retired = (ReleasedRetired(digest=one) for one in sorted(self.retired))
        return joined((ReleasedHead(), *cases, *retired))

    @property
    def digest(self) -> str:
        """``sha256:`` over the file."""
        return str(sha256(self.to_bytes()))


def read_released(data: bytes, name: str = FILE) -> Released:
    """The file that ``data`` is. Raises ``ExchangeError`` for anything that ``Released.to_bytes`` does not write."""
    values = read_lines(data, name, MAX_BYTES, 1 + MAX_CASES + MAX_RETIRED)
    line_of(ReleasedHead, values[0], name, 1)
    cases: list[ReleasedCase] = []
    retired: list[str] = []
    for number, value in enumerate(values[1:], start=2):
        _take(value, name, number, cases, retired)
    if len(cases) > MAX_CASES:
        raise ExchangeError(f"{name}: more than {MAX_CASES} cases")
    check_sorted([one.digest for one in cases], name)
    check_sorted(retired, name)
    found = Released(tuple(cases), tuple(retired))
    if found.to_bytes() != data:
        raise ExchangeError(f"{name}: its lines are not in the one order of the format")
    return found


def _take(value: dict[str, Any], name: str, number: int, cases: list[ReleasedCase], retired: list[str]) -> None:
    if value.get("type") == "case":
        cases.append(line_of(ReleasedCase, value, name, number))
    else:
        retired.append(line_of(ReleasedRetired, value, name, number).digest)
