"""`sovereign document` as an operator runs it: against a real database, a real parser and a real audit writer."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.cli.main import app
from appliance.errors import RefusedError, UsageError
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.memory import papers

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


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster) -> Iterator[Site]:
    with cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE document, passage, passage_vector, word_count")
    paths = SitePaths(tmp_path / "site")
    bench = Bench(paths.audit_log)
    folder = tmp_path / "papers"
    folder.mkdir()
    paths.root.mkdir(exist_ok=True)
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


def test_documents_are_taken_in_searched_by_group_and_deleted_and_each_act_is_in_the_log(
    site: Site, tmp_path: Path
) -> None:
    parking, locked = tmp_path / "parking.md", tmp_path / "locked.pdf"
    parking.write_text("# Parking\n\nBicycles stand behind the north gate.\n")
    locked.write_bytes(papers.encrypted_pdf())
    before = site.logged()

    tried = site.run("import", str(parking), str(locked), "--group", "clerks", "--dry-run", "--output", "json")
    assert [one["outcome"] for one in json.loads(tried.stdout)] == ["readable", "refused"]
    assert (site.told("list"), site.logged()) == ([], before)

    taken = site.run("import", str(parking), str(locked), "--group", "clerks", "--output", "json")
    first, second = json.loads(taken.stdout)
    assert isinstance(taken.exception, RefusedError)
    assert (first["outcome"], first["passages"], second["outcome"]) == ("new", 1, "refused")
    assert "password" in second["cause"]
    assert site.logged() == before + 2

    (found,) = site.told("search", "Where do bicycles stand?", "--group", "clerks")
    assert found["body"] == "Parking\n\nBicycles stand behind the north gate."
    assert site.told("search", "Where do bicycles stand?", "--group", "guards") == []

    shown = site.run("show", first["id"])
    assert "north gate" in shown.stdout
    assert site.run("delete", first["id"], second["id"], "--yes").exit_code == 0
    assert (site.told("list"), site.logged()) == ([], before + 4)
    assert site.told("search", "Where do bicycles stand?") == []


def test_the_library_follows_the_declared_folder_and_leaves_it_as_it_is(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("Stays.")
    assert site.run("import", str(elsewhere), "--group", "clerks").exit_code == 0
    (site.folder / "rounds.txt").write_text("Rounds begin at ten.")
    (site.folder / "keys.txt").write_text("Keys lie in the drawer.")
    (site.folder / ".hidden.txt").write_text("x")
    (site.folder / "link.txt").symlink_to(elsewhere)
    assert [(one["outcome"], one["passages"]) for one in site.told("sync")] == [("new", 1), ("new", 1)]
    assert [one["outcome"] for one in site.told("sync")] == ["unchanged", "unchanged"]
    assert [one["title"] for one in site.told("search", "rounds", "--group", "guards")] == ["rounds"]
    (site.folder / "rounds.txt").unlink()
    assert [one["outcome"] for one in site.told("sync")] == ["unchanged", "deleted"]
    assert [one["title"] for one in site.told("list")] == ["elsewhere", "keys"]
    assert sorted(path.name for path in site.folder.iterdir()) == [".hidden.txt", "keys.txt", "link.txt"]


def test_a_folder_that_is_not_mounted_takes_no_document_out(site: Site, tmp_path: Path) -> None:
    (site.folder / "keys.txt").write_text("Keys lie in the drawer.")
    assert [one["outcome"] for one in site.told("sync")] == ["new"]
    before = site.logged()
    site.folder.rename(tmp_path / "unmounted")
    assert isinstance(site.run("sync").exception, UsageError)
    site.folder.mkdir()
    empty = site.run("sync").exception
    assert isinstance(empty, UsageError)
    assert "holds no documents any more" in empty.cause
    assert ([one["title"] for one in site.told("list")], site.logged()) == (["keys"], before)


def test_without_the_log_nothing_is_taken_in(site: Site) -> None:
    (site.folder / "keys.txt").write_text("Keys lie in the drawer.")
    site.paths.socket(AUDIT).rename(site.paths.socket(AUDIT).with_suffix(".away"))
    assert isinstance(site.run("sync").exception, AuditUnavailableError)
    site.paths.socket(AUDIT).with_suffix(".away").rename(site.paths.socket(AUDIT))
    assert site.told("list") == []


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("import", "/nowhere/at.txt", "--group", "clerks"), "no such file"),
        (("import", "/etc/hostname", "--group", "strangers"), "strangers is not a group of this site"),
        (("import", "/etc", "--group", "clerks", "--title", "x"), "--title is for one file"),
        (("show", "42"), "is no document's id"),
        (("show", "00000000-0000-0000-0000-000000000000"), "there is no document"),
        (("delete", "00000000-0000-0000-0000-000000000000", "--yes"), "there is no document"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(site: Site, arguments: tuple[str, ...], cause: str) -> None:
    before = site.logged()
    result = site.run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert cause in result.exception.cause
    assert result.exception.hint
    assert (site.told("list"), site.logged()) == ([], before)
