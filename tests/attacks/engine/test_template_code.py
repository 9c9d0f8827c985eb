"""Attack 29: a signed template that runs code when it is rendered (CVE-2024-34359 and its kin) is not loaded."""

from __future__ import annotations

import sys

import pytest

from appliance.engine.errors import ModelLoadError
from appliance.engine.template import ChatTemplate

POPEN = "os.popen('touch /nowhere').read()"
PAYLOADS = {
    "CVE-2024-34359": "{% for x in ().__class__.__base__.__subclasses__() %}{% if 'warning' in x.__name__ %}"
    "{{ x()._module.__builtins__['__import__']('os').popen('touch /nowhere').read() }}{% endif %}{% endfor %}",
    "globals of a built-in": "{{ cycler.__init__.__globals__." + POPEN + " }}",
    "globals of lipsum": "{{ lipsum.__globals__['os'].popen('touch /nowhere') }}",
    "globals of a macro": "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
    "context of the template": "{{ self._TemplateReference__context.cycler.__init__.__globals__." + POPEN + " }}",
    "attribute by filter": "{{ ''|attr('__class__')|attr('__mro__') }}",
    "attribute by concatenation": "{{ ''['__cla' ~ 'ss__'] }}",
    "attribute by escape": "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "attribute by format string": "{{ '{0.__class__}'.format(messages) }}",
    "attribute by format map": "{{ '{a.__class__}'.format_map({'a': messages}) }}",
    "attribute by map": "{{ messages|map(attribute='__class__')|list }}",
    "attribute by sort": "{{ messages|sort(attribute='__class__') }}",
    "frame of a generator": "{{ (messages|map('upper')).gi_frame.f_globals }}",
    "import": "{% import 'os' as os %}{{ os.system('touch /nowhere') }}",
    "extends": "{% extends messages[0].content %}",
    "include": "{% include '/etc/passwd' %}",
    "code object": "{{ raise_exception.__code__.co_consts }}",
    "closure": "{{ raise_exception.__closure__ }}",
}


STARTS = {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"}


@pytest.fixture(scope="module")
def started() -> list[str]:
    """Every attempt to start a program from here on; the interpreter never forgets a hook, so that there is one."""
    seen: list[str] = []
    sys.addaudithook(lambda event, _arguments: seen.append(event) if event in STARTS else None)
    return seen


@pytest.mark.parametrize("source", PAYLOADS.values(), ids=PAYLOADS)
def test_29_a_template_that_reaches_for_code_is_not_loaded(source: str, started: list[str]) -> None:
    before = len(started)
    with pytest.raises(ModelLoadError):
        ChatTemplate(source)
    assert len(started) == before
