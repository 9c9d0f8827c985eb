"""A case says what can be checked, is known by its digest, and one that contradicts another is seen."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from appliance.learning.cases import Case, Content, contradict, digest_of, read_cases
from appliance.learning.errors import CaseError


def content(**changes: Any) -> Content:
    fields: dict[str, Any] = {
        "question": "How long is the notice period?",
        "kind": "contains",
        "expected": ["180 days"],
        "groups": ["analysts"],
        "language": "en",
    }
    return Content.model_validate(fields | changes)


def test_the_digest_is_of_what_is_asked_and_expected_and_of_nothing_else() -> None:
    assert content().digest == content(question="  How long is the notice period? ").digest
    assert content(groups=["a", "b"]).digest == content(groups=["b", "a"]).digest
    others = [content(expected=["90 days"]), content(vital=True), content(kind="exact"), content(language="de")]
    assert len({one.digest for one in (content(), *others)}) == 5


def test_a_set_of_cases_has_one_digest_in_any_order_and_another_with_any_change() -> None:
    one, other = (Case(uuid.UUID(int=n), 1, content(question=f"question {n}")) for n in (1, 2))
    assert digest_of([one, other]) == digest_of([other, one])
    assert digest_of([one]) != digest_of([one, other])
    assert digest_of([Case(one.id, 2, one.content), other]) != digest_of([one, other])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expected": []}, "says what is expected"),
        ({"kind": "language", "expected": ["klingon"]}, "one of en, fr, de"),
        ({"kind": "language", "expected": ["en", "fr"]}, "one of en, fr, de"),
        ({"kind": "exact", "expected": ["..."]}, "more than punctuation"),
        ({"expected": ["?!"]}, "has words"),
        ({"groups": []}, "groups"),
        ({"groups": ["a", "a"]}, "twice"),
        ({"groups": ["../x"]}, "groups"),
        ({"question": "  "}, "question"),
        ({"question": "x" * 4001}, "question"),
        ({"expected": ["x"] * 11}, "expected"),
        ({"kind": "judged"}, "kind"),
        ({"extra": 1}, "extra"),
        ({"vital": "yes"}, "vital"),
    ],
)
def test_a_case_that_cannot_be_checked_is_refused_with_its_line(changes: dict[str, Any], said: str) -> None:
    good = json.loads(content().model_dump_json())
    raw = json.dumps(good).encode() + b"\n\n" + json.dumps(good | changes).encode()
    with pytest.raises(CaseError, match=said) as refused:
        read_cases(raw, "cases.jsonl")
    assert refused.value.cause.startswith("cases.jsonl:3: ")
    assert "\n" not in refused.value.cause


@pytest.mark.parametrize("raw", [b"{", b'{"a":1,"a":2}', b"[" * 5000, b"\xff", b'"x"', b"x" * 70_000, b"null"])
def test_what_is_no_case_is_refused(raw: bytes) -> None:
    with pytest.raises(CaseError, match=r"cases\.jsonl:1"):
        read_cases(raw, "cases.jsonl")


def test_cases_survive_being_written_and_read() -> None:
    said = [content(), content(kind="refusal", expected=[], vital=True), content(kind="language", expected=["fr"])]
    assert read_cases(b"\n".join(one.model_dump_json().encode() for one in said), "x") == tuple(said)


CONTRADICTING = [
    ({}, {"expected": ["90 days"]}),
    ({"kind": "exact", "expected": ["180"]}, {"kind": "exact", "expected": ["90"]}),
    ({"kind": "exact", "expected": ["180 days"]}, {"expected": ["90 days"]}),
    ({}, {"kind": "refusal", "expected": []}),
    ({"kind": "language", "expected": ["fr"]}, {"kind": "language", "expected": ["en"]}),
    ({}, {"question": "how long is the notice period", "expected": ["90 days"]}),
]
COMPATIBLE = [
    ({}, {}),
    ({}, {"expected": ["180 days", "in writing"]}),
    ({}, {"kind": "exact", "expected": ["It is 180 days."]}),
    ({}, {"kind": "language", "expected": ["en"]}),
    ({}, {"groups": ["clerks"], "expected": ["90 days"]}),
    ({}, {"question": "How long is the lunch break?", "expected": ["one hour"]}),
    ({"kind": "exact", "expected": ["180", "180 days"]}, {"kind": "exact", "expected": ["180 Days."]}),
]


@pytest.mark.parametrize(("one", "other"), CONTRADICTING)
def test_two_cases_that_no_answer_satisfies_contradict(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert contradict(content(**one), content(**other))
    assert contradict(content(**other), content(**one))


@pytest.mark.parametrize(("one", "other"), COMPATIBLE)
def test_two_cases_that_one_answer_satisfies_do_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not contradict(content(**one), content(**other))
    assert not contradict(content(**other), content(**one))
