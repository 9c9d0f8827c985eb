"""What an engine says of its memory, and that nothing else is taken for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from appliance.engine.tiers import MAX_BYTES, MAX_ROWS, EngineTiers, Prefill, Row, decode, encode

ROW = Row("pinned", "group", "clerks", 1, 40, 4096, 90.0, 30.0)
SAID = EngineTiers(100.0, 1024, (ROW, Row("live", "user", "", 2, 9, 900, 3.0, 1.0)), Prefill(10, 2.5, "estimated"))
PLAIN: dict[str, Any] = json.loads(encode(SAID))


def test_what_is_said_is_read() -> None:
    assert decode(encode(SAID)) == SAID
    assert SAID.prefill is not None
    assert SAID.prefill.joules_per_token == 0.25


def test_an_engine_that_computed_nothing_says_no_joules() -> None:
    assert decode(encode(EngineTiers(1.0, 64, (), None))).prefill is None
    assert (
        decode(json.dumps(PLAIN | {"prefill": {"tokens": 0, "joules": 9, "method": "measured"}}).encode()).prefill
        is None
    )


def test_an_engine_of_very_many_groups_says_no_more_than_is_read() -> None:
    rows = tuple(Row("disk", "group", f"{n} {'x' * 240}", 1, n, 1, 1.0, 1.0) for n in range(5000))
    body = encode(EngineTiers(1.0, 64, rows, None))
    assert len(body) <= MAX_BYTES
    assert rows[-1] in decode(body).rows


ROWS = asdict(ROW)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [ROWS | {"tokens": -1}]},
        {"rows": [ROWS | {"tokens": 1 << 62}]},
        {"rows": [ROWS | {"tokens": True}]},
        {"rows": [ROWS | {"tokens": "9"}]},
        {"rows": [ROWS | {"tokens": 1.5}]},
        {"rows": [ROWS | {"size": None}]},
        {"rows": [ROWS | {"oldest_s": -0.5}]},
        {"rows": [ROWS | {"oldest_s": 1e300}]},
        {"rows": [ROWS | {"newest_s": 91.0}]},
        {"rows": [ROWS | {"tier": "attic"}]},
        {"rows": [ROWS | {"tier": ["pinned"]}]},
        {"rows": [ROWS | {"scope": "planet"}]},
        {"rows": [ROWS | {"group": "x" * 257}]},
        {"rows": [ROWS | {"group": ""}]},
        {"rows": [ROWS | {"scope": "user"}]},
        {"rows": [ROWS | {"scope": "site"}]},
        {"rows": [ROWS | {"tier": "disk", "scope": "user", "group": ""}]},
        {"rows": [ROWS, ROWS]},
        {"rows": [ROWS | {"tokens": 1025}]},
        {"rows": [ROWS | {"group": f"{n}"} for n in range(MAX_ROWS + 1)]},
        {"rows": [{}]},
        {"rows": [7]},
        {"rows": {"0": ROWS}},
        {"rows": None},
        {"cells": -1},
        {"cells": 1 << 40},
        {"up_s": "long"},
        {"prefill": 7},
        {"prefill": {"tokens": 1, "joules": 1e300, "method": "measured"}},
        {"prefill": {"tokens": 1, "joules": 1.0, "method": "guessed"}},
    ],
)
def test_what_no_engine_of_ours_would_say_is_not_taken(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(it |what it )") as refused:
        decode(json.dumps(PLAIN | change).encode())
    assert "clerks" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b'{"up_s": NaN}',
        json.dumps(PLAIN).replace("100.0", "1e999").encode(),
        json.dumps(PLAIN).replace("1024", "9" * 5000).encode(),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"rows": [], "rows": []}',
        b" " * (MAX_BYTES + 1),
    ],
    ids=range(11),
)
def test_bytes_that_are_no_such_object_are_not_taken(body: bytes) -> None:
    with pytest.raises(ValueError, match="memory"):
        decode(body)
