"""`sovereign learn` as an operator runs it: against a real database and a real audit writer."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.cli.main import app
from appliance.errors import RefusedError, UsageError
from appliance.gateway import gold_rows
from appliance.gateway.calibrations import CalibrationStore
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.gold_rows import Origin
from appliance.gateway.pseudonyms import Subject
from appliance.learning.cases import Case, Content
from appliance.learning.results import written
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths
from tests.audit.bench import Bench
from tests.audit.former import in_words
from tests.audit.processes import writers
from tests.gateway import postgres
from tests.integration.gateway.conftest import KEYS, pool_of
from tests.learning.labelled_answers import SETTING
from tests.learning.seeded_results import harder, items, of_rows, results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITE = """\
schema: 1
name: ministry
models: [{{name: gemma3-270m}}]
groups: [{{name: clerks, models: [gemma3-270m]}}, {{name: guards}}]
service_clients: [{{id: evaluator, groups: [clerks], evaluates: true}}]
listen: {{database_port: {port}}}
"""
MODELS = "models: [{name: gemma3-270m}, {name: large}, {name: minilm}]\ndocuments: {model: minilm}"
CASES = [
    {"question": "Where do bicycles stand?", "kind": "contains", "expected": ["north gate"], "groups": ["clerks"]},
    {"question": "Who has the code?", "kind": "refusal", "groups": ["clerks", "guards"], "vital": True},
]


@dataclass
class Site:
    """A site's database and log, and a folder for files."""

    paths: SitePaths
    folder: Path
    bench: Bench

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["--site", str(self.paths.root), "learn", *arguments])

    def told(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--output", "json").stdout)

    def written(self, name: str, *cases: dict[str, Any]) -> str:
        path = self.folder / name
        path.write_text("".join(json.dumps({"language": "en", **one}) + "\n" for one in cases))
        return str(path)

    def logged(self) -> list[dict[str, Any]]:
        """What the log holds of the loop, in order."""
        with SyncAuditClient(self.paths.socket(AUDIT)) as client:
            client.checkpoint()  # what is in the journal goes into tiles
        found: list[dict[str, Any]] = []
        self.bench.verify(visit=lambda _, raw: found.extend(map(json.loads, raw)))
        return [one for one in found if one["unmapped"]["sovereign"]["kind"] == "learning_decision"]


@pytest.fixture
def site(tmp_path: Path, cluster: postgres.Cluster) -> Iterator[Site]:
    with cluster.admin("sovereign") as admin:
        admin.execute("TRUNCATE gold_case, user_key, calibration")
    paths = SitePaths(tmp_path / "site")
    bench = Bench(paths.audit_log)
    folder = tmp_path / "files"
    folder.mkdir()
    paths.root.mkdir(exist_ok=True)
    paths.site_yaml.write_text(SITE.format(port=postgres.PORT))
    paths.credentials(GATEWAY).mkdir(parents=True)
    (paths.credentials(GATEWAY) / "db_password").write_text(postgres.PASSWORD)
    (paths.credentials(GATEWAY) / "content_key").write_bytes(KEYS.content)
    keys = tmp_path / "keys"
    keys.mkdir()
    (paths.run / DATABASE).symlink_to(cluster.socket_dir)
    with writers(bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        yield Site(paths, folder, bench)
    shutil.rmtree(paths.run)


def test_cases_come_in_are_listed_go_out_and_are_retired_and_each_act_is_in_the_log(site: Site) -> None:
    given = site.written("cases.jsonl", *CASES)
    assert site.told("cases", "import", given) == {"new": 2, "unchanged": 0, "blocked": 0}
    assert site.told("cases", "import", given) == {"new": 0, "unchanged": 2, "blocked": 0}
    listed = site.told("cases", "list")
    assert [(one["version"], one["state"], one["author"]) for one in listed] == [
        (1, "active", f"uid {os.getuid()}")
    ] * 2
    assert [one["kind"] for one in site.told("cases", "list", "--group", "guards")] == ["refusal"]
    out = site.folder / "out.jsonl"
    assert site.run("cases", "export", "--out", str(out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    again = site.run("cases", "export", "--out", str(out))
    assert isinstance(again.exception, UsageError)
    assert site.told("cases", "import", str(out))["unchanged"] == 2
    assert site.run("cases", "retire", listed[0]["id"]).exit_code == 0
    assert isinstance(site.run("cases", "retire", listed[0]["id"]).exception, UsageError)
    assert [one["state"] for one in site.told("cases", "list")].count("retired") == 1
    acts = [(in_words(entry)["activity_name"], entry["entity"]["name"]) for entry in site.logged()]
    assert ("Create", "import") in acts
    assert ("Read", "export") in acts
    assert ("Delete", listed[0]["id"]) in acts
    assert "bicycles" not in json.dumps(site.logged()).lower()


def test_a_case_is_replaced_by_its_next_version_or_stays_as_it_is(site: Site) -> None:
    site.run("cases", "import", site.written("cases.jsonl", *CASES))
    first = next(one for one in site.told("cases", "list") if one["kind"] == "contains")
    longer = {**CASES[0], "question": "Where do bicycles and scooters stand?"}
    assert site.run("cases", "replace", first["id"], site.written("longer.jsonl", longer)).exit_code == 0
    for case, name, contents in (
        (first["id"], "two.jsonl", [longer, CASES[1]]),
        (first["id"], "other.jsonl", [{**longer, "groups": ["spies"]}]),
        ("00000000-0000-0000-0000-000000000009", "longer.jsonl", [longer]),
        ("x", "longer.jsonl", [longer]),
    ):
        refused = site.run("cases", "replace", case, site.written(name, *contents))
        assert isinstance(refused.exception, UsageError)
    listed = {one["id"]: (one["version"], one["question"]) for one in site.told("cases", "list")}
    assert listed[first["id"]] == (2, "Where do bicycles and scooters stand?")
    assert len(listed) == 2
    acts = [one for one in site.logged() if in_words(one)["activity_name"] == "Update"]
    assert [one["entity"]["name"] for one in acts] == [first["id"]]


def test_a_case_in_somebodys_words_is_listed_and_never_in_a_file(site: Site, cluster: postgres.Cluster) -> None:
    async def in_their_words() -> None:
        pool = pool_of(cluster)
        store = ConversationStore(pool, KEYS.content)
        origin = Origin(Subject("somebody"), uuid.uuid4(), "hmac-sha256:00", verbatim=True)
        content = Content.model_validate({**CASES[0], "language": "en"})
        async with pool.begin() as connection:
            await store.sealer(connection, origin.subject)
            await gold_rows.add(connection, store, Case(uuid.uuid4(), 1, content), "active", "uid 0", origin)
        await pool.dispose()

    site.run("cases", "import", site.written("cases.jsonl", CASES[1]))
    asyncio.run(in_their_words())
    assert len(site.told("cases", "list")) == 2
    out = site.folder / "out.jsonl"
    done = site.run("cases", "export", "--out", str(out))
    assert "left out: 1 in the words of whoever asked" in done.stderr
    assert [json.loads(one)["kind"] for one in out.read_text().splitlines()] == ["refusal"]
    figures = site.logged()[-1]["unmapped"]["sovereign"]["figures"]
    assert (figures["cases"], figures["left_out"]) == (1, 1)


def test_a_file_with_one_bad_case_changes_nothing(site: Site) -> None:
    bad = site.written("bad.jsonl", CASES[0], {**CASES[1], "kind": "exact"})
    refused = site.run("cases", "import", bad)
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.cause.startswith(f"{bad}:2: ")
    foreign = site.run("cases", "import", site.written("foreign.jsonl", {**CASES[0], "groups": ["spies"]}))
    assert isinstance(foreign.exception, UsageError)
    assert "spies is not a group" in foreign.exception.cause
    assert site.told("cases", "list") == []


def test_contradicting_cases_are_blocked_and_said_to_be(site: Site) -> None:
    other = {**CASES[0], "expected": ["south gate"]}
    done = site.run("cases", "import", site.written("both.jsonl", CASES[0], other))
    assert "1 blocked" in done.stdout
    assert "an expert of the group decides" in done.stderr
    assert {one["state"] for one in site.told("cases", "list")} == {"blocked"}
    nothing = site.run("evaluate", "--out", str(site.folder / "x.jsonl"))
    assert isinstance(nothing.exception, UsageError)
    assert "no active case" in nothing.exception.cause
    assert not (site.folder / "x.jsonl").exists()


def kept(site: Site, name: str, found: Any) -> str:
    path = site.folder / name
    path.write_bytes(written(found.run, found.rows))
    return str(path)


def test_the_gate_tells_its_figures_logs_them_first_and_ends_by_what_it_found(site: Site) -> None:
    before = kept(site, "before", results(items(), 11))
    good, bad = kept(site, "good", results(items(), 33)), kept(site, "bad", results(items(), 33, harder(0.4)))
    assert site.told("gate", before, good)["passed"] is True
    refused = site.run("gate", before, bad)
    assert isinstance(refused.exception, RefusedError)
    assert "worse beyond noise" in refused.exception.cause
    assert "kind=contains" in refused.stdout
    entries = [entry for entry in site.logged() if entry["entity"]["type"] == "gate"]
    assert [in_words(entry)["status"] for entry in entries] == ["Success", "Failure"]
    figures = entries[1]["unmapped"]["sovereign"]["figures"]
    assert (figures["passed"], figures["cases"], figures["alpha"]) == (False, 240, 0.05)
    assert any(one.startswith("all n=240 ") for one in figures["slices"])


def test_without_a_log_the_gate_decides_nothing(site: Site) -> None:
    before = kept(site, "before", results(items(), 11))
    site.paths.socket(AUDIT).unlink()
    nothing = site.run("gate", before, before)
    assert isinstance(nothing.exception, AuditUnavailableError)
    assert nothing.stdout == ""


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"no json\n"])
def test_the_gate_refuses_files_that_are_no_results_and_logs_nothing(site: Site, damage: bytes) -> None:
    (site.folder / "x").write_bytes(damage)
    refused = site.run("gate", str(site.folder / "x"), str(site.folder / "x"))
    assert isinstance(refused.exception, UsageError)
    assert site.logged() == []


def test_what_cannot_be_asked_of_a_group_is_said_before_anything_is(site: Site) -> None:
    text = SITE.format(port=postgres.PORT).replace("groups: [clerks], evaluates", "groups: [clerks, guards], evaluates")
    text = text.replace("models: [{name: gemma3-270m}]", MODELS).replace("{name: guards}", "{name: guards, models: []}")
    text = text.replace("{name: clerks, models: [gemma3-270m]}", "{name: clerks, models: [gemma3-270m, large]}")
    site.paths.site_yaml.write_text(text)
    site.run("cases", "import", site.written("cases.jsonl", *CASES))
    for arguments, said in {
        ("--model", "minilm"): "minilm is not a model that answers",
        ("--model", "large"): "guards does not use large",
        (): "no model is used by each of clerks, guards",
    }.items():
        refused = site.run("evaluate", "--out", str(site.folder / "x.jsonl"), *arguments)
        assert isinstance(refused.exception, UsageError)
        assert said in refused.exception.cause
        assert not (site.folder / "x.jsonl").exists()


def sure(found: Any, *, informative: bool = True) -> Any:
    """Results whose answers gave away something of how sure they are; else nothing that goes with being right."""
    drawn = random.Random(3)

    def signal(right: bool) -> dict[str, float]:  # noqa: FBT001 - the outcome
        mean = min(-0.01, drawn.gauss(-0.6 if right or not informative else -1.1, 0.3))
        return {"mean": mean, "lowest": 2 * mean, "length": 3.0, "grounded": 0.0, "supported": 0.0, "retrieved": 0.0}

    rows = [one.model_copy(update={"signal": signal(one.score == 1), "setting": SETTING}) for one in found.rows]
    return of_rows(rows)


def in_force(cluster: postgres.Cluster) -> list[str]:
    async def read() -> list[str]:
        pool = pool_of(cluster)
        found = [one.digest for one in await CalibrationStore(pool).all()]
        await pool.dispose()
        return found

    return asyncio.run(read())


def test_a_calibration_that_holds_is_logged_put_in_force_and_taken_back(site: Site, cluster: postgres.Cluster) -> None:
    given, page = kept(site, "sure", sure(results(items(600), 11))), site.folder / "report.html"
    told = site.told("calibrate", given, "--dry-run")
    assert (told["passed"], told["labels"] >= 200, told["ece_after"] <= 0.1) == (True, True, True)
    assert in_force(cluster) == []
    assert site.run("calibrate", given, "--report", str(page)).exit_code == 0
    assert in_force(cluster) == [told["calibration"]]
    assert "<svg" in page.read_text()
    (entry,) = [one for one in site.logged() if one["entity"]["type"] == "calibration"]
    assert entry["entity"]["name"] == told["calibration"]
    assert entry["unmapped"]["sovereign"]["figures"]["ece_after"] == told["ece_after"]
    assert site.run("uncalibrate", told["calibration"]).exit_code == 0
    assert in_force(cluster) == []
    assert isinstance(site.run("uncalibrate", told["calibration"]).exception, UsageError)
    assert in_words(site.logged()[-1])["activity_name"] == "Delete"


def test_a_calibration_that_does_not_hold_leaves_what_is_in_force(site: Site, cluster: postgres.Cluster) -> None:
    site.run("calibrate", kept(site, "sure", sure(results(items(600), 11))))
    before = in_force(cluster)
    refused = site.run("calibrate", kept(site, "noise", sure(results(items(600), 12), informative=False)))
    assert isinstance(refused.exception, RefusedError)
    assert in_force(cluster) == before != []
    assert in_words(site.logged()[-1])["status"] == "Failure"


def test_without_labels_or_without_a_log_nothing_is_calibrated(site: Site, cluster: postgres.Cluster) -> None:
    nothing = site.run("calibrate", kept(site, "old", results(items(), 11)))
    assert isinstance(nothing.exception, UsageError)
    few = site.run("calibrate", kept(site, "few", sure(results(items(60), 11))))
    assert isinstance(few.exception, UsageError)
    assert site.logged() == []
    site.paths.socket(AUDIT).unlink()
    unlogged = site.run("calibrate", kept(site, "sure", sure(results(items(600), 11))))
    assert isinstance(unlogged.exception, AuditUnavailableError)
    assert in_force(cluster) == []
