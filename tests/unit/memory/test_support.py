"""When a passage carries a claim: verbatim, by its words, or not at all."""

from __future__ import annotations

import pytest

from appliance.memory.support import Evidence, coverage
from appliance.memory.wording import figures
from tests.memory.labelled import SOUND, UNSOUND, agreement


def how(passage: str, claim: str, above: str = "") -> str:
    found = Evidence(passage, above).support(claim)
    return found.how if found else "unsupported"


def test_a_claim_that_stands_in_the_passage_is_quoted_and_its_place_is_told() -> None:
    body = "First.\nVisitors  may park\nin bay seven. Last."
    found = Evidence(body).support("Visitors may park in bay seven. [2]")
    assert found is not None
    assert (found.how, body[found.first : found.last]) == ("quoted", "Visitors  may park\nin bay seven")


@pytest.mark.parametrize("claim", ["isitors may park", "Visitors may park in bay 1", "The bay holds 100 cars"])
def test_half_a_word_or_half_a_number_is_no_quotation(claim: str) -> None:
    assert how("Visitors may park in bay 17. The bay holds 1000 cars.", claim) != "quoted"


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("Visitors may park for ninety minutes in bay seven.", "worded"),
        ("Visitors may not park for ninety minutes in bay seven.", "unsupported"),
        ("Visitors may park for 20 minutes in bay seven.", "unsupported"),
        ('The rule is "visitors may stay overnight in bay seven".', "unsupported"),
    ],
)
def test_figures_denials_and_quotations_decide_where_the_other_words_agree(claim: str, expected: str) -> None:
    assert how("In bay seven, visitors may park for at most ninety minutes.", claim) == expected


@pytest.mark.parametrize(
    "claim",
    [
        "Visitors can't park in bay seven.",
        "Visitors mustn\u2019t park in bay seven.",
        "Visitors are forbidden to park in bay seven.",
        "Besuchern ist das Parken in Bay seven verboten.",
        "Il est interdit to park, visitors, in bay seven.",
    ],
)
def test_whatever_denies_is_not_carried_by_what_allows(claim: str) -> None:
    assert how("Visitors may park in bay seven.", claim) == "unsupported"


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("Backups are kept for 35 days on the host.", "worded"),
        ("Backups are kept for 35 years.", "unsupported"),
        ("Backups are kept at -35.", "unsupported"),
        ("The host keeps backups: 35.", "worded"),
        ("The limit for visitors is 30 days.", "unsupported"),
    ],
)
def test_a_figure_is_one_of_the_same_thing_and_said_of_the_same_thing(claim: str, expected: str) -> None:
    passage = "The host keeps backups for 35 days. Staff may park for 30 days. The limit is 90 minutes for visitors."
    assert how(passage, claim.replace("are kept", "keeps")) == expected


def test_headings_help_a_claim_but_do_not_carry_one() -> None:
    assert how("The fee is 40 francs.", "The fee for parking cards is 40 francs.", "Parking cards") == "worded"
    assert how("The fee is 40 francs.", "Parking cards.", "Parking cards") == "unsupported"


def test_figures_are_compared_as_numbers() -> None:
    assert how("The hall holds 1'200 people at 3,5 bar.", "People in the hall: 1200, at 3.5 bar.") == "worded"


def test_the_rule_agrees_with_people_on_at_least_85_in_100_labelled_claims() -> None:
    assert len(SOUND) + len(UNSOUND) >= 50
    assert agreement() >= 0.85


def test_no_claim_with_a_number_that_its_passage_lacks_is_called_supported() -> None:
    other = [(passage, claim) for passage, claim in UNSOUND if figures(claim) - figures(passage)]
    assert len(other) >= 5
    assert {how(*pair) for pair in other} == {"unsupported"}


def test_how_much_of_a_question_a_text_holds() -> None:
    assert coverage("How long may visitors park?", "Visitors park in the yard.") == pytest.approx(2 / 3)
    assert coverage("And why?", "Anything.") == 0.0
