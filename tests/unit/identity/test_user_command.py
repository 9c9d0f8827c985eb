"""`sovereign user import` refuses before it contacts anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from appliance.cli.main import app
from appliance.errors import SovereignError, UsageError
from appliance.identity.users_file import UsersFileError

if TYPE_CHECKING:
    from pathlib import Path

SITE = """\
schema: 1
name: ministry
models: [{name: gemma3-270m}]
groups: [{name: analysts}]
"""


def refusal(tmp_path: Path, csv: str, *options: str) -> BaseException | None:
    root = tmp_path / "site"
    root.mkdir()
    (root / "site.yaml").write_text(SITE)
    file = tmp_path / "users.csv"
    file.write_text(csv)
    result = CliRunner().invoke(app, ["--site", str(root), "user", "import", str(file), *options])
    assert result.stdout == ""
    return result.exception


def test_an_unknown_group_is_refused_with_its_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, "username,groups\nanalyst,nobody\n")
    assert isinstance(error, UsersFileError)
    assert error.mistakes == ("line 2: unknown group 'nobody'; the site has analysts",)


def test_lasting_passwords_are_not_written_out_again(tmp_path: Path) -> None:
    options = ("--permanent", str(tmp_path / "p"), "--passwords-out", str(tmp_path / "o"))
    assert isinstance(refusal(tmp_path, "username,groups\nanalyst,analysts\n", *options), UsageError)


def test_a_readable_file_of_passwords_is_refused(tmp_path: Path) -> None:
    passwords = tmp_path / "p"
    passwords.write_text("analyst,a-lasting-password\n")
    passwords.chmod(0o644)
    error = refusal(tmp_path, "username,groups\nanalyst,analysts\n", "--permanent", str(passwords))
    assert isinstance(error, UsageError)
    assert "others can read it" in error.cause


@pytest.mark.parametrize("options", [(), ("--output", "json")])
def test_without_an_installed_site_there_is_no_import(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert isinstance(refusal(tmp_path, "username,groups\nanalyst,analysts\n", *options), SovereignError)
