"""What a new site.yaml changes of what a group is answered under, and which of it a gate let pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.looking import Looking
from appliance.learning.answering import brought_by, parts_of, unjudged
from tests.gateway.doubles import site

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig

CHANGES = [
    {"name": "kinder", "group": "analysts", "instructions": "Be kind and brief."},
    {"name": "town", "group": "analysts", "site_instructions": "You serve the region."},
    {"name": "larger", "group": "analysts", "model": "small", "by": "large"},
    {"name": "legal", "group": "analysts", "model": "small", "adapter": "legal"},
    {"name": "bare", "group": "analysts", "model": "small", "adapter": ""},
    {"name": "more", "group": "analysts", "documents": {"passages": 8}},
]
GROUP: dict[str, Any] = {
    "name": "analysts",
    "models": ["small"],
    "adapters": ["plain", "big"],
    "instructions": "Be kind.",
}
KEPT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "kinder": ({"instructions": " Be kind and brief.\n"}, {}),
    "town": ({}, {"instructions": "You serve the region."}),
    "larger": ({"models": ["large"], "adapters": ["big"]}, {}),
    "legal": ({"adapters": ["legal", "big"]}, {}),
    "bare": ({"adapters": ["big"]}, {}),
    "more": ({"documents": {"passages": 8}}, {}),
}
"""What site.yaml says of the group, and of the site, once a change is in force."""
PARTS = {
    "kinder": "instructions",
    "town": "the site's instructions",
    "larger": "models",
    "legal": "the adapter of small",
    "bare": "the adapter of small",
    "more": "how documents are looked up",
}


def config(group: dict[str, Any] | None = None, **more: Any) -> SiteConfig:
    said: dict[str, Any] = {
        "instructions": "You serve the town.",
        "documents": {"model": "minilm"},
        "models": [
            {"name": "small", "adapters": ["plain", "legal"]},
            {"name": "large", "adapters": ["big", "bad"]},
            {"name": "minilm"},
            {"name": "tiny"},
        ],
        "groups": [GROUP | (group or {}), {"name": "clerks", "models": ["small", "large"]}],
    }
    return site(**said | more)


def parts(found: SiteConfig) -> dict[str, str]:
    return parts_of(found, found.groups[0])


def held(found: SiteConfig) -> dict[str, tuple[str, ...]]:
    return {part: (value,) for part, value in parts(found).items()}


NOW = config(learning={"changes": CHANGES})
BY_NAME = {one.name: one for one in NOW.learning.changes}


@pytest.mark.parametrize("name", BY_NAME)
def test_what_a_gate_let_pass_may_come_into_force_and_nothing_else(name: str) -> None:
    of_group, of_site = KEPT[name]
    wanted = parts(config(of_group, **of_site))
    assert unjudged(held(NOW), {}, wanted) == [PARTS[name]]
    for other, change in BY_NAME.items():
        passed = {part: [value] for part, value in brought_by(NOW, change).items()}
        assert unjudged(held(NOW), passed, wanted) == ([] if other == name else [PARTS[name]])


def test_what_was_in_force_before_may_come_back() -> None:
    of_group, of_site = KEPT["kinder"]
    former = parts(config(of_group, **of_site))
    both = {part: (*values, former[part]) for part, values in held(NOW).items()}
    assert unjudged(both, {}, former) == []


@pytest.mark.parametrize(
    "group",
    [
        pytest.param({"weight": 5.0, "per_user": {"tokens_per_day": 5}}, id="limits"),
        pytest.param({"models": ["small", "large"]}, id="another model beside the one that is there"),
        pytest.param({"brief": True}, id="a brief, whose nights have a gate of their own"),
        pytest.param({"documents": {"passages": 5}}, id="the site's settings, said of the group"),
    ],
)
def test_what_takes_the_place_of_nothing_needs_no_gate(group: dict[str, Any]) -> None:
    assert unjudged(held(NOW), {}, parts(config(group, memory={"compile": {}}))) == []


def test_documents_that_could_not_be_looked_up_before_are_new() -> None:
    without = config(documents={})
    assert unjudged(held(without), {}, parts(NOW)) == []


PASSED_LARGER = {part: [value] for part, value in brought_by(NOW, BY_NAME["larger"]).items()}


def test_a_model_that_passed_in_anothers_place_must_be_there_for_the_other_to_go() -> None:
    neither = parts(config({"models": ["tiny"], "adapters": []}))
    assert unjudged(held(NOW), PASSED_LARGER, neither) == ["models"]


def test_a_model_comes_in_anothers_place_with_the_adapter_that_it_passed_with() -> None:
    for adapters in ([], ["bad"]):
        other = parts(config({"models": ["large"], "adapters": adapters}))
        assert unjudged(held(NOW), PASSED_LARGER, other) == ["the adapter of large"]


def test_the_model_that_people_find_first_is_another_only_where_that_passed() -> None:
    """A new conversation begins with it."""
    models = [{"name": "large", "adapters": ["big", "bad"]}, {"name": "small", "adapters": ["plain", "legal"]}]
    first = parts(config({"models": ["small", "large"]}, models=[*models, {"name": "minilm"}]))
    assert unjudged(held(NOW), {}, first) == ["models"]
    assert unjudged(held(NOW), PASSED_LARGER, first) == []


def test_a_group_that_has_no_model_any_more_is_answered_by_none() -> None:
    assert unjudged(held(NOW), {}, parts(config({"models": [], "adapters": []}))) == []


def test_several_parts_are_named_at_once() -> None:
    wanted = parts(config({"instructions": "", "adapters": ["big"]}, instructions="Be strict."))
    assert unjudged(held(NOW), {}, wanted) == ["instructions", "the site's instructions", "the adapter of small"]


@pytest.mark.parametrize("passages", [3, 5])
@pytest.mark.parametrize("nothing_fits", ["abstain", "answer"])
@pytest.mark.parametrize("own", [None, {"passages": 8}, {"nothing_fits": "answer"}])
def test_two_sites_look_documents_up_alike_here_where_they_do_for_the_gateway(
    passages: int, nothing_fits: str, own: dict[str, Any] | None
) -> None:
    found = config(
        {"documents": own}, documents={"model": "minilm", "passages": passages, "nothing_fits": nothing_fits}
    )
    told = Looking.of(found, found.groups[0]).told()
    assert parts(found)["how documents are looked up"] == ", ".join(f"{name} {value}" for name, value in told.items())
