"""Vectors come back in order, to whom they belong, however requests share batches, fail and leave."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from appliance.engine.embedding.engine import EmbeddingEngine
from appliance.engine.energy import DeclaredDraw
from appliance.engine.errors import DecodeError, EngineBusyError, EngineRefusedError
from appliance.engine.metrics import EngineMetrics
from appliance.engine.protocol import Admitted, End, Event, Failed, Message, Request, Vectors
from appliance.engine.wire import decode_request, encode_request
from appliance.engine.wire_events import decode_event, encode_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class ByteEmbedder:
    """A vector says which text it is of: its length and its bytes' sum, as a direction."""

    text_tokens, batch_tokens, batch_texts = 32, 64, 4

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, ...]]] = []

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        assert (control, begin) == (False, True)
        return [1, *text.encode()]

    def embed(self, texts: Sequence[Sequence[int]]) -> list[bytes]:
        self.batches.append([tuple(text) for text in texts])
        if any(33 in text for text in texts):  # "!"
            raise DecodeError("llama_decode returned -3")
        return [direction(text) for text in texts]


def direction(tokens: Sequence[int]) -> bytes:
    x, y = float(len(tokens)), float(sum(tokens))
    norm = (x * x + y * y) ** 0.5
    return struct.pack("<2f", x / norm, y / norm)


@pytest.fixture
def model() -> ByteEmbedder:
    return ByteEmbedder()


@pytest.fixture
def engine(model: ByteEmbedder) -> Iterator[EmbeddingEngine]:
    made = EmbeddingEngine(model, queue_limit=16, draw=DeclaredDraw(busy=30, idle=10), metrics=EngineMetrics())
    made.start()
    yield made
    made.stop()


def asked(*texts: str, user: str = "analyst") -> Request:
    return Request(id="r", user=user, group="staff", inputs=texts)


async def events(stream: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in stream]


async def test_a_vector_for_each_text_in_order_and_its_cost(engine: EmbeddingEngine) -> None:
    texts = [f"text {n}" * (n % 3 + 1) for n in range(20)]
    admitted, vectors, end = await events(engine.submit(asked(*texts)))
    assert isinstance(admitted, Admitted)
    assert vectors == Vectors(tuple(direction([1, *text.encode()]) for text in texts))
    assert isinstance(end, End)
    assert end.usage.prompt_tokens == admitted.prompt_tokens == sum(len(text) + 1 for text in texts)
    assert (end.finish_reason, end.usage.completion_tokens) == ("stop", 0)


async def test_many_at_once_get_their_own_from_shared_batches(engine: EmbeddingEngine, model: ByteEmbedder) -> None:
    requests = [asked(*(f"{user} {n}" for n in range(5)), user=f"user {user}") for user in range(6)]
    found = await asyncio.gather(*(events(engine.submit(request)) for request in requests))
    for request, (_, vectors, _) in zip(requests, found, strict=True):
        assert vectors == Vectors(tuple(direction([1, *text.encode()]) for text in request.inputs or ()))
    assert len(model.batches) < 30
    assert all(len(batch) <= 4 and sum(map(len, batch)) <= 64 for batch in model.batches)


async def test_a_text_that_fails_costs_its_request_only(engine: EmbeddingEngine) -> None:
    good, bad = asked("one", "two"), asked("three!", user="officer")
    (*_, end), (*_, failed) = await asyncio.gather(events(engine.submit(good)), events(engine.submit(bad)))
    assert isinstance(end, End)
    assert failed == Failed("decode_failed", "llama_decode returned -3")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asked("x" * 40), "context_length_exceeded"),
        (asked("good", "  "), "empty_prompt"),
        (Request(id="r", user="a", group="g", prompt="tell me"), "not_a_chat_model"),
        (Request(id="r", user="a", group="g", messages=(Message("user", "?"),)), "not_a_chat_model"),
    ],
)
async def test_what_it_cannot_do_is_refused_by_name(engine: EmbeddingEngine, request_: Request, code: str) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        await anext(engine.submit(request_))
    assert refused.value.code == code
    assert engine.status().running == engine.status().waiting == 0


async def test_one_short_text_does_not_wait_for_many_long_ones(model: ByteEmbedder) -> None:
    """Each takes half of a batch's 64 tokens, so turns must go round between batches too."""
    engine = EmbeddingEngine(model, queue_limit=16, draw=DeclaredDraw(busy=30, idle=10), metrics=EngineMetrics())
    many, one = engine.submit(asked(*["x" * 31] * 200)), engine.submit(asked("y" * 31, user="officer"))
    for stream in (many, one):
        assert isinstance(await anext(stream), Admitted)
    engine.start()
    await asyncio.gather(events(many), events(one))
    engine.stop()
    first = next(at for at, batch in enumerate(model.batches) if any(121 in text for text in batch))
    assert first < 3
    assert len(model.batches) > 90


async def test_a_request_with_too_many_tokens_together_is_refused(engine: EmbeddingEngine, model: ByteEmbedder) -> None:
    model.text_tokens = 1 << 20
    with pytest.raises(EngineRefusedError, match="together"):
        await anext(engine.submit(asked(*["x" * 600] * 200)))


async def test_an_adapter_is_refused_and_never_ignored(engine: EmbeddingEngine) -> None:
    with pytest.raises(EngineRefusedError, match="no adapters"):
        await anext(engine.submit(replace(asked("text"), adapter="formal")))


async def test_who_leaves_frees_their_place_and_a_full_queue_says_so(model: ByteEmbedder) -> None:
    engine = EmbeddingEngine(model, queue_limit=2, draw=DeclaredDraw(busy=30, idle=10), metrics=EngineMetrics())
    streams = [engine.submit(asked("text", user=f"user {n}")) for n in range(10)]  # nobody works yet
    for stream in streams:
        assert isinstance(await anext(stream), Admitted)
    with pytest.raises(EngineBusyError):
        await anext(engine.submit(asked("text", user="late")))
    for stream in streams[1:]:
        await stream.aclose()
    engine.start()
    assert isinstance((await events(streams[0]))[-1], End)
    engine.stop()
    assert sum(map(len, model.batches)) == 1


async def test_draining_ends_what_is_open_and_takes_nothing_new(engine: EmbeddingEngine) -> None:
    await events(engine.submit(asked("text")))
    await engine.drain(5)
    assert not engine.status().accepting


def test_vectors_cross_the_socket_and_false_ones_do_not() -> None:
    request = asked("one", "two")
    assert decode_request(encode_request(request)) == request
    vectors = Vectors((direction([1, 2]), direction([3])))
    assert decode_event(encode_event(vectors).decode()) == vectors
    for wrong in (b"", b"\0" * 8, b"\0\0", struct.pack("<2f", float("nan"), 1.0), struct.pack("<2f", 3.0, 4.0)):
        with pytest.raises(ValueError, match="vector"):
            decode_event(encode_event(Vectors((wrong,))).decode())
