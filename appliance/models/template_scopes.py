"""Where in a template something stands: inside which loops, and in which macro.

``loop`` speaks of the innermost loop whose body it stands in; in what a loop runs over, in its condition and in its
``else`` it is that of the loop around.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Place:
    """The loops around something, outermost first, and the name of the macro that it is part of."""

    loops: tuple[nodes.For, ...] = ()
    macro: str | None = None


class Scopes:
    """The places of all names, calls and assignments of ``tree``. By identity: nodes that look the same are equal."""

    def __init__(self, tree: nodes.Template) -> None:
        self._tree = tree  # holds the nodes, whose identities are the keys
        self._places = {id(node): place for node, place in _walk(tree, Place())}

    def place(self, node: nodes.Node) -> Place:
        """Where ``node`` stands."""
        return self._places.get(id(node), Place())


def _walk(node: nodes.Node, place: Place) -> Iterator[tuple[nodes.Node, Place]]:
    if isinstance(node, nodes.Name | nodes.Call | nodes.Assign | nodes.AssignBlock):
        yield node, place
    if isinstance(node, nodes.Macro):
        place = Place(place.loops, node.name)
    inside = Place((*place.loops, node), place.macro) if isinstance(node, nodes.For) else place
    body = {id(child) for child in node.body} if isinstance(node, nodes.For) else set()
    for child in node.iter_child_nodes():
        yield from _walk(child, inside if id(child) in body else place)
