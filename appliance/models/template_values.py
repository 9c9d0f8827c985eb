"""What the values in a chat template may hold: followed through assignments, loops, macros and namespaces.

One answer per name for the whole template, the worst of all. Where it cannot be told apart, a value counts as written.
What is set in a namespace once for every word or line of a text tells how many there are, whatever value is set.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum

from jinja2 import nodes

from appliance.models.template_scopes import Scopes

_CONVERSATION = frozenset({"messages", "tools", "documents"})
# Members of a message or of a part that say how it is built: the gateway sets them, from a list of its own.
_STRUCTURE = frozenset({"role", "type"})
# Members of a message that may hold parts; below any other member there is nothing that the gateway sets.
_PARTS = frozenset({"content", "tool_calls"})
_POSITION = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"})
_SAME = frozenset({"first", "last", "list"})
_COUNTS = frozenset({"count", "find", "index"})
_CHOOSES = (nodes.CondExpr, nodes.Or, nodes.And)
_NUMBERS = (nodes.Slice, nodes.Neg, nodes.Sub, nodes.Mod, nodes.FloorDiv)


class Kind(IntEnum):
    """How near a value is to what people wrote.

    ``MADE``: the template built it, so that no member is what it seems. ``COUNTED``: it tells how much was written.
    """

    PLAIN = 0
    CONVERSATION = 1
    WRITTEN = 2
    MADE = 3
    COUNTED = 4


class Values:
    """The kinds of everything in ``tree``."""

    def __init__(self, tree: nodes.Template) -> None:
        self._scopes = Scopes(tree)
        self._kinds: dict[str, Kind] = dict.fromkeys(_CONVERSATION, Kind.CONVERSATION)
        self._attributes: dict[str, Kind] = {}  # of all namespaces together: one may have several names
        self._passes: dict[int, Kind] = {}  # of each loop, by identity: what ``loop`` is in its body
        self._repeated: set[str] = set()  # macros that run once for every piece of a text
        self._macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        self._namespaces = _only_namespaces(tree)
        learned = list(tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.For, nodes.With, nodes.Macro, nodes.Call)))
        before: object = None
        while before != (now := self._known()):
            before = now
            for node in learned:
                self._learn(node)

    def _known(self) -> object:
        return dict(self._kinds), dict(self._attributes), dict(self._passes), set(self._repeated)

    def _learn(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Assign | nodes.AssignBlock):
            kind = self.kind(node.node) if isinstance(node, nodes.Assign) else Kind.MADE
            self._bind(node.target, kind, lasting=Kind.COUNTED if self._repeats(node) else kind)
        elif isinstance(node, nodes.For):
            kind = self.kind(node.iter)
            self._bind(node.target, kind)
            self._passes[id(node)] = max(self._pass(node.iter, kind), self._passes.get(id(node), Kind.PLAIN))
        elif isinstance(node, nodes.With):
            for target, value in zip(node.targets, node.values, strict=True):
                self._bind(target, self.kind(value))
        elif isinstance(node, nodes.Macro):
            self._hand_over(node, node.defaults)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in self._macros:
            self._hand_over(self._macros[node.node.name], [*node.args, *(k.value for k in node.kwargs)])
            if self._repeats(node):
                self._repeated.add(node.node.name)

    def _hand_over(self, macro: nodes.Macro, given: list[nodes.Expr]) -> None:
        """Every parameter may hold the worst of what is given."""
        for parameter in macro.args:
            self._bind(parameter, self._worst(given))

    def _bind(self, target: nodes.Node, kind: Kind, lasting: Kind = Kind.PLAIN) -> None:
        """Name a value; what goes into a namespace outlives the pass of the loop, as ``lasting``."""
        if isinstance(target, nodes.Tuple):
            for item in target.items:
                self._bind(item, kind, lasting)
        elif isinstance(target, nodes.NSRef):
            self._attributes[target.attr] = max(kind, lasting, self._attributes.get(target.attr, Kind.PLAIN))
        else:
            name = getattr(target, "name", "")
            self._kinds[name] = max(kind, self._kinds.get(name, Kind.PLAIN))

    def _repeats(self, node: nodes.Node) -> bool:
        """Whether ``node`` runs once for every piece of something written."""
        place = self._scopes.place(node)
        return place.macro in self._repeated or any(self._passes.get(id(loop)) is Kind.COUNTED for loop in place.loops)

    def _pass(self, over: nodes.Node, kind: Kind) -> Kind:
        """``loop`` as a whole: its neighbours are what it runs over, and how often it runs tells how much was written.

        How many messages there are, or calls that a model made, tells nothing of that.
        """
        if kind > Kind.CONVERSATION and not self._calls(over):
            return Kind.COUNTED
        return Kind.PLAIN if kind is Kind.PLAIN else Kind.MADE

    def _calls(self, node: nodes.Node) -> bool:
        """Whether ``node`` is the calls of a message, and no namespace has anything by that name."""
        name = node.attr if isinstance(node, nodes.Getattr) else _constant_key(node)
        owner = node.node if isinstance(node, nodes.Getattr | nodes.Getitem) else None
        if name != "tool_calls" or self._attributes.get(name, Kind.PLAIN) is not Kind.PLAIN:
            return False
        return self.kind(owner) in {Kind.CONVERSATION, Kind.WRITTEN}

    def kind(self, node: nodes.Node | None) -> Kind:
        """The worst that ``node`` may be."""
        if node is None or isinstance(node, nodes.Const | nodes.Test | nodes.Compare):
            return Kind.PLAIN  # each test and comparison is judged where it stands
        if isinstance(node, nodes.Name):
            return max(self._kinds.get(node.name, Kind.PLAIN), self._loop(node))
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            return self._part(node)
        if isinstance(node, nodes.Filter):
            return self._filtered(node)
        if isinstance(node, nodes.Call):
            return self._called(node)
        worst = self._worst(list(node.iter_child_nodes()), made=not isinstance(node, _CHOOSES))
        return min(worst, Kind.MADE) if isinstance(node, nodes.Not) else worst  # its operand is judged where it stands

    def _loop(self, name: nodes.Name) -> Kind:
        loops = self._scopes.place(name).loops
        return self._passes.get(id(loops[-1]), Kind.PLAIN) if name.name == "loop" and loops else Kind.PLAIN

    def _worst(self, several: list[nodes.Expr] | list[nodes.Node], *, made: bool = False) -> Kind:
        worst = max((self.kind(node) for node in several), default=Kind.PLAIN)
        return max(Kind.MADE, worst) if made and worst is not Kind.PLAIN else worst

    def _part(self, node: nodes.Getattr | nodes.Getitem) -> Kind:
        if isinstance(node, nodes.Getattr):
            return self._member(node.node, node.attr)
        key = _constant_key(node)
        if isinstance(key, str):
            return self._member(node.node, key)
        whole = self.kind(node.node)
        if whole is Kind.CONVERSATION and key is None and not isinstance(node.arg, _NUMBERS):
            return Kind.WRITTEN  # a message, or what it holds under a name
        return whole

    def _member(self, owner: nodes.Node, name: str) -> Kind:
        if isinstance(owner, nodes.Name) and owner.name in self._namespaces:
            begun = max(self._given(call) for call in self._namespaces[owner.name])
            return max(begun, self._attributes.get(name, Kind.PLAIN))
        kind = self.kind(owner)
        if isinstance(owner, nodes.Name) and owner.name == "loop" and name in _POSITION and kind is not Kind.COUNTED:
            return self._kinds.get("loop", Kind.PLAIN)
        if kind in {Kind.CONVERSATION, Kind.WRITTEN}:
            below = Kind.WRITTEN if name in _PARTS else Kind.MADE
            return max(Kind.PLAIN if name in _STRUCTURE else below, self._attributes.get(name, Kind.PLAIN))
        return kind

    def _filtered(self, node: nodes.Filter) -> Kind:
        inner = self.kind(node.node)
        if node.name == "length" and inner is not Kind.PLAIN:
            return Kind.PLAIN if inner is Kind.CONVERSATION else Kind.COUNTED
        worst = max(inner, self._given(node))
        return worst if node.name in _SAME or worst is Kind.PLAIN else max(Kind.MADE, worst)

    def _given(self, use: nodes.Call | nodes.Filter) -> Kind:
        return self._worst([*use.args, *(keyword.value for keyword in use.kwargs)])

    def _called(self, node: nodes.Call) -> Kind:
        if isinstance(node.node, nodes.Name) and node.node.name in self._macros:
            return Kind.MADE
        worst = self._given(node)
        if isinstance(node.node, nodes.Name) and node.node.name == "namespace":
            worst = max(worst, *self._attributes.values(), Kind.PLAIN)
        if isinstance(node.node, nodes.Getattr):
            first = node.args[0] if node.args else None
            if node.node.attr == "get" and isinstance(first, nodes.Const) and isinstance(first.value, str):
                return max(self._member(node.node.node, first.value), worst)
            worst = max(worst, self.kind(node.node.node))
            if node.node.attr in _COUNTS and worst is not Kind.PLAIN:
                return Kind.COUNTED
        return Kind.PLAIN if worst is Kind.PLAIN else max(Kind.MADE, worst)


def _constant_key(node: nodes.Node) -> object:
    """The key of a look-up that is written out; ``None`` where it is worked out."""
    return node.arg.value if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) else None


def _only_namespaces(tree: nodes.Template) -> dict[str, list[nodes.Call]]:
    """Names that hold a new namespace wherever they are bound, so that an attribute of theirs is what was set in it."""
    bound = Counter(name.name for name in tree.find_all(nodes.Name) if name.ctx != "load")
    found: dict[str, list[nodes.Call]] = {}
    for assign in tree.find_all(nodes.Assign):
        made = assign.node
        if isinstance(made, nodes.Call) and isinstance(made.node, nodes.Name) and made.node.name == "namespace":
            found.setdefault(getattr(assign.target, "name", ""), []).append(made)
    return {
        name: calls for name, calls in found.items() if len(calls) == bound[name] and name not in {"", *_CONVERSATION}
    }
