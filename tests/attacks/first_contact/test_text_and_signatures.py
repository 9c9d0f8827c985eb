"""Whoever carries the medium changes FIRST-CONTACT or its signatures; the script refuses and leaves nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from securesystemslib.formats import encode_canonical

from airgap_bundle.first_contact import card, record, signatures
from tests.bundles import root_bytes, second_root, signer, tree
from tests.first_contact import SIGNED, bundle, sign_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.first_contact import Desk

LINES = 14  # of the bench's FIRST-CONTACT
INVALID = "the signature of architect on FIRST-CONTACT is not valid"


def test_the_bench_is_sound(desk: Desk, medium: Path) -> None:
    assert len((medium / record.FILE).read_text().splitlines()) == LINES
    before = tree(medium)
    done = desk.run(medium)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{desk.tools}/env/bin/sovereign\n"
    assert f"asked: bundle verify {medium} --root-fingerprint sha256:" in done.stderr
    assert [path.name for path in desk.tools.iterdir()] == ["env"]
    assert tree(medium) == before


@pytest.mark.parametrize("number", range(LINES))
def test_an_altered_line_is_refused(desk: Desk, medium: Path, number: int) -> None:
    path = medium / record.FILE
    lines = path.read_bytes().splitlines(keepends=True)
    key, _, rest = lines[number].partition(b" ")
    lines[number] = key + b" " + (b"9" if rest[:1] != b"9" else b"8") + rest[1:]
    path.write_bytes(b"".join(lines))
    desk.refuses(medium, INVALID)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a line more": lambda text: text + b"wheelhouse " + b"0" * 64 + b" 1 evil-1-py3-none-any.whl\n",
    "a line less": lambda text: text[: text.rindex(b"wheelhouse")],
    "carriage returns": lambda text: text.replace(b"\n", b"\r\n"),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "nul": lambda text: text.replace(b"format 1\n", b"format 1\0\n"),
    "no last newline": lambda text: text[:-1],
    "empty": lambda _text: b"",
    "the prefix itself": lambda text: signatures.DOMAIN + text,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_text_is_refused(desk: Desk, medium: Path, change: Callable[[bytes], bytes]) -> None:
    path = medium / record.FILE
    path.write_bytes(change(path.read_bytes()))
    desk.refuses(medium, INVALID)


def test_a_text_without_end_is_refused(desk: Desk, medium: Path) -> None:
    with (medium / record.FILE).open("r+b") as text:
        text.truncate(1 << 40)
    desk.refuses(medium, "is larger than it may be")


def test_one_signature_too_few_is_refused(desk: Desk, medium: Path) -> None:
    (medium / signatures.path("builder")).unlink()
    desk.refuses(medium, "signed by 1 of 2 persons: architect")


def test_no_signature_is_refused(desk: Desk, medium: Path) -> None:
    for name in SIGNED:
        (medium / signatures.path(name)).unlink()
    desk.refuses(medium, "signed by 0 of 2 persons: nobody")


def test_swapped_signatures_are_refused(desk: Desk, medium: Path) -> None:
    one, other = (medium / signatures.path(name) for name in SIGNED)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    desk.refuses(medium, INVALID)


def test_one_signature_under_two_names_is_refused(desk: Desk, medium: Path) -> None:
    data = (medium / signatures.path("architect")).read_bytes()
    (medium / signatures.path("builder")).unlink()
    (medium / signatures.path("custodian")).write_bytes(data)
    desk.refuses(medium, "the signature of custodian on FIRST-CONTACT is not valid")


def test_one_key_under_two_names_of_the_card_is_refused(desk: Desk, medium: Path) -> None:
    """A card that counts one person twice, whoever wrote it."""
    architect, builder = (signer(name).public.ed25519.keyval["public"] for name in SIGNED)
    desk.card = desk.card.replace(builder.encode(), architect.encode())
    data = (medium / signatures.path("architect")).read_bytes()
    (medium / signatures.path("builder")).write_bytes(data)
    desk.refuses(medium, "names a person or a key twice")


@pytest.mark.parametrize("name", ["outsider", "deputy"])
def test_who_is_not_on_the_card_does_not_count(desk: Desk, medium: Path, name: str) -> None:
    sign_text(medium, (medium / record.FILE).read_bytes(), "architect", name)
    desk.refuses(medium, "signed by 1 of 2 persons: architect")


def test_a_person_whom_a_newer_root_removed_does_not_count(desk: Desk, medium: Path) -> None:
    """The card of root 2 has deputy in custodian's place."""
    desk.card = card.of_root(second_root()).to_bytes()
    sign_text(medium, (medium / record.FILE).read_bytes(), "architect", "custodian")
    desk.refuses(medium, "signed by 1 of 2 persons: architect")


