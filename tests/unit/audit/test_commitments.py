"""Commitments bind and hide; pseudonyms need the key."""

from __future__ import annotations

import hashlib

import pytest

from appliance.audit.commitment import PREFIX, commit, new_salt, opens, pseudonym

SALT = bytes(range(32))


def test_a_commitment_can_be_recomputed_with_sha256sum() -> None:
    assert commit(b"hello", SALT) == "sha256:" + hashlib.sha256(PREFIX + SALT + b"hello").hexdigest()


def test_a_commitment_opens_for_its_content_and_salt_only() -> None:
    made = commit(b"yes", SALT)
    assert opens(made, b"yes", SALT)
    assert not opens(made, b"no", SALT)
    assert not opens(made, b"yes", new_salt())


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_salt_has_one_length(salt: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commit(b"x", salt)


def test_salts_are_fresh() -> None:
    assert len({new_salt() for _ in range(100)}) == 100


def test_a_pseudonym_is_stable_under_one_key_and_unlinkable_under_another() -> None:
    assert pseudonym("user-1", b"k" * 32) == pseudonym("user-1", b"k" * 32)
    assert pseudonym("user-1", b"k" * 32) != pseudonym("user-1", b"j" * 32)
    assert len(pseudonym("user-1", b"k" * 32)) == 32
