"""Cleaning a host removes nothing of what is mounted below its folders, and only settings that the roles made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def clean() -> SimpleNamespace:
    """The program's functions; it is not run."""
    source = (ANSIBLE / "roles/host_removal/files/clean.py").read_text()
    assert source.endswith("\n\nmain()\n")
    names: dict[str, Any] = {}
    exec(compile(source.removesuffix("main()\n"), "clean.py", "exec"), names)
    names["ran"] = []
    names["quietly"] = lambda *argv, **_: names["ran"].append(argv) or ""
    found = SimpleNamespace(names=names)
    found.__dict__.update(names)
    return found


@pytest.mark.parametrize("frees", [True, False])
def test_a_folder_with_a_mount_that_stays_is_not_entered(
    tmp_path: Path, clean: SimpleNamespace, *, frees: bool
) -> None:
    folder, mounts = tmp_path / "kubelet", tmp_path / "mounts"
    volume = folder / "pods/a volume"
    volume.mkdir(parents=True)
    (volume / "theirs").write_text("data")
    mounts.write_text(f"dev {str(volume).replace(' ', chr(92) + '040')} ext4 rw 0 0\n")
    asked: list[tuple[str, ...]] = []

    def quietly(*argv: str) -> str:
        asked.append(argv)
        if frees:
            mounts.write_text("")
        return ""

    clean.names |= {"MOUNTS": mounts, "quietly": quietly}
    if frees:
        clean.remove_folder(str(folder))
        assert not folder.exists()
    else:
        with pytest.raises(SystemExit, match="cannot be unmounted"):
            clean.remove_folder(str(folder))
        assert (volume / "theirs").read_text() == "data"
    assert asked == [("umount", "--lazy", str(volume))]


@pytest.mark.parametrize(
    ("ours", "enabled_by_us", "ran"),
    [(True, True, ("disable", "--now")), (True, False, ("stop",)), (False, False, None)],
)
def test_the_shared_address_is_given_back_only_where_the_role_took_it(
    tmp_path: Path, clean: SimpleNamespace, *, ours: bool, enabled_by_us: bool, ran: tuple[str, ...] | None
) -> None:
    if enabled_by_us:
        (tmp_path / "keepalived-enabled").touch()
    clean.names["ENABLED"] = tmp_path / "keepalived-enabled"
    template = (ANSIBLE / "roles/control_plane/templates/keepalived.conf.j2").read_text()
    settings = tmp_path / "keepalived.conf"
    settings.write_text(template if ours else "vrrp_instance another {\n}\n")
    clean.names |= {"KEEPALIVED": settings, "TAKEN": tmp_path / "taken"}
    clean.give_the_shared_address_back()
    assert settings.exists() is not ours
    assert clean.names["ran"] == ([("systemctl", *ran, "keepalived.service")] if ran else [])


def test_an_address_that_was_taken_before_keepalived_is_given_back_all_the_same(
    tmp_path: Path, clean: SimpleNamespace
) -> None:
    (tmp_path / "taken").write_text("10.1.0.20/32 eth0\n")
    clean.names |= {"KEEPALIVED": tmp_path / "none", "TAKEN": tmp_path / "taken"}
    clean.give_the_shared_address_back()
    assert clean.names["ran"] == [("ip", "address", "del", "10.1.0.20/32", "dev", "eth0")]
