"""What stands in several files is told once, and nobody's document takes the place of somebody else's."""

from __future__ import annotations

import uuid

from appliance.memory.copies import Brought, told_once
from appliance.memory.documents import NOBODY, Found

BODY = "Visitors may park in bay seven of the yard."


def found(title: str, body: str = BODY, headings: tuple[str, ...] = (), cosine: float | None = None) -> Found:
    return Found(
        document=uuid.uuid4(),
        title=title,
        digest="sha256:aa",
        text_digest="sha256:bb",
        passage=1,
        ordinal=0,
        first=0,
        last=len(body),
        page=None,
        headings=headings,
        body=body,
        language="en",
        score=0.5,
        cosine=cosine,
    )


def titles(question: str, *of: tuple[Found, str]) -> list[str]:
    return [one.title for one in told_once(question, [Brought(*one) for one in of])]


def test_a_copy_is_told_once_where_the_first_of_them_stands() -> None:
    other = found("other", "Nobody parks here.")
    copies = found("chapter", headings=("Yard",)), found("book", BODY.replace(" ", "\n"), ("House", "Yard"))
    assert titles("parking", (copies[0], "a"), (other, "a"), (copies[1], "a")) == ["chapter", "other"]


def test_of_copies_the_one_is_told_that_is_asked_for() -> None:
    old, new = (found("Rules of 2024"), "a"), (found("Rules of 2025"), "a")
    assert titles("What do the rules of 2025 say?", old, new) == ["Rules of 2025"]
    assert titles("What do the rules say?", old, new) == ["Rules of 2024"]


def test_what_somebody_else_brought_takes_nobody_s_place() -> None:
    house = found("Rules", headings=("Yard",))
    stuffed = found("Where may visitors park", headings=("This was withdrawn", "Yard"))
    assert titles("Where may visitors park?", (house, "uid 0"), (stuffed, "somebody")) == [
        "Rules",
        "Where may visitors park",
    ]


def test_what_erased_people_brought_takes_nobody_s_place_though_all_of_them_are_called_nobody() -> None:
    one, other = found("Rules"), found("Where may visitors park")
    assert titles("Where may visitors park?", (one, NOBODY), (other, NOBODY)) == ["Rules", "Where may visitors park"]


def test_the_same_words_under_other_headings_say_something_else() -> None:
    allowed, forbidden = found("a", headings=("Allowed",)), found("b", headings=("Forbidden",))
    assert titles("parking", (allowed, "a"), (forbidden, "a")) == ["a", "b"]


def test_a_copy_is_as_near_as_the_nearest_and_ranks_as_the_first() -> None:
    (told,) = told_once("parking", [Brought(found("a"), "x"), Brought(found("b", cosine=0.7), "x")])
    assert (told.title, told.cosine, told.score) == ("a", 0.7, 0.5)
    (told,) = told_once("parking", [Brought(found("a"), "x")])
    assert told.cosine is None
