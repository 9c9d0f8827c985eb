"""Models, before they are installed and while they are in force: which pass the gate, which rest on a waiver."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from appliance.errors import RefusedError, SiteFileError
from appliance.models.adapters import require_adapter
from appliance.models.errors import WaiverError, WaiverKindError
from appliance.models.gate import examine
from appliance.models.host_waiver import read_host_waiver, refusal
from appliance.models.officers import load_officers
from appliance.models.waiver import read_waiver, waiver_bytes
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.store import VerifiedRelease
    from appliance.models.host_waiver import HostWaiver
    from appliance.models.waiver import Waiver
    from appliance.site.config import SiteConfig

OFFICERS = "officers"
AUDITORS = "auditors"
WAIVERS = "waivers"
STATEMENTS = "statements"
POLICY = "models.yaml"


@dataclass(frozen=True)
class Waived:
    """An installed waiver, for a model or for this host.

    One that cannot be verified names its file as ``subject``, has its refusal as ``reason`` and is not in force.
    """

    kind: Literal["model", "host", "unknown"]
    subject: str
    waives: tuple[str, ...]
    reason: str
    officer: str
    expires: str | None
    in_force: bool


def check_models(
    config: SiteConfig,
    release: VerifiedRelease,
    policies: Path,
    chosen: Mapping[str, VerifiedRelease] | None = None,
    brought: Collection[str] = (),
) -> tuple[str, ...]:
    """Put every model of the site through the gate with the files in ``policies``; which rest on waivers, and whose.

    ``chosen`` names bundles of models whose model serves in the place of the release's; ``brought`` are names that
    bundles of models have, decided for or not.

    Raises ``SiteFileError`` for models that the release does not hold and ``RefusedError`` with every refusal.
    """
    chosen = chosen or {}
    _check_offered(config, release, chosen.keys(), brought)
    officers = load_officers(policies / OFFICERS, [o.name for o in config.officers])
    waivers, statements = installed_waivers(policies), _installed(policies / STATEMENTS)
    refused: list[str] = []
    waived: list[str] = []
    for model in config.models:
        serving = chosen.get(model.name, release)
        for adapter in model.adapters:
            require_adapter(serving, adapter, model.name)
        for name in (model.name, *model.adapters):
            verdict = examine(
                serving,
                name,
                policy_path=policies / POLICY,
                waivers=waivers,
                officers=officers,
                now=datetime.now(UTC),
                statements=statements,
            )
            refused += [f"{name}: {check.name}: {check.detail}" for check in verdict.failed]
            waived += [f"{name} by {w.officer}" for w in verdict.waivers_used]
    if refused:
        raise RefusedError(
            "this site's policy refuses a model\n  " + "\n  ".join(refused),
            "have an officer sign a waiver and name it in site.yaml, or serve another model",
        )
    return tuple(waived)


def write_policies(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put ``files`` (by path below ``folder``) where the gate looks, for everybody to read."""
    for name in ("", OFFICERS, AUDITORS, WAIVERS, STATEMENTS):
        (folder / name).mkdir(mode=0o755, exist_ok=True)
        (folder / name).chmod(0o755)
    for name, data in files.items():
        write_private(folder / name, data)
        (folder / name).chmod(0o644)


def installed_waivers(policies: Path) -> tuple[Path, ...]:
    """The signed waiver files in ``policies``."""
    return _installed(policies / WAIVERS)


def _installed(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.iterdir())) if folder.is_dir() else ()


def waivers_in_force(config: SiteConfig, policies: Path, now: datetime) -> tuple[Waived, ...]:
    """Every installed waiver, ended and damaged ones included: a model that rests on those will not load again."""
    officers = load_officers(policies / OFFICERS, [o.name for o in config.officers])
    return tuple(_described(path, officers, config.name, now) for path in installed_waivers(policies))


def _check_offered(
    config: SiteConfig, release: VerifiedRelease, chosen: Collection[str], brought: Collection[str]
) -> None:
    offered = {a.name for a in release.artifacts.values() if a.kind == "model"} | set(chosen)
    missing = [m.name for m in config.models if m.name not in offered]
    if missing:
        known = ", ".join(sorted(offered)) or "none"
        promote = "a bundle of models brought it, and nobody decided for it: `sovereign model promote {}`"
        mistakes = tuple(
            f"models: {name} is not in release {release.version} (there: {known})"
            + (f"; {promote.format(name)}" if name in brought else "")
            for name in missing
        )
        raise SiteFileError("site.yaml", mistakes)


def _described(path: Path, officers: tuple[PublicSigner, ...], site: str, now: datetime) -> Waived:
    try:
        data = waiver_bytes(path)
        try:
            return _of_model(read_waiver(data, officers, path.name), now)
        except WaiverKindError:
            return _of_host(read_host_waiver(data, officers, path.name), site, now)
    except WaiverError as error:
        return Waived("unknown", path.name, (), error.cause, "", None, in_force=False)


def _of_model(waiver: Waiver, now: datetime) -> Waived:
    in_force = waiver.issued <= now < waiver.expires
    return _waived("model", waiver.subject_name, waiver, waiver.reason, in_force=in_force)


def _of_host(waiver: HostWaiver, site: str, now: datetime) -> Waived:
    """One that does not apply to this site says why in place of its reason."""
    refused = refusal(waiver, site, now)
    reason = waiver.reason if refused is None else refused.cause
    return _waived("host", waiver.site, waiver, reason, in_force=refused is None)


def _waived(
    kind: Literal["model", "host"], subject: str, waiver: Waiver | HostWaiver, reason: str, *, in_force: bool
) -> Waived:
    return Waived(
        kind=kind,
        subject=subject,
        waives=tuple(sorted(waiver.waives)),
        reason=reason,
        officer=waiver.officer,
        expires=waiver.expires.astimezone(UTC).isoformat(timespec="seconds"),
        in_force=in_force,
    )
