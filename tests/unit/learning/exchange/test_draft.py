"""A draft holds what may go, says what stays, and hides nothing from whoever reads it."""

from __future__ import annotations

import uuid

import pytest

from appliance.learning.cases import Case, Content
from appliance.learning.errors import ExchangeError
from appliance.learning.exchange.draft import (
    Drafted,
    Given,
    drafted,
    read_left,
    read_work,
    retired_of,
    work_bytes,
    work_of,
)
from appliance.learning.exchange.export import Head, read_export
from appliance.learning.exchange.redactor import Redactor
from appliance.learning.exchange.sheet import sheet
from tests.learning.exchanging import export, shared

HEAD = Head(site="north", number=3, made="2026-11-20", approvals=2)
PLAIN = {"question": "Where do bicycles stand?", "kind": "contains", "expected": ("north gate",), "language": "en"}


def given(number: int = 1, *, own_words: bool = False, released: bool = False, **more: object) -> Given:
    said = {**PLAIN, "groups": ("analysts",), **more}
    return Given(Case(uuid.UUID(int=number), 1, Content.model_validate(said)), own_words=own_words, released=released)


def made(*cases: Given, retired: tuple[str, ...] = (), redactor: Redactor | None = None) -> Drafted:
    work, left = work_of(cases, {"analysts": "research"})
    return drafted(HEAD, work, redactor or Redactor(groups=["analysts"]), retired=retired, left=left)


def test_cases_go_without_groups_and_what_stays_is_counted() -> None:
    found = made(
        given(1),
        given(2, own_words=True, question="My own words?"),
        given(3, released=True, question="Another one?"),
        given(4, question="In documents?", documents=True),
        given(5, question="Unseen\u202e?"),
    )
    assert [(one.roles, one.case.question) for one in found.export.cases] == [(("research",), PLAIN["question"])]
    assert list(found.left.told().values()) == [1, 1, 1, 1]
    assert b"analysts" not in found.export.to_bytes()
    assert b"own words" not in found.export.to_bytes()


def test_two_groups_that_ask_the_same_are_one_case() -> None:
    found = made(given(1), given(2, groups=("clerks",)))
    assert len(found.export.cases) == 1
    assert len(found.sent[found.export.cases[0].digest]) == 2


def test_a_flagged_case_is_held_back_until_it_is_edited() -> None:
    found = made(given(1), given(2, question="Who is clerk@ministry.example?"))
    assert [one.held for one in found.held] == [("email", "link")]
    assert b"ministry" not in found.export.to_bytes()
    edited = work_bytes(found.work).replace(b"clerk@ministry.example", b"in charge of parking")
    again = drafted(HEAD, read_work(edited), Redactor(), retired=())
    assert again.held == ()
    assert len(again.export.cases) == 2
    lied = work_bytes(found.work).replace(b'"held": ["email", "link"]', b'"held": []')
    assert [one.held for one in drafted(HEAD, read_work(lied), Redactor(), retired=()).held] == [("email", "link")]


def test_what_the_site_retired_is_told_and_what_somebody_only_kept_back_is_not() -> None:
    one, other, third = shared(), shared("Where is the lift?", "hall"), shared("Who has the key?", "porter")
    sent = {one.digest: ("a 1",), other.digest: ("b 1", "c 1"), third.digest: ("d 1",)}
    gone = retired_of(sent, {"c 1", "d 2"})
    assert gone == (one.digest, third.digest)
    found = made(given(1), retired=gone)
    assert {line.digest for line in found.export.retired} == set(gone)
    same = made(given(1, question=one.question, expected=one.expected), retired=gone)
    assert [line.digest for line in same.export.retired] == [third.digest]


def test_more_than_an_export_holds_is_refused_before_anybody_signs() -> None:
    long = tuple("x " * 450 + str(number) for number in range(10))
    many = [given(number, question=f"{number}?", expected=long) for number in range(1, 1000)]
    with pytest.raises(ExchangeError, match="are the most"):
        made(*many)
    with pytest.raises(ExchangeError, match="are the most"):
        made(retired=tuple(f"sha256:{number:064x}" for number in range(20_001)))


def test_the_sheet_says_whether_names_of_accounts_were_looked_for() -> None:
    found = made(given(1))
    assert "--without-accounts" in sheet(found)
    looked = HEAD.model_copy(update={"accounts": True})
    assert "--without-accounts" not in sheet(drafted(looked, found.work, Redactor(), retired=()))


def test_equal_cases_give_equal_bytes_in_whatever_order_they_come() -> None:
    cases = [given(1), given(2, question="What is due?"), given(3, question="Who is clerk@x.example?")]
    one, other = made(*cases), made(*reversed(cases))
    assert one.export.to_bytes() == other.export.to_bytes()
    assert work_bytes(one.work) == work_bytes(other.work)
    assert sheet(one) == sheet(other)
    assert read_export(one.export.to_bytes()) == one.export


def test_the_sheet_holds_every_text_and_lets_none_be_markup() -> None:
    hostile = "<script>alert(1)</script>\n# heading\n[link](x)"
    found = made(given(1, question=hostile), given(2, question="Who is clerk@x.example?"))
    text = sheet(found)
    lines = text.split("\n")
    for part in hostile.split("\n"):
        assert f"      {part}" in lines
        assert part not in lines
    assert "      Who is clerk@x.example?" in lines
    assert found.export.digest in text


def test_the_sheet_says_what_was_found_and_marks_what_may_be_a_name_in_what_goes() -> None:
    asked = "Is it true that Quercus Larix left?"
    found = made(given(1, question="Does Betula work on Fridays?"), given(2, question=asked))
    lines = sheet(found).split("\n")
    assert "    a name? Does Betula, Fridays" in lines
    assert "    found name: Quercus Larix" in lines
    assert "Larix" not in found.export.to_bytes().decode()


@pytest.mark.parametrize(
    "data",
    [b"{}\n", b'{"held":[],"roles":["A B"],"case":{},"cases":["x"]}\n', b"\x00\n", b"[1]\n", b"{}\n" * 5000],
)
def test_work_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ExchangeError):
        read_work(data)


def test_counts_that_are_none_are_refused() -> None:
    with pytest.raises(ExchangeError):
        read_left(b'{"own_words": "many"}')


def test_an_export_reads_back_as_it_was_written() -> None:
    found = export("north", 1, shared(), retired=(shared("x y z?", "w").digest,), roles=("research",))
    assert read_export(found.to_bytes()) == found
