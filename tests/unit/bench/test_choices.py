"""One of four names gives nothing away and binds nobody else; vectors that are kept are those of the model."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import Message, Request, Vectors
from appliance.learning.running import Answered
from tests.bench.learning import choices
from tests.bench.learning.choices import Choice, OneOf
from tests.bench.learning.facts import Fact, marked
from tests.bench.learning.kept_vectors import KeptVectors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from appliance.engine.protocol import Event

MARKED = {
    "/a": ["apt", "dpkg", "/etc/apt"],
    "/b": ["apt", "lintian", "/usr/share", "pbuilder", "sbuild", "debhelper"],
    "/c": ["autre"],
}
LANGUAGES = {"/a": "en", "/b": "en", "/c": "fr"}


def fact(right: str, page: str = "/a", question: str = "What installs?") -> Fact:
    return Fact("en", question, (right,), page, "1. Sources", "new")


def test_others_are_of_the_same_kind_and_stand_neither_on_the_page_nor_in_the_question() -> None:
    (found,) = choices.choices([fact("dpkg", question="What does sbuild do?")], MARKED, LANGUAGES)
    assert set(found.names) == {"dpkg", "lintian", "pbuilder", "debhelper"}
    assert choices.choices([fact("dpkg", question="What does sbuild do?")], MARKED, LANGUAGES) == [found]
    assert choices.choices([fact("/etc/apt")], MARKED, LANGUAGES) == []  # one path elsewhere, and three are needed


def test_the_order_of_names_tells_nothing() -> None:
    marks = {"/a": [f"name{number}" for number in range(40)], "/b": [f"other{number}" for number in range(9)]}
    offered = choices.choices([fact(one) for one in marks["/a"]], marks, {"/a": "en", "/b": "en"})
    assert {one.names.index(one.right) for one in offered} == {0, 1, 2, 3}


def test_what_a_page_marks_is_found_once(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<p><code class="command">apt</code> <code>no</code> <code class="command">apt</code></p>')
    assert marked(str(page)) == ["apt"]


class Engine:
    """Says what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def model(self) -> Any:
        return SimpleNamespace(receipt={"digest": "sha256:aa"})

    async def generate(self, request: Request) -> AsyncGenerator[Event]:
        self.requests.append(request)
        if request.inputs and "long" in request.inputs:
            raise EngineRefusedError("context_length_exceeded", "text 0 has 600 tokens, and the model takes 512")
        yield Vectors(tuple(one.encode().ljust(8, b".") for one in request.inputs or ()))


def asked(**given: Any) -> Request:
    return Request(**{"id": "r", "user": "u", "group": "g", "messages": (Message("user", "?"),), **given})


async def events(engine: OneOf | KeptVectors, request: Request) -> list[Event]:
    return [event async for event in engine.generate(request)]


def test_only_what_was_offered_a_choice_is_bound_to_it() -> None:
    real = Engine()
    engine = OneOf(real, {7: ("apt", "dpkg")})  # type: ignore[arg-type]  # a double
    for seed in (7, 8, None):
        asyncio.run(events(engine, asked(seed=seed, temperature=0.7)))
    assert [(one.json_schema, one.temperature) for one in real.requests] == [
        ({"enum": ["apt", "dpkg"]}, 0.0),
        (None, 0.7),
        (None, 0.7),
    ]


def test_the_right_name_is_worth_one_and_anything_that_was_not_offered_is_a_fault_of_the_measure() -> None:
    choice = Choice(fact("dpkg"), ("apt", "dpkg", "lintian", "sbuild"))
    assert choices.score(choice, Answered(json.dumps("dpkg"), {})) == 1
    assert choices.score(choice, Answered(json.dumps("apt"), {})) == 0
    assert choices.score(choice, None) == 0
    with pytest.raises(AssertionError):
        choices.score(choice, Answered(json.dumps("debhelper"), {}))


def test_vectors_are_kept_by_model_and_text_and_refusals_are_not(tmp_path: Path) -> None:
    real, path = Engine(), tmp_path / "new" / "vectors.sqlite"
    kept = KeptVectors(real, path)  # type: ignore[arg-type]  # a double
    first = asyncio.run(events(kept, asked(messages=None, inputs=("one", "two"))))
    kept.close()
    again = KeptVectors(real, path)  # type: ignore[arg-type]  # a double
    assert asyncio.run(events(again, asked(messages=None, inputs=("one", "two")))) == first
    assert len(real.requests) == 1
    asyncio.run(events(again, asked(messages=None, inputs=("onetwo",))))
    for _ in range(2):
        with pytest.raises(EngineRefusedError):
            asyncio.run(events(again, asked(messages=None, inputs=("long",))))
    assert len(real.requests) == 4
    again.close()
