"""`sovereign audit report --names`: on the site, with its key, and never into a file; the log says so first."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit import events
from appliance.audit.client import SyncAuditClient
from appliance.cli import audit_names
from appliance.cli.main import app
from appliance.cli.reached import own_log
from appliance.errors import NotAllowedError, UnavailableError, UsageError
from appliance.gateway.pseudonyms import subject_of
from appliance.site.paths import AUDIT, GATEWAY, SitePaths
from tests.audit.bench import Bench, bench
from tests.audit.former import in_words
from tests.audit.processes import writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["bench"]
KEY = b"p" * 32
SITE = """\
schema: 1
name: ministry
models: [{name: gemma3-270m}]
groups: [{name: clerks}]
"""
ACCOUNTS = {"id-1": "surveyor", "id-2": "treasurer", "id-3": "service-account-ledger"}
GONE = subject_of("id-9", KEY)


@dataclass
class Keycloak:
    """What the command asks Keycloak for: accounts, programs' only by name."""

    accounts: dict[str, str] = field(default_factory=lambda: dict(ACCOUNTS))
    watch: Callable[[], None] = lambda: None
    asked: int = 0

    def change_current_realm(self, realm: str) -> None:
        assert realm == "sovereign"

    def get_users(self, query: dict[str, str]) -> list[dict[str, str]]:
        self.asked += 1
        self.watch()
        wanted = query.get("username")
        return [
            {"id": one, "username": name}
            for one, name in self.accounts.items()
            if name.startswith("service-account-") == (wanted is not None)
        ]


