"""What the active release says of itself, as the installer recorded it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths


def release_description(paths: SitePaths) -> dict[str, object]:
    """``release.json`` of the active release. Raises ``UsageError`` when none is active."""
    try:
        found: dict[str, object] = json.loads((paths.current / "release.json").read_bytes())
    except OSError as error:
        raise UsageError(f"no release is active at {paths.root}", "run `sovereign install` first") from error
    return found


def active_version(paths: SitePaths) -> str:
    """Version of the active release."""
    return str(release_description(paths)["version"])
