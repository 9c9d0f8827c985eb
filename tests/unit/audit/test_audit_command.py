"""``sovereign audit`` on a folder and keys: results on stdout, findings and exit code 6."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner, Result

from appliance.audit.errors import LogTamperedError
from appliance.cli import audit
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.audit.bench import Bench


@pytest.fixture
def run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    bench.fill(300)
    keys = tmp_path / "vkeys"
    keys.write_text("".join(key.encode() + "\n" for key in bench.vkeys))
    app = typer.Typer()

    @app.callback()
    def root(context: typer.Context) -> None:
        context.obj = tmp_path / "site"

    app.add_typer(audit.app, name="audit")

    def invoke(command: str, *arguments: str, log: bool = True) -> Result:
        where = ["--log", str(bench.directory)] if log else []
        return CliRunner().invoke(app, ["audit", command, *where, "--vkeys", str(keys), *map(str, arguments)])

    return invoke


def test_a_sound_log_is_reported_and_exits_with_0(run: Callable[..., Result]) -> None:
    result = run("verify")
    assert (result.exit_code, "the log holds" in result.stdout) == (0, True)
    answer = json.loads(run("verify", "--output", "json").stdout)
    assert (answer["holds"], answer["size"], answer["origin"]) == (True, 300, "site.example/audit")


def test_a_tampered_log_names_its_findings_and_exits_with_6(bench: Bench, run: Callable[..., Result]) -> None:
    path = bench.directory / "tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b'"demo"', b'"omed"', 1))
    result = run("verify", "--output", "json")
    assert json.loads(result.stdout)["findings"] == [
        {"kind": "edited", "index": 0, "detail": "1 entry was edited: position 0"}
    ]
    assert isinstance(result.exception, LogTamperedError)
    assert result.exception.exit_code == 6
    assert "edited: 1 entry" in run("verify").stdout


def test_an_entry_is_proven_and_the_proof_is_checked_without_the_log(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    proof = tmp_path / "proof.json"
    assert run("prove", "7", "--out", str(proof)).exit_code == 0
    result = run("verify", "--proof", str(proof), "--output", "json", log=False)
    assert json.loads(result.stdout)["event"]["metadata"]["uid"] == "e7"
    assert "c2sp.org/tlog-proof@v1" in run("prove", "7").stdout
    bundle = json.loads(proof.read_text())
    proof.write_text(json.dumps(bundle | {"index": 8}))
    assert isinstance(run("verify", "--proof", str(proof), log=False).exception, LogInconsistentError)


def test_a_kept_checkpoint_is_compared(bench: Bench, run: Callable[..., Result], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text((bench.directory / "checkpoint").read_text())
    assert run("verify", "--kept", str(kept)).exit_code == 0
    assert isinstance(run("verify", "--kept", str(tmp_path / "absent")).exception, UsageError)


def test_what_the_log_gained_is_verified_and_only_behind_a_kept_checkpoint(
    bench: Bench, run: Callable[..., Result], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text((bench.directory / "checkpoint").read_text())
    bench.fill(20, start=300)
    found = json.loads(run("verify", "--kept", str(kept), "--growth", "--output", "json").stdout)
    assert (found["holds"], found["size"], found["unread"]) == (True, 320, 256)
    assert "entries before 256 were not read again" in run("verify", "--kept", str(kept), "--growth").stdout
    assert isinstance(run("verify", "--growth").exception, UsageError)
    proof = tmp_path / "proof.json"
    assert run("prove", "3", "--out", str(proof)).exit_code == 0
    assert isinstance(run("verify", "--growth", "--kept", str(kept), "--proof", str(proof)).exception, UsageError)


def test_a_report_comes_as_table_json_or_page(run: Callable[..., Result], tmp_path: Path) -> None:
    assert "By model" in run("report").stdout
    assert json.loads(run("report", "--output", "json").stdout)["total"]["requests"] == 300
    page = tmp_path / "report.html"
    assert run("report", "--output", "html", "--out", str(page)).exit_code == 0
    assert page.read_text().startswith("<!doctype html>")
    assert run("report", "--output", "html").stdout.startswith("<!doctype html>")
    assert json.loads(run("report", "--output", "json", "--since", "2026-11-23").stdout)["total"]["requests"] == 0


def test_a_report_needs_no_folder_of_its_own_unless_one_is_named(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    result = run("report", "--output", "json")
    assert (result.exit_code, "nothing is kept of what is counted" in result.stderr) == (0, True)
    assert isinstance(run("report", "--cache", str(tmp_path / "file" / "x")).exception, UsageError)
    assert run("report", "--cache", str(tmp_path / "named")).exit_code == 0
    assert (tmp_path / "named" / "key").exists()


def test_mistakes_of_the_caller_are_usage_errors(run: Callable[..., Result], tmp_path: Path) -> None:
    assert isinstance(run("prove", "300").exception, UsageError)
    assert isinstance(run("report", "--out", str(tmp_path / "x")).exception, UsageError)
    assert isinstance(run("verify", "--proof", str(tmp_path / "absent"), log=False).exception, UsageError)
    assert isinstance(run("verify", log=False).exception, UsageError)


def test_an_export_is_checked_without_the_log_and_names_what_was_changed(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("export", "100", "199", "--out", str(out)).exit_code == 0
    checked = ("verify", "--export", str(out), "--output")
    found = json.loads(run(*checked, "json", log=False).stdout)
    assert (found["holds"], found["first"], found["last"], found["size"]) == (True, 100, 199, 300)
    assert "the export holds: entries 100 to 199" in run(*checked, "table", log=False).stdout
    entries = out / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b'"demo"', b'"omed"', 1))
    result = run(*checked, "json", log=False)
    assert json.loads(result.stdout)["findings"] == [
        {"kind": "edited", "index": 100, "detail": "1 entry was edited: position 100"}
    ]
    assert isinstance(result.exception, LogTamperedError)
    assert result.exception.exit_code == 6


def test_beside_an_export_nothing_is_named_that_would_not_be_looked_at(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("export", "100", "199", "--out", str(out)).exit_code == 0
    kept = tmp_path / "out" / "checkpoint"
    assert run("verify", "--export", str(out), "--kept", str(kept), log=False).exit_code == 0
    for beside in (["--witnesses", str(kept)], ["--proof", str(kept)], ["--kept", str(kept), "--growth"]):
        assert isinstance(run("verify", "--export", str(out), *beside, log=False).exception, UsageError)
    assert isinstance(run("verify", "--export", str(out)).exception, UsageError)  # and a log
