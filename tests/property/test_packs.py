"""However a pack is filled: its file gives it back, its bytes follow from what it says; no damage reads as a pack."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import strict_json
from appliance.packs.content import Pack, read_pack
from appliance.packs.errors import PackRefusedError
from appliance.packs.text import checked
from appliance.packs.wording import instructions_of
from tests import packs

_LETTERS = st.sampled_from("abc äöüßéèçœ’«»„“0123456789.,;:!?-–()\u00a0\u202f")  # noqa: RUF001 - marks of three languages
_LINE = st.text(_LETTERS, min_size=1, max_size=60).filter(str.strip)
_WORDS = st.lists(_LINE, min_size=1, max_size=4).map("\n".join)


@st.composite
def _filled(draw: st.DrawFn) -> dict[str, Any]:
    terms = draw(st.lists(st.tuples(_LINE, _LINE), max_size=8, unique_by=lambda one: one[0].strip().casefold()))
    rules = draw(st.lists(_WORDS, max_size=5))
    cases = [{k: v for k, v in one.items() if k != "about"} for one in packs.fields()["cases"]]
    return packs.fields(
        persona=draw(_WORDS),
        tone=draw(_WORDS),
        language=draw(st.sampled_from(["en", "fr", "de"])),
        glossary=[{"term": term, "use": use} for term, use in terms],
        boundaries=[{"id": f"b{n}", "rule": rule} for n, rule in enumerate(rules)],
        cases=draw(st.permutations(cases)),
    )


@given(_filled())
def test_a_file_gives_back_the_pack_and_equal_packs_are_equal_bytes(said: dict[str, Any]) -> None:
    made = Pack.model_validate(said)
    data = made.to_bytes()
    assert read_pack(data, "pack") == made
    assert Pack.model_validate(dict(reversed(said.items()))).to_bytes() == data
    told = instructions_of(made)
    assert checked(told) == told
    assert all(one.rule in told for one in made.boundaries)


@given(st.data())
def test_no_change_of_a_byte_reads_as_the_same_pack(data: st.DataObject) -> None:
    whole = packs.pack().to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = (
        whole[:at] + bytes([data.draw(st.integers(0, 255).filter(lambda one: one != whole[at]))]) + whole[at + 1 :]
    )
    try:
        found = read_pack(changed, "pack")
    except PackRefusedError:
        return
    assert found.to_bytes() == changed
    assert found.digest != packs.pack().digest


@given(
    st.binary(max_size=300) | st.recursive(st.none() | st.booleans() | st.integers(), st.lists).map(str).map(str.encode)
)
def test_whatever_bytes_come_the_reader_refuses_and_does_not_fail(raw: bytes) -> None:
    try:
        read_pack(raw, "pack")
    except PackRefusedError as error:
        assert error.cause.startswith("pack ")  # noqa: PT017 - what matters is that no other error comes
    else:
        raise AssertionError(strict_json.loads(raw))


@given(st.text(max_size=200))
def test_what_the_check_lets_through_has_nothing_that_control_tokens_are_made_of(text: str) -> None:
    try:
        found = checked(text)
    except ValueError:
        return
    assert not set("<>\ufeff\u200b\x00\x1b") & set(found)
