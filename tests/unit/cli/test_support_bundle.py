"""A support bundle is not begun where its redaction, or its writing, could not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from appliance.cli.main import app
from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def bundle(root: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["--site", str(root), "support-bundle", *more])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "site"
    (found / "secrets").mkdir(parents=True)
    (found / "site.yaml").write_text("schema: 1\nname: lab\n")
    return found


@pytest.mark.parametrize("sign", ["secrets/gateway@db_password.sealed", "cluster/pods.yaml", "current/release.json"])
def test_without_the_site_key_no_bundle_is_made_of_a_site_that_has_secrets(root: Path, sign: str) -> None:
    (root / sign).parent.mkdir(exist_ok=True)
    (root / sign).write_text("x")
    done = bundle(root, "--dry-run")
    assert isinstance(done.exception, UsageError)
    assert "lacks the site key" in str(done.exception)
    assert done.output == ""


def test_a_site_that_has_no_secret_yet_needs_no_key(root: Path) -> None:
    done = bundle(root, "--dry-run")
    assert done.exit_code == 0, done.exception
    assert "site.yaml" in done.output


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(root: Path) -> None:
    done = bundle(root, "--out", str(root / "no/x.tar.gz"))
    assert isinstance(done.exception, UsageError)
    assert "is no folder" in str(done.exception)
    assert not (root / "no").exists()
