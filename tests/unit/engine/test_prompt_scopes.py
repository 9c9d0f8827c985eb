"""Where a prompt stops being the site's, then the group's: at the last token that no user's words can change."""

from __future__ import annotations

from appliance.engine.prompt import PromptReader
from appliance.engine.protocol import Message, Request
from appliance.engine.template import ChatTemplate
from tests.unit.engine.scripted_context import ScriptedContext

SITE, GROUP = Message("system", "rules", scope="site"), Message("system", "brief", scope="group")


def _reader(template: str = "{% for m in messages %}<turn>{{ m.content }};{% endfor %}<turn>") -> PromptReader:
    return PromptReader(ScriptedContext(), ChatTemplate(template))


def _shared(reader: PromptReader, *messages: Message) -> tuple[int, int]:
    request = Request(id="1", user="u", group="g", messages=messages)
    return reader.shared(request, reader.tokens(request))


def test_a_shared_message_is_shared_with_what_the_template_puts_around_it() -> None:
    whole = len("B<rules;<")  # the beginning, a turn, its words, the next turn
    assert _shared(_reader(), SITE, Message("user", "hi")) == (whole, whole)


def test_scopes_narrow_along_the_conversation() -> None:
    site, group = _shared(_reader(), SITE, GROUP, Message("user", "hi"))
    assert group - site == len("brief;") + 1


def test_a_user_who_begins_with_the_same_words_moves_no_boundary() -> None:
    reader = _reader()
    plain = _shared(reader, SITE, Message("user", "zebra"))
    for words in ("0", "x", "0x", "rules", ""):
        assert _shared(reader, SITE, Message("user", words)) == plain


def test_a_conversation_of_a_user_alone_shares_nothing() -> None:
    assert _shared(_reader(), Message("system", "rules"), Message("user", "hi")) == (0, 0)


def test_a_template_that_puts_the_users_words_first_shares_nothing_of_them() -> None:
    reader = _reader("{{ messages[-1].content }}|{% for m in messages %}{{ m.content }}{% endfor %}")
    assert _shared(reader, SITE, Message("user", "secret")) == (1, 1)


def test_a_template_that_lets_nobody_speak_after_the_site_shares_nothing() -> None:
    reader = _reader(
        "{% if messages|length > 1 %}{{ raise_exception('one turn only') }}{% endif %}{{ messages[0].content }}"
    )
    assert _shared(reader, SITE) == (0, 0)


def test_a_prompt_is_shared_up_to_the_characters_that_were_named() -> None:
    reader = _reader()
    request = Request(
        id="1", user="u", group="g", prompt="rules brief question", site_characters=6, group_characters=12
    )
    assert reader.shared(request, reader.tokens(request)) == (7, 13)
