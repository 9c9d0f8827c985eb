from __future__ import annotations

import pytest

from appliance.engine.errors import DecodeError, NoRoomError
from appliance.engine.job import BATCH
from appliance.engine.prefix_values import pins_in
from appliance.engine.protocol import Failed
from tests.engine.batches import Asked, Desk
from tests.engine.quoted import decoded, letters, right
from tests.engine.quoting_context import QuotingContext
from tests.unit.engine.scripted_context import ScriptedContext


def _desk(context: ScriptedContext) -> Desk:
    return Desk(context, slots=1)


def _answer(
    context: ScriptedContext, prompt: bytes = b"hello", *, stops: tuple[str, ...] = (), most: int = 32
) -> Asked:
    desk = _desk(context)
    asked = desk.ask(prompt, stops=stops, most=most)
    desk.run(asked)
    return asked


def test_the_prompt_is_read_in_batches_and_tokens_follow_one_by_one() -> None:
    context = ScriptedContext("ab")
    _answer(context, b"hello")
    assert context.decoded == [(tuple(b"hell"), 0), (tuple(b"o"), 4), (tuple(b"a"), 5), (tuple(b"b"), 6)]


def test_an_answer_that_the_model_ends_has_finish_reason_stop() -> None:
    asked = _answer(ScriptedContext("yes"))
    assert (asked.text, asked.end.finish_reason) == ("yes", "stop")
    usage = asked.end.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (5, 0, 3)


def test_a_stop_string_ends_the_answer_before_it() -> None:
    asked = _answer(ScriptedContext("yes\nUser: next"), stops=("\nUser:",))
    assert (asked.text, asked.end.finish_reason) == ("yes", "stop")


def test_text_held_back_for_a_stop_string_that_never_comes_is_shown_at_the_end() -> None:
    assert _answer(ScriptedContext("yes\nUs"), stops=("\nUser:",)).text == "yes\nUs"


def test_max_tokens_ends_the_answer_with_length_and_counts_exactly() -> None:
    asked = _answer(ScriptedContext("abcdef"), most=3)
    assert (asked.text, asked.end.finish_reason, asked.end.usage.completion_tokens) == ("abc", "length", 3)


def test_the_end_of_the_context_ends_the_answer_with_length() -> None:
    context = ScriptedContext("abcdefgh", context_tokens=8)
    asked = _answer(context, b"hello")
    assert (asked.text, asked.end.finish_reason) == ("abc", "length")
    assert all(position + len(tokens) <= 8 for tokens, position in context.decoded)


def test_energy_is_an_estimate_above_idle_with_idle_apart() -> None:
    energy = _answer(ScriptedContext("yes")).end.energy
    assert (energy.method, energy.watts) == ("estimated", 30)
    assert energy.joules == pytest.approx(2 * energy.idle_joules, abs=0.01)


@pytest.mark.parametrize(("cancel_before", "decodes"), [(0, 0), (1, 1), (3, 3)])
def test_cancelling_costs_no_decode_after_the_one_under_way(cancel_before: int, decodes: int) -> None:
    context = ScriptedContext("abcdef")
    desk = _desk(context)
    asked = desk.ask(b"hello", most=32)
    for _ in range(cancel_before):
        desk.batcher.step()
    asked.job.cancelled.set()
    desk.run(asked)
    assert asked.end.finish_reason == "cancelled"
    assert len(context.decoded) == decodes
    assert all(sampler.closed == 1 for sampler in context.samplers)


def test_requests_side_by_side_are_answered_as_if_each_were_alone() -> None:
    desk = Desk(QuotingContext(cells=512), slots=8)
    asked = [desk.ask(letters(n), user=f"user {n}", most=20) for n in range(20)]
    desk.run()
    assert all(map(right, asked))
    assert max(len(batch) for batch in desk.context.batches) == 8  # type: ignore[attr-defined]


def test_decode_rows_come_before_prompts_in_every_batch() -> None:
    context = QuotingContext()
    desk = Desk(context, slots=4, chunk_tokens=6)
    first = desk.ask(letters(1), user="one", most=30)
    while not first.text:
        desk.batcher.step()
    desk.ask(letters(2, 60), user="two")
    before = len(context.batches)
    desk.batcher.step()
    assert [len(piece.tokens) for piece in context.batches[before]] == [1, 6]


def test_the_second_request_of_a_user_reads_only_what_is_new() -> None:
    context = QuotingContext()
    desk = Desk(context)
    first = desk.ask(letters(3), most=4)
    desk.run()
    again = desk.ask(letters(3) + list(first.text.encode()) + letters(4, 8), most=4)
    rows = context.rows
    desk.run()
    assert right(again)
    assert again.cached == 24 + len(first.text) - 1  # the last token drawn was never decoded
    assert context.rows - rows == len(again.job.tokens) - again.cached + decoded(again)


