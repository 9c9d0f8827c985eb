"""Rulings are told or judge, never both; those that contradict each other are not told."""

from __future__ import annotations

import uuid
from typing import Any

from appliance.learning.briefs import contradicted, held_out, may_be_told, ruling_text
from appliance.learning.cases import Case, Content


def case(number: int, **said: Any) -> Case:
    about = {"question": f"How much is {number}?", "kind": "contains", "expected": [str(number)], "groups": ["clerks"]}
    return Case(uuid.UUID(int=number), 1, Content.model_validate({"language": "en", **about, **said}))


def test_a_case_that_judges_briefs_is_told_in_none_and_about_a_quarter_may_be_told() -> None:
    cases = [case(number) for number in range(400)]
    assert not any(held_out(one) and may_be_told(one) for one in cases)
    assert 60 <= sum(map(may_be_told, cases)) <= 140
    assert [held_out(one) for one in cases] == [held_out(one) for one in cases]


def test_only_rulings_that_say_what_is_so_are_told() -> None:
    told = next(one for one in map(case, range(40)) if may_be_told(one))
    number = told.id.int
    assert not may_be_told(case(number, kind="refusal"))
    assert not may_be_told(case(number, kind="language", expected=["en"]))
    assert ruling_text(told.content).splitlines() == [told.content.question, str(number)]


def test_of_rulings_that_contradict_each_other_none_is_told() -> None:
    one, other = case(1, question="Who signs the form?", expected=["the head"]), case(2, expected=["two"])
    against = case(3, question="Who signs the form?", expected=["the deputy"])
    pairs = [(found.id, found.content) for found in (one, other, against)]
    every = {found.id for found in (one, other, against)}
    assert contradicted(every, pairs) == {one.id, against.id}


def test_a_ruling_that_contradicts_one_which_judges_is_not_told_either() -> None:
    told, judging = (
        case(1, question="Who signs?", expected=["the head"]),
        case(2, question="Who signs?", expected=["x"]),
    )
    pairs = [(found.id, found.content) for found in (told, judging, case(3))]
    assert contradicted({told.id, case(3).id}, pairs) == {told.id, judging.id}
    assert contradicted({case(3).id}, pairs) == set()
