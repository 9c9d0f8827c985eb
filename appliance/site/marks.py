"""YAML as data plus the line of every node, so that a mistake can be named where it stands.

Stricter than YAML: one document, no tags, anchors or aliases, no duplicate keys, text keys only, and plain words are
text unless they are JSON-like scalars (YAML 1.1 reads ``off`` as false; here it stays ``off``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

Place = tuple[str | int, ...]
MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False, "True": True, "False": False}


@dataclass(frozen=True)
class Mistake:
    """One finding: its line (from 1), the place it concerns, and the cause."""

    line: int
    place: Place
    cause: str

    def __str__(self) -> str:
        where = f"{dotted(self.place)}: " if self.place else ""
        return f"line {self.line}: {where}{self.cause}"


@dataclass(frozen=True)
class Marked:
    """A parsed document: its value, the line of every place in it, and what was wrong with its form."""

    value: Any
    lines: Mapping[Place, int]
    mistakes: tuple[Mistake, ...]

    def line(self, place: Place) -> int:
        """Line of ``place``, or of the nearest enclosing place that exists."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def dotted(place: Place) -> str:
    """``("groups", 0, "models")`` as ``groups.0.models``; odd characters in keys are escaped."""
    return ".".join(
        p if isinstance(p, str) and p.isidentifier() else str(p).encode("unicode_escape").decode() for p in place
    )


def read_marked(text: str) -> Marked:
    """Parse ``text``. Never raises on bad input: what is wrong is in ``mistakes``, with its line."""
    try:
        _refuse_references(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        return Marked(None, {}, (_syntax_mistake(error),))
    except yaml.YAMLError as error:  # a character YAML does not allow carries a position, not a mark
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        return Marked(None, {}, (Mistake(line, (), f"not a YAML character: {getattr(error, 'reason', 'unreadable')}"),))
    walk = _Walk()
    value = walk.convert(node, ()) if node is not None else None
    return Marked(value, walk.lines, tuple(walk.mistakes))


def _refuse_references(text: str) -> None:
    """Anchors, aliases and tags are refused before composing, so that an alias bomb is never expanded."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            refused = "anchors and aliases are not accepted"
        elif (tag := getattr(event, "tag", None)) is not None:
            refused = f"tags are not accepted: {tag!r}"
        else:
            continue
        mark = event.start_mark
        raise yaml.MarkedYAMLError(problem=refused, problem_mark=mark)  # type: ignore[arg-type]  # the stub's C mark


def _syntax_mistake(error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    cause = (error.problem or "not readable as YAML").strip()
    if r"'\t'" in cause:
        cause = "a tab cannot indent; use spaces"
    elif error.context:
        cause = f"{cause} ({error.context.strip()})"
    return Mistake(mark.line + 1 if mark else 1, (), cause)


@dataclass
class _Walk:
    lines: dict[Place, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def convert(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if len(place) > MAX_DEPTH:
            self._note(node, place, f"nested deeper than {MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(child, (*place, i)) for i, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, place, "a key must be text")
                continue
            inner = (*place, key.value)
            if key.value in out:
                self._note(key, inner, f"is written twice, first on line {self.lines[inner]}")
                continue
            self.lines[inner] = key.start_mark.line + 1
            out[key.value] = self.convert(child, inner)
        return out

    def _note(self, node: yaml.Node, place: Place, cause: str) -> None:
        self.mistakes.append(Mistake(node.start_mark.line + 1, place, cause))


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:  # quoted or block: text, whatever it looks like
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
