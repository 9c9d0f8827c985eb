"""What leaves a site is in its audit log, which is a process of its own, before the file has its name."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.media.return_bundle import describe
from appliance.audit.errors import AuditUnavailableError
from appliance.install.site_export import audit_entry, export
from appliance.site.paths import SitePaths
from tests.audit.processes import writers
from tests.bundles import NOW, signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.audit.bench import Bench


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
    """The real writer, which takes from this user what is an operator's to write and nothing else."""
    with writers(bench, site.root, site.socket("audit"), {"operator": os.geteuid()}) as start:
        start()
        yield


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
