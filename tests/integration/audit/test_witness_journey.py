"""The commands of a witness, from an auditor's laptop to the site and back, against a running writer."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from appliance.audit import witness as folders
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import EntryRefusedError, LogForkedError, LogReplacedError, NotYoursError
from appliance.audit.roles import GATEWAY
from appliance.cli.main import app
from appliance.install.witnessing import witnessing
from appliance.site.paths import AUDIT, SitePaths
from tests.audit.bench import Bench
from tests.audit.former import in_words
from tests.audit.processes import writers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

JSON = ("--output", "json")
PHRASE = b"several words of the deputy\n"


@pytest.fixture(autouse=True)
def _quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of scrypt per key protects a person, not a test."""
    monkeypatch.setattr(folders.WitnessKeys.encode, "__kwdefaults__", {"cost": 2**4})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[SitePaths, Bench]]:
    """A site root with a log that holds five entries and a writer that runs."""
    paths = SitePaths(tmp_path / "site")
    bench = Bench(paths.audit_log)
    paths.policies.mkdir(parents=True)
    (paths.policies / "audit-vkeys").write_text("".join(f"{key.encode()}\n" for key in bench.vkeys))
    bench.fill(5)
    keys = tmp_path / "keys"
    keys.mkdir()
    with writers(bench, keys, paths.socket(AUDIT), {"operator": os.getuid(), "gateway": os.getuid()}) as begin:
        begin()
        yield paths, bench
    shutil.rmtree(paths.run)


def sovereign(paths: SitePaths, *arguments: object, phrase: bool = False) -> Result:
    options: Sequence[str] = ()
    if phrase:
        reader, writer = os.pipe()
        os.write(writer, PHRASE)
        os.close(writer)
        options = ("--passphrase-fd", str(reader))
    return CliRunner().invoke(app, ["--site", str(paths.root), "audit", *map(str, arguments), *options])


def done(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def entities(bench: Bench) -> list[tuple[str, str, str]]:
    seen: list[tuple[str, str, str]] = []

    def visit(_: int, entries: list[bytes]) -> None:
        events = [json.loads(entry) for entry in entries]
        seen.extend(
            (in_words(e)["activity_name"], e["entity"]["type"], e["entity"]["name"]) for e in events if "entity" in e
        )

    bench.verify(visit=visit)
    return seen


def test_a_witness_watches_a_site_through_files_that_are_carried(site: tuple[SitePaths, Bench], tmp_path: Path) -> None:
    paths, bench = site
    laptop, cosigned, request = tmp_path / "laptop", tmp_path / "cosigned", tmp_path / "request"
    vkeys = tmp_path / "vkeys"
    shutil.copy(paths.policies / "audit-vkeys", vkeys)
    assert "no witness watches" in " ".join(witnessing(paths).warnings(_now()))  # type: ignore[union-attr]

    made = done(
        sovereign(
            paths,
            "witness",
            "init",
            laptop,
            "--name",
            "auditor.example/w1",
            "--vkeys",
            vkeys,
            "--output",
            "json",
            phrase=True,
        )
    )
    assert made["log"] == bench.origin
    assert done(sovereign(paths, "witness", "enrol", laptop / "witness.vkeys", *JSON))["witness"]

    assert sovereign(paths, "witness", "request", "--out", request).exit_code == 0
    seen = done(sovereign(paths, "witness", "check", laptop, "--request", request, *JSON))
    assert (seen["size"], seen["before"]) == (7, None)  # five, the enrolment, and the request
    assert (
        sovereign(paths, "witness", "cosign", laptop, "--request", request, "--out", cosigned, phrase=True).exit_code
        == 0
    )
    assert done(sovereign(paths, "witness", "deliver", cosigned, *JSON))["size"] == 7

    found = witnessing(paths)
    assert found is not None
    assert (found.enrolled, found.witness, found.size) == (1, "auditor.example/w1", 7)
    assert found.warnings(_now()) == ()
    assert done(sovereign(paths, "verify", *JSON))["witnessed"][0]["size"] == 7
    assert entities(bench) == [
        ("Enroll", "witness", "auditor.example/w1"),
        ("Read", "audit_log", "request to a witness"),
        ("Update", "witness", "auditor.example/w1"),
        ("Read", "audit_log", "verification"),
    ]

    assert sovereign(paths, "witness", "request", "--out", request).exit_code == 0  # from what came back
    again = done(sovereign(paths, "witness", "check", laptop, "--request", request, *JSON))
    assert (again["size"], again["before"]["size"]) == (10, 7)
    assert done(sovereign(paths, "witness", "check", laptop, *JSON))["size"] == 10  # the log itself


def test_what_a_witness_refuses_exits_with_6_and_a_fork_leaves_evidence(
    site: tuple[SitePaths, Bench], tmp_path: Path
) -> None:
    paths, bench = site
    laptop, out = tmp_path / "laptop", tmp_path / "out"
    vkeys = paths.policies / "audit-vkeys"
    sovereign(paths, "witness", "init", laptop, "--name", "w", "--vkeys", vkeys, phrase=True)
    assert sovereign(paths, "witness", "cosign", laptop, "--out", out, phrase=True).exit_code == 0
    kept = (laptop / "kept").read_bytes()
    other = Bench(tmp_path / "fork", bench.keys)
    other.fill(4)
    other.fill(1, start=77)
    result = sovereign(paths, "witness", "cosign", laptop, "--log", other.directory, "--out", out, phrase=True)
    assert isinstance(result.exception, LogForkedError)
    assert result.exception.exit_code == 6
    (evidence,) = (laptop / "evidence").iterdir()
    assert evidence.read_bytes() == (other.directory / "checkpoint").read_bytes()
    fresh = Bench(tmp_path / "fresh", bench.keys)
    fresh.fill(9, start=90)
    result = sovereign(paths, "witness", "check", laptop, "--log", fresh.directory)
    assert isinstance(result.exception, LogReplacedError)
    assert (laptop / "kept").read_bytes() == kept


def test_only_the_operator_brings_cosigned_checkpoints_and_only_of_this_log(
    site: tuple[SitePaths, Bench], tmp_path: Path
) -> None:
    paths, bench = site
    before = bench.snapshot()
    with SyncAuditClient(paths.socket(AUDIT)) as client:
        with pytest.raises(EntryRefusedError, match="no checkpoint of the log here"):
            client.shelve(b"nothing")
        with pytest.raises(EntryRefusedError, match="0 are named"):
            client.shelve(before["checkpoint"])
        foreign = Bench(tmp_path / "foreign", bench.keys)
        foreign.fill(3, start=70)
        with pytest.raises(EntryRefusedError, match=r"two different sets|do not begin with"):
            client.shelve((foreign.directory / "checkpoint").read_bytes())
    assert bench.snapshot() == before


def test_a_service_brings_no_cosigned_checkpoint(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "log")
    bench.fill(1)
    with writers(bench, tmp_path, tmp_path / "sock", {GATEWAY.name: os.getuid()}) as begin:
        begin()
        with SyncAuditClient(tmp_path / "sock") as client, pytest.raises(NotYoursError, match="the operator's"):
            client.shelve((bench.directory / "checkpoint").read_bytes())


def _now() -> datetime:
    return datetime.now(UTC)
