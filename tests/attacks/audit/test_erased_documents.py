"""Documents that somebody brought: told to them, and, once they are erased, nobody's; also after a restore.

The attacker reads every row of the library, and knows from the log which pseudonyms were erased.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli import restore_erasures
from appliance.memory.chunking import Chunk
from appliance.memory.documents import NOBODY, Arrival, Passage, Reading
from appliance.memory.retrieval import Retrieval
from appliance.memory.store import Library
from tests.audit.erasing import KEYS
from tests.gateway import postgres

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.audit.erasing import Site

RULES = "Visitors may park in bay seven."


def on(site: Site, act: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
    async def acted() -> Any:
        pool = site.pool()
        try:
            return await act(pool)
        finally:
            await pool.dispose()

    return asyncio.run(acted())


def bring(site: Site, name: str, by: str) -> None:
    passage = Passage(Chunk(0, len(RULES), (), None), RULES)
    read = Reading("sha256:" + "b" * 64, "en", None, len(RULES), (passage,))
    arrival = Arrival(f"page:clerks/{name}", name, "text/plain", "sha256:" + "a" * 64, ("clerks",), by)
    on(site, lambda pool: Library(pool).put(arrival, read))


def rows(site: Site) -> list[tuple[Any, ...]]:
    """Everything that the library says of each document, and who brought it."""
    return site.query(
        "SELECT title, imported_by, digest, groups::text, imported::text, state, passages FROM document ORDER BY title"
    )


@pytest.fixture
def site(erasure_site: Site) -> Site:
    for name in ("analyst", "officer"):
        bring(erasure_site, f"{name}.txt", erasure_site.subject(name))
    bring(erasure_site, "house.txt", "uid 0")
    return erasure_site


def test_a_person_is_told_which_documents_they_brought_and_none_of_others(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert site.run("export", "analyst", "--out", str(out)).exit_code == 0
    (told,) = json.loads(out.read_text())["documents"]
    assert (told["title"], told["origin"]) == ("analyst.txt", "page:clerks/analyst.txt")
    assert (told["digest"], told["groups"]) == ("sha256:" + "a" * 64, ["clerks"])
    ((when,),) = site.query("SELECT imported::text FROM document WHERE title = 'analyst.txt'")
    assert told["imported"][:19] == when[:19]
    assert RULES not in out.read_text()
    assert "officer.txt" not in out.read_text()


def test_41_after_an_erasure_the_library_names_nobody_and_keeps_the_documents(site: Site) -> None:
    before, subject = rows(site), site.subject("analyst")
    result = site.run("erase", "analyst", "--yes", "--output", "json")
    assert (result.exit_code, json.loads(result.stdout)["documents"]) == (0, 1)
    assert rows(site) == [(name, NOBODY if by == subject else by, *rest) for name, by, *rest in before]
    assert [name for name, by, *_ in before if by == subject] == ["analyst.txt"]
    for table in ("document", "passage", "word_count", "sweep_due"):
        assert not [one for (one,) in site.query(f"SELECT t::text FROM {table} AS t") if subject in one]
    found = on(site, lambda pool: Retrieval(pool).found("Where may visitors park?", None, ("clerks",)))
    assert {one.title for one in found} == {"analyst.txt", "officer.txt", "house.txt"}


def test_what_two_erased_people_brought_stands_beside_each_other(site: Site) -> None:
    for name in ("analyst", "officer"):
        assert site.run("erase", name, "--yes").exit_code == 0
    assert [by for _, by, *_ in rows(site)] == [NOBODY, "uid 0", NOBODY]
    found = on(site, lambda pool: Retrieval(pool).found("Where may visitors park?", None, ("clerks",)))
    assert {one.title for one in found} == {"analyst.txt", "officer.txt", "house.txt"}


def test_41_a_restore_takes_the_name_off_again_before_it_serves(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = site.subject("analyst")
    assert site.run("erase", "analyst", "--yes").exit_code == 0
    erased = rows(site)
    site.query(f"UPDATE document SET imported_by = '{subject}' WHERE imported_by = '{NOBODY}' RETURNING id")
    assert rows(site) != erased  # as a backup from before brings it back
    monkeypatch.setattr(restore_erasures, "administration", lambda *_, **__: nullcontext(site.keycloak))
    context = restored(site)
    assert (
        restore_erasures.erase_again(context, frozenset(), frozenset()) == 1
    )  # nothing but the document was left of them
    assert rows(site) == erased
    assert restore_erasures.erase_again(context, frozenset(), frozenset()) == 0
    assert rows(site) == erased


def restored(site: Site) -> Any:
    secrets = {f"gateway/{name}": value for name, value in KEYS.items()} | {"identity/bootstrap_admin_secret": b"x"}
    config = SimpleNamespace(listen=SimpleNamespace(database_port=postgres.PORT), scheme="http")
    return SimpleNamespace(paths=site.paths, config=config, vault=SimpleNamespace(store=lambda: secrets))
