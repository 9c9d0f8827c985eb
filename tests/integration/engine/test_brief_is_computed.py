"""A brief is computed by a real engine before anybody asks: pinned, kept over a restart, replaced by the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from appliance.cli.memory_warm import prefix_request
from appliance.gateway.entitlements import Grant, grant
from appliance.gateway.instructions import conversation
from tests.engine.asking import request
from tests.engine.served import Sizes, our_engine
from tests.engine.small_model import write
from tests.gateway.doubles import site
from tests.integration.engine.test_restart import answer, figure

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.engine.protocol import Request

BRIEF = "".join(f"> Rule {n}: the officer approves {n * 7 % 40}.\n" for n in range(12))
STRUCK = BRIEF.partition("\n")[2]
SIZES = Sizes(context_tokens=2048, parallel=4, memory_mib=400)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


def told(brief: str) -> Grant:
    groups = [{"name": "clerks", "models": ["small"], "instructions": "You serve clerks.", "brief": True}]
    granted = grant(site(groups=groups), ["clerks"], "small")
    return replace(granted, instructions=replace(granted.instructions, brief=brief))


def asked(brief: str, user: str = "clerk") -> Request:
    said = conversation(({"role": "user", "content": "What about 7?"},), told(brief).instructions)
    return request(id="r", user=user, group="clerks", messages=said, prompt=None, max_tokens=4, temperature=0.0)


def test_it_is_there_for_the_first_question_of_the_morning_and_after_a_restart(small: Path, tmp_path: Path) -> None:
    with our_engine(small, SIZES, tmp_path) as engine:
        _, cached = answer(engine.socket, prefix_request(told(BRIEF)))
        assert cached == 0
        assert figure(engine.socket, "engine_pinned_tokens ") > len(BRIEF) * 0.5
        text, cached = answer(engine.socket, asked(BRIEF))
        assert cached > len(BRIEF) * 0.5
        assert engine.stop() == 0
    with our_engine(small, SIZES, tmp_path) as engine:
        again, cached = answer(engine.socket, asked(BRIEF))
        assert cached > len(BRIEF) * 0.5
        assert again == text
        assert engine.stop() == 0
    assert b"officer" not in (tmp_path / "kv.arena").read_bytes()


def test_a_struck_line_takes_the_former_brief_out_of_the_pin(small: Path, tmp_path: Path) -> None:
    with our_engine(small, SIZES, tmp_path) as engine:
        answer(engine.socket, prefix_request(told(BRIEF)))
        whole = figure(engine.socket, "engine_pinned_tokens ")
        answer(engine.socket, prefix_request(told(STRUCK)))
        assert 0 < figure(engine.socket, "engine_pinned_tokens ") < whole  # one is pinned, and it is the shorter
        _, cached = answer(engine.socket, asked(STRUCK))
        assert cached > len(STRUCK) * 0.5


def test_a_brief_that_is_tried_is_pinned_for_nobody(small: Path, tmp_path: Path) -> None:
    granted = told(BRIEF)
    trial = replace(granted, instructions=replace(granted.instructions, trial=True))
    with our_engine(small, SIZES, tmp_path) as engine:
        answer(engine.socket, prefix_request(trial))
        assert figure(engine.socket, "engine_pinned_tokens ") == 0
        assert figure(engine.socket, "engine_kv_states ") == 0
