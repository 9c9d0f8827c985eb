from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airgap_bundle import keys, pkcs8
from airgap_bundle.errors import FormatError, KeyFileError
from tests.bundles import signer

if TYPE_CHECKING:
    from pathlib import Path

FAST = 2**4


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    keys.save(signer("architect"), tmp_path, b"pass phrase", cost=FAST)
    return tmp_path / "architect.key"


def test_a_saved_signer_loads_with_its_passphrase(saved: Path) -> None:
    loaded = keys.load(saved, b"pass phrase")
    assert loaded.public == signer("architect").public
    for key, signature in zip(loaded.public.keys, loaded.sign(b"data"), strict=True):
        key.verify_signature(signature, b"data")


def test_the_key_file_is_private_and_holds_no_plain_key(saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert saved.read_text().count("BEGIN ENCRYPTED PRIVATE KEY") == 2


def test_the_default_cost_is_what_the_format_demands(tmp_path: Path) -> None:
    key_file, _ = keys.save(signer("architect"), tmp_path, b"pass phrase")
    assert pkcs8.COST >= 2**17
    assert keys.load(key_file, b"pass phrase").public == signer("architect").public


@pytest.mark.parametrize("phrase", [b"", b"wrong", b"pass phrase\n"])
def test_another_passphrase_opens_nothing(saved: Path, phrase: bytes) -> None:
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        keys.load(saved, phrase)


def test_an_empty_passphrase_protects_nothing_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="empty"):
        keys.save(signer("architect"), tmp_path, b"", cost=FAST)
    assert list(tmp_path.iterdir()) == []


def test_keys_are_never_overwritten(saved: Path) -> None:
    with pytest.raises(KeyFileError, match="exists already"):
        keys.save(signer("architect"), saved.parent, b"other", cost=FAST)


def test_a_refusal_leaves_no_half_of_a_pair_behind(tmp_path: Path) -> None:
    (tmp_path / "architect.pub").write_bytes(b"somebody's")
    with pytest.raises(KeyFileError, match=r"architect\.pub exists already"):
        keys.save(signer("architect"), tmp_path, b"pass phrase", cost=FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["architect.pub"]


def test_the_public_file_gives_the_same_signer(saved: Path) -> None:
    assert keys.load_public(saved.with_suffix(".pub")) == signer("architect").public


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"schema":1,"name":"architect","keys":{}}',
        b'{"schema":1,"name":"../x","keys":{"ed25519":"","ml-dsa-65":""}}',
    ],
)
def test_a_malformed_public_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.pub").write_bytes(data)
    with pytest.raises(KeyFileError):
        keys.load_public(tmp_path / "x.pub")


def test_a_key_file_with_anything_besides_is_refused(saved: Path) -> None:
    for data in (saved.read_bytes() + b"note\n", b"x" + saved.read_bytes(), saved.read_bytes()[:-30], b""):
        saved.write_bytes(data)
        with pytest.raises(KeyFileError):
            keys.load(saved, b"pass phrase")


def test_a_key_file_with_its_halves_exchanged_is_refused(saved: Path) -> None:
    header, first, second = saved.read_text().split("-----BEGIN")
    saved.write_text(f"{header}-----BEGIN{second}-----BEGIN{first}")
    with pytest.raises(KeyFileError, match="Ed25519 key, then"):
        keys.load(saved, b"pass phrase")


def test_a_disk_that_fills_up_leaves_no_half_of_a_key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        keys.save(signer("architect"), tmp_path, b"pass phrase", cost=2)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"none\.key cannot be read"):
        keys.load(tmp_path / "none.key", b"x")


@pytest.mark.parametrize("name", ["", "Ada", "a b", "../x", "-x", "é", "x" * 64])
def test_names_of_signers_are_plain(name: str) -> None:
    with pytest.raises(FormatError):
        keys.generate(name)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the oracle")
def test_openssl_opens_the_same_pkcs8(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(pkcs8.encrypt(Ed25519PrivateKey.generate(), b"pass", cost=2**10))
    (tmp_path / "pass").write_bytes(b"pass")
    found = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "k.pem", "-passin", f"file:{tmp_path / 'pass'}", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ED25519 Private-Key" in found.stdout, found.stderr
