"""Adapters on llama.cpp itself: what they add is what their file says, and requests of several do not mix.

The model has random weights; an adapter adds a product of two small matrices to some of them. So a model with that
product already added is what the adapted one must agree with, within rounding.
"""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from appliance.engine.context import Piece
from appliance.engine.errors import ModelLoadError
from appliance.engine.llama import LlamaContext
from tests.engine import gpu
from tests.engine.batches import Desk
from tests.engine.small_model import write, write_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from appliance.engine.answering import Answering
    from appliance.engine.job import Job
    from appliance.engine.llama_sampler import Logits

PROMPT = [3 + (n * n + 7 * n) % 250 for n in range(40)]
CLOSE = 0.05
ADAPTERS = {"formal": 1, "brief": 2}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    found = {"": write(folder / "plain.gguf")}
    for name, seed in ADAPTERS.items():
        found[name] = write_adapter(folder / f"{name}.gguf", seed)
        found[f"merged {name}"] = write(folder / f"merged-{name}.gguf", adapted_by=seed)
    return found


@contextmanager
def context(model: Path, adapters: dict[str, Path], slots: int = 1) -> Iterator[LlamaContext]:
    descriptors = {name: os.open(path, os.O_RDONLY) for name, path in {"": model, **adapters}.items()}
    try:
        named = {name: fd for name, fd in descriptors.items() if name}
        budget = gpu.room(300)
        made = LlamaContext(
            descriptors[""], context_tokens=200, threads=1, budget_mib=budget, slots=slots, adapters=named
        )
        yield made
        made.close()
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


@pytest.fixture(scope="module")
def adapted(files: dict[str, Path]) -> Iterator[LlamaContext]:
    with context(files[""], {name: files[name] for name in ADAPTERS}, slots=4) as made:
        yield made


def logits(of: LlamaContext, tokens: Sequence[int], adapter: str = "") -> Logits:
    of.clear()
    of.adapt(adapter)
    (row,) = of.decode([Piece(tuple(tokens), 0, (0, 1), sampled=True)])
    found = of.logits(row)
    of.clear()
    of.adapt("")
    return found


def test_an_adapter_adds_what_its_file_says(files: dict[str, Path], adapted: LlamaContext) -> None:
    plain = logits(adapted, PROMPT)
    for name in ADAPTERS:
        with context(files[f"merged {name}"], {}) as merged:
            wanted = logits(merged, PROMPT)
        given = logits(adapted, PROMPT, name)
        assert np.abs(given - wanted).max() < CLOSE
        assert np.abs(given - plain).max() > 1


def test_the_model_without_an_adapter_is_as_before(files: dict[str, Path], adapted: LlamaContext) -> None:
    with context(files[""], {}) as alone:
        assert alone.adapters == set()
        wanted = logits(alone, PROMPT)
    logits(adapted, PROMPT, "formal")
    assert np.abs(logits(adapted, PROMPT) - wanted).max() < 1e-4


def test_requests_of_several_adapters_side_by_side_get_their_own(adapted: LlamaContext) -> None:
    adapted.clear()
    draw = random.Random(4)
    desk = Desk(adapted, slots=4, chunk_tokens=24)
    answers: dict[Job, Answering] = {}
    asked = [
        desk.ask([*PROMPT, 3 + n], user=f"user {n % 4}", site=40, adapter=draw.choice(["", *ADAPTERS]))
        for n in range(40)
    ]
    while not all(one.over for one in asked):
        desk.batcher.step()
        answers.update({r.job: r.answering for r in desk.batcher._residents})
    leads = []
    for one in asked:
        tokens = answers[one.job].tokens
        for at in range(len(one.job.tokens), len(tokens)):
            found = logits(adapted, tokens[:at], one.job.adapter)
            leads.append(float(found.max() - found[tokens[at]]))
    assert len(leads) > 200
    assert max(leads) < CLOSE
    assert sum(one.cached >= 40 for one in asked) > 30


def test_a_whole_model_or_another_models_adapter_is_no_adapter(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "noise.gguf").write_bytes(os.urandom(4096))
    for wrong in (files[""], tmp_path / "noise.gguf"):
        with pytest.raises(ModelLoadError), context(files[""], {"wrong": wrong}):
            pass
