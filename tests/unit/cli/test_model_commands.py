"""The publisher's commands: make a key, sign a folder, state an origin; and anybody's: check a folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airgap_bundle import keys
from airgap_bundle.errors import DigestMismatchError, KeyFileError, UnlistedFileError
from airgap_bundle.provenance import publisher_key
from airgap_bundle.provenance.errors import OtherModelError, UnknownPublisherError
from airgap_bundle.provenance.origin import verify_origin
from appliance.cli.main import app
from appliance.errors import UsageError
from tests.unit.models.small_release import signer
from tests.unit.provenance.publisher_bench import write_folder

if TYPE_CHECKING:
    from pathlib import Path

PHRASE = b"correct horse\n"


@pytest.fixture(autouse=True)
def _quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second per key is for attackers."""
    monkeypatch.setattr(publisher_key.save_new, "__kwdefaults__", {"cost": 2})


def run(*words: object, phrase: bytes = PHRASE) -> Any:
    """The command's result from JSON; its error is raised. A passphrase comes over a pipe where one is asked for."""
    reader, writer = os.pipe()
    os.write(writer, phrase)
    os.close(writer)
    wants = ["--passphrase-fd", str(reader)] if words[1] in {"keygen", "sign", "attest"} else []
    try:
        done = CliRunner().invoke(app, [*map(str, words), *wants, "--output", "json"])
    finally:
        os.close(reader)
    if done.exception is not None:
        raise done.exception
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder, and a publisher's key beside it."""
    run("model", "keygen", "architect", "--out", tmp_path)
    return write_folder(tmp_path / "small-model")


def _sign(folder: Path, *more: object) -> Any:
    key = folder.parent / "architect.key"
    return run("model", "sign", folder, "--key", key, "--model-version", "1.0.0", "--role", "chat", *more)


def _verify(folder: Path, *more: object) -> Any:
    return run("model", "verify", folder, "--publisher", folder.parent / "architect.pem", *more)


def test_a_signed_folder_verifies_with_the_publishers_public_key_alone(folder: Path) -> None:
    signed = _sign(folder)
    found = _verify(folder)
    assert (found["publisher"], found["name"], found["version"], found["role"]) == (
        "architect",
        "small-model",
        "1.0.0",
        "chat",
    )
    assert found["digest"] == signed["digest"]
    assert found["files"] == len(signed["files"]) == 3


def test_the_private_key_lies_encrypted_and_for_its_owner_only(folder: Path) -> None:
    path = folder.parent / "architect.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        run("model", "sign", folder, "--key", path, "--model-version", "1", "--role", "chat", phrase=b"guess\n")
    assert not (folder / "model.sig").exists()


def test_a_signature_is_never_overwritten(folder: Path) -> None:
    _sign(folder)
    before = (folder / "model.sig").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        _sign(folder)
    assert (folder / "model.sig").read_bytes() == before


def test_a_changed_an_added_and_a_renamed_model_are_refused(folder: Path) -> None:
    _sign(folder)
    (folder / "a/b.txt").write_bytes(b"changed")
    with pytest.raises(DigestMismatchError):
        _verify(folder)
    (folder / "a/b.txt").write_bytes(b"")
    (folder / ".gitignore").write_bytes(b"*")
    with pytest.raises(UnlistedFileError):
        _verify(folder)
    (folder / ".gitignore").unlink()
    renamed = folder.rename(folder.with_name("better-model"))
    with pytest.raises(OtherModelError):
        _verify(renamed)
    assert _verify(renamed, "--name", "small-model")["name"] == "small-model"


def test_a_signature_that_lies_elsewhere_leaves_no_file_unsigned(folder: Path) -> None:
    apart = folder.parent / "apart.sig"
    _sign(folder, "--out", apart)
    assert _verify(folder, "--signature", apart)["files"] == 3
    (folder / "model.sig").write_bytes(b"smuggled in")
    with pytest.raises(UnlistedFileError, match=r"model\.sig"):
        _verify(folder, "--signature", apart)


def test_another_publishers_key_does_not_verify_it(folder: Path) -> None:
    _sign(folder)
    run("model", "keygen", "stranger", "--out", folder.parent)
    with pytest.raises(UnknownPublisherError):
        run("model", "verify", folder, "--publisher", folder.parent / "stranger.pem")


def test_a_folder_without_a_trusted_publisher_is_not_checked_at_all(folder: Path) -> None:
    _sign(folder)
    with pytest.raises(UsageError, match="against a publisher"):
        run("model", "verify", folder)


def test_a_statement_says_of_which_files_it_is_and_who_says_so(folder: Path) -> None:
    keys.save(signer("custodian"), folder.parent, PHRASE.strip(), cost=2)
    key, out = folder.parent / "custodian.key", folder.parent / "step.intoto.json"
    source = f"sha256:{'a' * 64}"
    made = run(
        *("model", "attest", "conversion", "--key", key, "--out", out, "--subject", folder / "a/b.txt"),
        *("--input", source, "--say", "tool=llama.cpp", "--say", "version=b6000"),
    )
    statement = verify_origin(out.read_bytes(), [signer("custodian").public])
    assert (statement.kind, statement.attester) == ("conversion", "custodian")
    assert statement.subjects == made["subjects"]
    assert list(statement.subjects.values()) == ["b.txt"]


@pytest.mark.parametrize(
    ("say", "cause"),
    [
        (["tool=x"], "version"),
        (["tool=x", "version=1", "surprise=1"], "surprise"),
        (["tool"], "no FIELD=TEXT"),
    ],
)
def test_a_statement_with_other_fields_is_not_signed(folder: Path, say: list[str], cause: str) -> None:
    keys.save(signer("custodian"), folder.parent, PHRASE.strip(), cost=2)
    out = folder.parent / "step.intoto.json"
    words = [word for item in say for word in ("--say", item)]
    with pytest.raises(UsageError, match=cause):
        run(
            *("model", "attest", "conversion", "--key", folder.parent / "custodian.key", "--out", out),
            *("--subject", folder / "a/b.txt", "--input", f"sha256:{'a' * 64}", *words),
        )
    assert not out.exists()


def test_a_statement_has_a_name_that_the_gate_knows(folder: Path) -> None:
    with pytest.raises(UsageError, match="no name of a statement"):
        run(
            "model",
            "attest",
            "licence",
            "--key",
            "k",
            "--out",
            folder / "x.json",
            "--subject",
            "x",
            "--say",
            "spdx=MIT",
        )
