"""The shipped packs by a real model's own vocabulary: how long they are, and that none could hold a control token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.packs.folder import build_pack
from appliance.packs.text import checked
from appliance.packs.wording import instructions_of

if TYPE_CHECKING:
    from appliance.engine.llama import LlamaContext

FOLDERS = sorted((Path(__file__).parents[3] / "sources/packs").iterdir())
HALF = 1024
"""Of a context of 2,048 tokens, which is short."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.name)
def test_a_shipped_pack_fits_half_of_a_short_context_by_the_model_s_own_tokenizer(
    llama: LlamaContext, folder: Path
) -> None:
    told = instructions_of(build_pack(folder))
    assert 500 < len(llama.tokenize(told, control=False, begin=True)) < HALF


def test_every_control_token_of_the_model_is_refused_in_a_pack(llama: LlamaContext) -> None:
    assert len(llama.control_texts) > 1000
    for token in llama.control_texts:
        with pytest.raises(ValueError, match="not accepted"):
            checked(f"a {token} b")


def test_no_text_of_a_shipped_pack_becomes_a_control_token(llama: LlamaContext) -> None:
    for folder in FOLDERS:
        told = instructions_of(build_pack(folder))
        assert llama.tokenize(told, control=True, begin=True) == llama.tokenize(told, control=False, begin=True)