@dataclass
class Site:
    """A site at which three asked something, of whom one was erased since."""

    paths: SitePaths
    bench: Bench
    keycloak: Keycloak

    def report(self, *arguments: str) -> Result:
        options = ["--site", str(self.paths.root), "audit", "report", "--cache", str(self.paths.root / "figures")]
        return CliRunner().invoke(app, [*options, *arguments])

    def entries(self) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        own_log(self.paths)
        self.bench.verify(visit=lambda _, entries: seen.extend(map(json.loads, entries)))
        return seen

    def files(self) -> list[bytes]:
        paths = (path for path in self.paths.root.rglob("*") if path.is_file())
        return [path.read_bytes() for path in paths]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    paths, keycloak = SitePaths(tmp_path / "site"), Keycloak()
    found = Site(paths, Bench(paths.audit_log), keycloak)
    paths.policies.mkdir(parents=True)
    paths.site_yaml.write_text(SITE)
    (paths.policies / "audit-vkeys").write_text("".join(f"{key.encode()}\n" for key in found.bench.vkeys))
    paths.credentials(GATEWAY).mkdir(parents=True)
    (paths.credentials(GATEWAY) / "pseudonym_key").write_bytes(KEY)

    @contextmanager
    def played(_paths: SitePaths, _fd: int | None) -> Iterator[Keycloak]:
        yield keycloak

    monkeypatch.setattr(audit_names, "keycloak", played)
    keys = tmp_path / "keys"
    keys.mkdir()
    with writers(found.bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        for number, subject in enumerate((subject_of("id-1", KEY), subject_of("id-3", KEY), GONE)):
            event = events.request(
                request_id=f"r{number}",
                subject=subject,
                groups=("clerks",),
                model_digest="sha256:a5",
                model_name="gemma3-270m",
                prompt_commitment="sha256:c0",
            )
            with SyncAuditClient(paths.socket(AUDIT)) as client:
                client.append(event, id=f"gateway/r{number}")
        yield found
    shutil.rmtree(paths.run)


def test_people_and_programs_are_named_and_who_was_erased_is_shown_so(site: Site) -> None:
    found = json.loads(site.report("--names", "--output", "json").stdout)
    assert found["names"] == {
        subject_of("id-1", KEY): "surveyor",
        subject_of("id-3", KEY): "service-account-ledger",
        GONE: None,
    }
    table = site.report("--names").stdout
    assert f"surveyor ({subject_of('id-1', KEY)[:12]})" in table
    assert f"erased: no account ({GONE[:12]})" in table
    assert "treasurer" not in table, "nobody is named who is not in the report"


def test_who_only_failed_to_sign_in_is_named_beside_the_failures(site: Site) -> None:
    treasurer = subject_of("id-2", KEY)
    event = events.sign_in(subject=treasurer, success=False)
    with SyncAuditClient(site.paths.socket(AUDIT)) as client:
        client.append(event, id="gateway/f1")
    found = json.loads(site.report("--names", "--top", "1", "--output", "json").stdout)
    assert [one["subject"] for one in found["top_failed_sign_ins"]] == [treasurer]
    assert found["names"][treasurer] == "treasurer"
    table = site.report("--names", "--top", "1").stdout
    assert f"treasurer ({treasurer[:12]})" in table.partition("Users whose sign-ins")[2]


def test_the_log_says_who_looked_at_what_before_keycloak_is_asked(site: Site) -> None:
    held: list[dict[str, Any]] = []
    site.keycloak.watch = lambda: held.extend(site.entries())
    size = len(site.entries())
    assert site.report("--names", "--top", "7", "--since", "2026-01-01").exit_code == 0
    look, act = held[size : size + 2]
    assert (in_words(look)["activity_name"], look["entity"]["name"]) == ("Read", "report")
    assert (in_words(act)["activity_name"], act["entity"]["type"], act["actor"]["user"]["uid"]) == (
        "Read", "names", f"uid {os.getuid()}"
    )  # fmt: skip
    assert act["comment"] == (
        f"names of 3 people: a report over entries before {size + 1}, days 2026-01-01 to the last, the top 7"
    )


def test_without_the_option_nobody_is_named_and_keycloak_is_not_asked(site: Site) -> None:
    found = site.report("--output", "json")
    assert (found.exit_code, "names" in json.loads(found.stdout), site.keycloak.asked) == (0, False, 0)
    assert not any(name in found.stdout for name in ACCOUNTS.values())


def test_names_are_in_no_entry_no_export_and_no_file_of_the_site(site: Site, tmp_path: Path) -> None:
    assert site.report("--names").exit_code == 0
    where = ["--site", str(site.paths.root), "audit"]
    assert CliRunner().invoke(app, [*where, "export", "0", "2", "--out", str(tmp_path / "export")]).exit_code == 0
    kept = site.files() + [path.read_bytes() for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert not any(name.encode() in data for name in ACCOUNTS.values() for data in kept)


@pytest.mark.parametrize(
    "options", [("--output", "html"), ("--output", "csv"), ("--output", "json", "--out", "report.json")]
)
def test_names_go_into_no_page_and_no_file(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = site.entries()
    result = site.report("--names", *options)
    assert isinstance(result.exception, UsageError)
    assert (site.entries(), site.keycloak.asked, result.stdout) == (before, 0, "")
    assert not (tmp_path / "report.json").exists()


def test_a_copy_of_the_log_names_nobody(site: Site) -> None:
    before = site.entries()
    result = site.report("--names", "--log", str(site.paths.audit_log))
    assert isinstance(result.exception, NotAllowedError)
    assert result.exception.exit_code == 7
    assert (site.entries(), site.keycloak.asked) == (before, 0)


def test_without_the_site_s_key_nobody_is_named(site: Site) -> None:
    (site.paths.credentials(GATEWAY) / "pseudonym_key").unlink()
    before = site.entries()
    result = site.report("--names")
    assert isinstance(result.exception, NotAllowedError)
    assert (site.keycloak.asked, result.stdout) == (0, "")
    *same, look = site.entries()
    assert (same, look["entity"]["name"]) == (before, "report"), "the log was counted, and nobody named"


def test_without_the_log_nobody_is_named(site: Site) -> None:
    own_log(site.paths)
    site.paths.socket(AUDIT).unlink()
    result = site.report("--names")
    assert isinstance(result.exception, UnavailableError)
    assert (site.keycloak.asked, result.stdout) == (0, "")
