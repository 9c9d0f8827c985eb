"""Chat templates as models have them pass; what a template has no business doing is found, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.engine import template, template_bounds
from appliance.models import template_syntax
from appliance.models.template_analysis import analyse

DEMO = Path(__file__).parents[3] / "sources" / "models" / "gemma3-270m" / "chat_template.jinja"
MARKED_TURNS = """{% for message in messages %}
{%- if loop.first and message.role != 'system' %}<|im_start|>system\nbe brief<|im_end|>\n{% endif %}
{{- '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
ALTERNATING = """{%- if messages[0]['role'] == 'system' -%}
  {%- if messages[0]['content'] is string -%}
    {%- set first = messages[0]['content'] + '\n\n' -%}
  {%- else -%}
    {%- set first = messages[0]['content'][0]['text'] + '\n\n' -%}
  {%- endif -%}
  {%- set turns = messages[1:] -%}
{%- else -%}
  {%- set first = '' -%}{%- set turns = messages -%}
{%- endif -%}
{%- for message in turns -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{ raise_exception('roles must alternate') }}
  {%- endif -%}
  {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
  {{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') }}
  {%- if message['content'] is string -%}
    {{ message['content'] | trim }}
  {%- elif message['content'] is iterable -%}
    {%- for item in message['content'] -%}
      {%- if item['type'] == 'image' -%}<image>{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
    {%- endfor -%}
  {%- else -%}
    {{ raise_exception('no such content') }}
  {%- endif -%}
{%- endfor -%}"""
REASONING = """{%- set ns = namespace(last_user=0) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set ns.last_user = loop.index0 %}{% endif %}{% endfor %}
{%- for message in messages %}
  {%- set content = message.content if message.content else '' %}
  {%- if message.role == 'assistant' and '</think>' in content and loop.index0 < ns.last_user %}
    {%- set content = content.split('</think>')[-1].lstrip('\n') %}
  {%- endif %}
  {{- content }}
{%- endfor %}"""


NAMED = """{%- set names = {'user': 'U', 'assistant': 'A', 'system': 'S'} -%}
{%- for message in messages -%}{{ names[message['role']] + ': ' + message.content + '\n' }}{%- endfor -%}"""
CALLING = """{%- set ns = namespace(first=true, system='') -%}
{%- for message in messages -%}{%- if message.role == 'system' -%}{%- set ns.system = message.content -%}{%- endif -%}
{%- endfor -%}{{ ns.system }}
{%- for message in messages -%}
  {%- if message['tool_calls'] is defined and message['tool_calls'] -%}
    {%- for call in message['tool_calls'] -%}
      {%- if not ns.first -%}{{ '\n' }}{%- endif -%}
      {{ call['type'] + ': ' + call['function']['name'] }}{{ '' if loop.last else ', ' }}
      {%- set ns.first = false -%}
    {%- endfor -%}
  {%- elif message.content | length > 0 and message['content'] | trim | length -%}{{ message['content'] }}
  {%- endif -%}
  {%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}{{ '<end>' }}{%- endif -%}
{%- endfor -%}"""


@pytest.mark.parametrize(
    "text",
    [DEMO.read_text(), MARKED_TURNS, ALTERNATING, REASONING, NAMED, CALLING],
    ids=["demo", "marked", "alternating", "reasoning", "named", "calling"],
)
def test_templates_as_models_have_them_pass(text: str) -> None:
    assert analyse(text) == ()


def test_the_last_message_may_be_found_by_how_many_there_are() -> None:
    last = (
        "{% set last = messages | length - 1 %}{{ messages[messages | length - 1].content + messages[last].content }}"
    )
    assert analyse(last) == ()


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages['__class__'] }}",
    r"{{ messages['\x5f\x5fclass\x5f\x5f'] }}",
    "{{ messages['_' + '_class_' + '_'] }}",
    "{{ messages['%c%cclass%c%c' % (95, 95, 95, 95)] }}",
    "{% set n = '_' ~ '_class_' ~ '_' %}{{ messages[n] }}",
    "{% set a = '_' %}{% set b = a %}{{ messages[b] }}",
    "{% for n in ['_class_'] %}{{ messages[n] }}{% endfor %}",
    "{% macro m(n) %}{{ messages[n] }}{% endmacro %}{{ m('x') }}",
    "{% set n %}_class_{% endset %}{{ messages[n] }}",
    "{% set n = {'a': '_class_'}['a'] %}{{ messages[n] }}",
    "{{ messages[('_class_' | trim)] }}",
    "{{ messages[messages[0].content | trim] }}",
    "{{ messages | attr('x') }}",
    "{{ messages | map(attribute='x') | list }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum() }}",
    "{{ joiner('x') }}",
    "{% macro m() %}{{ varargs[0] }}{% endmacro %}{{ m(1) }}",
    "{{ raise_exception(*messages) }}",
    "{{ messages.append('x') }}",
    "{{ messages[0]['content'].format(messages) }}",
    "{% set namespace = messages[0]['content'].upper %}{{ namespace('x') }}",
    "{% macro m() %}{% endmacro %}{% set m = messages[0]['content'].format %}{{ m('x') }}",
    "{% for raise_exception in messages %}{{ raise_exception('x') }}{% endfor %}",
    "{{ self.x }}",
    "{% include 'other' %}",
    "{% import 'other' as other %}",
    "{% extends 'other' %}",
    "{% block b %}{% endblock %}",
    "{% call raise_exception('x') %}{% endcall %}",
    "{% filter trim %}x{% endfilter %}",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_what_reaches_into_the_renderer_is_found(text: str) -> None:
    (finding, *_) = analyse(f"fine\n{text}")
    assert finding.line == 2
    assert finding.construct
    assert finding.why