def test_a_release_under_an_older_root_than_the_cards_is_refused(desk: Desk, medium: Path) -> None:
    desk.card = card.of_root(second_root()).to_bytes()
    desk.refuses(medium, "under another root than the card's")


def test_a_person_of_the_card_who_signed_another_text_refuses_it_beside_enough_others(desk: Desk, medium: Path) -> None:
    (medium / signatures.path("custodian")).write_bytes(signatures.sign(signer("custodian"), b"another text"))
    desk.refuses(medium, "the signature of custodian on FIRST-CONTACT is not valid")


@pytest.mark.parametrize("size", [0, 63, 65, 1 << 40])
def test_a_signature_of_another_length_is_refused(desk: Desk, medium: Path, size: int) -> None:
    os.truncate(medium / signatures.path("architect"), size)
    desk.refuses(medium, "larger than it may be" if size > 64 else INVALID)


def test_a_signature_over_the_bare_text_is_refused(desk: Desk, medium: Path) -> None:
    text = (medium / record.FILE).read_bytes()
    bare = bytes.fromhex(signer("architect").ed25519.sign(text).signature)
    (medium / signatures.path("architect")).write_bytes(bare)
    desk.refuses(medium, INVALID)


def test_a_signature_that_a_person_gave_the_release_signs_no_first_contact(desk: Desk, medium: Path) -> None:
    """The same key signed targets.json: neither that message nor that signature passes for the other kind."""
    targets = json.loads((medium / "metadata/targets.json").read_bytes())
    payload = (encode_canonical(targets["signed"]) or "").encode()
    (medium / record.FILE).write_bytes(payload)
    given = {item["keyid"]: item["sig"] for item in targets["signatures"]}
    for name in SIGNED:
        (medium / signatures.path(name)).write_bytes(bytes.fromhex(given[signer(name).public.ed25519.keyid]))
    desk.refuses(medium, INVALID)


def test_an_older_release_under_the_same_root_says_which_one_it_is(desk: Desk, tmp_path: Path) -> None:
    """A first use has no floor; what it is shown names its number, which a signer's word can be compared with."""
    done = desk.run(bundle(tmp_path / "older"))
    assert "release sovereign 1.0.0, number 1" in done.stderr


CARDS: dict[str, Callable[[bytes], bytes]] = {
    "carriage returns": lambda text: text.replace(b"\n", b"\r\n"),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "nul": lambda text: text.replace(b"threshold", b"thres\0hold"),
    "no last newline": lambda text: text[:-1],
    "empty line": lambda text: text + b"\n",
    "nothing": lambda _text: b"",
    "no key": lambda text: b"".join(text.splitlines(keepends=True)[:4]),
    "order": lambda text: b"".join(sorted(text.splitlines(keepends=True))),
    "threshold of nobody": lambda text: text.replace(b"threshold 2", b"threshold 0"),
    "threshold in words": lambda text: text.replace(b"threshold 2", b"threshold $(id)"),
    "two thresholds": lambda text: text.replace(b"threshold 2", b"threshold 2\nthreshold 1"),
    "capitals": lambda text: text.upper(),
    "a name that is a path": lambda text: text.replace(b"key architect", b"key ../architect"),
    "a name that is an option": lambda text: text.replace(b"key architect", b"key -n"),
    "a name that is a pattern": lambda text: text.replace(b"key architect", b"key *"),
    "a key that is cut": lambda text: text[:-5] + b"\n",
    "version 2": lambda text: text.replace(b"start v1", b"start v2"),
}


@pytest.mark.parametrize("change", CARDS.values(), ids=CARDS)
def test_a_card_in_any_other_form_is_refused(desk: Desk, medium: Path, change: Callable[[bytes], bytes]) -> None:
    desk.card = change(desk.card)
    desk.refuses(medium, "is no card")


def test_a_card_of_other_people_is_refused(desk: Desk, medium: Path) -> None:
    foreign = {
        name: signer(other).public.ed25519.keyval["public"]
        for name, other in zip(SIGNED, ["outsider", "stranger"], strict=True)
    }
    for name, key in foreign.items():
        desk.card = desk.card.replace(signer(name).public.ed25519.keyval["public"].encode(), key.encode())
    desk.refuses(medium, INVALID)


def test_the_card_is_the_same_whoever_makes_it() -> None:
    assert card.of_root(root_bytes()) == card.of_root(root_bytes())
