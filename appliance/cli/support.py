"""`sovereign support-bundle`: what may be shown to somebody outside, listed before it is written."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    read_passphrase,
    say,
    site_paths,
)
from appliance.cluster.standing import is_cluster, standing
from appliance.cluster.support import cluster_items, networks
from appliance.errors import UsageError
from appliance.install.redaction import Redactor
from appliance.install.support_bundle import host_items, people, values, write
from appliance.install.vault import Vault
from appliance.site.secrets import SUFFIX
from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from appliance.install.support_bundle import Item
    from appliance.site.paths import SitePaths


def register(app: typer.Typer) -> None:
    """Mount the command at the top level."""
    app.command("support-bundle")(support_bundle)


def support_bundle(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.tar.gz", help="New file that receives it.", show_default=False),
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what it would hold; write nothing.")] = False,
) -> None:
    """Collect logs, status and the site file, without secrets and without what is about people, into one archive.

    The site's secrets are opened, so that each is known by value and taken out wherever it stands. Read the archive
    before it leaves the site: what people put into names of groups or hosts is theirs to judge.
    """
    if out is None and not dry_run:
        raise UsageError("a support bundle needs a file", "name a new one with --out, or list it with --dry-run")
    if out is not None and out.exists():
        raise UsageError(f"{out} exists", "name a new file")
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"{out.parent} is no folder", "make it first, or name another")
    paths = site_paths(context)
    items = _items(paths, lambda: read_passphrase("passphrase of the site key", passphrase_fd))
    emit([item.data() for item in items], output, lambda console: _render(items, console))
    if out is not None and not dry_run:
        write(out, items)
        say(f"{out} holds {len(items)} files; read them before they leave the site")


def _items(paths: SitePaths, passphrase: Callable[[], bytes]) -> tuple[Item, ...]:
    found = _secrets(paths, passphrase)
    if is_cluster(paths):
        known = standing(paths)
        named = people(known.source, paths.pods_yaml)
        return cluster_items(paths, known, Redactor(found, named, networks(known)))
    return host_items(paths, Redactor(found, people(paths.site_yaml)))


def _secrets(paths: SitePaths, passphrase: Callable[[], bytes]) -> tuple[bytes, ...]:
    """The site's secrets; a site that has none yet has no key. Raises ``UsageError`` where they cannot be known."""
    try:
        kind = key_kind(paths.secrets)
        sealed = any(paths.secrets.glob(f"*{SUFFIX}")) or paths.current.exists() or paths.pods_yaml.exists()
    except PermissionError as error:
        raise UsageError(f"{paths.secrets} is not for you to read", "run this as the site's owner") from error
    if kind is not None:
        return values(Vault(paths, passphrase).store())
    if sealed:
        raise UsageError(
            f"{paths.secrets} lacks the site key, so that no secret can be known and taken out",
            "restore the site key from its backup, then make the bundle",
        )
    return ()


def _render(items: tuple[Item, ...], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("KiB", justify="right", no_wrap=True)
    table.add_column("sha256", no_wrap=True)
    table.add_column("what it is")
    for item in items:
        table.add_row(item.path, f"{len(item.content) / 1024:.1f}", str(item.data()["sha256"])[:12], item.about)
    console.print(table)
