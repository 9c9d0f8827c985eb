"""Whatever a model writes and documents say: every citation is a span that is there, and no marker invents a source."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.memory.citations import cited
from appliance.memory.claims import claims, unmarked
from appliance.memory.quoting import MARK, asked
from appliance.memory.support import Evidence
from appliance.memory.wording import figures
from tests.memory.passages import passage

_WORDS = st.sampled_from(
    ["safe", "opens", "bay", "seven", "nine", "not", "30", "1'000", "Parken", "é", "[1]", "[2]", "[7]"]
)
_TEXT = st.lists(_WORDS | st.sampled_from([". ", "\n", "  ", "? ", '"', "- ", "]", "["]), max_size=40).map(" ".join)
_ANY = st.text(max_size=120)
_LINES = ("\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


@given(_TEXT | _ANY, st.lists(_TEXT | _ANY, max_size=3), st.integers(0, 500))
def test_every_citation_names_a_passage_that_was_given_and_lies_inside_it(
    answer: str, said: list[str], at: int
) -> None:
    given_passages = [passage(one, first=at, last=at + len(one)) for one in said]
    for claim in cited(answer, given_passages):
        assert 0 <= claim.first < claim.last <= len(answer)
        assert all(not 1 <= number <= len(said) for number in claim.unknown)
        assert {one.passage for one in claim.citations}.isdisjoint(claim.doubtful)
        for one in claim.citations:
            held = given_passages[one.passage - 1]
            assert held.first <= one.first < one.last <= held.last
            if one.how == "quoted":
                quoted = " ".join(held.body[one.first - at : one.last - at].split())
                assert quoted in " ".join(unmarked(answer[claim.first : claim.last]).split())


@given(_TEXT, st.lists(_TEXT, max_size=3))
def test_the_same_answer_and_passages_give_the_same_citations(answer: str, said: list[str]) -> None:
    passages = [passage(one) for one in said]
    assert cited(answer, passages) == cited(answer, passages)


@given(_TEXT | _ANY)
def test_without_passages_nothing_is_supported(answer: str) -> None:
    assert {one.support for one in cited(answer, [])} <= {"unsupported"}
    assert {one.support for one in cited(answer, [None, None])} <= {"unsupported"}


@given(_TEXT | _ANY)
def test_claims_stand_in_order_and_do_not_overlap(answer: str) -> None:
    end = 0
    for one in claims(answer):
        assert end <= one.first < one.last <= len(answer)
        end = one.last


@given(st.lists(_ANY, min_size=1, max_size=3), _ANY, st.sampled_from(_LINES))
def test_whatever_a_document_says_each_of_its_lines_stands_behind_the_mark(
    said: list[str], title: str, end: str
) -> None:
    plain = asked("why", [passage("a", "t") for _ in said])
    told = asked("why", [passage(one + end + one, title + end) for one in said])
    ours = [line for line in told.splitlines() if not line.startswith(MARK)]
    assert ours == [line for line in plain.splitlines() if not line.startswith(MARK)]


@given(_TEXT, _TEXT)
def test_a_claim_with_a_number_that_a_passage_lacks_is_not_carried_by_it(claim: str, body: str) -> None:
    plain = unmarked(claim)
    if figures(plain) - figures(body):
        assert Evidence(body).support(claim) is None
