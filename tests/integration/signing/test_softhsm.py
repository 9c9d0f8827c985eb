"""Signing with a token: the Ed25519 key is made on it, stays on it, and counts like one in a file."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pkcs11
import pytest

from airgap_bundle import keys
from airgap_bundle.errors import KeyFileError
from airgap_bundle.sign import sign_bundle
from airgap_bundle.signing import token
from airgap_bundle.signing.backend import TokenFiles, generate_on_token, open_signer
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.signing.root_plan import Circle, RootPlan, by_name
from airgap_bundle.signing.token_file import TokenFile
from airgap_bundle.verify import verify
from tests.bundles import NOW, Draft, signer, tree, trust
from tests.commands import run, run_json
from tests.software_token import MODULE, PASSPHRASE, PIN, Secrets, uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("cheap_keys")


@pytest.fixture(scope="module")
def made(softhsm: Path, tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    """The signer ``architect``, made on the token ``ceremony``."""
    assert softhsm.exists()
    return generate_on_token("architect", MODULE, uri("architect"), tmp_path_factory.mktemp("keys"), Secrets())


@pytest.fixture
def description(made: TokenFiles, tmp_path: Path) -> Path:
    """A copy of the description and what lies beside it, to change."""
    for path in (made.description, made.ml_dsa):
        (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / path.name).chmod(0o600)
    return tmp_path / made.description.name


def changed(description: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    value = json.loads(description.read_bytes())
    change(value)
    description.write_bytes(json.dumps(value).encode())
    return description


@pytest.mark.usefixtures("made")
def test_the_private_key_cannot_leave_the_token() -> None:
    with token.session(MODULE, uri("architect"), Secrets().pin) as opened:
        key = token.find_key(opened, uri("architect"))
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.PKCS11Error):
            _ = key[pkcs11.Attribute.VALUE]


def test_what_is_kept_beside_the_token_holds_no_plain_secret(made: TokenFiles) -> None:
    assert made.description.stat().st_mode & 0o777 == made.ml_dsa.stat().st_mode & 0o777 == 0o600
    assert made.ml_dsa.read_text().count("BEGIN ENCRYPTED PRIVATE KEY") == 1
    assert "pin" not in made.description.read_text().lower()


def test_a_signer_on_a_token_is_asked_for_pin_and_passphrase_and_signs_with_both_halves(made: TokenFiles) -> None:
    secrets = Secrets()
    with open_signer(made.description, secrets) as found:
        assert found.public == keys.load_public(made.public)
        for key, signature in zip(found.public.keys, found.sign(b"data"), strict=True):
            key.verify_signature(signature, b"data")
    assert secrets.asked == ("PIN of token ceremony", "passphrase of architect.ml-dsa.key")


def test_a_bundle_signed_with_a_token_and_a_file_is_whole(made: TokenFiles, tmp_path: Path) -> None:
    persons = [keys.load_public(made.public), signer("builder").public]
    circle = Circle(by_name(persons), 2)
    draft = RootDraft.successor({}, RootPlan({"root": circle, "targets": circle}, signer("release").public), now=NOW)
    bundle = Draft().write(tmp_path / "bundle")
    with open_signer(made.description, Secrets()) as found:
        root = draft.signed_by(found, NOW).signed_by(signer("builder"), NOW).data
        sign_bundle(bundle, found, now=NOW, roots={1: root})
    sign_bundle(bundle, signer("builder"), now=NOW)
    sign_bundle(bundle, signer("release"), now=NOW)
    report = verify(bundle, trust(root), now=NOW)
    assert report.ok
    assert report.signers == ("architect", "builder")


def refuses(description: Path, match: str, secrets: Secrets | None = None) -> Secrets:
    asked = secrets or Secrets()
    before = tree(description.parent)
    with pytest.raises(KeyFileError, match=match), open_signer(description, asked) as found:
        found.sign(b"data")
    assert tree(description.parent) == before
    return asked


def test_a_wrong_pin_opens_nothing_and_says_what_it_costs(description: Path) -> None:
    asked = refuses(description, "the token refuses the PIN", Secrets(pin_="000000"))
    assert asked.asked == ("PIN of token ceremony",), "no passphrase is asked for after that"
    with open_signer(description, Secrets()):
        pass


def test_a_wrong_passphrase_opens_nothing(description: Path) -> None:
    refuses(description, "wrong passphrase", Secrets(passphrase_=b"guessed it"))


def test_no_pin_is_asked_for_when_the_token_is_not_there(description: Path) -> None:
    changed(description, lambda v: v["ed25519"].update(uri="pkcs11:token=elsewhere;object=architect"))
    assert refuses(description, "no token matches pkcs11:token=elsewhere").asked == ()


def test_two_tokens_of_one_name_are_not_guessed_between(description: Path) -> None:
    changed(description, lambda v: v["ed25519"].update(uri="pkcs11:token=twin;object=architect"))
    assert refuses(description, "2 tokens match").asked == ()


def test_a_key_that_is_not_on_the_token_is_named(description: Path) -> None:
    changed(description, lambda v: v["ed25519"].update(uri="pkcs11:token=ceremony;object=nobody"))
    refuses(description, "holds no such key")


def test_a_key_of_another_kind_does_not_sign(description: Path) -> None:
    with token.session(MODULE, uri("rsa"), Secrets().pin, write=True) as opened:
        opened.generate_keypair(pkcs11.KeyType.RSA, 2048, label="rsa", store=True)
    changed(description, lambda v: v["ed25519"].update(uri="pkcs11:token=ceremony;object=rsa"))
    refuses(description, "is not an Ed25519 key")


def test_another_ed25519_key_does_not_sign_in_its_place(
    description: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    generate_on_token("builder", MODULE, uri("builder"), tmp_path_factory.mktemp("other"), Secrets())
    changed(description, lambda v: v["ed25519"].update(uri="pkcs11:token=ceremony;object=builder"))
    refuses(description, "not the one that the description names")


def test_the_other_half_of_another_signer_is_refused(description: Path) -> None:
    half = signer("builder").ml_dsa
    (description.parent / "architect.ml-dsa.key").unlink()
    keys.save_private(description.parent / "architect.ml-dsa.key", "builder", [half], Secrets().passphrase_)
    refuses(description, "does not hold the ML-DSA-65 key of architect")


def test_a_module_that_is_none_is_refused(description: Path) -> None:
    changed(description, lambda v: v.update(module=str(description)))
    refuses(description, "cannot be loaded")


def test_a_key_on_the_token_is_never_overwritten(made: TokenFiles, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="holds such an object already"):
        generate_on_token("architect", MODULE, uri("architect"), tmp_path, Secrets())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyFileError, match="exists already"):
        generate_on_token("architect", MODULE, uri("architect", "spare"), made.public.parent, Secrets())
    with token.session(MODULE, uri("architect", "spare"), Secrets().pin) as opened:
        assert list(opened.get_objects()) == []


def test_a_description_is_written_as_it_is_read(made: TokenFiles, tmp_path: Path) -> None:
    found = TokenFile.load(made.description)
    replace(found).save(tmp_path / "again.token")
    assert (tmp_path / "again.token").read_bytes() == made.description.read_bytes()


def test_without_the_extra_it_says_what_to_install(description: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyFileError, match="no python-pkcs11") as refused, open_signer(description, Secrets()):
        pass
    assert "extra `pkcs11`" in str(refused.value.hint)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_description_that_others_may_write_is_not_followed(description: Path, mode: int) -> None:
    description.chmod(mode)
    assert refuses(description, "can be written by others").asked == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_description_of_another_user_is_not_followed(description: Path) -> None:
    os.chown(description, 65534, -1)
    assert refuses(description, "can be written by others").asked == ()


@pytest.mark.usefixtures("softhsm")
def test_a_token_is_used_from_the_command_line_with_one_descriptor_for_each_secret(tmp_path: Path) -> None:
    def with_pin(*arguments: object) -> None:
        reader, writer = os.pipe()
        os.write(writer, f"{PIN}\n".encode())
        os.close(writer)
        try:
            run(*arguments, "--pin-fd", reader, phrase=PASSPHRASE + b"\n")
        finally:
            os.close(reader)

    given = ["--token", "pkcs11:token=ceremony;object=deputy;id=%07", "--module", MODULE]
    with_pin("trust", "keygen", "deputy", *given, "--out", tmp_path)
    run("trust", "keygen", "release", "--out", tmp_path, phrase=PASSPHRASE)
    public = ["--public", tmp_path / "deputy.pub", "--release", tmp_path / "release.pub"]
    run("trust", "init", *public, "--threshold", 1, "--out", tmp_path)
    with_pin("trust", "sign-root", tmp_path / "1.root.json", "--key", tmp_path / "deputy.token", "--yes")
    assert run_json("trust", "show", tmp_path / "1.root.json")["complete"]
