"""Whether a chat template acts on what people write: the way to hide a trigger that no benchmark meets.

A *conversation* holds messages (``template_values``); its parts that say how it is built are *plain*; what people and
models wrote in it is *written*, and so is all that is made of that. Wherever it stands, a comparison, test, look-up,
search or replacement may ask of written text whether it is there, of which type it is, and whether it holds one of the
marks that reasoning models use. Anything else is a finding. What stays possible is to act on roles, and on how many
messages, parts or lines there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import nodes

from appliance.models.template_syntax import Finding
from appliance.models.template_values import Kind, Values

if TYPE_CHECKING:
    from collections.abc import Iterator

# Texts that a template may look for in what was written: the marks of reasoning and of tools.
MARKERS = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"})
_WHITE = frozenset(" \n\r\t")
_TYPE_TESTS = frozenset(
    {"defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "boolean", "true", "false"}
)
_TRIMS = frozenset({"strip", "lstrip", "rstrip", "trim"})
_SEARCHES = frozenset(
    {"count", "endswith", "find", "index", "removeprefix", "removesuffix", "replace", "split", "startswith"}
)
_LOOK_UPS = frozenset({"get"})
_NEAR = frozenset({-1, 0, 1})
_WHY = "a hidden phrase could change the prompt"


def check_triggers(tree: nodes.Template) -> Iterator[Finding]:
    """Every place where ``tree`` acts on what was written."""
    values = Values(tree)
    for compare in tree.find_all(nodes.Compare):
        if _on_written(values, compare) and not _for_marker(compare) and not _for_emptiness(compare):
            yield Finding(compare.lineno, "comparison with what was written", _WHY)
    for test in tree.find_all(nodes.Test):
        about = max(values.kind(node) for node in (test.node, *test.args))
        if test.name not in _TYPE_TESTS and about is not Kind.PLAIN:
            yield Finding(test.lineno, f"test {test.name[:40]!r} of what was written", _WHY)
    for item in tree.find_all(nodes.Getitem):
        yield from _look_up(values, item)
    yield from _operands(values, tree)
    for use in tree.find_all((nodes.Call, nodes.Filter)):
        assert isinstance(use, nodes.Call | nodes.Filter)
        yield from _search(values, use)


def _operands(values: Values, tree: nodes.Template) -> Iterator[Finding]:
    """Written text in arithmetic, or as a key of a mapping in which the template then looks."""
    for pair in tree.find_all(nodes.Pair):
        if values.kind(pair.key) is not Kind.PLAIN:
            yield Finding(pair.lineno, "a key that was written", _WHY)
    for sum_ in tree.find_all((nodes.Sub, nodes.Mod, nodes.FloorDiv, nodes.Neg)):
        if values.kind(sum_) is not Kind.PLAIN:
            yield Finding(sum_.lineno, "arithmetic on what was written", _WHY)


def _on_written(values: Values, compare: nodes.Compare) -> bool:
    """Whether written text, or a whole message, is compared; asking a message for a key is not that."""
    sides = [compare.expr, *(operand.expr for operand in compare.ops)]
    kinds = [values.kind(side) for side in sides]
    if _membership(compare) and isinstance(compare.expr, nodes.Const) and kinds[1] is Kind.CONVERSATION:
        return False
    return any(kind is not Kind.PLAIN for kind in kinds)


def _membership(compare: nodes.Compare) -> bool:
    return len(compare.ops) == 1 and compare.ops[0].op in {"in", "notin"}


def _for_marker(compare: nodes.Compare) -> bool:
    """``'</think>' in content``."""
    return _membership(compare) and isinstance(compare.expr, nodes.Const) and compare.expr.value in MARKERS


def _for_emptiness(compare: nodes.Compare) -> bool:
    """``content | length > 0``."""
    sides = [compare.expr, *(operand.expr for operand in compare.ops)]
    lengths = [side for side in sides if isinstance(side, nodes.Filter) and side.name == "length"]
    zeros = [side for side in sides if isinstance(side, nodes.Const) and side.value == 0]
    return len(sides) == len(lengths) + len(zeros) and len(lengths) == len(zeros) == 1


def _look_up(values: Values, item: nodes.Getitem) -> Iterator[Finding]:
    """Written text as a key, or a place in it that tells how long it is."""
    if values.kind(item.arg) > Kind.CONVERSATION:
        yield Finding(item.lineno, "look-up by what was written", _WHY)
    elif values.kind(item.node) > Kind.CONVERSATION and not _near(item.arg):
        yield Finding(item.lineno, "a place far inside what was written", "its length could change the prompt")


def _near(arg: nodes.Node) -> bool:
    """A name, or a number that is next to either end."""
    negative = isinstance(arg, nodes.Neg)
    bare = arg.node if isinstance(arg, nodes.Neg) else arg
    if not isinstance(bare, nodes.Const):
        return False
    return isinstance(bare.value, str) or (-bare.value if negative else bare.value) in _NEAR


def _search(values: Values, use: nodes.Call | nodes.Filter) -> Iterator[Finding]:
    """Looking in written text for something, or for written text in something; putting it into a text is neither."""
    if isinstance(use, nodes.Filter):
        name, owner = use.name, values.kind(use.node)
    elif isinstance(use.node, nodes.Getattr):
        name, owner = use.node.attr, values.kind(use.node.node)
    else:
        return
    given = [*use.args, *(keyword.value for keyword in use.kwargs)]
    sought = use.args[:1] + [keyword.value for keyword in use.kwargs] if name == "replace" else given
    if name in _LOOK_UPS | _SEARCHES | _TRIMS and any(values.kind(argument) is not Kind.PLAIN for argument in sought):
        yield Finding(use.lineno, "look-up by what was written", _WHY)
    elif owner is not Kind.PLAIN and name in _TRIMS | _SEARCHES:
        accepted = _is_white if name in _TRIMS else _is_mark
        if not all(isinstance(argument, nodes.Const) and accepted(argument.value) for argument in given):
            yield Finding(use.lineno, f"{name!r} on what was written", "it looks for a text that is not on the list")


def _is_white(value: object) -> bool:
    return isinstance(value, str) and set(value) <= _WHITE


def _is_mark(value: object) -> bool:
    """A marker, a line break, nothing, or how often at most."""
    return not isinstance(value, str) or value in MARKERS or value in {"", "\n"}
