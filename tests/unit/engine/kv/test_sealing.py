"""A long secret in blocks: it comes back whole and in its own order, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.errors import SealBrokenError
from appliance.engine.kv.sealing import TAG_BYTES, blocks_of, seal, unseal

KEY, BLOCK = bytes(32), 48


def sealed(secret: bytes, bound: bytes = b"ours") -> list[bytes]:
    return list(seal(KEY, bound, memoryview(secret), BLOCK))


@given(st.binary(max_size=400))
def test_what_was_sealed_is_what_opens(secret: bytes) -> None:
    blocks = sealed(secret)
    assert len(blocks) == blocks_of(len(secret), BLOCK)
    assert all(len(block) <= BLOCK for block in blocks)
    assert unseal(KEY, b"ours", blocks, len(secret), BLOCK) == secret


@given(st.binary(min_size=100, max_size=200), st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_passes(secret: bytes, where: int, by: int) -> None:
    blocks = sealed(secret)
    block = blocks[where % len(blocks)]
    at = where % len(block)
    blocks[where % len(blocks)] = block[:at] + bytes([block[at] ^ by]) + block[at + 1 :]
    with pytest.raises(SealBrokenError):
        unseal(KEY, b"ours", blocks, len(secret), BLOCK)


@pytest.mark.parametrize("how", ["swapped", "cut", "repeated", "lengthened"])
def test_blocks_stay_where_they_were_and_none_is_missing(how: str) -> None:
    secret = bytes(range(96))
    first, second, third = sealed(secret)
    changed = {
        "swapped": [second, first, third],
        "cut": [first, second],
        "repeated": [first, first, third],
        "lengthened": [first, second, third, third],
    }[how]
    with pytest.raises(SealBrokenError):
        unseal(KEY, b"ours", changed, len(secret), BLOCK)


def test_a_shorter_secret_is_not_a_longer_ones_beginning() -> None:
    """The last block says that it is the last: blocks of a long secret do not pass for a short one."""
    room = BLOCK - TAG_BYTES
    first, *_ = sealed(bytes(3 * room))
    with pytest.raises(SealBrokenError):
        unseal(KEY, b"ours", [first], room, BLOCK)


def test_another_key_and_another_purpose_open_nothing() -> None:
    blocks = sealed(b"secret")
    with pytest.raises(SealBrokenError):
        unseal(bytes([1] * 32), b"ours", blocks, 6, BLOCK)
    with pytest.raises(SealBrokenError):
        unseal(KEY, b"theirs", blocks, 6, BLOCK)
