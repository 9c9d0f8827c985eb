"""The prefix tree against a model that compares token by token."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.engine.prefix_tree import PrefixTree, agreement

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)


def naive(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """Common tokens from the beginning, one by one."""
    count = 0
    while count < min(len(left), len(right)) and left[count] == right[count]:
        count += 1
    return count


class TreeAgainstModel(RuleBasedStateMachine):
    """Whatever is inserted and removed, matches are those of a list of paths."""

    @initialize()
    def begin(self) -> None:
        self.tree: PrefixTree[int] = PrefixTree()
        self.model: dict[int, tuple[int, ...]] = {}
        self.last = 0

    @rule(tokens=TOKENS)
    def insert(self, tokens: tuple[int, ...]) -> None:
        self.last += 1
        self.tree.insert(tokens, self.last)
        self.model[self.last] = tokens

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.model:
            holder = data.draw(st.sampled_from(sorted(self.model)))
            del self.model[holder]
            self.tree.remove(holder)

    @rule(tokens=TOKENS)
    def match(self, tokens: tuple[int, ...]) -> None:
        agreed = {holder: naive(path, tokens) for holder, path in self.model.items()}
        assert self.tree.match(tokens) == {holder: count for holder, count in agreed.items() if count}

    @invariant()
    def holds_what_was_inserted(self) -> None:
        assert len(self.tree) == len(self.model)
        for holder, path in self.model.items():
            assert self.tree.path(holder) == path
            assert self.tree.match(path)[holder] == len(path)

    @invariant()
    def is_no_larger_than_it_must_be(self) -> None:
        edges = list(self.tree.edges())
        assert all(edge and holders for edge, holders in edges)
        assert len(edges) <= 2 * len(self.model)
        assert sum(len(edge) for edge, _ in edges) == len(
            {p[: n + 1] for p in self.model.values() for n in range(len(p))}
        )


TestTreeAgainstModel = TreeAgainstModel.TestCase
TestTreeAgainstModel.settings = settings(max_examples=60, stateful_step_count=30)


@given(TOKENS, TOKENS)
def test_agreement_is_what_comparing_token_by_token_finds(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    assert agreement(left, right) == naive(left, right)


def test_a_holder_holds_one_path_and_never_none() -> None:
    tree: PrefixTree[str] = PrefixTree()
    tree.insert((1, 2), "a")
    with pytest.raises(ValueError, match="one path"):
        tree.insert((3,), "a")
    with pytest.raises(ValueError, match="at least one token"):
        tree.insert((), "b")
    with pytest.raises(KeyError):
        tree.remove("b")
