"""A change is rolled out by results that were given under it, and by no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.cli.change_results import digests
from appliance.errors import UsageError
from appliance.gateway.changes import words_digest
from tests.gateway.doubles import site
from tests.learning.seeded_results import DIGEST, items, of_rows, results

if TYPE_CHECKING:
    from appliance.learning.results import Results

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


def given(words: str, weights: str = DIGEST, change: str | None = None) -> Results:
    told = {"instructions": {"group": words_digest(words)}, "model": weights, "group": "analysts"}
    rows = [one.model_copy(update=told) for one in results(items(30), 1).rows]
    return of_rows(rows, groups=("analysts",), change=change)


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
    ],
)
def test_results_of_anything_else_begin_nothing(before: Results, after: Results) -> None:
    with pytest.raises(UsageError):
        digests(SITE, WORDS, before, after)
    with pytest.raises(UsageError):
        digests(SITE, MODEL, given(OLD), given(OLD, change="larger"))
