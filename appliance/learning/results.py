"""What an evaluation found, as a file: a line about the run, then one a case. Pure: bytes in, bytes out.

The file holds no word of a question or an answer, only digests and positions in the audit log: it may be kept and
carried when the people whose words the cases came from are gone. A line that a crash cut off is dropped when the run
is resumed; any other damage is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.learning.cases import Kind, Language
from appliance.learning.errors import ResultError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 64 << 20
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class Run(_Line):
    """Of which cases, asked of what, drawn how."""

    schema_version: Literal[1] = Field(alias="schema", default=1)
    type: Literal["evaluation"] = "evaluation"
    site: _Text
    model: _Text
    seed: Annotated[int, Field(ge=0)]
    max_tokens: Annotated[int, Field(ge=1)]
    temperature: Annotated[_Finite, Field(ge=0)]
    top_p: Annotated[_Finite, Field(ge=0, le=1)]
    cases: Digest
    count: Annotated[int, Field(ge=1)]


class Row(_Line):
    """One case asked in the name of one group."""

    case: _Text
    version: Annotated[int, Field(ge=1)]
    digest: Digest
    group: _Text
    kind: Kind
    language: Language
    vital: bool
    score: Annotated[_Finite, Field(ge=0, le=1)]
    declined: bool
    seed: Annotated[int, Field(ge=0)]
    seconds: Annotated[_Finite, Field(ge=0)]
    joules: Annotated[_Finite, Field(ge=0)]
    tokens: Annotated[int, Field(ge=0)]
    model: Digest
    adapter: Digest | None = None
    instructions: dict[str, Digest] = Field(default_factory=dict)
    entry: Annotated[int, Field(ge=0)] = Field(description="Position of the answer's entry in the audit log.")

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What the row is about: two rows of different files are compared where these are equal."""
        return self.case, self.version, self.digest, self.group


@dataclass(frozen=True)
class Results:
    """A whole file."""

    run: Run
    rows: tuple[Row, ...]
    digest: str

    @property
    def answered_by(self) -> list[str]:
        """What answered, each once: model, adapter and instructions by digest."""
        found = {
            " ".join(filter(None, (row.model, row.adapter, *(f"{k}={v}" for k, v in sorted(row.instructions.items())))))
            for row in self.rows
        }
        return sorted(found)


def line(one: Run | Row) -> bytes:
    """One line of the file, its end included."""
    said = one.model_dump(mode="json", by_alias=True)
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def whole(raw: bytes) -> bytes:
    """``raw`` up to its last complete line."""
    return raw[: raw.rfind(b"\n") + 1]


def read_results(raw: bytes, name: str) -> Results:
    """A file's content. Raises ``ResultError``."""
    if not raw.endswith(b"\n") or len(raw) > MAX_BYTES:
        raise ResultError(f"{name} is no complete file of results", "run the evaluation again: it goes on where it was")
    lines = raw[:-1].split(b"\n")
    run = _read(Run, lines[0], name, 1)
    rows = tuple(_read(Row, one, name, number) for number, one in enumerate(lines[1:], start=2))
    keys = {row.key for row in rows}
    if len(keys) != len(rows):
        raise ResultError(f"{name} holds a case twice", "run the evaluation again, into a new file")
    return Results(run, rows, "sha256:" + hashlib.sha256(raw).hexdigest())


def written(run: Run, rows: Iterable[Row]) -> bytes:
    """The whole file."""
    return b"".join([line(run), *map(line, rows)])


def _read(kind: type[Any], raw: bytes, name: str, number: int) -> Any:
    try:
        return kind.model_validate(strict_json.loads(raw))
    except (BundleError, ValidationError) as error:
        raise ResultError(
            f"{name}:{number} is no line of results", "name a file that `sovereign learn evaluate` wrote"
        ) from error
