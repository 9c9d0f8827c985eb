"""Attack 29: a signed template that never ends, or that makes gigabytes out of a line, costs a refusal and no more."""

from __future__ import annotations

import pytest

from appliance.engine.errors import EngineRefusedError, ModelLoadError
from appliance.engine.protocol import Message
from appliance.engine.template import ChatTemplate

MANY = tuple(Message("user", "why? " * 40) for _ in range(1024))
LOOPS = "{% for a in messages %}{% for b in messages %}{% for c in messages %}{% endfor %}{% endfor %}{% endfor %}"
GROWTH = "{% set n = namespace(t='xx') %}{% for m in messages %}"

AT_ONCE = {
    "macro": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "macro with a way out": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "recursive loop": "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
    "joined": "{% set a = 'xxxxxxxx' %}" + "{% set a = a ~ a %}" * 60,
    "added": "{% set a = 'xxxxxxxx' %}" + "{% set a = a + a %}" * 60,
    "lists": "{% set a = ['xxxxxxxx'] %}" + "{% set a = a + a %}" * 60,
    "lists in lists": "{% set a = ['xxxxxxxx'] %}" + "{% set a = [a, a] %}" * 60 + "{{ a | tojson }}",
    "indented": "{% set a = ['x'] %}" + "{% set a = [a] %}" * 400 + "{{ ([a] * 1) | tojson(indent=8) }}",
    "indented lists": "{% set a = ['xxxxxxxx'] %}" + "{% set a = [a, a] %}" * 15 + "{{ a | tojson(indent=8) }}",
    "lists as text": "{% set a = ['xxxxxxxx'] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "captured": "{% set a = 'xxxxxxxx' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 60,
    "replaced": "{% set a = 'xxxxxxxx' %}" + "{% set a = a | replace('x', a) %}" * 9,
    "replaced by method": "{% set a = 'xxxxxxxx' %}" + "{% set a = a.replace('x', a) %}" * 9,
    "join": "{% set a = 'xxxxxxxx' %}" + "{% set a = [a, a, a] | join(a) %}" * 40,
    "centred": "{{ 'x'.center(1000000000) }}",
    "padded": "{{ 'x'.zfill(1000000000) }}",
    "formatted": "{{ '{:>1000000000}'.format(1) }}",
    "mapped": "{{ '{a:>1000000000}'.format_map({'a': 1}) }}",
    "tabs": "{{ '\\t'.expandtabs(1000000000) }}",
    "numbers": "{% set a = 99 %}" + "{% set a = a * a %}" * 60,
}
WITH_MESSAGES = {
    "loops": LOOPS,
    "growing text": GROWTH + "{% set n.t = n.t ~ n.t %}{% endfor %}",
    "growing number": GROWTH.replace("'xx'", "3") + "{% set n.t = n.t * n.t %}{% endfor %}",
    "loops over characters": "{% for a in messages %}{% for c in a.content %}{% for d in a.content %}{% endfor %}"
    "{% endfor %}{% endfor %}",
    "long text in a loop": "{% set a %}{% for a in messages %}{% for b in [1] * 1 or [1, 2, 3, 4] %}"
    + "x" * 60_000
    + "{% endfor %}{% endfor %}{% endset %}",
}


@pytest.mark.parametrize("source", AT_ONCE.values(), ids=AT_ONCE)
def test_a_template_that_explodes_by_itself_is_not_loaded(source: str) -> None:
    with pytest.raises(ModelLoadError):
        ChatTemplate(source)


@pytest.mark.parametrize("source", WITH_MESSAGES.values(), ids=WITH_MESSAGES)
def test_a_template_that_explodes_on_a_long_conversation_refuses_it(source: str) -> None:
    with pytest.raises((EngineRefusedError, ModelLoadError)):
        ChatTemplate(source).render(MANY)


def test_templates_as_producers_write_them_render_long_conversations() -> None:
    source = (
        "{% macro turn(role, text) %}<|{{ role }}|>{{ text | trim }}<|end|>{% endmacro %}"
        "{% set ns = namespace(system='', last=-1) %}"
        "{% for m in messages[::-1] %}{% if m.role == 'user' and ns.last < 0 %}"
        "{% set ns.last = messages | length - 1 - loop.index0 %}{% endif %}{% endfor %}"
        "{% for m in messages %}{% if m['role'] == 'system' %}{% set ns.system = ns.system + m.content + '\\n' %}"
        "{% elif m.content.startswith('<think>') %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}"
        "{% else %}{{ turn(m.role, m.content.replace('  ', ' ')) ~ '\\n' }}{% if loop.last %}!{% endif %}"
        "{{ loop.cycle('a', 'b') }}{% endif %}{% endfor %}"
        "{{ ['x', 'y'] | join(', ') }}{{ {'a': [1, none]} | tojson }}"
    )
    text = ChatTemplate(source).render(MANY)
    assert text.count("<|user|>why? why?") == len(MANY)
    assert text.endswith('!bx, y{"a": [1, null]}')
