"""The gate at an installed site: which release is active, which policy, waivers and officers count there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from airgap_bundle.store import Store
from appliance.errors import UsageError
from appliance.models.gate import examine, open_verified
from appliance.models.host_waiver import waived_layers, waiver_files
from appliance.models.officers import load_officers
from appliance.models.passage import MODEL_KIND
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.store import VerifiedRelease
    from appliance.models.gate import VerifiedModel
    from appliance.models.verdict import Verdict
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

_RELEASE_MAX_BYTES = 65_536


@dataclass(frozen=True)
class Grounds:
    """Everything at a site that the gate's verdict rests on."""

    release: VerifiedRelease
    policy_path: Path
    waivers: tuple[Path, ...]
    officers: tuple[PublicSigner, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the release's models."""
        return tuple(sorted(a.name for a in self.release.artifacts.values() if a.kind == MODEL_KIND))


def grounds(paths: SitePaths) -> Grounds:
    """The active release with the site's policy, waivers and officers.

    Raises ``UsageError`` when no release is active, ``PolicyError`` when an officer's key is missing, and what
    ``Store.open_release`` raises when the store was damaged.
    """
    config = load_site(paths.site_yaml)
    folder = paths.policies / "waivers"
    return Grounds(
        release=Store(paths.store).open_release(_active_version(paths)),
        policy_path=paths.policies / "models.yaml",
        waivers=tuple(sorted(path for path in folder.iterdir() if path.is_file())) if folder.is_dir() else (),
        officers=load_officers(paths.policies / "officers", [officer.name for officer in config.officers]),
    )


def _active_version(paths: SitePaths) -> str:
    try:
        with (paths.current / "release.json").open("rb") as stream:
            described = strict_json.load_object(stream.read(_RELEASE_MAX_BYTES), max_bytes=_RELEASE_MAX_BYTES)
        return str(described["version"])
    except (OSError, KeyError, FormatError) as error:
        raise UsageError(f"no release is active at {paths.root}", "run `sovereign install` first") from error


def admit_model(name: str, paths: SitePaths, progress: Callable[[int, int], None] | None = None) -> VerifiedModel:
    """The model ``name``, verified now and open. Raises as ``grounds`` and ``open_verified`` do."""
    found = grounds(paths)
    return open_verified(
        found.release,
        name,
        policy_path=found.policy_path,
        waivers=found.waivers,
        officers=found.officers,
        now=datetime.now(UTC),
        progress=progress,
    )


def layers_waived_at(paths: SitePaths, config: SiteConfig) -> frozenset[str]:
    """Layers of confinement that an officer's waiver lets this site's host lack now. Raises ``PolicyError``."""
    officers = load_officers(paths.policies / "officers", [officer.name for officer in config.officers])
    files = waiver_files(paths.policies / "waivers")
    return frozenset(waived_layers(files, officers, config.name, datetime.now(UTC)))


def examine_model(name: str, found: Grounds, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Every check on the model ``name``. Raises as ``examine`` does."""
    return examine(
        found.release,
        name,
        policy_path=found.policy_path,
        waivers=found.waivers,
        officers=found.officers,
        now=datetime.now(UTC),
        progress=progress,
    )
