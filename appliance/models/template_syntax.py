"""Which Jinja a chat template may be made of. A list of what is accepted: whatever else there is, is refused.

No template of a model needs to import, to reach into Python's objects, to loop over anything but the conversation, or
to call what it did not define. What a template costs while it runs is the engine's business (its budget of steps);
this is about what it *is*, so that a reviewer can be told the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LOOP_DEPTH = 3
FUNCTIONS = frozenset({"namespace", "raise_exception"})
METHODS = frozenset(
    {"capitalize", "count", "endswith", "find", "get", "index", "items", "keys", "lower", "lstrip", "removeprefix"}
    | {"removesuffix", "replace", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "values"}
)
FILTERS = frozenset(
    {"default", "first", "items", "join", "last", "length", "list", "lower", "replace", "string", "tojson", "trim"}
)
_STATEMENTS: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Macro,
    nodes.With,
)
_EXPRESSIONS: tuple[type[nodes.Node], ...] = (
    nodes.Name,
    nodes.NSRef,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Call,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.CondExpr,
    nodes.Concat,
    nodes.Not,
    nodes.Neg,
    nodes.And,
    nodes.Or,
    nodes.Add,
    nodes.Sub,
    nodes.Mod,
    nodes.FloorDiv,
)
_ACCEPTED = frozenset((*_STATEMENTS, *_EXPRESSIONS))
_INDEX = (
    nodes.Name,
    nodes.Filter,
    nodes.Getitem,
    nodes.Slice,
    nodes.Neg,
    nodes.Add,
    nodes.Sub,
    nodes.Getattr,
    nodes.Mod,
)
# What a template holds without naming it: values would come in that nobody can follow.
_UNNAMED = frozenset({"varargs", "kwargs", "caller", "self"})


@dataclass(frozen=True, order=True)
class Finding:
    """What is wrong in a template: where, with which construct, and why that matters."""

    line: int
    construct: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.construct}: {self.why}"


def check_syntax(tree: nodes.Template) -> Iterator[Finding]:
    """Everything in ``tree`` that is not accepted."""
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    texts = _text_names(tree)
    for node in _walk(tree):
        if type(node) not in _ACCEPTED:
            yield Finding(node.lineno, type(node).__name__.lower(), "no chat template needs it")
        yield from _check_names(node, texts)
        if isinstance(node, nodes.Name) and node.ctx != "load" and node.name in FUNCTIONS | macros | {"loop"}:
            yield Finding(
                node.lineno, f"name {node.name[:40]!r} given to something else", "hides what is called or asked"
            )
        yield from _check_calls(node, macros)
    yield from _check_loops(tree, 0)
    yield from _check_macros(tree)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _text_names(tree: nodes.Template) -> set[str]:
    """Names that may hold a text which the template itself makes, directly or by another name."""
    sources: list[tuple[set[str], nodes.Node]] = []
    for bound in tree.find_all((nodes.Assign, nodes.For, nodes.Macro, nodes.With)):
        if isinstance(bound, nodes.Assign):
            sources.append((_bound(bound.target), bound.node))
        elif isinstance(bound, nodes.For):
            sources.append((_bound(bound.target), bound.iter))
        elif isinstance(bound, nodes.With):
            sources += [(_bound(t), v) for t, v in zip(bound.targets, bound.values, strict=True)]
    found = {name.name for macro in tree.find_all(nodes.Macro) for name in macro.args}
    found |= {name for block in tree.find_all(nodes.AssignBlock) for name in _bound(block.target)}
    while more := {name for names, value in sources if _makes_text(value, found) for name in names} - found:
        found |= more
    return found


def _bound(target: nodes.Node) -> set[str]:
    return {node.name for node in _walk(target) if isinstance(node, nodes.Name | nodes.NSRef)}


def _makes_text(value: nodes.Node, texts: set[str]) -> bool:
    """Whether a text of the template's own is in ``value``; the key of a look-up is none."""
    key = value.arg if isinstance(value, nodes.Getitem) else None
    return any(
        isinstance(node, nodes.Concat | nodes.Call)
        or (isinstance(node, nodes.Filter) and node.name != "length")
        or (isinstance(node, nodes.Const) and isinstance(node.value, str) and node is not key)
        or (isinstance(node, nodes.Name) and node.name in texts)
        for node in _walk(value)
    )


def _check_names(node: nodes.Node, texts: set[str]) -> Iterator[Finding]:
    """No private name in any spelling, and no name that is made while the template runs."""
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        yield Finding(node.lineno, f"attribute {node.attr[:40]!r}", "leads into the objects of the renderer")
    elif isinstance(node, nodes.Name) and (node.name.startswith("_") or node.name in _UNNAMED):
        yield Finding(node.lineno, f"name {node.name[:40]!r}", "leads into the objects of the renderer")
    elif isinstance(node, nodes.Const) and isinstance(node.value, str) and "__" in node.value:
        yield Finding(node.lineno, f"text {node.value[:40]!r}", "can name a hidden attribute")
    elif isinstance(node, nodes.Getitem) and not _plain_index(node.arg, texts):
        yield Finding(node.lineno, "computed index", "can name a hidden attribute")


def _plain_index(arg: nodes.Node, texts: set[str]) -> bool:
    """A text as it is written, or numbers and what the conversation holds."""
    if isinstance(arg, nodes.Const):
        return not (isinstance(arg.value, str) and arg.value.startswith("_"))
    return isinstance(arg, _INDEX) and not _makes_text(arg, texts)


def _check_calls(node: nodes.Node, macros: set[str]) -> Iterator[Finding]:
    if isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
        yield Finding(node.lineno, "a starred argument", "hides what is handed over")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        yield Finding(node.lineno, f"filter {node.name[:40]!r}", "is not on the list of filters")
    if not isinstance(node, nodes.Call):
        return
    called = node.node
    if isinstance(called, nodes.Name):
        if called.name not in FUNCTIONS | macros:
            yield Finding(
                node.lineno, f"call of {called.name[:40]!r}", "is neither a macro of the template nor offered"
            )
    elif not isinstance(called, nodes.Getattr) or called.attr not in METHODS:
        what = f"method {called.attr[:40]!r}" if isinstance(called, nodes.Getattr) else "a computed function"
        yield Finding(node.lineno, f"call of {what}", "is not on the list of methods")


def _check_loops(node: nodes.Node, depth: int) -> Iterator[Finding]:
    """Loops run over what is there, and are nested so far at most."""
    if isinstance(node, nodes.For):
        depth += 1
        if node.recursive:
            yield Finding(node.lineno, "recursive loop", "has no bound")
        if depth > MAX_LOOP_DEPTH:
            yield Finding(node.lineno, f"loop inside {depth - 1} loops", "multiplies the work")
        if isinstance(node.iter, nodes.Add | nodes.Concat):
            yield Finding(node.lineno, "loop over something that is made for it", "has no bound that a reader sees")
    for child in node.iter_child_nodes():
        yield from _check_loops(child, depth)


def _check_macros(tree: nodes.Template) -> Iterator[Finding]:
    """No macro reaches itself."""
    calls = {
        macro.name: {call.node.name for call in macro.find_all(nodes.Call) if isinstance(call.node, nodes.Name)}
        for macro in tree.find_all(nodes.Macro)
    }
    for macro in tree.find_all(nodes.Macro):
        reached: set[str] = set()
        waiting = [macro.name]
        while waiting:
            new = calls.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        if macro.name in reached:
            yield Finding(macro.lineno, f"macro {macro.name[:40]!r} that calls itself", "has no bound")
