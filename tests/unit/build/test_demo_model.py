"""The demo model's signed files: the template writes a transcript, the record is honest about its origin."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parents[3] / "sources" / "models" / "gemma3-270m"
CONVERSATION = [
    {"role": "system", "content": "Answer in French."},
    {"role": "user", "content": " Hello \n"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "What is an air gap?"},
]


@pytest.mark.parametrize("options", list(itertools.product([True, False], repeat=3)))
def test_the_template_writes_one_transcript_whatever_the_renderers_white_space_options(
    options: tuple[bool, bool, bool],
) -> None:
    trim, strip, keep = options
    environment = ImmutableSandboxedEnvironment(trim_blocks=trim, lstrip_blocks=strip, keep_trailing_newline=keep)
    template = environment.from_string((FOLDER / "chat_template.jinja").read_text())
    head, _, rest = template.render(messages=CONVERSATION, add_generation_prompt=True).partition("\n\n")
    assert head.startswith("The following is a conversation")
    assert rest == "Answer in French.\n\nUser: Hello\nAssistant: Hi.\nUser: What is an air gap?\nAssistant:"
    without = template.render(messages=CONVERSATION[1:2], add_generation_prompt=False)
    assert without.endswith("\n\nUser: Hello")


def test_generation_stops_where_the_template_lets_the_user_speak() -> None:
    record = json.loads((FOLDER / "record.json").read_text())
    assert record["template"]["stop"] == ["\nUser:"]


def test_the_record_claims_nothing_that_is_not_known() -> None:
    record = json.loads((FOLDER / "record.json").read_text())
    assert record["producer"]["verified"] is False
    assert record["conversion"]["closed"] is False
    card = (FOLDER / "model-card.md").read_text()
    assert "not known to us" in card
    assert "waiver" in card
