"""Key descriptions and pkcs11: URIs are read strictly, before a module is loaded or a PIN asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import armour
from airgap_bundle.errors import FormatError, KeyFileError
from airgap_bundle.signing.backend import open_signer
from airgap_bundle.signing.token_file import TokenFile, check_ours
from airgap_bundle.signing.token_uri import TokenUri
from tests.bundles import signer
from tests.software_token import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_uri_names_a_token_and_a_key() -> None:
    found = TokenUri.parse("pkcs11:token=Signing%20token;serial=DEAD;id=%01%FF;object=architect;type=private")
    assert found.token == {"token": "Signing token", "serial": "DEAD"}
    assert (found.label, found.key_id) == ("architect", b"\x01\xff")


REFUSED = {
    "no uri": "architect",
    "empty": "pkcs11:",
    "no key": "pkcs11:token=T",
    "no token": "pkcs11:object=K",
    "a PIN": "pkcs11:token=T;object=K?pin-value=1234",
    "where a PIN lies": "pkcs11:token=T;object=K?pin-source=file:pin",
    "a module": "pkcs11:token=T;object=K?module-path=/tmp/evil.so",
    "an attribute twice": "pkcs11:token=T;token=U;object=K",
    "an attribute of no kind": "pkcs11:token=T;object=K;slot-id=1",
    "a public key": "pkcs11:token=T;object=K;type=public",
    "an open escape": "pkcs11:token=T;object=%4",
    "a space": "pkcs11:token=T;object=a b",
    "a name that is no text": "pkcs11:token=%FF;object=K",
    "very long": f"pkcs11:token=T;object={'K' * 2000}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_uri_with_anything_else_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        TokenUri.parse(text)


@pytest.fixture
def description(tmp_path: Path) -> Path:
    """Where the module would be, lies a file that is none."""
    (tmp_path / "module.so").write_bytes(b"not loaded")
    value = {
        "schema": 1,
        "name": "architect",
        "module": str(tmp_path / "module.so"),
        "ed25519": {
            "uri": "pkcs11:token=T;object=architect",
            "public": armour.encode(bytes.fromhex(signer("architect").public.ed25519.keyval["public"])),
        },
        "ml-dsa-65": {"file": "architect.ml-dsa.key"},
    }
    (tmp_path / "architect.token").write_bytes(json.dumps(value).encode())
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    return tmp_path / "architect.token"


def test_a_description_is_read(description: Path) -> None:
    found = TokenFile.load(description)
    assert (found.name, found.ml_dsa, found.uri.label) == ("architect", "architect.ml-dsa.key", "architect")


DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another schema": lambda v: v.update(schema=2),
    "a field besides": lambda v: v.update(pin="1234"),
    "a field missing": lambda v: v.pop("module"),
    "a path for the other half": lambda v: v["ml-dsa-65"].update(file="../architect.ml-dsa.key"),
    "a module found on a search path": lambda v: v.update(module="libsofthsm2.so"),
    "no signer's name": lambda v: v.update(name="Ada Lovelace"),
    "a key that is none": lambda v: v["ed25519"].update(public="AAAA"),
    "a uri with a PIN": lambda v: v["ed25519"].update(uri="pkcs11:token=T;object=K?pin-value=1"),
    "a half that is text": lambda v: v.update({"ed25519": "pkcs11:token=T;object=K"}),
}


@pytest.mark.parametrize("change", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_malformed_description_is_refused_before_anything_is_asked(
    description: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    value = json.loads(description.read_bytes())
    change(value)
    description.write_bytes(json.dumps(value).encode())
    secrets = Secrets()
    with pytest.raises(KeyFileError, match="no key description"), open_signer(description, secrets):
        pass
    assert secrets.asked == ()


def test_a_module_that_others_may_write_is_not_loaded(description: Path) -> None:
    (description.parent / "module.so").chmod(0o666)
    with pytest.raises(KeyFileError, match=r"module\.so can be written by others"):
        TokenFile.load(description)


def test_a_module_that_others_may_replace_is_not_loaded(description: Path) -> None:
    """Whoever may write its folder needs no right to the file."""
    _move_module(description, shared := description.parent / "shared" / "lib")
    shared.parent.chmod(0o777)
    with pytest.raises(KeyFileError, match=r"module\.so can be written by others, in .*shared"):
        TokenFile.load(description)
    shared.parent.chmod(0o1777)
    assert check_ours(TokenFile.load(description).module) == shared / "module.so"


def test_a_link_to_a_module_is_followed_once(description: Path) -> None:
    """Who checks one file and loads another through the same link has checked nothing."""
    _move_module(description, real := description.parent / "real")
    (description.parent / "module.so").symlink_to(real / "module.so")
    _name_module(description, description.parent / "module.so")
    assert check_ours(TokenFile.load(description).module) == real / "module.so"


def _move_module(description: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    (description.parent / "module.so").rename(folder / "module.so")
    _name_module(description, folder / "module.so")


def _name_module(description: Path, module: Path) -> None:
    value = json.loads(description.read_bytes()) | {"module": str(module)}
    description.write_bytes(json.dumps(value).encode())


def test_a_module_that_is_a_folder_is_refused(description: Path) -> None:
    value = json.loads(description.read_bytes()) | {"module": str(description.parent)}
    description.write_bytes(json.dumps(value).encode())
    with pytest.raises(KeyFileError, match="no regular file"):
        TokenFile.load(description)


@pytest.mark.parametrize("data", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\x7fELF"])
def test_a_file_of_no_backend_is_refused_before_anything_is_asked(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.key").write_bytes(data)
    secrets = Secrets()
    with pytest.raises(KeyFileError, match="neither a signer's key file nor a key description"):
        open_signer(tmp_path / "x.key", secrets).__enter__()
    assert secrets.asked == ()
