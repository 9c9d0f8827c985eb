from __future__ import annotations

import pytest

from appliance.gateway.sealing import SealError, new_wrapped_key, seal, unseal, unwrap_key

KEY = b"k" * 32


def test_what_is_sealed_opens_with_the_same_key_and_place() -> None:
    assert unseal(KEY, seal(KEY, b"text", bound_to="content:1"), bound_to="content:1") == b"text"


def test_a_value_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(SealError):
        unseal(KEY, seal(KEY, b"text", bound_to="content:1"), bound_to="content:2")


def test_a_flipped_bit_anywhere_does_not_open() -> None:
    sealed = seal(KEY, b"text", bound_to="content:1")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(SealError):
            unseal(KEY, changed, bound_to="content:1")


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_a_value_cut_short_does_not_open(length: int) -> None:
    with pytest.raises(SealError):
        unseal(KEY, seal(KEY, b"text", bound_to="content:1")[:length], bound_to="content:1")


def test_equal_texts_do_not_look_equal() -> None:
    assert seal(KEY, b"text", bound_to="a") != seal(KEY, b"text", bound_to="a")


def test_a_users_key_opens_for_that_user_only() -> None:
    wrapped = new_wrapped_key(KEY, "alpha")
    sealer = unwrap_key(KEY, "alpha", wrapped)
    assert sealer.unseal(sealer.seal("text", bound_to="content:1"), bound_to="content:1") == "text"
    with pytest.raises(SealError):
        unwrap_key(KEY, "beta", wrapped)
    with pytest.raises(SealError):
        unwrap_key(b"x" * 32, "alpha", wrapped)
