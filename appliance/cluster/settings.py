"""Further options of the roles, for hosts of a special kind: the file that a site file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.cluster import ClusterSite

_OPTIONS = "`settings` names a YAML file with options of the roles"


def read_settings(described: ClusterSite, source: Path) -> dict[str, Any]:
    """The options of the file that the site file ``source`` names; none without one. Raises ``UsageError``."""
    if described.cluster.settings is None:
        return {}
    path = source.parent / described.cluster.settings
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            f"{path}: {' '.join(str(error).split())}", "`settings` names a YAML file of options"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"{path} holds no options by name", _OPTIONS)
    return found
