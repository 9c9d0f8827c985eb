"""A site of which documents are all that there is: a real database and a real audit writer, no engine."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.cli.main import app
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITE = """\
schema: 1
name: ministry
models: [{{name: gemma3-270m}}]
groups: [{{name: clerks}}, {{name: guards}}]
listen: {{database_port: {port}}}
documents: {{folders: [{{path: {folder}, groups: [guards]}}]}}
"""


@dataclass
class Site:
    """A site without an embedding model, and a folder of documents that it declares."""

    paths: SitePaths
    folder: Path
    bench: Bench

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["--site", str(self.paths.root), "document", *arguments])

    def told(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run(*arguments, "--output", "json").stdout)
        return found

    def logged(self) -> int:
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            return int(client.checkpoint().split("\n")[1])


@contextmanager
def opened(tmp_path: Path, cluster: postgres.Cluster) -> Iterator[Site]:
    """The site, its log's writer and its database."""
    with cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE document, passage, passage_vector, word_count, sweep_due")
    paths = SitePaths(tmp_path / "site")
    bench = Bench(paths.audit_log)
    folder = tmp_path / "papers"
    folder.mkdir()
    paths.journal.parent.mkdir(parents=True)
    paths.site_yaml.write_text(SITE.format(port=postgres.PORT, folder=folder))
    paths.credentials(GATEWAY).mkdir(parents=True)
    (paths.credentials(GATEWAY) / "db_password").write_text(postgres.PASSWORD)
    keys = tmp_path / "keys"
    keys.mkdir()
    (paths.run / DATABASE).symlink_to(cluster.socket_dir)
    with writers(bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        yield Site(paths, folder, bench)
    shutil.rmtree(paths.run)
