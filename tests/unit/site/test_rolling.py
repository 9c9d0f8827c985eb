"""Stages of a rollout and changes as site.yaml may state them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from appliance.gateway.rollout_watch import bounds_of
from appliance.learning.comparing import Bounds
from appliance.site.rolling import Change, Learning, Rollout


def test_what_nobody_states_is_a_tenth_then_half_then_everybody_by_hand() -> None:
    found = Rollout()
    assert (found.stages, found.advances) == ((10, 50), "by-hand")
    assert bounds_of(found) == Bounds()


@pytest.mark.parametrize("stages", [(), (0,), (100,), (50, 10), (10, 10), tuple(range(1, 8))])
def test_shares_rise_and_everybody_follows_by_itself(stages: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Rollout(stages=stages)


@pytest.mark.parametrize("alpha", [0.0, 0.21, 1.0])
def test_a_chance_of_false_alarms_that_says_nothing_is_refused(alpha: float) -> None:
    with pytest.raises(ValidationError):
        Rollout(alpha=alpha)


MODELS = {"small": ("plain", "legal"), "large": ()}
GROUPS = {"clerks": ("small",)}
GOOD: list[tuple[dict[str, Any], str]] = [
    ({"instructions": ""}, "instructions"),
    ({"site_instructions": ""}, "site_instructions"),
    ({"model": "small", "by": "large"}, "model"),
    ({"model": "small", "adapter": "legal"}, "adapter"),
    ({"model": "small", "adapter": ""}, "adapter"),
    ({"documents": {"passages": 8}}, "documents"),
]


def change(group: str = "clerks", **of: Any) -> Change:
    return Change.model_validate({"name": "one", "group": group, **of})


@pytest.mark.parametrize(("of", "kind"), GOOD)
def test_a_change_is_of_one_thing_that_is_there(of: dict[str, Any], kind: str) -> None:
    found = change(**of)
    assert found.kind == kind
    assert Learning(changes=(found,)).mistakes(MODELS, GROUPS, looks_up=True) == []


@pytest.mark.parametrize(
    "of",
    [
        {},
        {"model": "small"},
        {"by": "large"},
        {"adapter": "legal"},
        {"model": "small", "by": "small"},
        {"model": "small", "by": "large", "adapter": "legal"},
        {"model": "small", "instructions": "Be kind."},
        {"instructions": "Be kind.", "site_instructions": "Be kind."},
        {"documents": {"passages": 8}, "site_instructions": "Be kind."},
    ],
)
def test_a_change_of_nothing_of_half_or_of_two_things_is_a_mistake(of: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="a change is of"):
        change(**of)


@pytest.mark.parametrize(
    "wrong",
    [
        change("guards", site_instructions="Be kind."),
        change(model="small", by="other"),
        change(model="large", adapter=""),
        change(model="small", adapter="other"),
    ],
)
def test_what_is_not_there_or_not_the_groups_is_named(wrong: Change) -> None:
    (found,) = Learning(changes=(wrong,)).mistakes(MODELS, GROUPS, looks_up=True)
    assert found.startswith("learning.changes.0: one is of a group, a model or an adapter that is not there")


def test_two_of_one_name_and_documents_that_nobody_looks_up_are_named() -> None:
    twice = Learning(changes=(change(instructions=""), change(documents={"passages": 8})))
    found = twice.mistakes(MODELS, GROUPS, looks_up=False)
    assert [one.rpartition(": ")[2] for one in found] == [
        "one is of documents, and `documents.model` names none that looks them up",
        "one is the name of two changes of clerks",
    ]
