"""Whatever a person signs may be signed with a key on a token; what is signed is written whole or refused in a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import armour, keys
from airgap_bundle.errors import KeyFileError, StoreError
from tests.bundles import Draft, signer
from tests.commands import run

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'44' * 32}"
MODEL_WAIVER = ["--model", "m", "--digest", DIGEST, "--waives", "conversion-closed", "--reason", "known and accepted"]
HOST_WAIVER = ["--site-name", "trial", "--waives", "landlock", "--reason", "known and accepted"]
SIGNING = {
    "bundle sign": ["bundle", "sign", "BUNDLE"],
    "bundle split": ["bundle", "split", "BUNDLE", "--out", "OUT"],
    "trust waive": ["trust", "waive", *MODEL_WAIVER, "--out", "OUT"],
    "trust waive-host": ["trust", "waive-host", *HOST_WAIVER, "--out", "OUT"],
    "model attest": [
        *["model", "attest", "approval", "--subject", DIGEST, "--say", "reason=tried and approved"],
        *["--out", "OUT.intoto.json"],
    ],
}


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A description whose module is nobody's to load: everybody may write it."""
    module = tmp_path / "module.so"
    module.write_bytes(b"never loaded")
    module.chmod(0o666)
    public = armour.encode(bytes.fromhex(signer("architect").public.ed25519.keyval["public"]))
    value = {
        "schema": 1,
        "name": "architect",
        "module": str(module),
        "ed25519": {"uri": "pkcs11:token=T;object=architect", "public": public},
        "ml-dsa-65": {"file": "architect.ml-dsa.key"},
    }
    (tmp_path / "architect.token").write_text(json.dumps(value))
    (tmp_path / "architect.token").chmod(0o600)
    return tmp_path / "architect.token"


@pytest.mark.parametrize("words", SIGNING.values(), ids=SIGNING)
def test_a_token_is_asked_by_every_command_that_signs(token: Path, tmp_path: Path, words: list[str]) -> None:
    places = {"BUNDLE": str(Draft().write(tmp_path / "bundle")), "OUT": str(tmp_path / "out")}
    given = [places.get(word, word.replace("OUT.", f"{tmp_path}/out.")) for word in words]
    with pytest.raises(KeyFileError, match=r"module\.so"):
        run(*given, "--key", token, "--pin-fd", 99, phrase=b"phrase\n")


@pytest.mark.usefixtures("cheap_keys")
@pytest.mark.parametrize("command", ["trust waive", "trust waive-host"])
def test_a_waiver_that_cannot_be_written_is_told_in_a_line(tmp_path: Path, command: str) -> None:
    keys.save(signer("officer"), tmp_path, b"phrase")
    given = [word if word != "OUT" else str(tmp_path / "missing/waiver.json") for word in SIGNING[command]]
    with pytest.raises(StoreError, match="cannot be written"):
        run(*given, "--key", tmp_path / "officer.key", phrase=b"phrase\n")


@pytest.mark.usefixtures("cheap_keys")
def test_a_waiver_is_not_written_through_a_link(tmp_path: Path) -> None:
    keys.save(signer("officer"), tmp_path, b"phrase")
    (tmp_path / "kept").write_bytes(b"kept")
    (tmp_path / "out").symlink_to(tmp_path / "kept")
    given = [word if word != "OUT" else str(tmp_path / "out") for word in SIGNING["trust waive"]]
    assert run(*given, "--key", tmp_path / "officer.key", phrase=b"phrase\n").exit_code == 0
    assert (tmp_path / "kept").read_bytes() == b"kept"
