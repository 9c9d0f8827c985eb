"""What rendering a template may cost: steps, and characters made on the way, whoever wrote the template.

Jinja bounds neither. Loops inside loops, a macro that calls itself twice and a text that is joined to itself a hundred
times end long after anybody waits. So each pass of a loop, each call, and each text that goes into an expression or the
output is charged to a budget of the rendering under way; what has no budget left raises ``SecurityError``. Methods of
values are named one by one, because most of Python's make texts of any length.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from contextvars import ContextVar
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any, cast

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext, Macro, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jinja2.runtime import Context

MAX_STEPS = 50_000
MAX_CHARACTERS = 1 << 24
_MAX_NUMBER = 1 << 53
_MAX_POWER = 64
_MAX_INDENT = 8
_SMALL = 24  # what a number is at most when it becomes text
_METHODS = frozenset(
    {"capitalize", "count", "endswith", "find", "get", "index", "items", "keys", "lower", "lstrip", "removeprefix"}
    | {"removesuffix", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "values"}
)


class _Budget:
    def __init__(self) -> None:
        self.steps, self.characters = MAX_STEPS, MAX_CHARACTERS

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < 0:
            raise SecurityError(f"it takes more than {MAX_STEPS} steps")

    def make(self, count: int) -> None:
        self.characters -= count
        if self.characters < 0:
            raise SecurityError(f"it makes more than {MAX_CHARACTERS} characters")


_budget: ContextVar[_Budget] = ContextVar("budget")


@contextmanager
def budget() -> Iterator[None]:
    """A whole budget for what is compiled or rendered inside, on this thread."""
    token = _budget.set(_Budget())
    try:
        yield
    except RecursionError as error:
        raise SecurityError("it goes too deep") from error
    finally:
        _budget.reset(token)


def _charge(value: Any) -> None:
    """Charge the characters of ``value``; what it holds is walked, however often it holds one thing."""
    purse = _budget.get()
    if isinstance(value, str):
        purse.make(len(value))
        return
    purse.make(_SMALL)
    if isinstance(value, dict):
        for pair in value.items():
            _charge(pair)
    elif isinstance(value, list | tuple):
        for item in value:
            _charge(item)


@pass_context  # which keeps Jinja from working it out once, when the template is compiled
def _charged(_context: Context, value: Any) -> Any:
    _charge(value)
    return value


@pass_context
def _passes(_context: Context, items: Iterable[Any]) -> list[Any]:
    found = list(items)
    _budget.get().step(1 + len(found))
    return found


def _join(items: Iterable[Any], between: str = "") -> str:
    texts = [str(item) for item in items]
    _budget.get().make(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _replace(text: Any, old: str, new: str) -> str:
    whole = str(text)
    _budget.get().make(len(whole) + whole.count(old) * len(new))
    return whole.replace(old, new)


class Absent(StrictUndefined):
    """What is not there cannot be used. Whether a message has something, such as calls, may be asked."""

    def __bool__(self) -> bool:  # type: ignore[override]  # the base raises always, and says so in its type
        if self._undefined_obj is missing:
            self._fail_with_undefined_error()
        return False


def _json(value: Any, indent: int | None = None) -> str:
    """JSON as the authors of templates know the filter: nothing in it is escaped for HTML.

    What indenting can add at most is charged before it is added.
    """
    made = json.dumps(value, ensure_ascii=False)
    _budget.get().make(len(made))
    if not indent:
        return made
    width = min(int(indent), _MAX_INDENT)
    _budget.get().make(len(made) * width * (1 + _depth(value)))
    return json.dumps(value, ensure_ascii=False, indent=width)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return 1 + max(map(_depth, inner), default=0)


class BoundedSandbox(ImmutableSandboxedEnvironment):
    """The sandbox whose work is charged, with the filters ``allowed``; compile and render inside ``budget()``."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self, allowed: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        plain = {name: self.filters[name] for name in allowed}
        own = {"join": _join, "replace": _replace, "tojson": _json}
        self.filters = {**plain, **own, "_charged": _charged, "_passes": _passes}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """The template with a toll at every loop, filter, joint and output."""
        tree = super()._parse(source, name, filename)
        for node in list(tree.find_all((nodes.For, nodes.Filter, nodes.Concat, nodes.Output))):
            if isinstance(node, nodes.For):
                if node.recursive:
                    raise SecurityError("recursive loops are not accepted")
                node.iter = _toll(node.iter, "_passes")
            elif isinstance(node, nodes.Filter):
                node.node = None if node.node is None else _toll(node.node, "_charged")
            elif isinstance(node, nodes.Concat | nodes.Output):
                node.nodes = [_toll(part, "_charged") for part in node.nodes]
        tree.set_environment(self)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Texts and lists may be added, charged; everything else is for numbers that stay small."""
        if operator == "+" and isinstance(left, str | list) and isinstance(right, str | list):
            _charge(left)
            _charge(right)
            return super().call_binop(context, operator, left, right)
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if not numbers or (operator == "**" and (abs(left) > _MAX_POWER or abs(right) > _MAX_POWER)):
            raise SecurityError(f"{operator} works on small numbers only")
        found = super().call_binop(context, operator, left, right)
        if abs(found) > _MAX_NUMBER:
            raise SecurityError(f"{operator} works on small numbers only")
        return found

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """What the environment offers, the template's own macros, and the listed methods of values."""
        _budget.get().step()
        if isinstance(obj, BuiltinMethodType):
            _charge(obj.__self__)
            if obj.__name__ == "replace" and isinstance(obj.__self__, str):
                return _replace(obj.__self__, *args)
            if obj.__name__ not in _METHODS:
                raise SecurityError(f"the method {obj.__name__} is not accepted")
        elif not isinstance(obj, Macro) and obj not in self.globals.values() and not _of_loop(obj):
            raise SecurityError(f"{obj!r:.60} is not to be called")
        return super().call(context, obj, *args, **kwargs)


def _of_loop(value: Any) -> bool:
    return isinstance(getattr(value, "__self__", None), LoopContext)


def _toll(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)
