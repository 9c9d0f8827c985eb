"""Commands at the desk of a cluster: what they do is in its log, before it is done or once the log answers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.verify import verify_log
from appliance.cli import audit_names, reached
from appliance.cli.main import app
from appliance.cluster.assistant_warnings import assistant_warnings
from appliance.cluster.reached import reached_site
from appliance.errors import DeploymentError, NotAllowedError
from appliance.install.judged import decided
from appliance.install.steps.secrets import VKEYS
from appliance.learning.weights import JudgedWeights
from appliance.packs.record import write_record
from appliance.site.load import load_site
from tests.integration.cluster.reaching import as_json, site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.site.paths import SitePaths
    from tests.integration.cluster.desk import Desk

__all__ = ["site"]


@pytest.fixture
def command(site: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command at the desk."""
    monkeypatch.setattr(reached, "reached_site", partial(reached_site, enter=site.hosts.enter))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["--site", str(site.paths.root), *arguments], catch_exceptions=True)

    return run


def test_a_report_of_a_cluster_s_own_log_says_in_it_that_somebody_looked(
    site: Desk, command: Any, tmp_path: Path
) -> None:
    done = command("audit", "report", "--cache", str(tmp_path / "figures"), "--output", "json")
    assert done.exit_code == 0, done.exception
    with reached_site(site.paths, site.hosts.enter) as found:
        entries = b"".join(path.read_bytes() for path in found.copy_log().rglob("*") if path.is_file())
    assert b"audit_log" in entries


def test_names_are_asked_of_keycloak_once_the_log_has_it(
    site: Desk, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SitePaths] = []

    @contextmanager
    def keycloak(paths: SitePaths, _fd: int | None) -> Iterator[None]:
        asked.append(paths)
        yield None

    monkeypatch.setattr(audit_names, "keycloak", keycloak)
    monkeypatch.setattr(audit_names, "every_account", lambda _: iter(()))
    done = command("audit", "report", "--cache", str(tmp_path / "figures"), "--output", "json", "--names")
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["names"] == {}
    assert len(asked) == 1
    site.hosts.answers["python3 -c"], site.hosts.codes["python3 -c"] = "", 1  # no socket leads anywhere
    assert site.hosts.enter  # they are told
    refused = command("audit", "report", "--cache", str(tmp_path / "figures"), "--output", "json", "--names")
    assert isinstance(refused.exception, (AuditUnavailableError, DeploymentError, NotAllowedError))
    assert len(asked) == 1


def test_status_warns_of_nights_that_never_were_and_of_groups_that_nobody_answers(site: Desk) -> None:
    now = datetime.now(UTC)
    assert assistant_warnings(site.paths, now, enter=site.hosts.enter) == ()
    config = load_site(site.paths.pods_yaml)
    group = config.groups[0].model_copy(update={"brief": True})
    told = config.model_copy(update={"groups": (group,)})
    site.paths.pods_yaml.write_bytes(told.model_dump_json(by_alias=True, exclude_none=True).encode())
    write_record(site.paths.packs, {"staff": "none"})
    refused = {"staff": {"pack": None, "refused": "the record says nothing and the database says none"}}
    site.hosts.answers["10.88.0.7 9208"] = as_json(refused).decode()
    never, unanswered = assistant_warnings(site.paths, now, enter=site.hosts.enter)
    assert "never compiled" in never
    assert unanswered.startswith("people of staff are not answered")


def test_status_warns_of_weights_that_no_gate_knows(site: Desk) -> None:
    config = load_site(site.paths.pods_yaml)
    model, group = config.models[0].name, config.groups[0].name
    former, new = (f"sha256:{one * 64}" for one in "ab")
    weights = JudgedWeights({model: (former,)}, {model: (former,)}, passed=True)
    decided(site.paths, config, (group,), None, passed=True, weights=weights)
    for digest, lines in ((former, 0), (new, 1)):
        site.hosts.answers["10.88.0.7 9208"] = as_json({model: digest}).decode()
        found = assistant_warnings(site.paths, datetime.now(UTC), enter=site.hosts.enter)
        assert sum("that no gate let pass" in one for one in found) == lines


def entries(site: Desk) -> list[dict[str, Any]]:
    """The log's entries, from its writer."""
    seen: list[dict[str, Any]] = []
    with reached_site(site.paths, site.hosts.enter) as found:
        verify_log(
            found.copy_log(),
            vkeys=read_vkeys(site.paths.policies / VKEYS),
            visit=lambda _, raw: seen.extend(map(json.loads, raw)),
        )
    return seen
