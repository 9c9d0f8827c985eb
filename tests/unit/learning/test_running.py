"""A line about an answer goes by its receipt: what it cites, and whether the site itself declined."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from appliance.learning.cases import Case, Content
from appliance.learning.running import Answered, Question, scored

CITED, SEEN, GONE = ("sha256:" + letter * 64 for letter in "abc")


def passage(number: int, digest: str, *, cited: bool, gone: bool = False) -> dict[str, Any]:
    place = {"document": str(uuid.UUID(int=number)), "version": 1, "first": 0, "last": 40}
    return {"number": number, **place, "digest": digest, "page": None, "cited": cited, "gone": gone}


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


RESTED = {
    "outcome": "answered",
    "checked": True,
    "passages": [passage(1, CITED, cited=True), passage(2, SEEN, cited=False), passage(3, GONE, cited=True, gone=True)],
    "claims": [{"first": 0, "last": 12, "citations": [{"passage": 1, "first": 3, "last": 20}]}],
}


@pytest.mark.parametrize(("digest", "score"), [(CITED, 1.0), (SEEN, 0.0), (GONE, 0.0)])
def test_cited_is_what_a_claim_rests_on_and_not_what_the_model_was_shown(digest: str, score: float) -> None:
    assert row("cited", [digest], "It is 180 days [1].", RESTED).score == score
    assert row("cited", [digest], "It is 180 days [1].", None).score == 0


def test_an_answer_that_the_site_declined_has_declined_in_whatever_words() -> None:
    abstained = {"outcome": "abstained", "checked": True, "passages": [], "claims": []}
    found = row("refusal", [], "No passage of the library fits this question.", abstained)
    assert (found.score, found.declined) == (1.0, True)
    assert row("refusal", ["180"], "No passage fits; it is 180.", abstained).score == 0
    assert row("refusal", [], "No passage of the library fits this question.", RESTED).score == 0
    assert row("refusal", [], "I cannot answer that.", None).score == 1
