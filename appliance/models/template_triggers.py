"""Whether a chat template acts on what people write: the way to hide a trigger that no benchmark meets.

A *conversation* holds messages (``template_values``); its parts that say how it is built are *plain*; what people and
models wrote in it is *written*, and so is all that is made of that. Wherever it stands, a comparison, test, look-up,
search or replacement may ask of written text whether it is there, of which type it is, and whether it holds one of the
marks that reasoning models use. Anything else is a finding. How much was written is no better to ask than what: of a
number that tells it, not even whether it is nought, except for a length. What stays possible is to act on roles, and
on how many messages and calls of tools there are.
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
_LOGIC = (nodes.Not, nodes.And, nodes.Or)
_WHY = "a hidden phrase could change the prompt"


def check_triggers(tree: nodes.Template) -> Iterator[Finding]:
    """Every place where ``tree`` acts on what was written."""
    values = Values(tree)
    for compare in tree.find_all(nodes.Compare):
        if _on_written(values, compare) and not _for_marker(values, compare) and not _for_emptiness(values, compare):
            yield Finding(compare.lineno, "comparison with what was written", _WHY)
    for test in tree.find_all(nodes.Test):
        about = max(values.kind(node) for node in (test.node, *test.args))
        if about is Kind.COUNTED or (test.name not in _TYPE_TESTS and about is not Kind.PLAIN):
            yield Finding(test.lineno, f"test {test.name[:40]!r} of what was written", _WHY)
    for item in tree.find_all(nodes.Getitem):
        yield from _look_up(values, item)
    yield from _operands(values, tree)
    yield from _counts(values, tree)
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


def _counts(values: Values, tree: nodes.Template) -> Iterator[Finding]:
    """Numbers that tell how much was written, where it is asked whether they are nought."""
    for node in tree.find_all((nodes.If, nodes.CondExpr, nodes.For, nodes.Filter, *_LOGIC)):
        for asked in _asked(node):
            if not isinstance(asked, _LOGIC) and values.kind(asked) is Kind.COUNTED and not _length(values, asked):
                yield Finding(asked.lineno, "a count of what was written", "its length could change the prompt")


def _asked(node: nodes.Node) -> list[nodes.Expr]:
    """What ``node`` asks whether it is nothing."""
    if isinstance(node, nodes.And | nodes.Or):
        return [node.left, node.right]
    if isinstance(node, nodes.Not) or (isinstance(node, nodes.Filter) and node.name == "default"):
        return [] if node.node is None else [node.node]
    test = getattr(node, "test", None)
    return [test] if isinstance(test, nodes.Expr) else []


def _length(values: Values, node: nodes.Node) -> bool:
    """``content | length``, of a text that is not itself as long as another is."""
    return isinstance(node, nodes.Filter) and node.name == "length" and values.kind(node.node) is not Kind.COUNTED


def _on_written(values: Values, compare: nodes.Compare) -> bool:
    """Whether written text, or a whole message, is compared; asking a message for a key is not that."""
    sides = [compare.expr, *(operand.expr for operand in compare.ops)]
    kinds = [values.kind(side) for side in sides]
    if _membership(compare) and isinstance(compare.expr, nodes.Const) and kinds[1] is Kind.CONVERSATION:
        return False
    return any(kind is not Kind.PLAIN for kind in kinds)


def _membership(compare: nodes.Compare) -> bool:
    return len(compare.ops) == 1 and compare.ops[0].op in {"in", "notin"}


def _for_marker(values: Values, compare: nodes.Compare) -> bool:
    """``'</think>' in content``."""
    if not _membership(compare) or not isinstance(compare.expr, nodes.Const):
        return False
    return compare.expr.value in MARKERS and values.kind(compare.ops[0].expr) is not Kind.COUNTED


def _for_emptiness(values: Values, compare: nodes.Compare) -> bool:
    """``content | length > 0``."""
    sides = [compare.expr, *(operand.expr for operand in compare.ops)]
    lengths = [side for side in sides if _length(values, side)]
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
        constants = [argument.value for argument in given if isinstance(argument, nodes.Const)]
        if owner is Kind.COUNTED or len(constants) < len(given) or not _harmless(name, constants):
            yield Finding(use.lineno, f"{name!r} on what was written", "it looks for what is not on the list")


def _harmless(name: str, given: list[object]) -> bool:
    """Whether a method may have these arguments: no words are told apart, and no place is named."""
    if name in _TRIMS:
        return all(isinstance(value, str) and set(value) <= _WHITE for value in given)
    if name == "split":
        return given[:1] != [] and _mark(given[0]) and all(value in _NEAR for value in given[1:])
    if name == "replace":
        return given[:1] != [] and _mark(given[0]) and all(value == "" or _mark(value) for value in given[1:])
    return len(given) == 1 and _mark(given[0])


def _mark(value: object) -> bool:
    """A marker, or a line break."""
    return isinstance(value, str) and (value in MARKERS or value == "\n")
