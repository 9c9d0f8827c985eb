"""Write the reference pages that come from code; `python -m docs.generate --check` says whether they are current."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from appliance import errors
from appliance.cli.lazy import LazyGroup
from appliance.cli.main import app

REFERENCE = Path(__file__).parent / "reference"


def command_line() -> str:
    """Every command, option and default, from the command tree itself."""
    command = typer.main.get_command(app)
    assert isinstance(command, LazyGroup)
    command.load_all()
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="sovereign")
    return text.rstrip() + "\n"


def exit_codes() -> str:
    """The exit codes, from the error classes that carry them."""
    rows = {0: "Done."}
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.SovereignError) and kind.__bases__[0] is errors.SovereignError:
            rows[kind.exit_code] = (kind.__doc__ or "").strip().splitlines()[0]
    rows[1] = "A defect of the program: please report it."
    rows[130] = "Interrupted by the keyboard."
    lines = [f"| {code} | {meaning} |" for code, meaning in sorted(rows.items())]
    head = "# Exit codes\n\nEvery command prints `error:` with the cause and `hint:` with the next step on stderr.\n"
    return head + "\n| code | meaning |\n|---|---|\n" + "\n".join(lines) + "\n"


PAGES = {"cli.md": command_line, "exit-codes.md": exit_codes}


def main() -> None:
    """Write the pages, or with ``--check`` exit 1 when one is out of date."""
    stale = [name for name, page in PAGES.items() if not _is_current(name, page())]
    if "--check" in sys.argv[1:]:
        sys.exit(f"out of date: {', '.join(stale)}; run `make docs`" if stale else 0)
    for name in stale:
        (REFERENCE / name).write_text(PAGES[name]())


def _is_current(name: str, text: str) -> bool:
    path = REFERENCE / name
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
