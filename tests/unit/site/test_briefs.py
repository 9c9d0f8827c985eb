"""A group's brief is off unless the site says so, and counts as what its people are told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.gateway.doubles import site

BRIEFED = [{"name": "clerks", "models": ["small", "minilm"], "brief": True}]
MODELS = [{"name": "small"}, {"name": "minilm", "context_tokens": 256}]


def test_no_group_has_one_unless_the_site_says_so() -> None:
    assert not any(group.brief for group in site().groups)


def test_its_tokens_are_counted_against_what_stays_in_memory_and_refused_by_how_much() -> None:
    models = [{"name": "small", "pinned_tokens": 400}, MODELS[1]]
    with pytest.raises(ValidationError, match="take about 512 tokens, and 400 stay in memory"):
        site(groups=BRIEFED, models=models, documents={"model": "minilm"})
    site(groups=BRIEFED, models=models, documents={"model": "minilm"}, memory={"compile": {"tokens": 400}})


def test_it_leaves_room_in_the_models_that_answer_and_the_embedding_model_is_none_of_them() -> None:
    site(groups=BRIEFED, models=MODELS, documents={"model": "minilm"})
    short = [{"name": "small", "context_tokens": 1000}, MODELS[1]]
    with pytest.raises(ValidationError, match="with the site's and its brief, no room is left in small's 1000 tokens"):
        site(groups=BRIEFED, models=short, documents={"model": "minilm"})


@pytest.mark.parametrize("said", [{"at": "24:00"}, {"at": "2:30"}, {"tokens": 128}, {"joules": 0}, {"often": True}])
def test_what_cannot_be_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        site(memory={"compile": said})
