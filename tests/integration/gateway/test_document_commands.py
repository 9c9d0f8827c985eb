"""`sovereign document` as an operator runs it: against a real database, a real parser and a real audit writer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.audit.errors import AuditUnavailableError
from appliance.errors import RefusedError, UnavailableError, UsageError
from appliance.site.paths import AUDIT
from tests.memory import papers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gateway import postgres

from tests.integration.gateway.document_site import Site, opened


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster) -> Iterator[Site]:
    with opened(tmp_path, cluster) as made:
        yield made


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
