"""What a busy engine changes of an answer is rounding to eight bits: with wider weights it changes nothing.

Cells of somebody else, a lost window or a prompt's token at a wrong place would change it all the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import gguf
import numpy as np

from appliance.engine.client import EngineClient
from tests.engine import oracle, widened
from tests.engine.llama_server_build import VARIANT, build_llama_server
from tests.engine.questions import questions
from tests.engine.served import Sizes, our_engine, plain_llama_server

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE, TOKENS, AT_ONCE = 6, 9, 8


def test_weights_are_the_same_in_more_bits_and_the_model_says_the_same_of_itself(model_file: Path) -> None:
    narrow, wide = gguf.GGUFReader(model_file), gguf.GGUFReader(widened.widened(model_file))
    own = {"general.file_type", "GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}
    assert {*narrow.fields} - own == {*wide.fields} - own
    for name in {*narrow.fields} - own:
        assert narrow.fields[name].contents() == wide.fields[name].contents(), name
    assert {tensor.tensor_type.name for tensor in wide.tensors} == {"F16", "F32"}
    one = next(n for n, tensor in enumerate(narrow.tensors) if tensor.tensor_type.name == "Q5_0")
    values = gguf.quants.dequantize(narrow.tensors[one].data, narrow.tensors[one].tensor_type)
    assert np.allclose(values, wide.tensors[one].data, atol=1e-3, rtol=1e-3)


def test_in_company_every_forced_token_is_llama_server_s_own(model_file: Path) -> None:
    model = widened.widened(model_file)
    prompts = [question.prompt for question in questions()[:SAMPLE]]

    async def compare(theirs: Path, ours: Path) -> None:
        async with oracle.Oracle(theirs) as server, EngineClient(ours) as client:
            references = [await server.reference(prompt, TOKENS) for prompt in prompts]
            places = [place for r in references for place in await server.places(r, every=2)]
            assert len(places) >= SAMPLE * 3
            assert oracle.faults(await oracle.forced(client, places, AT_ONCE), oracle.WIDE_MARGIN) == []

    with (
        plain_llama_server(model, build_llama_server(), oracle.flags(1)) as theirs,
        our_engine(model, Sizes(threads=1, memory_mib=1600), variant=VARIANT) as ours,
    ):
        asyncio.run(compare(theirs.socket, ours.socket))