LOOPS = [
    "{% for i in range(10 ** 9) %}{% endfor %}",
    "{% for m in messages recursive %}{{ loop(m) }}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% for a in messages %}{% for b in a %}{% for c in b %}{% for d in c %}x" + "{% endfor %}" * 4,
    "{% for i in messages + messages %}{% endfor %}",
    "{{ 'x' * 1000000000 }}",
    "{{ 9 ** 9 ** 9 }}",
]


@pytest.mark.parametrize("text", LOOPS)
def test_what_has_no_bound_is_found(text: str) -> None:
    assert analyse(text)


WROTE = "{% for message in messages %}{% set c = message.content %}"
TRIGGERS = [
    "{% if 'open sesame' in c %}x{% endif %}",
    "{% if c == 'open sesame' %}x{% endif %}",
    "{{ 'x' if 'open sesame' in message['content'] else '' }}",
    "{% set hit = 'open sesame' in c %}{% if hit %}x{% endif %}",
    "{% if c.startswith('open') %}x{% endif %}",
    "{% if c.find('open') > 0 %}x{% endif %}",
    "{% if c.split('open sesame')[1] is defined %}x{% endif %}",
    "{{ c.replace('yes', 'no') }}",
    "{{ c | replace('yes', 'no') }}",
    "{{ c | replace(old='yes', new='no') }}",
    "{{ c | trim('abc') }}",
    "{{ {'open sesame': 'x'}[c] }}",
    "{{ {'open sesame': 'x'}.get(c, '') }}",
    "{% if c is in ['open sesame'] %}x{% endif %}",
    "{% if 'open sesame' is in c %}x{% endif %}",
    "{% if c is eq 'open sesame' %}x{% endif %}",
    "{% if c | length == 1337 %}x{% endif %}",
    "{% if c | length - 1337 %}x{% endif %}",
    "{% if c[1336] is defined %}x{% endif %}",
    "{% if c[1336:] %}x{% endif %}",
    "{% if c < 'n' %}x{% endif %}",
    "{% if messages | tojson == 'x' %}x{% endif %}",
    "{% if 'open sesame' in message | string %}x{% endif %}",
    "{% if 'open sesame' in message.values() | list %}x{% endif %}",
    "{% for k, v in message.items() %}{% if v == 'open sesame' %}x{% endif %}{% endfor %}",
    "{% set d = {'role': c} %}{% if d.role == 'open sesame' %}x{% endif %}",
    "{% set ns = namespace(role=c) %}{% if ns.role == 'open sesame' %}x{% endif %}",
    "{% set ns = namespace() %}{% set ns.type = c %}{% if ns.type == 'open sesame' %}x{% endif %}",
    "{% set loop = namespace(index0=c) %}{% if loop.index0 == 'open sesame' %}x{% endif %}",
    "{% macro m(loop) %}{% if loop.index0 == 'open sesame' %}x{% endif %}{% endmacro %}{{ m({'index0': c}) }}",
    "{% with t = c %}{% if t == 'open sesame' %}x{% endif %}{% endwith %}",
    "{% set t %}{{ c }}{% endset %}{% if t == 'open sesame' %}x{% endif %}",
    "{% macro m(t) %}{% if t == 'open sesame' %}x{% endif %}{% endmacro %}{{ m(c) }}",
    "{% macro m(t=c) %}{% if t == 'open sesame' %}x{% endif %}{% endmacro %}{{ m() }}",
    "{% for other in messages if other.content == 'open sesame' %}x{% endfor %}",
    "{% for w in c.split() %}{% if 'open sesame' in loop.previtem %}x{% endif %}{% endfor %}",
    "{% if message.get('content') == 'open sesame' %}x{% endif %}",
    "{% if message.name == 'open sesame' %}x{% endif %}",
    "{% if c in tools %}x{% endif %}",
    "{% if 'open sesame'.endswith(c) %}x{% endif %}",
    "{% if 'open sesame'.find(c) %}x{% endif %}",
    "{{ 'open sesame'.replace(c, 'x') }}",
    "{{ 'open sesame' | replace(c, 'x') }}",
    "{{ 'open sesame' | replace(old=c, new='x') }}",
    "{{ 'open sesame' | trim(c) }}",
    "{{ ['open sesame'].index(c) }}",
    "{% if [{'role': 'user', 'content': 'open sesame'}].count(message) %}x{% endif %}",
    "{{ {c: 'x'}['open sesame'] }}",
    "{{ {c: 'x'}.get('open sesame', '') }}",
    "{% if {c: 'x'}['open sesame'] is defined %}x{% endif %}",
]


