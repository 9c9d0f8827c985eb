"""The recovery key: the public half only writes, the private one opens under its passphrase, a changed file is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.errors import RefusedError, UsageError
from appliance.install.backup.recovery_key import load_recipient, make_recovery_key, open_recovery_key
from tests.unit.install.backup.conftest import PHRASE

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.install.backup.recovery_key import RecoveryKey


def test_what_is_wrapped_for_the_public_half_opens_with_the_private_one_only(
    recovery_file: Path, key: RecoveryKey, tmp_path: Path
) -> None:
    wrapped = load_recipient(recovery_file.with_name("recovery.key.pub")).wrap(b"k" * 32, b"log")
    assert key.unwrap(wrapped, b"log") == b"k" * 32
    make_recovery_key(tmp_path / "other.key", lambda: PHRASE)
    other = open_recovery_key(tmp_path / "other.key", lambda: PHRASE)
    for wrong in (lambda: other.unwrap(wrapped, b"log"), lambda: key.unwrap(wrapped, b"site")):
        with pytest.raises(RefusedError):
            wrong()
    for changed in (b"", wrapped[:40], wrapped[:-1] + bytes([wrapped[-1] ^ 1])):
        with pytest.raises(RefusedError):
            key.unwrap(changed, b"log")


def test_the_private_file_is_for_its_owner_and_holds_nothing_without_the_passphrase(recovery_file: Path) -> None:
    assert recovery_file.stat().st_mode & 0o777 == 0o600
    public = json.loads(recovery_file.with_name("recovery.key.pub").read_bytes())
    assert set(public) == {"schema", "kind", "fingerprint", "mlkem768", "x25519"}
    with pytest.raises(UsageError, match="passphrase"):
        open_recovery_key(recovery_file, lambda: b"another passphrase")
    with pytest.raises(UsageError, match="no private"):
        open_recovery_key(recovery_file.with_name("recovery.key.pub"), lambda: PHRASE)


def test_a_file_that_is_there_is_never_replaced(recovery_file: Path, tmp_path: Path) -> None:
    before = recovery_file.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        make_recovery_key(recovery_file, lambda: PHRASE)
    (tmp_path / "half.key.pub").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        make_recovery_key(tmp_path / "half.key", lambda: PHRASE)
    assert recovery_file.read_bytes() == before
    assert not (tmp_path / "half.key").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "X25519"), ("mlkem768", "AAAA"), ("x25519", "AA=="), ("mlkem768", None), ("x25519", "not base64!")],
)
def test_a_changed_public_half_is_refused_before_anything_is_sealed_to_it(
    recovery_file: Path, field: str, value: str | None
) -> None:
    public = recovery_file.with_name("recovery.key.pub")
    public.write_text(json.dumps(json.loads(public.read_bytes()) | {field: value}))
    with pytest.raises(UsageError, match="no recovery key"):
        load_recipient(public)


def test_a_private_file_with_somebody_elses_public_half_is_refused(recovery_file: Path, tmp_path: Path) -> None:
    make_recovery_key(tmp_path / "other.key", lambda: PHRASE)
    other = json.loads((tmp_path / "other.key").read_bytes())
    mixed = json.loads(recovery_file.read_bytes()) | {"mlkem768": other["mlkem768"], "x25519": other["x25519"]}
    recovery_file.write_text(json.dumps(mixed))
    with pytest.raises(UsageError, match="another public key"):
        open_recovery_key(recovery_file, lambda: PHRASE)


@pytest.mark.parametrize("cost", [2**30, 0, 3, -2, float("inf"), "x"])
def test_a_file_cannot_make_the_reader_take_all_memory_nor_fail_otherwise(recovery_file: Path, cost: object) -> None:
    fields = json.loads(recovery_file.read_bytes())
    fields["scrypt"]["n"] = cost
    recovery_file.write_text(json.dumps(fields))
    with pytest.raises(UsageError):
        open_recovery_key(recovery_file, lambda: PHRASE)


def test_the_private_half_is_not_taken_for_a_recipient(recovery_file: Path) -> None:
    with pytest.raises(UsageError, match="is a private recovery key"):
        load_recipient(recovery_file)
