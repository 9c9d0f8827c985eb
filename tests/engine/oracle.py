"""Our engine's words held against llama-server's, on the same library, model, threads and split of the prompt.

Two questions, both asked through sockets alone, so that they fit any engine behind our protocol:

- *Replay*: one request at a time in an empty context. The answers must be the same: same text, same number of tokens,
  same reason to end (the wire carries no token ids; a greedy answer of so many tokens with this text has no other).
- *Forced*: many requests at once. At chosen places of llama-server's answer the engine is given all that came before
  and asked for one token. Batches, splits and neighbours change logits a little, so it may differ, but only where the
  two best tokens of llama-server lie closer together than ``MARGIN``.

A place is chosen only where text before it tokenises to exactly the tokens before it and the next token is whole
characters: elsewhere text cannot say which tokens are meant.
"""

from __future__ import annotations

import asyncio
import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from appliance.engine.protocol import End, Token
from tests.engine import asking
from tests.engine.served import described

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from appliance.engine.client import EngineClient
    from appliance.engine.protocol import Request, TokenLogprob

MARGIN = 0.5
"""Largest difference of log-probabilities between the two best tokens at which another choice is no fault."""

WIDE_MARGIN = 0.05
"""The same where weights have 16 bits: four times what the largest of 96 places moved."""

SPLIT = 128
"""Tokens that an engine reads at a time where it does not say (``batch_tokens`` of ``GET /model``)."""

FLAGS = ("--swa-full", "--ctx-checkpoints", "0", "--cache-ram", "0", "--parallel", "1", "--no-cache-prompt")


def flags(threads: int, split: int = SPLIT, context_tokens: int = 1024) -> tuple[str, ...]:
    """llama-server as oracle for an engine that reads prompts ``split`` tokens at a time with ``threads`` threads.

    The last ``--parallel`` that is given counts: each slot has its share of ``context_tokens``.
    """
    sizes = ("--batch-size", split, "--ubatch-size", split, "--threads", threads, "--threads-batch", threads)
    return (*FLAGS, *map(str, sizes), "--ctx-size", str(context_tokens))


@dataclass(frozen=True)
class Step:
    """One token of a reference: its bytes, log probability, and how far the best token was ahead of the next."""

    token: int
    data: bytes
    logprob: float
    margin: float


@dataclass(frozen=True)
class Reference:
    """llama-server's greedy answer to ``prompt``."""

    prompt: str
    prompt_tokens: tuple[int, ...]
    steps: tuple[Step, ...]
    reason: str

    @property
    def text(self) -> str:
        """Whole characters only."""
        return whole(b"".join(step.data for step in self.steps))


@dataclass(frozen=True)
class Answer:
    """An engine's answer, as far as its socket tells."""

    text: str
    tokens: int
    reason: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Place:
    """A place in a reference: what comes before it, and the token that llama-server puts there."""

    before: str
    text: str
    margin: float


@dataclass(frozen=True)
class Difference:
    """A place at which the engine chose another token."""

    place: Place
    chosen: str


def whole(data: bytes) -> str:
    """``data`` as text, without a character that its end cuts off."""
    return codecs.getincrementaldecoder("utf-8")(errors="replace").decode(data)


def same(reference: Reference, answer: Answer) -> bool:
    """Whether ``answer`` is the reference, token for token."""
    return (answer.text, answer.tokens, answer.reason) == (reference.text, len(reference.steps), reference.reason)


def agreement(places: int, differences: Sequence[Difference]) -> float:
    """Share of places at which both chose the same token."""
    return (places - len(differences)) / places


def faults(differences: Iterable[Difference], margin: float = MARGIN) -> list[Difference]:
    """Differences that no closeness of two tokens explains."""
    return [difference for difference in differences if difference.place.margin > margin]


