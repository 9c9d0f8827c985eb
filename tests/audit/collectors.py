"""A collector beside a writer of its own, and certificates of hosts that may speak to it, or may not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.audit.client import AuditClient, SyncAuditClient
from appliance.audit.entry import decode_entry
from appliance.audit.tiles import TileReader
from appliance.collector.service import Collector, listen
from appliance.install import ca
from appliance.link.ways import DOMAIN, server_name
from tests.audit.processes import until, writers
from tests.ports import free_port
from tests.unit.roles.observers import deliver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.audit.bench import Bench

PROGRAM = """
import sys
from pathlib import Path
from appliance.collector.service import serve
socket, port, hosts, credentials = sys.argv[1:]
serve(socket=Path(socket), port=int(port), hosts=Path(hosts), credentials=Path(credentials))
"""
HOSTS = {"node1.hosts": "control-plane", "node2.hosts": "worker"}


@dataclass
class Site:
    """What a site with a collector at ``port`` is made of; ``authority`` issues certificates of its links."""

    bench: Bench
    folder: Path
    port: int
    authority: ca.Authority

    def files(self, link: str, authority: ca.Authority | None = None) -> Path:
        """A folder with the certificate of ``link``, issued by the links' authority or by another."""
        folder = self.folder / f"of-{link}{'-of-another' if authority else ''}"
        folder.mkdir(exist_ok=True)
        issued = ca.issue_link(authority or self.authority, server_name(link), ca.utc_now())
        for name, data in {
            "links-ca.pem": self.authority.certificate,
            "link.pem": issued.chain,
            "link.key": issued.key,
        }.items():
            (folder / name).write_bytes(data)
        return folder

    def name_hosts(self, hosts: dict[str, str]) -> None:
        (self.folder / "hosts.json").write_text(json.dumps({"schema": 1, "hosts": hosts}))

    def deliver(self, items: list[dict[str, Any]], link: str = "node1.hosts") -> None:
        """Hand over as the observer of a host does. Raises as it does."""
        deliver.deliver(items, f"127.0.0.1:{self.port}", self.files(link))

    @contextlib.contextmanager
    def collector_alone(self) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
        """A collector that is a process of its own, and its port."""
        port = free_port()
        where = [self.folder / "sock", port, self.folder / "hosts.json", self.files("audit")]
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, where)], stdout=subprocess.DEVNULL)
        try:
            until(lambda: process.poll() is not None or _listens(port))
            yield port, process
        finally:
            process.kill()
            process.wait()

    def entries(self) -> dict[str, dict[str, Any]]:
        """Every entry of the log by its id, in order."""
        with SyncAuditClient(self.folder / "sock") as client:
            client.checkpoint()  # what is in the journal goes into tiles
        size = self.bench.verify().head.size
        tiles = TileReader(self.bench.directory, size)
        return dict(decode_entry(tiles.entry(position)) for position in range(size))


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def collecting(bench: Bench, folder: Path, roles: dict[str, int]) -> Iterator[Site]:
    """A writer that knows ``roles``, and a collector beside it."""
    with writers(bench, folder, folder / "sock", roles) as start:
        start()
        site = Site(bench, folder, free_port(), ca.create_links_authority("lab", DOMAIN, ca.utc_now()))
        site.name_hosts(HOSTS)
        with _running(site):
            yield site


@contextlib.contextmanager
def _running(site: Site) -> Iterator[None]:
    loop, stop, up = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def run() -> None:
        async with AuditClient(site.folder / "sock") as audit:
            collector = Collector(audit, site.folder / "hosts.json")
            async with await listen(collector, "127.0.0.1", site.port, site.files("audit")):
                up.set()
                await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert up.wait(30)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
