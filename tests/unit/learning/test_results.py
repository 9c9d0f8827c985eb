"""A file of results holds digests and no words, is whole or is refused, and outlives a crash."""

from __future__ import annotations

import pytest

from appliance.learning.errors import ResultError
from appliance.learning.results import Withdrawn, read_results, whole, written
from tests.learning.seeded_results import items, of_rows, results

FOUND = results(items(30), 5)
RAW = written(FOUND.run, FOUND.rows)


def test_what_was_written_is_read() -> None:
    assert read_results(RAW, "x") == FOUND
    assert FOUND.answered_by == ["model sha256:" + "a5" * 32]


def test_what_was_drawn_has_a_line_or_the_run_is_not_whole() -> None:
    gone = "00000000-0000-0000-0000-00000000ffff 2 clerks"
    found = of_rows(list(FOUND.rows), withdrawn=[gone])
    assert (found.whole, found.withdrawn, found.run.count) == (True, (gone,), 31)
    assert not read_results(written(found.run, found.rows), "x").whole
    foreign = written(FOUND.run, [*FOUND.rows, Withdrawn(drawn=gone)])
    with pytest.raises(ResultError, match="not drawn"):
        read_results(foreign, "x")


def test_a_line_that_a_crash_cut_off_is_dropped_and_the_rest_is_whole() -> None:
    cut = RAW[:-10]
    assert read_results(whole(cut), "x").rows == FOUND.rows[:-1]
    with pytest.raises(ResultError, match="no complete file"):
        read_results(cut, "x")


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\n",
        RAW.replace(b'"score":0', b'"score":2', 1),
        RAW.replace(b'"score":1', b'"score":"1"', 1),
        RAW.replace(b'"evaluation"', b'"brief"', 1),
        RAW + RAW.split(b"\n")[1] + b"\n",
        RAW.split(b"\n", 1)[1],
        RAW.replace(b'"entry":1,', b"", 1),
        RAW + b'{"drawn":"x","type":"withdrawn"}\n',
        RAW + b"{}\n",
        RAW + b'{"a":1,"a":1}\n',
        RAW.replace(b'"seconds":', b'"seconds":1e999,"x":', 1),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damaged: bytes) -> None:
    with pytest.raises(ResultError) as refused:
        read_results(damaged, "before.jsonl")
    assert refused.value.cause.startswith("before.jsonl")
    assert "\n" not in refused.value.cause
    assert refused.value.hint
