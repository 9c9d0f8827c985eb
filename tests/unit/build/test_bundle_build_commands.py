"""`bundle lock` and `bundle build` on the command line: results on stdout, progress on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from airgap_bundle.errors import LockError
from appliance.cli import bundle_build
from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.build.synthetic_release import Synthetic


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    bundle_build.register(made)
    return made


def test_build_prints_the_digest_that_people_compare(
    app: typer.Typer, synthetic: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(synthetic.cache.root))
    arguments = ["build", "--release", str(synthetic.release), "--out", str(tmp_path / "b"), "--output", "json"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    printed = json.loads(result.stdout)
    assert printed["index"].startswith("sha256:")
    assert printed["version"] == "1.0.0"
    table = CliRunner().invoke(app, arguments[:-2], catch_exceptions=False)
    assert printed["index"] in table.stdout


def test_lock_of_a_locked_release_changes_nothing(
    app: typer.Typer, synthetic: Synthetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(synthetic.cache.root))
    result = CliRunner().invoke(
        app, ["lock", "--release", str(synthetic.release), "--output", "json"], catch_exceptions=False
    )
    assert json.loads(result.stdout)["changes"] == []


def test_a_mistake_is_raised_for_the_root_command_to_tell(
    app: typer.Typer, synthetic: Synthetic, tmp_path: Path
) -> None:
    synthetic.edit(lambda value: value.update(number=0))
    with pytest.raises(LockError, match="number"):
        CliRunner().invoke(
            app,
            ["build", "--release", str(synthetic.release), "--out", str(tmp_path / "b")],
            catch_exceptions=False,
        )


def test_a_sites_environment_says_that_it_cannot_build(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_hatchling(name: str) -> object:
        return object() if name == "hatchling" else None

    monkeypatch.setattr("appliance.cli.bundle_build.importlib.util.find_spec", only_hatchling)
    with pytest.raises(UsageError, match="it has no pip and no cyclonedx"):
        CliRunner().invoke(app, ["build", "--out", str(tmp_path / "b")], catch_exceptions=False)
