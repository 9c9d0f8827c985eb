"""The running Keycloak as a process: where it listens, what others can read of it, how much it holds."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration import processes

if TYPE_CHECKING:
    from tests.integration.keycloak_site import KeycloakSite

pytestmark = pytest.mark.network

_LISTENING = "0A"


def listeners(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports on which the process accepts TCP connections, from /proc."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink()) if descriptor.is_symlink() else ""
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.add((_address(address), int(port, 16)))
    return found


def _address(text: str) -> str:
    words = [bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def test_it_listens_on_its_two_ports_and_never_beyond_loopback(keycloak_site: KeycloakSite) -> None:
    found = listeners(keycloak_site.pid)
    listen = keycloak_site.config.listen
    wanted = {("127.0.0.1", listen.identity_port), ("127.0.0.1", listen.identity_management_port)}
    assert wanted <= found
    assert {address for address, _ in found} == {"127.0.0.1"}
    assert len(found - wanted) <= 1  # its transaction manager takes one random port of loopback to tell processes apart


def test_no_secret_is_in_its_argv(keycloak_site: KeycloakSite) -> None:
    argv = Path(f"/proc/{keycloak_site.pid}/cmdline").read_bytes()
    assert processes.DATABASE_PASSWORD.encode() not in argv
    assert processes.BOOTSTRAP_SECRET.encode() not in argv


def test_it_stays_below_half_a_gibibyte(keycloak_site: KeycloakSite) -> None:
    status = Path(f"/proc/{keycloak_site.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 512 * 1024
