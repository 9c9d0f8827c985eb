"""`sovereign memory` as an operator runs it: against a real database and a real audit writer, and no engine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.cli.main import app
from appliance.errors import UnavailableError, UsageError
from appliance.install.brief_runs import last
from appliance.install.lock import site_lock
from appliance.memory.store import Library
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.former import in_words
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.integration.gateway.conftest import KEYS, pool_of
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITE = """\
schema: 1
name: ministry
models: [{{name: gemma3-270m}}]
groups:
  - {{name: clerks, models: [gemma3-270m], brief: true}}
  - {{name: guards, brief: true}}
  - {{name: guests}}
listen: {{database_port: {port}}}
"""
BAY = "Visitors may park in bay seven of the yard."
VISIT = "A visit lasts at most ninety minutes."
SAFE = "The safe in the cellar opens at nine with the code 4711."


@dataclass
class Site:
    """A site's database and log."""

    paths: SitePaths
    bench: Bench
    cluster: postgres.Cluster

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["--site", str(self.paths.root), "memory", *arguments])

    def told(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--output", "json")
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    def take(self, name: str, said: str, group: str) -> None:
        async def taken() -> None:
            pool = pool_of(self.cluster)
            await Importing(pool, None).take(name, said, group, title=name)
            await pool.dispose()

        asyncio.run(taken())

    def delete(self, name: str) -> None:
        async def deleted() -> None:
            pool = pool_of(self.cluster)
            found = await Library(pool).known(f"test:{name}")
            assert found is not None
            await Library(pool).delete(found.id)
            await pool.dispose()

        asyncio.run(deleted())

    def logged(self) -> list[tuple[str, bool, dict[str, Any]]]:
        """What the log holds of briefs, in order."""
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.checkpoint()  # what is in the journal goes into tiles
        found: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, raw: found.extend(map(json.loads, raw)))
        ours = [one for one in found if one["unmapped"]["sovereign"]["kind"] == "learning_decision"]
        assert {one["entity"]["type"] for one in ours} <= {"brief"}
        return [
            (in_words(one)["activity_name"], one["status_id"] == 1, one["unmapped"]["sovereign"]["figures"])
            for one in ours
        ]


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster) -> Iterator[Site]:
    with cluster.admin("sovereign") as admin:
        admin.execute(
            "TRUNCATE gold_case, user_key, expert_answer, failure, ruling, document, passage, passage_vector, "
            "word_count, sweep_due, brief, brief_line, brief_strike"
        )
    paths = SitePaths(tmp_path / "site")
    bench = Bench(paths.audit_log)
    paths.journal.parent.mkdir(parents=True)
    paths.site_yaml.write_text(SITE.format(port=postgres.PORT))
    paths.credentials(GATEWAY).mkdir(parents=True)
    (paths.credentials(GATEWAY) / "db_password").write_text(postgres.PASSWORD)
    (paths.credentials(GATEWAY) / "content_key").write_bytes(KEYS.content)
    keys = tmp_path / "keys"
    keys.mkdir()
    (paths.run / DATABASE).symlink_to(cluster.socket_dir)
    with writers(bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        found = Site(paths, bench, cluster)
        found.take("parking.txt", f"{BAY} {VISIT}", "clerks")
        found.take("safe.txt", SAFE, "guards")
        yield found
    shutil.rmtree(paths.run)


def test_a_brief_is_compiled_accepted_shown_struck_and_taken_back_and_each_act_is_in_the_log(site: Site) -> None:
    runs = {one["group"]: one for one in site.told("compile")}
    assert {name: one["state"] for name, one in runs.items()} == {"clerks": "compiled", "guards": "compiled"}
    assert "0 cases judge briefs" in runs["clerks"]["cause"]
    assert isinstance(site.run("brief", "show", "clerks").exception, UsageError)  # nothing is in force
    number = runs["clerks"]["id"]
    assert site.run("brief", "accept", number).exit_code == 0
    shown = site.told("brief", "show", "clerks")
    assert [(one["text"], one["new"]) for one in shown["lines"]] == [(BAY, True), (VISIT, True)]
    assert SAFE not in json.dumps(shown)
    assert shown["digest"].startswith("sha256:")

    assert site.run("brief", "strike", "clerks", "1").exit_code == 0
    left = site.told("brief", "show", "clerks")
    assert [one["text"] for one in left["lines"]] == [VISIT]
    assert left["digest"] != shown["digest"]
    assert isinstance(site.run("brief", "strike", "clerks", "2").exception, UsageError)

    site.take("gate.txt", "The north gate of the yard closes at ten.", "clerks")
    (again,) = site.told("compile", "--group", "clerks")
    site.run("brief", "accept", again["id"])
    changed = site.told("brief", "show", "clerks")
    assert {one["text"]: one["new"] for one in changed["lines"]} == {
        VISIT: False,
        "The north gate of the yard closes at ten.": True,
    }
    assert site.run("brief", "back", "clerks").exit_code == 0
    assert [one["text"] for one in site.told("brief", "show", "clerks")["lines"]] == [VISIT]
    site.run("brief", "back", "clerks")
    assert isinstance(site.run("brief", "back", "clerks").exception, UsageError)

    acts = [(act, success) for act, success, _ in site.logged()]
    names = ("Create", "Create", "Update", "Delete", "Create", "Update", "Delete", "Delete")
    assert acts == [(name, True) for name in names]
    assert not any(word in json.dumps(site.logged()) for word in ("bay seven", "ninety", "4711", "gate"))


def test_an_empty_night_says_so_and_status_can_tell_of_each(site: Site) -> None:
    for run in site.told("compile"):
        site.run("brief", "accept", run["id"])
    assert {one["state"] for one in site.told("compile")} == {"empty"}
    noted = last(site.paths)
    assert noted is not None
    assert (noted.groups, noted.cause) == ({"clerks": "empty", "guards": "empty"}, None)
    assert [one["text"] for one in site.told("brief", "show", "clerks")["lines"]] == [BAY, VISIT]


def test_a_deleted_document_is_told_no_more_by_the_command_either(site: Site) -> None:
    (run,) = site.told("compile", "--group", "clerks")
    site.run("brief", "accept", run["id"])
    site.delete("parking.txt")
    shown = site.told("brief", "show", "clerks")
    assert (shown["lines"], shown["digest"]) == ([], None)
    (again,) = site.told("compile", "--group", "clerks")
    assert (again["state"], again["cause"]) == ("empty", "no other sentence than before")


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "--group", "guests"),
        ("compile", "--group", "spies"),
        ("brief", "show", "x"),
        ("brief", "show", "guests"),
        ("brief", "accept", "00000000-0000-4000-8000-000000000000"),
        ("brief", "back", "guests"),
        ("brief", "strike", "clerks", "1"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is_and_nothing_is_logged(
    arguments: tuple[str, ...], site: Site
) -> None:
    refused = site.run(*arguments).exception
    assert isinstance(refused, UsageError)
    assert refused.hint
    assert site.logged() == []


def test_beside_another_or_beside_what_changes_the_site_nothing_is_compiled(site: Site) -> None:
    for part in ("briefs", ""):
        with site_lock(site.paths, part):
            done = site.run("compile")
        assert (done.exit_code, "nothing was compiled" in done.output) == (0, True)
    assert site.told("brief", "list") == []


def test_a_night_without_a_database_is_noted_for_status(site: Site) -> None:
    site.told("compile")
    site.paths.site_yaml.write_text(SITE.format(port=postgres.PORT + 1))
    assert isinstance(site.run("compile").exception, UnavailableError)
    noted = last(site.paths)
    assert noted is not None
    assert "database" in (noted.cause or "")


def test_in_words_too_a_brief_is_shown_line_by_line(site: Site) -> None:
    (run,) = site.told("compile", "--group", "clerks")
    said = site.run("brief", "show", run["id"]).stdout
    assert f"+  1  {BAY}" in said
    assert "parking.txt · document" in said
    assert "clerks" in site.run("brief", "list").stdout
