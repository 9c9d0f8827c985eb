"""What an evaluation found, as a file: a line about the run, then one a case. Pure: bytes in, bytes out.

The file holds no word of a question or an answer, only digests and positions in the audit log: it may be kept and
carried when the people whose words the cases came from are gone. A line that a crash cut off is dropped when the run
is resumed; any other damage is refused.

The first line says what was drawn: each case that was in force, for each group. A site lives on while a run takes its
days. What was drawn and is not in force any more when the rest is asked has a line of its own that says so, and a run
is whole when each that was drawn has a line.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.learning.cases import Kind, Language
from appliance.learning.confidence import NAMES
from appliance.learning.errors import ResultError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES = 64 << 20
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Measured = Annotated[float, Field(allow_inf_nan=False, ge=-1000, le=1000)]
_Drawn = Annotated[str, Field(pattern=r"^[^ ]{1,200} [1-9][0-9]{0,9} [^ ]{1,63}$")]
MOST_DRAWN = 65_536


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class Run(_Line):
    """Of which cases, asked of what, drawn how."""

    schema_version: Literal[1] = Field(alias="schema", default=1)
    type: Literal["evaluation"] = "evaluation"
    site: _Text
    model: _Text
    groups: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=1000, strict=False)]
    seed: Annotated[int, Field(ge=0)]
    max_tokens: Annotated[int, Field(ge=1)]
    temperature: Annotated[_Finite, Field(ge=0)]
    top_p: Annotated[_Finite, Field(ge=0, le=1)]
    cases: Digest
    pack: _Text | None = Field(default=None, description="Under which pack it was tried; absent: as in force.")
    change: _Text | None = Field(default=None, description="Under which change of site.yaml it was tried.")
    change_digest: Digest | None = Field(default=None, description="Of the change as site.yaml had it then.")
    drawn: Annotated[tuple[_Drawn, ...], Field(max_length=MOST_DRAWN, strict=False)] = Field(
        description="`CASE VERSION GROUP` of each question."
    )

    @property
    def count(self) -> int:
        """How many questions there are."""
        return len(self.drawn)

    def asks_as(self, other: Run) -> bool:
        """Whether both are one run, begun at different times: equal but for which cases were in force."""
        return self.model_copy(update={"cases": other.cases, "drawn": other.drawn}) == other


class Withdrawn(_Line):
    """A question that was drawn and is not asked: its case was retired, replaced, blocked or erased meanwhile."""

    type: Literal["withdrawn"] = "withdrawn"
    drawn: _Drawn


class Row(_Line):
    """One case asked in the name of one group. ``refused``: by which code the site refused it; it is worth 0 then."""

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
    model: Digest | None = Field(default=None, description="Absent of what was refused, as `entry` is.")
    adapter: Digest | None = None
    instructions: dict[str, Digest] = Field(default_factory=dict)
    entry: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Position of the answer's entry in the audit log."
    )
    refused: _Text | None = None
    signal: dict[str, _Measured] | None = Field(
        default=None, description="What the answer gave away of how sure it is (`confidence.Signal`); absent: nothing."
    )

    looked_up: Digest | None = Field(
        default=None, description="By which settings its documents were looked up; absent without documents."
    )
    setting: Digest | None = Field(
        default=None, description="What it was answered under (`learning.setting`); absent in older results."
    )

    @model_validator(mode="after")
    def _answered_or_refused(self) -> Self:
        answered = self.model is not None and self.entry is not None
        if answered == (self.refused is not None) or (self.refused is not None and self.score > 0):
            raise ValueError("a question was answered or refused")
        if self.signal is not None and set(self.signal) != set(NAMES):
            raise ValueError("other features than those of this release")
        return self

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What the row is about: two rows of different files are compared where these are equal."""
        return self.case, self.version, self.digest, self.group

    @property
    def drawn(self) -> str:
        """As ``Run.drawn`` names it."""
        return f"{self.case} {self.version} {self.group}"


@dataclass(frozen=True)
class Results:
    """A whole file."""

    run: Run
    rows: tuple[Row, ...]
    withdrawn: tuple[str, ...]
    digest: str

    @property
    def whole(self) -> bool:
        """Whether each question was asked or withdrawn."""
        return len(self.rows) + len(self.withdrawn) == self.run.count

    @property
    def answered_by(self) -> list[str]:
        """What answered, each once: models, adapters, and instructions of the site and of groups, by digest."""
        found: set[str] = set()
        for row in self.rows:
            named = {"model": row.model, "adapter": row.adapter, "settings of documents": row.looked_up}
            named |= {f"instructions of the {whose}": digest for whose, digest in row.instructions.items()}
            found |= {f"{name} {digest}" for name, digest in named.items() if digest is not None}
        return sorted(found, key=lambda one: (not one.startswith("model"), one))


def line(one: Run | Row | Withdrawn) -> bytes:
    """One line of the file, its end included."""
    said = one.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def whole(raw: bytes) -> bytes:
    """``raw`` up to its last complete line."""
    return raw[: raw.rfind(b"\n") + 1]


def read_results(raw: bytes, name: str) -> Results:
    """A file's content. Raises ``ResultError``."""
    if not raw.endswith(b"\n") or len(raw) > MAX_BYTES:
        raise ResultError(f"{name} is no complete file of results", "run the evaluation again: it goes on where it was")
    lines = raw[:-1].split(b"\n")
    run: Run = _read(Run, lines[0], name, 1)
    said = [_read(Row, one, name, number) for number, one in enumerate(lines[1:], start=2)]
    found = [one.drawn for one in said]
    if len(set(found)) != len(found) or not set(found) <= set(run.drawn):
        raise ResultError(f"{name} holds a case twice, or one that was not drawn", "run it again, into a new file")
    rows = tuple(one for one in said if isinstance(one, Row))
    withdrawn = tuple(one.drawn for one in said if isinstance(one, Withdrawn))
    return Results(run, rows, withdrawn, "sha256:" + hashlib.sha256(raw).hexdigest())


def written(run: Run, rows: Iterable[Row | Withdrawn]) -> bytes:
    """The whole file."""
    return b"".join([line(run), *map(line, rows)])


def _read(kind: type[Any], raw: bytes, name: str, number: int) -> Any:
    try:
        said = strict_json.loads(raw, max_bytes=MAX_BYTES)
        if kind is Row and isinstance(said, dict) and "type" in said:
            kind = Withdrawn
        return kind.model_validate(said)
    except (BundleError, ValidationError) as error:
        raise ResultError(
            f"{name}:{number} is no line of results", "name a file that `sovereign learn evaluate` wrote"
        ) from error
