"""Checkpoints carry both signatures, by the log's own keys, over this tree: anything less is refused."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

import pytest

from appliance.audit.checkpoint import Checkpoint, open_checkpoint, parse_body, read_vkeys
from appliance.audit.errors import NoteError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.merkle import EMPTY_ROOT
from appliance.audit.note import ML_DSA_44, Note, parse_note
from appliance.errors import DeploymentError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "site.example/audit"
HEAD = Checkpoint(ORIGIN, 42, bytes(range(32)))
KEYS = CheckpointKeys.generate()
VKEYS = KEYS.vkeys(ORIGIN)
SIGNED = KEYS.sign(HEAD, time=1_795_000_000)


def test_a_checkpoint_signed_by_both_keys_is_accepted() -> None:
    opened = open_checkpoint(SIGNED.encode(), VKEYS)
    assert (opened.origin, opened.size, opened.root, opened.time) == (ORIGIN, 42, HEAD.root, 1_795_000_000)


def test_the_note_has_the_three_lines_of_the_specification() -> None:
    assert parse_note(SIGNED.encode()).text == f"{ORIGIN}\n42\n{base64.b64encode(HEAD.root).decode()}\n"


def test_an_empty_log_has_the_root_of_nothing_and_no_other() -> None:
    right, wrong = (Checkpoint(ORIGIN, 0, root) for root in (EMPTY_ROOT, bytes(32)))
    assert open_checkpoint(KEYS.sign(right, time=1).encode(), VKEYS).size == 0
    with pytest.raises(NoteError, match="empty log"):
        open_checkpoint(KEYS.sign(wrong, time=1).encode(), VKEYS)


def test_a_checkpoint_with_sixteen_more_signatures_is_accepted_and_its_known_ones_count() -> None:
    """signed-note asks for at least 16; ours are the 17th and 18th."""
    strangers = "".join(CheckpointKeys.generate().sign(HEAD, time=1).split("\n\n")[1] for _ in range(8))
    text, ours = SIGNED.split("\n\n")
    assert open_checkpoint(f"{text}\n\n{strangers}{ours}".encode(), VKEYS).size == 42


def test_extension_lines_are_covered_by_ed25519_and_mean_nothing() -> None:
    text = HEAD.body() + "extension\n"
    note = parse_note(SIGNED.encode())
    classic = type(note.signatures[0])(ORIGIN, VKEYS[0].key_id, KEYS.ed25519.sign(text.encode()))
    extended = Note(text, (classic, note.signatures[1])).encode()
    assert open_checkpoint(extended.encode(), VKEYS) == open_checkpoint(SIGNED.encode(), VKEYS)
    with pytest.raises(NoteError, match="Ed25519 signature"):
        open_checkpoint(extended.replace("extension", "extensions").encode(), VKEYS)


@pytest.mark.parametrize(("line", "missing"), [(0, "Ed25519"), (1, "ML-DSA-44")])
def test_a_checkpoint_stripped_of_one_signature_is_refused(line: int, missing: str) -> None:
    note = parse_note(SIGNED.encode())
    stripped = Note(note.text, tuple(s for i, s in enumerate(note.signatures) if i != line))
    with pytest.raises(NoteError, match=f"no {missing}"):
        open_checkpoint(stripped.encode().encode(), VKEYS)


@pytest.mark.parametrize("old", ["42\n", "site.example/audit\n42", base64.b64encode(HEAD.root).decode()])
def test_a_changed_line_breaks_the_signatures(old: str) -> None:
    changed = {"42\n": "43\n", "site.example/audit\n42": "site.example/other\n42"}.get(old, "A" * 43 + "=")
    with pytest.raises(NoteError):
        open_checkpoint(SIGNED.replace(old, changed, 1).encode(), VKEYS)


def test_a_changed_cosignature_time_is_refused() -> None:
    note = parse_note(SIGNED.encode())
    classic, hybrid = note.signatures
    later = type(hybrid)(hybrid.name, hybrid.key_id, struct.pack(">Q", 1) + hybrid.blob[8:])
    with pytest.raises(NoteError, match="ML-DSA-44 signature"):
        open_checkpoint(Note(note.text, (classic, later)).encode().encode(), VKEYS)


def test_a_truncated_cosignature_is_refused() -> None:
    note = parse_note(SIGNED.encode())
    classic, hybrid = note.signatures
    short = type(hybrid)(hybrid.name, hybrid.key_id, hybrid.blob[:4])
    with pytest.raises(NoteError, match="ML-DSA-44 signature"):
        open_checkpoint(Note(note.text, (classic, short)).encode().encode(), VKEYS)


def test_signatures_of_strangers_are_ignored() -> None:
    stranger = CheckpointKeys.generate().sign(HEAD, time=1)
    both = SIGNED + stranger.split("\n\n")[1]
    assert open_checkpoint(both.encode(), VKEYS).size == 42
    with pytest.raises(NoteError, match="no Ed25519"):
        open_checkpoint(stranger.encode(), VKEYS)


def test_keys_of_one_algorithm_alone_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(UsageError, match="no ML-DSA-44"):
        open_checkpoint(SIGNED.encode(), [key for key in VKEYS if key.algorithm != ML_DSA_44])


_ROOT = base64.b64encode(HEAD.root).decode()
_MALFORMED = "origin, size and root are expected"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n", _MALFORMED),
        ("a\n1\n", _MALFORMED),
        (f"a\nb\n{_ROOT}\n", _MALFORMED),
        *((f"a\n{size}\n{_ROOT}\n", _MALFORMED) for size in ("01", "00", "-1", "+1", " 1", "1_0", "\u0661", "9" * 30)),
        (f"\n1\n{_ROOT}\n", _MALFORMED),
        (f"a\n1\n{_ROOT}\n\n", _MALFORMED),
        ("a\n1\nAA==\n", "has 1 bytes, not 32"),
        ("a\n1\n*\n", "not base64"),
    ],
)
def test_a_malformed_body_is_refused(text: str, said: str) -> None:
    assert parse_body(f"a\n1\n{_ROOT}\n") == Checkpoint("a", 1, HEAD.root)  # of which each is a change
    with pytest.raises(NoteError, match=said):
        parse_body(text)


def test_keys_survive_storage() -> None:
    again = CheckpointKeys.load(KEYS.ed25519_pem(), KEYS.mldsa44_pem())
    assert again.vkeys(ORIGIN) == VKEYS
    assert "PRIVATE" not in repr(again)


def test_credentials_that_are_swapped_or_garbage_are_refused() -> None:
    with pytest.raises(DeploymentError, match="holds no Ed25519"):
        CheckpointKeys.load(KEYS.mldsa44_pem(), KEYS.ed25519_pem())
    with pytest.raises(DeploymentError, match="holds no ML-DSA-44"):
        CheckpointKeys.load(KEYS.ed25519_pem(), KEYS.ed25519_pem())
    with pytest.raises(DeploymentError, match="not a PKCS#8"):
        CheckpointKeys.load(b"nothing", KEYS.mldsa44_pem())


def test_a_vkeys_file_is_read_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "audit-vkeys"
    path.write_text("# the site's log\n\n" + "".join(key.encode() + "\n" for key in VKEYS))
    assert read_vkeys(path) == VKEYS


def test_a_vkeys_file_without_both_algorithms_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit-vkeys"
    path.write_text(VKEYS[0].encode() + "\n")
    with pytest.raises(UsageError, match="no ML-DSA-44"):
        read_vkeys(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_vkeys(tmp_path / "absent")
