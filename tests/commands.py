"""Running `sovereign bundle …` and `sovereign trust …` in this process, as the command line would."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.testing import CliRunner

from appliance.cli import bundle, trust

if TYPE_CHECKING:
    from click.testing import Result

PHRASE = b"correct horse battery\n"


def run(*arguments: object, site: Path = Path("/nonexistent"), phrase: bytes | None = None) -> Result:
    """Run a command of the two groups; an error of ours is raised, as main would see it."""
    app = typer.Typer()

    @app.callback()
    def root(context: typer.Context) -> None:
        context.obj = site

    app.add_typer(bundle.app, name="bundle")
    app.add_typer(trust.app, name="trust")
    given = [str(argument) for argument in arguments]
    if phrase is None:
        return CliRunner().invoke(app, given, catch_exceptions=False)
    reader, writer = os.pipe()
    os.write(writer, phrase)
    os.close(writer)
    try:
        return CliRunner().invoke(app, [*given, "--passphrase-fd", str(reader)], catch_exceptions=False)
    finally:
        os.close(reader)


def run_json(*arguments: object, **more: Any) -> Any:
    result = run(*arguments, "--output", "json", **more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
