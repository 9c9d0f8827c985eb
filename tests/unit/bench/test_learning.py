"""The benchmark of the loop holds the halves apart, scores by all three, and takes no figure for another."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from lxml import html

from appliance.engine.protocol import Admitted, End, Energy, Message, Request, Timing, Token, Usage
from appliance.learning.running import Answered
from tests.bench.learning import answers, documents, drawing, facts, first_token, ids, people, verbatim
from tests.bench.learning.answers import ARMS, Scored
from tests.bench.learning.facts import Fact
from tests.bench.learning.first_token import First, Turns
from tests.bench.learning.kept import KeptEngine, key_of, progress
from tests.bench.learning.questions import Question
from tests.bench.learning.right import Answering, whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from appliance.engine.protocol import Event

PAGE = """<html><body><h2>1. Sources</h2><p>The file <code class="filename">/etc/apt/sources.list</code> is read by
<code class="command">apt</code>, <em>always</em>, and by <code class="command">apt</code> again.</p>
<h3>1.1. Keys</h3><p><span class="pkg pkg">debian-keyring</span></p></body></html>"""
FACT = Fact("en", "Which file names the sources?", ("/etc/apt/sources.list", "dpkg"), "/p", "1. Sources", "recurring")
DIGEST = "sha256:" + "ab" * 32


def question(said: str, section: str | None = "1. Sources", language: str = "en", page: str = "/p") -> Question:
    return Question("by title", language, said, page, section, None)


def test_names_are_those_that_a_section_marks_and_no_other_sections() -> None:
    root = html.fromstring(PAGE)
    assert facts.named(root, "1. Sources") == ["/etc/apt/sources.list", "apt"]
    assert facts.named(root, "1.1. Keys") == ["debian-keyring"]
    assert facts.named(root, "2. Nothing") == []


def test_no_question_stands_in_both_halves_and_what_recurs_is_asked_of_both(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    asks = [question(f"Which of the sources is number {n}?", page=str(page)) for n in range(40)]
    asks += [question(f"What is the key of number {n}?", "1.1. Keys", page=str(page)) for n in range(40)]
    asks = [one for one in asks if one.held_out or one.section == "1. Sources"]  # of keys nobody asks by day
    half = facts.half(asks, "en", 10, 20)
    learning, held_out = ({one.question for one in of} for of in (half.learning, half.held_out))
    assert learning
    assert not learning & held_out
    held = {one.said: one.held_out for one in asks}
    assert not any(held[one] for one in learning)
    assert all(held[one] for one in held_out)
    assert {(one.stratum, one.section) for one in half.held_out} == {
        ("recurring", "1. Sources"),
        ("new", "1.1. Keys"),
    }
    assert sum(one.stratum == "recurring" for one in half.held_out) == 10


def test_what_a_question_gives_away_is_not_asked_for(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    asks = [question(f"What does apt read, {n} times?", page=str(page)) for n in range(20)]
    half = facts.half(asks, "en", 5, 5)
    assert {one.names for one in half.held_out} == {("/etc/apt/sources.list",)}


def answered(text: str, *, cited: bool) -> Answered:
    passages = [{"digest": DIGEST, "cited": cited, "gone": False}]
    return Answered(text, {"documents": {"passages": passages}})


def test_an_answer_is_worth_the_mean_of_three_scorers_and_a_refused_one_nothing() -> None:
    said = "That is in the file /etc/apt/sources.list, and this is the one that is read."
    assert answers.SCORERS == ("contains", "cited", "language")
    assert answers.scored(FACT, answered(said, cited=True), {DIGEST, "sha256:00"}).each == (0.5, 1.0, 1.0)
    assert answers.scored(FACT, answered(said, cited=False), {DIGEST}).each == (0.5, 0.0, 1.0)
    assert answers.scored(FACT, answered(said, cited=True), {"sha256:" + "00" * 32}).each == (0.5, 0.0, 1.0)
    assert answers.scored(FACT, Answered(said, {}), {DIGEST}).each == (0.5, 0.0, 1.0)
    assert answers.scored(FACT, None, {DIGEST}).mean == 0


FAQ = """<html><body><div class="section"><div class="titlepage"><div><h2 class="title"><a id="whatis"></a>1.2. What is
it?</h2></div></div><p>A distribution of a kernel, and of all the packages that run on it, made by people.</p>
<div class="section"><div class="titlepage"><h3>1.2.1. Who made it?</h3></div><p>See there.</p></div></div>
</body></html>"""


def test_what_people_ask_stands_nowhere_on_the_page_that_answers_it(tmp_path: Path) -> None:
    for folder, language in (("", "en"), ("de", "de"), ("fr", "fr")):
        into = tmp_path / "usr/share/doc/debian/FAQ" / folder
        into.mkdir(parents=True, exist_ok=True)
        page = FAQ.replace("What is", {"en": "What is", "de": "Was ist", "fr": "What is"}[language])
        (into / f"basic.{language}.html").write_text(page)
    found = people.asked(tmp_path, tmp_path / "asked")
    assert [one.question and one.question.said for one in found] == [
        "What is it?",
        None,
        "Was ist it?",
        None,
        None,
        None,
    ]
    pages = [one.paper.path.read_text() for one in found]
    assert not any("What" in page or "Was" in page or "Who made" in page for page in pages)
    assert ("distribution" in pages[0], "See there" in pages[0], "See there" in pages[1]) == (True, False, True)
    assert len({one.paper.path for one in found}) == 6


def test_a_copy_of_a_sentence_answers_wherever_it_stands_and_a_line_that_pages_share_does_not() -> None:
    page, said = uuid.uuid4(), "The file sources.list names where packages come from."
    right = Answering(page, "1. Sources", frozenset({said, "See also"}))

    def there(body: str, document: uuid.UUID, *headings: str) -> Any:
        return SimpleNamespace(body=body, document=document, headings=headings)

    assert right.by(there("Other words.", page, "1. Sources")) is True
    assert right.by(there(said.replace(" ", "\n"), uuid.uuid4(), "Else")) is True
    assert right.strictly(there(said, uuid.uuid4(), "1. Sources")) is False
    assert right.by(there("See also", uuid.uuid4(), "1. Sources")) is False
    assert right.by(there("Other words.", page, "2. Else")) is False


def test_a_document_carries_a_section_where_it_holds_all_of_it() -> None:
    assert whole([{"a", "b"}, {"b", "c"}]) == {"b"}
    assert whole([]) == frozenset()


def test_each_sort_of_question_is_claimed_by_itself() -> None:
    easy, hard = [(1.0, 0.8, 1.0, 0.8)], [(0.0, 0.1, 0.0, 0.0)]
    both = {("by title", "en"): easy, ("in other words", "en"): hard, ("by title", "fr"): hard}
    claims = documents.Looked([], both, {}).claims
    assert [(claim.name.split(",")[1].strip(), claim.value, claim.holds) for claim in claims] == [
        ("in other words", 0.0, False),
        ("in other words", 0.1, False),
        ("by title", 0.5, False),
        ("by title", pytest.approx(0.45), False),
    ]


def scores(*values: float) -> list[Scored]:
    return [Scored(FACT, (value, value, value)) for value in values]


def test_gains_are_paired_in_points_and_claims_hold_from_their_bounds_on() -> None:
    found = dict(zip(ARMS, (scores(0.1, 0.3), scores(0.3, 0.5), scores(0.34, 0.54)), strict=True))
    documents, brief = answers.claims(found)
    assert (documents.value, documents.bound, documents.holds) == (pytest.approx(20), 20, True)
    assert (brief.value, brief.bound, brief.holds) == (pytest.approx(4), 5, False)
    told: Any = answers.figures(found)
    assert told["brief over documents"]["lower"] == pytest.approx(4)
    assert told["scores"]["alone"]["all"] == pytest.approx(0.2)


WHOLE = "Sources. The file sources.list names them. It is read each time."
BODY = WHOLE[9:]
NUMBER = uuid.uuid4()


def cites(how: str = "quoted", first: int = 9, last: int = 41) -> dict[str, Any]:
    version = "sha256:" + hashlib.sha256(WHOLE.encode()).hexdigest()
    place = {"number": 1, "document": str(NUMBER), "version": version, "first": 9, "last": len(WHOLE), "cited": True}
    citation = {"passage": 1, "how": how, "first": first, "last": last}
    return {"passages": [place], "claims": [{"first": 0, "last": 33, "citations": [citation]}]}


@pytest.mark.parametrize(
    ("documents", "shown", "whole", "cause"),
    [
        (cites(), BODY, WHOLE, None),
        (cites("worded", 9, 60), BODY, WHOLE, None),
        (cites(), BODY, WHOLE + " ", "another digest"),
        (cites(), BODY + "!", WHOLE, "not what the text says"),
        (cites(), None, WHOLE, "not what the text says"),
        (cites(first=0), BODY, WHOLE, "not in the passage"),
        (cites(last=30), BODY, WHOLE, "does not stand there"),
    ],
)
def test_a_citation_is_held_against_the_file_and_not_against_the_library(
    documents: dict[str, Any], shown: str | None, whole: str, cause: str | None
) -> None:
    found = verbatim.Checked()
    verbatim.judge(found, "The file sources.list names them.", documents, {1: shown}, lambda _: whole)
    assert found.citations == 1
    assert found.share == (1.0 if cause is None else 0.0)
    assert all(cause in one for one in found.wrong if cause)


def test_where_nothing_was_cited_nothing_was_shown() -> None:
    assert verbatim.Checked().share == 0


def test_turns_that_are_not_what_they_are_called_are_no_figure() -> None:
    pinned, pasted = (First(0.1, 0.9), First(0.2, 0.9)), (First(1.0, 0.05), First(2.0, 0.05))
    turns = Turns(pinned, pasted)
    assert turns.real
    (claim,) = turns.claims
    assert (claim.value, claim.holds) == (pytest.approx(0.1), True)
    assert not Turns((*pinned, First(0.1, 0.0)), pasted).real
    assert not Turns(pinned, (*pasted, First(0.1, 0.9))).real
    assert first_token.SPARED > first_token.ANEW


def asked(said: str = "How?", **given: Any) -> Request:
    return Request(**{"id": "r", "user": "u", "group": "g", "seed": 1, "messages": (Message("user", said),), **given})


def test_an_answer_is_kept_by_what_decides_it_and_by_nothing_else() -> None:
    key = key_of(asked(), DIGEST)
    assert key is not None
    same = asked(id="other", user="other", group="h", priority=-1, messages=(Message("user", "How?", "group"),))
    assert key_of(same, DIGEST) == key
    others = [asked("Why?"), asked(seed=2), asked(max_tokens=7), asked(temperature=0.1), asked(adapter="a")]
    keys = {key_of(one, DIGEST) for one in others} | {key_of(asked(), "sha256:other")}
    assert len(keys) == 6
    assert key not in keys
    assert key_of(asked(seed=None), DIGEST) is None


class Counting:
    """An engine that counts what it is asked; ``broken`` ends in the middle."""

    def __init__(self) -> None:
        self.asked, self.broken = 0, False

    async def generate(self, request: Request) -> AsyncGenerator[Event]:
        self.asked += 1
        yield Admitted(0, 3, request.seed or 0)
        yield Token("so")
        if self.broken:
            raise ConnectionError
        yield End("stop", Usage(3, 0, 1), Timing(1, 2, 3), Energy(1, "estimated", 35, 0.1))


async def events(engine: KeptEngine, request: Request) -> list[Event]:
    return [event async for event in engine.generate(request)]


def test_what_was_answered_is_not_computed_again_and_what_broke_off_is(tmp_path: Path) -> None:
    path, real = tmp_path / "new" / "kept.jsonl", Counting()
    first = asyncio.run(events(KeptEngine(real, path, DIGEST), asked()))  # type: ignore[arg-type]  # a double
    path.write_text(path.read_text() + '{"key": "cut o')
    again = KeptEngine(real, path, DIGEST)  # type: ignore[arg-type]  # a double
    assert asyncio.run(events(again, asked())) == first
    assert (real.asked, again.found) == (1, 1)
    real.broken = True
    with pytest.raises(ConnectionError):
        asyncio.run(events(again, asked("Why?")))
    real.broken = False
    assert len(asyncio.run(events(again, asked("Why?")))) == 3
    assert real.asked == 3
    again.live = True
    asyncio.run(events(again, asked()))
    assert real.asked == 4
    assert len(asyncio.run(events(KeptEngine(real, path, DIGEST), asked("Why?")))) == 3  # type: ignore[arg-type]
    assert real.asked == 4


def test_progress_goes_by_what_was_computed() -> None:
    assert progress(10, 40, 110, 60.0) == "  50/110 answers, 40 of them kept, about 6 min left"


def test_numbers_are_the_names_where_there_is_one_and_drawn_elsewhere() -> None:
    from appliance.gateway import gold_cases  # noqa: PLC0415 - looked at as it is patched

    with ids.seeded():
        with ids.named("case one"):
            assert gold_cases.uuid.uuid4() == ids.number("case one")
        assert gold_cases.uuid.uuid4() != gold_cases.uuid.uuid4()
    assert gold_cases.uuid is uuid


def test_the_plot_shows_each_arm_once_for_each_slice() -> None:
    found = dict(zip(ARMS, (scores(0.1), scores(0.5), scores(0.6)), strict=True))
    turns = Turns((First(0.1, 0.9),), (First(1.0, 0.0),))
    drawn = drawing.drawn({"scores": found, "turns": turns})
    assert html.fromstring(drawn.encode()) is not None
    assert drawn.count("<title>") == 3 * (3 + len(answers.SCORERS)) + 2
