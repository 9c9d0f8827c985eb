"""The gate at an installed site: which release is active, which policy, waivers and officers count there."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from airgap_bundle.store import Store
from appliance.errors import UsageError
from appliance.models.adapters import require_adapter
from appliance.models.errors import ModelRefusedError
from appliance.models.files import checked
from appliance.models.gate import assess, examine, open_verified
from appliance.models.host_waiver import waived_layers, waiver_files
from appliance.models.officers import load_officers
from appliance.models.passage import MODEL_KIND, TEMPLATE_MAX_BYTES
from appliance.models.policy import load_policy
from appliance.models.record import PARTS, parse_record
from appliance.models.shelf import in_force
from appliance.models.template_analysis import analyse, read_text
from appliance.models.waiver import read_waivers, refusal
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.store import Artifact, VerifiedRelease
    from appliance.models.gate import VerifiedModel
    from appliance.models.record import ModelRecord
    from appliance.models.template_syntax import Finding
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
    statements: tuple[Path, ...] = ()

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
    return Grounds(
        release=Store(paths.store).open_release(active_version(paths)),
        policy_path=paths.policies / "models.yaml",
        waivers=_files(paths.policies / "waivers"),
        officers=load_officers(paths.policies / "officers", [officer.name for officer in config.officers]),
        statements=_files(paths.policies / "statements"),
    )


def grounds_for(paths: SitePaths, name: str) -> Grounds:
    """As ``grounds``, with the release or bundle whose model ``name`` serves. Raises also as ``shelf.in_force``."""
    found = grounds(paths)
    return replace(found, release=in_force(paths, name, found.release))


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.iterdir() if path.is_file())) if folder.is_dir() else ()


def active_version(paths: SitePaths) -> str:
    """The version of the release that is in force. Raises ``UsageError`` where none is."""
    try:
        with (paths.current / "release.json").open("rb") as stream:
            described = strict_json.load_object(stream.read(_RELEASE_MAX_BYTES), max_bytes=_RELEASE_MAX_BYTES)
        return str(described["version"])
    except (OSError, KeyError, FormatError) as error:
        raise UsageError(f"no release is active at {paths.root}", "run `sovereign install` first") from error


def admit_model(name: str, paths: SitePaths, progress: Callable[[int, int], None] | None = None) -> VerifiedModel:
    """The model ``name``, verified now and open.

    Raises as ``grounds_for`` and ``open_verified`` do, and ``ModelRefusedError`` for a part of another model.
    """
    found = grounds_for(paths, name)
    artifact = found.release.artifacts.get(name)
    if artifact is not None and artifact.config.get("role") in PARTS:
        raise ModelRefusedError(f"{name} is part of another model and is not served by itself")
    return _opened(name, found, progress)


def _opened(name: str, found: Grounds, progress: Callable[[int, int], None] | None) -> VerifiedModel:
    return open_verified(
        found.release,
        name,
        policy_path=found.policy_path,
        waivers=found.waivers,
        officers=found.officers,
        now=datetime.now(UTC),
        statements=found.statements,
        progress=progress,
    )


def admit_adapter(name: str, model: str, paths: SitePaths) -> VerifiedModel:
    """The adapter ``name`` for what serves as ``model``: from the same release, verified now and open.

    Raises as ``admit_model`` and ``require_adapter``.
    """
    found = grounds_for(paths, model)
    require_adapter(found.release, name, model)
    return _opened(name, found, None)


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
        statements=found.statements,
        progress=progress,
    )


def assess_model(name: str, found: Grounds, release: VerifiedRelease) -> Verdict:
    """What policy and papers say of the model ``name`` of ``release``; its bytes are not looked at."""
    return assess(
        release,
        name,
        policy_path=found.policy_path,
        waivers=found.waivers,
        officers=found.officers,
        now=datetime.now(UTC),
        statements=found.statements,
    )


def waived_until(record: ModelRecord, found: Grounds, now: datetime) -> datetime | None:
    """When the first waiver ends that applies to this model now. Raises ``PolicyError``."""
    policy = load_policy(found.policy_path)
    waivers, _ = read_waivers(found.waivers, found.officers)
    return min((w.expires for w in waivers if refusal(w, record, policy, now) is None), default=None)


def template_findings(artifact: Artifact) -> tuple[Finding, ...]:
    """What the analysis finds in the chat template of ``artifact``, for a reviewer; the gate asks again by itself.

    Raises ``TemplateError`` for a template that is no readable text.
    """
    record = parse_record(artifact.config)
    stored = artifact.files.get(record.template.file) if record.template else None
    if stored is None or stored.size > TEMPLATE_MAX_BYTES:
        return ()
    with checked(stored.path, size=stored.size, sha256=stored.digest.hex) as fd:
        return analyse(read_text(os.pread(fd, stored.size, 0)))
