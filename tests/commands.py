"""Running commands of the real tree in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from appliance.cli.main import app

if TYPE_CHECKING:
    from click.testing import Result

PHRASE = b"correct horse battery\n"


def run(*arguments: object, site: Path = Path("/nonexistent"), phrase: bytes | None = None) -> Result:
    """Run a command; an error of ours is raised, as the entry point would see it."""
    given = ["--site", str(site), *map(str, arguments)]
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
