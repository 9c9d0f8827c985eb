"""Signed notes and verifier keys (c2sp.org/signed-note): the specification's example, and what is refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.audit.errors import NoteError
from appliance.audit.note import ED25519, VerifierKey, check_name, parse_note

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n"
    "\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def test_the_specification_s_example_verifies() -> None:
    key, note = VerifierKey.parse(VKEY), parse_note(NOTE.encode())
    (signature,) = note.signatures
    assert key.algorithm == ED25519
    assert (signature.name, signature.key_id) == (key.name, key.key_id)
    Ed25519PublicKey.from_public_bytes(key.material).verify(signature.blob, note.text.encode())


def test_keys_and_notes_are_written_as_they_were_read() -> None:
    assert VerifierKey.parse(VKEY).encode() == VKEY
    assert parse_note(NOTE.encode()).encode() == NOTE


def test_text_may_hold_empty_lines() -> None:
    assert parse_note(NOTE.replace("message.", "message.\n\nmore").encode()).text.endswith("\n\nmore\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no signature\n",
        NOTE.encode()[:-1],
        NOTE.replace("—", "-").encode(),
        NOTE.replace("\n\n", "\n").encode(),
        NOTE.replace("is an", "is\tan").encode(),
        NOTE.replace("is an", "is\x1b[2Jan").encode(),
        NOTE.replace("Uw2Q", "Uw2*").encode(),
        NOTE.replace("Uw2Q", "").encode()[:60] + b"\n",
        NOTE.encode() + b"trailing\n",
        NOTE.replace("example message", "\udcff").encode("utf-8", "surrogatepass"),
        NOTE.encode() + NOTE.split("\n\n")[1].encode() * 64,
        b"x" * (300 * 1024),
    ],
)
def test_a_malformed_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteError):
        parse_note(data)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name",
        VKEY.replace("+530d903a", "+530d903b"),
        VKEY.replace("example.com/foo", "example.com/bar"),
        VKEY.replace("Aeky", "Beky"),
        VKEY[:-4],
        VKEY.replace("example.com/foo", "example com"),
    ],
)
def test_a_malformed_verifier_key_is_refused(line: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(line)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "tab\there", "line\nbreak", "x" * 256])
def test_a_name_that_would_break_a_note_is_refused(name: str) -> None:
    with pytest.raises(NoteError):
        check_name(name)
