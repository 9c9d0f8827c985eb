"""`sovereign document` as an operator runs it: against a real database, a real parser and a real audit writer."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.cli import document_sync
from appliance.cli.main import app
from appliance.errors import RefusedError, UnavailableError, UsageError
from appliance.install.document_syncs import last
from appliance.install.lock import site_lock
from appliance.memory import sweeping
from appliance.memory.importing import Imported, Importer, Source
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.memory import papers
from tests.memory.library import remains

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_documents_come_in_though_the_model_for_them_does_not_answer_and_words_find_them(
    site: Site, tmp_path: Path
) -> None:
    assert isinstance(site.run("vectors").exception, UsageError)  # no model is named
    named = "models: [{name: gemma3-270m}, {name: minilm-l6-v2}]"
    said = site.paths.site_yaml.read_text().replace("models: [{name: gemma3-270m}]", named)
    parking = tmp_path / "parking.txt"
    parking.write_text("Bicycles stand behind the north gate.")
    site.paths.site_yaml.write_text(said.replace("documents: {", "documents: {model: minilm-l6-v2, "))
    taken = site.run("import", str(parking), "--group", "clerks")
    assert (taken.exit_code, "meaning does not yet" in taken.stderr) == (0, True)
    locked = tmp_path / "locked.pdf"
    locked.write_bytes(papers.encrypted_pdf())
    refused = site.run("import", str(parking), str(locked), "--group", "clerks")
    assert isinstance(refused.exception, RefusedError)  # of what could not be read, whatever became of vectors
    assert "meaning does not yet" in refused.stderr
    site.run("delete", *(one["id"] for one in site.told("list") if one["state"] == "refused"), "--yes")
    (site.folder / "rounds.txt").write_text("Rounds begin at ten.")
    assert [one["outcome"] for one in site.told("sync")] == ["new"]
    assert isinstance(site.run("vectors").exception, UnavailableError)
    assert "is not known" in site.run("list").stderr
    assert [one["title"] for one in site.told("list")] == ["parking", "rounds"]


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


def test_a_sync_that_status_will_not_tell_of_says_what_it_did_all_the_same(site: Site) -> None:
    site.paths.journal.parent.rmdir()
    (site.folder / "keys.txt").write_text("Keys lie in the drawer.")
    told = site.run("sync")
    assert (told.exit_code, "keys.txt" in told.stdout) == (0, True)
    assert "`status` will not tell of this sync" in told.stderr


@pytest.mark.parametrize("part", ["documents", ""], ids=["another sync", "an install"])
def test_a_sync_beside_what_changes_the_site_does_nothing_and_fails_nobody(site: Site, part: str) -> None:
    (site.folder / "keys.txt").write_text("Keys lie in the drawer.")
    with site_lock(site.paths, part):
        beside = site.run("sync")
    assert (beside.exit_code, site.told("list"), last(site.paths)) == (0, [], None)
    assert [one["outcome"] for one in site.told("sync")] == ["new"]


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


def test_a_folder_swapped_for_a_link_while_it_is_read_gives_no_file_of_elsewhere(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, private, before = site.folder / "sub", tmp_path / "private", document_sync._declared
    for place, said in ((inner, "harmless"), (private, "Rootonlysecret")):
        place.mkdir()
        (place / "notes.txt").write_text(said)

    def swapping(folders: Any) -> Any:
        found = before(folders)
        inner.rename(site.folder / ".old")
        inner.symlink_to(private)
        return found

    monkeypatch.setattr(document_sync, "_declared", swapping)
    (swapped,) = site.told("sync")
    assert (swapped["outcome"], "links are not followed" in swapped["cause"]) == ("refused", True)
    assert site.told("search", "rootonlysecret") == []


def test_one_document_stops_no_other(site: Site) -> None:
    (site.folder / "a.txt").write_text(",".join(f"w{n}" for n in range(300_000)))  # one word, for a cutter by blanks
    (site.folder / "b.txt").write_text("Beta words.")
    Path(os.fsdecode(os.fsencode(site.folder) + b"/c\xff.txt")).write_text("x")
    (site.folder / "d\x1b]0;pwned\x07.txt").write_text("Delta words.")
    result = site.run("sync")
    assert isinstance(result.exception, RefusedError)
    assert "\x1b" not in result.stdout
    assert "\x1b" not in site.run("list").stdout
    assert [(one["title"], one["state"]) for one in site.told("list")] == [
        ("a", "ready"),
        ("b", "ready"),
        ("d]0;pwned", "ready"),
    ]
    told = {Path(one["file"]).name: (one["outcome"], one["cause"]) for one in site.told("sync")}
    assert told["c\\xff.txt"] == ("refused", "its name is not UTF-8")


def test_what_was_replaced_is_swept_away_also_where_the_command_breaks_off(
    site: Site, cluster: postgres.Cluster
) -> None:
    (site.folder / "a.txt").write_text("Formerwords.")
    (site.folder / "b.txt").write_text("Beta.")
    site.told("sync")
    (site.folder / "a.txt").write_text("Now.")
    (site.folder / "b.txt").write_text("Beta again.")
    real, first = Importer.take, asyncio.Event()

    async def broken(self: Importer, source: Source) -> Imported:
        if source.name == "b.txt":
            await first.wait()
            raise UnavailableError("the log is down", "start it")
        taken = await real(self, source)
        first.set()
        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Importer, "take", broken)
        assert isinstance(site.run("sync").exception, UnavailableError)
    with cluster.admin("sovereign") as admin:
        assert admin.execute("SELECT count(*) FROM sweep_due").fetchone() == (0,)
        admin.execute("CHECKPOINT")
    assert remains(cluster, {"former": b"formerwords"}) == set()


def test_documents_of_a_folder_that_is_declared_no_more_go_and_others_stay(site: Site, tmp_path: Path) -> None:
    (site.folder / "a.txt").write_text("Alpha words.")
    by_hand, other = tmp_path / "by_hand.txt", tmp_path / "other"
    by_hand.write_text("Stays.")
    other.mkdir()
    (other / "b.txt").write_text("Beta words.")
    assert site.run("import", str(by_hand), "--group", "clerks").exit_code == 0
    site.told("sync")
    before = site.logged()
    site.paths.site_yaml.write_text(site.paths.site_yaml.read_text().replace(str(site.folder), str(other)))
    assert [(Path(one["file"]).name, one["outcome"]) for one in site.told("sync")] == [
        ("b.txt", "new"),
        ("a.txt", "deleted"),
    ]
    assert site.logged() == before + 2
    assert [one["title"] for one in site.told("list")] == ["b", "by_hand"]


def test_a_table_in_use_leaves_the_sweep_due_and_the_next_command_does_it(
    site: Site, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_ATTEMPTS", 1)
    (site.folder / "a.txt").write_text("Alpha words.")
    (one,) = site.told("sync")
    with cluster.admin("sovereign") as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM passage")
        deleted = site.run("delete", one["id"], "--yes")
        assert "still hold" in deleted.stderr
        assert "was deleted" in site.run("list").stderr
        assert isinstance(site.run("sweep").exception, UnavailableError)
        reader.execute("ROLLBACK")
    assert site.run("sweep").exit_code == 0
    assert "was deleted" not in site.run("list").stderr


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
