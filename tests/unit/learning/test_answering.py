"""What a new site.yaml changes of what a group is answered under, and which of it a gate let pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.looking import DEFAULT, Looking
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
    "larger": "models and adapters",
    "legal": "models and adapters",
    "bare": "models and adapters",
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
LARGE, SMALL = {"name": "large", "adapters": ["big", "bad"]}, {"name": "small", "adapters": ["plain", "legal"]}
REORDERED = {"models": [LARGE, SMALL, {"name": "minilm"}, {"name": "tiny"}]}
"""Of a site that names the larger model first."""


@pytest.mark.parametrize(
    ("group", "more"),
    [
        pytest.param({"models": ["tiny"], "adapters": []}, {}, id="another model"),
        pytest.param({"models": ["large"], "adapters": []}, {}, id="without the adapter that it passed with"),
        pytest.param({"models": ["large"], "adapters": ["bad"]}, {}, id="with another adapter"),
        pytest.param(
            {"models": ["small", "large"], "adapters": ["plain", "bad"]}, REORDERED, id="first, and so adapted"
        ),
        pytest.param(
            {"models": ["small", "large"], "adapters": ["legal", "big"]}, REORDERED, id="and another's adapter"
        ),
        pytest.param({"models": ["small", "tiny"], "adapters": ["legal"]}, {}, id="an adapter beside a new model"),
    ],
)
def test_what_a_model_that_passed_does_not_bring_is_refused(group: dict[str, Any], more: dict[str, Any]) -> None:
    assert unjudged(held(NOW), PASSED_LARGER, parts(config(group, **more))) == ["models and adapters"]


@pytest.mark.parametrize(
    ("group", "more"),
    [
        pytest.param({"models": ["large"]}, {}, id="in the other's place"),
        pytest.param({"models": ["small", "large"]}, REORDERED, id="first, with the other behind it"),
        pytest.param({"models": ["small", "large", "tiny"], "adapters": ["plain", "bad"]}, {}, id="others behind it"),
    ],
)
def test_a_model_that_passed_may_go_first_or_alone_and_others_may_come_behind(
    group: dict[str, Any], more: dict[str, Any]
) -> None:
    assert unjudged(held(NOW), PASSED_LARGER, parts(config(group, **more))) == []


def test_the_model_that_people_find_first_is_another_only_where_that_passed() -> None:
    """A new conversation begins with it."""
    first = parts(config({"models": ["small", "large"]}, **REORDERED))
    assert unjudged(held(NOW), {}, first) == ["models and adapters"]


def test_a_group_that_has_no_model_for_a_while_comes_back_to_those_that_it_had() -> None:
    nothing = parts(config({"models": [], "adapters": []}))
    assert unjudged(held(NOW), {}, nothing) == []
    meanwhile = {part: (nothing.get(part, values[0]), *values) for part, values in held(NOW).items()}
    assert unjudged(meanwhile, {}, parts(NOW)) == []
    assert unjudged(meanwhile, {}, parts(config({"models": ["tiny"]}))) == ["models and adapters"]


def test_several_parts_are_named_at_once() -> None:
    wanted = parts(config({"instructions": "", "adapters": ["big"]}, instructions="Be strict."))
    assert unjudged(held(NOW), {}, wanted) == [
        "instructions",
        "the site's instructions",
        "models and adapters",
    ]


@pytest.mark.parametrize("passages", [3, 5])
@pytest.mark.parametrize("nothing_fits", ["abstain", "answer"])
@pytest.mark.parametrize("own", [None, {"passages": 8}, {"nothing_fits": "answer"}, {"meaning": 4}, {"meaning": 1}])
@pytest.mark.parametrize("meaning", [1, 4])
def test_two_sites_look_documents_up_alike_here_where_they_do_for_the_gateway(
    passages: int, nothing_fits: str, own: dict[str, Any] | None, meaning: float
) -> None:
    said = {"model": "minilm", "passages": passages, "nothing_fits": nothing_fits, "meaning": meaning}
    found = config({"documents": own}, documents=said)
    told = Looking.of(found, found.groups[0]).told()
    assert parts(found)["how documents are looked up"] == ", ".join(f"{name} {value}" for name, value in told.items())


def test_a_site_that_says_nothing_of_meaning_is_held_to_what_it_was_judged_under_before_it_could() -> None:
    found = config({}, documents={"model": "minilm", "passages": 5, "nothing_fits": "abstain"})
    assert parts(found)["how documents are looked up"] == "passages 5, nothing_fits abstain"
    assert Looking.of(found, found.groups[0]) == DEFAULT
    assert DEFAULT.told() == {"passages": 5, "nothing_fits": "abstain"}