@pytest.mark.parametrize("common", [1, 5, 16, 17, 23])
def test_a_prompt_that_agrees_in_part_is_credited_to_the_token(common: int) -> None:
    desk = Desk(QuotingContext())
    desk.run(desk.ask(letters(5)))
    partly = desk.ask([*letters(5)[:common], 1, *letters(6, 10)], most=12)
    desk.run()
    assert partly.cached == common
    assert right(partly)


def test_nothing_is_shared_between_users_but_what_the_site_or_the_group_wrote() -> None:
    desk = Desk(QuotingContext())
    prompt = letters(7, 60)
    desk.run(desk.ask(prompt, user="one", group="clerks", site=20, shared=40))
    alike = desk.ask(prompt, user="two", group="clerks", site=20, shared=40)
    other = desk.ask(prompt, user="three", group="smiths", site=20, shared=40)
    unmarked = desk.ask(prompt, user="four", group="clerks")
    desk.run()
    assert [one.cached for one in (alike, other, unmarked)] == [40, 20, 0]
    assert all(map(right, (alike, other, unmarked)))


def test_a_prefix_under_way_is_computed_once_and_everybody_waits_for_it() -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=8)
    prefix = letters(8, 80)
    asked = [desk.ask(prefix + letters(n, 6), user=f"user {n}", site=80, most=6) for n in range(8)]
    desk.run()
    assert all(map(right, asked))
    assert [one.cached for one in asked] == [0] + [80] * 7
    assert context.rows == 80 + sum(6 + decoded(one) for one in asked)


def test_who_waits_for_a_prefix_goes_on_alone_when_its_reader_leaves() -> None:
    desk = Desk(QuotingContext(cells=512), slots=4)
    prefix = letters(9, 80)
    first, *others = [desk.ask(prefix + letters(n, 6), user=f"user {n}", site=80) for n in range(4)]
    for _ in range(3):
        desk.batcher.step()
    first.job.cancelled.set()
    desk.run()
    assert first.end.finish_reason == "cancelled"
    assert all(map(right, others))
    assert others[0].cached == 48, "what the first had read of it stays"


def test_a_full_context_puts_requests_off_and_loses_none() -> None:
    context = QuotingContext(cells=96, context_tokens=90)
    desk = Desk(context, slots=6)
    asked = [desk.ask(letters(n, 20), user=f"user {n % 3}", most=60) for n in range(12)]
    desk.run()
    assert all(map(right, asked))
    assert context.samplers == 0


def test_a_decode_that_finds_no_room_evicts_then_puts_off_the_youngest() -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=3)
    asked = [desk.ask(letters(n), user=f"user {n}", most=20) for n in range(3)]
    desk.batcher.step()
    context.failures = [NoRoomError("llama_decode found no room")] * 2
    desk.batcher.step()
    assert [job.user for job in desk.batcher.running] == ["user 0", "user 1"]
    assert desk.queue.waiting() == (asked[2].job,)
    desk.run()
    assert all(map(right, asked))


def test_a_request_that_leaves_while_it_is_put_off_leaves_nothing_behind() -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=3)
    asked = [desk.ask(letters(n), user=f"user {n}", most=40) for n in range(3)]
    while not all(one.text for one in asked):
        desk.batcher.step()
    context.failures = [NoRoomError("llama_decode found no room")]
    desk.batcher.step()
    assert desk.queue.waiting() == (asked[2].job,)
    asked[2].job.cancelled.set()
    assert not desk.queue.withdraw(asked[2].job)
    desk.run()
    assert asked[2].end.finish_reason == "cancelled"
    assert context.samplers == 0
    assert desk.batcher._reception._copies._left == context.cells // 4


def test_who_runs_alone_and_finds_no_room_fails_and_the_next_is_answered() -> None:
    context = QuotingContext()
    desk = Desk(context)
    asked = desk.ask(letters(1))
    context.failures = [NoRoomError("llama_decode found no room")]
    desk.run(asked)
    assert asked.events == [Failed("no_room", "the context has no room for this request")]
    again = desk.ask(letters(1))
    desk.run(again)
    assert right(again)


def test_a_failed_batch_costs_the_one_who_fails_alone_and_nobody_else() -> None:
    context = QuotingContext(cells=512)
    context.poisoned = 7
    desk = Desk(context, slots=6)
    asked = [desk.ask([*letters(n), 7] if n == 2 else letters(n), user=f"user {n}", most=12) for n in range(6)]
    desk.run()
    assert asked[2].events == [Failed("decode_failed", "llama_decode returned -3")]
    assert all(right(one) for one in asked if one is not asked[2])
    assert context.samplers == 0


def test_a_passing_failure_of_a_batch_costs_nobody() -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=6)
    asked = [desk.ask(letters(n), user=f"user {n}", most=12) for n in range(6)]
    for _ in range(4):
        desk.batcher.step()
    context.failures = [DecodeError("llama_decode returned 2")]
    desk.run()
    assert all(map(right, asked))


