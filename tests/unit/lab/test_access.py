"""The administrator of a lab knows the hosts that are there, and none that was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.access import Access

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def access(tmp_path: Path) -> Access:
    made = Access(tmp_path / "access")
    made.create()
    return made


def admitted(access: Access, root: Path, name: str, address: str) -> str:
    """The line that is known of a new host."""
    (root / "etc/ssh").mkdir(parents=True)
    (root / "root").mkdir()
    access.admit(root, name, address)
    key = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    return f"{address} {key[0]} {key[1]}"


def test_a_new_host_at_an_address_is_known_in_place_of_the_former_one(access: Access, tmp_path: Path) -> None:
    first = admitted(access, tmp_path / "1", "node1", "10.77.0.11")
    former = admitted(access, tmp_path / "2", "node2", "10.77.0.12")
    settings = access.config.read_text()
    later = admitted(access, tmp_path / "3", "node2", "10.77.0.12")
    assert former != later
    assert access.known_hosts.read_text().splitlines() == [first, later]
    assert access.config.read_text() == settings


def test_an_address_that_begins_as_another_is_another(access: Access, tmp_path: Path) -> None:
    longer = admitted(access, tmp_path / "1", "node12", "10.77.0.12")
    shorter = admitted(access, tmp_path / "2", "node1", "10.77.0.1")
    assert access.known_hosts.read_text().splitlines() == [longer, shorter]
