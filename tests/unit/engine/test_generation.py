from __future__ import annotations

import pytest

from appliance.engine.context import Sampling
from appliance.engine.generation import Generation, Job
from appliance.engine.protocol import End, Event, Failed, Token
from tests.unit.engine.scripted_context import DRAW, ScriptedContext

GREEDY = Sampling(temperature=0, top_p=1, top_k=None, seed=1, grammar=None)


def _run(
    context: ScriptedContext, prompt: bytes = b"hello", *, stops: tuple[str, ...] = (), max_tokens: int = 32
) -> tuple[str, End | Failed]:
    events: list[Event] = []
    job = Job(tokens=tuple(prompt), sampling=GREEDY, stops=stops, max_tokens=max_tokens, emit=events.append)
    last = Generation(context, job, DRAW).run()
    return "".join(event.text for event in events if isinstance(event, Token)), last


def test_the_prompt_is_read_in_chunks_and_tokens_follow_one_by_one() -> None:
    context = ScriptedContext("ab")
    _run(context, b"hello")
    assert context.decoded == [(tuple(b"hell"), 0), (tuple(b"o"), 4), (tuple(b"a"), 5), (tuple(b"b"), 6)]


def test_an_answer_that_the_model_ends_has_finish_reason_stop() -> None:
    text, last = _run(ScriptedContext("yes"))
    assert isinstance(last, End)
    assert (text, last.finish_reason) == ("yes", "stop")
    assert (last.usage.prompt_tokens, last.usage.cached_tokens, last.usage.completion_tokens) == (5, 0, 3)


def test_a_stop_string_ends_the_answer_before_it() -> None:
    text, last = _run(ScriptedContext("yes\nUser: next"), stops=("\nUser:",))
    assert isinstance(last, End)
    assert (text, last.finish_reason) == ("yes", "stop")


def test_text_held_back_for_a_stop_string_that_never_comes_is_shown_at_the_end() -> None:
    assert _run(ScriptedContext("yes\nUs"), stops=("\nUser:",))[0] == "yes\nUs"


def test_max_tokens_ends_the_answer_with_length_and_counts_exactly() -> None:
    text, last = _run(ScriptedContext("abcdef"), max_tokens=3)
    assert isinstance(last, End)
    assert (text, last.finish_reason, last.usage.completion_tokens) == ("abc", "length", 3)


def test_the_end_of_the_context_ends_the_answer_with_length() -> None:
    context = ScriptedContext("abcdefgh", context_tokens=8)
    text, last = _run(context, b"hello")
    assert isinstance(last, End)
    assert (text, last.finish_reason) == ("abc", "length")
    assert all(position + len(tokens) <= 8 for tokens, position in context.decoded)


def test_the_context_is_empty_before_and_after_every_request() -> None:
    context = ScriptedContext("yes")
    context.held = [1, 2, 3]
    _run(context)
    assert context.held == []
    assert context.cleared == 2


def test_a_failed_decode_ends_this_request_and_leaves_the_context_empty() -> None:
    context = ScriptedContext("yes")
    context.fail_at = 2
    text, last = _run(context)
    assert (text, last) == ("y", Failed("decode_failed", "llama_decode returned -3"))
    assert context.held == []
    assert [sampler.closed for sampler in context.samplers] == [1]
    assert _run(ScriptedContext("yes"))[0] == "yes"


def test_energy_is_an_estimate_above_idle_with_idle_apart() -> None:
    _, last = _run(ScriptedContext("yes"))
    assert isinstance(last, End)
    assert (last.energy.method, last.energy.watts) == ("estimated", 30)
    assert last.energy.joules == pytest.approx(2 * last.energy.idle_joules, abs=0.01)


@pytest.mark.parametrize(("cancel_before", "decodes"), [(0, 0), (1, 1), (3, 3)])
def test_cancelling_costs_no_decode_after_the_one_under_way(cancel_before: int, decodes: int) -> None:
    context = ScriptedContext("abcdef")
    job = Job(tokens=tuple(b"hello"), sampling=GREEDY, stops=(), max_tokens=32, emit=lambda _event: None)
    inner = context.decode

    def decode(tokens: tuple[int, ...], position: int) -> None:
        inner(tokens, position)
        if len(context.decoded) == cancel_before:
            job.cancelled.set()

    if cancel_before == 0:
        job.cancelled.set()
    context.decode = decode  # type: ignore[method-assign]
    last = Generation(context, job, DRAW).run()
    assert isinstance(last, End)
    assert last.finish_reason == "cancelled"
    assert len(context.decoded) == decodes
