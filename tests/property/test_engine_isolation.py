"""Nothing of one user's words reaches another, whatever comes between: eviction, preemption, failures, departures.

The model quotes what it can see (``tests.engine.quoting_context``), and every user's words hold tokens that nobody else
has. An answer that is not the one a model with nothing but this request's history would give fails too, and so does a
receipt that calls a token of the prompt cached that was computed for it.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest

from appliance.engine.errors import DecodeError, GivenUpError, NoRoomError
from appliance.engine.prefix_tree import PrefixTree
from appliance.engine.protocol import End, Failed
from tests.engine.batches import Asked, Desk
from tests.engine.computed import Computed
from tests.engine.quoting_context import ADAPTERS, QuotingContext, expected

WINDOW = 12
USERS, GROUPS = 12, 3
SITE = [97 + n for n in range(10)]
CANARIES = 1000  # user u's are 1000 + 100 u and up


def _prompt(draw: random.Random, user: int) -> tuple[list[int], int, int]:
    """Tokens, and how many of them the site and the group wrote."""
    group = [200 + 10 * (user % GROUPS) + n for n in range(draw.choice([0, 6]))]
    same = [150 + n for n in range(draw.choice([0, 8]))]  # words that everybody uses, and nobody shares
    own = [*same, *(CANARIES + 100 * user + draw.randrange(4) for _ in range(draw.randrange(1, 20)))]
    site = SITE[: draw.choice([0, 4, 10])]
    return [*site, *group, *own], len(site), len(site) + len(group)


def _ask(draw: random.Random, desk: Desk) -> tuple[int, Asked]:
    user = draw.randrange(USERS)
    tokens, site, shared = _prompt(draw, user)
    asked = desk.ask(
        tokens,
        user=f"user {user}",
        group=f"group {user % GROUPS}",
        site=site,
        shared=shared,
        most=draw.randrange(1, 14),
        rank=int(draw.random() < 0.1),
        alone=draw.random() < 0.004,
        adapter=draw.choice(["", "", *ADAPTERS]),
        weight=draw.choice([0.5, 1, 4]),
    )
    return user, asked


def _foreign(asked: Asked, user: int) -> list[int]:
    words = [int(word) for word in asked.text.replace(">", " ").replace("<", " ").split() if word.isdigit()]
    return [word for word in words if word >= CANARIES and (word - CANARIES) // 100 != user]


class Allowed:
    """What a request may have found computed: shared beginnings, and whatever its own user asked and was told."""

    def __init__(self) -> None:
        self._trees: defaultdict[object, PrefixTree[int]] = defaultdict(PrefixTree)

    def add(self, user: int, asked: Asked) -> None:
        """``asked`` was computed for ``user``."""
        job = asked.job
        whole = (*job.tokens, *expected(job.tokens, job.max_tokens, WINDOW, job.adapter))
        for key, tokens in self._passages(user, asked, whole):
            self._trees[key].insert(tokens, id(asked))

    def most(self, user: int, asked: Asked) -> int:
        """The longest beginning that ``asked`` could be credited."""
        found = [0]
        for key, tokens in self._passages(user, asked, asked.job.tokens):
            matches = self._trees[key].match(tokens)
            found += [length for holder, length in matches.items() if holder != id(asked)]
        return max(found)

    @staticmethod
    def _passages(user: int, asked: Asked, tokens: tuple[int, ...]) -> list[tuple[object, tuple[int, ...]]]:
        adapter = asked.job.adapter
        lengths = {passage.owner.scope: passage.length for passage in asked.job.passages}
        shared = [("site", lengths.get("site", 0)), (user % GROUPS, lengths.get("group", 0))]
        return [
            *(((key, adapter), tokens[:length]) for key, length in shared if length),
            ((f"user {user}", adapter), tokens),
        ]


@pytest.mark.parametrize(("seed", "apart"), [(0, None), (1, None), (2, 30), (3, 1)])
def test_no_canary_crosses_users_under_eviction_preemption_failures_and_departures(
    seed: int, apart: int | None
) -> None:
    """2,500 requests a seed, 10,000 together, some forty of them side by side or waiting; batches of a kind in half."""
    draw = random.Random(seed)
    context = QuotingContext(cells=160, window=WINDOW, context_tokens=60, batch_tokens=24, sequences=24)
    desk = Desk(context, slots=6, chunk_tokens=10, apart_tokens=apart)
    computed = Computed(desk)
    asked: list[tuple[int, Asked]] = []
    while len(asked) < 2500 or desk.batcher.running or desk.queue.waiting():
        if len(asked) < 2500 and len(desk.queue.waiting()) < 40:
            asked += [_ask(draw, desk) for _ in range(draw.randrange(5))]
        if draw.random() < 0.02:
            failed = [NoRoomError("no room"), DecodeError("llama_decode returned -3"), GivenUpError("given up")]
            context.failures.append(draw.choice(failed))
        if asked and draw.random() < 0.03:
            draw.choice(asked[-8:])[1].job.cancelled.set()
        desk.batcher.step()
    outcomes, allowed = Counter[str](), Allowed()
    for user, one in asked:
        allowed.add(user, one)
    for user, one in asked:
        outcomes[type(one.events[-1]).__name__] += 1
        assert not _foreign(one, user)
        if isinstance(one.events[-1], End):
            never = len(one.job.tokens) - computed.tokens(one)
            assert one.cached == never or (one.job.cancelled.is_set() and one.cached <= never)
            assert one.cached <= allowed.most(user, one)
        if not one.job.cancelled.is_set() and type(one.events[-1]).__name__ == "End":
            outcomes["checked"] += 1
            whole = expected(one.job.tokens, one.job.max_tokens, WINDOW, one.job.adapter)
            assert one.text == "".join(chr(t) if t < 128 else f"<{t}>" for t in whole)
    stayed = [one for _, one in asked if not one.job.cancelled.is_set()]
    assert len(stayed) > 2000  # how many leave depends on how many steps it takes
    assert outcomes["checked"] == sum(not isinstance(one.events[-1], Failed) for one in stayed)
    assert outcomes["Failed"] < 60
    assert context.samplers == 0
    assert desk.batcher._cache.evicted > 4000
    assert desk.batcher._reception.put_offs > 1000
    assert computed.again > 2000, "prompts were read again, whose cells were gone when they went on"


def test_what_is_said_to_be_cached_was_not_computed() -> None:
    draw = random.Random(9)
    context = QuotingContext(cells=4096, window=WINDOW, context_tokens=60, batch_tokens=24, sequences=64)
    desk = Desk(context, slots=6, chunk_tokens=10)
    for _ in range(400):
        user, rows = draw.randrange(USERS), context.rows
        tokens, site, shared = _prompt(draw, user)
        one = desk.ask(tokens, user=f"user {user}", group=f"group {user % GROUPS}", site=site, shared=shared)
        desk.run(one)
        drawn = one.end.usage.completion_tokens - (one.end.finish_reason == "length")
        assert context.rows - rows == len(tokens) - one.cached + drawn
