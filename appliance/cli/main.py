"""The command tree, and the one place where errors become a cause, a hint and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from airgap_bundle.errors import BundleError, StoreError, VerificationError
from appliance import __version__
from appliance.cli import audit, bundle, bundle_build, chat, client, host, model, serve, trust, user
from appliance.cli.terminal import say
from appliance.errors import DeploymentError, RefusedError, SovereignError, UsageError

DEFAULT_SITE = Path("/var/lib/sovereign")

app = typer.Typer(
    name="sovereign",
    help="Run your own AI assistant where nothing may phone home.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's callback signature
    if value:
        typer.echo(f"sovereign {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    site: Annotated[
        Path, typer.Option("--site", help="The site's root folder.", envvar="SOVEREIGN_SITE")
    ] = DEFAULT_SITE,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run your own AI assistant where nothing may phone home."""
    context.obj = site


bundle_build.register(bundle.app)
app.add_typer(bundle.app, name="bundle")
app.add_typer(trust.app, name="trust")
app.add_typer(model.app, name="model")
host.register(app)
app.add_typer(audit.app, name="audit")
app.add_typer(user.app, name="user")
app.add_typer(client.app, name="client")
app.command("chat")(chat.chat)
app.command("serve", hidden=True)(serve.serve)


def run() -> None:
    """Entry point of the ``sovereign`` command. Exit codes: docs/reference/exit-codes.md."""
    try:
        code = app(standalone_mode=False)
    except (SovereignError, BundleError) as error:
        code = _explain(error)
    except click.ClickException as error:
        say(f"error: {error.format_message()}")
        say("hint: `sovereign --help` lists every command")
        code = UsageError.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code)


def _explain(error: SovereignError | BundleError) -> int:
    say(f"error: {error.cause}")
    if error.hint:
        say(f"hint: {error.hint}")
    if isinstance(error, SovereignError):
        return error.exit_code
    if isinstance(error, VerificationError):
        return RefusedError.exit_code
    return DeploymentError.exit_code if isinstance(error, StoreError) else UsageError.exit_code