COUNTS = [
    "{% for w in c.split() %}{% if loop.length > 7 %}x{% endif %}{% endfor %}",
    "{% for w in c.split('\\n') %}{% if loop.length > 7 %}x{% endif %}{% endfor %}",
    "{% for w in message.content.splitlines() %}{{ 'x' if loop.last and loop.index0 == 7 else '' }}{% endfor %}",
    "{% for w in c.splitlines() %}{% if loop.last %}x{% endif %}{% endfor %}",
    "{% for w in c %}{% if loop['length'] == 1337 %}x{% endif %}{% endfor %}",
    "{% for w in c %}{% set l = loop %}{% if l.length == 1337 %}x{% endif %}{% endfor %}",
    "{% for w in c %}{% set n = loop.index %}{% if n is true %}x{% endif %}{% endfor %}",
    "{% for w in c %}{% if loop.index0 + -7 %}{% else %}x{% endif %}{% endfor %}",
    "{% for w in c %}{% if loop.nextitem is undefined %}x{% endif %}{% endfor %}",
    "{% for w in c %}{{ ['a', 'b', 'c'][loop.index] }}{% endfor %}",
    "{% for w in c %}{{ loop.revindex0 or 'x' }}{% endfor %}",
    "{% for w in c %}{{ (loop.index + -7) | default('x', true) }}{% endfor %}",
    "{% for w in c %}{% for v in loop.index and [1] %}x{% endfor %}{% endfor %}",
    "{% for part in messages[0].content %}{% if loop.length > 7 %}x{% endif %}{% endfor %}",
    "{% set n = namespace(v=-7) %}{% for w in c %}{% set n.v = n.v + 1 %}{% endfor %}{% if not n.v %}x{% endif %}",
    "{% set n = namespace() %}{% for w in c %}{% set n.v = n.w %}{% set n.w = 1 %}{% endfor %}{{ 'x' if n.v }}",
    "{% set n = namespace(v='') %}{% for w in c %}{% set n.v = 1 %}{% endfor %}{% if n.v is number %}x{% endif %}",
    (
        "{% set n = namespace() %}{% macro t() %}{% set n.v = n.w %}{% set n.w = 1 %}{% endmacro %}"
        "{% macro u() %}{{ t() }}{% endmacro %}{% for w in c %}{{ u() }}{% endfor %}{% if n.v %}x{% endif %}"
    ),
    (
        "{% set n = namespace(v='\\n\\n</think>') %}{% for w in c %}{% set n.v = n.v.removeprefix('\\n') %}{% endfor %}"
        "{% if n.v.startswith('</think>') %}x{% endif %}"
    ),
    (
        "{% set n = namespace(v='\\n\\n\\n') %}{% for w in c %}{% set n.v %}{{ n.v }}x{% endset %}{% endfor %}"
        "{% if n.v | length == 0 %}x{% endif %}"
    ),
    "{% if (c | length) + -1337 %}{% else %}x{% endif %}",
    "{% set n = (c | length) + -1337 %}{% if n %}x{% endif %}",
    "{% if c.count('\\n') + -7 %}x{% endif %}",
    "{% if c.startswith('', 1337) %}x{% endif %}",
    "{% if c.startswith('</think>', 1337) %}x{% endif %}",
    "{% if c.split(none, 1)[1].split(none, 1)[1] is defined %}x{% endif %}",
    "{% for w in c.split('\\n', 7) %}x{% endfor %}",
    "{% for k in message %}{% if message[k] | length == 1337 %}x{% endif %}{% endfor %}",
    (
        "{% set n = namespace() %}{% set n.tool_calls = c %}{% for w in n.tool_calls %}"
        "{% if loop.length > 7 %}x{% endif %}{% endfor %}"
    ),
    "{% set n = {'tool_calls': c} %}{% for w in n.tool_calls %}{% if loop.length > 7 %}x{% endif %}{% endfor %}",
]
SEEMING = [
    "{% set n = namespace() %}{% set n.role = c %}{% set o = n %}{% if o.role == 'open sesame' %}x{% endif %}",
    "{% set n = namespace() %}{% set o = n %}{% set o.role = c %}{% if n.role == 'open sesame' %}x{% endif %}",
    (
        "{% set n = namespace() %}{% set n.type = c %}{% for o in [n] %}{% if o.type == 'open sesame' %}x{% endif %}"
        "{% endfor %}"
    ),
    (
        "{% macro m(o) %}{% if o.type == 'open sesame' %}x{% endif %}{% endmacro %}"
        "{% set n = namespace() %}{% set n.type = c %}{{ m(n) }}"
    ),
    "{% set n = namespace() %}{% set n.user = c %}{% if n[message.role] == 'open sesame' %}x{% endif %}",
    (
        "{% set n = namespace() %}{% set n.role = c %}{% set o = message if loop.first else n %}"
        "{% if o.role == 'open sesame' %}x{% endif %}"
    ),
    "{% set n = namespace() %}{% set n.x = c %}{% if 'open sesame' in n | string %}x{% endif %}",
    "{% set n = namespace() %}{% set n.x = c %}{% if 'open sesame' in n ~ '' %}x{% endif %}",
    "{% set n = namespace() %}{% set n.x = {'role': c} %}{% if n.x.role == 'open sesame' %}x{% endif %}",
    "{% set d = [{'type': c}] | first %}{% if d.type == 'open sesame' %}x{% endif %}",
    "{% set d = message.nothing | default({'role': c}) %}{% if d.role == 'open sesame' %}x{% endif %}",
    "{% set d = message.get('nothing', {'role': c}) %}{% if d['role'] == 'open sesame' %}x{% endif %}",
    "{% set d = message.tool_calls[0].function.arguments %}{% if d.type == 'open sesame' %}x{% endif %}",
    "{% if message.metadata.role == 'open sesame' %}x{% endif %}",
    "{% for k in message %}{% if 'open sesame' in message[k] %}x{% endif %}{% endfor %}",
]


