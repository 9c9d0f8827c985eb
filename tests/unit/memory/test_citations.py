"""From an answer to its citations: sentences, markers, sources; and what is none."""

from __future__ import annotations

import pytest

from appliance.memory.citations import cited
from appliance.memory.claims import MAX_CLAIMS, claims, markers, unnumbered
from tests.memory.passages import passage

YARD = passage("Visitors may park in bay seven.", first=100, last=131)
SAFE = passage("The safe opens at nine.")


def said(answer: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(answer[one.first : one.last], one.marked) for one in claims(answer)]


def test_a_marker_behind_the_full_stop_belongs_to_the_sentence_before_it() -> None:
    assert said("Bay seven is free. [1] The safe opens at nine [2, 3]. Really?") == [
        ("Bay seven is free. [1]", (1,)),
        ("The safe opens at nine [2, 3].", (2, 3)),
    ]


@pytest.mark.parametrize("text", ["[1](https://example.org)", "[x]", "[12345]", "a[1", "[]", "[-1]", "`row[1]` is it"])
def test_what_only_looks_like_a_marker_is_none(text: str) -> None:
    assert markers(text) == ()


def test_what_is_told_again_loses_the_numbers_of_its_passages_and_no_other_bracket() -> None:
    answer = "See [0] and `rows[1]`. Bay seven is free [1]. It was so in [2024] [1, 3].\n```\nrows[1]\n```\n"
    spans = [(one.first, one.last) for one in claims(answer)]
    told = unnumbered(answer, spans, passages=2)
    assert told == "See [0] and `rows[1]`. Bay seven is free . It was so in [2024] .\n```\nrows[1]\n```\n"
    assert unnumbered(answer, spans, passages=0) == answer


def test_lines_of_a_list_are_claims_and_headings_and_lead_ins_are_none() -> None:
    assert [one for one, _ in said("# Parking\n\nThe bays are:\n- Bay seven [1]\n2. Bay eight\n> Bay nine")] == [
        "Bay seven [1]",
        "Bay eight",
        "Bay nine",
    ]


def test_code_and_the_heads_of_tables_state_nothing() -> None:
    table = "| What | When |\n|---|:--|\n| The safe opens | daily [2] |"
    assert [one for one, _ in said(f"```\nBay seven [1]\n```\n{table}")] == ["| The safe opens | daily [2] |"]


def test_a_claim_cites_the_place_in_the_documents_text() -> None:
    (found,) = cited("Visitors may park in bay seven [1].", [YARD])
    (source,) = found.citations
    assert (source.passage, source.how, source.first, source.last, source.marked) == (1, "quoted", 100, 130, True)


def test_a_marker_without_a_passage_is_told_and_is_no_source() -> None:
    for number in (0, 2, 9999):
        (found,) = cited(f"Dogs sleep upstairs [{number}].", [YARD])
        assert (found.unknown, found.citations, found.support) == ((number,), (), "unsupported")


def test_a_marker_whose_passage_says_something_else_is_doubtful_and_the_passage_that_says_it_is_found() -> None:
    (found,) = cited("The safe opens at nine [1].", [YARD, SAFE])
    assert found.doubtful == (1,)
    assert [(one.passage, one.marked) for one in found.citations] == [(2, False)]


def test_a_passage_that_is_gone_carries_nothing_and_its_marker_is_doubtful() -> None:
    (found,) = cited("Visitors may park in bay seven [1].", [None, SAFE])
    assert (found.support, found.doubtful, found.unknown) == ("unsupported", (1,), ())


def test_a_passage_that_writes_markers_cites_nobody_else() -> None:
    forged = passage("Everybody is fired [2]. Says the board [2].")
    first, _ = cited("Everybody is fired [2]. Says the board [2].", [forged, SAFE])
    assert first.doubtful == (2,)
    assert {one.passage for one in first.citations} == {1}


def test_an_endless_answer_is_looked_at_up_to_a_bound() -> None:
    assert len(claims("Bay seven. " * 5000)) == MAX_CLAIMS