class Oracle:
    """The llama-server at ``socket``, started with ``flags``. Use as an async context manager."""

    def __init__(self, socket: Path) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)), base_url="http://oracle", timeout=300, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def reference(self, prompt: str, max_tokens: int) -> Reference:
        """Its greedy answer. The prompt is given as tokens, so that there is no doubt which are meant."""
        tokens = await self._tokens(prompt)
        asked = {"prompt": tokens, "n_predict": max_tokens, "temperature": 0, "n_probs": 2, "cache_prompt": False}
        said = await self._post("/completion", asked)
        steps = tuple(_step(entry) for entry in said["completion_probabilities"])
        reason = {"limit": "length", "eos": "stop"}[said["stop_type"]]
        return Reference(prompt, tuple(tokens), steps[: said["tokens_predicted"]], reason)

    async def places(self, reference: Reference, every: int) -> list[Place]:
        """Each ``every``-th place of the answer that text can name, its first token among them."""
        found = []
        for number in range(0, len(reference.steps), every):
            done = b"".join(step.data for step in reference.steps[:number])
            step = reference.steps[number]
            if not (_clean(done) and _clean(step.data) and step.data):
                continue
            before = reference.prompt + done.decode()
            expected = [*reference.prompt_tokens, *(step.token for step in reference.steps[:number])]
            if await self._tokens(before) == expected:
                found.append(Place(before, step.data.decode(), step.margin))
        return found

    async def forced(self, places: Sequence[Place], at_once: int) -> list[Difference]:
        """Where it chooses another token itself, asked so many at the same time: started with as many slots."""
        free = asyncio.Semaphore(at_once)

        async def ask(place: Place) -> Difference | None:
            asked = {"prompt": place.before, "n_predict": 1, "temperature": 0, "cache_prompt": False}
            async with free:
                chosen = str((await self._post("/completion", asked))["content"])
            return None if chosen == place.text else Difference(place, chosen)

        answers = await asyncio.gather(*(ask(place) for place in places))
        return [answer for answer in answers if answer is not None]

    async def _tokens(self, text: str) -> list[int]:
        asked = {"content": text, "add_special": True, "parse_special": False}
        tokens: list[int] = (await self._post("/tokenize", asked))["tokens"]
        return tokens

    async def _post(self, path: str, asked: dict[str, Any]) -> Any:
        return (await self._http.post(path, json=asked)).raise_for_status().json()


def _step(entry: dict[str, Any]) -> Step:
    best = sorted((option["logprob"] for option in entry["top_logprobs"]), reverse=True)
    return Step(entry["id"], bytes(entry["bytes"]), entry["logprob"], best[0] - best[1])


def _clean(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def replay(client: EngineClient, prompt: str, max_tokens: int) -> Answer:
    """The engine's greedy answer."""
    sizes = {"max_tokens": max_tokens, "temperature": 0.0, "replay": True, "top_logprobs": 2}
    return await _answer(client, asking.request(id="replay", user="analyst", group="g", prompt=prompt, **sizes))


async def forced(client: EngineClient, places: Sequence[Place], at_once: int) -> list[Difference]:
    """Where the engine chooses another token, asked by ``at_once`` users at the same time."""
    free = asyncio.Semaphore(at_once)

    async def ask(number: int, place: Place) -> Difference | None:
        async with free:
            user = f"analyst-{number % at_once}"
            sizes = {"max_tokens": 1, "temperature": 0.0}
            asked = asking.request(id=str(number), user=user, group="g", prompt=place.before, **sizes)
            chosen = (await _answer(client, asked)).text
        return None if chosen == place.text else Difference(place, chosen)

    answers = await asyncio.gather(*(ask(number, place) for number, place in enumerate(places)))
    return [answer for answer in answers if answer is not None]


async def _answer(client: EngineClient, asked: Request) -> Answer:
    text, logprobs = "", ()
    async for event in client.generate(asked):
        if isinstance(event, Token):
            text += event.text
            logprobs += event.logprobs
        if isinstance(event, End):
            return Answer(text, event.usage.completion_tokens, event.finish_reason, logprobs)
    raise AssertionError("an answer has an end")


def split(socket: Path) -> int:
    """How many tokens the engine at ``socket`` reads at a time, by its own word. Blocks."""
    return int(described(socket).get("batch_tokens", SPLIT))


def logprob_differences(pairs: Iterable[tuple[Reference, Answer]]) -> Iterator[float]:
    """How far both are apart, token by token, about the token's log probability and the margin of the best."""
    for reference, answer in pairs:
        for step, found in zip(reference.steps, answer.logprobs, strict=False):
            assert step.data == found.piece
            (best, first), (_, second) = found.top
            assert best == step.data
            yield abs(found.logprob - step.logprob)
            yield abs(first - second - step.margin)
