"""One wheel for every x86-64-v2: an old processor gets the code that it can run, and an answer.

A wheel that was built for one level shows none of this, and says so: the release's is built for each.
"""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from appliance.engine import llama_backend
from appliance.engine.client import EngineClient
from appliance.engine.protocol import End, Request, Token
from appliance.site.processor import VARIANTS, processor_flags, variant_for
from tests.engine.emulated import Processor, qemu
from tests.engine.served import Served, Sizes, described, our_engine
from tests.engine.small_model import write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(llama_backend.is_one(), reason="NOT TESTED: this wheel holds the CPU code of one level alone"),
]
SIZES = Sizes(context_tokens=256, memory_mib=700, parallel=2)


@pytest.fixture(scope="module")
def emulator() -> Path:
    try:
        return qemu()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"NOT TESTED: no other processor can be emulated here ({error})")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


async def _answer(served: Served) -> str:
    async with EngineClient(served.socket) as client:
        asked = Request(id="1", user="u", group="g", prompt="hello", max_tokens=8, temperature=0.0)
        events = [event async for event in client.generate(asked)]
    assert isinstance(events[-1], End)
    return "".join(event.text for event in events if isinstance(event, Token))


def test_the_wheel_holds_every_variant_with_the_bytes_that_it_lists() -> None:
    assert tuple(llama_backend.libraries()) == VARIANTS


def test_here_the_best_variant_is_the_one_that_preflight_foretold(small: Path) -> None:
    with our_engine(small, SIZES) as served:
        assert described(served.socket)["variant"] == variant_for(processor_flags())


@pytest.mark.parametrize(("model", "variant"), [("Nehalem", "sse42"), ("Haswell", "haswell")])
def test_an_engine_on_an_older_processor_takes_what_runs_there_and_answers(
    small: Path, emulator: Path, model: str, variant: str
) -> None:
    with our_engine(small, SIZES, processor=Processor(emulator, model)) as served:
        assert described(served.socket)["variant"] == variant
        assert asyncio.run(_answer(served)) != ""


def test_an_engine_that_must_have_newer_code_ends_on_an_older_processor_before_it_serves(
    small: Path, emulator: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(RuntimeError, match="instead of serving"),
        our_engine(small, SIZES, variant="haswell", processor=Processor(emulator, "Nehalem")),
    ):
        raise AssertionError("it serves")
    assert "this processor lacks what ggml's variant haswell uses" in capfd.readouterr().err
