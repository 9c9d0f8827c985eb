"""What an engine says of its memory on ``GET /memory``: one JSON object, and how whoever asks reads it.

Both directions live here. The reader trusts nothing: an engine that was taken over through its model must get no more
out of this than wrong figures within bounds. What is not of this shape is refused whole, with a reason in our words.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.engine.protocol import Scope, Tier

MAX_BYTES = 256 * 1024
"""As much as the installer reads of any service (``install.probe``)."""
MAX_ROWS = 1024
_CELLS = 1 << 31
_DISK = 1 << 50
_SECONDS = 1 << 40
_JOULES = 1e15
_NAME = 256
Method = Literal["estimated", "measured"]


@dataclass(frozen=True)
class Row:
    """``count`` beginnings of a tier: ``tokens``, ``size`` in bytes, ages of the oldest and the newest in seconds.

    ``group`` is empty but for a group's.
    """

    tier: Tier
    scope: Scope
    group: str
    count: int
    tokens: int
    size: int
    oldest_s: float
    newest_s: float


@dataclass(frozen=True)
class Prefill:
    """What reading prompts cost since the start: ``tokens`` computed for ``joules`` above idle."""

    tokens: int
    joules: float
    method: Method

    @property
    def joules_per_token(self) -> float:
        """On average."""
        return self.joules / self.tokens


@dataclass(frozen=True)
class EngineTiers:
    """The tiers of one engine. ``cells``: how many tokens its context holds; ``prefill`` None: nothing was computed."""

    up_s: float
    cells: int
    rows: tuple[Row, ...]
    prefill: Prefill | None


def encode(tiers: EngineTiers) -> bytes:
    """The body of the answer. Rows that would make it longer than anybody reads are left out, the smallest first."""
    rows = sorted(tiers.rows, key=lambda row: -row.tokens)[:MAX_ROWS]
    body = json.dumps(asdict(tiers) | {"rows": [asdict(row) for row in rows]}).encode()
    while len(body) > MAX_BYTES and rows:
        rows = rows[: len(rows) // 2]
        body = json.dumps(asdict(tiers) | {"rows": [asdict(row) for row in rows]}).encode()
    return body


def decode(body: bytes) -> EngineTiers:
    """The tiers in ``body``. Raises ``ValueError`` that says in our words what is wrong with it."""
    try:
        found = strict_json.load_object(body, max_bytes=MAX_BYTES, max_depth=8)
    except (FormatError, ValueError) as error:
        raise ValueError("what it says of its memory is no JSON that is read here") from error
    return read(found)


def read(found: dict[str, Any]) -> EngineTiers:
    """As ``decode``, of parsed JSON (``strict_json``: no infinities, no integer beyond 64 bits)."""
    try:
        listed = found["rows"]
        if not isinstance(listed, list) or len(listed) > MAX_ROWS:
            raise ValueError("it names more rows than an engine has")
        tiers = EngineTiers(
            up_s=_amount(found["up_s"], _SECONDS),
            cells=_count(found["cells"], _CELLS),
            rows=tuple(_row(one) for one in listed),
            prefill=_prefill(found["prefill"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("what it says of its memory lacks a part") from error
    if len({(row.tier, row.scope, row.group) for row in tiers.rows}) < len(tiers.rows):
        raise ValueError("it counts one row twice")
    if sum(row.tokens for row in tiers.rows if row.tier != "disk") > tiers.cells:
        raise ValueError("it says that its cells hold more than they can")
    return tiers


def _row(one: dict[str, Any]) -> Row:
    row = Row(
        tier=_one_of(one["tier"], get_args(Tier)),
        scope=_one_of(one["scope"], get_args(Scope)),
        group=_name(one["group"]),
        count=_count(one["count"], _CELLS),
        tokens=_count(one["tokens"], _DISK),
        size=_count(one["size"], _DISK),
        oldest_s=_amount(one["oldest_s"], _SECONDS),
        newest_s=_amount(one["newest_s"], _SECONDS),
    )
    if (row.scope == "group") != bool(row.group) or (row.tier == "disk" and row.scope == "user"):
        raise ValueError("it mixes scopes")
    if row.newest_s > row.oldest_s:
        raise ValueError("it says that the newest is older than the oldest")
    return row


def _prefill(said: dict[str, Any] | None) -> Prefill | None:
    if said is None:
        return None
    tokens = _count(said["tokens"], _DISK)
    joules, method = _amount(said["joules"], _JOULES), _one_of(said["method"], get_args(Method))
    return Prefill(tokens, joules, method) if tokens else None


def _count(value: Any, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("it counts what cannot be")
    return value


def _amount(value: Any, limit: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("it measures what cannot be")
    return float(value)


def _one_of(value: Any, known: tuple[Any, ...]) -> Any:
    if not isinstance(value, str) or value not in known:
        raise ValueError("it names a tier, a scope or a method that there is not")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _NAME:
        raise ValueError("it names a group that is none")
    return value
