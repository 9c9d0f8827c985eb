"""A chat template, read and never rendered: its text, its syntax, and whether it acts on what people write.

The template is code that a model's publisher wrote and that runs on every question. What it may cost while it runs is
bounded by the engine; what it is made of is judged here, on its syntax tree, before any engine sees it.
"""

from __future__ import annotations

import unicodedata

import jinja2
from jinja2 import nodes

from appliance.models.errors import TemplateError
from appliance.models.template_syntax import Finding, check_syntax
from appliance.models.template_triggers import check_triggers

_HIDDEN = frozenset({"Cf", "Cc", "Co", "Cn", "Cs", "Zl", "Zp"})
# Following names takes time that grows with the square of their number.
MAX_BINDINGS = 512
_TOO_DEEP = Finding(1, "nesting", "is deeper than any template needs")
_NO_NUMBER = Finding(1, "a number", "is longer than any number that a template needs")
_TOO_MANY = Finding(1, "assignments and loops", f"are more than {MAX_BINDINGS}")


def read_text(data: bytes) -> str:
    """The template's text. Raises ``TemplateError`` for bytes or characters that a reviewer would not see."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError("the chat template is not UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        for character in line:
            if unicodedata.category(character) in _HIDDEN and character != "\t":
                raise TemplateError(
                    f"the chat template holds the invisible character U+{ord(character):04X} in line {number}"
                )
    return text


def analyse(text: str) -> tuple[Finding, ...]:
    """Every finding in the template ``text``, by line."""
    try:
        tree = jinja2.Environment(autoescape=False).parse(text)  # noqa: S701 - parsed only: nothing is ever rendered here
        bindings = sum(1 for _ in tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.For, nodes.With, nodes.Macro)))
        if bindings > MAX_BINDINGS:
            return (_TOO_MANY,)
        return tuple(sorted({*check_syntax(tree), *check_triggers(tree)}))
    except jinja2.TemplateSyntaxError as error:
        return (Finding(error.lineno, "syntax", str(error.message).lower()),)
    except RecursionError:
        return (_TOO_DEEP,)
    except ValueError:  # Python reads no number of thousands of digits
        return (_NO_NUMBER,)
