"""Texts that a stranger made to cost the square of their length cost a multiple of it: steps are counted, not time."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from appliance.memory import sentences as module
from appliance.memory.chunking import chunks
from appliance.memory.parsing.blocks import Block, cleaned, joined
from appliance.memory.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPES = {
    "dots": lambda n: "." * n,
    "dots and quotes": lambda n: "." * n + "'" * n,
    "blanks": lambda n: "a." + " " * n + "'" * n,
    "abbreviations": lambda n: "z. " * n + "x",
    "small letters": lambda n: "foo bar. " * n + "x",
    "marks apart": lambda n: ".' " * n,
}


class _Counting(str):
    """Text that counts the characters which are cut out of it."""

    __slots__ = ("cut",)
    cut: int

    def __getitem__(self, at: Any) -> str:
        found = str.__getitem__(self, at)
        self.cut = getattr(self, "cut", 0) + len(found)
        return found


@pytest.mark.parametrize("shape", SHAPES)
def test_sentences_are_found_by_looking_at_each_place_a_few_times(shape: str) -> None:
    text = _Counting(SHAPES[shape](2000))
    list(sentences(text))
    assert getattr(text, "cut", 0) <= (module._BEFORE + 1) * len(text)


def test_a_run_of_marks_is_tried_at_its_first_mark_only() -> None:
    """What the pattern gives up, it does not try again in pieces: no quantifier in it can step back."""
    pattern = module._END
    run = "." * 3000
    assert [pattern.match(run, at) for at in range(0, 3000, 500)] == [None] * 6
    assert pattern.search(run + " x") is not None
    parsed = _quantifiers(pattern.pattern)
    assert parsed == {"POSSESSIVE_REPEAT"}


def _quantifiers(pattern: str) -> set[str]:
    from re import _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - the module's own reading of the pattern

    return {str(name) for name in _names(_parser.parse(pattern)) if "REPEAT" in str(name)}


def _names(tree: Any) -> Iterator[Any]:
    for one in tree:
        if isinstance(one, tuple):
            yield one[0]
            yield from (name for part in one[1:] if part is not None for name in _inside(part))


def _inside(part: Any) -> Iterator[Any]:
    if hasattr(part, "data"):
        yield from _names(part)
    elif isinstance(part, (tuple, list)):
        for one in part:
            yield from _inside(one)


def test_headings_are_not_told_again_whole_with_each_passage() -> None:
    heading = "heading words go on and on " * 4000
    text = joined([Block("heading", heading, 1), *[Block("paragraph", "word " * 250) for _ in range(300)]])
    found = chunks(text, 256)
    assert len(found) >= 300
    assert sum(len(title) for chunk in found for title in chunk.headings) < len(text.text)


def test_one_word_as_long_as_a_book_is_cut() -> None:
    word = ",".join(f"w{n}" for n in range(30_000))
    text = joined([Block("paragraph", word)])
    assert max(chunk.end - chunk.start for chunk in chunks(text, 256)) <= 4 * 256


def test_marks_on_a_letter_are_few_before_they_are_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    plain = unicodedata.normalize

    def counting(form: Any, text: str) -> str:
        nonlocal longest
        run = 0
        for character in text:
            run = run + 1 if unicodedata.combining(character) else 0
            longest = max(longest, run)
        return plain(form, text)

    monkeypatch.setattr(unicodedata, "normalize", counting)
    cleaned("a" + "\u0315\u0300" * 5000 + "b")
    assert 0 < longest <= 30
    assert cleaned("e\u0301tat") == "état"
