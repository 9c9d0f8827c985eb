"""What leaves a site is in its audit log, which is a process of its own, before the file has its name."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.media.return_bundle import describe
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.install.site_export import audit_entry, export
from appliance.site.paths import SitePaths
from tests.bundles import NOW, signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.audit.bench import Bench

WRITER = """
import sys
from pathlib import Path
from appliance.audit.keys import CheckpointKeys
from appliance.audit.server import serve
directory, socket, origin, keys = sys.argv[1:]
pems = ((Path(keys) / name).read_bytes() for name in ("ed25519", "mldsa44"))
serve(directory=Path(directory), socket=Path(socket), origin=origin, keys=CheckpointKeys.load(*pems))
"""


@dataclass(frozen=True)
class Site(SitePaths):
    """A site whose sockets lie in its own folder."""

    def socket(self, service: str) -> Path:
        return self.root / "run" / service


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def writer(bench: Bench, site: Site) -> Iterator[None]:
    (site.root / "ed25519").write_bytes(bench.keys.ed25519_pem())
    (site.root / "mldsa44").write_bytes(bench.keys.mldsa44_pem())
    socket = site.socket("audit")
    command = [sys.executable, "-c", WRITER, str(bench.directory), str(socket), bench.origin, str(site.root)]
    with subprocess.Popen(command) as process:
        try:
            while process.poll() is None:
                with contextlib.suppress(AuditUnavailableError), SyncAuditClient(socket) as client:
                    client.checkpoint()
                    break
                time.sleep(0.05)
            assert process.poll() is None
            yield
        finally:
            process.kill()


def send(site: Site, out: Path) -> str:
    contents = {"note.txt": io.BytesIO(b"hello")}
    manifest = describe("first-site", NOW, {"note.txt": ("support", contents["note.txt"])})
    return export(out, manifest, contents, signer("first-site"), audit_entry(site)).hex


@pytest.mark.usefixtures("writer")
def test_an_export_is_in_the_log_by_its_digest(bench: Bench, site: Site, tmp_path: Path) -> None:
    digest = send(site, tmp_path / "back")
    assert bench.verify().size == 1
    entries = [path.read_bytes() for path in bench.directory.rglob("*") if path.is_file()]
    assert any(digest.encode() in data and b"note.txt" in data for data in entries)


def test_without_the_log_nothing_leaves(site: Site, tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailableError):
        send(site, tmp_path / "back")
    assert not list(tmp_path.glob("back*"))