def test_a_sampler_that_fails_ends_its_request_only() -> None:
    context = QuotingContext()
    desk = Desk(context)
    one, two = desk.ask(letters(1), user="one"), desk.ask(letters(2), user="two")
    inner = context.sampler
    calls = 0

    def sampler(sampling: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise DecodeError("the schema's grammar admits no further token")
        return inner(sampling)  # type: ignore[arg-type]

    context.sampler = sampler  # type: ignore[method-assign,assignment]
    desk.run()
    assert sorted(type(asked.events[-1]).__name__ for asked in (one, two)) == ["End", "Failed"]
    assert right(two if isinstance(one.events[-1], Failed) else one)


def test_batch_work_stands_still_while_a_person_is_answered() -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=4)
    nightly = [desk.ask(letters(n, 40), user="nightly", rank=BATCH, most=30) for n in range(4)]
    for _ in range(6):
        desk.batcher.step()
    person = desk.ask(letters(9), user="person", most=10)
    before = len(context.batches)
    desk.run(person)
    mine = [piece for batch in context.batches[before:] for piece in batch]
    assert sum(len(piece.tokens) for piece in mine) == 24 + decoded(person)
    desk.run()
    assert all(map(right, [person, *nightly]))


def test_a_light_user_is_answered_long_before_the_prompts_of_a_heavy_one_are_read() -> None:
    context = QuotingContext(cells=2048, batch_tokens=32, sequences=64)
    desk = Desk(context, slots=8, chunk_tokens=16)
    heavy = [desk.ask(letters(n, 100), user="heavy", most=16) for n in range(32)]
    for _ in range(5):
        desk.batcher.step()
    light = desk.ask(letters(99, 12), user="light", most=4)
    steps = 0
    while not light.text:
        desk.batcher.step()
        steps += 1
    assert steps <= 3
    desk.run()
    assert all(map(right, [light, *heavy]))


def test_a_newcomer_takes_a_place_of_whoever_has_many_and_nothing_is_computed_twice() -> None:
    context = QuotingContext(cells=2048, sequences=64)
    desk = Desk(context, slots=4)
    heavy = [desk.ask(letters(n, 30), user="heavy", most=30) for n in range(6)]
    for _ in range(12):
        desk.batcher.step()
    light = desk.ask(letters(99, 10), user="light", most=4)
    desk.batcher.step()
    assert [job.user for job in desk.batcher.running].count("light") == 1
    assert len(desk.batcher.running) == 4
    desk.run()
    asked = [light, *heavy]
    assert all(map(right, asked))
    assert context.rows == sum(len(one.job.tokens) + decoded(one) for one in asked)


def test_a_replay_runs_alone_in_an_empty_context_and_leaves_nothing() -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context)
    before = desk.ask(letters(1), user="one", most=30)
    desk.batcher.step()
    replay = desk.ask(letters(1, 40), user="one", alone=True)
    after = desk.ask(letters(1, 40), user="one")
    desk.run(before)
    alone = len(context.batches)
    desk.run(replay)
    reading = [batch for batch in context.batches[alone:] if len(batch[0].tokens) > 1]
    assert [[len(piece.tokens) for piece in batch] for batch in reading] == [[16], [16], [8]]
    assert (replay.cached, context.whole.used) == (0, 0)
    desk.run()
    assert after.cached == 0
    assert all(map(right, (before, replay, after)))


def test_every_cell_and_sequence_comes_back_when_everything_is_evicted() -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=6)
    for n in range(60):
        desk.ask(letters(n % 7, 20 + n % 30), user=f"user {n % 5}", site=n % 12, most=n % 9 + 1)
    desk.run()
    desk.run(desk.ask(letters(1), alone=True))
    assert (context.whole.used, context.sliding.used, context.samplers) == (0, 0, 0)


def test_pins_leave_half_of_the_memory_and_room_for_a_request_of_full_length_whatever_is_granted() -> None:
    context = QuotingContext(cells=160, sequences=12, window=0)
    half = min(80, 160 - context.context_tokens)
    granted = [pins_in(context, 2, tokens).cells for tokens in (None, 1 << 20, 40, 0)]
    assert granted == [half, half, min(40, half), 0]
    assert Desk(context, slots=2, pinned_tokens=40).batcher.most_pinned == min(40, half)


def test_instructions_stay_under_any_pressure_and_a_request_of_full_length_still_fits() -> None:
    """Cells for two long requests, and users who need them all: what the site wrote is never computed again."""
    context = QuotingContext(cells=160, sequences=12, window=0)
    desk = Desk(context, slots=2, pinned_tokens=40)
    site = letters(99, 32)
    first = desk.ask([*site, *letters(0, 4)], site=32)
    desk.run(first)
    assert desk.batcher.accounts.pinned == (1, 32)
    crowd = [desk.ask(letters(n, context.context_tokens - 8), user=f"user {n}", most=8) for n in range(1, 12)]
    desk.run(*crowd)
    assert all(right(asked, 0) for asked in crowd)
    last = desk.ask([*site, *letters(50, 4)], user="another", site=32)
    desk.run(last)
    assert (desk.batcher.accounts.pinned, last.cached) == ((1, 32), 32)
