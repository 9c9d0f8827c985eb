"""A change is rolled out by results that were given under it, and by no others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli.change_results import digests
from appliance.errors import UsageError
from appliance.gateway.changes import words_digest
from appliance.learning.answering import tried
from tests.gateway.doubles import site
from tests.learning.seeded_results import DIGEST, items, of_rows, results

if TYPE_CHECKING:
    from appliance.learning.results import Results
    from appliance.site.rolling import Change

LARGER = "sha256:" + "1a" * 32
OLD, NEW = "Be kind.", "Be kind and brief."
SITE = site(
    groups=[{"name": "analysts", "models": ["small"], "instructions": OLD}],
    learning={
        "changes": [
            {"name": "brief", "group": "analysts", "instructions": NEW},
            {"name": "larger", "group": "analysts", "model": "small", "by": "large"},
        ]
    },
)
WORDS, MODEL = SITE.learning.changes
DIGESTS: dict[str | None, str] = {one.name: tried(SITE, one) for one in SITE.learning.changes}


def given(words: str, weights: str = DIGEST, change: str | None = None, **about: Any) -> Results:
    told = {"instructions": {"group": words_digest(words)}, "model": weights, "group": "analysts"}
    told |= {"score": about.pop("worth")} if "worth" in about else {}
    rows = [one.model_copy(update=told) for one in results(items(30), 1).rows]
    return of_rows(rows, groups=("analysts",), change=change, change_digest=DIGESTS.get(change), **about)


def test_digests_are_those_of_the_words_and_of_the_weights_that_answered() -> None:
    assert digests(SITE, WORDS, given(OLD), given(NEW, change="brief")) == (words_digest(OLD), words_digest(NEW))
    assert digests(SITE, MODEL, given(OLD), given(OLD, LARGER, "larger")) == (DIGEST, LARGER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (given(OLD), given(NEW)),
        (given(OLD), given(OLD, change="brief")),
        (given(NEW), given(NEW, change="brief")),
        (given(OLD), given("Be strict.", change="brief")),
        (given(NEW, change="brief"), given(NEW, change="brief")),
        (given(OLD), given(NEW, change="larger")),
        (given(OLD), given(NEW, LARGER, change="brief")),
        (given(OLD, pack="none"), given(NEW, change="brief")),
        (given(OLD, site="elsewhere"), given(NEW, change="brief")),
        (given(OLD, worth=0.0), given(NEW, change="brief")),
    ],
)
def test_results_of_anything_else_begin_nothing(before: Results, after: Results) -> None:
    with pytest.raises(UsageError):
        digests(SITE, WORDS, before, after)
    with pytest.raises(UsageError):
        digests(SITE, MODEL, given(OLD), given(OLD, change="larger"))


@pytest.mark.parametrize("change", SITE.learning.changes)
def test_a_change_that_was_edited_after_it_was_tried_is_another(change: Change) -> None:
    """Its name is the same, and so are the digests of what the former one was given under."""
    after = given(NEW, change="brief") if change is WORDS else given(OLD, LARGER, "larger")
    digests(SITE, change, given(OLD), after)
    edited = change.model_copy(
        update={"model": "large", "by": "small"} if change is MODEL else {"instructions": "Be kind and brief!"}
    )
    with pytest.raises(UsageError, match="is another change in site"):
        digests(SITE, edited, given(OLD), after)


def test_a_models_change_is_another_where_the_model_is_adapted_otherwise_now() -> None:
    adapted = SITE.model_copy(
        update={
            "models": tuple(one.model_copy(update={"adapters": ("big",)}) for one in SITE.models),
            "groups": tuple(one.model_copy(update={"adapters": ("big",)}) for one in SITE.groups),
        }
    )
    with pytest.raises(UsageError, match="is another change in site"):
        digests(adapted, MODEL, given(OLD), given(OLD, LARGER, "larger"))


def test_cases_that_only_one_of_both_answered_are_not_held_against_the_change() -> None:
    """One was withdrawn meanwhile, one the site refused, and those were the only ones from documents."""
    before, after = given(OLD), given(NEW, change="brief")
    looked_up = before.rows[0].model_copy(update={"looked_up": DIGEST})
    digests(SITE, WORDS, replace(before, rows=(looked_up, *before.rows[1:])), replace(after, rows=after.rows[1:]))
    with pytest.raises(UsageError, match="more differs"):
        digests(SITE, WORDS, replace(before, rows=(looked_up, *before.rows[1:])), after)
