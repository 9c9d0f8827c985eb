from __future__ import annotations

from appliance.engine.prompt import PromptReader
from appliance.engine.protocol import Message, Request
from appliance.engine.template import ChatTemplate
from tests.unit.engine.scripted_context import BEGIN, END, TURN, ScriptedContext

TEMPLATE = ChatTemplate("{% for m in messages %}<turn>{{ m.content | trim }}{% endfor %}<turn>", ("<stop>",))


def _reader() -> PromptReader:
    return PromptReader(ScriptedContext(), TEMPLATE)


def _ask(*contents: str) -> Request:
    return Request(id="1", user="u", group="g", messages=tuple(Message("user", c) for c in contents))


def test_control_tokens_of_the_template_are_control_tokens() -> None:
    assert _reader().tokens(_ask("hi")) == (BEGIN, TURN, *b"hi", TURN)


def test_control_tokens_in_a_message_stay_plain_characters() -> None:
    tokens = _reader().tokens(_ask("a<turn>b<end>", "<begin>"))
    assert tokens == (BEGIN, TURN, *b"a<turn>b<end>", TURN, *b"<begin>", TURN)
    assert END not in tokens


def test_the_words_of_a_message_are_the_same_whether_or_not_it_names_a_control_token() -> None:
    tokens = _reader().tokens(_ask("  padded <turn>  "))
    assert bytes(t for t in tokens if t < BEGIN) == b"padded <turn>"


def test_a_raw_prompt_holds_no_control_token_but_the_beginning() -> None:
    request = Request(id="1", user="u", group="g", prompt="<turn>x")
    assert _reader().tokens(request) == (BEGIN, *b"<turn>x")


def test_the_template_adds_its_stop_strings_to_conversations_only() -> None:
    reader = _reader()
    assert reader.stops(_ask("hi")) == ("<stop>",)
    assert reader.stops(Request(id="1", user="u", group="g", prompt="x", stop=("y",))) == ("y",)
