"""A site on one host: how it is installed. What the command line calls; nothing here prints.

Order of an installation: the operator's files (every mistake at once) → the host (every finding at once) → the
bundle (verified and imported, or refused) → journaled steps. Until the bundle is in, nothing on the host has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.digest import sha256
from airgap_bundle.store import Store, VerifiedRelease
from appliance.errors import PreflightError, RefusedError, UsageError
from appliance.install.accounts import load_accounts
from appliance.install.admission import admit, announced_by, inspect, is_first_install
from appliance.install.audit_spool import spool
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.engines import SupervisedEngines
from appliance.install.journal import Journal, latest_done, read_journal
from appliance.install.judged import begin as begin_record
from appliance.install.judged import check as check_judged
from appliance.install.judged import note as note_in_force
from appliance.install.lock import site_lock
from appliance.install.model_settle import settle
from appliance.install.postgres_version import check_data
from appliance.install.preflight.report import PreflightReport, check_host
from appliance.install.release_description import active_version
from appliance.install.release_env import PYTHON_VERSION, check_fits, choose_python, host_glibc
from appliance.install.runner import Advance, Observer, execute
from appliance.install.site_files import SiteFiles, read_site_files
from appliance.install.startup import prepare_runtime
from appliance.install.steps import install_steps
from appliance.install.steps.context import Context
from appliance.install.vault import Vault
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap_bundle.report import Report
    from appliance.install.runner import Step
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


@dataclass(frozen=True)
class Request:
    """What an operator asks for. ``config`` None means the site file of an earlier installation."""

    bundle: Path
    config: Path | None
    root_fingerprint: str | None


@dataclass(frozen=True)
class Installed:
    """The outcome: the release, and which steps ran (none: everything was in place)."""

    release: VerifiedRelease
    ran: tuple[str, ...]
    logged: int
    url: str


@dataclass(frozen=True)
class Plan:
    """What an installation would do. ``steps`` maps each step's name to its title and whether it was done before.

    ``bundle`` is None where none is asked for (``reinstall``).
    """

    preflight: PreflightReport
    bundle: Report | None
    steps: tuple[tuple[str, str, bool], ...]

    @property
    def ok(self) -> bool:
        """Whether the installation would begin."""
        return self.preflight.ok and (self.bundle is None or self.bundle.ok)

    @property
    def exit_code(self) -> int:
        """The exit code that the installation would end with, were it to be refused now."""
        return PreflightError.exit_code if not self.preflight.ok else 0 if self.ok else RefusedError.exit_code

    def data(self) -> dict[str, object]:
        """The plan as JSON data."""
        steps = [{"name": name, "title": title, "done": done} for name, title, done in self.steps]
        bundle = None if self.bundle is None else self.bundle.to_json()
        return {"ok": self.ok, "preflight": self.preflight.data(), "bundle": bundle, "steps": steps}


def site_files(paths: SitePaths, config: Path | None) -> SiteFiles:
    """The operator's files: those that ``config`` names, else those installed."""
    return read_site_files(config if config is not None else paths.site_yaml, paths)


def needs_root(paths: SitePaths) -> bool:
    """Whether this site trusts no root yet, so that the operator must name one."""
    return is_first_install(paths)


def preflight(paths: SitePaths, config: Path | None, bundle: Path | None) -> PreflightReport:
    """Check the host for the site; nothing is changed. Raises ``SiteFileError`` for a wrong site file."""
    return check_host(site_files(paths, config), paths, bundle)


def plan(paths: SitePaths, request: Request) -> Plan:
    """What ``install`` would find and do; nothing is changed."""
    refuse_half_restored(paths)
    files = site_files(paths, request.config)
    check_judged(paths, files.config)
    checked = check_host(files, paths, request.bundle)
    report = inspect(request.bundle, paths, request.root_fingerprint)
    release = _announced(report)
    steps = install_steps(Context(paths, files, release, Vault(paths, _no_passphrase), choose_python() or Path()))
    done = read_journal(paths.journal) if (paths.release(release.version) / "release.json").exists() else ()
    return Plan(checked, report, tuple((s.name, s.title, latest_done(done, s.name) is not None) for s in steps))