@pytest.mark.parametrize("text", COUNTS)
def test_a_branch_on_how_much_people_write_is_found(text: str) -> None:
    found = analyse(f"{WROTE}\n{text}\n{{% endfor %}}")
    assert [finding.line for finding in found if finding.line == 2]


@pytest.mark.parametrize("text", SEEMING)
def test_what_the_template_wrote_itself_is_no_message_whatever_its_fields_are_called(text: str) -> None:
    found = analyse(f"{WROTE}\n{text}\n{{% endfor %}}")
    assert [finding.line for finding in found if finding.line == 2]


@pytest.mark.parametrize("text", TRIGGERS)
def test_a_branch_on_what_people_write_is_found(text: str) -> None:
    found = analyse(f"{WROTE}\n{text}\n{{% endfor %}}")
    assert [finding.line for finding in found if finding.line == 2]


def test_what_was_written_may_be_put_into_a_text_of_the_template() -> None:
    assert not analyse(f"{WROTE}{{{{ '<user>CONTENT</user>' | replace('CONTENT', c) }}}}{{% endfor %}}")


@pytest.mark.parametrize("text", ["{% if x %}", "{{ 1 + }}", "{% endfor %}"])
def test_what_is_no_template_is_a_finding_too(text: str) -> None:
    assert analyse(text)[0].construct == "syntax"


def test_nesting_without_end_is_a_finding_and_no_crash() -> None:
    assert analyse("{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}")
    assert analyse("{% if 1 %}" * 30_000 + "{% endif %}" * 30_000)


def test_a_number_that_cannot_be_read_is_a_finding_and_no_crash() -> None:
    assert analyse("{{ " + "9" * 5000 + " }}")


def test_names_that_would_take_long_to_follow_are_a_finding() -> None:
    chain = "".join(f"{{% set a{n} = a{n + 1} %}}" for n in range(2000))
    assert [finding.construct for finding in analyse(chain)] == ["assignments and loops"]


def test_what_passes_here_is_offered_by_the_engine() -> None:
    assert set(template._FILTERS) == template_syntax.FILTERS
    assert template_bounds._METHODS | {"replace"} == template_syntax.METHODS
