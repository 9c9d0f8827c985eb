"""A line about an answer goes by its receipt: what it cites, and whether the site itself declined."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from appliance.gateway.grounding import Grounding, rested
from appliance.learning.cases import Case, Content
from appliance.learning.running import Answered, Question, scored
from appliance.memory.documents import Found

CITED, SEEN, GONE = ("sha256:" + letter * 64 for letter in "abc")


def receipt(documents: dict[str, Any] | None) -> dict[str, Any]:
    about: dict[str, Any] = {
        "usage": {"prompt_tokens": 9, "completion_tokens": 4},
        "model": {"digest": "sha256:" + "0" * 64},
        "log": {"answer_index": 7},
    }
    return about if documents is None else about | {"documents": documents}


def row(kind: str, expected: list[str], text: str, documents: dict[str, Any] | None) -> Any:
    said = {"question": "How long is it?", "kind": kind, "expected": expected, "groups": ["analysts"], "language": "en"}
    question = Question(Case(uuid.UUID(int=1), 1, Content.model_validate(said)), "analysts", 5)
    return scored(question, Answered(text, receipt(documents)))


def found(number: int, digest: str, body: str) -> Found:
    version = "sha256:" + f"{number}" * 64
    return Found(uuid.UUID(int=number), "Notice", digest, version, number, 0, 0, len(body), None, (), body, "en", 1.0)


SHOWN = (
    found(1, CITED, "The notice period is 180 days."),
    found(2, SEEN, "The canteen opens at noon."),
    found(3, GONE, "The safe opens at nine."),
)
ANSWER = "The notice period is 180 days [1]. The safe opens at nine [3]."
RESTED = rested(ANSWER, Grounding(SHOWN), (SHOWN[0], SHOWN[1], None))
"""What the gateway puts into a receipt; the third passage went away while the answer was written."""


@pytest.mark.parametrize(("digest", "score"), [(CITED, 1.0), (SEEN, 0.0), (GONE, 0.0)])
def test_cited_is_what_a_claim_rests_on_and_not_what_the_model_was_shown(digest: str, score: float) -> None:
    assert row("cited", [digest], ANSWER, RESTED).score == score
    assert row("cited", [digest], ANSWER, None).score == 0


def test_an_answer_that_the_site_declined_has_declined_in_whatever_words() -> None:
    abstained = rested("No passage of the library fits this question.", Grounding((), abstain=True), ())
    said = row("refusal", [], "No passage of the library fits this question.", abstained)
    assert (said.score, said.declined) == (1.0, True)
    assert row("refusal", ["180"], "No passage fits; it is 180.", abstained).score == 0
    assert row("refusal", [], "No passage of the library fits this question.", RESTED).score == 0
    assert row("refusal", [], "I cannot answer that.", None).score == 1
