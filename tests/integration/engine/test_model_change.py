"""A model is changed while real engines answer: every stream that began ends whole, and says whose it is."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.client import EngineClient
from appliance.engine.errors import EngineUnavailableError
from appliance.engine.protocol import End, Message, Request
from appliance.engine.served import receipt_digest
from appliance.gateway.standby import EngineWithStandby
from appliance.install import decisions, model_beside
from appliance.install.model_import import bring
from appliance.install.model_switch import promote
from tests import site_of_models
from tests.engine.served import Served, Sizes, described, our_engine
from tests.engine.small_model import write
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event
    from appliance.site.paths import SitePaths

SIZES = Sizes(context_tokens=2048, memory_mib=700, parallel=4)
LONG = 1500  # tokens: an answer that is under way when the change begins


@dataclass
class Processes(GatedEngines):
    """Engines that pass the gate and are then processes, which say what they were admitted for.

    All compute with one small model, whatever was admitted: the weights of ``site_of_models`` are none.
    """

    small: Path | None = None
    running: ExitStack = field(default_factory=ExitStack)
    process: Served | None = None

    def start(self, model: str) -> None:
        super().start(model)
        assert self.small is not None
        self.process = self.running.enter_context(our_engine(self.small, SIZES, receipt=self.loaded[model]))

    def stop(self, model: str) -> None:
        super().stop(model)
        process, self.process = self.process, None
        if process is not None:
            assert process.stop() == 0

    def serves(self, model: str) -> Any:
        del model
        return described(self.process.socket)["receipt"] if self.process is not None else None

    def busy(self, model: str) -> bool:
        del model
        queue = described(self.process.socket)["queue"] if self.process is not None else {}
        return any(queue.values()) if not queue else queue["running"] + queue["waiting"] > 0


@dataclass(frozen=True)
class Asked:
    """Implements ``ports.Engine``: whichever process runs there now."""

    engines: Processes

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncGenerator[EngineClient]:
        if self.engines.process is None:
            raise EngineUnavailableError("nothing runs")
        async with EngineClient(self.engines.process.socket) as client:
            yield client

    async def model(self) -> ModelInfo:
        async with self._client() as client:
            return await client.model()

    async def healthy(self) -> bool:
        async with self._client() as client:
            return await client.healthy()

    async def generate(self, request: Request) -> AsyncGenerator[Event]:
        async with self._client() as client, contextlib.aclosing(client.generate(request)) as events:
            async for event in events:
                yield event


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    """A site that serves the old model, with the new one in its store."""
    monkeypatch.setattr(decisions, "answers", lambda _probe: True)
    monkeypatch.setattr(decisions, "spool", lambda *_: 0)
    monkeypatch.setattr(model_beside, "GRACE_S", 0.5)  # nobody here remembers what an engine serves
    monkeypatch.setattr(model_beside, "_POLL_S", 0.1)
    paths = site_of_models.install(tmp_path / "site", tmp_path)
    site_of_models.make(tmp_path / "models")
    bring(paths, tmp_path / "models", rehearse=False, engines=GatedEngines(paths))
    return paths


@pytest.fixture
def engines(site: SitePaths, tmp_path: Path) -> Iterator[Processes]:
    small = write(tmp_path / "small.gguf")
    found = Processes(site, small=small, standby=Processes(site, small=small))
    assert isinstance(found.standby, Processes)
    with found.running, found.standby.running:
        found.start(NAME)
        yield found


async def _answer(engine: EngineWithStandby, number: int, most: int) -> tuple[str, Event]:
    """The model that the receipt names, and how its answer ended."""
    info = await engine.model()
    asked = Request(
        id=str(number),
        user="u",
        group="g",
        messages=(Message("user", "hi"),),
        max_tokens=most,
        receipt_digest=receipt_digest(info.receipt),
    )
    events = [event async for event in engine.generate(asked)]
    return info.receipt["digest"], events[-1]


def test_streams_through_a_promotion_end_whole_and_new_ones_name_the_new_model(
    site: SitePaths, engines: Processes
) -> None:
    assert isinstance(engines.standby, Processes)
    both = EngineWithStandby(Asked(engines), Asked(engines.standby), lambda: bool(engines.diverted))

    async def work() -> list[tuple[str, Event]]:
        begun = [asyncio.create_task(_answer(both, n, LONG)) for n in range(2)]
        await asyncio.sleep(0.2)
        change = asyncio.create_task(
            asyncio.to_thread(promote, site, NAME, reason="the newer one answers better", engines=engines)
        )
        short, number = [], 10
        while not change.done():
            number += 1
            short.append(await _answer(both, number, 8))
        assert (await change).paused is None
        return [*[await one for one in begun], *short, await _answer(both, 1, 8)]

    told = asyncio.run(work())
    assert {type(last) for _, last in told} == {End}
    assert {last.finish_reason for _, last in told if isinstance(last, End)} <= {"stop", "length"}
    assert [digest for digest, _ in told[:2]] == [digest_of(OLD)] * 2
    names = [digest for digest, _ in told[2:]]
    assert names == sorted(names, key=[digest_of(OLD), digest_of(NEW)].index), "never back and forth"
    assert set(names) == {digest_of(OLD), digest_of(NEW)}
    assert engines.serves(NAME)["digest"] == digest_of(NEW)
    assert engines.standby.process is None