def install(
    paths: SitePaths, request: Request, *, passphrase: Passphrase, observer: Observer, progress: Advance
) -> Installed:
    """Verify, import and install; services are ready when it returns. Running it again finishes or changes nothing.

    Raises ``UsageError`` for another release than the one in force: ``upgrade`` asks first whether one could return;
    ``GateRefusedError`` for a site file that brings answers what no gate let pass.
    """
    refuse_half_restored(paths)
    files = site_files(paths, request.config)
    check_same_name(paths, files)
    check_judged(paths, files.config)
    refuse_another(paths, request.bundle)
    check_host(files, paths, request.bundle).demand()
    if is_first_install(paths) and request.root_fingerprint is None:
        raise UsageError(
            "the first installation needs the fingerprint of the root to trust",
            "give --root sha256:…, read from a source that you trust and not from the bundle's medium",
        )
    with site_lock(paths):
        existed = _is_foreign_root(paths)
        release = admit(request.bundle, paths, request.root_fingerprint, progress, partial(check_data, paths))
        return put_in_force(paths, files, release, passphrase=passphrase, observer=observer, root_existed=existed)


def refuse_another(paths: SitePaths, bundle: Path) -> None:
    """Raise ``UsageError`` where a release is in force and ``bundle`` is of another; nothing is changed.

    An installation that was cut off before its first release was in force may be begun anew with any.
    """
    if not paths.current.exists() or is_first_install(paths):
        return
    active = Store(paths.store).record(active_version(paths))
    digest, version = announced_by(
        bundle, paths, lambda digest, contents, _read: (digest, contents.release.info.version)
    )
    if digest != active.release:
        raise UsageError(
            f"release {active.version} is in force, and the bundle brings {version}",
            "`sovereign upgrade BUNDLE` goes to another release, and says before whether it could be undone",
        )


def put_in_force(  # noqa: PLR0913 - what an installation is made of, by keyword
    paths: SitePaths,
    files: SiteFiles,
    release: VerifiedRelease,
    *,
    passphrase: Passphrase,
    observer: Observer,
    root_existed: bool = True,
    steps: Callable[[Context], tuple[Step, ...]] | None = None,
) -> Installed:
    """Run every step that is not done for ``release``, which the store holds, under the site's lock.

    ``steps`` are other ones than the installation's, of who makes a site whole that is restored in part: that brings
    back what was. Raises ``GateRefusedError`` else, before anything is changed, whatever the command.
    """
    if steps is None:
        refuse_half_restored(paths)
        begin_record(paths, paths.site_yaml)
        check_judged(paths, files.config)
    python = choose_python()
    if python is None:  # preflight said so already
        raise PreflightError("no python that service users can reach", "run sovereign with the distribution's python3")
    _settle_models(paths)
    vault = Vault(paths, passphrase)
    context = Context(paths, files, release, vault, python)
    check_fits(context.only("wheelhouse"), PYTHON_VERSION, host_glibc())
    journal = Journal.open(paths.journal)
    try:
        if not journal.records:
            journal.append("begin", "done", "", {"root_existed": str(root_existed)})
        ran = execute((steps or install_steps)(context), journal, observer)
        note_in_force(paths, files.config)
    finally:
        journal.close()
    prepare_runtime(files.config, paths, load_accounts(paths), vault)
    logged = spool(files.config, paths, release.version)
    return Installed(release, ran, logged, files.config.gateway_url)


def _settle_models(paths: SitePaths) -> None:
    """Undo the trials of the site as it is installed, so that no engine that is started anew finds one."""
    if paths.site_yaml.exists() and paths.users.exists():
        config = load_site(paths.site_yaml)
        settle(config, paths, SupervisedEngines(config, paths))


def _no_passphrase() -> bytes:
    raise UsageError("a plan opens no secrets")


def _is_foreign_root(paths: SitePaths) -> bool:
    """Whether someone else made the root folder: then it stays, empty, when the site is uninstalled."""
    return paths.root.is_dir() and not any(folder.exists() for folder in (paths.store, paths.trust))


def check_same_name(paths: SitePaths, files: SiteFiles) -> None:
    """The name is in the log's origin and in the CA: another name is another site."""
    if paths.site_yaml.exists():
        before = load_site(paths.site_yaml).name
        if before != files.config.name:
            raise UsageError(
                f"this site is named {before}, the site file says {files.config.name}",
                "keep the name, or install another site with another --site",
            )


def _announced(report: Report) -> VerifiedRelease:
    """The release as far as a plan needs it: its steps' names, not their work."""
    info = report.release
    version, name = (info.version, info.name) if info else ("unverified", "unverified")
    return VerifiedRelease(name, version, 0, 0, "", (), {}, sha256(b""))
