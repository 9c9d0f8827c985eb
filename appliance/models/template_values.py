"""What the values in a chat template may hold: followed through assignments, loops, macros and namespaces.

One answer per name for the whole template, the worst of all. Where it cannot be told apart, a value counts as written.
"""

from __future__ import annotations

from enum import IntEnum

from jinja2 import nodes

_CONVERSATION = frozenset({"messages", "tools", "documents"})
# Members of a message that say how it is built: the gateway sets them, from a list of its own.
_STRUCTURE = frozenset({"role", "type"})
_POSITION = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"})
_SAME = frozenset({"first", "last", "list"})
_CHOOSES = (nodes.CondExpr, nodes.Or, nodes.And)


class Kind(IntEnum):
    """How near a value is to what people wrote. ``MADE``: the template built it, so that no member is what it seems."""

    PLAIN = 0
    CONVERSATION = 1
    WRITTEN = 2
    MADE = 3


class Values:
    """The kinds of everything in ``tree``."""

    def __init__(self, tree: nodes.Template) -> None:
        self._kinds: dict[str, Kind] = dict.fromkeys(_CONVERSATION, Kind.CONVERSATION)
        self._macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        learned = list(tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.For, nodes.With, nodes.Macro, nodes.Call)))
        before: dict[str, Kind] = {}
        while before != self._kinds:
            before = dict(self._kinds)
            for node in learned:
                self._learn(node)

    def _learn(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Assign):
            self._bind(node.target, self.kind(node.node))
        elif isinstance(node, nodes.AssignBlock):
            self._bind(node.target, Kind.MADE)
        elif isinstance(node, nodes.For):
            self._bind(node.target, self.kind(node.iter))
        elif isinstance(node, nodes.With):
            for target, value in zip(node.targets, node.values, strict=True):
                self._bind(target, self.kind(value))
        elif isinstance(node, nodes.Macro):
            self._hand_over(node, node.defaults)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in self._macros:
            self._hand_over(self._macros[node.node.name], [*node.args, *(k.value for k in node.kwargs)])

    def _hand_over(self, macro: nodes.Macro, given: list[nodes.Expr]) -> None:
        """Every parameter may hold the worst of what is given."""
        for parameter in macro.args:
            self._bind(parameter, self._worst(given))

    def _bind(self, target: nodes.Node, kind: Kind) -> None:
        if isinstance(target, nodes.Tuple):
            for item in target.items:
                self._bind(item, kind)
            return
        name = f"{target.name}.{target.attr}" if isinstance(target, nodes.NSRef) else getattr(target, "name", "")
        self._kinds[name] = max(kind, self._kinds.get(name, Kind.PLAIN))

    def kind(self, node: nodes.Node | None) -> Kind:
        """The worst that ``node`` may be."""
        if node is None or isinstance(node, nodes.Const | nodes.Test | nodes.Compare):
            return Kind.PLAIN  # each test and comparison is judged where it stands
        if isinstance(node, nodes.Name):
            return self._kinds.get(node.name, Kind.PLAIN)
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._part(node)
        if isinstance(node, nodes.Filter):
            return self._filtered(node)
        if isinstance(node, nodes.Call):
            return self._called(node)
        return self._worst(list(node.iter_child_nodes()), made=not isinstance(node, _CHOOSES))

    def _worst(self, several: list[nodes.Expr] | list[nodes.Node], *, made: bool = False) -> Kind:
        worst = max((self.kind(node) for node in several), default=Kind.PLAIN)
        return Kind.MADE if made and worst is not Kind.PLAIN else worst

    def _part(self, node: nodes.Getattr | nodes.Getitem) -> Kind:
        if isinstance(node, nodes.Getattr):
            return self._member(node.node, node.attr)
        constant = node.arg.value if isinstance(node.arg, nodes.Const) else None
        return self._member(node.node, constant) if isinstance(constant, str) else self.kind(node.node)

    def _member(self, owner: nodes.Node, name: str) -> Kind:
        held = Kind.PLAIN
        if isinstance(owner, nodes.Name):
            if owner.name == "loop":
                return Kind.PLAIN if name in _POSITION else Kind.MADE
            held = self._kinds.get(f"{owner.name}.{name}", Kind.PLAIN)
        kind = self.kind(owner)
        if kind in {Kind.CONVERSATION, Kind.WRITTEN}:
            kind = Kind.PLAIN if name in _STRUCTURE else Kind.WRITTEN
        return max(held, kind)

    def _filtered(self, node: nodes.Filter) -> Kind:
        inner = self.kind(node.node)
        if node.name == "length" and inner is Kind.CONVERSATION:
            return Kind.PLAIN
        given = self._worst([*node.args, *(keyword.value for keyword in node.kwargs)])
        if node.name in _SAME or max(inner, given) is Kind.PLAIN:
            return max(inner, given)
        return Kind.MADE

    def _called(self, node: nodes.Call) -> Kind:
        if isinstance(node.node, nodes.Name) and node.node.name in self._macros:
            return Kind.MADE
        given = self._worst([*node.args, *(keyword.value for keyword in node.kwargs)])
        if isinstance(node.node, nodes.Getattr):
            first = node.args[0] if node.args else None
            if node.node.attr == "get" and isinstance(first, nodes.Const) and isinstance(first.value, str):
                return max(self._member(node.node.node, first.value), given)
            given = max(given, self.kind(node.node.node))
        return Kind.PLAIN if given is Kind.PLAIN else Kind.MADE
