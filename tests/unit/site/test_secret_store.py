"""Secrets at rest and the key that wraps them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError, UsageError
from appliance.site.secrets import SecretStore, seal, unseal, write_private
from appliance.site.site_key import choose_kind, create_key, key_kind, open_key

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))


class MachineSealer:
    """Seals as systemd-creds would, to a machine that a test can replace."""

    def __init__(self, machine: bytes, *, working: bool = True) -> None:
        self.machine = machine
        self.working = working

    def works(self) -> bool:
        return self.working

    def seal(self, name: str, value: bytes) -> bytes:
        return seal(self.machine, name, value)

    def unseal(self, name: str, sealed: bytes) -> bytes:
        return unseal(self.machine, name, sealed)


HERE = MachineSealer(KEY)


def unasked() -> bytes:
    raise AssertionError("no passphrase was to be asked for")


def test_a_secret_opens_under_its_name_and_key_only(tmp_path: Path) -> None:
    store = SecretStore(tmp_path, KEY)
    store.put("gateway/db_password", b"s3cret")
    assert store.get("gateway/db_password") == b"s3cret"
    assert store.names() == ("gateway/db_password",)
    with pytest.raises(DeploymentError, match="does not open under this site key"):
        SecretStore(tmp_path, bytes(32)).get("gateway/db_password")


def test_an_envelope_moved_to_another_name_is_refused(tmp_path: Path) -> None:
    store = SecretStore(tmp_path, KEY)
    store.put("gateway/db_password", b"one")
    store.put("identity/db_password", b"two")
    (tmp_path / "identity@db_password.sealed").write_bytes((tmp_path / "gateway@db_password.sealed").read_bytes())
    with pytest.raises(DeploymentError, match="identity/db_password does not open"):
        store.get("identity/db_password")


@pytest.mark.parametrize("field", ["key", "value"])
def test_a_flipped_character_in_an_envelope_is_refused(field: str) -> None:
    envelope = json.loads(seal(KEY, "a", b"secret"))
    envelope[field] = ("B" if envelope[field][20] == "A" else "A").join((envelope[field][:20], envelope[field][21:]))
    with pytest.raises(DeploymentError):
        unseal(KEY, "a", json.dumps(envelope).encode())


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b"not json", b'{"key": 1, "value": 2}', b'{"key": "", "value": ""}']
)
def test_a_damaged_envelope_is_refused_with_a_cause(damage: bytes) -> None:
    with pytest.raises(DeploymentError, match="does not open"):
        unseal(KEY, "a", damage)


def test_secrets_and_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    create_key(tmp_path, "file", sealer=HERE, passphrase=unasked)
    SecretStore(tmp_path, KEY).put("a", b"x")
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}


def test_what_a_crash_left_is_replaced_and_nobody_who_holds_it_open_reads_along(tmp_path: Path) -> None:
    left = tmp_path / "a.sealed.partial"
    left.write_bytes(b"half of an older envel")
    left.chmod(0o666)
    with left.open("rb") as held:
        write_private(tmp_path / "a.sealed", b"secret")
        assert held.read() == b"half of an older envel"
    assert (tmp_path / "a.sealed").read_bytes() == b"secret"
    assert (tmp_path / "a.sealed").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a.sealed"]


@pytest.mark.parametrize("plant", ["hardlink_to", "symlink_to"])
def test_a_link_planted_where_a_secret_is_written_beside_leads_nowhere(tmp_path: Path, plant: str) -> None:
    folder, victim = tmp_path / "secrets", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"somebody else's")
    victim.chmod(0o644)
    getattr(folder / "a.sealed.partial", plant)(victim)
    write_private(folder / "a.sealed", b"secret")
    assert (victim.read_bytes(), victim.stat().st_mode & 0o777) == (b"somebody else's", 0o644)
    assert (folder / "a.sealed").read_bytes() == b"secret"
    assert not (folder / "a.sealed").is_symlink()
    assert (folder / "a.sealed").stat().st_nlink == 1


def test_a_secret_that_cannot_take_its_place_is_not_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.sealed").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "a.sealed", b"secret")
    assert [path.name for path in tmp_path.iterdir()] == ["a.sealed"]


def test_nothing_secret_is_in_what_a_store_prints(tmp_path: Path) -> None:
    assert KEY.hex() not in repr(SecretStore(tmp_path, KEY))
    assert "key" not in repr(SecretStore(tmp_path, KEY)).removeprefix(f"SecretStore({tmp_path}")


@pytest.mark.parametrize("name", ["../x", "/x", "a/b/c", "", "A", "a/../b", "a\n"])
def test_a_name_that_is_no_secrets_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a secret's name"):
        SecretStore(tmp_path, KEY).put(name, b"")


def test_a_passphrase_opens_the_key_and_another_does_not(tmp_path: Path) -> None:
    made = create_key(tmp_path, "passphrase", sealer=HERE, passphrase=lambda: b"correct horse")
    assert key_kind(tmp_path) == "passphrase"
    assert open_key(tmp_path, sealer=HERE, passphrase=lambda: b"correct horse") == made
    with pytest.raises(UsageError, match="passphrase does not open"):
        open_key(tmp_path, sealer=HERE, passphrase=lambda: b"wrong")
    assert made not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_a_key_sealed_to_a_machine_opens_there_only(tmp_path: Path) -> None:
    made = create_key(tmp_path, "systemd-creds", sealer=HERE, passphrase=unasked)
    assert open_key(tmp_path, sealer=HERE, passphrase=unasked) == made
    with pytest.raises(DeploymentError):
        open_key(tmp_path, sealer=MachineSealer(bytes(32)), passphrase=unasked)


def test_a_file_key_opens_without_asking(tmp_path: Path) -> None:
    made = create_key(tmp_path, "file", sealer=HERE, passphrase=unasked)
    assert open_key(tmp_path, sealer=HERE, passphrase=unasked) == made


def test_a_site_key_is_never_replaced(tmp_path: Path) -> None:
    create_key(tmp_path, "file", sealer=HERE, passphrase=unasked)
    with pytest.raises(DeploymentError, match="already has a key"):
        create_key(tmp_path, "file", sealer=HERE, passphrase=unasked)


def test_auto_means_the_machine_where_it_can_and_a_file_elsewhere() -> None:
    absent = MachineSealer(KEY, working=False)
    assert choose_kind("auto", HERE) == "systemd-creds"
    assert choose_kind("auto", absent) == "file"
    assert choose_kind("passphrase", absent) == "passphrase"
    with pytest.raises(DeploymentError, match="does not work on this host"):
        choose_kind("systemd-creds", absent)


def test_a_missing_key_is_a_cause_and_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="site key cannot be read") as caught:
        open_key(tmp_path, sealer=HERE, passphrase=unasked)
    assert caught.value.hint
