"""`sovereign model import`: a bundle of models comes into the store, judged, and serves nobody.

Everything that may refuse does so before the site has learnt anything: the bundle's signatures under the root's grant,
its number, the room on the disk, every byte, and then the site's own policy on every model in it. A rehearsal goes all
that way and takes back what it wrote.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle.errors import BundleError
from airgap_bundle.model_bundle import SHELF, import_models
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState
from appliance.errors import SovereignError
from appliance.install.admission import check_is_bundle
from appliance.install.decisions import check_allowed, demand_log, installed, tell_log
from appliance.install.engines import Engines, SupervisedEngines
from appliance.install.journal import beside
from appliance.install.lock import site_lock
from appliance.install.model_record import UNKNOWN, describe, note, operator
from appliance.install.model_settle import enter_imports, imports, settle
from appliance.models.admission import examine_model, grounds
from appliance.models.errors import ModelRefusedError
from appliance.models.passage import MODEL_KIND
from appliance.models.shelf import Held, ended

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.oci import Release
    from airgap_bundle.store import VerifiedRelease
    from appliance.install.runner import Advance
    from appliance.models.admission import Grounds
    from appliance.models.verdict import Verdict
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Brought:
    """A bundle of models that passed. ``new``: how many of its models the site did not have from it before.

    ``rehearsed``: nothing was kept. ``ended`` names models that serve and may not be chosen any more, each with why: a
    rehearsal foresees what the bundle's lowest usable number ends, not what a change of its root does. ``unlogged``
    says why the audit log has no entry about it yet.
    """

    bundle: VerifiedRelease
    models: tuple[tuple[Held, Verdict], ...]
    new: int
    rehearsed: bool
    ended: tuple[tuple[str, str], ...] = ()
    unlogged: str | None = None


_AGAIN = "brought again: the store had lost it"


class _RehearsedError(Exception):
    """Everything passed, and nothing is to stay."""


def bring(
    paths: SitePaths, bundle: Path, *, rehearse: bool, engines: Engines | None = None, progress: Advance | None = None
) -> Brought:
    """Verify ``bundle`` (folder, packed file or split set), judge its models and keep them.

    Raises ``NotAllowedError``, ``UsageError`` where it is no bundle, a ``VerificationError`` for a refused bundle,
    ``StoreError`` for a failing medium or a full disk, one of ``appliance.models.errors`` for a refused model; store
    and trust state are then as they were. Bringing the same bundle again changes nothing.
    """
    config = installed(paths)
    check_allowed(paths)
    check_is_bundle(bundle)
    with site_lock(paths):
        settle(config, paths, engines or SupervisedEngines(config, paths))
        found = grounds(paths)
        enter_imports(paths, UNKNOWN)
        if not rehearse:
            demand_log(config, paths)
        judged, lost = _Judges(found, rehearse=rehearse), _Lost(paths)
        try:
            taken = import_models(
                bundle,
                paths.trust,
                paths.store,
                now=datetime.now(UTC),
                accept=judged.accept,
                taken_before=lost.has,
                progress=progress,
            )
        except _RehearsedError:
            assert judged.bundle is not None
            trust = TrustState.load(paths.trust)
            foreseen = replace(trust, models_min=max(trust.models_min, judged.bundle.min_release))
            over = _ended(config, paths, foreseen)
            return Brought(judged.bundle, tuple(judged.verdicts), 0, rehearsed=True, ended=over)
        except (BundleError, SovereignError) as error:
            if not rehearse:
                with beside(error):
                    said = f"{type(error).__name__}: {error.cause}"
                    note(paths, "import", "failed", "", {"by": operator(), "error": said})
                    tell_log(config, paths)
            raise
        new = enter_imports(paths, operator())
        if lost.found:
            for held, _ in judged.verdicts:
                note(paths, "import", "done", str(held.artifact.digest), describe(held, operator(), _AGAIN))
            new = len(judged.verdicts)
        over = _ended(config, paths, None)
        unlogged = tell_log(config, paths)
        return Brought(taken, tuple(judged.verdicts), new, rehearsed=False, ended=over, unlogged=unlogged)


class _Lost:
    """Knows bundles that the site took in and has no more, as after a restore: a backup holds the journal, and none."""

    def __init__(self, paths: SitePaths) -> None:
        self._paths = paths
        self.found = False
        """Whether it was asked about one."""

    def has(self, release: Release) -> bool:
        """Whether the journal has every model of ``release`` as brought by it, and the store has nothing of it."""
        here = {(str(digest), release.info.version) for _, _, digest in release.artifacts.values()}
        stored = {record.version for record in Store(self._paths.store, SHELF).survey()[0]}
        self.found = bool(here) and here <= imports(self._paths) and release.info.version not in stored
        return self.found


def _ended(config: SiteConfig, paths: SitePaths, trust: TrustState | None) -> tuple[tuple[str, str], ...]:
    """Models that serve and may not be chosen any more. Where that cannot be told, `status` says so."""
    found: list[tuple[str, str]] = []
    for model in config.models:
        with suppress(SovereignError, BundleError):
            if (reason := ended(paths, model.name, trust)) is not None:
                found.append((model.name, reason))
    return tuple(found)


class _Judges:
    """Passes every model of a bundle through the gate."""

    def __init__(self, found: Grounds, *, rehearse: bool) -> None:
        self._found, self._rehearse = found, rehearse
        self.bundle: VerifiedRelease | None = None
        self.verdicts: list[tuple[Held, Verdict]] = []

    def accept(self, bundle: VerifiedRelease) -> None:
        """Raises a refusal of the gate that names every model and check; at a rehearsal also where all passed."""
        self.bundle = bundle
        refused: list[str] = []
        for artifact in sorted(bundle.artifacts.values(), key=lambda artifact: artifact.name):
            assert artifact.kind == MODEL_KIND
            verdict = examine_model(artifact.name, replace(self._found, release=bundle))
            self.verdicts.append((Held(SHELF, bundle, artifact), verdict))
            refused += [f"{artifact.name}: {check.name}: {check.detail}" for check in verdict.failed]
        if refused:
            raise ModelRefusedError(
                "this site's policy refuses a model\n  " + "\n  ".join(refused),
                "have an officer sign a waiver and name it in site.yaml, or bring another model",
            )
        if self._rehearse:
            raise _RehearsedError
