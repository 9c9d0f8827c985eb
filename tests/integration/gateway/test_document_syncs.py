"""`sovereign document sync`: the library follows declared folders, and nothing of what went is left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli import document_sync
from appliance.errors import UnavailableError, UsageError
from appliance.install.document_syncs import last
from appliance.install.lock import site_lock
from appliance.memory import sweeping
from appliance.memory.importing import Imported, Importer, Source
from tests.memory.library import remains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gateway import postgres

from tests.integration.gateway.document_site import Site, opened


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster) -> Iterator[Site]:
    with opened(tmp_path, cluster) as made:
        yield made


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
