from __future__ import annotations

import pytest

from appliance.engine.errors import EngineRefusedError, ModelLoadError
from appliance.engine.protocol import Message
from appliance.engine.template import TEMPLATE_MAX_CHARS, ChatTemplate

CONVERSATION = (Message("user", "hello"), Message("assistant", "hi"), Message("user", "why?"))


def test_a_conversation_is_rendered_up_to_where_the_assistant_speaks() -> None:
    template = ChatTemplate(
        "{%- for m in messages %}{{ m['role'] | trim }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    assert template.render(CONVERSATION) == "user: hello\nassistant: hi\nuser: why?\nassistant:"


def test_a_template_may_keep_state_in_a_namespace() -> None:
    template = ChatTemplate(
        "{% set n = namespace(i=0) %}{% for m in messages %}{% set n.i = n.i + 1 %}{% endfor %}{{ n.i }}"
    )
    assert template.render(CONVERSATION) == "3"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__ }}",
        "{{ self._TemplateReference__context }}",
        "{% for i in range(9) %}{% endfor %}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 999999999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ 'x' | center(1000000000) }}",
        "{% include 'other' %}",
        "{{ undefined_name }}",
        "{{ unclosed",
    ],
)
def test_a_template_that_reaches_beyond_the_conversation_is_not_loaded(source: str) -> None:
    with pytest.raises(ModelLoadError):
        ChatTemplate(source)


def test_a_template_cannot_change_the_messages() -> None:
    with pytest.raises(ModelLoadError):
        ChatTemplate("{% set _ = messages.append(1) %}")


def test_output_is_bounded() -> None:
    template = ChatTemplate(
        "{% for a in messages %}{% for b in messages %}{{ a.content }}{{ b.content }}{% endfor %}{% endfor %}"
    )
    with pytest.raises(EngineRefusedError, match="too long"):
        template.render(tuple(Message("user", "x" * 10_000) for _ in range(40)))


def test_a_template_may_refuse_a_conversation_and_its_words_reach_the_caller() -> None:
    template = ChatTemplate("{% if messages | length > 2 %}{{ raise_exception('one turn only') }}{% endif %}ok")
    with pytest.raises(EngineRefusedError, match="one turn only") as refused:
        template.render(CONVERSATION)
    assert refused.value.code == "template_refused"


def test_an_overlong_template_is_not_compiled() -> None:
    with pytest.raises(ModelLoadError, match="longer"):
        ChatTemplate("x" * (TEMPLATE_MAX_CHARS + 1))
