"""Files of the exchange: JSON lines in one spelling, so that equal content is equal bytes. Pure.

The first line says what the file is. Every line is canonical JSON (``strict_json.dumps``); a file that is not spelled
so is refused, because what persons sign and what is read must be one thing. Bounds come before anything is parsed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.learning.errors import ExchangeError
from appliance.learning.exchange.shared import MAX_ROLES, Digest, Role, Shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LINE = 256 << 10
_L = TypeVar("_L", bound="Line")


class Line(BaseModel):
    """One line: strict, and nothing that is not declared."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    def spelled(self) -> bytes:
        """The line as it stands in a file."""
        return strict_json.dumps(self.model_dump(mode="json", by_alias=True)) + b"\n"


class CaseLine(Line):
    """A case, and for which roles it was meant where it comes from. Another digest than the case's is refused."""

    type: Literal["case"] = "case"
    digest: Digest
    roles: Annotated[tuple[Role, ...], Field(max_length=MAX_ROLES, strict=False)] = ()
    case: Shared

    @model_validator(mode="after")
    def _is_what_it_says(self) -> Self:
        if self.digest != self.case.digest:
            raise ValueError("the case has another digest than its line says")
        if list(self.roles) != sorted(set(self.roles)):
            raise ValueError("roles come once each, in order")
        return self


class RetiredLine(Line):
    """A case that its site asks no more."""

    type: Literal["retired"] = "retired"
    digest: Digest


def read_lines(data: bytes, name: str, most_bytes: int, most_lines: int) -> list[dict[str, Any]]:
    """The objects of ``data``'s lines. Raises ``ExchangeError`` for a file that is too long or spelled otherwise."""
    if len(data) > most_bytes or data.count(b"\n") > most_lines:
        raise ExchangeError(f"{name} is longer than {most_bytes} bytes or {most_lines} lines", "nothing of it is used")
    if not data.endswith(b"\n"):
        raise ExchangeError(f"{name} does not end with a line's end", "it was cut off, or changed")
    found = []
    for number, raw in enumerate(data[:-1].split(b"\n"), start=1):
        try:
            value = strict_json.load_object(raw, max_bytes=MAX_LINE)
            spelled = strict_json.dumps(value)
        except BundleError as error:
            raise ExchangeError(f"{name}:{number}: {error.cause}") from error
        if spelled != raw:
            raise ExchangeError(f"{name}:{number}: not in the one spelling that is signed", "it was changed by hand")
        found.append(value)
    return found


def line_of(kind: type[_L], value: dict[str, Any], name: str, number: int) -> _L:
    """One object as a line. Raises ``ExchangeError`` that names the first mistake, and quotes no text of it."""
    try:
        found = kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "line"
        cause = first["msg"].removeprefix("Value error, ").lower()
        raise ExchangeError(f"{name}:{number}: {ascii(where)[1:-1]:.80}: {cause:.200}") from error
    if found.model_dump(mode="json", by_alias=True) != value:
        raise ExchangeError(f"{name}:{number}: a field is missing", "it was not written by this program")
    return found


def check_sorted(keys: Sequence[str], name: str) -> None:
    """Raise ``ExchangeError`` unless each of ``keys`` comes once and all are in order."""
    if any(one >= other for one, other in pairwise(keys)):
        raise ExchangeError(f"{name}: lines of one kind come once each, by digest")


def joined(lines: Iterable[Line]) -> bytes:
    """A file of ``lines``."""
    return b"".join(line.spelled() for line in lines)
