from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.text import AnswerText, StopMatcher


def _stream(stops: tuple[str, ...], parts: list[bytes]) -> tuple[list[str], bool]:
    text = AnswerText(stops)
    shown = [text.push(part) for part in parts]
    return [*shown, text.finish()], text.stopped


def test_a_character_split_over_tokens_is_shown_whole() -> None:
    shown, _ = _stream((), [b"\xf0\x9f", b"\x98", b"\x80!"])
    assert shown == ["", "", "\U0001f600!", ""]


def test_a_character_that_the_end_cuts_off_is_dropped() -> None:
    assert _stream((), [b"ok\xe2\x82"])[0] == ["ok", ""]


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    assert "".join(_stream((), [b"a\xffb"])[0]) == "a\ufffdb"


def test_the_stop_string_and_what_follows_is_never_shown() -> None:
    shown, stopped = _stream(("\nUser:",), [b"Paris.", b"\nUs", b"er: and"])
    assert ("".join(shown), stopped) == ("Paris.", True)


def test_a_tail_that_could_begin_a_stop_string_is_held_back_and_released_when_it_does_not() -> None:
    shown, stopped = _stream(("\nUser:",), [b"a\nUs", b"ual"])
    assert (shown, stopped) == (["a", "\nUsual", ""], False)


def test_the_earliest_of_several_stop_strings_ends_the_answer() -> None:
    assert "".join(_stream(("world", "lo"), [b"hello world"])[0]) == "hel"


@pytest.mark.parametrize("parts", [[b"aba"], [b"ab", b"a"], [b"a", b"b", b"a"]])
def test_a_stop_string_that_is_complete_ends_the_answer_though_a_longer_one_began_before(parts: list[bytes]) -> None:
    assert "".join(_stream(("b", "aba"), parts)[0]) == "a"


def test_nothing_is_shown_after_the_stop_string() -> None:
    matcher = StopMatcher(("x",))
    assert matcher.push("axb") == "a"
    assert matcher.push("more") == ""
    assert matcher.finish() == ""


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(ValueError, match="not empty"):
        StopMatcher(("",))


@given(
    text=st.text(alphabet="abé\n\U0001f600", max_size=40),
    stops=st.lists(st.text(alphabet="abé\n", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(0, 120), max_size=12),
)
def test_the_answer_does_not_depend_on_where_tokens_end(text: str, stops: list[str], cuts: list[int]) -> None:
    data = text.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(edges)]
    shown, stopped = _stream(tuple(stops), parts)
    ends = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    assert "".join(shown) == (text[: min(ends)[1]] if ends else text)
    assert stopped == bool(ends)
