"""The root of every command tree: the global options, and the one place where errors become a hint and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from airgap_bundle.errors import BundleError, StoreError, VerificationError
from appliance import __version__
from appliance.cli.terminal import say
from appliance.errors import DeploymentError, RefusedError, SovereignError, UsageError

DEFAULT_SITE = Path("/var/lib/sovereign")
INTERRUPTED, BROKEN_PIPE = 130, 141


def new_app(group: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A command tree with the global options and the commands of ``group``, none by default."""
    app = typer.Typer(
        name="sovereign",
        cls=group,
        help="Run your own AI assistant where nothing may phone home.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_global_options)
    return app


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's callback signature
    if value:
        typer.echo(f"sovereign {__version__}")
        raise typer.Exit


def _global_options(
    context: typer.Context,
    site: Annotated[
        Path, typer.Option("--site", envvar="SOVEREIGN_SITE", help="Root folder of the site.")
    ] = DEFAULT_SITE,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run your own AI assistant where nothing may phone home."""
    context.obj = site


def run_app(app: typer.Typer) -> None:
    """Run the command line and exit. Exit codes: docs/reference/exit-codes.md.

    What typer itself refuses (an unknown command or option) it prints with a hint, and exits with 2.
    """
    try:
        app()
    except (SovereignError, BundleError) as error:
        sys.exit(_explain(error))
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)


def _explain(error: SovereignError | BundleError) -> int:
    say(f"error: {error.cause}")
    for note in getattr(error, "__notes__", ()):
        say(f"note: {note}")
    if error.hint:
        say(f"hint: {error.hint}")
    if isinstance(error, SovereignError):
        return error.exit_code
    if isinstance(error, VerificationError):
        return RefusedError.exit_code
    return DeploymentError.exit_code if isinstance(error, StoreError) else UsageError.exit_code
