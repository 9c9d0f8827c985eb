"""Several answers to one call begin together or not at all, and none is lost."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.gateway import tally
from appliance.gateway.choices import Choices
from appliance.gateway.errors import ExhaustedError
from appliance.gateway.steps import Finished, Text

pytestmark = pytest.mark.anyio


async def test_where_one_cannot_begin_the_others_are_stopped_and_still_logged(bench: Any) -> None:
    answers = [await bench.start("endless"), await bench.start("busy"), await bench.start("endless")]
    with pytest.raises(ExhaustedError, match="too many requests waiting"):
        await Choices(answers).begun()
    for answer in answers:
        await answer.task
    assert [answer.tally.outcome for answer in (answers[0], answers[2])] == [tally.CANCELLED] * 2
    assert sorted(bench.log.kinds()) == ["answer", "answer", "refusal", "request", "request", "request"]
    assert len(bench.quotas.settled) == 3


async def test_each_answer_arrives_whole_and_ends_once_under_its_own_index(bench: Any) -> None:
    choices = Choices([await bench.start(), await bench.start(), await bench.start()])
    await choices.begun()
    steps = [found async for found in choices.steps()]
    for index in range(3):
        own = [step for at, step in steps if at == index]
        assert "".join(step.text for step in own if isinstance(step, Text)) == "Hello there."
        assert [step.outcome for step in own if isinstance(step, Finished)] == ["stop"]
        assert isinstance(own[-1], Finished)


async def test_to_stop_them_stops_each(bench: Any) -> None:
    choices = Choices([await bench.start("endless"), await bench.start("endless")])
    await choices.begun()
    choices.stop()
    ends = {index: step.outcome async for index, step in choices.steps() if isinstance(step, Finished)}
    assert ends == {0: tally.CANCELLED, 1: tally.CANCELLED}


async def test_one_that_was_stopped_before_it_began_keeps_nobody_waiting(bench: Any) -> None:
    """Its first step is its last: whoever reads the others must not wait for more of it."""
    choices = Choices([await bench.start(), await bench.start()])
    await choices.begun()
    ended = Finished(tally.CANCELLED, {})
    choices._first = (ended, choices._first[1])
    steps = [found async for found in choices.steps()]
    assert steps[0] == (0, ended)
    assert [index for index, step in steps if isinstance(step, Finished)] == [0, 1]
