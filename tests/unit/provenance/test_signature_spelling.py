"""A publisher's signature has one spelling, so that nobody gives it another digest and it still holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import MalformedError
from tests.unit.provenance.publisher_bench import sign_folder, verify_folder, write_folder

if TYPE_CHECKING:
    from pathlib import Path

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def respelled(text: str) -> str:
    """The same bytes to a reader that overlooks the bits which the last character has to spare."""
    digits = text.rstrip("=")
    return digits[:-1] + ALPHABET[ALPHABET.index(digits[-1]) + 1] + text[len(digits) :]


def envelope_with_spare_bits(folder: Path) -> dict[str, Any]:
    """A signature whose base64 ends in padding; ECDSA's length changes from one to the next."""
    while True:
        found: dict[str, Any] = json.loads(sign_folder(folder))
        if found["dsseEnvelope"]["signatures"][0]["sig"].endswith("="):
            return found


def test_stray_bits_at_the_end_of_base64_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "small-model")
    found = envelope_with_spare_bits(folder)
    verify_folder(folder, json.dumps(found).encode())
    signature = found["dsseEnvelope"]["signatures"][0]
    signature["sig"] = respelled(signature["sig"])
    with pytest.raises(MalformedError, match="not base64 in its one spelling"):
        verify_folder(folder, json.dumps(found).encode())
