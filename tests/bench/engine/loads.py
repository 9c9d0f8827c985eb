"""The loads: what many people do to one model. Each gives figures by name, from the clients' side of the socket.

Temperature is 0 and prompts go on by themselves, so that both contenders write as many tokens; figures count those that
came. Nobody's text begins like another's unless the load is about that: every seed is used once.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.engine import texts
from tests.bench.engine.arrivals import schedule
from tests.bench.engine.capacity import Trial, best, climb
from tests.bench.engine.completions import Answer, FailedError, ask
from tests.bench.engine.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from tests.bench.engine.arrivals import Arrival
    from tests.bench.engine.completions import Completions

    Load: TypeAlias = "Callable[[Completions, Scale, int], Awaitable[Figures]]"

Figures = dict[str, float]
PROMISE_S = 5.0
"""First token within so many seconds for 95 of 100 requests."""
_SETTLE_S = 2.0  # after a load that was given up, a server still finds out who has gone


@dataclass(frozen=True)
class Scale:
    """How much of each load; ``FULL`` is what figures are published of."""

    rounds: int
    single: int
    single_tokens: int
    clients: int
    tokens: int
    prefix_rules: int
    users: int
    trial_s: float
    start_rate: float
    heavy: int
    heavy_words: int
    light: int


FULL = Scale(5, 3, 128, 16, 64, 44, 64, 20.0, 0.5, 32, 900, 7)
QUICK = Scale(2, 1, 48, 4, 16, 12, 16, 4.0, 0.5, 4, 200, 3)


def body(prompt: str, tokens: int, user: str, group: str = "bench") -> dict[str, Any]:
    """An OpenAI-shaped body."""
    return {"prompt": prompt, "max_tokens": tokens, "temperature": 0.0, "user": user, "group": group}


def _throughput(answers: Sequence[Answer], wall_s: float) -> float:
    return sum(answer.tokens for answer in answers) / wall_s


async def _together(completions: Completions, bodies: Sequence[dict[str, Any]]) -> Figures:
    begun = time.perf_counter()
    answers = await asyncio.gather(*(ask(completions, body) for body in bodies))
    wall = time.perf_counter() - begun
    return {
        "tok_s": _throughput(answers, wall),
        "p50_s": percentile([answer.total_s for answer in answers], 0.5),
        "first_p50_s": percentile([answer.first_s for answer in answers], 0.5),
        "tokens": sum(answer.tokens for answer in answers),
        "prompt_tokens": max(answer.prompt_tokens for answer in answers),
        "cached_tokens": sum(answer.cached_tokens for answer in answers),
    }


async def one_stream(completions: Completions, scale: Scale, seed: int) -> Figures:
    """One person alone: how fast text comes, and how long until it begins."""
    answers = []
    for number in range(scale.single):
        prompt = texts.continued(seed * 1000 + number, 6)
        answers.append(await ask(completions, body(prompt, scale.single_tokens, "analyst")))
    speeds = [(a.tokens - 1) / (a.total_s - a.first_s) for a in answers if a.tokens > 1]
    return {
        "tok_s": percentile(speeds, 0.5) if speeds else 0.0,
        "first_s": percentile([answer.first_s for answer in answers], 0.5),
        "tokens": sum(answer.tokens for answer in answers),
    }


async def distinct(completions: Completions, scale: Scale, seed: int) -> Figures:
    """Many at once, each with a prompt of their own."""
    people = range(scale.clients)
    prompts = [texts.continued(seed * 1000 + number, 3) for number in people]
    bodies = [body(prompt, scale.tokens, f"analyst-{n}") for n, prompt in enumerate(prompts)]
    return await _together(completions, bodies)


async def shared(completions: Completions, scale: Scale, seed: int) -> Figures:
    """Many at once with one long prefix that nobody has used before."""
    return await _together(completions, _sharing(scale, seed, 0))


async def warm(completions: Completions, scale: Scale, seed: int) -> Figures:
    """The same people again with other questions, when the prefix has been used by all of them."""
    await _together(completions, _sharing(scale, seed, 0))
    return await _together(completions, _sharing(scale, seed, scale.clients))


def _sharing(scale: Scale, seed: int, first: int) -> list[dict[str, Any]]:
    """Questions from number ``first`` on, one by each client, after one long prefix that the site wrote."""
    prefix = texts.rules(seed, scale.prefix_rules)
    return [
        body(texts.asked(prefix, first + n), scale.tokens, f"analyst-{n}") | {"site_characters": len(prefix)}
        for n in range(scale.clients)
    ]


async def groups(completions: Completions, scale: Scale, seed: int, start: float | None = None) -> Figures:
    """Users in four groups, each with its own prefix, coming as people do: the most tok/s within the promise."""
    prefixes = [texts.rules(seed * 10 + group, scale.prefix_rules) for group in range(4)]
    numbers = itertools.count()

    async def attempt(rate: float) -> Trial:
        arrivals = schedule(rate, scale.trial_s, scale.users, len(prefixes), seed)
        return await _trial(completions, rate, arrivals, lambda a: _body(a, next(numbers)))

    def _body(arrival: Arrival, number: int) -> dict[str, Any]:
        prefix = prefixes[arrival.group]
        asked = body(texts.asked(prefix, number), scale.tokens, f"analyst-{arrival.user}", f"group-{arrival.group}")
        return asked | {"group_characters": len(prefix)}

    begin = scale.start_rate if start is None else start
    found = best(await climb(attempt, begin, lowest=0.03, highest=32.0))
    return {"tok_s": found.throughput if found else 0.0, "rate": found.rate if found else 0.0}


async def _trial(
    completions: Completions, rate: float, arrivals: Sequence[Arrival], body_of: Callable[[Arrival], dict[str, Any]]
) -> Trial:
    """Let ``arrivals`` come; given up as soon as too many have waited too long."""
    begun = time.perf_counter()
    answers: list[Answer] = []
    late: list[int] = []
    allowed = int(len(arrivals) * 0.05)
    broken = asyncio.Event()

    async def come(number: int, arrival: Arrival) -> None:
        await asyncio.sleep(max(0.0, arrival.at - (time.perf_counter() - begun)))
        work = asyncio.create_task(ask(completions, body_of(arrival)))
        try:
            answer = await work
        except (OSError, FailedError):
            answer = Answer(float("inf"), 0.0, 0, 0, 0)
        finally:
            work.cancel()
        answers.append(answer)
        if answer.first_s > PROMISE_S:
            late.append(number)
        if len(late) > allowed:
            broken.set()

    people = asyncio.gather(*(come(number, arrival) for number, arrival in enumerate(arrivals)))
    given_up = asyncio.create_task(broken.wait())
    await asyncio.wait({people, given_up}, return_when=asyncio.FIRST_COMPLETED)
    wall = time.perf_counter() - begun
    given_up.cancel()
    if not people.done():
        people.cancel()
        await asyncio.gather(people, return_exceptions=True)
        await asyncio.sleep(_SETTLE_S)
        return Trial(rate, held=False, throughput=0.0)
    await people
    held = percentile([answer.first_s for answer in answers], 0.95) <= PROMISE_S
    return Trial(rate, held, _throughput(answers, wall))


async def fairness(completions: Completions, scale: Scale, seed: int) -> Figures:
    """A light user's first token, alone and beside a heavy user's many long prompts; and what that costs the heavy."""
    numbers = itertools.count(seed * 1000)

    async def light() -> float:
        prompt = texts.words(next(numbers), 40)
        return (await ask(completions, body(prompt, 16, "light", "small"))).first_s

    idle = [await light() for _ in range(scale.light)]
    heavy = [texts.words(seed * 1000 + 500 + n, scale.heavy_words) for n in range(scale.heavy)]
    bodies = [body(prompt, scale.tokens, "heavy", "large") for prompt in heavy]
    running = asyncio.gather(*(ask(completions, b) for b in bodies))
    begun = time.perf_counter()
    await asyncio.sleep(min(3.0, scale.trial_s / 2))
    busy = [await light()]
    while not running.done() and len(busy) < scale.light:
        busy.append(await light())
    answers = await running
    return {
        "idle_s": percentile(idle, 0.5),
        "busy_s": percentile(busy, 0.5),
        "busy_asked": len(busy),
        "heavy_tok_s": _throughput(answers, time.perf_counter() - begun),
    }


async def heavy_alone(completions: Completions, scale: Scale, seed: int) -> Figures:
    """The heavy user's work with nobody beside: what the light user's presence is held against."""
    heavy = [texts.words(seed * 1000 + 700 + n, scale.heavy_words) for n in range(scale.heavy)]
    bodies = [body(prompt, scale.tokens, "heavy", "large") for prompt in heavy]
    return {"tok_s": (await _together(completions, bodies))["tok_s"]}


LOADS: dict[str, Load] = {
    "one_stream": one_stream,
    "distinct": distinct,
    "shared": shared,
    "warm": warm,
    "groups": groups,
    "fairness": fairness,
}
KEY = {**dict.fromkeys(LOADS, "tok_s"), "fairness": "busy_s"}
"""The figure by which a set of flags is better than another; all but ``busy_s`` are better when larger."""
