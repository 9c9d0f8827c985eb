"""`sovereign preflight | install | status | up | down | uninstall`: a site on this host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.cluster import Profile, install_cluster
from appliance.cli.cluster_status import show_egress, show_status
from appliance.cli.host_installed import emit_installed, show_plan
from appliance.cli.host_tables import render_preflight, render_status
from appliance.cli.removal import uninstall
from appliance.cli.signers import NewPassphrase
from appliance.cli.step_progress import StepProgress
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    read_passphrase,
    say,
    site_paths,
)
from appliance.cluster.standing import is_cluster
from appliance.errors import DeploymentError, PreflightError, UsageError
from appliance.install import host, power
from appliance.install.reinstall import plan_reinstall, reinstall
from appliance.install.resumption import resume as bring_back
from appliance.install.status import site_status
from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.site.paths import SitePaths

BundleArgument = Annotated[
    Path, typer.Argument(help="A bundle: its folder, a packed file, or a split set's folder.", show_default=False)
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The site file; default: the one installed.", show_default=False)
]
RootOption = Annotated[
    str | None,
    typer.Option("--root", metavar="sha256:…", help="Fingerprint of the root to trust, at first installation."),
]


def register(app: typer.Typer) -> None:
    """Mount the commands at the top level of ``app``."""
    for name, command in (
        ("preflight", preflight),
        ("install", install),
        ("status", status),
        ("up", up),
        ("down", down),
        ("uninstall", uninstall),
    ):
        app.command(name)(command)
    app.command("unseal", hidden=True)(unseal)
    app.command("resume", hidden=True)(resume)


def preflight(
    context: typer.Context,
    bundle: Annotated[Path | None, typer.Argument(help="The bundle, to size the disk.", show_default=False)] = None,
    config: ConfigOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check whether this host can hold the site; nothing is changed."""
    report = host.preflight(site_paths(context), config, bundle)
    emit(report.data(), output, lambda console: render_preflight(report, console))
    if not report.ok:
        raise typer.Exit(PreflightError.exit_code)


def install(  # noqa: PLR0913, PLR0917 - typer's parameters are the command's options
    context: typer.Context,
    bundle: Annotated[
        Path | None,
        typer.Argument(
            help="A bundle: its folder, a packed file, or a split set's folder; default: the release in force.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    root: RootOption = None,
    passphrase_fd: PassphraseFdOption = None,
    profile: Annotated[Profile, typer.Option(help="This host, or the hosts of a cluster over ssh.")] = Profile.host,
    output: OutputOption = OutputFormat.table,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and plan; change nothing.")] = False,
) -> None:
    """Verify a bundle and install it, a delta included; running it again resumes or changes nothing.

    Without a bundle, a changed site file is put in force with the release that is, which the store holds.
    """
    paths = site_paths(context)
    if bundle is None:
        _reinstall(paths, config, root, passphrase_fd, profile, output, dry_run=dry_run)
        return
    if profile is Profile.cluster:
        request = host.Request(bundle, config, root or _ask_root(host.needs_root(paths)))
        install_cluster(paths, request, output, passphrase=first_passphrase(paths, passphrase_fd), dry_run=dry_run)
        return
    if dry_run:
        host.refuse_another(paths, bundle)
        show_plan(host.plan(paths, host.Request(bundle, config, root)), output)
        return
    request = host.Request(bundle, config, root or _ask_root(host.needs_root(paths)))
    secret = first_passphrase(paths, passphrase_fd)
    with progress("verify and import") as advance, StepProgress() as observer:
        done = host.install(paths, request, passphrase=secret, observer=observer, progress=advance)
    emit_installed(done, output)
    tell_kept_down(paths)


def _reinstall(  # noqa: PLR0913, PLR0917 - private; the command's options
    paths: SitePaths,
    config: Path | None,
    root: str | None,
    passphrase_fd: int | None,
    profile: Profile,
    output: OutputFormat,
    *,
    dry_run: bool,
) -> None:
    if profile is Profile.cluster or root is not None:
        raise UsageError("a bundle is needed: for a first installation, and for a cluster", "name the bundle")
    if dry_run:
        show_plan(plan_reinstall(paths, config), output)
        return
    with StepProgress() as observer:
        done = reinstall(paths, config, passphrase=first_passphrase(paths, passphrase_fd), observer=observer)
    emit_installed(done, output)
    tell_kept_down(paths)


def status(
    context: typer.Context,
    output: OutputOption = OutputFormat.table,
    *,
    egress: Annotated[bool, typer.Option("--egress", help="Show what tried to leave a cluster.")] = False,
) -> None:
    """Show what runs, what is in force and what to act on; of a cluster, every host is asked."""
    paths = site_paths(context)
    if is_cluster(paths):
        (show_egress if egress else show_status)(paths, output)
        return
    if egress:
        raise UsageError("--egress is of a cluster", "on one host, services have no network but loopback")
    found = site_status(paths)
    emit(found.data(), output, lambda console: render_status(found, console))
    if not found.ok:
        raise typer.Exit(DeploymentError.exit_code)


def up(context: typer.Context, passphrase_fd: PassphraseFdOption = None) -> None:
    """Start the site and wait until it is ready."""
    with progress("services", unit="steps") as ready:
        started = power.up(site_paths(context), passphrase=_passphrase(passphrase_fd), ready=ready)
    say(f"started {', '.join(started)}" if started else "everything was running")
    tell_kept_down(site_paths(context))


def tell_kept_down(paths: SitePaths) -> None:
    """The rest runs; the command ends as `sovereign status` does. Raises ``DeploymentError``."""
    if (error := power.kept_down(paths)) is not None:
        raise error


def down(context: typer.Context) -> None:
    """Stop the site; its data stay."""
    unlogged = power.down(site_paths(context))
    say("stopped")
    if unlogged is not None:
        say(f"not in the audit log yet: {unlogged}; `sovereign up` enters what the install journal holds")


def unseal(context: typer.Context, passphrase_fd: PassphraseFdOption = None) -> None:
    """Unseal the services' secrets (called by the boot unit)."""
    power.unseal(site_paths(context), passphrase=_passphrase(passphrase_fd))


def resume(context: typer.Context) -> None:
    """Bring a site back whose service manager was killed (called by its keeper)."""
    started = bring_back(site_paths(context), say)
    say(f"resumed: {', '.join(started)}" if started else "nothing to resume")


def _passphrase(fd: int | None) -> Callable[[], bytes]:
    return lambda: read_passphrase("passphrase of the site key", fd)


def first_passphrase(paths: SitePaths, fd: int | None) -> Callable[[], bytes]:
    """As ``_passphrase``; where the site key is yet to be made, a new one: typed twice, since nothing else knows it."""
    if key_kind(paths.secrets) is not None:
        return _passphrase(fd)
    return lambda: NewPassphrase(fd).passphrase("new passphrase of the site key")


def _ask_root(needed: bool) -> str | None:  # noqa: FBT001 - one private caller
    """The fingerprint typed by the operator where one is needed and there is someone to ask."""
    if not needed or not typer.get_text_stream("stdin").isatty():
        return None
    return str(typer.prompt("fingerprint of the root to trust (sha256:…)", err=True)).strip()
