"""Which secrets there are, who receives them, and how."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.install.accounts import Accounts, service_names
from appliance.install.vault import (
    AUDIT_KEYS,
    Vault,
    hand_over,
    handed_over,
    kv_key,
    make_missing,
    random_secrets,
    take_back,
)
from appliance.site.credentials import Credentials
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, GATEWAY, IDENTITY, SitePaths, engine_service

if TYPE_CHECKING:
    from appliance.site.secrets import SecretStore

CONFIG = load_site(Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml")
ME = Accounts(dict.fromkeys(service_names(CONFIG), pwd.getpwuid(os.geteuid()).pw_name))


def unasked() -> bytes:
    raise AssertionError("no passphrase was to be asked for")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    monkeypatch.setattr(SitePaths, "run", property(lambda self: self.root / "run"))
    found = SitePaths(tmp_path)
    found.secrets.mkdir(mode=0o700)
    found.run.mkdir()
    return found


@pytest.fixture
def vault(paths: SitePaths) -> Vault:
    return Vault(paths, unasked)


@pytest.fixture
def store(vault: Vault) -> SecretStore:
    opened = vault.create("file")
    make_missing(opened, CONFIG)
    for name in (*AUDIT_KEYS, "gateway/tls.key", "identity/tls.key"):
        opened.put(name, name.encode())
    return opened


def test_secrets_are_made_once_and_never_replaced(store: SecretStore) -> None:
    before = {name: store.get(name) for name in random_secrets(CONFIG)}
    assert make_missing(store, CONFIG) == ()
    assert {name: store.get(name) for name in before} == before
    assert len(set(before.values())) == len(before)


def test_raw_keys_hold_32_bytes(store: SecretStore) -> None:
    assert {len(store.get(f"gateway/{k}")) for k in ("content_key", "pseudonym_key", "session_key")} == {32}


@pytest.mark.usefixtures("store")
def test_each_service_receives_its_own_secrets_read_only(vault: Vault, paths: SitePaths) -> None:
    hand_over(vault, CONFIG, paths, ME)
    names = {s: {p.name for p in paths.credentials(s).iterdir()} for s in (IDENTITY, AUDIT, GATEWAY)}
    assert names == {
        IDENTITY: {"db_password", "bootstrap_admin_secret", "tls.key"},
        AUDIT: {"checkpoint_ed25519.pem", "checkpoint_mldsa44.pem"},
        GATEWAY: {"db_password", "oidc_client_secret", "content_key", "pseudonym_key", "session_key", "tls.key"},
    }
    files = [p for s in names for p in paths.credentials(s).iterdir()]
    assert {p.stat().st_mode & 0o777 for p in files} == {0o400}
    assert {paths.credentials(s).stat().st_mode & 0o777 for s in names} == {0o500}
    assert Credentials(paths.credentials(GATEWAY)).read("tls.key") == b"gateway/tls.key"


@pytest.mark.usefixtures("store")
def test_what_is_handed_over_already_does_not_open_the_store_again(vault: Vault, paths: SitePaths) -> None:
    hand_over(vault, CONFIG, paths, ME)
    (paths.secrets / "site.key").unlink()
    hand_over(Vault(paths, unasked), CONFIG, paths, ME)


@pytest.mark.usefixtures("store")
def test_secrets_taken_back_are_gone(vault: Vault, paths: SitePaths) -> None:
    hand_over(vault, CONFIG, paths, ME)
    take_back(paths)
    assert not paths.credentials(GATEWAY).exists()


def test_without_tls_no_key_is_handed_over() -> None:
    plain = CONFIG.model_copy(update={"tls": CONFIG.tls.model_copy(update={"mode": "off"})})
    assert all("tls.key" not in name for names in handed_over(plain).values() for name in names)


def test_the_database_receives_nothing_and_an_engine_its_own_key_alone() -> None:
    engines = {engine_service(model.name): (kv_key(model.name),) for model in CONFIG.models}
    assert engines
    assert {name: held for name, held in handed_over(CONFIG).items() if name in engines} == engines
    assert set(handed_over(CONFIG)) == {IDENTITY, AUDIT, GATEWAY, *engines}


def test_the_passphrase_is_asked_for_once(paths: SitePaths) -> None:
    asked: list[int] = []

    def ask() -> bytes:
        asked.append(1)
        return b"phrase"

    Vault(paths, ask).create("passphrase")
    asked.clear()
    vault = Vault(paths, ask)
    vault.store()
    vault.store()
    assert len(asked) == 1
